//! Verified servers, where the file of authorities may also hold the server's own self-signed certificate.

use crate::certificate;
use crate::provider::provider;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;

/// Verifies chains as usual. A certificate that the administrator has listed itself is trusted too, for its names and
/// until it expires, although webpki does not accept a CA certificate as a server's.
#[derive(Debug)]
pub(crate) struct ListedServers {
    chains: Arc<WebPkiServerVerifier>,
    listed: Vec<CertificateDer<'static>>,
}

impl ListedServers {
    pub(crate) fn new(
        roots: RootCertStore,
        listed: Vec<CertificateDer<'static>>,
    ) -> Result<Self, rustls::client::VerifierBuilderError> {
        let chains =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider())).build()?;
        Ok(Self { chains, listed })
    }
}

impl ServerCertVerifier for ListedServers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self
            .listed
            .iter()
            .any(|listed| listed.as_ref() == end_entity.as_ref())
        {
            return self.chains.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            );
        }
        let parsed = certificate::parse(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if seconds > parsed.validity().not_after.timestamp() {
            return Err(CertificateError::Expired.into());
        }
        if seconds < parsed.validity().not_before.timestamp() {
            return Err(CertificateError::NotValidYet.into());
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    crate::verify_handshakes_by!(chains);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use rustls_pki_types::pem::PemObject;
    use std::time::Duration;

    /// A self-signed certificate for `mx.test`, marked as an authority like those of `openssl req -x509`; its PEM form.
    fn own() -> String {
        let mut params = CertificateParams::new(["mx.test".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn a_listed_certificate_counts_for_its_names_and_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let (listed, other) = (own(), own());
        std::fs::write(&path, format!("\u{feff}Our server:\n{listed}")).unwrap();
        let verifier = crate::verifier(Some(&path)).unwrap();
        const IN_TIME: u64 = 1_780_000_000;
        #[rustfmt::skip]
        let cases = [
            // what the case shows      certificate  name          seconds        taken
            ("listed",                  &listed,     "mx.test",    IN_TIME,       true),
            ("for another name",        &listed,     "mx2.test",   IN_TIME,       false),
            ("expired",                 &listed,     "mx.test",    1_900_000_000, false),
            ("not yet valid",           &listed,     "mx.test",    1_700_000_000, false),
            ("another of the same name", &other,     "mx.test",    IN_TIME,       false),
        ];
        for (shows, pem, name, seconds, taken) in cases {
            let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
            let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            let name = ServerName::try_from(name).unwrap();
            let got = verifier.verify_server_cert(&certificate, &[], &name, &[], now);
            assert_eq!(got.is_ok(), taken, "{shows}: {got:?}");
        }
    }
}
