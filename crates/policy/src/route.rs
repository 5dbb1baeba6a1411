//! Where a recipient's mail goes next.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use postern_mail::Domain;
use serde::Deserialize;

use crate::domain_set::{DomainSet, Match};
use crate::origin::{LoginMatch, LoginSet, Origin, SenderMatch, SenderSet};
use crate::rule::{Rule, Told, Verdict};

/// How much TLS a hop gets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsLevel {
    /// Never.
    None,
    /// Where offered; otherwise in the clear.
    #[default]
    Opportunistic,
    /// Always, begun by `STARTTLS`; without it the mail waits.
    Required,
    /// Always, from the first octet on, as on port 465 (RFC 8314 section 3.3).
    Implicit,
}

impl TlsLevel {
    /// Whether nothing goes without TLS.
    #[must_use]
    pub fn is_always(self) -> bool {
        matches!(self, Self::Required | Self::Implicit)
    }
}

/// What of a login goes to a host whose certificate was not verified: to whoever answers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash)]
pub enum UnverifiedLogin {
    /// Nothing: the mail waits.
    #[default]
    Nothing,
    /// Proofs, such as SCRAM's. Who gets one can guess passwords at leisure.
    Proofs,
    /// The password, or the token.
    Password,
}

/// With which login mail goes over a route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteLogin {
    /// The name of the login in the configuration.
    pub name: Arc<str>,
    /// What goes to a host that was not verified.
    pub unverified: UnverifiedLogin,
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

/// As it is written in the configuration.
impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HopHost::Name(name) => write!(f, "{name}:{}", self.port),
            HopHost::Ip(ip) => std::net::SocketAddr::new(*ip, self.port).fmt(f),
            HopHost::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A hop that could not be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not a next hop; write \"host:port\", \"192.0.2.1:25\", \"[2001:db8::1]:25\" or \"unix:/path\""
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
    /// Only mail from these senders; all when empty.
    pub senders: SenderSet,
    /// Only mail submitted with these logins; all when empty.
    pub logins: LoginSet,
    /// The login at the hosts.
    pub login: Option<RouteLogin>,
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
    /// The login at the hosts.
    pub login: Option<&'a RouteLogin>,
    /// The rule that decided: `route.rule`, `route.local` or `route.mx`.
    pub rule: Rule,
}

impl Verdict for Route<'_> {
    fn rule(&self) -> Rule {
        self.rule
    }

    fn reason(&self) -> &dyn fmt::Display {
        match self.rule {
            Rule::RouteLocal => &"a domain of this server",
            Rule::RouteRule => &"named in [[route]]",
            _ => &"MX records decide",
        }
    }

    fn reply(&self) -> Option<Told> {
        None
    }
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
        let bad = || BadHop(text.chars().take(300).collect());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Self {
                    host: HopHost::Unix(path.into()),
                    port: 0,
                })
            } else {
                Err(bad())
            };
        }
        if let Ok(ip) = text.parse() {
            return Ok(Self {
                host: HopHost::Ip(ip),
                port: default_port,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            // `[2001:db8::1]` has colons of its own.
            Some((host, port)) if !port.ends_with(']') => (host, port_number(port).ok_or_else(bad)?),
            _ => (text, default_port),
        };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(literal) => HopHost::Ip(
                literal
                    .strip_prefix("IPv6:")
                    .unwrap_or(literal)
                    .parse()
                    .map_err(|_| bad())?,
            ),
            None => match host.parse() {
                Ok(IpAddr::V4(ip)) => HopHost::Ip(ip.into()),
                // Without brackets nobody can tell where an IPv6 address ends and its port begins.
                Ok(IpAddr::V6(_)) => return Err(bad()),
                Err(_) => match Domain::parse(host, true) {
                    Ok(Domain::Name(name)) => HopHost::Name(name),
                    _ => return Err(bad()),
                },
            },
        };
        Ok(Self { host, port })
    }
}

/// How closely a rule names a message: the domain counts first, then the login, which was proven, then the sender, which
/// is what somebody wrote.
type Closeness = (Match, LoginMatch, SenderMatch);

impl RouteRule {
    /// A rule without conditions but the domains, opportunistic TLS, and no login.
    #[must_use]
    pub fn new(domains: DomainSet, target: Target) -> Self {
        Self {
            domains,
            target,
            tls: TlsLevel::Opportunistic,
            verify: false,
            senders: SenderSet::default(),
            logins: LoginSet::default(),
            login: None,
        }
    }

