//! TLS as a client.

use super::{ClientTlsFacts, HandshakeError, TlsError, TlsIdentityFiles, TlsVersion};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Whom to trust.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verification {
    /// Nobody needs to be trusted: any certificate will do, and is recorded (RFC 7435). This protects against those who
    /// listen, not against those who interfere. It has to be written out: there is no default.
    None,
    /// The system's certificate authorities.
    SystemRoots,
    /// The certificate authorities in a PEM file, and no others.
    CaFile(PathBuf),
}

/// What a TLS client needs to know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientTlsSettings {
    /// How the server's certificate is checked.
    pub verification: Verification,
    /// Oldest version. Default TLS 1.2.
    pub min_version: TlsVersion,
    /// The certificate shown to servers that ask for one.
    pub identity: Option<TlsIdentityFiles>,
}

impl ClientTlsSettings {
    /// Settings with this verification, TLS 1.2 or later, and no own certificate.
    #[must_use]
    pub fn new(verification: Verification) -> Self {
        Self {
            verification,
            min_version: TlsVersion::default(),
            identity: None,
        }
    }
}

/// TLS as a client, under one [`Verification`]. Cloning shares the configuration and the sessions to resume.
#[derive(Clone, Debug)]
pub struct ClientTls;

impl ClientTls {
    /// Reads the authorities, and the own certificate if there is one.
    ///
    /// # Errors
    ///
    /// [`TlsError`], naming the file.
    pub fn load(settings: &ClientTlsSettings) -> Result<Self, TlsError> {
        todo!("{settings:?}")
    }

    /// Does the client's side of a handshake. `server_name` is the host name, or address, that the certificate must be
    /// for; a host name is also sent to the server (RFC 6066 section 3).
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]; [`HandshakeError::Unverified`] when the certificate is not what the verification asks for.
    pub async fn connect<S>(
        &self,
        stream: S,
        server_name: &str,
        timeout: Duration,
    ) -> Result<(tokio_rustls::client::TlsStream<S>, ClientTlsFacts), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let _ = (stream, server_name, timeout);
        todo!()
    }
}

/// A rustls configuration that verifies servers against the authorities in `ca_file`, or the system's without one.
///
/// For clients of other protocols, such as LDAP.
///
/// # Errors
///
/// [`TlsError`], naming the file.
pub fn verified_config(ca_file: Option<&Path>) -> Result<Arc<rustls::ClientConfig>, TlsError> {
    todo!("{ca_file:?}")
}
