//! The network, typed: TLS and certificates, resolver, listeners, streams.
//!
//! | Module | What it is for |
//! | --- | --- |
//! | [`tls`] | server and client side of TLS, certificates and keys from files, what a handshake has shown |
//! | [`ca`] | an own certificate authority, and what a certificate says |
//! | [`stream`] | one connection, plain or TLS |
//! | [`listen`] | sockets that accept, and the accept loop's errors |
//! | [`dial`] | sockets that connect |
//! | [`proxy`] | the PROXY protocol header, versions 1 and 2 |
//! | [`resolver`] | DNS look-ups with typed answers |
//! | [`mod@file`] | files that are either written whole or not at all |
//!
//! The crate knows no SMTP. It hands out facts (which version, whose certificate, verified or not, which address) and leaves the
//! conclusions to its callers.

pub mod ca;
pub mod dial;
pub mod file;
pub mod listen;
pub mod proxy;
pub mod resolver;
pub mod stream;
pub mod tls;

pub use stream::MailStream;
