//! TLS without authenticating the server (RFC 7435).

use super::signature::Possession;
use rustls::Error;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// Accepts any server certificate whose key the server holds. Used for
/// [`Verification::None`](super::Verification::None) only.
#[derive(Debug)]
pub(super) struct AnyServer {
    keys: Possession,
}

impl AnyServer {
    pub(super) fn new() -> Self {
        Self {
            keys: Possession::new(),
        }
    }
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    postern_trust::verify_handshakes_by!(keys);
}
