//! Private keys: read from their files, made, and used.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use pkcs8::LineEnding;
use pkcs8::der::pem;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::{Zeroize, Zeroizing};

use crate::Algorithm;

/// A private key. Its memory is the cryptographic library's, which wipes it.
pub struct SigningKey {
    pair: Pair,
    /// As in the key's record.
    public: Vec<u8>,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Sizes of RSA keys that are made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RsaBits {
    /// Accepted by every verifier (RFC 8301 section 3.2), and fits in a DNS answer over UDP.
    #[default]
    Rsa2048,
    /// Larger than some verifiers accept.
    Rsa3072,
    /// Larger than some verifiers accept; its record needs DNS over TCP.
    Rsa4096,
}

/// Why a file contains no usable signing key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// Nothing in PEM form that is a private key.
    #[error(
        "no private key in it; a PEM file with \"BEGIN PRIVATE KEY\" or \"BEGIN RSA PRIVATE KEY\" is expected"
    )]
    NoKey,
    /// The key is encrypted.
    #[error("the private key in it is encrypted; a server needs one without a passphrase")]
    Encrypted,
    /// Neither RSA nor Ed25519.
    #[error("the private key in it is neither RSA nor Ed25519")]
    UnknownType,
    /// An RSA key that is too short, too long, or broken.
    #[error("the RSA key in it is not one of 2048 to 8192 bits; RFC 8301 forbids shorter ones")]
    BadRsa,
}

/// The cryptographic library failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the cryptographic library failed")]
pub struct CryptoFailed;

impl SigningKey {
    /// Reads a key from a PEM file: PKCS #8, or PKCS #1 for RSA. The algorithm is that of the key.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let is_encrypted = |marker: &[u8]| pem.windows(marker.len()).any(|part| part == marker);
        if is_encrypted(b"BEGIN ENCRYPTED PRIVATE KEY") || is_encrypted(b"Proc-Type: 4,ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        let mut der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::NoKey)?;
        let key = Self::from_der(&der);
        der.zeroize();
        key
    }

    fn from_der(der: &PrivateKeyDer<'_>) -> Result<Self, KeyError> {
        match der {
            PrivateKeyDer::Pkcs1(der) => {
                let pair = RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(|_| KeyError::BadRsa)?;
                Self::rsa(pair)
            }
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
                    return Ok(Self::ed25519(pair));
                }
                match RsaKeyPair::from_pkcs8(der) {
                    Ok(pair) => Self::rsa(pair),
                    Err(_) if is_rsa(der) => Err(KeyError::BadRsa),
                    Err(_) => Err(KeyError::UnknownType),
                }
            }
            _ => Err(KeyError::UnknownType),
        }
    }

    fn rsa(pair: RsaKeyPair) -> Result<Self, KeyError> {
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyError::BadRsa)?;
        Ok(Self {
            public: public.as_ref().to_vec(),
            pair: Pair::Rsa(pair),
        })
    }

    fn ed25519(pair: Ed25519KeyPair) -> Self {
        Self {
            public: pair.public_key().as_ref().to_vec(),
            pair: Pair::Ed25519(pair),
        }
    }

    /// Generates a key with the system's random numbers. Returns it, and its file in PEM form (PKCS #8 without encryption). An
    /// RSA key takes a good part of a second.
    ///
    /// # Errors
    ///
    /// [`CryptoFailed`], if there are no random numbers.
    pub fn generate(algorithm: Algorithm, bits: RsaBits) -> Result<(Self, Zeroizing<String>), CryptoFailed> {
        let (key, der): (_, Pkcs8V1Der<'static>) = match algorithm {
            Algorithm::RsaSha256 => {
                let size = match bits {
                    RsaBits::Rsa2048 => KeySize::Rsa2048,
                    RsaBits::Rsa3072 => KeySize::Rsa3072,
                    RsaBits::Rsa4096 => KeySize::Rsa4096,
                };
                let pair = RsaKeyPair::generate(size).map_err(|_| CryptoFailed)?;
                let der = pair.as_der().map_err(|_| CryptoFailed)?;
                (Self::rsa(pair).map_err(|_| CryptoFailed)?, der)
            }
            Algorithm::Ed25519Sha256 => {
                let pair = Ed25519KeyPair::generate().map_err(|_| CryptoFailed)?;
                let der = pair.as_der().map_err(|_| CryptoFailed)?;
                (Self::ed25519(pair), der)
            }
        };
        let pem =
            pem::encode_string("PRIVATE KEY", LineEnding::LF, der.as_ref()).map_err(|_| CryptoFailed)?;
        Ok((key, Zeroizing::new(pem)))
    }

    /// Its algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Rsa(_) => Algorithm::RsaSha256,
            Pair::Ed25519(_) => Algorithm::Ed25519Sha256,
        }
    }

    /// How long it is, in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_modulus_len() * 8,
            Pair::Ed25519(_) => 256,
        }
    }

    /// Its public half, as in the tag `p=` of a record: for RSA the SubjectPublicKeyInfo in DER, for Ed25519 its 32 octets (RFC
    /// 8463 section 4.2).
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Signs octets: the fields in canonical form (RFC 6376 section 3.7, RFC 8463 section 3). With RSA this takes about a
    /// millisecond of CPU time, too long for a thread that others wait for.
    ///
    /// # Errors
    ///
    /// [`CryptoFailed`].
    pub fn sign(&self, data: &[u8]) -> Result<Vec<u8>, CryptoFailed> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), data, &mut signature)
                    .map_err(|_| CryptoFailed)?;
                Ok(signature)
            }
            Pair::Ed25519(pair) => {
                let hash = digest(&SHA256, data);
                let signature = pair.try_sign(hash.as_ref()).map_err(|_| CryptoFailed)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm())
            .field("bits", &self.bits())
            .finish_non_exhaustive()
    }
}

