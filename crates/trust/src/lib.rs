//! Files of certificates and secrets, and which servers a TLS client trusts: the authorities of the system or those in a file,
//! the same for SMTP, LDAP, SQL and HTTPS.
//!
//! A file of authorities may also hold a server's own self-signed certificate, as `openssl req -x509` makes it: marked as an
//! authority (`CA:TRUE`). That certificate is trusted for its own names and until it expires.

mod certificate;
mod error;
mod file;
mod handshake;
mod listed;
mod provider;
pub mod secret;

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;

use crate::listed::ListedServers;

pub use certificate::{PEM_FILE_MAX, parse, read_certificates, without_mark};
pub use error::TrustError;
pub use file::read_bounded;
pub use handshake::HandshakeSignatures;
pub use provider::provider;

/// Checks that a server's certificate leads up to an authority in `ca_file`, or stands in that file itself; without a file,
/// that it leads up to an authority that the system trusts.
///
/// # Errors
///
/// [`TrustError`].
pub fn verifier(ca_file: Option<&Path>) -> Result<Arc<dyn ServerCertVerifier>, TrustError> {
    let Some(path) = ca_file else {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(system_roots()?);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider()));
        return Ok(verifier
            .build()
            .map_err(|error| TrustError::NoSystemRoots(format!(" ({error})")))?);
    };
    let listed = read_certificates(path)?;
    let roots = store(path, &listed)?;
    let verifier = ListedServers::new(roots, listed).map_err(|error| TrustError::BadCertificate {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Arc::new(verifier))
}

/// A client's whole configuration under that [`verifier`]: TLS 1.2 or 1.3, no client certificate.
///
/// # Errors
///
/// [`TrustError`].
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, TrustError> {
    let verifier = verifier(ca_file)?;
    Ok(ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// The certificates of a file as authorities.
///
/// # Errors
///
/// [`TrustError::BadCertificate`] for one that cannot be an authority.
pub fn store(path: &Path, certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(certificate.clone())
            .map_err(|error| TrustError::BadCertificate {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
    }
    Ok(roots)
}

fn system_roots() -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let mut found = rustls_native_certs::load_native_certs();
    found
        .certs
        .retain(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
    if found.certs.is_empty() {
        let reason = found.errors.first().map(|error| format!(" ({error})"));
        return Err(TrustError::NoSystemRoots(reason.unwrap_or_default()));
    }
    Ok(found.certs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_without_a_usable_certificate_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let told = || client_config(Some(&path)).unwrap_err().to_string();
        assert!(told().contains("cannot read"), "missing: {}", told());
        #[rustfmt::skip]
        let cases = [
            ("nothing\n",                                                          "no certificate",  "no PEM at all"),
            ("",                                                                   "no certificate",  "empty"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",     "bad certificate", "no certificate inside"),
        ];
        for (text, want, shows) in cases {
            fs::write(&path, text).unwrap();
            assert!(told().contains(want), "{shows}: {}", told());
        }
    }
}
