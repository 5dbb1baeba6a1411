//! From a next hop to a ready dialogue: hosts in order, addresses of each, greeting, TLS.

use std::net::IpAddr;
use std::sync::Arc;

use postern_events::{HopReached, Observers, TlsWanted, notice, shown};
use postern_mail::{Domain, Proof, Status, chain};
use postern_net::resolver::{self, Dnssec, Proven, ResolveError, Resolver};
use postern_net::tls::{ClientTls, HandshakeError};
use postern_net::{MailStream, dial};
use postern_policy::concurrency::Site;
use postern_policy::reach::Unreachable;
use postern_policy::route::{self, Family, Hop, HopHost, MxRecord, MxVerdict, RouteLogin};
use postern_policy::transport::{
    self, Candidate, Certificate, Demand, Endpoint, Facts, NoDane, NoWay, Tls, Try, Way,
};
use postern_sasl::Mechanism;
use postern_smtp::Reply;
use postern_smtp::client::{self, Capabilities, Opening, OpeningStep, Stage, StartTls};
use secrecy::SecretString;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::TlsClients;
use crate::dane;
use crate::failure::{Cause, DnsFact, Failure, TlsFact};
use crate::hop::{HopKind, NextHop};
use crate::login::{self, Call, Trouble};
use crate::quirks::{Quirk, Quirks};
use crate::relay::Relay;
use crate::seat::Seat;
use crate::session::{self, Session, SessionError, Wire, limit};
use crate::settings::{Login, Settings};
use crate::time;

/// What connecting needs.
pub(crate) struct Dialer<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) resolver: &'a Resolver,
    pub(crate) tls: &'a TlsClients,
    pub(crate) quirks: &'a Quirks,
    /// A random number, which decides between hosts of equal preference.
    pub(crate) seed: u64,
    /// Hosts already tried in this attempt.
    pub(crate) avoid: &'a [Relay],
    /// The place of the connection.
    pub(crate) seat: &'a Seat,
    /// What to log in with.
    pub(crate) login: Option<Credentials>,
    pub(crate) observers: &'a Observers,
}

/// The credentials for whatever host is reached.
pub(crate) struct Credentials {
    pub(crate) login: Arc<Login>,
    pub(crate) route: RouteLogin,
    pub(crate) token: Option<SecretString>,
}

/// Why no dialogue could be opened.
pub(crate) enum NotOpened {
    Failed(Failure),
    /// This address or network has all the connections it may have.
    Full(Site),
    /// A host refused the login, with its token or otherwise; or no host was suitable for it.
    Login {
        failure: Failure,
        token: bool,
    },
}

/// Why a host has no address to try.
enum NoAddress {
    /// It is this server itself.
    Ourselves(Failure),
    Failed(Failure),
}

/// A host of a next hop.
struct Host {
    hop: Hop,
    /// How far the MX records that name it are proven, if DNSSEC is on.
    mx: Option<Proof>,
}

/// A host with the addresses that are tried.
struct Found {
    candidates: Vec<Candidate>,
    /// How far DNSSEC proves the path, if it is on.
    way: Way,
    /// What DNS says about the host's certificate.
    dane: dane::Known,
}

/// Why one address failed.
enum Refusal {
    /// TLS failed; cleartext might work.
    Tls(Failure),
    /// The login was refused; the other hosts of the route have the same accounts.
    Login {
        failure: Failure,
        token: bool,
    },
    /// The host is not suitable for the login; another one may be.
    Unfit(Failure),
    /// It is this server itself.
    Ourselves(Failure),
    Other(Failure),
}

impl Refusal {
    fn on(self, way: Way) -> Self {
        match self {
            Self::Tls(failure) => Self::Tls(failure.on(way)),
            Self::Login { failure, token } => Self::Login {
                failure: failure.on(way),
                token,
            },
            Self::Unfit(failure) => Self::Unfit(failure.on(way)),
            Self::Ourselves(failure) => Self::Ourselves(failure.on(way)),
            Self::Other(failure) => Self::Other(failure.on(way)),
        }
    }
}

