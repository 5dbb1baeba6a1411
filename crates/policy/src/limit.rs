//! Rate limits for the clients of one network: connections, messages, recipients, logins; and how many sessions they may have at
//! once.
//!
//! Each network has an allowance that refills evenly (`allowance`), the larger networks around it have larger ones, and only a
//! limited number are remembered: the owner of an IPv6 `/48` can neither evade a limit by changing addresses nor fill the memory.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use postern_mail::Status;

use crate::access::networks::NetworkSet;
use crate::allowance::{Allowance, Allowances};
use crate::network::{LEVELS, NetworkPrefix};
use crate::rule::{Rule, Told, Verdict};

/// Most networks that are remembered for each limit, kind and level.
const NETWORKS_MAX: usize = 20_000;

/// The factor by which a larger network may do more, by level: a `/24` or `/56`, and a `/48`.
pub const WIDER: [u32; LEVELS] = [1, 4, 16];

/// A limit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limit {
    /// Its name in the log.
    pub name: Box<str>,
    /// The listeners whose clients it applies to; `None` for all.
    pub listeners: Option<Vec<Box<str>>>,
    /// The networks whose clients it applies to; `None` for all.
    pub networks: Option<NetworkSet>,
    /// Whether only clients are counted that have not authenticated and may not relay.
    pub strangers: bool,
    /// Whether only access rules count against it.
    pub by_rule: bool,
    /// The time span that the numbers refer to.
    pub window: Duration,
    /// How many, by [`Counted::index`]; 0 means no limit.
    pub most: [u32; Counted::ALL.len()],
    /// Concurrent sessions; 0 means no limit.
    pub sessions: u32,
    /// What counts as one network.
    pub network: NetworkPrefix,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Counted {
    /// A connection.
    Connection,
    /// A message: its `MAIL`.
    Message,
    /// A recipient.
    Recipient,
    /// A login attempt.
    Login,
}

impl Counted {
    /// All of them, in the order of [`Limit::most`].
    pub const ALL: [Self; 4] = [Self::Connection, Self::Message, Self::Recipient, Self::Login];

    /// Its index in [`Limit::most`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A client, as limits see it.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Its address.
    pub peer: IpAddr,
    /// The name of the listener that it came to.
    pub listener: &'a str,
    /// Whether it has not authenticated and may not relay.
    pub stranger: bool,
}

/// A limit is reached.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LimitRefusal {
    /// Too many in a time span.
    #[error("the limit {name:?} is reached: {most} {} in {} s from its /{bits}", plural(*.counted), .window.as_secs())]
    Rate {
        /// The name of the limit.
        name: Box<str>,
        /// What was counted.
        counted: Counted,
        /// The limit.
        most: u32,
        /// The time span.
        window: Duration,
        /// Prefix length of the network.
        bits: u8,
    },
    /// Too many sessions at once.
    #[error("the limit {name:?} is reached: {most} sessions at once from its /{bits}")]
    Sessions {
        /// The name of the limit.
        name: Box<str>,
        /// The limit.
        most: u32,
        /// Prefix length of the network.
        bits: u8,
    },
}

const fn plural(counted: Counted) -> &'static str {
    match counted {
        Counted::Connection => "connections",
        Counted::Message => "messages",
        Counted::Recipient => "recipients",
        Counted::Login => "logins",
    }
}

impl LimitRefusal {
    /// Reply code, status and text, without our figures.
    #[must_use]
    pub const fn told(&self) -> Told {
        match self {
            Self::Rate { counted, .. } => match counted {
                Counted::Connection => (
                    421,
                    Status(4, 3, 2),
                    "Too many connections from your network, try again later",
                ),
                Counted::Message => (
                    450,
                    Status(4, 7, 1),
                    "Too many messages from your network, try again later",
                ),
                Counted::Recipient => (
                    450,
                    Status(4, 7, 1),
                    "Too many recipients from your network, try again later",
                ),
                Counted::Login => (
                    454,
                    Status(4, 7, 0),
                    "Too many logins from your network, try again later",
                ),
            },
            Self::Sessions { .. } => (421, Status(4, 3, 2), "Too many connections from your network"),
        }
    }
}

