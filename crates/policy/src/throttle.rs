//! Slows failed logins and locks out whoever goes on: a pair of network and login, then the network; never a login everywhere.
//!
//! Four things are counted, each with its own end:
//!
//! - the **pair** of network and login: free failures, then delays that double, then a lockout;
//! - the **network** over all logins: past a number of failures one check at a time, each later than the one before, then a lockout.
//!   Logins that have succeeded from there recently are exempt, since there may be many people behind one address;
//! - the **login** over all networks that it has not succeeded from recently: past a number of failures one check at a time. It is
//!   never locked out, and from its usual networks it notices nothing: nobody can lock anybody out;
//! - the **account** that a directory has found, whatever was typed: spellings of one account share one lockout.
//!
//! Each further lockout of the same pair or network is twice as long as the one before.

mod memory;
mod remembered;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_mail::fold_login;

use self::memory::{Failures, Memory, Span};
pub use self::remembered::{KeptFailures, KnownLogin};
use crate::fair::Standing;
use crate::network::NetworkPrefix;
use crate::rule::{Rule, Told, Verdict};

/// How failed logins are slowed and locked out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ThrottleSettings {
    /// Failures of one pair of network and login that cost nothing: people mistype. Default 2.
    pub free_failures: u32,
    /// The wait after the next failure; it doubles with each further one. Default one second.
    pub first_delay: Duration,
    /// The longest wait. Default 15 seconds.
    pub delay_max: Duration,
    /// Failures of one pair within [`window`](Self::window) until it is locked out. Default 10.
    pub failures_max: u32,
    /// How long a failure counts. Default 15 minutes.
    pub window: Duration,
    /// How long a pair or network is locked out at first. Default 15 minutes.
    pub lockout_time: Duration,
    /// How long at most: each lockout is twice as long as the one before. Default 4 hours.
    pub lockout_time_max: Duration,
    /// Failures of one network, over all logins, from which on its checks are made one at a time, each later than the one
    /// before. Default 30.
    pub network_failures_max: u32,
    /// Failures of one network until it is locked out. Default 100. What is refused because too much is under way counts half.
    pub network_lockout_failures: u32,
    /// Failures of one login, over all networks that it has not succeeded from recently, from which on checks from such networks
    /// are made one at a time. Default 100.
    pub login_failures_max: u32,
    /// What counts as one network.
    pub network: NetworkPrefix,
    /// Pairs, and likewise networks, logins, and pairs that have succeeded, that are remembered; the longest untouched are
    /// forgotten. Default 100,000 each.
    pub entries_max: usize,
}

/// What to do with a login.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ThrottleVerdict {
    /// Wait for this long (zero for nobody who has done wrong), then check the password, and tell how it ended.
    Check(Duration),
    /// As much is under way as may be: ask again when something has ended.
    Busy,
    /// So many wait already that this one must not. Rule `throttle.busy`.
    Full,
    /// Do not check: it is locked out for this long. Rule `throttle.lockout`.
    LockedOut(Duration),
}

/// Why a login must not be tried.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Closed {
    /// It is locked out for this long.
    #[error("locked out for {} s", .0.as_secs())]
    LockedOut(Duration),
    /// Too many tries are before it.
    #[error("too many tries are under way from this network or at this login")]
    Busy,
}

