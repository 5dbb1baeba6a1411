//! What a server stores for an NTLM account.

use std::fmt;
use std::str::FromStr;

use md4::{Digest, Md4};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::message::utf16;
use crate::key_text::{KeyError, hex, redacted, unhex};

/// How the text form starts.
pub(crate) const SECRET_PREFIX: &str = "NT$";

/// The NT hash: MD4 of the password in UTF-16 (MS-NLMP section 3.3.1, `NTOWFv1`).
///
/// It can be used to log in just like the password, so it is only stored if NTLM is enabled. Reads as `NT$` and 32
/// hexadecimal digits.
#[derive(Clone)]
pub struct NtHash(Zeroizing<[u8; 16]>);

impl NtHash {
    /// Derives the hash from a password.
    #[must_use]
    pub fn derive(password: &str) -> Self {
        let password = Zeroizing::new(utf16(password));
        Self(Zeroizing::new(Md4::digest(password.as_slice()).into()))
    }

    /// A hash to compute with for nonexistent accounts. The result is ignored.
    pub(crate) fn decoy() -> Self {
        Self(Zeroizing::new([0; 16]))
    }

    pub(super) fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The text form, wiped when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{SECRET_PREFIX}{}", hex(self.expose()).as_str()))
    }
}

impl FromStr for NtHash {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let kind = "NTLM";
        let digits = text.strip_prefix(SECRET_PREFIX).ok_or(KeyError {
            kind,
            what: "unknown prefix",
        })?;
        unhex(digits).map(Self).ok_or(KeyError {
            kind,
            what: "not 32 hexadecimal digits",
        })
    }
}

impl PartialEq for NtHash {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for NtHash {}

impl fmt::Debug for NtHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted("NtHash", f)
    }
}
