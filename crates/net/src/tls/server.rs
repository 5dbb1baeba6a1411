//! TLS as a server.

use super::binding::{self, ChannelBindings};
use super::client_trust::{AnyClient, ClientTrust};
use super::facts::Negotiated;
use super::identity::{self, Identities};
use super::{
    CertificateFacts, HandshakeError, IdentityInfo, TlsError, TlsFacts, TlsIdentityFiles, TlsVersion,
    TlsWarning, Verify, provider,
};
use jiff::Timestamp;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{Acceptor, NoServerSessionStorage, ServerConnection};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;

/// What a TLS server needs to know.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerTlsSettings {
    /// Certificates, chosen by the name the client asks for. The first is shown to clients that ask for none
    /// of them.
    ///
    /// Several may have the same name with keys of different kinds; the first one that suits the client is taken.
    pub identities: Vec<TlsIdentityFiles>,
    /// Authorities whose client certificates count as [`Verify::Ok`], in PEM. Without it no client certificate is asked for.
    /// A single client's certificate may be listed as well, and then needs no authority.
    pub client_ca: Option<PathBuf>,
    /// Lists of certificates that those authorities have revoked (RFC 5280), in PEM or DER. A revoked certificate counts as
    /// [`Verify::Fail`]. A list whose next update is overdue still counts, with a [`TlsWarning`].
    pub client_crls: Vec<PathBuf>,
    /// SHA-256 of certificates that count as [`Verify::Fail`], 64 lower-case hexadecimal digits each; an authority's denies
    /// everything it has issued.
    pub client_denied: Vec<String>,
    /// Oldest version. Default TLS 1.2; 1.3 alone locks out older mail programs.
    pub min_version: TlsVersion,
    /// Whether TLS 1.2 also offers `tls-exporter`, to clients that ask for the extended master secret. This means examining
    /// each client's first message, since rustls does not report it. Default false.
    pub exporter_in_tls12: bool,
}

/// TLS as a server: certificates, keys and ticket keys, ready for handshakes. Cloning shares them.
///
/// To reload, load a new value and replace the old one: current sessions keep theirs. Tickets issued before a reload lead to
/// a full handshake after it.
#[derive(Clone, Debug)]
pub struct ServerTls {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Arc<rustls::ServerConfig>,
    trust: Option<ClientTrust>,
    identities: Vec<IdentityInfo>,
    /// To know which certificate was shown.
    chooser: Arc<Identities>,
    exporter_in_tls12: bool,
}

impl ServerTls {
    /// Reads and checks all files.
    ///
    /// # Errors
    ///
    /// [`TlsError`], naming the file and the remedy.
    pub fn load(settings: &ServerTlsSettings) -> Result<Self, TlsError> {
        if settings.identities.is_empty() {
            return Err(TlsError::NoIdentity);
        }
        let mut keys = Vec::new();
        let mut identities = Vec::new();
        for files in &settings.identities {
            let (key, info) = identity::load(files)?;
            keys.push((key, info.names.clone()));
            identities.push(info);
        }
        let trust = settings
            .client_ca
            .as_deref()
            .map(|ca| ClientTrust::load(ca, &settings.client_crls, &settings.client_denied))
            .transpose()?;

        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(provider()))
            .with_protocol_versions(settings.min_version.and_later())?;
        let builder = match &trust {
            Some(trust) => builder.with_client_cert_verifier(Arc::new(AnyClient::new(trust))),
            None => builder.with_no_client_auth(),
        };
        let chooser = Arc::new(Identities::new(keys));
        let mut config = builder.with_cert_resolver(Arc::clone(&chooser) as Arc<_>);
        // Sessions are resumed by tickets alone, so they cost the server no memory. One is enough for a mail
        // program.
        config.ticketer = Ticketer::new()?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 1;
        Ok(Self {
            shared: Arc::new(Shared {
                config: Arc::new(config),
                trust,
                identities,
                chooser,
                exporter_in_tls12: settings.exporter_in_tls12,
            }),
        })
    }

    /// What is wrong with the certificates and revocation lists at the moment `now` without preventing their use.
    #[must_use]
    pub fn warnings(&self, now: Timestamp) -> Vec<TlsWarning> {
        let trust = self.shared.trust.iter();
        let overdue = trust.flat_map(|trust| trust.revocations().overdue(now));
        let overdue = overdue.map(|(path, due)| TlsWarning::CrlOverdue {
            path: path.clone(),
            due: *due,
        });
        let identities = self.shared.identities.iter();
        identities
            .filter_map(|identity| identity.warning(now))
            .chain(overdue)
            .collect()
    }

    /// Whether the first message of clients must be examined.
    pub(crate) fn looks_at_hello(&self) -> bool {
        self.shared.exporter_in_tls12
    }

    /// The loaded certificates, in the order of the settings.
    #[must_use]
    pub fn identities(&self) -> &[IdentityInfo] {
        &self.shared.identities
    }

    /// Does the server's side of a handshake, within `timeout`.
    ///
    /// A client certificate never makes it fail, as long as the client proves that it has the key and the chain is not longer
    /// than 16 KiB. `extended_master_secret` says that the client asks for it (RFC 7627), which only a look at its first
    /// message can tell; without it, TLS 1.2 provides no `tls-exporter`.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]. The connection cannot be used any more.
    pub async fn accept<S>(
        &self,
        stream: S,
        timeout: Duration,
        extended_master_secret: bool,
    ) -> Result<(tokio_rustls::server::TlsStream<S>, TlsFacts), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let handshake = async {
            let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
            let server_end_point = self.shared.chooser.end_point(&start.client_hello());
            let stream = start.into_stream(Arc::clone(&self.shared.config)).await?;
            Ok((stream, server_end_point))
        };
        let (stream, server_end_point) = tokio::time::timeout(timeout, handshake)
            .await
            .map_err(|_| HandshakeError::Timeout(timeout))?
            .map_err(HandshakeError::from_io)?;
        let connection = stream.get_ref().1;
        let facts = TlsFacts {
            bindings: ChannelBindings {
                exporter: binding::exporter(connection, extended_master_secret),
                server_end_point,
            },
            ..self.facts(connection)
        };
        Ok((stream, facts))
    }

    /// Judges the chain of a client again, as the handshake would now: this finds what has been revoked, denied or expired
    /// since.
    #[must_use]
    pub fn judge_client(&self, chain: &[CertificateDer<'_>]) -> Verify {
        match &self.shared.trust {
            Some(trust) => trust.judge(chain, UnixTime::now()),
            None => Verify::No,
        }
    }

    fn facts(&self, connection: &ServerConnection) -> TlsFacts {
        let Negotiated {
            version,
            cipher,
            bits,
            resumed,
        } = Negotiated::new(connection);
        let chain = connection.peer_certificates().unwrap_or_default();
        let verify = self.judge_client(chain);
        let client_chain = match verify {
            Verify::Ok => chain.iter().cloned().map(CertificateDer::into_owned).collect(),
            Verify::No | Verify::Fail(_) => Vec::new(),
        };
        TlsFacts {
            version,
            cipher,
            bits,
            verify,
            client_chain,
            client_certificate: chain.first().and_then(|leaf| CertificateFacts::from_der(leaf)),
            sni: connection.server_name().map(str::to_ascii_lowercase),
            resumed,
            bindings: ChannelBindings::default(),
        }
    }
}
