//! TLS 1.2 and 1.3 on both sides, with rustls and aws-lc-rs.
//!
//! A server never refuses a handshake over the client's certificate as long as the client proves that it
//! holds the key: the chain is judged afterwards, for fresh and for resumed sessions alike, and the verdict
//! is recorded as [`Verify`]. A client has to say which servers it trusts ([`Verification`]); not verifying
//! is one of the choices, not the default.

mod binding;
pub(crate) mod certificate;
mod cipher;
mod client;
mod client_trust;
mod dane;
mod der;
mod error;
mod facts;
pub(crate) mod hello;
mod identity;
pub(crate) mod key;
mod name;
mod opportunistic;
mod revocation;
mod server;
mod signature;

pub use binding::ChannelBindings;
pub use client::{ClientTls, ClientTlsSettings, Verification};
pub use dane::TlsaSet;
pub use error::{HandshakeError, TlsError};
pub use facts::{CertificateFacts, ClientTlsFacts, TlsFacts, Verify};
pub use identity::{IdentityInfo, TlsIdentityFiles, TlsWarning};
pub use server::{ServerTls, ServerTlsSettings};

use postern_trust::provider;
use rustls::SupportedProtocolVersion;

/// Oldest protocol version that may be negotiated. Nothing below 1.2 can be asked for (RFC 8996).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246) and later. The default.
    #[default]
    Tls12,
    /// TLS 1.3 (RFC 8446) alone.
    Tls13,
}

impl TlsVersion {
    /// The versions from this one on.
    fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
        static TLS12: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
        static TLS13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
        match self {
            Self::Tls12 => &TLS12,
            Self::Tls13 => &TLS13,
        }
    }
}
