//! What the throttle knows that outlives a restart: from where logins have succeeded, and who is barred.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::memory::Failures;
use super::{KNOWN_FOR, LoginThrottle, Source};

/// Most bars that are handed out to be kept, the longest first.
const BARS_MAX: usize = 10_000;

/// A network from which a login has succeeded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownLogin {
    /// The network, by its first address.
    pub network: IpAddr,
    /// The login as it is counted.
    pub login: String,
    /// How long ago it succeeded last.
    pub ago: Duration,
}

/// A bar, or the memory of one: the next is longer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptBar {
    /// The network, by its first address.
    pub network: IpAddr,
    /// The login as it is counted; `None` for the network over all logins.
    pub login: Option<String>,
    /// Failures that count, in halves.
    pub halves: u32,
    /// How long ago the first of them was.
    pub since: Duration,
    /// How long ago the last of them was.
    pub last: Duration,
    /// How many bars in a row there were.
    pub bars: u32,
    /// How long it is barred still.
    pub left: Option<Duration>,
}

impl LoginThrottle {
    /// How long a login that has succeeded from a network is known there.
    pub const KNOWN_FOR: Duration = KNOWN_FOR;

    /// From where logins have succeeded within the last `within`.
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

    /// Puts back from where logins have succeeded before a restart. What is too old is left out; of too much, the oldest.
    pub fn restore_known(&mut self, mut known: Vec<KnownLogin>, now: Instant) {
        // The longest untouched are the first to be forgotten, also later.
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

    /// Who is barred now, or was so lately that the next bar is longer.
    #[must_use]
    pub fn kept_bars(&self, now: Instant) -> Vec<KeptBar> {
        let span = self.settings.span().bars;
        let kept = |source: &Source, login: Option<&str>, failures: &Failures| {
            let &Source::Peer(network) = source else {
                return None;
            };
            let last = now.saturating_duration_since(failures.last);
            (failures.bars > 0 && last < span).then(|| KeptBar {
                network,
                login: login.map(str::to_owned),
                halves: failures.halves,
                since: now.saturating_duration_since(failures.since),
                last,
                bars: failures.bars,
                left: failures.barred_for(now),
            })
        };
        let pairs = self
            .pairs
            .iter()
            .filter_map(|((source, login), failures)| kept(source, Some(login), failures));
        let networks = self
            .networks
            .iter()
            .filter_map(|(source, failures)| kept(source, None, failures));
        let mut bars: Vec<KeptBar> = pairs.chain(networks).collect();
        bars.sort_by(|one, other| other.left.cmp(&one.left).then(one.last.cmp(&other.last)));
        bars.truncate(BARS_MAX);
        bars
    }

    /// Puts back who was barred before a restart.
    pub fn restore_bars(&mut self, bars: Vec<KeptBar>, now: Instant) {
        for bar in bars {
            let (Some(since), Some(last)) = (now.checked_sub(bar.since), now.checked_sub(bar.last)) else {
                continue;
            };
            let failures = Failures {
                halves: bar.halves,
                since,
                bars: bar.bars,
                barred_until: bar.left.and_then(|left| now.checked_add(left)),
                ..Failures::none(last)
            };
            let most = self.settings.entries_max;
            let pair = self.pair(
                &Source::Peer(bar.network),
                bar.login.as_deref().unwrap_or_default(),
            );
            match bar.login {
                Some(_) => self.pairs.restore(pair, failures, most),
                None => self.networks.restore(pair.0, failures, most),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::throttle::{ThrottleSettings, ThrottleVerdict, Weight};

    fn peer(text: &str) -> Source {
        Source::Peer(text.parse().unwrap())
    }

    fn verdict(throttle: &mut LoginThrottle, from: &str, login: &str, now: Instant) -> ThrottleVerdict {
        let (verdict, ticket) = throttle.begin(&peer(from), login, now);
        throttle.end(&ticket);
        verdict
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
        let (known, bars) = (
            before.known_logins(LoginThrottle::KNOWN_FOR, at(60)),
            before.kept_bars(at(60)),
        );
        assert_eq!(known.len(), 2, "as typed and as found, and no place: {known:?}");
        assert_eq!(bars.len(), 1, "{bars:?}");

        // A minute goes by until the next start.
        let later = |ago: Duration| ago + Duration::from_secs(60);
        let known = known.into_iter().map(|known| KnownLogin {
            ago: later(known.ago),
            ..known
        });
        let bars = bars.into_iter().map(|bar| KeptBar {
            since: later(bar.since),
            last: later(bar.last),
            left: bar.left.map(|left| left.saturating_sub(Duration::from_secs(60))),
            ..bar
        });
        let mut after = LoginThrottle::new(settings);
        after.restore_known(known.collect(), at(120));
        after.restore_bars(bars.collect(), at(120));
        let (_, ticket) = after.begin(&peer("192.0.2.7"), "ANN", at(120));
        assert!(ticket.is_known());
        after.end(&ticket);
        let (_, ticket) = after.begin(&peer("192.0.2.8"), "ann", at(120));
        assert!(!ticket.is_known(), "another network");
        after.end(&ticket);
        let left = settings.bar_time - Duration::from_secs(60);
        let found = verdict(&mut after, "198.51.100.1", "ann", at(120));
        assert_eq!(found, ThrottleVerdict::Barred(left));
        // The next bar is twice as long, as without a restart.
        let end = at(120) + left;
        for _ in 0..settings.failures_max {
            let _ = after.failure(&peer("198.51.100.1"), "ann", None, Weight::Wrong, end);
        }
        let found = verdict(&mut after, "198.51.100.1", "ann", end);
        assert_eq!(found, ThrottleVerdict::Barred(settings.bar_time * 2));
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
    }
}
