//! TLS towards directory servers: always verified.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// A configuration that takes only certificates which lead up to those in `ca_file`, or to those the system trusts.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots(ca_file)?);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The certificates in `ca_file`, or those the system trusts. Each can be used, and there is at least one.
pub(crate) fn roots(ca_file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    match ca_file {
        Some(path) => from_file(path),
        None => from_system(),
    }
}

fn from_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable =
        |error: &dyn std::fmt::Display| format!("cannot read certificates from {}: {error}", path.display());
    let mut roots = Vec::new();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|error| unreadable(&error))?;
        roots.push(certificate);
    }
    if roots.is_empty() {
        return Err(unreadable(&"no CERTIFICATE block in it"));
    }
    Ok(roots)
}

fn from_system() -> Result<Vec<CertificateDer<'static>>, String> {
    let mut roots = rustls_native_certs::load_native_certs().certs;
    roots.retain(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
    if roots.is_empty() {
        return Err(
            "the system trusts no certificate authority: install ca-certificates, or name a ca_file".into(),
        );
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(
            client_config(Some(&path)).unwrap_err().contains("cannot read"),
            "missing"
        );
        std::fs::write(&path, "nothing\n").unwrap();
        assert!(
            client_config(Some(&path)).unwrap_err().contains("no CERTIFICATE"),
            "empty"
        );
        std::fs::write(
            &path,
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        assert!(client_config(Some(&path)).is_err(), "no certificate inside");
    }
}
