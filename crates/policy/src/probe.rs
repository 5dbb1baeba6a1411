//! What strangers may find out about existing users with `RCPT` and `VRFY`.
//!
//! Each network has an allowance of unknown names, and one of directory look-ups. Beyond either, nothing is refused: each answer
//! is delayed, that for an existing name as long as that for an unknown one. The network's answers queue up, [`PACE`] apart, and
//! each waits [`WAIT_MAX`] at most.
//!
//! Why delays: a large provider's hosts send for thousands of customers. If existing recipients were refused beyond the allowance
//! as well, any of those customers could stop the mail of all others with a hundred guesses an hour. If only unknown ones were
//! refused, the refusal would be the very answer to be withheld. Allowances by sender would have both faults: an attacker can use
//! any sender, or shares a domain with others. So a guess costs time. Sequential sessions learn one name per second; as many
//! parallel sessions as a network may have learn as many in [`WAIT_MAX`], and each session ends after too many
//! [errors](crate::patience). A legitimate sender waits seconds, far from the five minutes that it has for the answer (RFC 5321
//! section 4.5.3.2.3).

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::allowance::{Allowance, Allowances};
use crate::rule::{Rule, Told, Verdict};

/// Time between the answers to a network beyond its allowance.
pub const PACE: Duration = Duration::from_secs(1);

/// Longest wait for an answer.
pub const WAIT_MAX: Duration = Duration::from_secs(20);

/// The queue of delayed answers: as many as fit one [`PACE`] apart within [`WAIT_MAX`].
const LINE: Allowance = Allowance {
    most: 20,
    refill: WAIT_MAX,
};

/// How much a network may ask before its answers are delayed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProbeSettings {
    /// Recipients that do not exist, per hour. Default 100; 0 means no limit.
    pub unknown_per_hour: u32,
    /// Recipients that directories are asked about, per minute. Default 1,000; 0 means no limit.
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

/// Why an answer is delayed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Probed {
    /// Too many unknown names.
    #[error("too many recipients of this network do not exist")]
    Unknown,
    /// Too many look-ups.
    #[error("too many recipients of this network to look up")]
    Lookups,
}

impl Verdict for Probed {
    fn rule(&self) -> Rule {
        Rule::RecipientProbe
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

/// What networks have asked.
#[derive(Debug)]
pub struct Probes {
    unknown: Allowances,
    lookups: Allowances,
    line: Allowances,
}

impl Probes {
    /// Remembers up to this many networks.
    #[must_use]
    pub fn new(networks_max: usize) -> Self {
        Self {
            unknown: Allowances::new(networks_max),
            lookups: Allowances::new(networks_max),
            line: Allowances::new(networks_max),
        }
    }

    /// A question about a name: how long its answer is delayed, and why. To be called before the name is looked up.
    pub fn ask(
        &mut self,
        network: IpAddr,
        settings: ProbeSettings,
        now: Instant,
    ) -> Option<(Duration, Probed)> {
        let reason = if !self.unknown.wait(network, settings.unknown(), now).is_zero() {
            Some(Probed::Unknown)
        } else if !self.lookups.wait(network, settings.lookups(), now).is_zero() {
            Some(Probed::Lookups)
        } else {
            None
        };
        self.lookups.spend(network, settings.lookups(), now);
        reason.map(|reason| {
            self.line.spend(network, LINE, now);
            (self.line.owed(network, now), reason)
        })
    }

    /// The name is unknown. Returns whether this used up the network's allowance.
    pub fn found_nobody(&mut self, network: IpAddr, settings: ProbeSettings, now: Instant) -> bool {
        let before = self.unknown.wait(network, settings.unknown(), now).is_zero();
        self.unknown.spend(network, settings.unknown(), now);
        before && !self.unknown.wait(network, settings.unknown(), now).is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: ProbeSettings = ProbeSettings {
        unknown_per_hour: 2,
        lookups_per_minute: 10,
    };
    const GUESSER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn seconds(asked: Option<(Duration, Probed)>) -> Option<u64> {
        asked.map(|(wait, _)| wait.as_secs())
    }

    #[test]
    fn past_the_budget_all_answers_wait_in_one_line() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut probes = Probes::new(10);
        assert_eq!(probes.ask(GUESSER, SETTINGS, start), None);
        assert!(!probes.found_nobody(GUESSER, SETTINGS, start));
        assert_eq!(probes.ask(GUESSER, SETTINGS, start), None);
        assert!(probes.found_nobody(GUESSER, SETTINGS, start), "the last");
        assert!(!probes.found_nobody(GUESSER, SETTINGS, start), "said once");
        #[rustfmt::skip]
        let cases = [
            // what the case shows                         network   at   waits
            ("a second",                                   GUESSER,  0,   Some(1)),
            ("behind that",                                GUESSER,  0,   Some(2)),
            ("others do not wait",                         OTHER,    0,   None),
            ("who asks after the answer waits as long",    GUESSER,  2,   Some(1)),
            ("the budget fills up",                        GUESSER,  1_800, None),
        ];
        for (shows, network, asked_at, waits) in cases {
            assert_eq!(
                seconds(probes.ask(network, SETTINGS, at(asked_at))),
                waits,
                "{shows}"
            );
        }
    }

    #[test]
    fn no_answer_waits_for_ever() {
        let now = Instant::now();
        let mut probes = Probes::new(10);
        let settings = ProbeSettings {
            unknown_per_hour: 0,
            ..SETTINGS
        };
        let waits: Vec<_> = (0..40).map(|_| probes.ask(GUESSER, settings, now)).collect();
        assert_eq!(waits[9], None, "within the budget of look-ups");
        assert_eq!(waits[10], Some((PACE, Probed::Lookups)));
        assert_eq!(waits[39].unwrap().0, WAIT_MAX);
        assert!(!probes.found_nobody(GUESSER, settings, now), "no limit");
    }
}
