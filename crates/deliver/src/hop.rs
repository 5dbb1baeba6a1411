//! Next hops: what mail with the same route has in common.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use postern_mail::{Domain, Mailbox};
use postern_policy::alias::RefusalText;
use postern_policy::origin::Origin;
use postern_policy::route::{
    Hop, HopHost, Lane, Protocol, RouteLogin, RouteTable, Target, TlsLevel, UnverifiedLogin, route,
};
use postern_smtp::client;

/// One next hop. Mail with the same one shares queue, connections and pauses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NextHop {
    pub(crate) kind: HopKind,
    pub(crate) tls: TlsLevel,
    pub(crate) verify: bool,
    pub(crate) login: Option<RouteLogin>,
    /// From which address and with which name, and how much at once.
    pub(crate) lane: Lane,
}

/// The kind of a next hop.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum HopKind {
    /// To the hosts that the domain's MX records name.
    Mx(Box<str>),
    /// To the host that an address literal names (RFC 5321 section 4.1.3).
    Literal(SocketAddr),
    /// To these hosts, in this order.
    Hosts { via: Vec<Hop>, protocol: Protocol },
    /// Into Maildirs below a folder.
    Maildir(PathBuf),
    /// To a local user of this machine, by the name in lower case, without a detail.
    System(Box<str>),
    /// To a configured program, with an additional argument.
    Pipe { name: Arc<str>, next_hop: Box<str> },
    /// Nowhere: accepted and discarded.
    Discard,
    /// Nowhere: refused with this text.
    Refuse(RefusalText),
    /// Unknown for now, for this reason.
    Unknown(Arc<str>),
}

impl NextHop {
    /// The next hop of mail for `recipient` from `origin`.
    pub(crate) fn find(recipient: &Mailbox, origin: &Origin<'_>, table: &RouteTable, mx_port: u16) -> Self {
        let route = route(recipient, origin, table);
        let mut lane = route.lane.clone();
        let kind = match (route.target.as_ref(), recipient.domain()) {
            (Target::Hosts { via, protocol }, _) => HopKind::Hosts {
                via: via.clone(),
                protocol: *protocol,
            },
            (Target::Maildir(folder), _) => HopKind::Maildir(folder.clone()),
            (Target::System { per_user }, _) => {
                lane.connections = Some(*per_user);
                HopKind::System(user_of(recipient, table.separator))
            }
            (Target::Pipe { name, next_hop }, _) => HopKind::Pipe {
                name: name.clone(),
                next_hop: next_hop.clone(),
            },
            (Target::Discard, _) => HopKind::Discard,
            (Target::Refuse(text), _) => HopKind::Refuse(text.clone()),
            (Target::Unknown(why), _) => HopKind::Unknown(why.clone()),
            // Local mail goes to a Maildir or hosts; `Local` has already been replaced by that.
            (Target::Local, _) => HopKind::Refuse(nowhere()),
            (Target::Mx, Domain::Name(name)) => HopKind::Mx(name.clone()),
            (Target::Mx, Domain::Literal(ip)) => HopKind::Literal(SocketAddr::new(*ip, mx_port)),
        };
        Self {
            kind,
            tls: route.tls,
            verify: route.verify,
            login: route.login.cloned(),
            lane,
        }
    }

    /// Whether it is on or near this machine: a Maildir, a user, a socket, or a host reached over LMTP. There are few of them,
    /// the configuration names each, and nothing that others send may keep mail from them.
    pub(crate) fn is_local(&self) -> bool {
        match &self.kind {
            HopKind::Maildir(_)
            | HopKind::System(_)
            | HopKind::Pipe { .. }
            | HopKind::Discard
            | HopKind::Refuse(_)
            | HopKind::Unknown(_) => true,
            HopKind::Mx(_) | HopKind::Literal(_) => false,
            HopKind::Hosts { via, protocol } => {
                *protocol == Protocol::Lmtp || via.iter().all(|hop| matches!(hop.host, HopHost::Unix(_)))
            }
        }
    }

    /// Whether it is determined by a stranger, through DNS or an address literal, and not by the configuration.
    pub(crate) fn is_outside(&self) -> bool {
        matches!(self.kind, HopKind::Mx(_) | HopKind::Literal(_))
    }