    /// How closely it names mail for `domain` from `origin`; `None` when it is not for it.
    fn find(&self, domain: &Domain, origin: &Origin<'_>) -> Option<Closeness> {
        Some((
            self.domains.find(domain)?,
            self.logins.find(origin.login)?,
            self.senders.find(origin.sender)?,
        ))
    }

    /// Whether it is for some senders or logins only.
    #[must_use]
    pub fn asks_origin(&self) -> bool {
        !self.senders.is_empty() || !self.logins.is_empty()
    }
}

impl RouteTable {
    /// Whether the way of a message depends on whom it is from, and not on the recipient's domain alone.
    #[must_use]
    pub fn asks_origin(&self) -> bool {
        self.rules.iter().any(RouteRule::asks_origin)
    }
}

/// Decides where mail for `domain` from `origin` goes. For an address literal, [`Target::Mx`] means the address itself.
///
/// Of the rules whose conditions all hold, the one that names the domain most closely wins: exact name, longest wildcard,
/// `*`. Among those, one that names the login most closely, then one that names the sender most closely, then the
/// earlier one. So a rule for a domain goes before a sender's own smarthost, and that before the smarthost of all.
///
/// Local domains stay here unless a rule names them; they come before rules for `*`, whoever those are for. Without
/// a rule MX records decide.
#[must_use]
pub fn route<'a>(domain: &Domain, origin: &Origin<'_>, table: &'a RouteTable) -> Route<'a> {
    let mut best: Option<(Closeness, &RouteRule)> = None;
    for rule in &table.rules {
        if let Some(found) = rule.find(domain, origin)
            && best.is_none_or(|(closest, _)| found > closest)
        {
            best = Some((found, rule));
        }
    }
    let by_name = best.filter(|((found, ..), _)| *found != Match::All);
    if by_name.is_none() && table.local_domains.contains_by_name(domain) {
        return Route {
            target: &table.local,
            tls: TlsLevel::Opportunistic,
            verify: false,
            login: None,
            rule: Rule::RouteLocal,
        };
    }
    match best {
        Some((_, rule)) => Route {
            target: &rule.target,
            tls: rule.tls,
            verify: rule.verify,
            login: rule.login.as_ref(),
            rule: Rule::RouteRule,
        },
        None => Route {
            target: &Target::Mx,
            tls: TlsLevel::Opportunistic,
            verify: false,
            login: None,
            rule: Rule::RouteMx,
        },
    }
}

/// Puts MX hosts in order: by preference, equals in an order that `seed` decides, ourselves and all less preferred ones left out.
#[must_use]
pub fn mx_hosts(records: &[MxRecord], own_names: &[impl AsRef<str>], seed: u64) -> MxVerdict {
    if records.is_empty() {
        return MxVerdict::Implicit;
    }
    if records
        .iter()
        .all(|record| record.exchange == "." || record.exchange.is_empty())
    {
        return MxVerdict::NullMx;
    }
    let mut hosts: Vec<(u16, u64, Box<str>)> = Vec::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        // An address where a name belongs is not to be trusted with mail (RFC 5321 section 5.1).
        if let Ok(Domain::Name(name)) = Domain::parse(&record.exchange, false) {
            hosts.push((record.preference, scatter(seed, index as u64), name));
        }
    }
    if hosts.is_empty() {
        return MxVerdict::Unusable;
    }
    let ours = |name: &str| {
        own_names
            .iter()
            .any(|own| own.as_ref().trim_end_matches('.').eq_ignore_ascii_case(name))
    };
    let own_preference = hosts
        .iter()
        .filter(|(_, _, name)| ours(name))
        .map(|(preference, ..)| *preference)
        .min();
    if let Some(own) = own_preference {
        hosts.retain(|(preference, ..)| *preference < own);
        if hosts.is_empty() {
            return MxVerdict::Loop;
        }
    }
    hosts.sort();
    let mut ordered: Vec<Box<str>> = Vec::with_capacity(hosts.len().min(MX_HOSTS_MAX));
    for (_, _, name) in hosts {
        if ordered.len() < MX_HOSTS_MAX && !ordered.contains(&name) {
            ordered.push(name);
        }
    }
    MxVerdict::Hosts(ordered)
}

fn port_number(text: &str) -> Option<u16> {
    // `parse` would take a sign.
    if !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|port| *port != 0)
}

/// A number that depends on seed and index and looks like chance (SplitMix64).
fn scatter(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
