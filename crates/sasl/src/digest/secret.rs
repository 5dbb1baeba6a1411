//! What a server stores for a DIGEST-MD5 account.

use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::hash::{Hash, md5};
use crate::key_text::{KEY_TEXT_MAX, KeyError, hex, redacted, unhex};

/// How the text form starts.
pub(crate) const SECRET_PREFIX: &str = "DIGEST-MD5$";

/// `H(user:realm:password)` of one account in one realm (RFC 2831 section 2.1.2.1).
///
/// It is valid only for the exact spelling of the name it was made with. Reads as `DIGEST-MD5$` 32 hexadecimal digits
/// `$realm`; the digits are the same as after Dovecot's `{DIGEST-MD5}` and in Cyrus's `cmusaslsecretDIGEST-MD5`.
#[derive(Clone)]
pub struct DigestSecret {
    realm: String,
    hash: Hash,
}

impl DigestSecret {
    /// Derives the secret from a password. The name is the one with which the client will log in.
    #[must_use]
    pub fn derive(login: &str, realm: &str, password: &str) -> Self {
        let hash = md5(&[
            &narrowed(login),
            b":",
            &narrowed(realm),
            b":",
            &narrowed(password),
        ]);
        Self {
            realm: realm.to_owned(),
            hash,
        }
    }

    /// A secret to compute with for nonexistent accounts. The result is ignored.
    pub(crate) fn decoy() -> Self {
        Self::derive("", "", "")
    }

    /// The realm it was made for.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    pub(super) fn expose(&self) -> &[u8] {
        self.hash.as_slice()
    }

    /// The text form, wiped when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let digits = hex(self.expose());
        Zeroizing::new(format!("{SECRET_PREFIX}{}${}", digits.as_str(), self.realm))
    }
}

/// Text in ISO 8859-1 if it can be represented, otherwise in UTF-8: the rule that makes old and new clients agree (RFC
/// 2831 section 2.1.2.1, under `username-value`).
fn narrowed(text: &str) -> Zeroizing<Vec<u8>> {
    let narrow: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    Zeroizing::new(narrow.unwrap_or_else(|| text.as_bytes().to_vec()))
}

impl FromStr for DigestSecret {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let kind = "DIGEST-MD5";
        let wrong = |what| KeyError { kind, what };
        if text.len() > KEY_TEXT_MAX {
            return Err(wrong("too long"));
        }
        let rest = text
            .strip_prefix(SECRET_PREFIX)
            .ok_or_else(|| wrong("unknown prefix"))?;
        let (digits, realm) = rest.split_once('$').ok_or_else(|| wrong("no realm"))?;
        let hash = unhex(digits).ok_or_else(|| wrong("not 32 hexadecimal digits"))?;
        let realm = realm.to_owned();
        Ok(Self { realm, hash })
    }
}

impl PartialEq for DigestSecret {
    fn eq(&self, other: &Self) -> bool {
        self.realm == other.realm && bool::from(self.expose().ct_eq(other.expose()))
    }
}

impl Eq for DigestSecret {}

impl fmt::Debug for DigestSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted("DigestSecret", f)
    }
}
