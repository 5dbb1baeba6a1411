//! What a server stores for a CRAM-MD5 account.

use std::fmt;
use std::str::FromStr;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::md5_state::{self, BLOCK, State};
use crate::key_text::{KeyError, hex, redacted, unhex};

/// How the text form starts.
pub(crate) const SECRET_PREFIX: &str = "CRAM-MD5$";

/// The two intermediate hashes of HMAC-MD5 with the password as key (RFC 2195 section 3).
///
/// Reads as `CRAM-MD5$` and 64 hexadecimal digits, the same as after Dovecot's `{CRAM-MD5}`.
#[derive(Clone)]
pub struct CramSecret {
    inner: State,
    outer: State,
}

impl CramSecret {
    /// Derives the secret from a password.
    #[must_use]
    pub fn derive(password: &str) -> Self {
        let mut key = Zeroizing::new([0; BLOCK]);
        if password.len() > BLOCK {
            key[..16].copy_from_slice(&Zeroizing::new(<[u8; 16]>::from(Md5::digest(password)))[..]);
        } else {
            key[..password.len()].copy_from_slice(password.as_bytes());
        }
        let padded = |pad| {
            let mut block = key.clone();
            block.iter_mut().for_each(|octet| *octet ^= pad);
            md5_state::after_block(&block)
        };
        Self {
            inner: padded(0x36),
            outer: padded(0x5c),
        }
    }

    /// A secret to compute with for nonexistent accounts. The result is ignored.
    pub(crate) fn decoy() -> Self {
        Self::derive("")
    }

    /// The HMAC of a challenge.
    pub(crate) fn hmac(&self, challenge: &[u8]) -> Zeroizing<[u8; 16]> {
        let inner = md5_state::finish(&self.inner, challenge);
        md5_state::finish(&self.outer, inner.as_slice())
    }

    fn octets(&self) -> Zeroizing<[u8; 32]> {
        let mut octets = Zeroizing::new([0; 32]);
        octets[..16].copy_from_slice(self.outer.as_slice());
        octets[16..].copy_from_slice(self.inner.as_slice());
        octets
    }

    /// The text form, wiped when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let digits = hex(self.octets().as_slice());
        Zeroizing::new(format!("{SECRET_PREFIX}{}", digits.as_str()))
    }
}

impl FromStr for CramSecret {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let kind = "CRAM-MD5";
        let digits = text.strip_prefix(SECRET_PREFIX).ok_or(KeyError {
            kind,
            what: "unknown prefix",
        })?;
        let octets = unhex::<32>(digits).ok_or(KeyError {
            kind,
            what: "not 64 hexadecimal digits",
        })?;
        let state = |octets: &[u8]| {
            let mut state = State::default();
            state.copy_from_slice(octets);
            state
        };
        Ok(Self {
            outer: state(&octets[..16]),
            inner: state(&octets[16..]),
        })
    }
}

impl PartialEq for CramSecret {
    fn eq(&self, other: &Self) -> bool {
        self.octets().as_slice().ct_eq(other.octets().as_slice()).into()
    }
}

impl Eq for CramSecret {}

impl fmt::Debug for CramSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted("CramSecret", f)
    }
}
