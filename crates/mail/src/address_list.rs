//! The addresses in the value of a header field (RFC 5322 section 3.4), each with its position, so that an address can be
//! replaced while nothing else changes: display names, comments, groups, encoded words, folds and non-ASCII octets stay.
//!
//! Malformed entries are left alone: one with two addresses, text after an address, unterminated quotes and brackets.

use std::ops::Range;

use crate::{AddressLimits, Mailbox, ParseOptions};

/// Longest address, in octets as written in the field.
const ADDRESS_MAX: usize = 1_400;

/// An address in a field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// Its position in the value: from the first octet of the local part to the last one of the domain.
    pub range: Range<usize>,
    /// The address.
    pub address: Written,
}

/// An address as people and programs write one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Written {
    /// A local part without a domain, with its quotes.
    Bare(String),
    /// A complete address.
    Full(Mailbox),
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bare(local) => f.write_str(local),
            Self::Full(mailbox) => mailbox.fmt(f),
        }
    }
}

/// The addresses in a value, in order, found lazily.
pub fn places(value: &[u8]) -> impl Iterator<Item = Place> + '_ {
    let mut entry = Entry::default();
    let mut at = Some(0);
    std::iter::from_fn(move || {
        while let Some(from) = at {
            let ended = match next(value, from) {
                None => {
                    at = None;
                    Some(std::mem::take(&mut entry))
                }
                // What is unterminated swallows everything after it: its meaning is unknown.
                Some(token) if token.kind == Kind::Unended => {
                    at = None;
                    None
                }
                Some(token) => {
                    at = Some(token.end);
                    match token.kind {
                        Kind::Comma | Kind::Semicolon => Some(std::mem::take(&mut entry)),
                        Kind::Colon if entry.is_phrase() => {
                            entry = Entry::default();
                            None
                        }
                        _ => {
                            entry.take(token);
                            None
                        }
                    }
                }
            };
            if let Some(place) = ended.and_then(|entry| entry.finish(value)) {
                return Some(place);
            }
        }
        None
    })
}

/// The value with the addresses at these positions replaced; they are in order and do not overlap.
#[must_use]
pub fn replaced(value: &[u8], changes: &[(Range<usize>, String)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 64);
    let mut from = 0;
    for (range, address) in changes {
        let Some(kept) = value.get(from..range.start) else {
            continue;
        };
        out.extend_from_slice(kept);
        out.extend_from_slice(address.as_bytes());
        from = range.end;
    }
    out.extend_from_slice(value.get(from..).unwrap_or_default());
    out
}

#[derive(Clone, Copy, Debug)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Octets that stand for themselves.
    Atom,
    Quoted,
    /// A domain literal with its brackets.
    Literal,
    At,
    Dot,
    Open,
    Close,
    Comma,
    Semicolon,
    Colon,
    /// A comment.
    Comment,
    /// A quote, comment or literal without an end.
    Unended,
}

