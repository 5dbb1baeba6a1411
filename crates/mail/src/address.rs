//! Mail addresses as the envelope uses them (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

mod characters;
mod parse;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

pub use self::parse::split_path;
use crate::status::Status;

/// The right-hand side of an address.
///
/// A name is kept as its lower-case A-label form without a trailing dot, so that comparing two is comparing bytes.
#[derive(Clone, Debug, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub enum Domain {
    /// A domain name, 1 to 255 octets, each label 1 to 63.
    Name(Box<str>),
    /// An address literal, `[192.0.2.1]` or `[IPv6:…]` (RFC 5321 section 4.1.3).
    Literal(IpAddr),
}

/// `local-part@domain`.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub struct Mailbox {
    local: Box<str>,
    domain: Domain,
}

/// The argument of `MAIL FROM`.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub enum ReversePath {
    /// `<>`: a report, which must never cause another report.
    Null,
    /// An address.
    Mailbox(Mailbox),
}

/// The argument of `RCPT TO`.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub enum ForwardPath {
    /// `<postmaster>` without a domain, in any case (RFC 5321 section 4.1.1.3).
    Postmaster,
    /// An address.
    Mailbox {
        /// The address at the end of the path.
        mailbox: Mailbox,
        /// Whether a source route (`@a,@b:`) preceded it. The route is dropped, but relay rules look at this.
        source_route: bool,
    },
}

/// The length limits of RFC 5321 section 4.5.3.1, each in octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AddressLimits {
    /// Longest local part, quotes included. Default 64 (section 4.5.3.1.1).
    ///
    /// Forwarders that pack an address into a local part (SRS, VERP) sometimes need more.
    pub local_max: usize,
    /// Longest domain. Default 255 (section 4.5.3.1.2), which is also the most that DNS can hold.
    pub domain_max: usize,
    /// Longest path, angle brackets and source route included. Default 256 (section 4.5.3.1.3).
    pub path_max: usize,
    /// Longest local part of an address rewritten by a forwarder (see [`is_rewritten`]), if more than `local_max`: it holds a
    /// whole address, and reports must be able to return to it. The path may be longer by the same amount. Default 64, the same
    /// as for others.
    pub rewritten_max: usize,
}

impl AddressLimits {
    /// The limit for this local part, quotes included.
    fn local_max_of(&self, local: &str) -> usize {
        if is_rewritten(local.strip_prefix('"').unwrap_or(local)) {
            self.local_max.max(self.rewritten_max)
        } else {
            self.local_max
        }
    }

    /// The limit for this path; `inner` is without the opening bracket.
    fn path_max_of(&self, inner: &str) -> usize {
        self.path_max + (self.local_max_of(inner) - self.local_max)
    }
}

/// Whether a local part looks rewritten by the Sender Rewriting Scheme, here or elsewhere: `SRS0` or `SRS1` in any case, followed
/// by a separator. `local` is without quotes.
#[must_use]
pub fn is_rewritten(local: &str) -> bool {
    let Some((tag, rest)) = local.split_at_checked(4) else {
        return false;
    };
    rest.starts_with(['=', '+', '-'])
        && ["SRS0", "SRS1"]
            .iter()
            .any(|known| tag.eq_ignore_ascii_case(known))
}

/// How to read an address.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParseOptions<'a> {
    /// Whether octets above 127 are allowed (`SMTPUTF8` was given).
    pub utf8: bool,
    /// The domain given to an address without one (RFC 6409 section 8.1); without it such an address is an error.
    pub default_domain: Option<&'a Domain>,
    /// Length limits.
    pub limits: AddressLimits,
}

/// Which command an address came with, which decides the reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PathKind {
    /// `MAIL FROM`.
    Reverse,
    /// `RCPT TO`.
    Forward,
}

/// What to answer a peer whose address could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AddressReply {
    /// Three-digit reply code.
    pub code: u16,
    /// Enhanced status code.
    pub status: Status,
    /// The words after the address: `Unbalanced '"'` in `553 5.0.0 <…>... Unbalanced '"'`.
    pub text: &'static str,
}

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Empty where an address is required.
    #[error("empty address")]
    Empty,
    /// A quoted string that does not end.
    #[error("unbalanced '\"'")]
    UnbalancedQuote,
    /// `<` without `>` or the reverse.
    #[error("unbalanced angle bracket")]
    UnbalancedAngle,
    /// A local part without a domain, and no default domain applies.
    #[error("domain name required")]
    DomainMissing,
    /// The local part is over 64 octets (RFC 5321 section 4.5.3.1.1).
    #[error("local part too long")]
    LocalTooLong,
    /// The domain is over 255 octets, or one label over 63.
    #[error("domain too long")]
    DomainTooLong,
    /// The path is over 256 octets (RFC 5321 section 4.5.3.1.3).
    #[error("address too long")]
    PathTooLong,
    /// A character that the grammar does not allow there (control characters among them).
    #[error("character not allowed in an address")]
    BadCharacter,
    /// The domain is not valid.
    #[error("malformed domain")]
    BadDomain,
    /// An octet above 127 without `SMTPUTF8`.
    #[error("internationalised address needs SMTPUTF8")]
    NeedsUtf8,
}

