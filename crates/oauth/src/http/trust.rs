//! Which authorities vouch for a provider. There is no way to do without.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// No authority can vouch for a provider.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be used.
    #[error("cannot read certificates from {path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The system has none.
    #[error("the system trusts no certificate authority: install ca-certificates, or name a ca_file")]
    System,
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A configuration that takes only certificates which lead up to those in `ca_file`, or to those the system trusts.
pub(super) fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, TrustError> {
    let roots = match ca_file {
        Some(path) => from_file(path).map_err(|reason| TrustError::File {
            path: path.to_owned(),
            reason,
        })?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut store = RootCertStore::empty();
    if store.add_parsable_certificates(roots).0 == 0 {
        return Err(TrustError::System);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store)
        .with_no_client_auth())
}

fn from_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut roots = Vec::new();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|error| error.to_string())?;
        roots.push(certificate);
    }
    if roots.is_empty() {
        return Err("no CERTIFICATE block in it".into());
    }
    Ok(roots)
}