impl Dialer<'_> {
    /// Connects to the first host that accepts a session.
    ///
    /// # Errors
    ///
    /// The failure of the last host tried; permanent only when all are.
    pub(crate) async fn open(&self, hop: &NextHop) -> Result<Session, NotOpened> {
        let hosts = self.hosts(hop).await.map_err(NotOpened::Failed)?;
        let mut left = self.settings.limits.addresses_per_attempt;
        let mut worst: Option<Failure> = None;
        let mut unfit: Option<Failure> = None;
        let mut full: Option<Site> = None;
        'hosts: for Host { hop: host, mx } in &hosts {
            let found = match self.candidates(host, hop, *mx).await {
                Ok(found) => found,
                Err(NoAddress::Ourselves(failure)) => {
                    worst = Some(later(worst, failure));
                    // Less preferred hosts would only send it back here (RFC 5321 section 5.1).
                    break;
                }
                Err(NoAddress::Failed(failure)) => {
                    worst = Some(later(worst, failure));
                    continue;
                }
            };
            for candidate in &found.candidates {
                if left == 0 {
                    break;
                }
                if let Err(site) = self.enter(hop, &candidate.to) {
                    full.get_or_insert(site);
                    continue;
                }
                left -= 1;
                let opened = self.open_candidate(hop, host, candidate, &found.dane).await;
                match opened.map_err(|refusal| refusal.on(found.way)) {
                    Ok(mut session) => {
                        session.way = found.way;
                        return Ok(session);
                    }
                    Err(Refusal::Login { failure, token }) => {
                        return Err(NotOpened::Login { failure, token });
                    }
                    Err(Refusal::Unfit(failure)) => {
                        notice!(
                            self.observers,
                            Login Warning "host passed over",
                            Relay = shown(&failure.relay),
                            Status = shown(&failure.status),
                            Reason = &*failure.text(),
                        );
                        unfit.get_or_insert(failure);
                    }
                    Err(Refusal::Ourselves(failure)) => {
                        worst = Some(later(worst, failure));
                        break 'hosts;
                    }
                    Err(Refusal::Tls(failure) | Refusal::Other(failure)) => {
                        tracing::debug!(
                            target: "postern::attempt", relay = %failure.relay, status = %failure.status, reply = %failure.text(),
                            "connect"
                        );
                        worst = Some(later(worst, failure));
                    }
                }
            }
            if left == 0 {
                break;
            }
        }
        if let Some(site) = full {
            return Err(NotOpened::Full(site));
        }
        // A problem that needs an administrator takes precedence over one that may resolve itself.
        if let Some(failure) = unfit {
            return Err(NotOpened::Login {
                failure,
                token: false,
            });
        }
        let none = || {
            Failure::temporary(
                Status(4, 4, 4),
                &Relay::Nowhere,
                Cause::Settings("no host to try".into()),
            )
        };
        Err(NotOpened::Failed(worst.unwrap_or_else(none)))
    }

    /// Counts a connection to a host named by DNS or an address literal. Hosts named by an administrator are few, and each has
    /// its limit.
    fn enter(&self, hop: &NextHop, to: &Endpoint) -> Result<(), Site> {
        match to {
            Endpoint::Tcp(address) if hop.is_outside() => self.seat.enter(address.ip()),
            _ => Ok(()),
        }
    }

    /// The hosts of a next hop, in the order in which they are tried.
    async fn hosts(&self, hop: &NextHop) -> Result<Vec<Host>, Failure> {
        match &hop.kind {
            HopKind::Hosts { via, .. } => self.named_hosts(via).await,
            HopKind::Maildir(_)
            | HopKind::System(_)
            | HopKind::Pipe { .. }
            | HopKind::Discard
            | HopKind::Refuse(_)
            | HopKind::Unknown(_) => Ok(Vec::new()),
            HopKind::Mx(domain) => {
                let found = self.hosts_of(domain, self.settings.mx_port).await;
                self.with_fallback(found).await
            }
            HopKind::Literal(address) if self.settings.address_literals => Ok(vec![Host {
                hop: Hop {
                    host: HopHost::Ip(address.ip()),
                    port: address.port(),
                },
                mx: None,
            }]),
            HopKind::Literal(address) => {
                let literal = Domain::Literal(address.ip());
                let text = format!("mail to address literals such as {literal} is not sent from here");
                Err(Failure::permanent(
                    Status(5, 1, 2),
                    &Relay::Nowhere,
                    Cause::Settings(text.into()),
                ))
            }
        }
    }

    /// The same with the fallback hosts, for when all of a domain's own fail or cannot be found. Not for a domain that says that
    /// it accepts no mail (RFC 7505).
    async fn with_fallback(&self, found: Result<Vec<Host>, Failure>) -> Result<Vec<Host>, Failure> {
        let fallback = &self.settings.fallback;
        let says_no = |failure: &Failure| matches!(&*failure.cause, Cause::Dns(DnsFact::NullMx, _));
        if fallback.is_empty() || found.as_ref().err().is_some_and(says_no) {
            return found;
        }
        match (found, self.named_hosts(fallback).await) {
            (Ok(mut hosts), Ok(more)) => {
                hosts.extend(more);
                Ok(hosts)
            }
            (Err(_), Ok(hosts)) => Ok(hosts),
            (found, Err(_)) => found,
        }
    }

    /// The hosts that a route names: each directly, or through its MX records. One without usable records is skipped if there are
    /// others.
    async fn named_hosts(&self, via: &[Hop]) -> Result<Vec<Host>, Failure> {
        let mut hosts = Vec::with_capacity(via.len());
        let mut failed = None;
        for hop in via {
            let HopHost::Mx(name) = &hop.host else {
                hosts.push(Host {
                    hop: hop.clone(),
                    mx: None,
                });
                continue;
            };
            match self.hosts_of(name, hop.port).await {
                Ok(found) => hosts.extend(found),
                Err(failure) => failed = Some(later(failed, failure)),
            }
        }
        match failed {
            Some(failure) if hosts.is_empty() => Err(failure),
            _ => Ok(hosts),
        }
    }

    /// The hosts that the MX records of a domain name.
    async fn hosts_of(&self, domain: &str, port: u16) -> Result<Vec<Host>, Failure> {
        let answer = self.resolver.proven_mx(domain).await;
        let mx = self.told(answer.proof);
        match self.mx_hosts(domain, port, answer.found) {
            Ok(hosts) => Ok(hosts.into_iter().map(|hop| Host { hop, mx }).collect()),
            Err(failure) => Err(failure.on(Way { mx, addresses: None })),
        }
    }

    /// The proof to report: none if DNSSEC is off.
    fn told(&self, proof: Proof) -> Option<Proof> {
        (self.resolver.dnssec() != Dnssec::Off).then_some(proof)
    }

    fn mx_hosts(
        &self,
        domain: &str,
        port: u16,
        found: Result<Vec<resolver::MxRecord>, ResolveError>,
    ) -> Result<Vec<Hop>, Failure> {
        let named = |name: &str| Hop {
            host: HopHost::Name(name.into()),
            port,
        };
        let records = match found {
            Ok(records) => records,
            Err(ResolveError::NoData(_)) => Vec::new(),
            Err(error) => return Err(mx_failure(domain, &error)),
        };
        let records: Vec<MxRecord> = records
            .into_iter()
            .map(|record| MxRecord {
                preference: record.preference,
                exchange: record.exchange,
            })
            .collect();
        let own: Vec<&str> = self.own_names().collect();
        match route::mx_hosts(&records, &own, self.seed) {
            MxVerdict::Hosts(hosts) => Ok(hosts.iter().map(|host| named(host)).collect()),
            MxVerdict::Implicit if self.is_own_name(domain) => {
                Err(loops_back(domain, "it is this server's own name"))
            }
            MxVerdict::Implicit => Ok(vec![named(domain)]),
            MxVerdict::NullMx => Err(Failure::permanent(
                Status(5, 1, 10),
                &Relay::Nowhere,
                Cause::Dns(
                    DnsFact::NullMx,
                    format!("{domain} accepts no mail: it has a null MX record (RFC 7505)").into(),
                ),
            )),
            MxVerdict::Loop => Err(loops_back(domain, "its MX records name this server")),
            MxVerdict::Unusable => Err(Failure::temporary(
                Status(4, 4, 4),
                &Relay::Nowhere,
                Cause::Dns(
                    DnsFact::NoHost,
                    format!("the MX records of {domain} name no usable host").into(),
                ),
            )),
        }
    }

    fn is_own_name(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.');
        self.own_names()
            .any(|own| own.trim_end_matches('.').eq_ignore_ascii_case(name))
    }

    fn own_names(&self) -> impl Iterator<Item = &str> {
        let settings = self.settings;
        settings
            .own_names
            .iter()
            .chain([&settings.hostname])
            .map(String::as_str)
    }

    /// The addresses of one host to try, each with its tries; `mx` is how far the host itself is proven.
    async fn candidates(&self, host: &Hop, hop: &NextHop, mx: Option<Proof>) -> Result<Found, NoAddress> {
        let mut way = Way { mx, addresses: None };
        let mut dane = dane::Known::default();
        let found = match &host.host {
            // MX records have already become names.
            HopHost::Unix(_) | HopHost::Mx(_) => Vec::new(),
            HopHost::Ip(ip) => vec![*ip],
            HopHost::Name(name) => {
                let answer = self.resolve(name).await;
                way.addresses = self.told(answer.proof);
                if transport::wants_tlsa(hop.tls, way) {
                    let limit = self.settings.timeouts.resolve;
                    let canonical = answer.canonical.as_deref();
                    dane = dane::look(self.resolver, name, canonical, host.port, limit).await;
                }
                answer
                    .found
                    .map_err(|error| NoAddress::Failed(address_failure(name, hop, &error).on(way)))?
            }
        };
        let named = !found.is_empty();
        let found = hop.lane.family.arrange(found);
        if named && found.is_empty() {
            let failure = no_address_of(&host_name(host), hop.lane.family);
            return Err(NoAddress::Failed(failure.on(way)));
        }
        let now = time::now();
        let facts = Facts {
            way,
            tlsa: dane.tlsa.clone(),
            tls: hop.tls,
            verify: hop.verify,
            pinned: !hop.lane.pins.is_empty(),
            host: match &host.host {
                HopHost::Name(name) => self.settings.tls_hosts.demand(name),
                _ => transport::HostDemand::Nothing,
            },
            login: self.login.is_some(),
            outside: hop.is_outside(),
            listeners: &self.settings.listeners,
            exempt: &self.settings.mx_networks,
            is_own: &dial::is_own,
            breaks_by_tls: &|to| self.quirks.has(&relay_of(host, to), Quirk::Tls, now),
            is_tried: &|to| self.avoid.contains(&relay_of(host, to)),
        };
        let name = host_name(host);
        match transport::candidates(host, &found, &facts) {
            Ok(candidates) => Ok(Found {
                candidates,
                way,
                dane,
            }),
            Err(NoWay::Ourselves(why)) => {
                let why = format!("{name} is this server: {why}");
                Err(NoAddress::Ourselves(looping(&hop.kind, &why).on(way)))
            }
            Err(NoWay::Unreachable(unreachable)) => {
                Err(NoAddress::Failed(unreachable_host(&name, unreachable).on(way)))
            }
            Err(NoWay::TlsaUnknown(why)) => {
                Err(NoAddress::Failed(tlsa_unknown(&name, &why, dane.bogus).on(way)))
            }
            Err(NoWay::NoDane(why)) => Err(NoAddress::Failed(no_dane(&name, why).on(way))),
        }
    }

    async fn resolve(&self, name: &str) -> Proven<Result<Vec<IpAddr>, ResolveError>> {
        let limit = self.settings.timeouts.resolve;
        let asked = timeout(limit, self.resolver.proven_addresses(name)).await;
        asked.unwrap_or_else(|_| Proven {
            found: Err(ResolveError::Temporary {
                name: name.to_owned(),
                reason: format!("no answer within {} s", limit.as_secs()),
            }),
            proof: Proof::Indeterminate,
            canonical: None,
        })
    }

    /// Tries one address, twice if the plan has a second try.
    async fn open_candidate(
        &self,
        hop: &NextHop,
        host: &Hop,
        candidate: &Candidate,
        dane: &dane::Known,
    ) -> Result<Session, Refusal> {
        let target = Target {
            hop,
            host,
            to: &candidate.to,
            dane,
        };
        match (self.dial(&target, candidate.first).await, candidate.then) {
            (Err(Refusal::Tls(failure)), Some(then)) => {
                notice!(
                    self.observers,
                    Tls Warning "TLS failed, once more in the clear",
                    Relay = shown(&failure.relay),
                    Failure = failure.fact().kind.name(),
                    Reason = &*failure.text(),
                );
                let mut session = self.dial(&target, then).await?;
                session.gave_up_tls = true;
                Ok(session)
            }
            (dialled, _) => dialled,
        }
    }

    async fn dial(&self, target: &Target<'_>, by: Try) -> Result<Session, Refusal> {
        let Target { hop, host, to, .. } = *target;
        let begun = time::now();
        let relay = relay_of(host, to);
        let protocol = hop.protocol();
        let wire = self.connect(to, &relay, hop).await.map_err(Refusal::Other)?;
        let mut session = Session::new(wire, protocol, relay);
        session.hurry = self.seat.hurry();
        let wish = match by.tls {
            Tls::Never => StartTls::Never,
            Tls::IfOffered => StartTls::IfOffered,
            Tls::StartTls => StartTls::Required,
            Tls::Implicit => {
                session = self.secure(target, session, by).await?;
                StartTls::Never
            }
        };
        let mut opening = Opening::new(protocol, self.helo(hop), wish);
        let mut step = OpeningStep::Read(Stage::Greeting);
        // Whether the handshake is done but the host has not answered inside TLS: with TLS 1.3 it checks the client's last
        // message after the client considers the handshake done, so only its answer confirms it.
        let mut untried = false;
        loop {
            step = match step {
                OpeningStep::Read(stage) => {
                    let limit = limit(&self.settings.timeouts, stage);
                    let reply = session.ask(stage, limit).await.map_err(|error| {
                        if untried {
                            tls_broken(&error, &session.relay)
                        } else {
                            broken(&error, &session.relay)
                        }
                    })?;
                    opening.reply(reply, &mut session.output)
                }
                OpeningStep::Handshake => {
                    session = self.secure(target, session, by).await?;
                    untried = true;
                    opening.secured(&mut session.output)
                }
                OpeningStep::Ready(peer) => {
                    if let Some(failure) = self.is_ourselves(hop, host, &session, &peer) {
                        return Err(Refusal::Ourselves(failure));
                    }
                    let session = self.ready(hop, host, session, peer).await?;
                    self.observers.tell(HopReached {
                        relay: &session.relay,
                        tls_wanted: wanted(by),
                        tls_reached: session.tls.reached(),
                        took: time::now().saturating_duration_since(begun),
                    });
                    return Ok(session);
                }
                OpeningStep::Refused(stage, reply) => {
                    let failure = unwelcome(stage, &reply, &session.relay);
                    session.quit(&self.settings.timeouts).await;
                    return Err(if untried && reply.is_permanent() {
                        Refusal::Tls(failure)
                    } else {
                        Refusal::Other(failure)
                    });
                }
                OpeningStep::NoTls(reply) => {
                    let failure = no_tls(reply, &session.relay, by.demand);
                    session.quit(&self.settings.timeouts).await;
                    return Err(Refusal::Other(failure));
                }
            };
        }
    }

    /// The failure of a host that greets with this server's own name. On a configured port there may be another program on this
    /// host with the same name.
    fn is_ourselves(
        &self,
        hop: &NextHop,
        host: &Hop,
        session: &Session,
        peer: &Capabilities,
    ) -> Option<Failure> {
        let judged = hop.is_outside()
            || (hop.protocol() == client::Protocol::Smtp && host.port == self.settings.mx_port);
        let ours = judged && self.is_own_name(&peer.name);
        let why = || format!("{} answers with this server's own name", session.relay);
        ours.then(|| looping(&hop.kind, &why()))
    }

    /// The dialogue is open: authenticates, if the route says so.
    async fn ready(
        &self,
        hop: &NextHop,
        host: &Hop,
        mut session: Session,
        peer: Capabilities,
    ) -> Result<Session, Refusal> {
        session.peer = Arc::new(peer);
        session.bdat = !self.quirks.has(&session.relay, Quirk::Bdat, time::now());
        let Some(credentials) = &self.login else {
            return Ok(session);
        };
        let call = Call {
            login: &credentials.login,
            unverified: credentials.route.unverified,
            token: credentials.token.clone(),
            host: &host_name(host),
            port: host.port,
            helo: self.helo(hop),
        };
        match login::log_in(&mut session, &call, self.settings).await {
            Ok(mechanism) => {
                log_login(&session, &credentials.login, mechanism);
                session.login = Some(credentials.login.clone());
                session.mechanism = Some(mechanism.name());
                Ok(session)
            }
            Err(trouble) => {
                session.quit(&self.settings.timeouts).await;
                Err(match trouble {
                    Trouble::Refused { failure, token } => Refusal::Login { failure, token },
                    Trouble::Unfit(failure) => Refusal::Unfit(failure),
                    Trouble::Passing(failure) => Refusal::Other(failure),
                })
            }
        }
    }

    /// The name given in `EHLO`.
    fn helo<'h>(&'h self, hop: &'h NextHop) -> &'h str {
        hop.lane.helo.as_deref().unwrap_or(&self.settings.hostname)
    }

    async fn connect(&self, to: &Endpoint, relay: &Relay, hop: &NextHop) -> Result<Wire, Failure> {
        let timeouts = &self.settings.timeouts;
        // When hurried, leave time for a second address.
        let limit = match self.seat.hurry() {
            Some(hurry) => timeouts.connect.min(hurry / 3),
            None => timeouts.connect,
        };
        let connected = match to {
            Endpoint::Tcp(address) => dial::connect(*address, hop.lane.source(address.ip()), limit)
                .await
                .map(|stream| Wire::Net(MailStream::Plain(stream))),
            Endpoint::Unix(path) => match timeout(limit, UnixStream::connect(path)).await {
                Ok(connected) => connected.map(Wire::Unix),
                Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
            },
        };
        connected.map_err(|error| {
            let text = match error.kind() {
                std::io::ErrorKind::TimedOut => {
                    format!("cannot connect: no answer within {} s", limit.as_secs())
                }
                _ => format!("cannot connect: {error}"),
            };
            Failure::temporary(Status(4, 4, 1), relay, Cause::Unreached(text.into()))
        })
    }

    /// Performs the TLS handshake on a connection after `220` to `STARTTLS`.
    async fn secure(&self, target: &Target<'_>, session: Session, by: Try) -> Result<Session, Refusal> {
        let (relay, protocol) = (session.relay.clone(), session.protocol);
        let tls_failure = |text: String| {
            let cause = Cause::Tls(TlsFact::Handshake, text.into());
            Refusal::Tls(Failure::temporary(Status(4, 7, 5), &relay, cause))
        };
        if session.has_unread() {
            return Err(tls_failure(
                "octets came after the answer to STARTTLS, as if from somebody in between".into(),
            ));
        }
        let mut name = host_name(target.host);
        let Wire::Net(stream) = session.into_wire() else {
            return Err(tls_failure(
                "TLS is not spoken on a socket of the file system".into(),
            ));
        };
        // A login with a certificate of its own presents that one.
        let own = self
            .login
            .as_ref()
            .and_then(|credentials| credentials.login.tls.as_ref());
        let clients = own.unwrap_or(self.tls);
        let held: ClientTls;
        let client: &ClientTls = match (by.certificate, &target.dane.named) {
            (Certificate::Any, _) => &clients.unverified,
            (Certificate::Valid, _) | (Certificate::Named, None) => &clients.verified,
            (Certificate::Pinned, _) => {
                held = clients.unverified.pinned_to(target.hop.lane.pins.fingerprints());
                &held
            }
            (Certificate::Named, Some((records, base))) => {
                held = clients
                    .unverified
                    .held_to(records.clone(), &reference_names(target, base));
                name.clone_from(base);
                &held
            }
        };
        match stream
            .into_tls_client(client, &name, self.settings.timeouts.tls)
            .await
        {
            Ok((stream, facts)) => {
                let mut session = Session::new(Wire::Net(stream), protocol, relay);
                session.tls = session::Tls::made(&facts, by.certificate);
                session.bindings = login::bindings(&facts.bindings);
                Ok(session)
            }
            Err(error @ HandshakeError::Unverified { .. }) if by.certificate == Certificate::Named => {
                let cause = Cause::Tls(TlsFact::Dane, chain(&error).into());
                Err(Refusal::Tls(Failure::temporary(Status(4, 7, 5), &relay, cause)))
            }
            Err(error) => Err(tls_failure(chain(&error))),
        }
    }
}

