//! Recognising that a password has changed, without knowing it.

use std::sync::LazyLock;

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A fingerprint of a stored password: equal for equal ones, within this process only. It reveals nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Mark([u8; 32]);

impl Mark {
    /// A mark made from parts in their order, each with its length.
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        static SECRET: LazyLock<[u8; 32]> = LazyLock::new(rand::random);
        let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(SECRET.as_slice()) else {
            unreachable!("HMAC takes a key of any length");
        };
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        Self(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_have_equal_marks() {
        let of = |parts: &[&str]| Mark::of(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        for other in [["a", "c"].as_slice(), &["ab"], &["a", "b", ""], &["b", "a"], &[]] {
            assert_ne!(of(&["a", "b"]), of(other), "{other:?}");
        }
    }
}
