//! The plan of a delivery: which addresses of a host are tried in which order, each with how much TLS and by whose demand.
//!
//! Facts come in: what the route says, what DNS has found, what is known of the host. A further demand for security (a policy of the
//! recipient's domain, a TLSA record, a pin, a wish of the sender) is a further [`Demand`] and its rows in [`tries`]; whoever dials
//! does what the plan says and knows of none of them.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use crate::reach::{self, Unreachable};
use crate::route::{Hop, HopHost, TlsLevel};

/// How TLS begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tls {
    /// It does not.
    Never,
    /// By `STARTTLS`, where the host offers it.
    IfOffered,
    /// By `STARTTLS`; without it there is no mail.
    StartTls,
    /// From the first octet on (RFC 8314 section 3.3).
    Implicit,
}

/// What the host has to show in TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Certificate {
    /// Whatever it has.
    Any,
    /// One that is valid for its name.
    Valid,
}

/// Who asks for that much TLS, and for no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Demand {
    /// Nobody in particular: TLS where it can be had (RFC 7435).
    Nobody,
    /// The route.
    Route,
    /// The route's login, which does not go out in the clear because somebody has disturbed the handshake.
    Login,
    /// The socket: it does not leave this host.
    Socket,
    /// The host: of late it has taken mail in the clear after its TLS had failed.
    Memory,
    /// The try before this one: TLS has just failed, and nobody insists on it.
    Failure,
}

/// One try at an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Try {
    /// How TLS begins.
    pub tls: Tls,
    /// What the host has to show.
    pub certificate: Certificate,
    /// By whose demand.
    pub demand: Demand,
}

/// Where a connection goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// To an address.
    Tcp(SocketAddr),
    /// To a socket of the file system.
    Unix(PathBuf),
}

/// One address with its tries: the first, and the one that follows if TLS fails in the first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// Where to.
    pub to: Endpoint,
    /// The first try.
    pub first: Try,
    /// What follows a failure of TLS.
    pub then: Option<Try>,
}

/// What is known of a way before a host of it is dialled.
pub struct Facts<'a> {
    /// How much TLS the route wants.
    pub tls: TlsLevel,
    /// Whether it wants valid certificates.
    pub verify: bool,
    /// Whether it logs in.
    pub login: bool,
    /// Whether the way comes from DNS or the author of an address, and not from the configuration.
    pub outside: bool,
    /// The addresses that this server listens on.
    pub listeners: &'a [SocketAddr],
    /// Networks that DNS may lead to although they are of this host or its link.
    pub exempt: &'a [IpNet],
    /// Whether an address is one of this host's.
    pub is_own: &'a dyn Fn(IpAddr) -> bool,
    /// Whether the host there is known to break by TLS.
    pub breaks_by_tls: &'a dyn Fn(&Endpoint) -> bool,
    /// Whether it has had its chance.
    pub is_tried: &'a dyn Fn(&Endpoint) -> bool,
}

/// Why none of a host's addresses is tried.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoWay {
    /// It is this server: less preferred hosts would only send the mail here (RFC 5321 section 5.1). The text says how that shows.
    Ourselves(String),
    /// DNS gives it only addresses at which nobody else is.
    Unreachable(Unreachable),
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
        let (first, then) = tries(facts, socket, (facts.breaks_by_tls)(&to));
        Candidate { to, first, then }
    };
    Ok(endpoints
        .into_iter()
        .filter(|endpoint| !(facts.is_tried)(endpoint))
        .map(candidate)
        .collect())
}

/// Why mail to this address would come back to this server: it listens there, or, where DNS leads the way, the address is one of its
/// own. `None` when it would not.
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
    // Loopback is judged with the other addresses that lead to nobody else.
    let exempt = || facts.exempt.iter().any(|network| network.contains(&ip));
    let own = facts.outside && !ip.is_loopback() && !exempt() && (facts.is_own)(ip);
    own.then(|| format!("{ip} is its own address"))
}

