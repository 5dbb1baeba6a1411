//! Slows failed logins, and past a limit bars the pair of network and login; never the login everywhere.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_mail::fold_login;

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
    /// Wait for this long (zero for nobody who has done wrong), then check the password, and tell how it ended.
    Check(Duration),
    /// As many checks of this pair are under way as may still fail: ask again when one of them has ended.
    Busy,
    /// Do not check: the pair is barred for this long. Rule `throttle.barred`.
    Barred(Duration),
}

/// Where a login comes from.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub enum Source {
    /// A client at this address; its network is what counts.
    Peer(IpAddr),
    /// A place where nobody tells addresses of clients, such as the socket of saslauthd's protocol.
    ///
    /// Everybody who tries a login there looks the same, its owner too. So a login is slowed there and never barred, and
    /// what is tried with other logins counts for nothing: who guesses could else shut out whom he likes.
    Place(Arc<str>),
}

/// The name of the rule that bars, for the log.
pub const RULE_BARRED: &str = "throttle.barred";

/// Octets of a login that tell it from others here.
const LOGIN_MAX: usize = 256;

/// The memory of failed logins.
#[derive(Debug)]
pub struct LoginThrottle {
    settings: ThrottleSettings,
    pairs: Memory<Pair>,
    networks: Memory<Source>,
    /// Checks under way. One entry for each pair that has any, so sessions bound it.
    under_way: HashMap<Pair, u32>,
}

/// A network or place, and a login tried from there.
type Pair = (Source, Box<str>);

/// A check under way, as it was counted when it began.
#[derive(Debug)]
pub struct Ticket(Pair);

/// Failures by key, the longest untouched first to be forgotten.
#[derive(Debug)]
struct Memory<K> {
    entries: HashMap<K, Failures>,
    by_age: BTreeMap<u64, K>,
    turn: u64,
}