/// The next token, after blanks and folds.
fn next(value: &[u8], mut at: usize) -> Option<Token> {
    while matches!(value.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    let octet = *value.get(at)?;
    let one = |kind| Token {
        kind,
        start: at,
        end: at + 1,
    };
    Some(match octet {
        b'@' => one(Kind::At),
        b'.' => one(Kind::Dot),
        b'<' => one(Kind::Open),
        b'>' => one(Kind::Close),
        b',' => one(Kind::Comma),
        b';' => one(Kind::Semicolon),
        b':' => one(Kind::Colon),
        b'"' => ended(value, at, Kind::Quoted, quoted_end(value, at)),
        b'[' => ended(value, at, Kind::Literal, literal_end(value, at)),
        b'(' => ended(value, at, Kind::Comment, comment_end(value, at)),
        _ => {
            let rest = &value[at + 1..];
            let len = rest.iter().position(|&octet| is_special(octet));
            Token {
                kind: Kind::Atom,
                start: at,
                end: at + 1 + len.unwrap_or(rest.len()),
            }
        }
    })
}

fn is_special(octet: u8) -> bool {
    matches!(
        octet,
        b'@' | b'.' | b'<' | b'>' | b',' | b';' | b':' | b'"' | b'[' | b'(' | b' ' | b'\t' | b'\r' | b'\n'
    )
}

fn ended(value: &[u8], start: usize, kind: Kind, end: Option<usize>) -> Token {
    Token {
        kind: if end.is_some() { kind } else { Kind::Unended },
        start,
        end: end.unwrap_or(value.len()),
    }
}

fn quoted_end(value: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match value.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

fn literal_end(value: &[u8], start: usize) -> Option<usize> {
    let len = value[start..].iter().position(|&octet| octet == b']')?;
    Some(start + len + 1)
}

fn comment_end(value: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_usize);
    loop {
        match value.get(at)? {
            b'\\' => at += 1,
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// One entry of the list: the tokens before angle brackets, and those within them.
#[derive(Debug, Default)]
struct Entry {
    outside: Vec<Token>,
    inside: Vec<Token>,
    angle: Angle,
    /// Whether it is malformed.
    odd: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Angle {
    #[default]
    Before,
    Within,
    Behind,
}

impl Entry {
    /// Whether it may be the name of a group.
    fn is_phrase(&self) -> bool {
        self.angle == Angle::Before
            && !self.outside.is_empty()
            && self.outside.iter().all(|token| token.kind != Kind::At)
    }

    fn take(&mut self, token: Token) {
        match (token.kind, self.angle) {
            (Kind::Comment, _) => {}
            (Kind::Open, Angle::Before) => self.angle = Angle::Within,
            (Kind::Close, Angle::Within) => self.angle = Angle::Behind,
            // A route (RFC 5322 section 4.4): the address follows it.
            (Kind::Colon, Angle::Within) if self.is_route() => self.inside.clear(),
            (Kind::Open | Kind::Close | Kind::Colon, _) | (_, Angle::Behind) => self.odd = true,
            (_, Angle::Before) => self.outside.push(token),
            (_, Angle::Within) => self.inside.push(token),
        }
    }

    fn is_route(&self) -> bool {
        self.inside.first().is_some_and(|token| token.kind == Kind::At)
    }

    fn finish(self, value: &[u8]) -> Option<Place> {
        if self.odd {
            return None;
        }
        let tokens = match self.angle {
            Angle::Before => &self.outside,
            // A route with commas has been split at them.
            Angle::Within => return None,
            Angle::Behind => &self.inside,
        };
        let range = tokens.first()?.start..tokens.last()?.end;
        if range.len() > ADDRESS_MAX {
            return None;
        }
        let address = address(value, tokens)?;
        Some(Place { range, address })
    }
}

/// What these tokens are: `local`, or `local@domain`; blanks and comments between them do not count.
fn address(value: &[u8], tokens: &[Token]) -> Option<Written> {
    let at = tokens.iter().position(|token| token.kind == Kind::At);
    let (local, domain) = tokens.split_at(at.unwrap_or(tokens.len()));
    if !alternate(local, &[Kind::Atom, Kind::Quoted]) {
        return None;
    }
    let local = joined(value, local)?;
    let options = ParseOptions {
        utf8: true,
        limits: AddressLimits::STORED,
        ..ParseOptions::default()
    };
    let Some(domain) = domain.get(1..) else {
        // It is valid if it would be valid with a domain.
        let text = format!("{local}@localhost");
        return Mailbox::parse(&text, &options).ok().map(|_| Written::Bare(local));
    };
    let is_literal = matches!(domain, [one] if one.kind == Kind::Literal);
    if !is_literal && !alternate(domain, &[Kind::Atom]) {
        return None;
    }
    let text = format!("{local}@{}", joined(value, domain)?);
    Mailbox::parse(&text, &options).ok().map(Written::Full)
}

/// Whether words and dots alternate, with a word at both ends.
fn alternate(tokens: &[Token], words: &[Kind]) -> bool {
    tokens.len() % 2 == 1
        && tokens.iter().enumerate().all(|(place, token)| {
            if place % 2 == 0 {
                words.contains(&token.kind)
            } else {
                token.kind == Kind::Dot
            }
        })
}

fn joined(value: &[u8], tokens: &[Token]) -> Option<String> {
    let mut text = String::new();
    for token in tokens {
        text.push_str(std::str::from_utf8(&value[token.start..token.end]).ok()?);
    }
    Some(text)
}

#[cfg(test)]
mod tests;
