//! The key of a signature, as published in DNS (RFC 6376 section 3.6.1, RFC 8463 section 4).

use aws_lc_rs::signature::{ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use pkcs8::ObjectIdentifier;
use pkcs8::der::asn1::UintRef;
use pkcs8::der::{Decode, Reader, SliceReader};
use pkcs8::spki::SubjectPublicKeyInfoRef;

use super::key_fault::KeyFault;
use super::signature::Signature;
use crate::dns::{Dns, NoAnswer};
use crate::{Algorithm, KeyRecord};

/// Fewest bits of an RSA key (RFC 8301 section 3.2).
const RSA_BITS_MIN: usize = 1_024;

/// Most bits of one: what verifying costs grows with them.
const RSA_BITS_MAX: usize = 8_192;

/// The algorithm of an RSA key in a SubjectPublicKeyInfo (RFC 8017 appendix A.1).
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Most records examined for one name.
const RECORDS_MAX: usize = 8;

/// A public key from its record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key {
    algorithm: Algorithm,
    octets: Vec<u8>,
    /// `t=s`: `i=` must have exactly the domain `d=`.
    strict: bool,
    /// `t=y`: the domain is testing DKIM.
    pub testing: bool,
}

impl Key {
    /// Looks up the key of a signature. Of several records, the first valid one counts (RFC 6376 section 3.6.2.2 leaves it
    /// open).
    ///
    /// # Errors
    ///
    /// [`KeyFault`]: there is no usable key.
    pub async fn find(dns: &dyn Dns, signature: &Signature) -> Result<Self, KeyFault> {
        let records = match dns.txt(&signature.key_name()).await {
            Ok(records) => records,
            Err(NoAnswer::Nothing) => return Err(KeyFault::Missing),
            Err(NoAnswer::Temporary(reason)) => return Err(KeyFault::Unavailable(reason)),
        };
        let mut fault = KeyFault::Missing;
        for record in records.iter().take(RECORDS_MAX) {
            match Self::parse(record, signature) {
                Ok(key) => return Ok(key),
                Err(other) => fault = other,
            }
        }
        Err(fault)
    }

    /// Parses a record for a signature.
    ///
    /// # Errors
    ///
    /// [`KeyFault`].
    pub fn parse(record: &[u8], signature: &Signature) -> Result<Self, KeyFault> {
        let text = std::str::from_utf8(record).map_err(|_| KeyFault::Malformed)?;
        let record = KeyRecord::parse(text).map_err(|_| KeyFault::Malformed)?;
        if record.is_revoked() {
            return Err(KeyFault::Revoked);
        }
        if !record.is_for_mail() {
            return Err(KeyFault::Service);
        }
        if !record.takes_sha256() {
            return Err(KeyFault::Hash);
        }
        if record.algorithm() != Some(signature.algorithm) {
            return Err(KeyFault::Kind);
        }
        let key = Self {
            algorithm: signature.algorithm,
            octets: record.public,
            strict: record.strict,
            testing: record.testing,
        };
        key.judge(signature)?;
        Ok(key)
    }

    fn judge(&self, signature: &Signature) -> Result<(), KeyFault> {
        if self.strict && !signature.identity.is_empty() && signature.identity_domain() != signature.domain {
            return Err(KeyFault::Strict);
        }
        match self.algorithm {
            Algorithm::Ed25519Sha256 if self.octets.len() == 32 => Ok(()),
            Algorithm::Ed25519Sha256 => Err(KeyFault::Malformed),
            Algorithm::RsaSha256 => match modulus_bits(&self.octets).ok_or(KeyFault::Malformed)? {
                bits if bits < RSA_BITS_MIN => Err(KeyFault::Weak(bits)),
                bits if bits > RSA_BITS_MAX => Err(KeyFault::Large(bits)),
                _ => Ok(()),
            },
        }
    }

    /// Whether `value` is this key's signature over the hash of `message`, the canonical header.
    #[must_use]
    pub(crate) fn holds(&self, message: &[u8], value: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::RsaSha256 => {
                UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, &self.octets)
                    .verify(message, value)
                    .is_ok()
            }
            Algorithm::Ed25519Sha256 => {
                let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message);
                UnparsedPublicKey::new(&ED25519, &self.octets)
                    .verify(hash.as_ref(), value)
                    .is_ok()
            }
        }
    }
}

/// The size of an RSA key: a SubjectPublicKeyInfo (RFC 5280), or just the RSAPublicKey (RFC 8017 appendix A.1.1), as some
/// publish it.
fn modulus_bits(der: &[u8]) -> Option<usize> {
    let inner = match SubjectPublicKeyInfoRef::from_der(der) {
        Ok(info) if info.algorithm.oid != RSA_ENCRYPTION => return None,
        Ok(info) => info.subject_public_key.as_bytes()?,
        Err(_) => der,
    };
    let mut reader = SliceReader::new(inner).ok()?;
    let modulus = reader.sequence(|key| {
        let modulus = UintRef::decode(key)?;
        UintRef::decode(key)?;
        Ok(modulus)
    });
    // Without leading zeros.
    let octets = reader.finish(modulus.ok()?).ok()?.as_bytes();
    let first = octets.first().filter(|first| **first != 0)?;
    Some(octets.len() * 8 - first.leading_zeros() as usize)
}
