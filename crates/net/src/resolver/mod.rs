//! DNS look-ups with typed answers.
//!
//! Names are always looked up as they stand: no search list is applied. `/etc/hosts` is honoured for
//! addresses.

mod cache;
mod system;

use arc_swap::ArcSwap;
use cache::{Answer, Answers, Datum};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most records of one answer that are looked at.
const RECORDS_MAX: usize = 256;

/// Most names of an address that are looked at in search of one that leads back.
const REVERSE_NAMES_MAX: usize = 8;

/// Questions that may be open at once on one TCP connection to a name server.
const TCP_QUESTIONS_MAX: usize = 1_024;

/// How to look up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolverSettings {
    /// Name servers to ask, over UDP, and TCP where needed. Default: none, that is those of
    /// `/etc/resolv.conf`, or the one on this machine where that names none (resolv.conf(5)).
    pub nameservers: Vec<SocketAddr>,
    /// Wait for one server's answer before asking again, or another one. Default 3 s.
    pub attempt_timeout: Duration,
    /// Bound on one look-up in all, whatever it takes. Default 15 s.
    pub timeout: Duration,
    /// Memory for answers, in octets, by estimate. Default 8 MiB, some 20,000 usual answers.
    pub cache_size: u64,
}

impl Default for ResolverSettings {
    fn default() -> Self {
        Self {
            nameservers: Vec::new(),
            attempt_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(15),
            cache_size: 8 << 20,
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

/// No resolver can be made of the settings.
#[derive(Debug, thiserror::Error)]
#[error("names cannot be looked up: {0}")]
pub struct ResolverSetupError(String);

/// One MX record (RFC 5321 section 5.1).
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct MxRecord {
    /// Lower comes first.
    pub preference: u16,
    /// The host, lower-case and without a trailing dot; empty for the root, which means null MX (RFC 7505).
    pub exchange: String,
}

/// One SRV record (RFC 2782).
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct SrvRecord {
    /// Lower comes first.
    pub priority: u16,
    /// Share of the load among those of one priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host, lower-case and without a trailing dot; empty for the root, which means that there is no such service.
    pub target: String,
}

/// What an address is called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReverseName {
    /// It has a name that in turn has this address.
    Confirmed(String),
    /// It has names, and none of them has this address.
    Unconfirmed {
        /// The first of them.
        name: String,
        /// Why one of them could not be looked up, which may have it.
        doubt: Option<ResolveError>,
    },
    /// It has none.
    Nameless,
}

/// Looks names up and keeps the answers for as long as their servers allow. Cloning shares the cache, and whom to ask.
#[derive(Clone, Debug)]
pub struct Resolver {
    current: Arc<ArcSwap<Current>>,
}

/// Whom to ask, for how long, and what was answered.
#[derive(Debug)]
struct Current {
    inner: TokioResolver,
    answers: Answers,
    timeout: Duration,
    passed_over: Vec<SocketAddr>,
}

impl Resolver {
    /// A resolver with these settings.
    ///
    /// # Errors
    ///
    /// The settings name no server, and neither does the system.
    pub fn new(settings: &ResolverSettings) -> Result<Self, ResolverSetupError> {
        let (config, passed_over) = servers(&settings.nameservers);
        if config.name_servers().is_empty() {
            return Err(ResolverSetupError("there is no server to ask".to_owned()));
        }
        let mut options = ResolverOpts::default();
        options.timeout = settings.attempt_timeout;
        options.attempts = 2;
        options.edns0 = true;
        options.try_tcp_on_error = true;
        options.cache_size = 0;
        options.max_active_requests = TCP_QUESTIONS_MAX;
        let inner = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map_err(|error| ResolverSetupError(error.to_string()))?;
        let current = Current {
            inner,
            answers: Answers::new(settings.cache_size),
            timeout: settings.timeout,
            passed_over,
        };
        Ok(Self {
            current: Arc::new(ArcSwap::from_pointee(current)),
        })
    }

    /// Name servers of the settings or the system that are not asked: hickory has no place for the interface of a link-local address.
    #[must_use]
    pub fn passed_over(&self) -> Vec<SocketAddr> {
        self.current.load().passed_over.clone()
    }

    /// Goes over to the servers, times and answers of `other`, in all clones of this one. Look-ups under way end as they
    /// began.
    pub fn become_like(&self, other: &Self) {
        self.current.store(other.current.load_full());
    }

    /// The MX records of `domain` in the order of preference; at least one.
    ///
    /// # Errors
    ///
    /// [`ResolveError::NoData`] when there are none: the domain's own addresses stand in for them.
    pub async fn mx(&self, domain: &str) -> Result<Vec<MxRecord>, ResolveError> {
        let answer = self.lookup(domain, checked_name(domain)?, RecordType::MX).await?;
        let exchange = |datum: &Datum| match datum {
            Datum::Exchange(mx) => Some(mx.clone()),
            _ => None,
        };
        let mut records: Vec<_> = answer.iter().filter_map(exchange).collect();
        records.sort();
        records.dedup();
        Ok(records)
    }

    /// The SRV records of `name`, such as `_ldap._tcp.example.org`, by priority; at least one.
    ///
    /// # Errors
    ///
    /// [`ResolveError`].
    pub async fn srv(&self, name: &str) -> Result<Vec<SrvRecord>, ResolveError> {
        let answer = self.lookup(name, checked_name(name)?, RecordType::SRV).await?;
        let service = |datum: &Datum| match datum {
            Datum::Service(srv) => Some(srv.clone()),
            _ => None,
        };
        let mut records: Vec<_> = answer.iter().filter_map(service).collect();
        records.sort();
        records.dedup();
        Ok(records)
    }

    /// The addresses of `host`, IPv6 and IPv4; at least one. An address in text form is its own answer.
    ///
    /// # Errors
    ///
    /// [`ResolveError`]; temporary only when neither kind was found and one of the look-ups did not work.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let name = checked_name(host)?;
        let (v6, v4) = tokio::join!(
            self.lookup(host, name.clone(), RecordType::AAAA),
            self.lookup(host, name.clone(), RecordType::A)
        );
        let found: Vec<_> = [&v6, &v4]
            .into_iter()
            .flatten()
            .flat_map(|found| addresses_in(found))
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
        match (v6, v4) {
            (Err(v6), _) if v6.is_temporary() => Err(v6),
            // A broken server may deny the name itself when asked for IPv6, so the answer for IPv4 decides.
            (_, Err(v4)) => Err(v4),
            _ => Err(ResolveError::NoData(host.to_owned())),
        }
    }

    /// The IPv4 addresses of `name`, as lists in DNS answer with them (RFC 5782); none where it does not exist. `/etc/hosts` does not
    /// count.
    ///
    /// # Errors
    ///
    /// [`ResolveError::BadName`] and [`ResolveError::Temporary`].
    pub async fn list_answers(&self, name: &str) -> Result<Vec<Ipv4Addr>, ResolveError> {
        match self.lookup(name, checked_name(name)?, RecordType::A).await {
            Ok(found) => Ok(addresses_in(&found)
                .filter_map(|address| match address {
                    IpAddr::V4(address) => Some(address),
                    IpAddr::V6(_) => None,
                })
                .collect()),
            Err(error @ ResolveError::Temporary { .. }) => Err(error),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// The name of `address`, if that name in turn has this address; lower-case and without a trailing dot.
    ///
    /// Only names of letters, digits, hyphens and underscores count, so the answer may be logged and put into
    /// a header.
    ///
    /// # Errors
    ///
    /// Only [`ResolveError::Temporary`]. A name that does not exist or does not lead back is `None`.
    pub async fn reverse(&self, address: IpAddr) -> Result<Option<String>, ResolveError> {
        match self.reverse_name(address).await? {
            ReverseName::Confirmed(name) => Ok(Some(name)),
            ReverseName::Unconfirmed {
                doubt: Some(error), ..
            } => Err(error),
            ReverseName::Unconfirmed { doubt: None, .. } | ReverseName::Nameless => Ok(None),
        }
    }

    /// The same, and why there is none.
    ///
    /// # Errors
    ///
    /// Only [`ResolveError::Temporary`], when the names of the address could not be looked up.
    pub async fn reverse_name(&self, address: IpAddr) -> Result<ReverseName, ResolveError> {
        let address = address.to_canonical();
        let timeout = self.current.load().timeout;
        match tokio::time::timeout(timeout, self.confirmed_name(address)).await {
            Ok(answer) => answer,
            Err(_) => Err(too_late(&address.to_string(), timeout)),
        }
    }

    async fn confirmed_name(&self, address: IpAddr) -> Result<ReverseName, ResolveError> {
        let pointers = self
            .lookup(&address.to_string(), Name::from(address), RecordType::PTR)
            .await;
        let pointers = match pointers {
            Ok(pointers) => pointers,
            Err(error) if error.is_temporary() => return Err(error),
            Err(_) => return Ok(ReverseName::Nameless),
        };
        let kind = if address.is_ipv4() {
            RecordType::A
        } else {
            RecordType::AAAA
        };
        let (mut first, mut doubt) = (None, None);
        for pointer in pointers.iter().take(REVERSE_NAMES_MAX) {
            let Datum::Name(host) = pointer else { continue };
            let Ok(name) = checked_name(host) else { continue };
            first.get_or_insert_with(|| host.clone());
            match self.lookup(host, name, kind).await {
                Ok(forward) if addresses_in(&forward).any(|found| found == address) => {
                    return Ok(ReverseName::Confirmed(host.clone()));
                }
                Err(error) if error.is_temporary() => doubt = Some(error),
                _ => {}
            }
        }
        // Names that DNS cannot look up are none.
        Ok(match first {
            Some(name) => ReverseName::Unconfirmed { name, doubt },
            None => ReverseName::Nameless,
        })
    }

    /// The TXT records of `name`, the strings of each joined; at least one. The name may have any printable character in its
    /// labels: strangers' records name such.
    ///
    /// # Errors
    ///
    /// [`ResolveError`].
    pub async fn txt(&self, name: &str) -> Result<Vec<Vec<u8>>, ResolveError> {
        let answer = self.lookup(name, printable_name(name)?, RecordType::TXT).await?;
        let text = |datum: &Datum| match datum {
            Datum::Text(text) => Some(text.to_vec()),
            _ => None,
        };
        Ok(answer.iter().filter_map(text).collect())
    }

    /// The addresses of `host` of one family, as its A or AAAA records have them; at least one. `/etc/hosts` is not asked: what is
    /// looked up here is what the world sees. The name may be as for [`txt`](Self::txt).
    ///
    /// # Errors
    ///
    /// [`ResolveError`].
    pub async fn address_records(&self, host: &str, v6: bool) -> Result<Vec<IpAddr>, ResolveError> {
        let kind = if v6 { RecordType::AAAA } else { RecordType::A };
        let answer = self.lookup(host, printable_name(host)?, kind).await?;
        Ok(addresses_in(&answer).collect())
    }

    /// The names of `address` as its PTR records have them, at least one; whether they lead back is not known.
    ///
    /// # Errors
    ///
    /// [`ResolveError`].
    pub async fn pointers(&self, address: IpAddr) -> Result<Vec<String>, ResolveError> {
        let address = address.to_canonical();
        let answer = self
            .lookup(&address.to_string(), Name::from(address), RecordType::PTR)
            .await?;
        let name = |datum: &Datum| match datum {
            Datum::Name(name) => Some(name.clone()),
            _ => None,
        };
        Ok(answer.iter().filter_map(name).collect())
    }

    /// Looks up in memory, then asks. The records are of use and at least one.
    async fn lookup(&self, text: &str, name: Name, kind: RecordType) -> Answer {
        let current = self.current.load_full();
        let key = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if let Some(answer) = current.answers.get(&key, kind, Instant::now()) {
            return answer;
        }
        let found = tokio::time::timeout(current.timeout, current.inner.lookup(name, kind)).await;
        let now = Instant::now();
        let (answer, ttl) = match found {
            Ok(Ok(lookup)) => (
                records(&lookup, text),
                lookup.valid_until().saturating_duration_since(now),
            ),
            Ok(Err(error)) => match unfinished_alias(&error) {
                Some(last) if current.is_alias(last).await => (Err(endless_alias(text)), Duration::ZERO),
                _ => classify(text, &error),
            },
            Err(_) => (Err(too_late(text, current.timeout)), Duration::ZERO),
        };
        current.answers.put(&key, kind, answer.clone(), ttl, now);
        answer
    }
}

impl Current {
    /// Whether `name` is an alias (CNAME). What cannot be found out is a yes: then nothing is known for good.
    async fn is_alias(&self, name: &Name) -> bool {
        let question = self.inner.lookup(name.clone(), RecordType::CNAME);
        match tokio::time::timeout(self.timeout, question).await {
            Ok(Err(error)) => !matches!(error, NetError::Dns(DnsError::NoRecordsFound(_))),
            Ok(Ok(_)) | Err(_) => true,
        }
    }
}

/// The name at which following aliases may have ended too early: hickory gives up after a few and reports that there is no record.
/// An honest answer of that kind comes with the SOA record that says for how long it holds (RFC 2308 section 5).
fn unfinished_alias(error: &NetError) -> Option<&Name> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(NoRecords {
            response_code: ResponseCode::NoError,
            soa: None,
            query,
            ..
        })) => Some(query.name()),
        _ => None,
    }
}