impl AddressError {
    /// The reply for this error, with sendmail's codes.
    #[must_use]
    pub fn reply(self, kind: PathKind) -> AddressReply {
        // The detail says whose address is wrong (RFC 3463 section 3.2): mailbox, then system.
        let (mailbox, system) = match kind {
            PathKind::Reverse => (Status(5, 1, 7), Status(5, 1, 8)),
            PathKind::Forward => (Status(5, 1, 3), Status(5, 1, 2)),
        };
        let (code, status, text) = match self {
            Self::Empty => (553, mailbox, "User address required"),
            Self::UnbalancedQuote => (553, Status(5, 0, 0), "Unbalanced '\"'"),
            Self::UnbalancedAngle => (553, Status(5, 0, 0), "Unbalanced '<'"),
            Self::DomainMissing => (553, Status(5, 5, 4), "Domain name required"),
            Self::LocalTooLong => (501, mailbox, "Local part too long"),
            Self::DomainTooLong => (501, system, "Domain too long"),
            Self::PathTooLong => (501, mailbox, "Path too long"),
            Self::BadCharacter => (553, mailbox, "Bad character in address"),
            Self::BadDomain => (553, system, "Malformed domain"),
            Self::NeedsUtf8 => (553, Status(5, 6, 7), "Internationalized address needs SMTPUTF8"),
        };
        AddressReply { code, status, text }
    }
}

impl Mailbox {
    /// Makes an address from an unquoted local part, which is quoted if necessary.
    ///
    /// # Errors
    ///
    /// When `local` is empty, over 1,024 octets, or holds a control character.
    pub fn new(local: &str, domain: Domain) -> Result<Self, AddressError> {
        let bad = |c| !characters::is_quotable(c, true);
        if local.is_empty() {
            return Err(AddressError::Empty);
        }
        if local.chars().any(bad) {
            return Err(AddressError::BadCharacter);
        }
        let mut written = String::with_capacity(local.len() + 2);
        if characters::is_dot_string(local) {
            written.push_str(local);
        } else {
            written.push('"');
            for c in local.chars() {
                if matches!(c, '"' | '\\') {
                    written.push('\\');
                }
                written.push(c);
            }
            written.push('"');
        }
        if written.len() > AddressLimits::STORED.local_max {
            return Err(AddressError::LocalTooLong);
        }
        Ok(Self {
            local: written.into_boxed_str(),
            domain,
        })
    }

    /// The local part without quotes and backslashes.
    #[must_use]
    pub fn unquoted_local(&self) -> Cow<'_, str> {
        let Some(inner) = self
            .local
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        else {
            return Cow::Borrowed(&self.local);
        };
        if !inner.contains('\\') {
            return Cow::Borrowed(inner);
        }
        let mut plain = String::with_capacity(inner.len());
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            plain.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        Cow::Owned(plain)
    }

    /// Whether it can be sent without `SMTPUTF8`.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii()
    }

    /// The form for look-ups: lower-case unquoted local part, `@`, domain.
    #[must_use]
    pub fn key(&self) -> String {
        let local = self.unquoted_local();
        let mut key = if local.is_ascii() {
            local.to_ascii_lowercase()
        } else {
            local.to_lowercase()
        };
        key.push('@');
        match &self.domain {
            Domain::Name(name) => key.push_str(name),
            literal @ Domain::Literal(_) => key.push_str(&literal.to_string()),
        }
        key
    }

    /// The local part as written, quotes included.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Literal(IpAddr::V4(ip)) => write!(f, "[{ip}]"),
            Self::Literal(IpAddr::V6(ip)) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

/// Writes the path with its angle brackets: `<>` or `<a@b>`.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

/// Writes the path with its angle brackets, without a source route.
impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<postmaster>"),
            Self::Mailbox { mailbox, .. } => write!(f, "<{mailbox}>"),
        }
    }
}

impl AddressLimits {
    /// The limits for stored addresses, and the highest that a configuration may set: an address that was accepted can always be
    /// read back, whatever the limits are by then.
    pub const STORED: Self = Self {
        local_max: 1_024,
        domain_max: 255,
        path_max: 2_048,
        rewritten_max: 1_024,
    };
}

impl Default for AddressLimits {
    fn default() -> Self {
        Self {
            local_max: 64,
            domain_max: 255,
            path_max: 256,
            rewritten_max: 64,
        }
    }
}

impl Domain {
    /// The name; `None` for a literal.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Literal(_) => None,
        }
    }
}

impl ReversePath {
    /// The address, unless this is `<>`.
    #[must_use]
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }
}
