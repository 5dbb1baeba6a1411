//! DNS look-ups with typed answers.
//!
//! Names are always looked up as written: no search list is applied. `/etc/hosts` is honoured for addresses.

mod anchors;
mod ask;
mod cache;
mod dname;
mod error;
mod mend;
mod name;
mod proof;
mod records;
mod reverse;
mod system;

pub use ask::Dnssec;
pub use error::{ResolveError, ResolverSetupError};
pub use proof::Proven;
pub use records::{MxRecord, SrvRecord, TlsaRecord};
pub use reverse::ReverseName;

use arc_swap::ArcSwap;
use ask::Asker;
use cache::{Answer, Answers, Datum, Found};
use hickory_resolver::config::ResolverOpts;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};
use name::{checked_name, host_text, printable_name};
use postern_mail::Proof;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most queries open at once on one TCP connection to a name server.
const TCP_QUESTIONS_MAX: usize = 1_024;

/// How to look up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolverSettings {
    /// Name servers to ask, over UDP, and TCP where needed. Default: none, which means those of
    /// `/etc/resolv.conf`, or the one on this machine if that names none (resolv.conf(5)).
    pub nameservers: Vec<SocketAddr>,
    /// How long to wait for one server's answer before asking again, or asking another one. Default 3 s.
    pub attempt_timeout: Duration,
    /// Bound on a whole look-up, with all its queries. Default 15 s.
    pub timeout: Duration,
    /// Memory for answers, in octets, by estimate. Default 8 MiB, some 20,000 usual answers.
    pub cache_size: u64,
    /// How far answers are proven. Default: not at all, which costs nothing.
    pub dnssec: Dnssec,
    /// A file of further trust anchors for [`Dnssec::Validate`], DNSKEY records as in a zone file. Those of the root are built
    /// in; root keys in the file replace them.
    pub trust_anchors: Option<PathBuf>,
}

impl Default for ResolverSettings {
    fn default() -> Self {
        Self {
            nameservers: Vec::new(),
            attempt_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(15),
            cache_size: 8 << 20,
            dnssec: Dnssec::Off,
            trust_anchors: None,
        }
    }
}

/// Reads a file of trust anchors, as [`Resolver::new`] does.
///
/// # Errors
///
/// The file cannot be read, is not a file of DNSKEY records, or has none.
pub fn check_anchors(path: &Path) -> Result<(), ResolverSetupError> {
    anchors::load(Some(path)).map(|_| ())
}

impl ResolverSettings {
    /// The servers that are asked: those in the settings, or those of the system.
    #[must_use]
    pub fn asked(&self) -> Vec<SocketAddr> {
        ask::asked(&self.nameservers)
    }
}

/// Looks names up and caches the answers for as long as their TTL allows. Clones share the cache and the list of servers.
#[derive(Clone, Debug)]
pub struct Resolver {
    current: Arc<ArcSwap<Current>>,
}

/// The servers to ask, the time limits, and the answers.
#[derive(Debug)]
struct Current {
    asker: Asker,
    dnssec: Dnssec,
    answers: Answers,
    timeout: Duration,
    passed_over: Vec<SocketAddr>,
}

impl Resolver {
    /// A resolver with these settings.
    ///
    /// # Errors
    ///
    /// The settings name no server, and neither does the system; or the trust anchors cannot be read.
    pub fn new(settings: &ResolverSettings) -> Result<Self, ResolverSetupError> {
        let (config, passed_over) = ask::servers(&settings.nameservers);
        let anchors = settings.trust_anchors.as_deref();
        let anchors = anchors::load(anchors.filter(|_| settings.dnssec == Dnssec::Validate))?;
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
        let asker = Asker::new(config, options, settings.dnssec, anchors)
            .map_err(|error| ResolverSetupError(error.to_string()))?;
        let current = Current {
            asker,
            dnssec: settings.dnssec,
            answers: Answers::new(settings.cache_size),
            timeout: settings.timeout,
            passed_over,
        };
        Ok(Self {
            current: Arc::new(ArcSwap::from_pointee(current)),
        })
    }