/// Where a connection goes, and what is known about the host.
struct Target<'a> {
    hop: &'a NextHop,
    host: &'a Hop,
    to: &'a Endpoint,
    dane: &'a dane::Known,
}

/// The names of which a CA-issued certificate must have one: that of the TLSA records, the host's, and the recipient's domain
/// (RFC 7672 section 3.2.2).
fn reference_names<'a>(target: &Target<'a>, base: &'a str) -> Vec<&'a str> {
    let host = match &target.host.host {
        HopHost::Name(name) => Some(&**name),
        HopHost::Ip(_) | HopHost::Unix(_) | HopHost::Mx(_) => None,
    };
    let domain = match &target.hop.kind {
        HopKind::Mx(domain) => Some(&**domain),
        _ => None,
    };
    [Some(base), host, domain].into_iter().flatten().collect()
}

fn log_login(session: &Session, login: &Login, mechanism: Mechanism) {
    tracing::debug!(
        target: "postern::login", login = %login.name, relay = %session.relay, tls = %session.tls,
        mechanism = mechanism.name(), layer_bits = session.layer_bits(), "logged in"
    );
}

fn host_name(host: &Hop) -> String {
    match &host.host {
        HopHost::Name(name) | HopHost::Mx(name) => name.to_string(),
        HopHost::Ip(ip) => ip.to_string(),
        HopHost::Unix(path) => path.display().to_string(),
    }
}

