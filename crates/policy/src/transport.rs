//! The plan of a delivery: which addresses of a host are tried in which order, each with a TLS requirement and where that comes
//! from.
//!
//! Facts come in: what the route says, what DNS has found, what is known about the host. A new kind of demand for security (a
//! policy of the recipient's domain, a pin, a wish of the sender) is a new [`Demand`] with its rows in [`tries`]; the code that
//! connects follows the plan and knows none of them.

mod hosts;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use postern_mail::Proof;

use crate::reach::{self, Unreachable};
use crate::route::{Hop, HopHost, TlsLevel};

pub use self::hosts::{HostDemand, TlsHosts};

/// How TLS begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tls {
    /// It does not.
    Never,
    /// With `STARTTLS`, if the host offers it.
    IfOffered,
    /// With `STARTTLS`; without it no mail is sent.
    StartTls,
    /// From the first octet on (RFC 8314 section 3.3).
    Implicit,
}

/// The certificate that the host must present.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Certificate {
    /// Any certificate.
    Any,
    /// One that is valid for its name.
    Valid,
    /// One that a TLSA record of the host names (RFC 7672 section 3).
    Named,
    /// One that a fingerprint of the route names.
    Pinned,
}

/// What demands this TLS requirement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Demand {
    /// Nothing in particular: TLS if available (RFC 7435).
    Nobody,
    /// The route.
    Route,
    /// The host's name, by the configuration.
    Host,
    /// The host's TLSA records: DNSSEC proves that it has STARTTLS and which certificate it presents (RFC 7672 section 2.2).
    Dane,
    /// The route's login, which must not be sent in cleartext because somebody disturbed the handshake.
    Login,
    /// The socket: it does not leave this host.
    Socket,
    /// The host: it recently accepted mail in cleartext after TLS had failed.
    Memory,
    /// The previous try: TLS has just failed, and nothing requires it.
    Failure,
}

/// One try at an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Try {
    /// How TLS begins.
    pub tls: Tls,
    /// The certificate that the host must present.
    pub certificate: Certificate,
    /// What demands it.
    pub demand: Demand,
}

/// Where a connection goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// To an address.
    Tcp(SocketAddr),
    /// To a socket in the file system.
    Unix(PathBuf),
}

/// One address with its tries: the first, and the one after it if TLS fails.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// The endpoint.
    pub to: Endpoint,
    /// The first try.
    pub first: Try,
    /// The second try, after a failure of TLS.
    pub then: Option<Try>,
}

/// How far DNSSEC proves the path to a host. `None` for what was not looked up, because a route gives the host or its address.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Way {
    /// The MX records that name the host.
    pub mx: Option<Proof>,
    /// The addresses of the host, with their CNAMEs.
    pub addresses: Option<Proof>,
}

impl Way {
    /// Both together; `None` if DNS was not asked at all.
    #[must_use]
    pub fn whole(self) -> Option<Proof> {
        match (self.mx, self.addresses) {
            (Some(mx), Some(addresses)) => Some(mx.and(addresses)),
            (one, other) => one.or(other),
        }
    }
}

/// What is known about the TLSA records of a host (RFC 7672 section 2.2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Tlsa {
    /// They were not looked up: [`wants_tlsa`] says when they are.
    #[default]
    Unasked,
    /// There are none, or no proven ones.
    None,
    /// There are proven ones, but none is usable.
    Unusable,
    /// There are proven ones that are usable.
    Usable,
    /// They could not be looked up, or are bogus; the text says why. An attacker in the middle may be the cause.
    Unknown(String),
}

