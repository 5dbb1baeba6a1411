//! Slows failed logins, and past a limit bars the pair of network and login; never the login everywhere.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::network::NetworkPrefix;

/// How failed logins are slowed and barred.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ThrottleSettings {
    /// Failures of one pair of network and login that cost nothing: people mistype. Default 2.
    pub free_failures: u32,
    /// The wait after the next failure; it doubles with each further one. Default one second.
    pub first_delay: Duration,
    /// The longest wait. Default 15 seconds.
    pub delay_max: Duration,
    /// Failures of one pair within [`window`](Self::window) until it is barred. Default 10.
    pub failures_max: u32,
    /// How long a failure counts. Default 15 minutes.
    pub window: Duration,
    /// How long a pair is barred. Default 15 minutes.
    pub bar_time: Duration,
    /// Failures of one network, over all logins, from which on each login from there waits for `delay_max`. Default 50.
    ///
    /// It slows, and never bars: behind one address there may be many people.
    pub network_failures_max: u32,
    /// What counts as one network.
    pub network: NetworkPrefix,
    /// Pairs, and likewise networks, that are remembered; the longest untouched are forgotten. Default 100,000 each.
    pub entries_max: usize,
}

/// What to do with a login.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ThrottleVerdict {
    /// Wait for this long (zero for nobody who has done wrong), then check the password.
    Check(Duration),
    /// Do not check: the pair is barred for this long. Rule `throttle.barred`.
    Barred(Duration),
}

/// The memory of failed logins.
#[derive(Debug)]
pub struct LoginThrottle {
    settings: ThrottleSettings,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        Self {
            free_failures: 2,
            first_delay: Duration::from_secs(1),
            delay_max: Duration::from_secs(15),
            failures_max: 10,
            window: Duration::from_secs(15 * 60),
            bar_time: Duration::from_secs(15 * 60),
            network_failures_max: 50,
            network: NetworkPrefix::default(),
            entries_max: 100_000,
        }
    }
}

impl LoginThrottle {
    /// Starts with nobody remembered.
    #[must_use]
    pub fn new(settings: ThrottleSettings) -> Self {
        Self { settings }
    }

    /// Takes over other settings, as after a reload. What is remembered stays.
    pub fn configure(&mut self, settings: ThrottleSettings) {
        self.settings = settings;
    }

    /// Asked before a password is checked.
    pub fn check(&mut self, peer: IpAddr, login: &str, now: Instant) -> ThrottleVerdict {
        todo!("{peer} {login} {now:?}")
    }

    /// Told after a password was found wrong. True if the pair is barred from now on.
    pub fn failure(&mut self, peer: IpAddr, login: &str, now: Instant) -> bool {
        todo!("{peer} {login} {now:?}")
    }

    /// Told after a login: the pair is forgotten.
    pub fn success(&mut self, peer: IpAddr, login: &str) {
        todo!("{peer} {login}")
    }
}