/// Of two failures the one that counts: a temporary one outweighs a permanent one.
fn later(before: Option<Failure>, now: Failure) -> Failure {
    match before {
        Some(before) if !before.permanent && now.permanent => before,
        _ => now,
    }
}

fn mx_failure(domain: &str, error: &ResolveError) -> Failure {
    match error {
        ResolveError::Bogus(_) => bogus(&format!("the MX records of {domain}")),
        ResolveError::Temporary { reason, .. } => Failure::temporary(
            Status(4, 4, 3),
            &Relay::Nowhere,
            Cause::Dns(
                DnsFact::NoAnswer,
                format!("cannot look up the MX records of {domain}: {reason}").into(),
            ),
        ),
        _ => {
            let text = format!("the domain {domain} does not exist");
            Failure::permanent(
                Status(5, 1, 2),
                &Relay::Nowhere,
                Cause::Dns(DnsFact::NoDomain, text.into()),
            )
        }
    }
}

fn address_failure(name: &str, hop: &NextHop, error: &ResolveError) -> Failure {
    // A domain without MX records is its own host (RFC 5321 section 5.1); without an address it can never get mail. If the host
    // of an MX record or of a route has none, this is a mistake that may be corrected.
    let own_host = matches!(&hop.kind, HopKind::Mx(domain) if **domain == *name);
    match error {
        ResolveError::Bogus(_) => bogus(&format!("the address of {name}")),
        ResolveError::Temporary { reason, .. } => Failure::temporary(
            Status(4, 4, 3),
            &Relay::Nowhere,
            Cause::Dns(
                DnsFact::NoAnswer,
                format!("cannot look up the address of {name}: {reason}").into(),
            ),
        ),
        _ if own_host => {
            let text = format!("the domain {name} has neither an MX record nor an address");
            Failure::permanent(
                Status(5, 1, 2),
                &Relay::Nowhere,
                Cause::Dns(DnsFact::NoDomain, text.into()),
            )
        }
        _ => {
            let text = format!("the host {name} has no address");
            Failure::temporary(
                Status(4, 4, 4),
                &Relay::Nowhere,
                Cause::Dns(DnsFact::NoHost, text.into()),
            )
        }
    }
}

