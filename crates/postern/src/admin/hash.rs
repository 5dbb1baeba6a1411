//! Secrets that Postern issues: 256 random bits, of which it only stores a hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// A secret of 256 bits in 43 characters that need no quoting anywhere.
pub(crate) fn secret(octets: [u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// The hash by which a secret is stored and found. The secret cannot be computed from it, and the time of a look-up by it
/// reveals nothing about the secret. A plain hash is sufficient, since 256 random bits cannot be guessed.
pub(crate) fn hashed(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_kept_as_its_hash() {
        let one = secret([7; 32]);
        assert_eq!(one.len(), 43);
        assert_eq!(hashed("abc"), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
        assert_ne!(hashed(&one), one);
    }
}
