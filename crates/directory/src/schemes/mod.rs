//! Stored passwords in the schemes that other programs write: LDAP's and Dovecot's `{SCHEME}` prefixes and the `$id$`
//! strings of crypt(3).
//!
//! A stored password is first parsed, with all its parameters checked against limits, before anything is computed: someone who
//! can write to the database must not be able to stop the relay with one row. Comparison takes constant time.

mod common;
mod crypt;
mod derived;
mod digest;
mod error;
mod md5_crypt;
mod prefix;
#[cfg(test)]
mod tests;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

pub use error::SchemeError;

use common::same;
use crypt::Crypt;
use derived::Derived;
use digest::Salted;

/// Longest stored password, in octets.
const STORED_MAX: usize = 1_024;

/// Which stored passwords are accepted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SchemeRules {
    /// Whether cleartext passwords are accepted, `{PLAIN}` and its synonyms. Default false.
    pub allow_plain: bool,
    /// The scheme of a stored password without a prefix, such as `PLAIN-MD5`. Default: only the `$id$` strings of crypt(3) need
    /// no name.
    pub default_scheme: Option<String>,
}

/// A stored password whose form and cost have been checked.
pub struct Stored(Kind);

enum Kind {
    Plain(Zeroizing<String>),
    Salted(Salted),
    Derived(Derived),
    Crypt(Crypt),
}

impl Stored {
    /// Reads a stored password; computes nothing.
    ///
    /// # Errors
    ///
    /// See [`SchemeError`].
    pub fn parse(text: &str, rules: &SchemeRules) -> Result<Self, SchemeError> {
        // Programs leave line ends after it, and fixed-width columns are padded with blanks. After a cleartext password, blanks
        // belong to it.
        let text = text.trim_end_matches(['\r', '\n']);
        let hash = text.trim_ascii_end();
        if hash.len() > STORED_MAX {
            return Err(SchemeError::Damaged("longer than 1,024 octets"));
        }
        match prefix::split(text)? {
            Some((name, rest)) => Self::of_scheme(&name, rest, rules),
            None if hash.starts_with('$') => match Derived::parse_crypt(hash)? {
                Some(derived) => Ok(Self(Kind::Derived(derived))),
                None => Crypt::parse(hash).map(Self::crypt),
            },
            // As PostgreSQL stores them in pg_authid.
            None if hash.starts_with("SCRAM-SHA-256$") => {
                Self::of_scheme("SCRAM-SHA-256", &hash["SCRAM-SHA-256$".len()..], rules)
            }
            None => match &rules.default_scheme {
                Some(name) => Self::of_scheme(&name.to_ascii_uppercase(), text, rules),
                None => Err(SchemeError::Unnamed),
            },
        }
    }

    /// Whether there is a scheme of this name, as in [`SchemeRules::default_scheme`].
    #[must_use]
    pub fn knows(name: &str) -> bool {
        let rules = SchemeRules {
            allow_plain: true,
            default_scheme: None,
        };
        !matches!(
            Self::of_scheme(&name.to_ascii_uppercase(), "", &rules),
            Err(SchemeError::Unknown(_))
        )
    }

    fn of_scheme(name: &str, rest: &str, rules: &SchemeRules) -> Result<Self, SchemeError> {
        if matches!(name, "PLAIN" | "CLEAR" | "CLEARTEXT") {
            return if rules.allow_plain {
                Ok(Self(Kind::Plain(Zeroizing::new(rest.to_owned()))))
            } else {
                Err(SchemeError::Plain)
            };
        }
        let rest = rest.trim_ascii_end();
        if let Some(salted) = Salted::parse(name, rest)? {
            return Ok(Self(Kind::Salted(salted)));
        }
        if let Some(derived) = Derived::parse(name, rest)? {
            return Ok(Self(Kind::Derived(derived)));
        }
        match name {
            "CRYPT" | "BLF-CRYPT" | "MD5-CRYPT" | "SHA256-CRYPT" | "SHA512-CRYPT" | "ARGON2" | "ARGON2I"
            | "ARGON2ID" => Crypt::parse(rest).map(Self::crypt),
            // Dovecot's name for the crypt(3) form.
            "MD5" if rest.starts_with('$') => Crypt::parse(rest).map(Self::crypt),
            _ => Err(SchemeError::Unknown(format!("{{{name}}}"))),
        }
    }

    fn crypt(crypt: Crypt) -> Self {
        Self(Kind::Crypt(crypt))
    }

    /// The name of the scheme, for people.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match &self.0 {
            Kind::Plain(_) => "PLAIN",
            Kind::Salted(salted) => salted.scheme(),
            Kind::Derived(derived) => derived.scheme(),
            Kind::Crypt(crypt) => crypt.scheme(),
        }
    }

    /// The password itself, if it is stored in cleartext.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        match &self.0 {
            Kind::Plain(text) => Some(text),
            _ => None,
        }
    }

    /// Whether this is the password. Takes up to about a second of processor time and 256 MiB at the limits.
    ///
    /// # Errors
    ///
    /// [`SchemeError::Damaged`] for damage that shows only during computation.
    pub fn verify(&self, password: &SecretString) -> Result<bool, SchemeError> {
        let password = password.expose_secret();
        match &self.0 {
            Kind::Plain(text) => Ok(same(text.as_bytes(), password.as_bytes())),
            Kind::Salted(salted) => Ok(salted.verify(password.as_bytes())),
            Kind::Derived(derived) => Ok(derived.verify(password)),
            Kind::Crypt(crypt) => crypt.verify(password.as_bytes()),
        }
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Stored").field(&self.scheme()).finish()
    }
}
