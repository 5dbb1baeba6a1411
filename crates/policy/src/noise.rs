//! Limits how much strangers can cause to be logged, so that they cannot fill the log.
//!
//! Each source has an allowance that refills slowly. Lines beyond it are counted by the rule that refused, and summarised in one
//! line. Important events (logins, accepted mail and its delivery, acts of administrators) are not limited.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::network::wide;

/// Most rules that are counted by name in one summary; the rest is counted together.
const RULES_MAX: usize = 12;

/// The name of the rest.
const OTHERS: &str = "other";

/// Most networks that are counted separately. Beyond that, only the allowance of all together applies.
const NETWORKS_MAX: usize = 10_000;

/// Most networks that are named in one round of summaries.
const SUMMARIES_MAX: usize = 20;

/// How many lines may be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// At once.
    pub burst: u32,
    /// Per second, in the long run.
    pub per_second: f64,
}

/// An allowance of lines.
#[derive(Clone, Copy, Debug)]
struct Budget {
    left: f64,
    at: Instant,
}

/// How many lines were left out, by rule.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    rules: Vec<(Box<str>, u64)>,
}

/// Lines about one session.
#[derive(Debug)]
pub struct SessionNoise {
    budget: Budget,
    tally: Tally,
    told: Instant,
}

/// Lines about everybody, by network.
#[derive(Debug)]
pub struct Noise {
    of_network: Allowance,
    of_all: Allowance,
    all: Budget,
    networks: HashMap<IpNet, (Budget, Tally)>,
    /// Lines left out that have no network, or whose network is not counted separately.
    rest: Tally,
}

/// What was left out of the log for one network, or for all others together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Summary {
    /// The network; `None` for all others.
    pub network: Option<IpNet>,
    /// What was left out.
    pub tally: Tally,
}

impl Budget {
    fn full(allowance: Allowance, now: Instant) -> Self {
        Self {
            left: f64::from(allowance.burst),
            at: now,
        }
    }

    /// Refills for the time that has passed.
    fn refill(&mut self, allowance: Allowance, now: Instant) {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * allowance.per_second;
        self.left = (self.left + gained).min(f64::from(allowance.burst));
        self.at = now;
    }

    fn has_one(&self) -> bool {
        self.left >= 1.0
    }

    fn is_full(&self, allowance: Allowance) -> bool {
        self.left >= f64::from(allowance.burst)
    }
}

impl Tally {
    fn count(&mut self, rule: &str, times: u64) {
        let place =
            |rules: &[(Box<str>, u64)], name: &str| rules.iter().position(|(known, _)| **known == *name);
        let known = place(&self.rules, rule).is_some() || self.rules.len() < RULES_MAX;
        let name = if known { rule } else { OTHERS };
        match place(&self.rules, name) {
            Some(at) => self.rules[at].1 += times,
            None => self.rules.push((name.into(), times)),
        }
    }

    fn add(&mut self, other: &Self) {
        for (rule, times) in &other.rules {
            self.count(rule, *times);
        }
    }

    /// Whether nothing was left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Lines that were left out.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rules.iter().map(|(_, count)| count).sum()
    }
}

/// `relay.denied=880 admission.network=20`, the most frequent first.
impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rules: Vec<&(Box<str>, u64)> = self.rules.iter().collect();
        rules.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (place, (rule, count)) in rules.into_iter().enumerate() {
            let blank = if place == 0 { "" } else { " " };
            write!(f, "{blank}{rule}={count}")?;
        }
        Ok(())
    }
}

impl SessionNoise {
    /// Lines of one session: thirty at once, and two per minute in the long run.
    const ALLOWANCE: Allowance = Allowance {
        burst: 30,
        per_second: 2.0 / 60.0,
    };

    /// Longest time before a continuing session reports what was left out.
    const TOLD_EVERY: Duration = Duration::from_secs(60);

    /// For a new session.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            budget: Budget::full(Self::ALLOWANCE, now),
            tally: Tally::default(),
            told: now,
        }
    }

    /// Whether to write a line about this rule.
    pub fn admit(&mut self, rule: &str, now: Instant) -> bool {
        self.budget.refill(Self::ALLOWANCE, now);
        if self.budget.has_one() {
            self.budget.left -= 1.0;
            return true;
        }
        if self.tally.is_empty() {
            self.told = now;
        }
        self.tally.count(rule, 1);
        false
    }

    /// What was left out and should be reported now: once a minute, and when the session is `over`.
    pub fn untold(&mut self, over: bool, now: Instant) -> Option<Tally> {
        let due = over || now.saturating_duration_since(self.told) >= Self::TOLD_EVERY;
        if self.tally.is_empty() || !due {
            return None;
        }
        self.told = now;
        Some(std::mem::take(&mut self.tally))
    }
}

impl Noise {
    /// Lines of all sessions: `per_second` in the long run and fifty times as many at once; a tenth of that for one network
    /// (`/24`, `/56`).
    #[must_use]
    pub fn new(per_second: u32, now: Instant) -> Self {
        let of_all = Self::allowance(per_second);
        Self {
            of_network: Allowance {
                burst: (of_all.burst / 10).max(1),
                per_second: of_all.per_second / 10.0,
            },
            of_all,
            all: Budget::full(of_all, now),
            networks: HashMap::new(),
            rest: Tally::default(),
        }
    }