    /// Name servers of the settings or the system that are not asked: hickory cannot take the interface of a link-local address.
    #[must_use]
    pub fn passed_over(&self) -> Vec<SocketAddr> {
        self.current.load().passed_over.clone()
    }

    /// How far answers are proven.
    #[must_use]
    pub fn dnssec(&self) -> Dnssec {
        self.current.load().dnssec
    }

    /// Switches to the servers, time limits and answers of `other`, in all clones of this one. Look-ups in progress finish with
    /// the old ones.
    pub fn become_like(&self, other: &Self) {
        self.current.store(other.current.load_full());
    }

    /// The MX records of `domain` in order of preference; at least one.
    ///
    /// # Errors
    ///
    /// [`ResolveError::NoData`] when there are none: the domain's own addresses stand in for them.
    pub async fn mx(&self, domain: &str) -> Result<Vec<MxRecord>, ResolveError> {
        self.proven_mx(domain).await.found
    }

    /// The same, and how far that is proven; so is their absence.
    pub async fn proven_mx(&self, domain: &str) -> Proven<Result<Vec<MxRecord>, ResolveError>> {
        let exchange = |datum: &Datum| match datum {
            Datum::Exchange(mx) => Some(mx.clone()),
            _ => None,
        };
        let mut proven = self.proven(domain, RecordType::MX, exchange).await;
        if let Ok(records) = &mut proven.found {
            records.sort();
            records.dedup();
        }
        proven
    }

    /// The TLSA records of the service at `port` of `host`, over TCP, and how far they are proven (RFC 6698 section 3); at least one.
    pub async fn tlsa(&self, host: &str, port: u16) -> Proven<Result<Vec<TlsaRecord>, ResolveError>> {
        let name = format!("_{port}._tcp.{host}");
        let record = |datum: &Datum| match datum {
            Datum::Tlsa(record) => Some(record.clone()),
            _ => None,
        };
        self.proven(&name, RecordType::TLSA, record).await
    }

    async fn proven<T>(
        &self,
        text: &str,
        kind: RecordType,
        pick: impl Fn(&Datum) -> Option<T>,
    ) -> Proven<Result<Vec<T>, ResolveError>> {
        let found = match checked_name(text) {
            Ok(name) => self.lookup(text, name, kind).await,
            Err(error) => Found::unproven(Err(error)),
        };
        Proven {
            found: found.answer.map(|data| data.iter().filter_map(pick).collect()),
            proof: found.proof,
            canonical: found.canonical.map(Into::into),
        }
    }

    /// The SRV records of `name`, such as `_ldap._tcp.example.org`, by priority; at least one.
    ///
    /// # Errors
    ///
    /// [`ResolveError`].
    pub async fn srv(&self, name: &str) -> Result<Vec<SrvRecord>, ResolveError> {
        let answer = self
            .lookup(name, checked_name(name)?, RecordType::SRV)
            .await
            .answer?;
        let service = |datum: &Datum| match datum {
            Datum::Service(srv) => Some(srv.clone()),
            _ => None,
        };
        let mut records: Vec<_> = answer.iter().filter_map(service).collect();
        records.sort();
        records.dedup();
        Ok(records)
    }

