//! Mail addresses as the envelope uses them (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

use std::fmt;
use std::net::IpAddr;

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
    /// `<>`: a report, to which nobody may answer with another report.
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
        /// Whether a source route (`@a,@b:`) stood before it. It is dropped, but relaying looks at it.
        source_route: bool,
    },
}

/// How to read an address.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParseOptions<'a> {
    /// Whether octets above 127 are allowed (`SMTPUTF8` was given).
    pub utf8: bool,
    /// The domain given to an address without one (RFC 6409 section 8.1); without it such an address is an error.
    pub default_domain: Option<&'a Domain>,
}

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Nothing where something is needed.
    #[error("empty address")]
    Empty,
    /// A quoted string that does not end.
    #[error("unbalanced '\"'")]
    UnbalancedQuote,
    /// `<` without `>` or the reverse.
    #[error("unbalanced angle bracket")]
    UnbalancedAngle,
    /// A local part without `@` where no default domain applies.
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
    /// The domain is no domain.
    #[error("malformed domain")]
    BadDomain,
    /// An octet above 127 without `SMTPUTF8`.
    #[error("internationalised address needs SMTPUTF8")]
    NeedsUtf8,
}

impl Mailbox {
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
