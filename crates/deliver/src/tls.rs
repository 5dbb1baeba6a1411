//! TLS towards next hops.

use postern_net::tls::ClientTls;

/// The two ways in which TLS is spoken to next hops.
#[derive(Clone, Debug)]
pub struct TlsClients {
    /// Takes any certificate (`Verification::None`): for opportunistic TLS, and for `required` without `verify`.
    pub unverified: ClientTls,
    /// For routes whose TLS is always there, and `verify`.
    pub verified: ClientTls,
}
