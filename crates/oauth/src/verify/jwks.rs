//! A provider's keys (RFC 7517 section 5).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::{KeyKind, SigningAlgorithm, is_for};
use super::refusal::{Refusal, Shown};

/// Most keys of one provider.
const KEYS_MAX: usize = 100;

/// Most keys that are tried for a token that does not name one.
const TRIES_MAX: usize = 8;

/// Smallest and largest RSA modulus, in octets: 2,048 and 8,192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1_024;

/// Longest name of a key, in octets.
const KID_MAX: usize = 1_024;

/// The keys of a provider that can be used to verify signatures.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<PublicKey>,
}

#[derive(Clone, Debug)]
struct PublicKey {
    kid: Option<String>,
    kind: KeyKind,
    /// The only algorithm that it is for, if it names one.
    only: Option<KeyAlgorithm>,
    key: DecodingKey,
}

/// Why a key set cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeySetError {
    /// It is not a set of keys.
    #[error("not a JWK set: {0}")]
    NoSet(String),
    /// Too many.
    #[error("more than {KEYS_MAX} keys")]
    TooMany,
    /// None can be used.
    #[error(
        "none of its {0} keys is a public key for signatures (RSA from 2048 bits, P-256, P-384 or Ed25519)"
    )]
    NoneUsable(usize),
}

#[derive(Deserialize)]
struct Written {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a set. Keys for other uses, of unknown kinds or too weak are skipped (RFC 7517 section 5).
    ///
    /// # Errors
    ///
    /// See [`KeySetError`].
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        let written: Written =
            serde_json::from_slice(json).map_err(|error| KeySetError::NoSet(error.to_string()))?;
        let count = written.keys.len();
        if count > KEYS_MAX {
            return Err(KeySetError::TooMany);
        }
        let keys: Vec<PublicKey> = written.keys.into_iter().filter_map(PublicKey::read).collect();
        if keys.is_empty() {
            return Err(KeySetError::NoneUsable(count));
        }
        Ok(Self { keys })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never: a set without keys cannot be made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that may have made a signature: those with this name, or all if the token names none or the provider
    /// names none of its keys; only those for the algorithm.
    pub(super) fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: SigningAlgorithm,
    ) -> Result<impl Iterator<Item = &DecodingKey>, Refusal> {
        let nameless = self.keys.iter().all(|key| key.kid.is_none());
        let meant: Vec<&PublicKey> = match kid {
            Some(kid) if !nameless => self
                .keys
                .iter()
                .filter(|key| key.kid.as_deref() == Some(kid))
                .collect(),
            _ => self.keys.iter().collect(),
        };
        if meant.is_empty() {
            return Err(Refusal::UnknownKey(Shown::new(kid.unwrap_or("without a name"))));
        }
        let fit: Vec<&PublicKey> = meant.into_iter().filter(|key| key.fits(algorithm)).collect();
        if fit.is_empty() {
            return Err(Refusal::UnfitKey {
                kid: Shown::new(kid.unwrap_or("without a name")),
                algorithm: algorithm.name(),
            });
        }
        Ok(fit.into_iter().take(TRIES_MAX).map(|key| &key.key))
    }

    /// Names and kinds, for display.
    #[must_use]
    pub fn describe(&self) -> String {
        let one = |key: &PublicKey| {
            format!(
                "{} ({})",
                Shown::new(key.kid.as_deref().unwrap_or("")),
                key.kind.name()
            )
        };
        self.keys.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

impl PublicKey {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let common = &jwk.common;
        let signs = match (&common.public_key_use, &common.key_operations) {
            (Some(usage), _) => *usage == PublicKeyUse::Signature,
            (None, Some(operations)) => operations.contains(&KeyOperations::Verify),
            (None, None) => true,
        };
        if !signs || common.key_id.as_ref().is_some_and(|kid| kid.len() > KID_MAX) {
            return None;
        }
        let size = |part: &str| URL_SAFE_NO_PAD.decode(part).map(|octets| octets.len()).ok();
        let kind = match &jwk.algorithm {
            AlgorithmParameters::RSA(rsa) => MODULUS.contains(&size(&rsa.n)?).then_some(KeyKind::Rsa)?,
            AlgorithmParameters::EllipticCurve(point) => {
                let kind = KeyKind::of_curve(&point.curve)?;
                let length = match kind {
                    KeyKind::P256 => 32,
                    KeyKind::P384 => 48,
                    KeyKind::Rsa | KeyKind::Ed25519 => return None,
                };
                (size(&point.x)? == length && size(&point.y)? == length).then_some(kind)?
            }
            AlgorithmParameters::OctetKeyPair(pair) => {
                let kind = KeyKind::of_curve(&pair.curve)?;
                (kind == KeyKind::Ed25519 && size(&pair.x)? == 32).then_some(kind)?
            }
            // A symmetric key: anyone who can read it can sign.
            _ => return None,
        };
        Some(Self {
            kid: jwk.common.key_id.clone(),
            kind,
            only: jwk.common.key_algorithm,
            key: DecodingKey::from_jwk(&jwk).ok()?,
        })
    }

    fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        self.kind == algorithm.key_kind() && self.only.is_none_or(|only| is_for(only, algorithm))
    }
}