/// Somebody's mistake, and mistakes are mended.
fn endless_alias(text: &str) -> ResolveError {
    ResolveError::Temporary {
        name: text.to_owned(),
        reason: "its aliases (CNAME) form a loop, or are too many".to_owned(),
    }
}

fn too_late(text: &str, timeout: Duration) -> ResolveError {
    ResolveError::Temporary {
        name: text.to_owned(),
        reason: format!("no answer within {} s", timeout.as_secs_f32()),
    }
}

/// The servers that are listed, or those of the system; and those of them that cannot be asked.
fn servers(listed: &[SocketAddr]) -> (ResolverConfig, Vec<SocketAddr>) {
    let system = listed.is_empty().then(system::read);
    let tcp_only = system.as_ref().is_some_and(|system| system.tcp_only);
    let all = system.as_ref().map_or(listed, |system| &system.servers);
    let servers = within_reach(all);
    let server = |server: &SocketAddr| {
        let mut connections = vec![ConnectionConfig::tcp()];
        if !tcp_only {
            connections.insert(0, ConnectionConfig::udp());
        }
        for connection in &mut connections {
            connection.port = server.port();
        }
        NameServerConfig::new(server.ip(), true, connections)
    };
    let config = ResolverConfig::from_name_servers(servers.iter().map(server).collect());
    (config, all.iter().copied().filter(is_on_a_link).collect())
}

