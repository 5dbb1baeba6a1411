//! TLS towards next hops.

use postern_net::tls::ClientTls;

/// The two TLS configurations for next hops.
#[derive(Clone, Debug)]
pub struct TlsClients {
    /// Accepts any certificate (`Verification::None`): for opportunistic TLS, and for `required` without `verify`.
    pub unverified: ClientTls,
    /// For routes that always use TLS, with `verify`.
    pub verified: ClientTls,
}
