//! The state of the throttle that outlives a restart: from where logins have succeeded, and what has failed.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::memory::Failures;
use super::{KNOWN_FOR, LoginThrottle, Source};

/// Most failure counts that are handed out to be stored: first lockouts, then the highest counts. Pushing one out takes this many
/// others that are as high.
const KEPT_MAX: usize = 10_000;

/// A network from which a user name has succeeded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownLogin {
    /// The network, by its first address.
    pub network: IpAddr,
    /// The user name as it is counted.
    pub login: String,
    /// How long ago it last succeeded.
    pub ago: Duration,
}

/// Failures, with the current lockout, or a recent one, after which the next is longer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptFailures {
    /// The network, by its first address, or the place; `None` for the user name over all networks.
    pub source: Option<Source>,
    /// The user name as it is counted; `None` for the network over all user names.
    pub login: Option<String>,
    /// Failures that count, in halves.
    pub halves: u32,
    /// How long ago the first of them was.
    pub since: Duration,
    /// How long ago the last of them was.
    pub last: Duration,
    /// How many lockouts in a row there were.
    pub lockouts: u32,
    /// How much longer it is locked out.
    pub left: Option<Duration>,
}

impl LoginThrottle {
    /// How long a user name that has succeeded from a network is known there.
    pub const KNOWN_FOR: Duration = KNOWN_FOR;

    /// The networks from which user names have succeeded within the last `within`.
    #[must_use]
    pub fn known_logins(&self, within: Duration, now: Instant) -> Vec<KnownLogin> {
        let known = self.known.iter().filter_map(|((source, login), seen)| {
            let ago = now.saturating_duration_since(seen.last);
            match source {
                Source::Peer(network) if ago <= within => Some(KnownLogin {
                    network: *network,
                    login: login.to_string(),
                    ago,
                }),
                _ => None,
            }
        });
        known.collect()
    }

    /// Restores the networks from which user names succeeded before a restart. Too old entries are left out; of too many, the
    /// oldest.
    pub fn restore_known(&mut self, mut known: Vec<KnownLogin>, now: Instant) {
        // Those untouched for longest are the first to be forgotten, also later.
        known.sort_by_key(|known| known.ago);
        known.truncate(self.settings.entries_max);
        for known in known.into_iter().rev().filter(|known| known.ago < KNOWN_FOR) {
            if let Some(last) = now.checked_sub(known.ago) {
                let pair = self.pair(&Source::Peer(known.network), &known.login);
                self.known
                    .restore(pair, Failures::none(last), self.settings.entries_max);
            }
        }
    }

    /// Failures that still count, and lockouts that are current or so recent that the next is longer: the 10,000 highest of
    /// pairs, networks and user names.
    #[must_use]
    pub fn kept_failures(&self, now: Instant) -> Vec<KeptFailures> {
        let span = self.settings.span();
        let counts = |failures: &Failures| {
            let is_remembered = now.saturating_duration_since(failures.last) < span.lockouts;
            failures.halves_at(now, span.window) > 0
                || (failures.lockouts > 0 && is_remembered)
                || failures.locked_out_for(now).is_some()
        };
        let pairs = self.pairs.iter();
        let pairs = pairs.map(|((source, login), failures)| (Some(source), Some(&**login), failures));
        let networks = self.networks.iter();
        let networks = networks.map(|(source, failures)| (Some(source), None, failures));
        let logins = self.logins.iter();
        let logins = logins.map(|(login, failures)| (None, Some(&**login), failures));
        let mut all: Vec<_> = pairs
            .chain(networks)
            .chain(logins)
            .filter(|(_, _, failures)| counts(failures))
            .collect();
        if all.len() > KEPT_MAX {
            let weight = |failures: &Failures| {
                let left = failures.locked_out_for(now);
                Reverse((left, failures.halves_at(now, span.window), failures.last))
            };
            all.select_nth_unstable_by_key(KEPT_MAX, |(_, _, failures)| weight(failures));
            all.truncate(KEPT_MAX);
        }
        let kept = all.into_iter().map(|(source, login, failures)| KeptFailures {
            source: source.cloned(),
            login: login.map(str::to_owned),
            halves: failures.halves,
            since: now.saturating_duration_since(failures.since),
            last: now.saturating_duration_since(failures.last),
            lockouts: failures.lockouts,
            left: failures.locked_out_for(now),
        });
        kept.collect()
    }

    /// A number that changes whenever [`kept_failures`](Self::kept_failures) may have changed for a reason other than time.
    #[must_use]
    pub fn changes(&self) -> u64 {
        let changes = [
            self.pairs.changes(),
            self.networks.changes(),
            self.logins.changes(),
        ];
        changes.into_iter().fold(0, u64::wrapping_add)
    }