fn is_on_a_link(server: &SocketAddr) -> bool {
    matches!(server, SocketAddr::V6(v6) if v6.scope_id() != 0)
}

/// The servers that hickory can ask: it has no place for the interface of a link-local one. Without another one it is that of this
/// machine.
fn within_reach(servers: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut within: Vec<SocketAddr> = servers
        .iter()
        .filter(|server| !is_on_a_link(server))
        .copied()
        .collect();
    if within.is_empty() && !servers.is_empty() {
        within.push((Ipv4Addr::LOCALHOST, 53).into());
    }
    within
}

/// Turns text into a fully qualified name (RFC 1035 section 2.3.1, with underscores).
fn checked_name(text: &str) -> Result<Name, ResolveError> {
    let bad = || ResolveError::BadName(text.to_owned());
    let host = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Err(bad());
    }
    let mut name = Name::from_ascii(host).map_err(|_| bad())?;
    name.set_fqdn(true);
    Ok(name)
}

/// The same for names that strangers' records make up, whose labels may have any printable character of ASCII.
fn printable_name(text: &str) -> Result<Name, ResolveError> {
    let bad = || ResolveError::BadName(text.to_owned());
    let host = text.strip_suffix('.').unwrap_or(text);
    let label =
        |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(|octet| octet.is_ascii_graphic());
    if host.len() > 253 || !host.split('.').all(label) {
        return Err(bad());
    }
    let mut name = Name::from_labels(host.split('.').map(str::as_bytes)).map_err(|_| bad())?;
    name.set_fqdn(true);
    Ok(name)
}

