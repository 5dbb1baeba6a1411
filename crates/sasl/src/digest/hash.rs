//! The hash function of DIGEST-MD5.

use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

/// Sixteen octets that are wiped.
pub(super) type Hash = Zeroizing<[u8; 16]>;

/// MD5 of concatenated parts.
pub(super) fn md5(parts: &[&[u8]]) -> Hash {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    Zeroizing::new(hash.finalize().into())
}