impl Verdict for Closed {
    fn rule(&self) -> Rule {
        match self {
            Self::LockedOut(_) => Rule::ThrottleLockout,
            Self::Busy => Rule::ThrottleBusy,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

/// Where a login comes from.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub enum Source {
    /// A client at this address; its network is what counts.
    Peer(IpAddr),
    /// A place where nobody tells addresses of clients, such as the socket of saslauthd's protocol.
    ///
    /// Everybody who tries a login there looks the same, its owner too. So a login is slowed there and never locked out, and
    /// what is tried with other logins counts for nothing: who guesses could else shut out whom he likes.
    Place(Arc<str>),
}

/// How much a try weighs that has ended without a login.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Weight {
    /// A proof that was wrong.
    Wrong,
    /// An exchange that was given up when the client had learned something, such as a salt: half as much, as connections of
    /// honest clients break too.
    GivenUp,
    /// A proof that was wrong as far as can be known while a directory is down: half as much.
    InDoubt,
}

/// What an administrator should read in the log, once each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Alarm {
    /// A login is locked out from a network.
    Pair {
        /// The login as it is counted.
        login: String,
        /// Failures that count.
        failures: u32,
        /// For how long.
        locked_out: Duration,
    },
    /// A network is locked out, but for logins that have succeeded from there.
    Network {
        /// Failures that count, over all logins.
        failures: u32,
        /// For how long.
        locked_out: Duration,
    },
    /// A login is guessed at from many networks, and is slow from those that it has not succeeded from recently.
    Login {
        /// The login as it is counted.
        login: String,
        /// Failures that count, over all networks.
        failures: u32,
    },
}