fn host_text(name: &Name) -> String {
    let mut text = name.to_lowercase().to_ascii();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

fn records(lookup: &Lookup, text: &str) -> Answer {
    let records: Vec<_> = lookup
        .answers()
        .iter()
        .filter_map(|record| Datum::from_record(&record.data))
        .take(RECORDS_MAX)
        .collect();
    if records.is_empty() {
        return Err(ResolveError::NoData(text.to_owned()));
    }
    Ok(records.into())
}

fn addresses_in(records: &[Datum]) -> impl Iterator<Item = IpAddr> {
    records.iter().filter_map(|datum| match datum {
        Datum::Address(address) => Some(*address),
        _ => None,
    })
}

/// Also says for how long the answer holds; a failure is not kept.
fn classify(text: &str, error: &NetError) -> (Answer, Duration) {
    let temporary = |reason: String| {
        let name = text.to_owned();
        (Err(ResolveError::Temporary { name, reason }), Duration::ZERO)
    };
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let ttl = Duration::from_secs(none.negative_ttl.unwrap_or(0).into());
            match none.response_code {
                ResponseCode::NXDomain => (Err(ResolveError::NoSuchDomain(text.to_owned())), ttl),
                ResponseCode::NoError => (Err(ResolveError::NoData(text.to_owned())), ttl),
                code => temporary(format!("the name server answers: {code}")),
            }
        }
        NetError::Dns(DnsError::ResponseCode(code)) => temporary(format!("the name server answers: {code}")),
        NetError::Timeout => temporary("the name server does not answer".to_owned()),
        other => temporary(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "a".repeat(64);
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61));
        #[rustfmt::skip]
        let cases = [
            // what the case shows       text                       accepted
            ("plain",                    "mx.example.org",          true),
            ("trailing dot",             "mx.example.org.",         true),
            ("underscore",               "_smtp.example.org",       true),
            ("A-label",                  "xn--bcher-kva.example",   true),
            ("253 octets",               longest.as_str(),          true),
            ("label of 64 octets",       long.as_str(),             false),
            ("empty",                    "",                        false),
            ("root",                     ".",                       false),
            ("empty label",              "a..b",                    false),
            ("hyphen in front",          "-a.example",              false),
            ("escape",                   "a\\.b",                   false),
            ("blank",                    "a b",                     false),
            ("line end",                 "a\r\nb",                  false),
            ("literal",                  "[192.0.2.1]",             false),
            ("beyond ASCII",             "bücher.example",          false),
        ];
        for (shows, text, accepted) in cases {
            assert_eq!(checked_name(text).is_ok(), accepted, "{shows}");
        }
        assert!(checked_name("a").unwrap().is_fqdn(), "no search list is applied");
    }

    #[test]
    fn servers_on_a_link_are_not_asked() {
        #[rustfmt::skip]
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("as listed",          &["192.0.2.1:53", "[2001:db8::1]:5353"], &["192.0.2.1:53", "[2001:db8::1]:5353"]),
            ("one on a link",      &["[fe80::1%3]:53", "192.0.2.1:53"],     &["192.0.2.1:53"]),
            ("no other",           &["[fe80::1%3]:53"],                     &["127.0.0.1:53"]),
            ("none",               &[],                                     &[]),
        ];
        let parsed =
            |texts: &[&str]| -> Vec<SocketAddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
        for (shows, servers, expected) in cases {
            assert_eq!(within_reach(&parsed(servers)), parsed(expected), "{shows}");
        }
    }

    #[test]
    fn names_that_strangers_make_up() {
        for (text, accepted) in [
            ("_dmarc.example.org", true),
            ("a+b=c._spf.example.org", true),
            ("%7Euser.example.org", true),
            ("a\\.b", true),
            ("a b.example.org", false),
            ("a..b", false),
            ("b\u{fc}cher.example", false),
            ("", false),
        ] {
            assert_eq!(printable_name(text).is_ok(), accepted, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn an_accepted_name_comes_back(text in "[a-z0-9_][a-z0-9_-]{0,62}(\\.[a-z0-9_][a-z0-9_-]{0,62}){0,2}") {
            proptest::prop_assert_eq!(host_text(&checked_name(&text).unwrap()), text);
        }
    }
}