/// A host without an address of the family that its route requires.
fn no_address_of(name: &str, family: Family) -> Failure {
    let kind = match family {
        Family::V6 => "IPv6",
        _ => "IPv4",
    };
    let text = format!("{name} has no {kind} address, and its route requires one");
    Failure::temporary(
        Status(4, 4, 4),
        &Relay::Nowhere,
        Cause::Dns(DnsFact::NoHost, text.into()),
    )
}

/// The DNS answer fails DNSSEC validation: the mail waits until this is corrected.
fn bogus(what: &str) -> Failure {
    let text = format!(
        "{what} cannot be trusted: the DNSSEC signatures are wrong, missing, or out of date, by a mistake of the domain or because \
         somebody has tampered with the answer; `delv` shows which"
    );
    let cause = Cause::Dns(DnsFact::Bogus, text.into());
    Failure::temporary(Status(4, 7, 0), &Relay::Nowhere, cause)
}

/// Without its TLSA records it is unknown whether cleartext is allowed with the host.
fn tlsa_unknown(name: &str, why: &str, bogus: bool) -> Failure {
    let text = format!("cannot look up the TLSA records of {name}: {why}");
    let fact = if bogus { DnsFact::Bogus } else { DnsFact::NoAnswer };
    let cause = Cause::Dns(fact, text.into());
    Failure::temporary(Status(4, 7, 0), &Relay::Nowhere, cause)
}