    /// The protocol spoken there.
    pub(crate) fn protocol(&self) -> client::Protocol {
        match self.kind {
            HopKind::Hosts {
                protocol: Protocol::Lmtp,
                ..
            } => client::Protocol::Lmtp,
            _ => client::Protocol::Smtp,
        }
    }

    /// The name that people see, the same for equal next hops: `mx:example.org`, `smtp:relay.example:25`, with TLS if it is not
    /// opportunistic.
    pub(crate) fn name(&self) -> String {
        let mut name = match &self.kind {
            HopKind::Mx(domain) => format!("mx:{domain}"),
            HopKind::Literal(address) => format!("mx:{}", Domain::Literal(address.ip())),
            HopKind::Maildir(folder) => return format!("maildir:{}", folder.display()),
            HopKind::System(user) => return format!("system:{user}"),
            HopKind::Pipe { name, next_hop } if next_hop.is_empty() => format!("pipe:{name}"),
            HopKind::Pipe { name, next_hop } => format!("pipe:{name}:{next_hop}"),
            HopKind::Discard => return "discard".into(),
            HopKind::Refuse(text) => return format!("refuse:{text}"),
            HopKind::Unknown(why) => return format!("unknown:{why}"),
            HopKind::Hosts { via, protocol } => {
                let scheme = if *protocol == Protocol::Lmtp {
                    "lmtp"
                } else {
                    "smtp"
                };
                let hosts: Vec<String> = via.iter().map(hop_text).collect();
                format!("{scheme}:{}", hosts.join(","))
            }
        };
        let tls = match (self.tls, self.verify) {
            (TlsLevel::Opportunistic, false) => "",
            (TlsLevel::Opportunistic, true) => " tls=opportunistic verify",
            (TlsLevel::Dane, _) => " tls=dane",
            (TlsLevel::DaneOnly, _) => " tls=dane-only",
            (TlsLevel::None, _) => " tls=none",
            (TlsLevel::Required, false) => " tls=required",
            (TlsLevel::Required, true) => " tls=required verify",
            (TlsLevel::Implicit, false) => " tls=implicit",
            (TlsLevel::Implicit, true) => " tls=implicit verify",
        };
        name.push_str(tls);
        if let Some(login) = &self.login {
            let exception = match login.unverified {
                UnverifiedLogin::Nothing => "",
                UnverifiedLogin::Proofs => " prove-to-anyone",
                UnverifiedLogin::Password => " send-password-to-anyone",
            };
            // Writing into a `String` does not fail.
            let _ = write!(name, " login={}{exception}", login.name);
        }
        let _ = write!(name, "{}", self.lane);
        name
    }
}

/// The next hops with a login.
pub(crate) fn with_login(table: &RouteTable) -> impl Iterator<Item = NextHop> + '_ {
    table
        .rules
        .iter()
        .filter_map(|rule| match (&rule.target, &rule.login) {
            (Target::Hosts { via, protocol }, Some(login)) => Some(NextHop {
                kind: HopKind::Hosts {
                    via: via.clone(),
                    protocol: *protocol,
                },
                tls: rule.tls,
                verify: rule.verify,
                login: Some(login.clone()),
                lane: rule.lane.clone(),
            }),
            _ => None,
        })
}

/// Whether a route still leads there, with the login that `hop` has. Credentials are found by the login's name, and after a
/// reload the same name may be for other hosts.
pub(crate) fn is_routed(hop: &NextHop, table: &RouteTable) -> bool {
    let Some(login) = &hop.login else {
        return true;
    };
    // Compared by name, like destinations: what is not in the name makes no difference.
    let name = hop.name();
    with_login(table).any(|routed| routed.login.as_ref() == Some(login) && routed.name() == name)
}

/// The user whose deliveries are counted together, whatever the detail of the address.
fn user_of(recipient: &Mailbox, separator: Option<char>) -> Box<str> {
    let local = recipient.unquoted_local();
    let name = separator.and_then(|separator| local.split_once(separator));
    name.map_or(&*local, |(name, _)| name).to_lowercase().into()
}