impl Verdict for LimitRefusal {
    fn rule(&self) -> Rule {
        match self {
            Self::Rate { counted, .. } => match counted {
                Counted::Connection => Rule::LimitConnections,
                Counted::Message => Rule::LimitMessages,
                Counted::Recipient => Rule::LimitRecipients,
                Counted::Login => Rule::LimitLogins,
            },
            Self::Sessions { .. } => Rule::LimitSessions,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some(self.told())
    }
}

impl Limit {
    /// Whether it applies to a client.
    #[must_use]
    pub fn is_about(&self, client: &Client<'_>) -> bool {
        let listener = |names: &Vec<Box<str>>| names.iter().any(|name| **name == *client.listener);
        self.listeners.as_ref().is_none_or(listener)
            && self
                .networks
                .as_ref()
                .is_none_or(|networks| networks.contains(client.peer))
            && (!self.strangers || client.stranger)
    }
}

/// The limit of a client: the first that applies to it. One without any numbers is an exception from later ones.
#[must_use]
pub fn of_client<'a>(limits: &'a [Limit], client: &Client<'_>) -> Option<&'a Limit> {
    limits
        .iter()
        .find(|limit| !limit.by_rule && limit.is_about(client))
}

/// What clients have done, by limit and network.
#[derive(Debug, Default)]
pub struct Tally {
    limits: HashMap<Box<str>, Counts>,
}

#[derive(Debug)]
struct Counts {
    done: [[Allowances; LEVELS]; Counted::ALL.len()],
    sessions: HashMap<(usize, IpNet), u32>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            done: std::array::from_fn(|_| std::array::from_fn(|_| Allowances::new(NETWORKS_MAX))),
            sessions: HashMap::new(),
        }
    }
}

/// A session that is counted, to be given to [`Tally::leave`] at its end.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct Entered {
    limit: Box<str>,
    networks: Vec<(usize, IpNet)>,
}

impl Tally {
    /// Forgets limits that no longer exist.
    pub fn keep(&mut self, limits: &[Limit]) {
        self.limits
            .retain(|name, _| limits.iter().any(|limit| limit.name == *name));
    }

    /// Counts one more of something.
    ///
    /// # Errors
    ///
    /// [`LimitRefusal::Rate`]: nothing was counted.
    pub fn count(
        &mut self,
        limit: &Limit,
        counted: Counted,
        peer: IpAddr,
        now: Instant,
    ) -> Result<(), LimitRefusal> {
        let most = limit.most[counted.index()];
        if most == 0 {
            return Ok(());
        }
        let budgets = &mut self.limits.entry(limit.name.clone()).or_default().done[counted.index()];
        let levels = limit.network.levels(peer);
        let networks = || {
            levels
                .iter()
                .enumerate()
                .filter_map(|(level, network)| Some((level, (*network)?)))
        };
        let allowance = |level: usize| Allowance {
            most: most.saturating_mul(WIDER[level]),
            refill: limit.window,
        };
        for (level, network) in networks() {
            if !budgets[level]
                .wait(network.network(), allowance(level), now)
                .is_zero()
            {
                return Err(LimitRefusal::Rate {
                    name: limit.name.clone(),
                    counted,
                    most: allowance(level).most,
                    window: limit.window,
                    bits: limit.network.bits(peer, level),
                });
            }
        }
        for (level, network) in networks() {
            budgets[level].spend(network.network(), allowance(level), now);
        }
        Ok(())
    }

    /// Counts one more session.
    ///
    /// # Errors
    ///
    /// [`LimitRefusal::Sessions`]: it was not counted.
    pub fn enter(&mut self, limit: &Limit, peer: IpAddr) -> Result<Option<Entered>, LimitRefusal> {
        if limit.sessions == 0 {
            return Ok(None);
        }
        let sessions = &mut self.limits.entry(limit.name.clone()).or_default().sessions;
        let levels = limit.network.levels(peer);
        let networks: Vec<(usize, IpNet)> = levels
            .iter()
            .enumerate()
            .filter_map(|(level, network)| Some((level, (*network)?)))
            .collect();
        for at in &networks {
            let most = limit.sessions.saturating_mul(WIDER[at.0]);
            if sessions.get(at).copied().unwrap_or(0) >= most {
                return Err(LimitRefusal::Sessions {
                    name: limit.name.clone(),
                    most,
                    bits: limit.network.bits(peer, at.0),
                });
            }
        }
        for at in &networks {
            *sessions.entry(*at).or_insert(0) += 1;
        }
        Ok(Some(Entered {
            limit: limit.name.clone(),
            networks,
        }))
    }

