//! The record of a domain, parsed as strictly as RFC 7208 section 12 demands: an error anywhere invalidates the whole record.

use std::net::{Ipv4Addr, Ipv6Addr};

use postern_policy::authenticity::SpfResult;

use super::expand::{MacroString, Place};

/// Most octets of a record accepted. Longer ones do not fit in answers that reach everybody (section 3.4).
const RECORD_MAX: usize = 4_096;

/// A record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Its mechanisms, in their order.
    pub(super) directives: Vec<Directive>,
    /// Whose record decides if no mechanism matches; ignored if there is an `all`, which always matches (section 6.1).
    pub(super) redirect: Option<MacroString>,
    /// Where a fail is explained.
    pub(super) explanation: Option<MacroString>,
}

/// A mechanism with its qualifier.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Directive {
    pub(super) result: SpfResult,
    pub(super) mechanism: Mechanism,
    /// As written in the record.
    pub(super) text: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Mechanism {
    All,
    Include(MacroString),
    A(Option<MacroString>, Prefixes),
    Mx(Option<MacroString>, Prefixes),
    Ptr(Option<MacroString>),
    Ip4(Ipv4Addr, u8),
    Ip6(Ipv6Addr, u8),
    Exists(MacroString),
}

/// Prefix lengths.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Prefixes {
    pub(super) v4: u8,
    pub(super) v6: u8,
}

/// The record cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not valid in an SPF record")]
pub struct SyntaxError(String);

impl SyntaxError {
    pub(super) fn at(term: &str) -> Self {
        Self(term.chars().take(80).collect())
    }
}

impl Record {
    /// Whether a TXT record is an SPF record (section 4.5).
    #[must_use]
    pub fn is_one(text: &[u8]) -> bool {
        let (version, rest) = text.split_at(text.len().min(6));
        version.eq_ignore_ascii_case(b"v=spf1") && matches!(rest.first(), None | Some(b' '))
    }

    /// Parses an SPF record.
    ///
    /// # Errors
    ///
    /// [`SyntaxError`], wherever in the record the error is (section 4.6).
    pub fn parse(text: &[u8]) -> Result<Self, SyntaxError> {
        let bad = || SyntaxError::at(&String::from_utf8_lossy(&text[..text.len().min(80)]));
        if !Self::is_one(text) || text.len() > RECORD_MAX {
            return Err(bad());
        }
        let terms = std::str::from_utf8(&text[6..]).map_err(|_| bad())?;
        let mut record = Self {
            directives: Vec::new(),
            redirect: None,
            explanation: None,
        };
        for term in terms.split(' ').filter(|term| !term.is_empty()) {
            record.take(term)?;
        }
        Ok(record)
    }

    pub(super) fn has_all(&self) -> bool {
        self.directives
            .iter()
            .any(|directive| directive.mechanism == Mechanism::All)
    }

    fn take(&mut self, term: &str) -> Result<(), SyntaxError> {
        let bad = || SyntaxError::at(term);
        let name_end = term.find([':', '/', '=']).unwrap_or(term.len());
        if term[name_end..].starts_with('=') {
            let (name, value) = (&term[..name_end], &term[name_end + 1..]);
            let place = if name.eq_ignore_ascii_case("redirect") {
                &mut self.redirect
            } else if name.eq_ignore_ascii_case("exp") {
                &mut self.explanation
            } else if is_name(name) {
                // Unknown ones are ignored, but must be well formed (section 6).
                return MacroString::parse(value, Place::Unknown)
                    .map(drop)
                    .map_err(|()| bad());
            } else {
                return Err(bad());
            };
            let value = MacroString::parse(value, Place::Domain).map_err(|()| bad())?;
            return if place.replace(value).is_some() {
                Err(bad())
            } else {
                Ok(())
            };
        }
        let (result, mechanism) = match term.as_bytes().first() {
            Some(b'+') => (SpfResult::Pass, &term[1..]),
            Some(b'-') => (SpfResult::Fail, &term[1..]),
            Some(b'~') => (SpfResult::SoftFail, &term[1..]),
            Some(b'?') => (SpfResult::Neutral, &term[1..]),
            _ => (SpfResult::Pass, term),
        };
        self.directives.push(Directive {
            result,
            mechanism: Mechanism::parse(mechanism).ok_or_else(bad)?,
            text: term.to_owned(),
        });
        Ok(())
    }
}

impl Mechanism {
    fn parse(text: &str) -> Option<Self> {
        let end = text.find([':', '/']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let domain = |text: &str| MacroString::parse(text.strip_prefix(':')?, Place::Domain).ok();
        Some(match name.to_ascii_lowercase().as_str() {
            "all" if rest.is_empty() => Self::All,
            "include" => Self::Include(domain(rest)?),
            "exists" => Self::Exists(domain(rest)?),
            "a" | "mx" => {
                let (target, prefixes) = dual_prefix(rest)?;
                let target = if target.is_empty() {
                    None
                } else {
                    Some(domain(target)?)
                };
                if name.eq_ignore_ascii_case("a") {
                    Self::A(target, prefixes)
                } else {
                    Self::Mx(target, prefixes)
                }
            }
            "ptr" if rest.is_empty() => Self::Ptr(None),
            "ptr" => Self::Ptr(Some(domain(rest)?)),
            "ip4" => {
                let (address, prefix) = network(rest, 32)?;
                Self::Ip4(address.parse().ok()?, prefix)
            }
            "ip6" => {
                let (address, prefix) = network(rest, 128)?;
                Self::Ip6(address.parse().ok()?, prefix)
            }
            _ => return None,
        })
    }
}

/// `:ADDRESS` or `:ADDRESS/BITS`.
fn network(text: &str, longest: u8) -> Option<(&str, u8)> {
    let text = text.strip_prefix(':')?;
    match text.split_once('/') {
        Some((address, bits)) => Some((address, prefix(bits, longest)?)),
        None => Some((text, longest)),
    }
}

/// Removes `/24`, `/24//64` or `//64` from the end. A slash inside a macro does not count.
fn dual_prefix(text: &str) -> Option<(&str, Prefixes)> {
    let behind = text.rfind('}').map_or(0, |at| at + 1);
    let Some(slash) = text[behind..].find('/') else {
        return Some((text, Prefixes { v4: 32, v6: 128 }));
    };
    let (target, bits) = text.split_at(behind + slash);
    let (v4, v6) = match bits.split_once("//") {
        Some((v4, v6)) => (v4, prefix(v6, 128)?),
        None => (bits, 128),
    };
    let v4 = match v4.strip_prefix('/') {
        Some(v4) => prefix(v4, 32)?,
        None if v4.is_empty() => 32,
        None => return None,
    };
    Some((target, Prefixes { v4, v6 }))
}

fn prefix(digits: &str, longest: u8) -> Option<u8> {
    let plain =
        digits.bytes().all(|octet| octet.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|bits| plain && *bits <= longest)
}

/// A letter followed by letters, digits, `-`, `_`, `.`.
fn is_name(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|octet| octet.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.'))
}