/// How much TLS an address gets, and what follows if that fails.
fn tries(facts: &Facts<'_>, socket: bool, breaks_by_tls: bool) -> (Try, Option<Try>) {
    let clear = |demand| Try {
        tls: Tls::Never,
        certificate: Certificate::Any,
        demand,
    };
    let if_offered = |demand| Try {
        tls: Tls::IfOffered,
        certificate: Certificate::Any,
        demand,
    };
    let always = |tls| Try {
        tls,
        certificate: if facts.verify {
            Certificate::Valid
        } else {
            Certificate::Any
        },
        demand: Demand::Route,
    };
    match facts.tls {
        TlsLevel::Implicit => (always(Tls::Implicit), None),
        _ if socket => (clear(Demand::Socket), None),
        TlsLevel::None => (clear(Demand::Route), None),
        TlsLevel::Required => (always(Tls::StartTls), None),
        TlsLevel::Opportunistic if facts.login => (if_offered(Demand::Login), None),
        TlsLevel::Opportunistic if breaks_by_tls => (clear(Demand::Memory), None),
        TlsLevel::Opportunistic => (if_offered(Demand::Nobody), Some(clear(Demand::Failure))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts<'a>() -> Facts<'a> {
        Facts {
            tls: TlsLevel::Opportunistic,
            verify: false,
            login: false,
            outside: true,
            listeners: &[],
            exempt: &[],
            is_own: &|_| false,
            breaks_by_tls: &|_| false,
            is_tried: &|_| false,
        }
    }

    #[test]
    fn how_much_tls_and_by_whose_demand() {
        use Certificate::{Any, Valid};
        use TlsLevel::{Implicit, None as No, Opportunistic, Required};
        let one = |tls, certificate, demand| {
            (
                Try {
                    tls,
                    certificate,
                    demand,
                },
                None,
            )
        };
        let clear = Try {
            tls: Tls::Never,
            certificate: Any,
            demand: Demand::Failure,
        };
        let both = (
            Try {
                tls: Tls::IfOffered,
                certificate: Any,
                demand: Demand::Nobody,
            },
            Some(clear),
        );
        #[rustfmt::skip]
        let cases = [
            // what the case shows                        level          verify  login  socket breaks  the tries
            ("a wish",                                    Opportunistic, false,  false, false, false,  both),
            ("a wish verifies nothing",                   Opportunistic, true,   false, false, false,  both),
            ("not with a host that breaks by it",         Opportunistic, false,  false, false, true,   one(Tls::Never, Any, Demand::Memory)),
            ("a login is not given away",                 Opportunistic, false,  true,  false, false,  one(Tls::IfOffered, Any, Demand::Login)),
            ("nor where the host breaks",                 Opportunistic, false,  true,  false, true,   one(Tls::IfOffered, Any, Demand::Login)),
            ("never",                                     No,            false,  false, false, false,  one(Tls::Never, Any, Demand::Route)),
            ("required",                                  Required,      false,  false, false, false,  one(Tls::StartTls, Any, Demand::Route)),
            ("required of a host that breaks by it",      Required,      false,  false, false, true,   one(Tls::StartTls, Any, Demand::Route)),
            ("required and verified",                     Required,      true,   false, false, false,  one(Tls::StartTls, Valid, Demand::Route)),
            ("from the first octet on",                   Implicit,      true,   false, false, false,  one(Tls::Implicit, Valid, Demand::Route)),
            ("a socket has need of none",                 Required,      true,   false, true,  false,  one(Tls::Never, Any, Demand::Socket)),
        ];
        for (shows, tls, verify, login, socket, breaks, expected) in cases {
            let facts = Facts {
                tls,
                verify,
                login,
                ..facts()
            };
            assert_eq!(tries(&facts, socket, breaks), expected, "{shows}");
        }
    }

    #[test]
    fn which_addresses_are_tried() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let own = |address: IpAddr| address == "198.51.100.9".parse::<IpAddr>().unwrap();
        let tried = |endpoint: &Endpoint| *endpoint == Endpoint::Tcp("192.0.2.2:25".parse().unwrap());
        let listeners = ["127.0.0.1:25".parse().unwrap(), "0.0.0.0:587".parse().unwrap()];
        let exempt = ["10.0.0.0/8".parse().unwrap(), "198.51.100.8/29".parse().unwrap()];
        let here = |text: &str| Err(text.to_owned());
        #[rustfmt::skip]
        let cases = [
            // what the case shows                    hop                 addresses found                     outside exempt  what is tried
            ("in the order of DNS",                   "mx.test:25",       vec!["192.0.2.1", "192.0.2.3"],     true,   false,  Ok(vec!["192.0.2.1:25", "192.0.2.3:25"])),
            ("not once more",                         "mx.test:25",       vec!["192.0.2.2", "192.0.2.3"],     true,   false,  Ok(vec!["192.0.2.3:25"])),
            ("its own address",                       "mx.test:25",       vec!["192.0.2.1", "198.51.100.9"],  true,   false,  here("198.51.100.9 is its own address")),
            ("which a route may name",                "mx.test:25",       vec!["198.51.100.9"],               false,  false,  Ok(vec!["198.51.100.9:25"])),
            ("or a laboratory",                       "mx.test:25",       vec!["198.51.100.9"],               true,   true,   Ok(vec!["198.51.100.9:25"])),
            ("where it listens",                      "mx.test:25",       vec!["127.0.0.1"],                  false,  false,  here("it listens on 127.0.0.1:25")),
            ("where it listens on all addresses",     "mx.test:587",      vec!["198.51.100.9"],               false,  false,  here("it listens on 198.51.100.9:587")),
            ("another port of this host",             "127.0.0.1:2525",   vec!["127.0.0.1"],                  false,  false,  Ok(vec!["127.0.0.1:2525"])),
            ("loopback by DNS",                       "mx.test:2525",     vec!["127.0.0.1"],                  true,   false,  here("unreachable")),
            ("loopback among others",                 "mx.test:2525",     vec!["127.0.0.1", "192.0.2.1"],     true,   false,  Ok(vec!["192.0.2.1:2525"])),
            ("nothing found",                         "mx.test:25",       vec![],                             true,   false,  Ok(vec![])),
            ("a socket",                              "unix:/run/lmtp",   vec![],                             false,  false,  Ok(vec!["/run/lmtp"])),
        ];
        for (shows, hop, found, outside, laboratory, expected) in cases {
            let found: Vec<IpAddr> = found.into_iter().map(ip).collect();
            let facts = Facts {
                outside,
                listeners: &listeners,
                exempt: if laboratory { &exempt } else { &[] },
                is_own: &own,
                is_tried: &tried,
                ..facts()
            };
            let planned = candidates(&Hop::parse(hop, 25).unwrap(), &found, &facts);
            let shown = match planned {
                Ok(candidates) => Ok(candidates
                    .into_iter()
                    .map(|candidate| match candidate.to {
                        Endpoint::Tcp(address) => address.to_string(),
                        Endpoint::Unix(path) => path.display().to_string(),
                    })
                    .collect::<Vec<_>>()),
                Err(NoWay::Ourselves(why)) => Err(why),
                Err(NoWay::Unreachable(_)) => Err("unreachable".to_owned()),
            };
            let expected = expected.map(|list| list.into_iter().map(str::to_owned).collect());
            assert_eq!(shown, expected, "{shows}");
        }
    }
}
