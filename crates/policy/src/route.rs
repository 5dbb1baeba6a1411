//! Where a recipient's mail goes next.

use std::net::IpAddr;
use std::path::PathBuf;

use postern_mail::Domain;
use serde::Deserialize;

use crate::domain_set::DomainSet;

/// How much TLS a hop gets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsLevel {
    /// Never.
    None,
    /// Where offered; otherwise in the clear.
    #[default]
    Opportunistic,
    /// Always; without it the mail waits.
    Required,
}

/// The protocol of a hop.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// SMTP (RFC 5321).
    #[default]
    Smtp,
    /// LMTP (RFC 2033), which answers for each recipient.
    Lmtp,
}

/// The host of a hop.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub enum HopHost {
    /// A name, whose addresses are looked up (no MX).
    Name(Box<str>),
    /// An address.
    Ip(IpAddr),
    /// A socket in the file system, `unix:/run/dovecot/lmtp`.
    Unix(PathBuf),
}

/// One host to try.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub struct Hop {
    /// The host.
    pub host: HopHost,
    /// Its port; 0 for a socket.
    pub port: u16,
}

/// A hop that could not be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is no next hop; write \"host:port\", \"192.0.2.1:25\", \"[2001:db8::1]:25\" or \"unix:/path\""
)]
pub struct BadHop(String);

/// Where a rule sends mail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// To these hosts, tried in order.
    Hosts {
        /// The hosts, at least one.
        via: Vec<Hop>,
        /// How to speak to them.
        protocol: Protocol,
    },
    /// To the hosts that the domain's MX records name.
    Mx,
    /// Into Maildirs below this folder.
    Maildir(PathBuf),
}

/// One rule: mail for these domains goes there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteRule {
    /// The recipient domains.
    pub domains: DomainSet,
    /// Where to.
    pub target: Target,
    /// How much TLS.
    pub tls: TlsLevel,
    /// Whether the host's certificate must be valid for its name.
    pub verify: bool,
}

/// All rules.
#[derive(Clone, Debug)]
pub struct RouteTable {
    /// The `[[route]]` rules.
    pub rules: Vec<RouteRule>,
    /// Domains whose mailboxes are here.
    pub local_domains: DomainSet,
    /// Where mail for local domains goes unless a rule names the domain: a Maildir, or LMTP hosts.
    pub local: Target,
}

/// The way that mail for one domain takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Route<'a> {
    /// Where to.
    pub target: &'a Target,
    /// How much TLS.
    pub tls: TlsLevel,
    /// Whether the host's certificate must be valid for its name.
    pub verify: bool,
    /// The name of the rule that decided: `route.rule`, `route.local` or `route.mx`.
    pub rule: &'static str,
}

/// One MX record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MxRecord {
    /// Lower is tried first.
    pub preference: u16,
    /// The host, with or without a trailing dot; `.` in a null MX.
    pub exchange: String,
}

/// What a domain's MX records say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MxVerdict {
    /// Try these hosts in this order.
    Hosts(Vec<Box<str>>),
    /// There are no records: the domain itself is the host (RFC 5321 section 5.1).
    Implicit,
    /// The domain takes no mail (RFC 7505): bounce with `5.1.10`.
    NullMx,
    /// We are the best host ourselves, and have no place for it: bounce with `5.4.6`.
    Loop,
    /// There are records, and none names a host: defer with `4.4.4`.
    Unusable,
}

/// Most hosts of one domain that are tried; further ones are left out.
pub const MX_HOSTS_MAX: usize = 20;

impl Hop {
    /// Reads `host:port`, `192.0.2.1:25`, `[2001:db8::1]:25`, `unix:/path`; without a port `default_port`.
    ///
    /// # Errors
    ///
    /// [`BadHop`].
    pub fn parse(text: &str, default_port: u16) -> Result<Self, BadHop> {
        todo!("{text} {default_port}")
    }
}

/// Decides where mail for `domain` goes.
///
/// The rule that names the domain most closely wins, the earlier one among equals: exact name, longest wildcard. Then local
/// domains stay here; then comes a rule for `*`; else MX records decide.
#[must_use]
pub fn route<'a>(domain: &Domain, table: &'a RouteTable) -> Route<'a> {
    todo!("{domain} {table:?}")
}

/// Puts MX hosts in order: by preference, equals in an order that `seed` decides, ourselves and all less preferred ones left out.
#[must_use]
pub fn mx_hosts(records: &[MxRecord], own_names: &[impl AsRef<str>], seed: u64) -> MxVerdict {
    todo!("{records:?} {} {seed}", own_names.len())
}
