//! What a certificate says, for people and for programs.

use crate::tls::certificate;
use jiff::Timestamp;
use postern_trust::TrustError;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use std::path::Path;
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey;

/// What one certificate says.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct CertificateInfo {
    /// The holder, as `openssl x509 -nameopt RFC2253` prints it.
    pub subject: String,
    /// The issuer, likewise.
    pub issuer: String,
    /// Host names, addresses and mail addresses it is for.
    pub names: Vec<String>,
    /// When it begins.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
    /// SHA-256 over the DER form, 64 lower-case hexadecimal digits.
    pub fingerprint_sha256: String,
    /// Kind and size of the key, such as `ECDSA P-256` or `RSA 2048`.
    pub key_type: String,
    /// Serial number in hexadecimal, octets joined by colons.
    pub serial: String,
    /// Whether it may issue others.
    pub is_ca: bool,
}

impl CertificateInfo {
    /// Reads all certificates of a PEM file; at least one.
    ///
    /// # Errors
    ///
    /// [`TrustError`], naming the file.
    pub fn load(path: &Path) -> Result<Vec<Self>, TrustError> {
        let bad = |reason: &str| TrustError::BadCertificate {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        postern_trust::read_certificates(path)?
            .iter()
            .map(|der| Self::from_der(der).map_err(bad))
            .collect()
    }

    /// Reads all certificates in PEM text. Anything that is not a certificate is skipped.
    #[must_use]
    pub fn from_pem(text: &[u8]) -> Vec<Self> {
        CertificateDer::pem_slice_iter(text)
            .flatten()
            .filter_map(|der| Self::from_der(&der).ok())
            .collect()
    }

    /// Reads a certificate in DER form.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in a few words.
    pub fn from_der(der: &[u8]) -> Result<Self, &'static str> {
        let parsed = certificate::parse(der)?;
        let (not_before, not_after) = certificate::validity(&parsed);
        let names = certificate::names(&parsed);
        let addresses = names.addresses.iter().map(ToString::to_string);
        Ok(Self {
            subject: certificate::subject(&parsed),
            issuer: certificate::issuer(&parsed),
            names: names
                .hosts
                .into_iter()
                .chain(addresses)
                .chain(names.emails)
                .collect(),
            not_before,
            not_after,
            fingerprint_sha256: certificate::fingerprint(der),
            key_type: key_type(&parsed),
            serial: parsed.raw_serial_as_string(),
            is_ca: parsed.is_ca(),
        })
    }
}

fn key_type(certificate: &X509Certificate<'_>) -> String {
    let key = certificate.public_key();
    let algorithm = key.algorithm.algorithm.to_id_string();
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => format!("RSA {}", rsa.key_size()),
        Ok(PublicKey::EC(_)) => {
            let curve = key
                .algorithm
                .parameters
                .as_ref()
                .and_then(|parameters| parameters.as_oid().ok());
            match curve.map(|curve| curve.to_id_string()).as_deref() {
                Some("1.2.840.10045.3.1.7") => "ECDSA P-256".to_owned(),
                Some("1.3.132.0.34") => "ECDSA P-384".to_owned(),
                Some("1.3.132.0.35") => "ECDSA P-521".to_owned(),
                Some(other) => format!("ECDSA on curve {other}"),
                None => "ECDSA".to_owned(),
            }
        }
        _ if algorithm == "1.3.101.112" => "Ed25519".to_owned(),
        _ => format!("algorithm {algorithm}"),
    }
}
