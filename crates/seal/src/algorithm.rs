//! The algorithms of signatures.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a message is signed (RFC 6376 section 3.3, updated by RFC 8301 and RFC 8463). SHA-1 is not supported.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSA with SHA-256, which every verifier knows.
    #[serde(rename = "rsa")]
    RsaSha256,
    /// Ed25519 with SHA-256 (RFC 8463): short records and signatures; not every verifier knows it yet.
    #[serde(rename = "ed25519")]
    Ed25519Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::RsaSha256, Self::Ed25519Sha256];

    /// The tag `a=` of a signature.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        }
    }

    /// The tag `k=` of a key record.
    #[must_use]
    pub const fn key_type(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa",
            Self::Ed25519Sha256 => "ed25519",
        }
    }

    /// The algorithm of keys of this type.
    #[must_use]
    pub fn of_key_type(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|one| one.key_type().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
