//! Private keys and passphrases from files.

use super::TlsError;
use super::der;
use pkcs8::der::{SecretDocument, Tag};
use pkcs8::{EncryptedPrivateKeyInfo, pkcs5};
use postern_trust::{PEM_FILE_MAX, secret, without_mark};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::{ExposeSecret, SecretString};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zeroize::Zeroizing;

const ENCRYPTED_BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const ENCRYPTED_END: &str = "-----END ENCRYPTED PRIVATE KEY-----";

/// Reads a private key: PKCS #8 (RFC 5208), PKCS #1 (RFC 8017), SEC 1 (RFC 5915), or encrypted PKCS #8 with
/// PBES2 (RFC 8018).
///
/// # Errors
///
/// [`TlsError`], naming the file and the remedy; including the error that others can read the file.
pub(crate) fn load(
    path: &Path,
    passphrase_file: Option<&Path>,
) -> Result<Zeroizing<PrivateKeyDer<'static>>, TlsError> {
    let text = read_secret(path)?;
    let text = without_mark(&text);
    let passphrase = passphrase_file.map(passphrase).transpose()?;
    from_pem(path, text, passphrase.as_ref())
}

/// Reads the first line of a passphrase file. Its permissions must be those of a key.
///
/// # Errors
///
/// [`TlsError`], naming the file.
pub(crate) fn passphrase(path: &Path) -> Result<SecretString, TlsError> {
    let text = read_secret(path)?;
    let line = without_mark(&text)
        .split(|&octet| octet == b'\n')
        .next()
        .unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(line) if !line.is_empty() => Ok(SecretString::from(line)),
        Ok(_) => Err(TlsError::BadKey {
            path: path.to_owned(),
            reason: "the passphrase is empty".to_owned(),
        }),
        Err(_) => Err(TlsError::BadKey {
            path: path.to_owned(),
            reason: "the passphrase is not UTF-8".to_owned(),
        }),
    }
}

/// Finds the key in the text of a PEM file. `path` is for the errors.
pub(crate) fn from_pem(
    path: &Path,
    text: &[u8],
    passphrase: Option<&SecretString>,
) -> Result<Zeroizing<PrivateKeyDer<'static>>, TlsError> {
    if contains(text, b"Proc-Type: 4,ENCRYPTED") {
        return Err(TlsError::LegacyEncryption {
            path: path.to_owned(),
        });
    }
    if let Some(block) = encrypted_block(text) {
        let passphrase = passphrase.ok_or_else(|| TlsError::PassphraseMissing {
            path: path.to_owned(),
        })?;
        return decrypt(path, block, passphrase);
    }
    PrivateKeyDer::from_pem_slice(text)
        .map(Zeroizing::new)
        .map_err(|error| match error {
            rustls_pki_types::pem::Error::NoItemsFound => TlsError::NoKey {
                path: path.to_owned(),
            },
            error => TlsError::BadKey {
                path: path.to_owned(),
                reason: error.to_string(),
            },
        })
}

fn decrypt(
    path: &Path,
    block: &str,
    passphrase: &SecretString,
) -> Result<Zeroizing<PrivateKeyDer<'static>>, TlsError> {
    let bad = |reason: String| TlsError::BadKey {
        path: path.to_owned(),
        reason,
    };
    let (_, document) = SecretDocument::from_pem(block).map_err(|error| bad(error.to_string()))?;
    if !uses_pbes2(document.as_bytes()) {
        return Err(TlsError::OutdatedEncryption {
            path: path.to_owned(),
        });
    }
    let sealed =
        EncryptedPrivateKeyInfo::try_from(document.as_bytes()).map_err(|error| bad(error.to_string()))?;
    match sealed.decrypt(passphrase.expose_secret()) {
        Ok(key) => Ok(Zeroizing::new(
            PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into(),
        )),
        Err(pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::UnsupportedAlgorithm { .. })) => {
            Err(TlsError::OutdatedEncryption {
                path: path.to_owned(),
            })
        }
        // A wrong passphrase shows as bad padding, or occasionally as valid padding around an invalid key.
        Err(_) => Err(TlsError::PassphraseWrong {
            path: path.to_owned(),
        }),
    }
}

/// Whether an EncryptedPrivateKeyInfo names PBES2 as its method (RFC 8018 appendix A.4).
fn uses_pbes2(sealed: &[u8]) -> bool {
    const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
    der::expect(sealed, Tag::Sequence)
        .and_then(|info| der::expect(info.content, Tag::Sequence))
        .and_then(|method| der::expect(method.content, Tag::ObjectIdentifier))
        .is_some_and(|oid| oid.content == PBES2)
}

fn encrypted_block(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    let begin = text.find(ENCRYPTED_BEGIN)?;
    let end = text.get(begin..)?.find(ENCRYPTED_END)?;
    text.get(begin..begin + end + ENCRYPTED_END.len())
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}

/// Reads a file that is private enough for a secret. The permissions are those of the opened file.
fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let failed = |source| TlsError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !secret::is_private(&metadata) {
        return Err(TlsError::Exposed {
            path: path.to_owned(),
            mode: metadata.mode() & 0o7777,
        });
    }
    // Allocated in full at once, so that growing leaves no copy behind.
    let size = metadata.len().min(PEM_FILE_MAX);
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
    file.take(PEM_FILE_MAX).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}