    /// Restores failures from before a restart. Of too many, the oldest are left out.
    pub fn restore_failures(&mut self, mut kept: Vec<KeptFailures>, now: Instant) {
        // Those untouched for longest are the first to be forgotten, also later.
        kept.sort_by_key(|kept| kept.last);
        let most = self.settings.entries_max;
        let mut room = [most; 3];
        kept.retain(|kept| {
            let kind = match (&kept.source, &kept.login) {
                (Some(_), Some(_)) => 0,
                (Some(_), None) => 1,
                (None, _) => 2,
            };
            let has_room = room[kind] > 0;
            room[kind] = room[kind].saturating_sub(1);
            has_room
        });
        for kept in kept.into_iter().rev() {
            let (Some(since), Some(last)) = (now.checked_sub(kept.since), now.checked_sub(kept.last)) else {
                continue;
            };
            let failures = Failures {
                halves: kept.halves,
                since,
                lockouts: kept.lockouts,
                locked_out_until: kept.left.and_then(|left| now.checked_add(left)),
                ..Failures::none(last)
            };
            let nowhere = Source::Place("".into());
            let source = kept.source.as_ref().unwrap_or(&nowhere);
            let pair = self.pair(source, kept.login.as_deref().unwrap_or_default());
            match (kept.source, kept.login) {
                (Some(_), Some(_)) => self.pairs.restore(pair, failures, most),
                (Some(_), None) => self.networks.restore(pair.0, failures, most),
                (None, Some(_)) => self.logins.restore(pair.1, failures, most),
                (None, None) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::throttle::{Alarm, ThrottleSettings, ThrottleVerdict, Weight};

    fn peer(text: &str) -> Source {
        Source::Peer(text.parse().unwrap())
    }

    fn verdict(throttle: &mut LoginThrottle, from: &str, login: &str, now: Instant) -> ThrottleVerdict {
        let (verdict, ticket) = throttle.begin(&peer(from), login, now);
        throttle.end(&ticket);
        verdict
    }

    /// The same, this many seconds later.
    fn aged(kept: Vec<KeptFailures>, seconds: u64) -> Vec<KeptFailures> {
        let more = Duration::from_secs(seconds);
        let aged = kept.into_iter().map(|kept| KeptFailures {
            since: kept.since + more,
            last: kept.last + more,
            left: kept.left.map(|left| left.saturating_sub(more)),
            ..kept
        });
        aged.collect()
    }

    #[test]
    fn what_was_known_is_known_after_a_restart() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let settings = ThrottleSettings::default();
        let mut before = LoginThrottle::new(settings);
        before.success(&peer("192.0.2.7"), "Ann", "ann@a.example", at(0));
        before.success(&Source::Place("saslauthd".into()), "ann", "ann", at(50));
        for _ in 0..settings.failures_max {
            let _ = before.failure(&peer("198.51.100.1"), "ann", None, Weight::Wrong, at(60));
        }
        let lately = before.known_logins(Duration::from_secs(30), at(60));
        assert_eq!(lately, [], "nothing new since");
        let (known, kept) = (
            before.known_logins(LoginThrottle::KNOWN_FOR, at(60)),
            before.kept_failures(at(60)),
        );
        assert_eq!(known.len(), 2, "as typed and as found, and no place: {known:?}");
        assert_eq!(kept.len(), 3, "pair, network and login: {kept:?}");

        // A minute passes until the next start.
        let later = |ago: Duration| ago + Duration::from_secs(60);
        let known = known.into_iter().map(|known| KnownLogin {
            ago: later(known.ago),
            ..known
        });
        let mut after = LoginThrottle::new(settings);
        after.restore_known(known.collect(), at(120));
        after.restore_failures(aged(kept, 60), at(120));
        let (_, ticket) = after.begin(&peer("192.0.2.7"), "ANN", at(120));
        assert!(ticket.is_known());
        after.end(&ticket);
        let (_, ticket) = after.begin(&peer("192.0.2.8"), "ann", at(120));
        assert!(!ticket.is_known(), "another network");
        after.end(&ticket);
        let left = settings.lockout_time - Duration::from_secs(60);
        let found = verdict(&mut after, "198.51.100.1", "ann", at(120));
        assert_eq!(found, ThrottleVerdict::LockedOut(left));
        // The next lockout is twice as long, as without a restart.
        let end = at(120) + left;
        for _ in 0..settings.failures_max {
            let _ = after.failure(&peer("198.51.100.1"), "ann", None, Weight::Wrong, end);
        }
        let found = verdict(&mut after, "198.51.100.1", "ann", end);
        assert_eq!(found, ThrottleVerdict::LockedOut(settings.lockout_time * 2));
    }

    #[test]
    fn failures_short_of_a_lock_out_count_after_a_restart() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let settings = ThrottleSettings {
            failures_max: 5,
            network_lockout_failures: 8,
            login_failures_max: 5,
            ..ThrottleSettings::default()
        };
        let home = Source::Place("saslauthd".into());
        let mut before = LoginThrottle::new(settings);
        let fail = |throttle: &mut LoginThrottle, from: &Source, login: &str, now| {
            throttle.failure(from, login, None, Weight::Wrong, now)
        };
        for _ in 0..4 {
            assert_eq!(fail(&mut before, &peer("198.51.100.1"), "ann", at(0)), []);
            assert_eq!(fail(&mut before, &home, "bob", at(0)), []);
        }
        let untouched = before.changes();
        assert_eq!(before.changes(), untouched, "nothing new");
        for _ in 0..3 {
            fail(&mut before, &peer("198.51.100.1"), "bob", at(0));
        }
        assert_ne!(before.changes(), untouched);
        let kept = before.kept_failures(at(10));
        let mut after = LoginThrottle::new(settings);
        after.restore_failures(aged(kept.clone(), 50), at(60));
        let wait = |seconds| ThrottleVerdict::Check(Duration::from_secs(seconds));
        assert_eq!(
            verdict(&mut after, "198.51.100.1", "ann", at(60)),
            wait(2),
            "the pair waits on"
        );
        let (found, ticket) = after.begin(&home, "bob", at(60));
        after.end(&ticket);
        assert_eq!(found, wait(2), "in a place, too");
        let alarms = fail(&mut after, &peer("198.51.100.1"), "ann", at(60));
        let locked_out = settings.lockout_time;
        let ann = || "ann".to_owned();
        #[rustfmt::skip]
        let expected = [
            Alarm::Pair { login: ann(), failures: 5, locked_out },
            Alarm::Login { login: ann(), failures: 5 },
            Alarm::Network { failures: 8, locked_out },
        ];
        assert_eq!(
            alarms, expected,
            "the next failure is the last of pair, login and network"
        );

        let mut late = LoginThrottle::new(settings);
        late.restore_failures(aged(kept, 900), at(910));
        assert_eq!(late.kept_failures(at(910)), [], "over by then");
        let locked_out = after.changes();
        assert_eq!(after.unlock(None, Some("ann"), at(61)), 2);
        assert_ne!(
            after.changes(),
            locked_out,
            "a lockout that was lifted is not to come back"
        );
    }

    #[test]
    fn of_too_many_failures_the_heaviest_are_kept() {
        let now = Instant::now();
        let mut throttle = LoginThrottle::new(ThrottleSettings::default());
        for _ in 0..3 {
            throttle.failure(&peer("198.51.100.1"), "ann", None, Weight::Wrong, now);
        }
        for number in 0..KEPT_MAX as u32 {
            let from = Source::Peer(IpAddr::from((number << 8).to_be_bytes()));
            throttle.failure(&from, &format!("user{number}"), None, Weight::Wrong, now);
        }
        let kept = throttle.kept_failures(now);
        assert_eq!(kept.len(), KEPT_MAX);
        let heavy = kept.iter().filter(|kept| kept.halves == 6).count();
        assert_eq!(heavy, 3, "pair, network and login");
    }

    #[test]
    fn of_too_much_the_latest_is_put_back() {
        let now = Instant::now();
        let mut throttle = LoginThrottle::new(ThrottleSettings {
            entries_max: 2,
            ..ThrottleSettings::default()
        });
        let known = |login: &str, days: u64| KnownLogin {
            network: "192.0.2.1".parse().unwrap(),
            login: login.into(),
            ago: Duration::from_secs(days * 24 * 3_600),
        };
        let all = vec![
            known("old", 9),
            known("new", 1),
            known("newer", 0),
            known("ancient", 31),
        ];
        throttle.restore_known(all, now);
        let mut found: Vec<String> = throttle
            .known_logins(LoginThrottle::KNOWN_FOR, now)
            .into_iter()
            .map(|known| known.login)
            .collect();
        found.sort();
        assert_eq!(found, ["new", "newer"]);

        let failed = |login: &str, seconds: u64| KeptFailures {
            source: None,
            login: Some(login.into()),
            halves: 2,
            since: Duration::from_secs(seconds),
            last: Duration::from_secs(seconds),
            lockouts: 0,
            left: None,
        };
        throttle.restore_failures(vec![failed("a", 3), failed("b", 1), failed("c", 2)], now);
        let mut found: Vec<_> = throttle
            .kept_failures(now)
            .into_iter()
            .map(|kept| kept.login)
            .collect();
        found.sort();
        assert_eq!(found, [Some("b".into()), Some("c".into())]);
    }
}