/// The route requires DANE.
fn no_dane(name: &str, why: NoDane) -> Failure {
    let text = format!("the route has `tls = \"dane-only\"`, and {name} cannot be held to it: {why}");
    let cause = Cause::Dns(DnsFact::NoTlsa, text.into());
    Failure::temporary(Status(4, 7, 0), &Relay::Nowhere, cause)
}

/// The host of an MX record with only forbidden addresses.
fn unreachable_host(name: &str, unreachable: Unreachable) -> Failure {
    let detail = if matches!(unreachable, Unreachable::Loopback(_)) {
        6
    } else {
        4
    };
    let text = format!("mail cannot go to {name}: DNS gives it {unreachable}");
    Failure::permanent(
        Status(5, 4, detail),
        &Relay::Nowhere,
        Cause::Dns(DnsFact::NoWay, text.into()),
    )
}

/// The failure of a route that leads back here. If it is configured, the administrator can correct it, and mail waits for that.
fn looping(kind: &HopKind, why: &str) -> Failure {
    match kind {
        HopKind::Mx(domain) => loops_back(domain, why),
        HopKind::Literal(address) => loops_back(&Domain::Literal(address.ip()).to_string(), why),
        HopKind::Hosts { .. }
        | HopKind::Maildir(_)
        | HopKind::System(_)
        | HopKind::Pipe { .. }
        | HopKind::Discard
        | HopKind::Refuse(_)
        | HopKind::Unknown(_) => {
            let text = format!("the route loops back to this server: {why}; correct its [[route]]");
            Failure::temporary(Status(4, 4, 6), &Relay::Nowhere, Cause::Loop(text.into()))
        }
    }
}

