//! DNS look-ups with typed answers.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How to look up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolverSettings {
    /// Name servers to ask. Default: none, that is those of `/etc/resolv.conf`.
    pub nameservers: Vec<SocketAddr>,
    /// Wait for one server's answer. Default 3 s.
    pub attempt_timeout: Duration,
    /// Bound on one look-up in all, whatever it takes. Default 15 s.
    pub timeout: Duration,
    /// Most answers kept. Default 16,384, about 16 MiB when full.
    pub cache_entries: usize,
}

impl Default for ResolverSettings {
    fn default() -> Self {
        Self {
            nameservers: Vec::new(),
            attempt_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(15),
            cache_entries: 16_384,
        }
    }
}

/// Why a look-up has no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The name does not exist (NXDOMAIN): permanent.
    #[error("{0}: no such domain")]
    NoSuchDomain(String),
    /// The name exists and has no record of that kind: permanent.
    #[error("{0}: no such record")]
    NoData(String),
    /// The text is no domain name: permanent.
    #[error("{0:?} is not a domain name")]
    BadName(String),
    /// No answer for now: try again later.
    #[error("{name}: {reason}")]
    Temporary {
        /// The name that was looked up.
        name: String,
        /// What went wrong.
        reason: String,
    },
}

impl ResolveError {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Temporary { .. })
    }
}

/// One MX record (RFC 5321 section 5.1).
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct MxRecord {
    /// Lower comes first.
    pub preference: u16,
    /// The host, lower-case and without a trailing dot; empty for the root, which means null MX (RFC 7505).
    pub exchange: String,
}

/// Looks names up and keeps the answers for as long as their servers allow. Cloning shares the cache.
#[derive(Clone, Debug)]
pub struct Resolver;

impl Resolver {
    /// A resolver with these settings.
    ///
    /// # Errors
    ///
    /// The system's configuration cannot be read.
    pub fn new(settings: &ResolverSettings) -> Result<Self, ResolverSetupError> {
        todo!("{settings:?}")
    }

    /// The MX records of `domain` in the order of preference; at least one.
    ///
    /// # Errors
    ///
    /// [`ResolveError::NoData`] when there are none: the domain's own addresses stand in for them.
    pub async fn mx(&self, domain: &str) -> Result<Vec<MxRecord>, ResolveError> {
        todo!("{domain}")
    }

    /// The addresses of `host`, IPv6 and IPv4; at least one. An address in text form is its own answer.
    ///
    /// # Errors
    ///
    /// [`ResolveError`]; temporary only when neither kind was found and one look-up did not work.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        todo!("{host}")
    }

    /// The name of `address`, if that name in turn has this address; lower-case and without a trailing dot.
    ///
    /// Without such a name the answer is `None`.
    ///
    /// # Errors
    ///
    /// Only [`ResolveError::Temporary`].
    pub async fn reverse(&self, address: IpAddr) -> Result<Option<String>, ResolveError> {
        todo!("{address}")
    }
}

/// The system's resolver configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use /etc/resolv.conf: {0}; name servers can be set in the configuration")]
pub struct ResolverSetupError(String);
