//! Signature algorithms: those with public keys only.

use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{EllipticCurve, KeyAlgorithm};

/// An algorithm with which a provider signs (RFC 7518 section 3.1, RFC 8037 section 3.1).
///
/// Neither `none` nor the HMACs are here: with the first anyone can sign, and with the others anyone who knows the
/// verification key.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

/// What kind of key an algorithm needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyKind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl SigningAlgorithm {
    /// All, the usual ones first.
    pub const ALL: &'static [Self] = &[
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Finds an algorithm by its registered name, case-sensitively. `Ed25519` is the newer name of `EdDSA` (RFC 9864).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL
            .iter()
            .copied()
            .find(|algorithm| algorithm.name() == name)
    }

    pub(super) const fn key_kind(self) -> KeyKind {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => KeyKind::Rsa,
            Self::Es256 => KeyKind::P256,
            Self::Es384 => KeyKind::P384,
            Self::EdDsa => KeyKind::Ed25519,
        }
    }

    pub(super) const fn library(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Rs384 => Algorithm::RS384,
            Self::Rs512 => Algorithm::RS512,
            Self::Ps256 => Algorithm::PS256,
            Self::Ps384 => Algorithm::PS384,
            Self::Ps512 => Algorithm::PS512,
            Self::Es256 => Algorithm::ES256,
            Self::Es384 => Algorithm::ES384,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

impl KeyKind {
    /// The word for the log.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Ed25519 => "Ed25519",
        }
    }

    pub(super) fn of_curve(curve: &EllipticCurve) -> Option<Self> {
        match curve {
            EllipticCurve::P256 => Some(Self::P256),
            EllipticCurve::P384 => Some(Self::P384),
            EllipticCurve::Ed25519 => Some(Self::Ed25519),
            _ => None,
        }
    }
}

/// Whether a key that names this algorithm may be used with the given one: only if they match (RFC 7517 section 4.4).
pub(super) fn is_for(named: KeyAlgorithm, algorithm: SigningAlgorithm) -> bool {
    named == KeyAlgorithm::from(algorithm.library())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for &algorithm in SigningAlgorithm::ALL {
            assert_eq!(SigningAlgorithm::from_name(algorithm.name()), Some(algorithm));
        }
        for (shows, name) in [
            ("no signature", "none"),
            ("the same in other letters", "None"),
            ("a secret key", "HS256"),
            ("case counts", "rs256"),
            ("not built in", "ES512"),
            ("nothing", ""),
        ] {
            assert_eq!(SigningAlgorithm::from_name(name), None, "{shows}");
        }
        assert_eq!(
            SigningAlgorithm::from_name("Ed25519"),
            Some(SigningAlgorithm::EdDsa)
        );
    }
}