/// What is remembered of one key.
#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    /// When the first of them was.
    since: Instant,
    barred_until: Option<Instant>,
    /// The key's place in the order of age.
    turn: u64,
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
        Self {
            settings,
            pairs: Memory::new(),
            networks: Memory::new(),
            under_way: HashMap::new(),
        }
    }

    /// Takes over other settings, as after a reload. What is remembered stays.
    pub fn configure(&mut self, settings: ThrottleSettings) {
        self.settings = settings;
    }

    /// Asked before a password is checked. After [`ThrottleVerdict::Check`] the check counts as under way until
    /// [`end`](Self::end), which comes after [`failure`](Self::failure) or [`success`](Self::success), if either does.
    ///
    /// What is under way counts as if it had failed: many guesses at the same time get no further than one after the other.
    /// The ticket, which comes with [`ThrottleVerdict::Check`] alone, is for [`end`](Self::end).
    #[must_use]
    pub fn begin(&mut self, source: &Source, login: &str, now: Instant) -> (ThrottleVerdict, Option<Ticket>) {
        let pair = self.pair(source, login);
        let under_way = self.under_way.get(&pair).copied().unwrap_or(0);
        let verdict = self.verdict(&pair, under_way, now);
        let ticket = matches!(verdict, ThrottleVerdict::Check(_)).then(|| {
            *self.under_way.entry(pair.clone()).or_insert(0) += 1;
            Ticket(pair)
        });
        (verdict, ticket)
    }

    /// Told once when a check is over, however it ended. Settings may have changed since it began.
    pub fn end(&mut self, ticket: &Ticket) {
        let Ticket(pair) = ticket;
        if let Some(count) = self.under_way.get_mut(pair) {
            *count -= 1;
            if *count == 0 {
                self.under_way.remove(pair);
            }
        }
    }

    fn verdict(&self, pair: &Pair, under_way: u32, now: Instant) -> ThrottleVerdict {
        let settings = &self.settings;
        let failures = self.pairs.entries.get(pair);
        if let Some(left) = failures.and_then(|failures| failures.barred_until?.checked_duration_since(now))
            && !left.is_zero()
        {
            return ThrottleVerdict::Barred(left);
        }
        let recent = |failures: Option<&Failures>| {
            failures
                .filter(|failures| failures.counts(now, settings.window))
                .map_or(0, |failures| failures.count)
        };
        let count = recent(failures);
        if matches!(pair.0, Source::Place(_)) {
            // Guesses that wait must not take the place of the owner's login: there is room for some beside each other.
            return if under_way >= settings.failures_max {
                ThrottleVerdict::Busy
            } else {
                ThrottleVerdict::Check(settings.delay(count))
            };
        }
        // One check is always let through: the last failures of a pair whose bar is over still count.
        if under_way > 0 && count.saturating_add(under_way) >= settings.failures_max {
            return ThrottleVerdict::Busy;
        }
        if recent(self.networks.entries.get(&pair.0)) >= settings.network_failures_max {
            return ThrottleVerdict::Check(settings.delay_max);
        }
        ThrottleVerdict::Check(settings.delay(count))
    }

    /// Told after a password was found wrong. True if the pair is barred from now on.
    pub fn failure(&mut self, source: &Source, login: &str, now: Instant) -> bool {
        let settings = self.settings;
        let pair = self.pair(source, login);
        let is_network = matches!(pair.0, Source::Peer(_));
        if is_network {
            self.networks.add(pair.0.clone(), now, &settings);
        }
        let failures = self.pairs.add(pair, now, &settings);
        let barred = is_network && failures.count >= settings.failures_max;
        if barred {
            failures.barred_until = now.checked_add(settings.bar_time);
        }
        barred
    }

    /// Told after a login: the pair is forgotten. What the network did with other logins is not.
    pub fn success(&mut self, source: &Source, login: &str) {
        let pair = self.pair(source, login);
        self.pairs.forget(&pair);
    }

    /// How long a login waits that cannot be guessed at, such as one by a token: what its network has done with others counts.
    #[must_use]
    pub fn network_wait(&self, source: &Source, now: Instant) -> Duration {
        let (network, _) = self.pair(source, "");
        let failures = self.networks.entries.get(&network);
        let many = failures.is_some_and(|failures| {
            failures.counts(now, self.settings.window) && failures.count >= self.settings.network_failures_max
        });
        if many {
            self.settings.delay_max
        } else {
            Duration::ZERO
        }
    }

    /// Told after such a login has failed: it counts for the network, and for no login.
    pub fn network_failure(&mut self, source: &Source, now: Instant) {
        let settings = self.settings;
        let (network, _) = self.pair(source, "");
        if matches!(network, Source::Peer(_)) {
            self.networks.add(network, now, &settings);
        }
    }

    fn pair(&self, source: &Source, login: &str) -> Pair {
        let login = fold_login(login);
        let end = (0..=login.len().min(LOGIN_MAX))
            .rev()
            .find(|&end| login.is_char_boundary(end))
            .unwrap_or(0);
        let source = match source {
            Source::Peer(peer) => Source::Peer(self.settings.network.of(*peer)),
            Source::Place(place) => Source::Place(Arc::clone(place)),
        };
        (source, login[..end].into())
    }
}

impl ThrottleSettings {
    /// The wait before the next try after so many failures of one pair.
    fn delay(&self, failures: u32) -> Duration {
        let Some(doublings) = failures
            .checked_sub(self.free_failures)
            .and_then(|over| over.checked_sub(1))
        else {
            return Duration::ZERO;
        };
        self.first_delay
            .saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX))
            .min(self.delay_max)
    }
}

impl Failures {
    fn counts(&self, now: Instant, window: Duration) -> bool {
        now.saturating_duration_since(self.since) < window
    }
}

impl<K: Clone + Eq + Hash> Memory<K> {
    fn new() -> Self {
        Self {
            entries: HashMap::new(),
            by_age: BTreeMap::new(),
            turn: 0,
        }
    }