impl Verdict for Alarm {
    fn rule(&self) -> Rule {
        match self {
            Self::Pair { .. } | Self::Network { .. } => Rule::ThrottleLockout,
            Self::Login { .. } => Rule::ThrottleLogin,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

impl Alarm {
    /// What has happened, in words.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Pair { .. } => "locked out",
            Self::Network { .. } => "network locked out, except for logins that have succeeded from there",
            Self::Login { .. } => {
                "guessed at from many networks: slow from those that it has not logged in from"
            }
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// Something locked out or slowed now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lockout {
    /// The network, by its first address; `None` for a login over all networks, or the name of a place.
    pub source: Option<Source>,
    /// The login as it is counted; `None` for a network over all logins.
    pub login: Option<String>,
    /// Failures that count.
    pub failures: u32,
    /// How long it is locked out still; `None` for a login that is only slowed.
    pub left: Option<Duration>,
    /// How many lockouts in a row this is.
    pub lockouts: u32,
}

/// Octets of a login that tell it from others here.
const LOGIN_MAX: usize = 256;

/// How long a login that has succeeded from a network is known there.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Most tries of one network that wait for their turn.
const NETWORK_WAITING_MAX: u32 = 100;

/// Most tries of one login, over all networks that are strange to it, that wait for their turn.
const LOGIN_WAITING_MAX: u32 = 20;

/// Halves of a failure in one that counts whole.
const WHOLE: u32 = 2;

/// The memory of failed logins.
#[derive(Debug)]
pub struct LoginThrottle {
    settings: ThrottleSettings,
    pairs: Memory<Pair>,
    networks: Memory<Source>,
    logins: Memory<Box<str>>,
    /// Pairs that have succeeded; when, is their last touch.
    known: Memory<Pair>,
    /// What is under way. One entry for each key that has any, so sessions bound it.
    under_way: HashMap<Key, UnderWay>,
}

/// A network or place, and a login tried from there.
type Pair = (Source, Box<str>);

/// What checks under way are counted by.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Key {
    Pair(Pair),
    Network(Source),
    Login(Box<str>),
}

#[derive(Clone, Copy, Debug, Default)]
struct UnderWay {
    running: u32,
    waiting: u32,
}

/// A try, from the first question to its end. Settings may change meanwhile.
#[derive(Debug)]
pub struct Ticket {
    pair: Pair,
    /// Whether the login has succeeded from there recently.
    known: bool,
    standing: Standing,
    running: bool,
    /// Whether it takes up one of the login's turns.
    holds_login: bool,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        Self {
            free_failures: 2,
            first_delay: Duration::from_secs(1),
            delay_max: Duration::from_secs(15),
            failures_max: 10,
            window: Duration::from_secs(15 * 60),
            lockout_time: Duration::from_secs(15 * 60),
            lockout_time_max: Duration::from_secs(4 * 3_600),
            network_failures_max: 30,
            network_lockout_failures: 100,
            login_failures_max: 100,
            network: NetworkPrefix::default(),
            entries_max: 100_000,
        }
    }
}

impl Ticket {
    /// Whether the login has succeeded from this network recently.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// How the network was known when the try began.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
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
            logins: Memory::new(),
            known: Memory::new(),
            under_way: HashMap::new(),
        }
    }

    /// Takes over other settings, as after a reload. What is remembered stays.
    pub fn configure(&mut self, settings: ThrottleSettings) {
        self.settings = settings;
    }

    /// Asked before a password is checked. The ticket is for [`retry`](Self::retry), as long as the verdict is
    /// [`ThrottleVerdict::Busy`], and for [`end`](Self::end) in any case.
    ///
    /// What is under way counts as if it had failed: many guesses at the same time get no further than one after the other.
    #[must_use]
    pub fn begin(&mut self, source: &Source, login: &str, now: Instant) -> (ThrottleVerdict, Ticket) {
        let pair = self.pair(source, login);
        let known = self.is_known(&pair, now);
        let failures = self.networks.halves(&pair.0, now, self.settings.window);
        let mut ticket = Ticket {
            known,
            standing: match (known, failures) {
                (true, _) => Standing::Known,
                (false, 0) => Standing::Stranger,
                (false, _) => Standing::Suspect,
            },
            pair,
            running: false,
            holds_login: false,
        };
        self.wait(&ticket, true);
        let verdict = self.retry(&mut ticket, now);
        (verdict, ticket)
    }

    /// Asks again for a try that waits.
    #[must_use]
    pub fn retry(&mut self, ticket: &mut Ticket, now: Instant) -> ThrottleVerdict {
        let verdict = self.verdict(ticket, now);
        if matches!(verdict, ThrottleVerdict::Check(_)) && !ticket.running {
            self.wait(ticket, false);
            ticket.running = true;
            ticket.holds_login = true;
            for key in keys(ticket) {
                self.under_way.entry(key).or_default().running += 1;
            }
        }
        verdict
    }

    /// Told when the client has its challenge and takes its time: others may have their turn at the login, while the network's
    /// own is still taken.
    pub fn challenged(&mut self, ticket: &mut Ticket) {
        if std::mem::take(&mut ticket.holds_login) && !ticket.known {
            self.less(&Key::Login(ticket.pair.1.clone()), |load| &mut load.running);
        }
    }

    /// Told once when a try is over, however it ended.
    pub fn end(&mut self, ticket: &Ticket) {
        if !ticket.running {
            self.wait(ticket, false);
            return;
        }
        for key in keys(ticket) {
            if ticket.holds_login || !matches!(key, Key::Login(_)) {
                self.less(&key, |load| &mut load.running);
            }
        }
    }

    /// Counts a try among those that wait, or no longer.
    fn wait(&mut self, ticket: &Ticket, begins: bool) {
        for key in keys(ticket) {
            match begins {
                true => self.under_way.entry(key).or_default().waiting += 1,
                false => self.less(&key, |load| &mut load.waiting),
            }
        }
    }

    fn less(&mut self, key: &Key, which: impl Fn(&mut UnderWay) -> &mut u32) {
        if let Some(load) = self.under_way.get_mut(key) {
            let count = which(load);
            *count = count.saturating_sub(1);
            if load.running == 0 && load.waiting == 0 {
                self.under_way.remove(key);
            }
        }
    }

    fn verdict(&self, ticket: &Ticket, now: Instant) -> ThrottleVerdict {
        let settings = &self.settings;
        let pair = &ticket.pair;
        let running = |key| self.under_way.get(&key).copied().unwrap_or_default();
        let of_pair = running(Key::Pair(pair.clone())).running;
        let count = self.pairs.halves(pair, now, settings.window);
        if matches!(pair.0, Source::Place(_)) {
            // Guesses that wait must not take the place of the owner's login: there is room for some beside each other.
            return match of_pair >= settings.failures_max {
                true => ThrottleVerdict::Busy,
                false => ThrottleVerdict::Check(settings.delay(count)),
            };
        }
        if let Some(left) = self.locked_out(pair, ticket.known, now) {
            return ThrottleVerdict::LockedOut(left);
        }
        // One check is always let through: the last failures of a pair whose lockout is over still count.
        if is_full(of_pair, count, settings.failures_max) {
            return ThrottleVerdict::Busy;
        }
        let mut delay = settings.delay(count);
        if !ticket.known {
            let budgets = [
                (
                    running(Key::Network(pair.0.clone())),
                    self.networks.halves(&pair.0, now, settings.window),
                    settings.network_failures_max,
                    NETWORK_WAITING_MAX,
                ),
                (
                    running(Key::Login(pair.1.clone())),
                    self.logins.halves(&pair.1, now, settings.window),
                    settings.login_failures_max,
                    LOGIN_WAITING_MAX,
                ),
            ];
            for (load, count, most, waiting_max) in budgets {
                if is_full(load.running, count, most) {
                    return match load.waiting > waiting_max {
                        true => ThrottleVerdict::Full,
                        false => ThrottleVerdict::Busy,
                    };
                }
                delay = delay.max(settings.delay_over(count, most));
            }
        }
        ThrottleVerdict::Check(delay)
    }

    /// How long a pair is locked out still, by itself or with its network.
    fn locked_out(&self, pair: &Pair, known: bool, now: Instant) -> Option<Duration> {
        let of_pair = self.pairs.locked_out_for(pair, now);
        let of_network = self.networks.locked_out_for(&pair.0, now).filter(|_| !known);
        of_pair.max(of_network)
    }

    /// How long an account is locked out that a directory has found by another name than its own. Asked before a login is granted, and
    /// after it was denied.
    #[must_use]
    pub fn account_locked_out(&self, source: &Source, account: &str, now: Instant) -> Option<Duration> {
        self.pairs.locked_out_for(&self.pair(source, account), now)
    }

    /// Told after a try has failed: for the login as it was typed, and for the account that a directory has found by it.
    pub fn failure(
        &mut self,
        source: &Source,
        login: &str,
        account: Option<&str>,
        weight: Weight,
        now: Instant,
    ) -> Vec<Alarm> {
        let halves = match weight {
            Weight::Wrong => WHOLE,
            Weight::GivenUp | Weight::InDoubt => 1,
        };
        let typed = self.pair(source, login);
        let found = account.map(|account| self.pair(source, account));
        let names = std::iter::once(&typed).chain(found.as_ref().filter(|found| **found != typed));
        let is_network = matches!(typed.0, Source::Peer(_));
        let mut alarms = Vec::new();
        for pair in names {
            let known = self.is_known(pair, now);
            alarms.extend(self.pair_failure(pair, halves, known, now));
            if is_network && !known {
                alarms.extend(self.login_failure(&pair.1, halves, now));
            }
        }
        if is_network {
            alarms.extend(self.network_halves(typed.0, halves, now));
        }
        alarms
    }

    /// Told after a try was refused because it would have waited for too long. It counts half for its network, if that has failed
    /// before.
    pub fn turned_away(&mut self, ticket: &Ticket, now: Instant) -> Vec<Alarm> {
        match (&ticket.pair.0, ticket.standing) {
            (source @ Source::Peer(_), Standing::Suspect) => {
                self.network_halves(source.clone(), 1, now).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Told after a login: its pair is forgotten, as typed and as the directory names it, and known from now on. What the network
    /// did with other logins is not forgotten.
    pub fn success(&mut self, source: &Source, login: &str, account: &str, now: Instant) {
        let (typed, found) = (self.pair(source, login), self.pair(source, account));
        let span = Span {
            window: KNOWN_FOR,
            lockouts: KNOWN_FOR,
        };
        for pair in [typed, found] {
            self.pairs.forget(&pair);
            if matches!(pair.0, Source::Peer(_)) {
                self.known.add(pair, 1, now, span, self.settings.entries_max);
            }
        }
    }

    /// How long a login waits that cannot be guessed at, such as one by a token: what its network has done with others counts.
    #[must_use]
    pub fn network_wait(&self, source: &Source, now: Instant) -> Duration {
        let (network, _) = self.pair(source, "");
        let count = self.networks.halves(&network, now, self.settings.window);
        match count >= self.settings.network_failures_max.saturating_mul(WHOLE) {
            true => self.settings.delay_max,
            false => Duration::ZERO,
        }
    }

    /// Told after such a login has failed: it counts for the network, and for no login.
    pub fn network_failure(&mut self, source: &Source, now: Instant) -> Option<Alarm> {
        let (network, _) = self.pair(source, "");
        match network {
            Source::Peer(_) => self.network_halves(network, WHOLE, now),
            Source::Place(_) => None,
        }
    }

    /// What is locked out or slowed now, the longest first.
    #[must_use]
    pub fn lockouts(&self, now: Instant) -> Vec<Lockout> {
        let settings = &self.settings;
        let lockout = |failures: &Failures, source: Option<&Source>, login: Option<&str>| Lockout {
            source: source.cloned(),
            login: login.map(str::to_owned),
            failures: failures.halves_at(now, settings.window) / WHOLE,
            left: failures.locked_out_for(now),
            lockouts: failures.lockouts,
        };
        let pairs = self
            .pairs
            .iter()
            .filter(|(_, failures)| failures.locked_out_for(now).is_some())
            .map(|((source, login), failures)| lockout(failures, Some(source), Some(login)));
        let networks = self
            .networks
            .iter()
            .filter(|(_, failures)| failures.locked_out_for(now).is_some())
            .map(|(source, failures)| lockout(failures, Some(source), None));
        let most = settings.login_failures_max.saturating_mul(WHOLE);
        let logins = self
            .logins
            .iter()
            .filter(|(_, failures)| failures.halves_at(now, settings.window) >= most)
            .map(|(login, failures)| lockout(failures, None, Some(login)));
        let mut lockouts: Vec<Lockout> = pairs.chain(networks).chain(logins).collect();
        lockouts.sort_by(|one, other| {
            other
                .left
                .cmp(&one.left)
                .then_with(|| one.login.cmp(&other.login))
        });
        lockouts
    }

    /// Lifts what holds for a login, for a network, or for the two together, and forgets their failures. `None` for any. Gives how
    /// many were lifted.
    pub fn unlock(&mut self, source: Option<&Source>, login: Option<&str>, now: Instant) -> usize {
        let wanted = source.map(|source| self.pair(source, "").0);
        let login = login.map(|login| self.pair(&Source::Place("".into()), login).1);
        let lifted = self.lockouts(now).into_iter().filter(|lockout| {
            let is_source = match (&wanted, &lockout.source) {
                (None, _) => true,
                (Some(wanted), Some(source)) => wanted == source,
                (Some(_), None) => false,
            };
            let is_login = match (&login, &lockout.login) {
                (None, _) => true,
                (Some(wanted), Some(login)) => **wanted == **login,
                (Some(_), None) => false,
            };
            is_source && is_login
        });
        let lifted: Vec<Lockout> = lifted.collect();
        for lockout in &lifted {
            match (&lockout.source, &lockout.login) {
                (Some(source), Some(login)) => self.pairs.forget(&(source.clone(), login.as_str().into())),
                (Some(source), None) => self.networks.forget(source),
                (None, Some(login)) => self.logins.forget(&login.as_str().into()),
                (None, None) => {}
            }
        }
        lifted.len()
    }

    fn pair_failure(&mut self, pair: &Pair, halves: u32, known: bool, now: Instant) -> Option<Alarm> {
        let settings = self.settings;
        let failures = self
            .pairs
            .add(pair.clone(), halves, now, settings.span(), settings.entries_max);
        let few = failures.halves < settings.failures_max.saturating_mul(WHOLE);
        if few || matches!(pair.0, Source::Place(_)) || failures.locked_out_for(now).is_some() {
            return None;
        }
        // A phone that does not know the new password yet must not lock its owner out for ever longer.
        let locked_out = match known {
            true => settings.lockout_time,
            false => settings.next_lockout(failures),
        };
        failures.locked_out_until = now.checked_add(locked_out);
        Some(Alarm::Pair {
            login: pair.1.to_string(),
            failures: failures.halves / WHOLE,
            locked_out,
        })
    }

    fn network_halves(&mut self, network: Source, halves: u32, now: Instant) -> Option<Alarm> {
        let settings = self.settings;
        let failures = self
            .networks
            .add(network, halves, now, settings.span(), settings.entries_max);
        let most = settings.network_lockout_failures.saturating_mul(WHOLE);
        if failures.halves < most || failures.locked_out_for(now).is_some() {
            return None;
        }
        let locked_out = settings.next_lockout(failures);
        failures.locked_out_until = now.checked_add(locked_out);
        Some(Alarm::Network {
            failures: failures.halves / WHOLE,
            locked_out,
        })
    }

    /// Alarms at the first failure that is too many, and then at each doubling.
    fn login_failure(&mut self, login: &str, halves: u32, now: Instant) -> Option<Alarm> {
        let settings = self.settings;
        let failures = self
            .logins
            .add(login.into(), halves, now, settings.span(), settings.entries_max);
        let most = settings.login_failures_max.saturating_mul(WHOLE).max(1);
        let (before, after) = (
            failures.halves.saturating_sub(halves) / most,
            failures.halves / most,
        );
        let doubled = after > 0 && (before == 0 || before.ilog2() < after.ilog2());
        doubled.then(|| Alarm::Login {
            login: login.to_owned(),
            failures: failures.halves / WHOLE,
        })
    }

    fn is_known(&self, pair: &Pair, now: Instant) -> bool {
        let seen = self.known.get(pair);
        seen.is_some_and(|seen| now.saturating_duration_since(seen.last) < KNOWN_FOR)
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

/// What a try is counted by. Where the login is known, it is nobody else's affair.
fn keys(ticket: &Ticket) -> impl Iterator<Item = Key> + use<> {
    let (source, login) = ticket.pair.clone();
    let strange = !ticket.known && matches!(source, Source::Peer(_));
    let shared = [Key::Network(source.clone()), Key::Login(login.clone())];
    std::iter::once(Key::Pair((source, login))).chain(shared.into_iter().filter(move |_| strange))
}

/// Whether no further check may begin: what runs might fail, and then there would be enough failures.
fn is_full(running: u32, halves: u32, most: u32) -> bool {
    running > 0 && halves.saturating_add(running.saturating_mul(WHOLE)) >= most.saturating_mul(WHOLE)
}

impl ThrottleSettings {
    fn span(&self) -> Span {
        Span {
            window: self.window,
            lockouts: self.lockout_time_max.saturating_mul(2).max(self.window),
        }
    }

    /// The wait before the next try after so many halves of failures of one pair.
    fn delay(&self, halves: u32) -> Duration {
        self.delay_over(halves, self.free_failures.saturating_add(1))
    }

    /// The wait from the failure on that has this number; it doubles with each further one.
    fn delay_over(&self, halves: u32, from: u32) -> Duration {
        let Some(doublings) = (halves / WHOLE).checked_sub(from) else {
            return Duration::ZERO;
        };
        self.first_delay
            .saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX))
            .min(self.delay_max)
    }

    /// How long the next lockout is.
    fn next_lockout(&self, failures: &mut Failures) -> Duration {
        let doubled = 1_u32.checked_shl(failures.lockouts).unwrap_or(u32::MAX);
        failures.lockouts = failures.lockouts.saturating_add(1);
        let longest = self.lockout_time_max.max(self.lockout_time);
        self.lockout_time.saturating_mul(doubled).min(longest)
    }
}
