//! Why a token is not accepted. The texts are only for the log, never for clients.

use std::fmt;

/// Why a token is not accepted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It is not a token.
    #[error("the token cannot be read: {0}")]
    Malformed(&'static str),
    /// It is encrypted (RFC 7516): only its provider can read it.
    #[error("the token is encrypted, and only its audience can read it")]
    Encrypted,
    /// No provider is configured that can check a token of this form.
    #[error("the token is {0}, and no configured provider checks such tokens")]
    NoProvider(&'static str),
    /// Several providers could be asked about an opaque token, and the client's user name selects none of them.
    #[error(
        "the token is opaque, and the client's name chooses none of several providers: give each its `domains`, and log in with the whole address"
    )]
    WhichProvider,
    /// Its issuer is not configured.
    #[error("no provider is configured for the issuer {0}")]
    UnknownIssuer(Shown),
    /// Signed with an algorithm that is not accepted, or with none.
    #[error("the algorithm {0} is not accepted")]
    Algorithm(Shown),
    /// It has critical parts that are not understood (RFC 7515 section 4.1.11).
    #[error("the header has `crit`: it asks for an extension that is not known here")]
    Critical,
    /// It says that it is something else.
    #[error("its type is {0}, not that of an access token")]
    Type(Shown),
    /// The provider has no key with this name.
    #[error("signed by a key that the provider does not have ({0})")]
    UnknownKey(Shown),
    /// The key does not fit the algorithm.
    #[error("the key {kid} is not for the algorithm {algorithm}")]
    UnfitKey {
        /// The key's name.
        kid: Shown,
        /// The algorithm that the token names.
        algorithm: &'static str,
    },
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// The provider says that it is not valid (any more).
    #[error("the provider says that the token is not active")]
    Inactive,
    /// Issued by somebody else.
    #[error("issued by {0}")]
    Issuer(Shown),
    /// It has expired.
    #[error("expired {0} s ago")]
    Expired(u64),
    /// It has no expiry.
    #[error("no expiry (`exp`)")]
    NoExpiry,
    /// It is not valid yet.
    #[error("not valid before {0} s from now")]
    NotYet(u64),
    /// It was issued in the future.
    #[error("issued {0} s in the future: compare the clocks")]
    IssuedLater(u64),
    /// It is too old.
    #[error("issued {0} s ago, which is too long")]
    TooOld(u64),
    /// It does not say when it was issued, as required.
    #[error("no time of issue (`iat`), and `longest_age` needs one")]
    NoIssueTime,
    /// Meant for another service.
    #[error("meant for {0}, not for this server")]
    Audience(Shown),
    /// Issued to a client that is not listed.
    #[error("issued to the client {0}, which is not listed")]
    Client(Shown),
    /// A scope is missing.
    #[error("the scope {0} is not in it")]
    Scope(String),
    /// Bound to a key that SMTP has no way to prove (RFC 8705 section 3, RFC 9449 section 6).
    #[error("the token is bound to a key of its client (`cnf`), which SMTP cannot check")]
    Bound,
    /// No claim has a login.
    #[error("no login in {0}")]
    NoLogin(String),
    /// The claim's value is not a valid login.
    #[error("the login in {0} is empty, too long or has control characters")]
    BadLogin(String),
    /// The address is not verified.
    #[error("the address {0} is not verified (`email_verified`)")]
    Unverified(Shown),
    /// The provider may not authenticate this login.
    #[error("this provider does not vouch for {0}")]
    Domain(Shown),
}

impl Refusal {
    /// Whether other keys could change the verdict.
    pub(super) fn may_be_a_new_key(&self) -> bool {
        matches!(self, Self::UnknownKey(_))
    }
}

/// A stranger's text, made fit for a log line: short, quoted, without control characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shown(String);

/// Most characters shown.
const SHOWN_MAX: usize = 120;

impl Shown {
    /// Takes a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut shown: String = text
            .chars()
            .take(SHOWN_MAX)
            .map(|c| if c.is_control() { '?' } else { c })
            .collect();
        if text.chars().nth(SHOWN_MAX).is_some() {
            shown.push('…');
        }
        Self(shown)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_write_stays_on_its_line() {
        assert_eq!(Shown::new("a\r\nb").to_string(), "\"a??b\"");
        let long = Shown::new(&"x".repeat(5_000)).to_string();
        assert!(long.chars().count() < 130, "{long}");
    }
}
