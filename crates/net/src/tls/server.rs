//! TLS as a server.

use super::{HandshakeError, TlsError, TlsFacts, TlsVersion};
use jiff::Timestamp;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// One certificate with its key, as files in PEM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsIdentityFiles {
    /// The certificate, followed by the intermediates that lead to its root.
    pub certificate: PathBuf,
    /// The private key: PKCS#8, PKCS#1, SEC1 or encrypted PKCS#8. Neither group nor others may read the file.
    pub key: PathBuf,
    /// The file whose first line decrypts the key; same permissions as the key.
    pub passphrase_file: Option<PathBuf>,
}

/// What a TLS server needs to know.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerTlsSettings {
    /// Certificates, chosen by the name the client asks for. The first is shown to clients that ask for none of them.
    pub identities: Vec<TlsIdentityFiles>,
    /// Authorities whose client certificates count as [`Verify::Ok`](super::Verify::Ok), in PEM. Without it no client
    /// certificate is asked for.
    pub client_ca: Option<PathBuf>,
    /// Oldest version. Default TLS 1.2; 1.3 alone locks out older mail programs.
    pub min_version: TlsVersion,
}

/// Something an administrator should hear of although it does not prevent the start.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TlsWarning {
    /// The certificate's time is over.
    Expired {
        /// Its file.
        certificate: PathBuf,
        /// When it ended.
        not_after: Timestamp,
    },
    /// The certificate's time has not begun.
    NotYetValid {
        /// Its file.
        certificate: PathBuf,
        /// When it begins.
        not_before: Timestamp,
    },
}

/// A loaded certificate, for listings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdentityInfo {
    /// Its file.
    pub certificate: PathBuf,
    /// The names it is shown for, lower-case; a wildcard as `*.example.org`.
    pub names: Vec<String>,
    /// When it ends.
    pub not_after: Timestamp,
}

/// TLS as a server: certificates, keys and ticket keys, ready for handshakes. Cloning shares them.
///
/// To reload, load anew and put the new value where the old one was: sessions under way keep theirs.
#[derive(Clone, Debug)]
pub struct ServerTls;

impl ServerTls {
    /// Reads and checks all files.
    ///
    /// # Errors
    ///
    /// [`TlsError`], naming the file.
    pub fn load(settings: &ServerTlsSettings) -> Result<Self, TlsError> {
        todo!("{settings:?}")
    }

    /// What is wrong with the certificates without preventing their use.
    #[must_use]
    pub fn warnings(&self) -> &[TlsWarning] {
        todo!()
    }

    /// The loaded certificates, in the order of the settings.
    #[must_use]
    pub fn identities(&self) -> &[IdentityInfo] {
        todo!()
    }

    /// Does the server's side of a handshake.
    ///
    /// A client certificate never makes it fail, as long as the client has the key that belongs to it.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]. The connection is of no further use then.
    pub async fn accept<S>(
        &self,
        stream: S,
        timeout: Duration,
    ) -> Result<(tokio_rustls::server::TlsStream<S>, TlsFacts), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let _ = (stream, timeout);
        todo!()
    }
}
