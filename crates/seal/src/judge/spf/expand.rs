//! Macros (RFC 7208 section 7): parsed with the record, expanded when they are reached.

use std::fmt::Write as _;
use std::net::IpAddr;

/// Most octets of a name in DNS, in text.
const NAME_MAX: usize = 253;

/// Most octets of an explanation that is reported.
const EXPLANATION_MAX: usize = 400;

/// Where a text with macros is used: not all of them are allowed everywhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// It is a domain.
    Domain,
    /// It is the value of an unknown modifier.
    Unknown,
    /// It is an explanation.
    Explanation,
}

/// A text with macros, well formed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct MacroString(Vec<Piece>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Text(String),
    Macro(Macro),
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Macro {
    letter: u8,
    /// Whether the value must be URL-escaped.
    escaped: bool,
    /// How many of the rightmost parts are kept; 0 for all.
    keep: u8,
    reverse: bool,
    delimiters: String,
}

/// The values for macros.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'a> {
    pub(super) sender: &'a str,
    pub(super) local: &'a str,
    pub(super) sender_domain: &'a str,
    pub(super) domain: &'a str,
    pub(super) ip: IpAddr,
    pub(super) helo: &'a str,
    /// The confirmed name of the client, if a macro needs it.
    pub(super) name: &'a str,
    pub(super) receiver: &'a str,
    pub(super) time: i64,
}

impl MacroString {
    pub(super) fn parse(text: &str, place: Place) -> Result<Self, ()> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let literal = match place {
                Place::Explanation => matches!(c, ' '..='~'),
                Place::Domain | Place::Unknown => matches!(c, '!'..='~'),
            };
            if !literal {
                return Err(());
            }
            if c != '%' {
                plain.push(c);
                rest = &rest[1..];
                continue;
            }
            match rest.as_bytes().get(1) {
                Some(b'%') => plain.push('%'),
                Some(b'_') => plain.push(' '),
                Some(b'-') => plain.push_str("%20"),
                Some(b'{') => {
                    let end = rest.find('}').ok_or(())?;
                    let inside = Macro::parse(&rest[2..end], place)?;
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Macro(inside));
                    rest = &rest[end + 1..];
                    continue;
                }
                _ => return Err(()),
            }
            rest = &rest[2..];
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        let whole = Self(pieces);
        if place == Place::Domain && !whole.ends_as_domain() {
            return Err(());
        }
        Ok(whole)
    }

    /// A macro at the end, or a dot and a top label (section 12, `domain-end`).
    fn ends_as_domain(&self) -> bool {
        match self.0.last() {
            Some(Piece::Macro(_)) => true,
            Some(Piece::Text(text)) => {
                let text = text.strip_suffix('.').unwrap_or(text);
                let Some((_, top)) = text.rsplit_once('.') else {
                    return false;
                };
                is_top_label(top)
            }
            None => false,
        }
    }

    /// Whether the client's confirmed name is needed, which costs look-ups.
    pub(super) fn wants_name(&self) -> bool {
        self.0
            .iter()
            .any(|piece| matches!(piece, Piece::Macro(one) if one.letter == b'p'))
    }

    /// The resulting domain. If it is too long, it loses labels on the left (section 7.3).
    pub(super) fn domain(&self, values: &Values<'_>) -> String {
        let filled = self.fill(values);
        let mut name = filled.strip_suffix('.').unwrap_or(&filled);
        while name.len() > NAME_MAX {
            match name.split_once('.') {
                Some((_, rest)) => name = rest,
                None => return String::new(),
            }
        }
        name.to_ascii_lowercase()
    }

    /// The resulting explanation, truncated to a length that fits in a reply.
    pub(super) fn explanation(&self, values: &Values<'_>) -> String {
        let mut text = self.fill(values);
        text.retain(|c| matches!(c, ' '..='~'));
        text.truncate(EXPLANATION_MAX);
        text
    }

    fn fill(&self, values: &Values<'_>) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Macro(one) => one.fill(values, &mut out),
            }
        }
        out
    }
}

/// Letters, digits and inner hyphens, but not only digits.
fn is_top_label(label: &str) -> bool {
    !label.is_empty()
        && label
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.bytes().all(|octet| octet.is_ascii_digit())
}

impl Macro {
    fn parse(text: &str, place: Place) -> Result<Self, ()> {
        let &first = text.as_bytes().first().ok_or(())?;
        let letter = first.to_ascii_lowercase();
        let known = match letter {
            b's' | b'l' | b'o' | b'd' | b'i' | b'p' | b'v' | b'h' => true,
            b'c' | b'r' | b't' => place == Place::Explanation,
            _ => false,
        };
        if !known {
            return Err(());
        }
        let rest = &text[1..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let keep = match &rest[..digits] {
            "" => 0,
            number => match number.parse::<u32>() {
                Ok(0) => return Err(()),
                Ok(number) => u8::try_from(number).unwrap_or(u8::MAX),
                Err(_) => u8::MAX,
            },
        };
        let rest = &rest[digits..];
        let (reverse, delimiters) = match rest.strip_prefix(['r', 'R']) {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if !delimiters.bytes().all(|octet| b".-+,/_=".contains(&octet)) {
            return Err(());
        }
        Ok(Self {
            letter,
            escaped: first.is_ascii_uppercase(),
            keep,
            reverse,
            delimiters: delimiters.to_owned(),
        })
    }

    fn fill(&self, values: &Values<'_>, out: &mut String) {
        let value = match self.letter {
            b's' => values.sender.to_owned(),
            b'l' => values.local.to_owned(),
            b'o' => values.sender_domain.to_owned(),
            b'd' => values.domain.to_owned(),
            b'i' => dotted(values.ip),
            b'p' => values.name.to_owned(),
            b'v' => if values.ip.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
            b'h' => values.helo.to_owned(),
            b'c' => values.ip.to_string(),
            b'r' => values.receiver.to_owned(),
            _ => values.time.to_string(),
        };
        let delimiters = if self.delimiters.is_empty() {
            "."
        } else {
            &self.delimiters
        };
        let mut parts: Vec<&str> = value.split(|c| delimiters.contains(c)).collect();
        if self.reverse {
            parts.reverse();
        }
        if self.keep > 0 {
            parts.drain(..parts.len().saturating_sub(self.keep.into()));
        }
        let text = parts.join(".");
        if self.escaped {
            escape(&text, out);
        } else {
            out.push_str(&text);
        }
    }
}

/// An address in the form in which each part of it is a label (section 7.3, `i`).
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let nibbles: Vec<String> = v6
                .octets()
                .iter()
                .flat_map(|octet| [octet >> 4, octet & 15])
                .map(|nibble| format!("{nibble:x}"))
                .collect();
            nibbles.join(".")
        }
    }
}

/// All but unreserved characters of URLs become `%XX` (RFC 3986 section 2.3).
fn escape(text: &str, out: &mut String) {
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(char::from(octet));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{octet:02X}");
        }
    }
}
