//! Keys that a directory stores, so that credentials can be checked without sending the password.
//!
//! Each is made from the password when that is set, has a text form for a column or attribute, shows nothing in its
//! `Debug` form, is compared in constant time and wiped when dropped. Only SCRAM's are safe if stolen: anyone who reads a
//! CRAM, digest or NT key can log in with it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::{CramSecret, DigestSecret, NtHash, ScramKeys};

/// Longest text form of a key, in octets. Longer text is refused before it is looked at.
pub const KEY_TEXT_MAX: usize = 4_096;

/// A key of any kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StoredKey {
    /// For CRAM-MD5.
    Cram(CramSecret),
    /// For DIGEST-MD5.
    Digest(DigestSecret),
    /// For SCRAM with one hash function.
    Scram(ScramKeys),
    /// For NTLM.
    Nt(NtHash),
}

/// A text that is not a stored key. It does not say what the text was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a stored key for {kind}: {what}")]
pub struct KeyError {
    /// What key was expected.
    pub(crate) kind: &'static str,
    /// What is wrong with it.
    pub(crate) what: &'static str,
}

impl StoredKey {
    /// Reads the text form of any kind; recognised by its prefix.
    ///
    /// # Errors
    ///
    /// [`KeyError`] for an unknown prefix, or a malformed rest.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        if text.starts_with("SCRAM-") {
            text.parse().map(Self::Scram)
        } else if text.starts_with(crate::digest::SECRET_PREFIX) {
            text.parse().map(Self::Digest)
        } else if text.starts_with(crate::cram::SECRET_PREFIX) {
            text.parse().map(Self::Cram)
        } else if text.starts_with(crate::ntlm::SECRET_PREFIX) {
            text.parse().map(Self::Nt)
        } else {
            Err(KeyError {
                kind: "any mechanism",
                what: "unknown prefix",
            })
        }
    }

    /// The text form, wiped when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        match self {
            Self::Cram(key) => key.to_text(),
            Self::Digest(key) => key.to_text(),
            Self::Scram(key) => key.to_text(),
            Self::Nt(key) => key.to_text(),
        }
    }
}

/// Shows the type's name and that the content is hidden.
pub(crate) fn redacted(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{name}([redacted])")
}

/// Writes octets in lower-case hexadecimal.
pub(crate) fn hex(octets: &[u8]) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Zeroizing::new(String::with_capacity(octets.len() * 2));
    for octet in octets {
        text.push(char::from(DIGITS[usize::from(octet >> 4)]));
        text.push(char::from(DIGITS[usize::from(octet & 15)]));
    }
    text
}

/// Reads exactly `N` octets of hexadecimal in any case.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    if text.len() != 2 * N {
        return None;
    }
    let mut octets = Zeroizing::new([0; N]);
    for (octet, digits) in octets.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let high = char::from(digits[0]).to_digit(16)?;
        let low = char::from(digits[1]).to_digit(16)?;
        *octet = u8::try_from(high << 4 | low).ok()?;
    }
    Some(octets)
}

/// Reads strict base64 into memory that is wiped.
pub(crate) fn unbase64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    STANDARD.decode(text).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScramHash;
    use proptest::prelude::*;

    fn one_of_each() -> Vec<StoredKey> {
        let mut keys = vec![
            StoredKey::Cram(CramSecret::derive("pencil")),
            StoredKey::Digest(DigestSecret::derive("chris", "elwood.innosoft.com", "secret")),
            StoredKey::Nt(NtHash::derive("Password")),
        ];
        for hash in ScramHash::ALL {
            keys.push(StoredKey::Scram(
                ScramKeys::derive(hash, "pencil", b"0123456789abcdef", 4096).unwrap(),
            ));
        }
        keys
    }

    #[test]
    fn each_kind_reads_its_own_text_and_shows_nothing() {
        for key in one_of_each() {
            let text = key.to_text();
            assert!(text.len() <= KEY_TEXT_MAX);
            assert_eq!(StoredKey::from_text(&text).as_ref(), Ok(&key));
            let shown = format!("{key:?}");
            assert!(shown.contains("[redacted]"), "{shown}");
            for part in text.split(['$', ':']).filter(|part| part.len() > 30) {
                assert!(!shown.contains(part), "{shown}");
            }
            // Truncated anywhere, it is refused or becomes another key, never the same one.
            for end in 0..text.len() {
                if text.is_char_boundary(end) {
                    assert_ne!(StoredKey::from_text(&text[..end]).as_ref(), Ok(&key));
                }
            }
        }
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(hex(&[0x00, 0x9f, 0xff]).as_str(), "009fff");
        assert_eq!(unhex::<2>("9FfF").as_deref(), Some(&[0x9f, 0xff]));
        assert_eq!(unhex::<2>("9fff0"), None, "too long");
        assert_eq!(unhex::<2>("9fg0"), None, "no digit");
        assert_eq!(unhex::<2>("9é0"), None, "not ASCII, though as many octets");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(SCRAM-SHA-256\\$|NT\\$|CRAM-MD5\\$|DIGEST-MD5\\$|)\\PC{0,80}") {
            if let Ok(key) = StoredKey::from_text(&text) {
                prop_assert_eq!(StoredKey::from_text(&key.to_text()), Ok(key));
            }
        }
    }
}