fn loops_back(domain: &str, why: &str) -> Failure {
    let text = format!(
        "mail for {domain} loops back to this server: {why}; add {domain} to local_domains, or to relay_domains with a [[route]]"
    );
    Failure::permanent(Status(5, 4, 6), &Relay::Nowhere, Cause::Loop(text.into()))
}

/// A host that refuses in its greeting, or refuses `EHLO`.
///
/// 521 and 556 say that the host accepts no mail at all (RFC 7504). Other codes, including 554, are about this connection: the
/// client's address may be blocklisted for an hour, and mail that waits is not lost.
fn unwelcome(stage: Stage, reply: &Reply, relay: &Relay) -> Failure {
    let mut failure = Failure::refused(stage, reply, relay);
    failure.permanent = matches!(reply.code, 521 | 556);
    let class = if failure.permanent { 5 } else { 4 };
    failure.status = Status(class, failure.status.1, failure.status.2);
    failure
}

/// The TLS mode of a try.
fn wanted(by: Try) -> TlsWanted {
    match (by.tls, by.certificate) {
        (Tls::Never, _) => TlsWanted::None,
        (_, Certificate::Named) => TlsWanted::Dane,
        (_, Certificate::Valid | Certificate::Pinned) => TlsWanted::Verified,
        (Tls::IfOffered, Certificate::Any) => TlsWanted::Opportunistic,
        (Tls::StartTls | Tls::Implicit, Certificate::Any) => TlsWanted::Required,
    }
}