    /// The addresses of `host`, IPv6 and IPv4; at least one. A literal address is returned as it is.
    ///
    /// # Errors
    ///
    /// [`ResolveError`]; temporary only when neither family was found and one of the look-ups failed. [`ResolveError::Bogus`]
    /// when either answer is.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        self.proven_addresses(host).await.found
    }

    /// The same, and how far that is proven, both families together.
    pub async fn proven_addresses(&self, host: &str) -> Proven<Result<Vec<IpAddr>, ResolveError>> {
        let bare = |found| Proven {
            found,
            proof: Proof::Indeterminate,
            canonical: None,
        };
        if let Ok(address) = host.parse() {
            return bare(Ok(vec![address]));
        }
        let name = match checked_name(host) {
            Ok(name) => name,
            Err(error) => return bare(Err(error)),
        };
        let (v6, v4) = tokio::join!(
            self.lookup(host, name.clone(), RecordType::AAAA),
            self.lookup(host, name.clone(), RecordType::A)
        );
        let addresses: Vec<_> = [&v6, &v4]
            .into_iter()
            .flat_map(|found| &found.answer)
            .flat_map(|records| addresses_in(records))
            .collect();
        // A family without records is ignored as if it had not been looked up, unless the answer was tampered with.
        let proof = [&v6, &v4]
            .into_iter()
            .filter(|found| found.answer.is_ok() || found.proof == Proof::Bogus || addresses.is_empty())
            .map(|found| found.proof)
            .reduce(Proof::and)
            .unwrap_or(Proof::Indeterminate);
        let canonical = v4.canonical.clone().or_else(|| v6.canonical.clone());
        let found = if proof == Proof::Bogus {
            Err(ResolveError::Bogus(host.to_owned()))
        } else if !addresses.is_empty() {
            Ok(addresses)
        } else {
            match (v6.answer, v4.answer) {
                (Err(v6), _) if v6.is_temporary() => Err(v6),
                // A broken server may say that the name does not exist when asked for IPv6, so the answer for IPv4 decides.
                (_, Err(v4)) => Err(v4),
                _ => Err(ResolveError::NoData(host.to_owned())),
            }
        };
        Proven {
            found,
            proof,
            canonical: canonical.map(Into::into),
        }
    }

    /// The IPv4 addresses of `name`, as DNS lists return them (RFC 5782); none where it does not exist. `/etc/hosts` is ignored.
    ///
    /// # Errors
    ///
    /// [`ResolveError::BadName`], and temporary errors.
    pub async fn list_answers(&self, name: &str) -> Result<Vec<Ipv4Addr>, ResolveError> {
        match self.lookup(name, checked_name(name)?, RecordType::A).await.answer {
            Ok(found) => Ok(addresses_in(&found)
                .filter_map(|address| match address {
                    IpAddr::V4(address) => Some(address),
                    IpAddr::V6(_) => None,
                })
                .collect()),
            Err(error) if error.is_temporary() => Err(error),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// The TXT records of `name`, the strings of each joined; at least one. Its labels may have any printable character:
    /// strangers' records contain such names.
    ///
    /// # Errors
    ///
    /// [`ResolveError`].
    pub async fn txt(&self, name: &str) -> Result<Vec<Vec<u8>>, ResolveError> {
        let answer = self
            .lookup(name, printable_name(name)?, RecordType::TXT)
            .await
            .answer?;
        let text = |datum: &Datum| match datum {
            Datum::Text(text) => Some(text.to_vec()),
            _ => None,
        };
        Ok(answer.iter().filter_map(text).collect())
    }

    /// The addresses of `host` in one family, from its A or AAAA records; at least one. `/etc/hosts` is ignored: this looks up
    /// what the rest of the world sees. The name may be as for [`txt`](Self::txt).
    ///
    /// # Errors
    ///
    /// [`ResolveError`].
    pub async fn address_records(&self, host: &str, v6: bool) -> Result<Vec<IpAddr>, ResolveError> {
        let kind = if v6 { RecordType::AAAA } else { RecordType::A };
        let answer = self.lookup(host, printable_name(host)?, kind).await.answer?;
        Ok(addresses_in(&answer).collect())
    }

    /// Looks in the cache, then asks. There is at least one usable record.
    async fn lookup(&self, text: &str, name: Name, kind: RecordType) -> Found {
        let current = self.current.load_full();
        let key = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if let Some(found) = current.answers.get(&key, kind, now()) {
            return found;
        }
        let asked = tokio::time::timeout(current.timeout, current.asker.ask(name.clone(), kind)).await;
        let now = now();
        let (found, ttl) = match asked {
            Ok(Ok(lookup)) => (
                current.read(&lookup, text, &name, kind),
                lookup.valid_until().saturating_duration_since(now),
            ),
            Ok(Err(error)) => match unfinished_alias(&error) {
                Some(last) if current.is_alias(last).await => {
                    (Found::unproven(Err(endless_alias(text))), Duration::ZERO)
                }
                _ => current.classify(text, &name, &error),
            },
            Err(_) => (
                Found::unproven(Err(too_late(text, current.timeout))),
                Duration::ZERO,
            ),
        };
        // A bogus answer is not cached but asked for again: mistakes get repaired, and attackers leave.
        let ttl = if found.proof == Proof::Bogus {
            Duration::ZERO
        } else {
            ttl
        };
        current.answers.put(&key, kind, found.clone(), ttl, now);
        found
    }
}

/// Now, by the timers' clock, so that tests can advance both together.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Current {
    /// Whether `name` is an alias (CNAME). If that cannot be found out, the answer is yes: then nothing is final.
    async fn is_alias(&self, name: &Name) -> bool {
        let question = self.asker.ask(name.clone(), RecordType::CNAME);
        match tokio::time::timeout(self.timeout, question).await {
            Ok(Err(error)) => !matches!(error, NetError::Dns(DnsError::NoRecordsFound(_))),
            Ok(Ok(_)) | Err(_) => true,
        }
    }

    /// Interprets an answer with records.
    fn read(&self, lookup: &Lookup, text: &str, asked: &Name, kind: RecordType) -> Found {
        let reading = proof::read(self.dnssec, lookup, asked, kind);
        let answer: Answer = if reading.proof == Proof::Bogus {
            Err(ResolveError::Bogus(text.to_owned()))
        } else if reading.data.is_empty() {
            Err(ResolveError::NoData(text.to_owned()))
        } else {
            Ok(reading.data.into())
        };
        Found {
            answer,
            proof: reading.proof,
            canonical: reading.canonical.map(|name| host_text(&name).into()),
        }
    }

    /// Interprets an answer without records, and says how long it may be cached; a failure is not.
    fn classify(&self, text: &str, asked: &Name, error: &NetError) -> (Found, Duration) {
        let temporary = |reason: String| {
            let name = text.to_owned();
            let error = ResolveError::Temporary { name, reason };
            (Found::unproven(Err(error)), Duration::ZERO)
        };
        let bogus = || {
            let found = Found {
                proof: Proof::Bogus,
                ..Found::unproven(Err(ResolveError::Bogus(text.to_owned())))
            };
            (found, Duration::ZERO)
        };
        let denied = |code: ResponseCode, proof: Proof, ttl: Duration| {
            let error = match code {
                ResponseCode::NXDomain => ResolveError::NoSuchDomain(text.to_owned()),
                ResponseCode::NoError => ResolveError::NoData(text.to_owned()),
                code => return temporary(format!("the name server answers: {code}")),
            };
            let found = Found {
                proof,
                ..Found::unproven(Err(error))
            };
            (found, ttl)
        };
        match error {
            NetError::Dns(DnsError::NoRecordsFound(none)) => match proof::denial(self.dnssec, none, asked) {
                Proof::Bogus => bogus(),
                proof => denied(none.response_code, proof, negative_ttl(none)),
            },
            // An unproven denial that needs no proof: the zone is unsigned.
            NetError::Dns(DnsError::Nsec { response, proof, .. }) if proof.is_insecure() => {
                denied(response.response_code, Proof::Insecure, Duration::ZERO)
            }
            NetError::Dns(DnsError::DnssecBogus | DnsError::Nsec { .. }) => bogus(),
            NetError::Dns(DnsError::ResponseCode(code)) => {
                temporary(format!("the name server answers: {code}"))
            }
            NetError::Timeout => temporary("the name server does not answer".to_owned()),
            other => temporary(other.to_string()),
        }
    }
}

/// How long a negative answer may be cached (RFC 2308 section 5).
fn negative_ttl(none: &NoRecords) -> Duration {
    // hickory omits it after validation.
    let soa = || none.soa.as_ref().map(|soa| soa.ttl.min(soa.data.minimum));
    Duration::from_secs(none.negative_ttl.or_else(soa).unwrap_or(0).into())
}

/// The name at which hickory may have stopped following aliases too early: it gives up after a few and reports that there is no
/// record. A genuine negative answer comes with the SOA record that says how long it holds (RFC 2308 section 5).
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

/// Temporary: this is somebody's mistake, and mistakes get repaired.
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

fn addresses_in(records: &[Datum]) -> impl Iterator<Item = IpAddr> {
    records.iter().filter_map(|datum| match datum {
        Datum::Address(address) => Some(*address),
        _ => None,
    })
}
