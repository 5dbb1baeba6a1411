//! TLS as a client.

use super::facts::Negotiated;
use super::opportunistic::AnyServer;
use super::{
    CertificateFacts, ChannelBindings, ClientTlsFacts, HandshakeError, TlsError, TlsIdentityFiles,
    TlsVersion, Verify, binding, error, identity, provider,
};
use rustls::client::ClientConnection;
use rustls::client::danger::ServerCertVerifier;
use rustls::sign::SingleCertAndKey;
use rustls_pki_types::ServerName;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

/// Which servers to trust.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Verification {
    /// No verification: any certificate will do, and is recorded (RFC 7435). This protects against passive eavesdroppers,
    /// not against active attackers. It must be chosen explicitly: there is no default.
    None,
    /// The system's certificate authorities.
    SystemRoots,
    /// The certificate authorities in a PEM file, and no others. The server's own self-signed certificate may be listed
    /// there too.
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
    /// Settings with this verification, TLS 1.2 or later, and no client certificate.
    #[must_use]
    pub fn new(verification: Verification) -> Self {
        Self {
            verification,
            min_version: TlsVersion::default(),
            identity: None,
        }
    }
}

/// TLS as a client, under one [`Verification`]. Cloning shares the configuration and the resumable sessions.
///
/// A session is only resumed under the verification it was made with, since each value keeps its own sessions.
#[derive(Clone, Debug)]
pub struct ClientTls {
    pub(super) config: Arc<rustls::ClientConfig>,
    pub(super) verified: bool,
}

impl ClientTls {
    /// Reads the authorities, and the client certificate if there is one.
    ///
    /// # Errors
    ///
    /// [`TlsError`], naming the file.
    pub fn load(settings: &ClientTlsSettings) -> Result<Self, TlsError> {
        Ok(Self {
            config: Arc::new(config(settings)?),
            verified: settings.verification != Verification::None,
        })
    }

    /// The configuration, for other protocols.
    #[must_use]
    pub fn config(&self) -> &Arc<rustls::ClientConfig> {
        &self.config
    }

    /// Does the client's side of a handshake, within `timeout`.
    ///
    /// `server_name` is the host name, or address, that the certificate must be for; a host name is also sent
    /// to the server (RFC 6066 section 3). A trailing dot does not matter.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]; [`HandshakeError::Unverified`] when the certificate is not what the verification
    /// asks for.
    pub async fn connect<S>(
        &self,
        stream: S,
        server_name: &str,
        timeout: Duration,
    ) -> Result<(tokio_rustls::client::TlsStream<S>, ClientTlsFacts), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let name = server_name.strip_suffix('.').unwrap_or(server_name);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| HandshakeError::ServerName(server_name.to_owned()))?;
        let handshake = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream);
        let stream = tokio::time::timeout(timeout, handshake)
            .await
            .map_err(|_| HandshakeError::Timeout(timeout))?
            .map_err(|error| unverified(HandshakeError::from_io(error), server_name))?;
        let facts = self.facts(stream.get_ref().1);
        Ok((stream, facts))
    }

    fn facts(&self, connection: &ClientConnection) -> ClientTlsFacts {
        let Negotiated {
            version,
            cipher,
            bits,
            resumed,
        } = Negotiated::new(connection);
        let leaf = connection.peer_certificates().and_then(<[_]>::first);
        ClientTlsFacts {
            version,
            cipher,
            bits,
            verify: if self.verified { Verify::Ok } else { Verify::No },
            server_certificate: leaf.and_then(|leaf| CertificateFacts::from_der(leaf)),
            resumed,
            bindings: ChannelBindings {
                // Whether the server agreed to the extended master secret is not known here, so under TLS 1.2 there is
                // none.
                exporter: binding::exporter(connection, false),
                server_end_point: leaf.and_then(|leaf| binding::server_end_point(leaf)),
            },
        }
    }
}

fn config(settings: &ClientTlsSettings) -> Result<rustls::ClientConfig, TlsError> {
    let verifier = verifier(&settings.verification)?;
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(settings.min_version.and_later())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(match &settings.identity {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let (key, _) = identity::load(files)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
        }
    })
}

fn verifier(verification: &Verification) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    Ok(match verification {
        Verification::None => Arc::new(AnyServer::new()),
        Verification::SystemRoots => postern_trust::verifier(None)?,
        Verification::CaFile(path) => postern_trust::verifier(Some(path))?,
    })
}

/// Distinguishes a certificate that was not accepted from other failures.
fn unverified(error: HandshakeError, server_name: &str) -> HandshakeError {
    match error {
        HandshakeError::Protocol(inner @ rustls::Error::InvalidCertificate(_)) => {
            HandshakeError::Unverified {
                server_name: server_name.to_owned(),
                reason: error::reason(&inner),
            }
        }
        other => other,
    }
}
