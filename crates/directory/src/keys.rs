//! Keys for mechanisms that never show the password: the kinds, and the result of a look-up.

use postern_sasl::{CramSecret, DigestSecret, Needs, NtHash, PrepError, ScramHash, ScramKeys, StoredKey};
use secrecy::{ExposeSecret, SecretString};

/// Octets of a SCRAM salt.
const SALT_LEN: usize = 16;

/// What a key is for.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub enum KeyKind {
    /// CRAM-MD5.
    Cram,
    /// DIGEST-MD5 for one realm.
    Digest {
        /// The realm that the key is bound to.
        realm: String,
    },
    /// SCRAM with one hash function, with and without channel binding.
    Scram(ScramHash),
    /// NTLM.
    Nt,
}

impl KeyKind {
    /// The kind that a mechanism needs; `None` for one that works without stored keys. `realm` is DIGEST-MD5's.
    #[must_use]
    pub fn needed(needs: Needs, realm: &str) -> Option<Self> {
        match needs {
            Needs::CramSecret => Some(Self::Cram),
            Needs::DigestSecret => Some(Self::Digest {
                realm: realm.to_owned(),
            }),
            Needs::ScramKeys(hash) => Some(Self::Scram(hash)),
            Needs::NtHash => Some(Self::Nt),
            Needs::Password | Needs::Certificate | Needs::Token | Needs::Kerberos => None,
        }
    }

    /// The kind of this key.
    #[must_use]
    pub fn of(key: &StoredKey) -> Self {
        match key {
            StoredKey::Cram(_) => Self::Cram,
            StoredKey::Digest(secret) => Self::Digest {
                realm: secret.realm().to_owned(),
            },
            StoredKey::Scram(keys) => Self::Scram(keys.hash()),
            StoredKey::Nt(_) => Self::Nt,
        }
    }

    /// The name under which it is stored: the mechanism's.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Cram => "CRAM-MD5",
            Self::Digest { .. } => "DIGEST-MD5",
            Self::Scram(ScramHash::Sha1) => "SCRAM-SHA-1",
            Self::Scram(ScramHash::Sha256) => "SCRAM-SHA-256",
            Self::Scram(ScramHash::Sha512) => "SCRAM-SHA-512",
            Self::Nt => "NTLM",
        }
    }

    /// Derives the key from a password. For SCRAM, the time depends on `iterations`.
    ///
    /// # Errors
    ///
    /// SASLprep refuses the password, and so SCRAM cannot be used with it.
    pub(crate) fn derive(
        &self,
        login: &str,
        password: &SecretString,
        iterations: u32,
    ) -> Result<StoredKey, PrepError> {
        let password = password.expose_secret();
        Ok(match self {
            Self::Cram => StoredKey::Cram(CramSecret::derive(password)),
            Self::Digest { realm } => StoredKey::Digest(DigestSecret::derive(login, realm, password)),
            Self::Scram(hash) => {
                let salt: [u8; SALT_LEN] = rand::random();
                StoredKey::Scram(ScramKeys::derive(*hash, password, &salt, iterations)?)
            }
            Self::Nt => StoredKey::Nt(NtHash::derive(password)),
        })
    }
}
