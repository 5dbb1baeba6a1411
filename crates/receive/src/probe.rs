//! What a stranger may find out by `RCPT` and `VRFY`: each name that nobody has, and each question to the directories, is from a
//! budget of his network.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postern_policy::budget::{Allowance, Budgets};

use crate::session::Session;

/// How much a network may ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProbeSettings {
    /// Recipients that do not exist, in an hour. Default 100; 0 sets no limit.
    pub unknown_per_hour: u32,
    /// Recipients that directories are asked about, in a minute. Default 1,000; 0 sets no limit.
    pub lookups_per_minute: u32,
}

impl Default for ProbeSettings {
    fn default() -> Self {
        Self {
            unknown_per_hour: 100,
            lookups_per_minute: 1_000,
        }
    }
}

impl ProbeSettings {
    fn unknown(self) -> Allowance {
        Allowance {
            most: self.unknown_per_hour,
            refill: Duration::from_secs(3_600),
        }
    }

    fn lookups(self) -> Allowance {
        Allowance {
            most: self.lookups_per_minute,
            refill: Duration::from_secs(60),
        }
    }
}

/// What networks have asked.
#[derive(Debug)]
pub(crate) struct Probes(Mutex<Spent>);

#[derive(Debug)]
struct Spent {
    unknown: Budgets,
    lookups: Budgets,
}

/// Networks that are remembered.
const NETWORKS_MAX: usize = 100_000;

impl Default for Probes {
    fn default() -> Self {
        Self(Mutex::new(Spent {
            unknown: Budgets::new(NETWORKS_MAX),
            lookups: Budgets::new(NETWORKS_MAX),
        }))
    }
}

/// Why a stranger is not answered for now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Spend {
    /// Too many names that nobody has.
    Unknown,
    /// Too many questions.
    Lookups,
}

impl Spend {
    /// For the log.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Unknown => "too many recipients of this network do not exist",
            Self::Lookups => "too many recipients of this network to look up",
        }
    }
}

/// Asked before a directory is: whether this client may have an answer, which is then taken from its network's budget. Who has
/// logged in or is in a listed network has no budget.
pub(crate) fn admit(session: &Session) -> Result<(), Spend> {
    if !is_stranger(session) {
        return Ok(());
    }
    let (network, settings, now) = facts(session);
    let mut spent = session.shared.probes.0.lock();
    if !spent.unknown.wait(network, settings.unknown(), now).is_zero() {
        return Err(Spend::Unknown);
    }
    if !spent.lookups.wait(network, settings.lookups(), now).is_zero() {
        return Err(Spend::Lookups);
    }
    spent.lookups.spend(network, settings.lookups(), now);
    Ok(())
}

/// Told of a name that nobody has.
pub(crate) fn found_nobody(session: &Session) {
    if is_stranger(session) {
        let (network, settings, now) = facts(session);
        let mut spent = session.shared.probes.0.lock();
        spent.unknown.spend(network, settings.unknown(), now);
    }
}

fn is_stranger(session: &Session) -> bool {
    let peer = session.peer.ip().to_canonical();
    let networks = &session.profile.settings.relay.networks;
    session.login.is_none() && !networks.iter().any(|network| network.contains(&peer))
}

fn facts(session: &Session) -> (std::net::IpAddr, ProbeSettings, Instant) {
    let settings = &session.profile.settings;
    let network = settings.throttle.network.of(session.peer.ip());
    (network, settings.probes, Instant::now())
}
