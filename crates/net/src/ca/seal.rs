//! Keys and certificates as PEM text (RFC 7468), keys encrypted if wanted (RFC 8018).

use super::error::CaError;
use pkcs8::der::pem::{self, LineEnding};
use pkcs8::pkcs5::pbes2;
use pkcs8::{PrivateKeyInfo, SecretDocument};
use rustls_pki_types::PrivateKeyDer;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// Rounds of PBKDF2 with HMAC-SHA-256; OWASP's figure of 2023. A tenth of a second.
const ROUNDS: u32 = 600_000;

pub(super) fn certificate_pem(der: &[u8]) -> Result<String, CaError> {
    pem::encode_string("CERTIFICATE", LineEnding::LF, der).map_err(crypto)
}

pub(super) fn key_pem(
    key: &PrivateKeyDer<'_>,
    passphrase: Option<&SecretString>,
) -> Result<Zeroizing<String>, CaError> {
    let Some(passphrase) = passphrase else {
        let label = match key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        return pem::encode_string(label, LineEnding::LF, key.secret_der())
            .map(Zeroizing::new)
            .map_err(crypto);
    };
    let mut salt = [0; 16];
    let mut iv = [0; 16];
    for random in [&mut salt, &mut iv] {
        aws_lc_rs::rand::fill(random).map_err(crypto)?;
    }
    let method = pbes2::Parameters::pbkdf2_sha256_aes256cbc(ROUNDS, &salt, &iv).map_err(crypto)?;
    let sealed: SecretDocument = PrivateKeyInfo::try_from(key.secret_der())
        .and_then(|info| info.encrypt_with_params(method, passphrase.expose_secret()))
        .map_err(crypto)?;
    sealed
        .to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)
        .map_err(crypto)
}

fn crypto(error: impl std::fmt::Display) -> CaError {
    CaError::Crypto(error.to_string())
}