/// Whether a PKCS #8 document says that its key is RSA (OID 1.2.840.113549.1.1.1).
fn is_rsa(der: &[u8]) -> bool {
    const OID: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    der.windows(OID.len()).take(40).any(|part| part == OID)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_key_is_read_back_from_its_file_and_its_signature_holds() {
        for algorithm in Algorithm::ALL {
            let (key, pem) = SigningKey::generate(algorithm, RsaBits::default()).unwrap();
            let read = SigningKey::from_pem(pem.as_bytes()).unwrap();
            assert_eq!(read.algorithm(), algorithm);
            assert_eq!(read.public(), key.public(), "{algorithm}");
            let signature = read.sign(b"data").unwrap();
            let holds = |data: &[u8]| match algorithm {
                Algorithm::RsaSha256 => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public())
                    .verify(data, &signature)
                    .is_ok(),
                Algorithm::Ed25519Sha256 => UnparsedPublicKey::new(&ED25519, key.public())
                    .verify(digest(&SHA256, data).as_ref(), &signature)
                    .is_ok(),
            };
            assert!(holds(b"data"), "{algorithm}");
            assert!(!holds(b"other data"), "{algorithm}");
            assert!(!format!("{key:?}").contains("PRIVATE"), "{key:?}");
        }
    }

    #[test]
    fn what_holds_no_key() {
        let pem = |label: &str, octets: &[u8]| pem::encode_string(label, LineEnding::LF, octets).unwrap();
        // Made with openssl, shortened: a key of 1024 bits, and an elliptic-curve one, which DKIM does not support.
        let rsa = [
            &[
                0x30, 0x20, 0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
                0x01, 0x01, 0x01,
            ][..],
            &[0; 16],
        ]
        .concat();
        #[rustfmt::skip]
        let cases = [
            ("nothing",                 String::new(),                               KeyError::NoKey),
            ("no PEM",                  "secret\n".to_owned(),                       KeyError::NoKey),
            ("a certificate",           pem("CERTIFICATE", b"x"),                    KeyError::NoKey),
            ("a public key",            pem("PUBLIC KEY", b"x"),                     KeyError::NoKey),
            ("encrypted",               pem("ENCRYPTED PRIVATE KEY", b"x"),          KeyError::Encrypted),
            ("octets that say nothing", pem("PRIVATE KEY", &[0; 40]),                KeyError::UnknownType),
            ("an elliptic curve",       pem("EC PRIVATE KEY", &[0; 40]),             KeyError::UnknownType),
            ("RSA, but broken",         pem("PRIVATE KEY", &rsa),                    KeyError::BadRsa),
            ("PKCS #1, but broken",     pem("RSA PRIVATE KEY", &[0; 40]),            KeyError::BadRsa),
        ];
        for (shows, text, want) in cases {
            assert_eq!(SigningKey::from_pem(text.as_bytes()).err(), Some(want), "{shows}");
        }
    }
}
