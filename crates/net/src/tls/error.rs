//! Errors of TLS, at load and at handshake.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why certificates and keys could not be loaded. Each text names the file and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Why a handshake did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer took longer than allowed.
    #[error("TLS handshake not finished after {} s", .0.as_secs())]
    Timeout(Duration),

    /// The connection broke, or ended, in the middle.
    #[error("connection lost in the TLS handshake")]
    Lost(#[source] io::Error),

    /// The two sides could not agree, or one broke the protocol.
    #[error("TLS handshake failed")]
    Protocol(#[source] rustls::Error),

    /// As a client: the server's certificate did not stand the test that was asked for.
    #[error("certificate of {server_name} not verified: {reason}")]
    Unverified {
        /// The name or address the certificate had to be for.
        server_name: String,
        /// What is wrong with it.
        reason: String,
    },

    /// As a client: neither a host name nor an address.
    #[error("{0:?} is not a server name that TLS can check")]
    ServerName(String),

    /// TLS was asked for on a stream that has it already.
    #[error("TLS is already in use")]
    AlreadyTls,
}