fn no_tls(reply: Option<Reply>, relay: &Relay, demand: Demand) -> Failure {
    let by = match demand {
        Demand::Dane => "by the host's TLSA records (DANE)",
        _ => "for this route",
    };
    let text = match reply {
        None => format!("TLS is required {by}, and the host does not offer STARTTLS"),
        Some(reply) => format!("TLS is required {by}, and the host answers STARTTLS with {reply}"),
    };
    Failure::temporary(
        Status(4, 7, 4),
        relay,
        Cause::Tls(TlsFact::NotOffered, text.into()),
    )
}

fn broken(error: &SessionError, relay: &Relay) -> Refusal {
    Refusal::Other(Failure::lost(relay, error.stage(), error.to_string()))
}

/// TLS that broke after the handshake, before the first answer inside.
fn tls_broken(error: &SessionError, relay: &Relay) -> Refusal {
    let text = format!("TLS broke right after the handshake: {error}");
    let cause = Cause::Tls(TlsFact::BrokeAfterwards, text.into());
    Refusal::Tls(Failure::temporary(Status(4, 7, 5), relay, cause))
}

fn relay_of(host: &Hop, to: &Endpoint) -> Relay {
    match to {
        Endpoint::Unix(path) => Relay::unix(path),
        Endpoint::Tcp(address) => Relay::at(host, *address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_that_say_no() {
        #[rustfmt::skip]
        let cases = [
            ("busy",               Reply::bare(421, "busy"),                                false, Status(4, 3, 2)),
            ("blocked for now",    Reply::bare(554, "go away"),                             false, Status(4, 3, 0)),
            ("blocked, status",    Reply::fixed(554, Status(5, 7, 1), "listed"),            false, Status(4, 7, 1)),
            ("takes no mail",      Reply::bare(521, "no mail here"),                        true,  Status(5, 3, 2)),
            ("takes no mail",      Reply::fixed(556, Status(5, 1, 10), "no mail here"),     true,  Status(5, 1, 10)),
        ];
        for (shows, reply, permanent, status) in cases {
            let failure = unwelcome(Stage::Greeting, &reply, &Relay::named("mx"));
            assert_eq!(
                (failure.permanent, failure.status),
                (permanent, status),
                "{shows}"
            );
        }
    }

    #[test]
    fn the_failure_that_counts() {
        let passing = Failure::temporary(
            Status(4, 4, 1),
            &Relay::named("a"),
            Cause::Unreached("down".into()),
        );
        let lasting = Failure::permanent(
            Status(5, 3, 0),
            &Relay::named("b"),
            Cause::Settings("no mail here".into()),
        );
        assert_eq!(later(None, lasting.clone()), lasting);
        assert_eq!(
            later(Some(passing.clone()), lasting.clone()),
            passing,
            "the first host may come back"
        );
        assert_eq!(later(Some(lasting), passing.clone()), passing);
    }
}
