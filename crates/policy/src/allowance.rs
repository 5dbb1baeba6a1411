//! An allowance for each network that refills with time, such as for recipients that do not exist.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How much one network may spend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Allowance {
    /// How much at once. Zero means no limit.
    pub most: u32,
    /// How long until it is full again.
    pub refill: Duration,
}

/// What networks have spent. Those untouched for longest are forgotten.
#[derive(Debug)]
pub struct Allowances {
    entries_max: usize,
    entries: HashMap<IpAddr, Spent>,
    by_age: BTreeMap<u64, IpAddr>,
    turn: u64,
}

#[derive(Clone, Copy, Debug)]
struct Spent {
    /// When it is full again: as much is spent as refills until then.
    full_at: Instant,
    turn: u64,
}

impl Allowances {
    /// Remembers up to this many networks.
    #[must_use]
    pub fn new(entries_max: usize) -> Self {
        Self {
            entries_max: entries_max.max(1),
            entries: HashMap::new(),
            by_age: BTreeMap::new(),
            turn: 0,
        }
    }

    /// How long until `network` has anything to spend; zero if it has.
    #[must_use]
    pub fn wait(&self, network: IpAddr, allowance: Allowance, now: Instant) -> Duration {
        let Some(spent) = self.entries.get(&network) else {
            return Duration::ZERO;
        };
        let Some(one) = allowance.refill.checked_div(allowance.most) else {
            return Duration::ZERO;
        };
        let missing = spent.full_at.saturating_duration_since(now);
        (missing + one).saturating_sub(allowance.refill)
    }

    /// How long until it is full again.
    #[must_use]
    pub fn owed(&self, network: IpAddr, now: Instant) -> Duration {
        self.entries.get(&network).map_or(Duration::ZERO, |spent| {
            spent.full_at.saturating_duration_since(now)
        })
    }

    /// Spends one, even if nothing is left.
    pub fn spend(&mut self, network: IpAddr, allowance: Allowance, now: Instant) {
        let Some(one) = allowance.refill.checked_div(allowance.most) else {
            return;
        };
        while self.entries.len() >= self.entries_max && !self.entries.contains_key(&network) {
            let Some((_, oldest)) = self.by_age.pop_first() else {
                break;
            };
            self.entries.remove(&oldest);
        }
        self.turn += 1;
        let fresh = Spent {
            full_at: now,
            turn: self.turn,
        };
        let spent = self.entries.entry(network).or_insert(fresh);
        self.by_age.remove(&spent.turn);
        self.by_age.insert(self.turn, network);
        let most = now + allowance.refill;
        spent.full_at = (spent.full_at.max(now) + one).min(most);
        spent.turn = self.turn;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const TEN_A_MINUTE: Allowance = Allowance {
        most: 10,
        refill: Duration::from_secs(60),
    };

    fn network(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(number))
    }

    #[test]
    fn spent_and_filled_up_again() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut allowances = Allowances::new(100);
        let waits: Vec<u64> = (0..12)
            .map(|_| {
                let wait = allowances.wait(network(1), TEN_A_MINUTE, start).as_secs();
                allowances.spend(network(1), TEN_A_MINUTE, start);
                wait
            })
            .collect();
        assert_eq!(
            waits,
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 6],
            "and no debts are made"
        );
        #[rustfmt::skip]
        let cases = [
            ("a moment later",        network(1), TEN_A_MINUTE, 5,  1),
            ("one is there again",    network(1), TEN_A_MINUTE, 6,  0),
            ("another network",       network(2), TEN_A_MINUTE, 0,  0),
            ("no limit",              network(1), Allowance { most: 0, ..TEN_A_MINUTE }, 0, 0),
        ];
        for (shows, network, allowance, later, wait) in cases {
            assert_eq!(
                allowances.wait(network, allowance, at(later)),
                Duration::from_secs(wait),
                "{shows}"
            );
        }
        allowances.spend(network(1), TEN_A_MINUTE, at(6));
        assert_eq!(
            allowances.wait(network(1), TEN_A_MINUTE, at(6)),
            Duration::from_secs(6)
        );
        for _ in 0..10 {
            assert_eq!(allowances.wait(network(1), TEN_A_MINUTE, at(600)), Duration::ZERO);
            allowances.spend(network(1), TEN_A_MINUTE, at(600));
        }
        assert_eq!(
            allowances.wait(network(1), TEN_A_MINUTE, at(600)),
            Duration::from_secs(6),
            "not more than all"
        );
        assert_eq!(allowances.owed(network(1), at(600)), Duration::from_secs(60));
        assert_eq!(allowances.owed(network(1), at(630)), Duration::from_secs(30));
        assert_eq!(allowances.owed(network(2), at(600)), Duration::ZERO);
    }

    #[test]
    fn bounded() {
        let now = Instant::now();
        let mut allowances = Allowances::new(10);
        for number in 0..100 {
            allowances.spend(network(number), TEN_A_MINUTE, now);
            allowances.spend(network(7), TEN_A_MINUTE, now);
        }
        assert_eq!((allowances.entries.len(), allowances.by_age.len()), (10, 10));
        assert!(
            !allowances.wait(network(7), TEN_A_MINUTE, now).is_zero(),
            "who goes on is remembered"
        );
    }
}