/// What is known about a host before connecting.
pub struct Facts<'a> {
    /// How far DNSSEC proves the path.
    pub way: Way,
    /// What DNS says about the host's certificate.
    pub tlsa: Tlsa,
    /// The TLS level of the route.
    pub tls: TlsLevel,
    /// Whether it requires valid certificates.
    pub verify: bool,
    /// Whether it names the certificates by fingerprint, which counts in place of all else that a certificate says.
    pub pinned: bool,
    /// What the host's name demands.
    pub host: HostDemand,
    /// Whether it authenticates.
    pub login: bool,
    /// Whether the path comes from DNS or from an address literal, and not from the configuration.
    pub outside: bool,
    /// The addresses that this server listens on.
    pub listeners: &'a [SocketAddr],
    /// Networks to which DNS may point although they are this host's or link-local.
    pub exempt: &'a [IpNet],
    /// Whether an address is one of this host's.
    pub is_own: &'a dyn Fn(IpAddr) -> bool,
    /// Whether TLS is known to fail with the host there.
    pub breaks_by_tls: &'a dyn Fn(&Endpoint) -> bool,
    /// Whether it was already tried.
    pub is_tried: &'a dyn Fn(&Endpoint) -> bool,
}

/// Why none of a host's addresses is tried.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoWay {
    /// It is this server: less preferred hosts would only send the mail back (RFC 5321 section 5.1). The text says how it was
    /// recognised.
    Ourselves(String),
    /// DNS gives it only addresses that are not allowed.
    Unreachable(Unreachable),
    /// Its TLSA records cannot be looked up now; the text says why.
    TlsaUnknown(String),
    /// The route requires DANE, but DNS has no usable proof.
    NoDane(NoDane),
}

/// Why required DANE is not possible.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoDane {
    /// The MX records are not signed.
    Mx(Proof),
    /// The host's addresses are not signed.
    Addresses(Proof),
    /// The host has no name.
    Nameless,
    /// It has no proven TLSA records.
    NoRecords,
    /// None of its TLSA records is usable.
    Unusable,
}

impl fmt::Display for NoDane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mx(proof) => write!(f, "the MX records of its domain are {proof}"),
            Self::Addresses(proof) => write!(f, "its addresses are {proof}"),
            Self::Nameless => f.write_str("it has no name that TLSA records could stand at"),
            Self::NoRecords => f.write_str("it has no TLSA records that are proven"),
            Self::Unusable => f.write_str("none of its TLSA records can be used for SMTP"),
        }
    }
}

/// Whether the TLSA records of a host are looked up: the route uses DANE, and the addresses are proven; otherwise a look-up is
/// useless, and name servers that mishandle it would delay mail for nothing (RFC 7672 section 2.2.2).
#[must_use]
pub fn wants_tlsa(tls: TlsLevel, way: Way) -> bool {
    tls.is_dane() && way.addresses == Some(Proof::Secure)
}

/// The addresses of a host that are tried, in the order in which they were `found`.
///
/// # Errors
///
/// [`NoWay`].
pub fn candidates(host: &Hop, found: &[IpAddr], facts: &Facts<'_>) -> Result<Vec<Candidate>, NoWay> {
    let mut refused = None;
    let mut endpoints = Vec::with_capacity(found.len().max(1));
    if let HopHost::Unix(path) = &host.host {
        endpoints.push(Endpoint::Unix(path.clone()));
    }
    for ip in found {
        let address = SocketAddr::new(*ip, host.port);
        if let Some(why) = leads_here(address, facts) {
            return Err(NoWay::Ourselves(why));
        }
        match reach::by_dns(*ip, facts.exempt) {
            Err(unreachable) if facts.outside => refused = Some(unreachable),
            _ => endpoints.push(Endpoint::Tcp(address)),
        }
    }
    if let Some(unreachable) = refused.filter(|_| endpoints.is_empty()) {
        return Err(NoWay::Unreachable(unreachable));
    }
    let candidate = |to: Endpoint| {
        let socket = matches!(to, Endpoint::Unix(_));
        let (first, then) = tries(facts, socket, (facts.breaks_by_tls)(&to))?;
        Ok(Candidate { to, first, then })
    };
    endpoints
        .into_iter()
        .filter(|endpoint| !(facts.is_tried)(endpoint))
        .map(candidate)
        .collect()
}