    /// Counts one more failure of `key`, and forgets the oldest keys if there are too many.
    fn add(&mut self, key: K, now: Instant, settings: &ThrottleSettings) -> &mut Failures {
        while self.entries.len() >= settings.entries_max.max(1) && !self.entries.contains_key(&key) {
            let Some((_, oldest)) = self.by_age.pop_first() else {
                break;
            };
            self.entries.remove(&oldest);
        }
        self.turn += 1;
        let turn = self.turn;
        let fresh = Failures {
            count: 0,
            since: now,
            barred_until: None,
            turn,
        };
        let failures = self.entries.entry(key.clone()).or_insert(fresh);
        self.by_age.remove(&failures.turn);
        self.by_age.insert(turn, key);
        if !failures.counts(now, settings.window) {
            *failures = fresh;
        }
        failures.turn = turn;
        failures.count = failures.count.saturating_add(1);
        failures
    }

    fn forget(&mut self, key: &K) {
        if let Some(failures) = self.entries.remove(key) {
            self.by_age.remove(&failures.turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use ThrottleVerdict::{Barred, Busy, Check};

    use std::net::Ipv4Addr;

    use super::*;

    const HOME: Source = Source::Peer(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    const AWAY: Source = Source::Peer(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)));

    fn settings() -> ThrottleSettings {
        ThrottleSettings {
            free_failures: 2,
            first_delay: Duration::from_secs(1),
            delay_max: Duration::from_secs(6),
            failures_max: 7,
            window: Duration::from_secs(600),
            bar_time: Duration::from_secs(300),
            network_failures_max: 12,
            entries_max: 100,
            network: NetworkPrefix::default(),
        }
    }

    fn wait(seconds: u64) -> ThrottleVerdict {
        Check(Duration::from_secs(seconds))
    }

    /// Asks, and takes the check back.
    fn check(throttle: &mut LoginThrottle, peer: &Source, login: &str, now: Instant) -> ThrottleVerdict {
        let (verdict, ticket) = throttle.begin(peer, login, now);
        if let Some(ticket) = ticket {
            throttle.end(&ticket);
        }
        verdict
    }

    /// The verdict alone; the check goes on.
    fn begin(throttle: &mut LoginThrottle, peer: &Source, login: &str, now: Instant) -> ThrottleVerdict {
        throttle.begin(peer, login, now).0
    }

    fn end(throttle: &mut LoginThrottle, peer: &Source, login: &str) {
        let ticket = Ticket(throttle.pair(peer, login));
        throttle.end(&ticket);
    }

    #[test]
    fn a_check_ends_as_it_began_whatever_a_reload_changed() {
        let now = Instant::now();
        let mut throttle = LoginThrottle::new(settings());
        let ticket = throttle.begin(&HOME, "acaird", now).1.unwrap();
        throttle.configure(ThrottleSettings {
            network: NetworkPrefix {
                v4: 24,
                ..NetworkPrefix::default()
            },
            ..settings()
        });
        throttle.end(&ticket);
        assert!(throttle.under_way.is_empty());
    }

    #[test]
    fn many_guesses_at_once_get_no_further_than_one_after_the_other() {
        let now = Instant::now();
        let mut throttle = LoginThrottle::new(settings());
        let at_once = |throttle: &mut LoginThrottle| {
            (0..100)
                .take_while(|_| begin(throttle, &HOME, "acaird", now) != Busy)
                .count()
        };
        assert_eq!(at_once(&mut throttle), 7, "as many as may fail until the bar");
        assert_eq!(begin(&mut throttle, &HOME, "boss", now), wait(0), "another login");
        assert_eq!(
            begin(&mut throttle, &AWAY, "acaird", now),
            wait(0),
            "another network"
        );
        throttle.success(&HOME, "acaird");
        end(&mut throttle, &HOME, "acaird");
        assert_eq!(at_once(&mut throttle), 1, "one has ended, and it was no failure");
        for _ in 0..7 {
            throttle.failure(&HOME, "acaird", now);
            end(&mut throttle, &HOME, "acaird");
        }
        assert!(matches!(begin(&mut throttle, &HOME, "acaird", now), Barred(_)));
        end(&mut throttle, &HOME, "boss");
        end(&mut throttle, &AWAY, "acaird");
        assert!(throttle.under_way.is_empty(), "nothing is kept of what is over");
        let later = now + settings().bar_time;
        assert_eq!(
            begin(&mut throttle, &HOME, "acaird", later),
            wait(6),
            "after the bar, one"
        );
        assert_eq!(
            begin(&mut throttle, &HOME, "acaird", later),
            Busy,
            "and no second one beside it"
        );
    }

    #[test]
    fn failures_slow_then_bar_the_pair_and_nobody_else() {
        let now = Instant::now();
        let mut throttle = LoginThrottle::new(settings());
        for expected in [0, 0, 0, 1, 2, 4, 6] {
            assert_eq!(check(&mut throttle, &HOME, "acaird", now), wait(expected));
            throttle.failure(&HOME, "acaird", now);
        }
        #[rustfmt::skip]
        let cases = [
            // what the case shows                       peer   login       seconds later  verdict
            ("the pair is barred",                       HOME,  "acaird",   0,             Barred(Duration::from_secs(300))),
            ("in another case too",                      HOME,  " ACaird ", 0,             Barred(Duration::from_secs(300))),
            ("and spelled otherwise",                    HOME,  "ac\u{e1}ird\u{ad}", 0,    Barred(Duration::from_secs(300))),
            ("for a time",                               HOME,  "acaird",   299,           Barred(Duration::from_secs(1))),
            ("then slow, as the failures still count",   HOME,  "acaird",   300,           wait(6)),
            ("until they do not",                        HOME,  "acaird",   600,           wait(0)),
            ("the login elsewhere is not",               AWAY,  "acaird",   0,             wait(0)),
            ("nor are others from there",                HOME,  "boss",     0,             wait(0)),
        ];
        for (shows, peer, login, later, verdict) in cases {
            assert_eq!(
                check(&mut throttle, &peer, login, now + Duration::from_secs(later)),
                verdict,
                "{shows}"
            );
        }
    }

    #[test]
    fn a_place_without_addresses_slows_and_never_bars() {
        let now = Instant::now();
        let mut throttle = LoginThrottle::new(settings());
        let (socket, other) = (Source::Place("imap".into()), Source::Place("web".into()));
        for number in 0..50 {
            assert!(!throttle.failure(&socket, "acaird", now), "never barred");
            throttle.failure(&socket, &format!("user{number}"), now);
        }
        #[rustfmt::skip]
        let cases = [
            // what the case shows                       source    login     verdict
            ("the login is slow there",                  &socket,  "acaird", wait(6)),
            ("a stranger to it is not",                  &socket,  "boss",   wait(0)),
            ("nor is the login at another place",        &other,   "acaird", wait(0)),
            ("nor from an address",                      &HOME,    "acaird", wait(0)),
        ];
        for (shows, source, login, verdict) in cases {
            assert_eq!(check(&mut throttle, source, login, now), verdict, "{shows}");
        }
        for _ in 0..7 {
            assert_eq!(
                begin(&mut throttle, &socket, "acaird", now),
                wait(6),
                "some at once"
            );
        }
        assert_eq!(begin(&mut throttle, &socket, "acaird", now), Busy, "and not more");
        assert!(throttle.networks.entries.is_empty());
    }

    #[test]
    fn a_failure_says_when_it_bars() {
        let now = Instant::now();
        let mut throttle = LoginThrottle::new(settings());
        let said: Vec<_> = (0..8).map(|_| throttle.failure(&HOME, "acaird", now)).collect();
        assert_eq!(said, [false, false, false, false, false, false, true, true]);
    }

    #[test]
    fn a_login_forgets_the_failures_before_it() {
        let now = Instant::now();
        let mut throttle = LoginThrottle::new(settings());
        for _ in 0..6 {
            throttle.failure(&HOME, "acaird", now);
        }
        throttle.success(&HOME, "ACAIRD");
        assert_eq!(check(&mut throttle, &HOME, "acaird", now), wait(0));
        assert!(!throttle.failure(&HOME, "acaird", now));
    }

    #[test]
    fn a_network_that_tries_many_logins_is_slowed_and_never_barred() {
        let now = Instant::now();
        let mut throttle = LoginThrottle::new(settings());
        for number in 0..50 {
            throttle.failure(&HOME, &format!("user{number}"), now);
        }
        assert_eq!(check(&mut throttle, &HOME, "acaird", now), wait(6));
        assert_eq!(check(&mut throttle, &AWAY, "acaird", now), wait(0));
        assert_eq!(
            check(&mut throttle, &HOME, "acaird", now + Duration::from_secs(600)),
            wait(0)
        );
    }

    #[test]
    fn one_customer_of_ipv6_has_one_count() {
        let now = Instant::now();
        let mut throttle = LoginThrottle::new(settings());
        for host in 0..7_u16 {
            let peer = Source::Peer(format!("2001:db8:0:1::{host:x}").parse().unwrap());
            throttle.failure(&peer, "acaird", now);
        }
        let mut verdict =
            |peer: &str| check(&mut throttle, &Source::Peer(peer.parse().unwrap()), "acaird", now);
        assert!(matches!(verdict("2001:db8:0:1::99"), Barred(_)));
        assert_eq!(verdict("2001:db8:0:2::99"), wait(0));
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_longest_untouched() {
        let now = Instant::now();
        let mut throttle = LoginThrottle::new(ThrottleSettings {
            network_failures_max: u32::MAX,
            ..settings()
        });
        for _ in 0..7 {
            throttle.failure(&HOME, "old", now);
            throttle.failure(&HOME, "touched", now);
        }
        for number in 0..99 {
            throttle.failure(&HOME, &format!("user{number}"), now);
            throttle.failure(&HOME, "touched", now);
        }
        assert_eq!(throttle.pairs.entries.len(), 100);
        assert_eq!(throttle.pairs.by_age.len(), 100);
        assert_eq!(check(&mut throttle, &HOME, "old", now), wait(0));
        assert!(matches!(check(&mut throttle, &HOME, "touched", now), Barred(_)));
        throttle.configure(ThrottleSettings {
            entries_max: 10,
            ..settings()
        });
        throttle.failure(&HOME, "another", now);
        assert_eq!(throttle.pairs.entries.len(), 10);
    }

    #[test]
    fn no_count_overflows_a_delay() {
        let settings = ThrottleSettings {
            first_delay: Duration::MAX,
            ..settings()
        };
        for failures in [3, 34, 35, 36, u32::MAX] {
            assert_eq!(settings.delay(failures), settings.delay_max);
        }
    }

    #[test]
    fn logins_that_cannot_be_guessed_wait_for_their_network_alone() {
        let start = Instant::now();
        let mut throttle = LoginThrottle::new(settings());
        for _ in 0..11 {
            throttle.network_failure(&HOME, start);
        }
        assert_eq!(
            throttle.network_wait(&HOME, start),
            Duration::ZERO,
            "not many yet"
        );
        throttle.network_failure(&HOME, start);
        let longest = Duration::from_secs(6);
        assert_eq!(throttle.network_wait(&HOME, start), longest, "many");
        assert_eq!(
            throttle.network_wait(&AWAY, start),
            Duration::ZERO,
            "from elsewhere"
        );
        assert_eq!(
            begin(&mut throttle, &HOME, "a", start),
            Check(longest),
            "nobody is barred by it"
        );
        let later = start + Duration::from_secs(601);
        assert_eq!(throttle.network_wait(&HOME, later), Duration::ZERO, "long ago");
    }
}
