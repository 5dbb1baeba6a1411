//! TLS 1.2 and 1.3 on both sides, by rustls with aws-lc-rs.

mod client;
mod error;
mod facts;
mod server;

pub use client::{ClientTls, ClientTlsSettings, Verification, verified_config};
pub use error::{HandshakeError, TlsError};
pub use facts::{CertificateFacts, ClientTlsFacts, TlsFacts, Verify};
pub use server::{IdentityInfo, ServerTls, ServerTlsSettings, TlsIdentityFiles, TlsWarning};

/// Oldest protocol version that a handshake may end in. Nothing below 1.2 can be asked for (RFC 8996).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246) and later. The default.
    #[default]
    Tls12,
    /// TLS 1.3 (RFC 8446) alone.
    Tls13,
}