    /// Changes the rate; counts are kept.
    pub fn change(&mut self, per_second: u32, now: Instant) {
        if Self::allowance(per_second) != self.of_all {
            let rest = std::mem::take(&mut self.rest);
            let networks = std::mem::take(&mut self.networks);
            *self = Self::new(per_second, now);
            self.rest = rest;
            self.networks = networks;
        }
    }

    fn allowance(per_second: u32) -> Allowance {
        Allowance {
            burst: per_second.saturating_mul(50),
            per_second: f64::from(per_second),
        }
    }

    /// Whether to write a line of this rule about a client at `peer`.
    pub fn admit(&mut self, peer: Option<IpAddr>, rule: &str, now: Instant) -> bool {
        self.all.refill(self.of_all, now);
        let network = peer.map(wide);
        let room = self.networks.len() < NETWORKS_MAX;
        let own = match network {
            Some(network) if room || self.networks.contains_key(&network) => {
                let fresh = || (Budget::full(self.of_network, now), Tally::default());
                let own = self.networks.entry(network).or_insert_with(fresh);
                own.0.refill(self.of_network, now);
                Some(own)
            }
            _ => None,
        };
        let may = self.all.has_one() && own.as_ref().is_none_or(|(budget, _)| budget.has_one());
        match (may, own) {
            (true, own) => {
                self.all.left -= 1.0;
                if let Some((budget, _)) = own {
                    budget.left -= 1.0;
                }
            }
            (false, Some((_, tally))) => tally.count(rule, 1),
            (false, None) => self.rest.count(rule, 1),
        }
        may
    }

    /// What was left out since the last time, the loudest networks first and the others in one; networks that have been quiet
    /// are forgotten.
    pub fn untold(&mut self, now: Instant) -> Vec<Summary> {
        let mut loud: Vec<Summary> = Vec::new();
        let allowance = self.of_network;
        self.networks.retain(|network, (budget, tally)| {
            budget.refill(allowance, now);
            if !tally.is_empty() {
                loud.push(Summary {
                    network: Some(*network),
                    tally: std::mem::take(tally),
                });
            }
            !budget.is_full(allowance)
        });
        loud.sort_by_key(|summary| std::cmp::Reverse(summary.tally.total()));
        let mut rest = std::mem::take(&mut self.rest);
        for quiet in loud.drain(SUMMARIES_MAX.min(loud.len())..) {
            rest.add(&quiet.tally);
        }
        if !rest.is_empty() {
            loud.push(Summary {
                network: None,
                tally: rest,
            });
        }
        loud
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_session_has_a_budget() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut noise = SessionNoise::new(start);
        let written = (0..100_000)
            .filter(|_| noise.admit("relay.denied", start))
            .count();
        assert_eq!(written, 30);
        assert!(!noise.admit("recipient.unknown", at(1)));
        assert_eq!(noise.untold(false, at(1)), None, "not yet");
        let told = noise.untold(false, at(60)).unwrap();
        assert_eq!(told.to_string(), "relay.denied=99970 recipient.unknown=1");
        assert_eq!(told.total(), 99_971);
        assert_eq!(noise.untold(true, at(60)), None, "told already");
        assert!(
            noise.admit("relay.denied", at(91)),
            "some time later there is room again"
        );
    }

    #[test]
    fn a_network_has_a_budget_and_leaves_some_to_others() {
        let start = Instant::now();
        let mut noise = Noise::new(10, start);
        // 500 for all at once, and 50 for one network.
        let loud = (0..1_000)
            .filter(|n: &u32| noise.admit(peer(&format!("192.0.2.{}", n % 250)), "relay.denied", start));
        assert_eq!(loud.count(), 50, "many addresses of one network are one");
        assert!(noise.admit(peer("198.51.100.1"), "relay.denied", start));
        let told = noise.untold(start);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].network.unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(told[0].tally.to_string(), "relay.denied=950");
        assert!(
            noise.admit(peer("192.0.2.1"), "x", start + Duration::from_secs(1)),
            "one a second"
        );
        assert!(!noise.admit(peer("192.0.2.1"), "x", start + Duration::from_secs(1)));
    }

    #[test]
    fn many_networks_have_one_budget() {
        let start = Instant::now();
        let mut noise = Noise::new(10, start);
        let address = |n: u32| Some(IpAddr::from(std::net::Ipv4Addr::from(n << 8)));
        let written = (0..20_000)
            .filter(|n| noise.admit(address(*n), "admission.sessions", start))
            .count();
        assert_eq!(written, 500);
        assert!(noise.networks.len() <= NETWORKS_MAX);
        let told = noise.untold(start);
        assert_eq!(told.len(), SUMMARIES_MAX + 1, "not a line for each");
        assert_eq!(
            told.iter().map(|summary| summary.tally.total()).sum::<u64>(),
            19_500
        );
        assert_eq!(told.last().unwrap().network, None);
        let _ = noise.untold(start + Duration::from_secs(3_600));
        assert!(noise.networks.is_empty(), "nothing is kept of who is quiet");
    }

    #[test]
    fn rules_are_few() {
        let start = Instant::now();
        let mut noise = Noise::new(0, start);
        for number in 0..100 {
            assert!(!noise.admit(None, &format!("rule.{number}"), start));
        }
        let told = noise.untold(start);
        assert_eq!(told[0].tally.total(), 100);
        assert!(told[0].tally.rules.len() <= RULES_MAX + 1);
    }
}