    /// Ends a session.
    pub fn leave(&mut self, entered: &Entered) {
        let Some(counts) = self.limits.get_mut(&entered.limit) else {
            return;
        };
        for at in &entered.networks {
            if let Some(count) = counts.sessions.get_mut(at) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    counts.sessions.remove(at);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(name: &str) -> Limit {
        Limit {
            name: name.into(),
            listeners: None,
            networks: None,
            strangers: false,
            by_rule: false,
            window: Duration::from_secs(60),
            most: [2, 0, 0, 0],
            sessions: 2,
            network: NetworkPrefix::default(),
        }
    }

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn whom_a_limit_is_about() {
        let office: NetworkSet = ["10.0.0.0/8".parse::<IpNet>().unwrap()].into_iter().collect();
        let limits = [
            Limit {
                networks: Some(office),
                most: [0; 4],
                sessions: 0,
                ..limit("office")
            },
            Limit {
                by_rule: true,
                ..limit("bulk")
            },
            Limit {
                listeners: Some(vec!["mx".into()]),
                strangers: true,
                ..limit("strangers")
            },
            limit("all"),
        ];
        #[rustfmt::skip]
        let cases = [
            // client        listener      stranger  limit
            ("10.1.2.3",     "mx",         true,     "office"),
            ("192.0.2.1",    "mx",         true,     "strangers"),
            ("192.0.2.1",    "mx",         false,    "all"),
            ("192.0.2.1",    "submission", true,     "all"),
        ];
        for (address, listener, stranger, name) in cases {
            let client = Client {
                peer: peer(address),
                listener,
                stranger,
            };
            assert_eq!(
                &*of_client(&limits, &client).unwrap().name,
                name,
                "{address} at {listener}"
            );
        }
        let mut tally = Tally::default();
        for _ in 0..9 {
            assert_eq!(
                tally.count(&limits[0], Counted::Connection, peer("10.1.2.3"), Instant::now()),
                Ok(())
            );
            assert_eq!(tally.enter(&limits[0], peer("10.1.2.3")), Ok(None));
        }
    }

    #[test]
    fn so_much_in_a_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let limit = limit("l");
        let mut tally = Tally::default();
        let mut ask = |address: &str, seconds| {
            tally
                .count(&limit, Counted::Connection, peer(address), at(seconds))
                .is_ok()
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows         client        at   taken
            ("the first",                  "192.0.2.1",  0,   true),
            ("the second",                 "192.0.2.1",  0,   true),
            ("one too many",               "192.0.2.1",  0,   false),
            ("another client",             "192.0.2.2",  0,   true),
            ("half the time later",        "192.0.2.1",  30,  true),
            ("and not two",                "192.0.2.1",  30,  false),
            ("all the time later",         "192.0.2.1",  120, true),
        ];
        for (shows, address, seconds, taken) in cases {
            assert_eq!(ask(address, seconds), taken, "{shows}");
        }
        // Eight connections from one /24, none of whose addresses exceeds its own limit.
        let mut tally = Tally::default();
        let mut taken = 0;
        for last in 1..=20 {
            let from = peer(&format!("198.51.100.{last}"));
            taken += u32::from(tally.count(&limit, Counted::Connection, from, start).is_ok());
        }
        assert_eq!(taken, 2 * WIDER[1]);
        let mut tally = Tally::default();
        let mut taken = 0;
        for network in 0..1_000 {
            let from = peer(&format!("2001:db8:1:{network:x}::1"));
            taken += u32::from(tally.count(&limit, Counted::Connection, from, start).is_ok());
        }
        assert_eq!(taken, 2 * WIDER[2], "a /48 cannot have more by other addresses");
    }

    #[test]
    fn so_many_at_once() {
        let limit = limit("l");
        let mut tally = Tally::default();
        let first = tally.enter(&limit, peer("192.0.2.1")).unwrap().unwrap();
        let _second = tally.enter(&limit, peer("192.0.2.1")).unwrap();
        let refusal = tally.enter(&limit, peer("192.0.2.1")).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the limit \"l\" is reached: 2 sessions at once from its /32"
        );
        assert_eq!((refusal.rule(), refusal.told().0), (Rule::LimitSessions, 421));
        tally.leave(&first);
        assert!(tally.enter(&limit, peer("192.0.2.1")).is_ok());
        tally.keep(&[]);
        tally.leave(&first);
        assert!(tally.limits.is_empty());
    }

    #[test]
    fn refusals_are_for_now() {
        for counted in Counted::ALL {
            let refusal = LimitRefusal::Rate {
                name: "l".into(),
                counted,
                most: 1,
                window: Duration::from_secs(60),
                bits: 32,
            };
            let (code, status, _) = refusal.told();
            assert!((400..500).contains(&code) && status.0 == 4, "{refusal}");
        }
    }
}