/// The refusal of mail for which there is no place.
fn nowhere() -> RefusalText {
    RefusalText {
        code: 450,
        status: postern_mail::Status(4, 3, 5),
        text: "Local delivery is not configured".into(),
    }
}

/// A hop as written in the configuration.
pub(crate) fn hop_text(hop: &Hop) -> String {
    let mut text = String::new();
    // Writing into a `String` does not fail.
    let _ = match &hop.host {
        HopHost::Name(name) => write!(text, "{name}:{}", hop.port),
        HopHost::Mx(name) => write!(text, "mx:{name}:{}", hop.port),
        HopHost::Ip(IpAddr::V4(ip)) => write!(text, "{ip}:{}", hop.port),
        HopHost::Ip(IpAddr::V6(ip)) => write!(text, "[{ip}]:{}", hop.port),
        HopHost::Unix(path) => write!(text, "unix:{}", path.display()),
    };
    text
}

#[cfg(test)]
mod tests {
    use postern_policy::DomainSet;
    use postern_policy::route::RouteRule;

    use super::*;

    #[test]
    fn each_user_of_this_machine_is_a_destination() {
        let table = RouteTable {
            local_domains: DomainSet::new(["a.example", "b.example"]).unwrap(),
            local: Target::System { per_user: 2 },
            separator: Some('+'),
            ..RouteTable::default()
        };
        let origin = Origin {
            sender: &postern_mail::ReversePath::Null,
            login: None,
            filtered: false,
            detour: None,
        };
        let find = |to: &str| NextHop::find(&to.parse().unwrap(), &origin, &table, 25);
        for to in ["ann@a.example", "Ann+shop@a.example", "ann@b.example"] {
            let hop = find(to);
            assert_eq!(
                (hop.name().as_str(), hop.lane.connections),
                ("system:ann", Some(2)),
                "{to}"
            );
            assert!(hop.is_local() && !hop.is_outside(), "{to}");
        }
        assert_eq!(find("bob@a.example").name(), "system:bob");
        let by_user = |domain: &str| table.is_by_user(&Domain::parse(domain, true).unwrap());
        assert!(by_user("a.example") && !by_user("far.example"));
    }

    #[test]
    fn a_login_goes_only_where_a_route_leads() {
        let rule = |host: &str, tls: TlsLevel, login: Option<(&str, UnverifiedLogin)>| RouteRule {
            tls,
            login: login.map(|(name, unverified)| RouteLogin {
                name: name.into(),
                unverified,
            }),
            ..RouteRule::new(
                DomainSet::new(["*"]).unwrap(),
                Target::Hosts {
                    via: vec![Hop::parse(host, 25).unwrap()],
                    protocol: Protocol::Smtp,
                },
            )
        };
        let table = |rule: RouteRule| RouteTable {
            rules: vec![rule],
            local: Target::Maildir(PathBuf::from("/x")),
            ..RouteTable::default()
        };
        let x = Some(("x", UnverifiedLogin::Nothing));
        let origin = Origin {
            sender: &postern_mail::ReversePath::Null,
            login: None,
            filtered: false,
            detour: None,
        };
        let domain: Mailbox = "x@a.example".parse().unwrap();
        let required = TlsLevel::Required;
        let before = table(rule("old.example", required, x));
        let hop = NextHop::find(&domain, &origin, &before, 25);
        #[rustfmt::skip]
        let cases = [
            ("as before",                     rule("old.example", required, x),                                      true),
            ("another host",                  rule("new.example", required, x),                                      false),
            ("less TLS than was asked for",   rule("old.example", TlsLevel::Opportunistic, x),                       false),
            ("another login",                 rule("old.example", required, Some(("y", UnverifiedLogin::Nothing))),  false),
            ("more for strangers",            rule("old.example", required, Some(("x", UnverifiedLogin::Proofs))),   false),
            ("no login any more",             rule("old.example", required, None),                                   false),
        ];
        for (shows, rule, routed) in cases {
            assert_eq!(is_routed(&hop, &table(rule)), routed, "{shows}");
        }
        let open = NextHop::find(&domain, &origin, &table(rule("old.example", required, None)), 25);
        assert!(
            is_routed(&open, &table(rule("new.example", required, x))),
            "there is nothing to give away"
        );
    }
}
