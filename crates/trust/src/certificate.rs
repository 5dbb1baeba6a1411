//! Certificates: from file to DER.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::TrustError;
use crate::file::read_bounded;

/// Largest PEM file that is read, in octets. A bundle of all public authorities has about 250,000.
pub const PEM_FILE_MAX: u64 = 4 << 20;

/// Reads all certificates of a PEM file; at least one. Text around them does not matter, nor does the byte order mark that
/// Windows editors put in front.
///
/// # Errors
///
/// [`TrustError`], naming the file.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let bad = |reason: String| TrustError::BadCertificate {
        path: path.to_owned(),
        reason,
    };
    let text = read_bounded(path, PEM_FILE_MAX)?;
    let certificates = CertificateDer::pem_slice_iter(without_mark(&text))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(error.to_string()))?;
    if certificates.is_empty() {
        return Err(TrustError::NoCertificate {
            path: path.to_owned(),
        });
    }
    for der in &certificates {
        parse(der).map_err(|reason| bad(reason.to_owned()))?;
    }
    Ok(certificates)
}

/// Takes a certificate apart.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse(der: &[u8]) -> Result<X509Certificate<'_>, &'static str> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("octets after the certificate"),
        Err(_) => Err("malformed certificate"),
    }
}

/// A PEM file's text without the UTF-8 byte order mark.
#[must_use]
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}
