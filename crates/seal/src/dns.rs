//! The DNS queries needed for judging, and their answers. The program provides the resolver.

use std::net::IpAddr;

use futures_util::future::BoxFuture;

/// A pending query.
pub type Lookup<'a, T> = BoxFuture<'a, Result<T, NoAnswer>>;

/// Why a query has no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoAnswer {
    /// There is no such record or name; this is definite.
    #[error("no such record")]
    Nothing,
    /// A temporary failure: a server fails or does not answer, or time has run out.
    #[error("{0}")]
    Temporary(String),
}

/// Which address family is queried.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// Answers queries. An `Ok` answer has at least one record.
///
/// Every query ends soon by itself: implementers limit the time of each query and of all together.
pub trait Dns: Send + Sync {
    /// The TXT records of a name, the strings of each joined (RFC 7208 section 3.3, RFC 6376 section 3.6.2.2).
    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<Vec<u8>>>;

    /// The addresses of a host.
    fn addresses<'a>(&'a self, host: &'a str, family: Family) -> Lookup<'a, Vec<IpAddr>>;

    /// The hosts of the MX records of a domain, most preferred first; an empty name for null MX (RFC 7505).
    fn mx<'a>(&'a self, domain: &'a str) -> Lookup<'a, Vec<String>>;

    /// The names of an address from its PTR records, not confirmed.
    fn names(&self, address: IpAddr) -> Lookup<'_, Vec<String>>;
}