/// Why mail to this address would come back to this server: it listens there, or DNS points to one of its own addresses. `None`
/// if it would not.
fn leads_here(address: SocketAddr, facts: &Facts<'_>) -> Option<String> {
    let ip = address.ip().to_canonical();
    let listens = |listener: &SocketAddr| {
        let at = listener.ip().to_canonical();
        listener.port() == address.port()
            && (at == ip || (at.is_unspecified() && (ip.is_loopback() || (facts.is_own)(ip))))
    };
    if facts.listeners.iter().any(listens) {
        return Some(format!("it listens on {address}"));
    }
    // Loopback is judged with the other forbidden addresses.
    let exempt = || facts.exempt.iter().any(|network| network.contains(&ip));
    let own = facts.outside && !ip.is_loopback() && !exempt() && (facts.is_own)(ip);
    own.then(|| format!("{ip} is its own address"))
}

/// The TLS requirement of an address, and the second try if it fails.
fn tries(facts: &Facts<'_>, socket: bool, breaks_by_tls: bool) -> Result<(Try, Option<Try>), NoWay> {
    let one = |tls, certificate, demand| Try {
        tls,
        certificate,
        demand,
    };
    let clear = |demand| one(Tls::Never, Certificate::Any, demand);
    let if_offered = |demand| one(Tls::IfOffered, Certificate::Any, demand);
    let always = |tls| {
        let certificate = if facts.pinned {
            Certificate::Pinned
        } else if facts.verify || facts.host == HostDemand::Verified {
            Certificate::Valid
        } else {
            Certificate::Any
        };
        one(tls, certificate, Demand::Route)
    };
    let named = if facts.tls.is_dane() && !socket {
        by_tlsa(facts)?
    } else {
        None
    };
    Ok(match (facts.tls, named) {
        (TlsLevel::Implicit, _) => (always(Tls::Implicit), None),
        _ if socket => (clear(Demand::Socket), None),
        (TlsLevel::Required, _) => (always(Tls::StartTls), None),
        (_, Some(certificate)) => (one(Tls::StartTls, certificate, Demand::Dane), None),
        _ if facts.host == HostDemand::Verified => {
            (one(Tls::StartTls, Certificate::Valid, Demand::Host), None)
        }
        _ if facts.host == HostDemand::Always => (one(Tls::StartTls, Certificate::Any, Demand::Host), None),
        (TlsLevel::None, _) => (clear(Demand::Route), None),
        // Credentials are not sent in cleartext because of that.
        _ if facts.host == HostDemand::Never && !facts.login => (clear(Demand::Host), None),
        _ if facts.login => (if_offered(Demand::Login), None),
        _ if breaks_by_tls => (clear(Demand::Memory), None),
        _ => (if_offered(Demand::Nobody), Some(clear(Demand::Failure))),
    })
}

/// The certificate required by the host's TLSA records; `None` if neither they nor the route require one.
fn by_tlsa(facts: &Facts<'_>) -> Result<Option<Certificate>, NoWay> {
    if let Tlsa::Unknown(why) = &facts.tlsa {
        return Err(NoWay::TlsaUnknown(why.clone()));
    }
    if facts.tls == TlsLevel::DaneOnly
        && let Some(why) = no_dane(facts)
    {
        return Err(NoWay::NoDane(why));
    }
    Ok(match facts.tlsa {
        Tlsa::Usable => Some(Certificate::Named),
        // TLS is required, but no certificate can be matched (RFC 7672 section 2.2).
        Tlsa::Unusable => Some(Certificate::Any),
        Tlsa::Unasked | Tlsa::None | Tlsa::Unknown(_) => None,
    })
}

/// What is missing for DANE. Unsigned MX records could point anywhere, so a route that requires DANE requires signed ones too.
fn no_dane(facts: &Facts<'_>) -> Option<NoDane> {
    match (facts.way.mx, facts.way.addresses) {
        (Some(proof), _) if proof != Proof::Secure => Some(NoDane::Mx(proof)),
        (_, Some(proof)) if proof != Proof::Secure => Some(NoDane::Addresses(proof)),
        (_, None) => Some(NoDane::Nameless),
        _ => match facts.tlsa {
            Tlsa::Usable => None,
            Tlsa::Unusable => Some(NoDane::Unusable),
            Tlsa::Unasked | Tlsa::None | Tlsa::Unknown(_) => Some(NoDane::NoRecords),
        },
    }
}

#[cfg(test)]
mod tests;
