//! Keys that a directory stores, so that credentials can be checked without sending the password.
//!
//! Each is made from the password when that is set, has a text form for a column or attribute, shows nothing in its
//! `Debug` form, is compared in constant time and wiped when dropped. Only SCRAM's are safe if stolen: anyone who reads a
//! CRAM, digest or NT key can log in with it.

use zeroize::Zeroizing;

use crate::key_text::KeyError;
use crate::{CramSecret, DigestSecret, NtHash, ScramKeys};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScramHash;
    use crate::key_text::{KEY_TEXT_MAX, hex, unhex};
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
