//! Slows down failed logins and locks out repeated failures: a pair of network and user name, then the network; never a user name
//! everywhere.
//!
//! Four things are counted, each for its own purpose:
//!
//! - the **pair** of network and user name: free failures, then delays that double, then a lockout;
//! - the **network** over all user names: beyond a number of failures one check at a time, with growing delays, then a lockout.
//!   User names that have recently succeeded from there are exempt, since many people may share one address;
//! - the **user name** over all networks from which it has not recently succeeded: beyond a number of failures one check at a
//!   time. It is never locked out, and is not affected from its usual networks: nobody can lock out somebody else;
//! - the **account** that a directory has found, whatever was typed: all spellings of one account share one lockout.
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

/// How failed logins are slowed down and locked out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ThrottleSettings {
    /// Failures of one pair of network and user name without delay: people mistype. Default 2.
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
    /// Failures of one network, over all user names, from which its checks are made one at a time, with growing delays. Default
    /// 30.
    pub network_failures_max: u32,
    /// Failures of one network until it is locked out. Default 100. Attempts refused because too many are in progress count half.
    pub network_lockout_failures: u32,
    /// Failures of one user name, over all networks from which it has not recently succeeded, from which checks from such
    /// networks are made one at a time. Default 100.
    pub login_failures_max: u32,
    /// What counts as one network.
    pub network: NetworkPrefix,
    /// Most pairs, networks, user names, and successful pairs that are remembered; those untouched for longest are forgotten.
    /// Default 100,000 each.
    pub entries_max: usize,
}

/// What to do with a login attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ThrottleVerdict {
    /// Wait for this long (zero without earlier failures), then check the password, and report the result.
    Check(Duration),
    /// As many checks are in progress as allowed: ask again when one has ended.
    Busy,
    /// So many are already waiting that this one must not. Rule `throttle.busy`.
    Full,
    /// Do not check: it is locked out for this long. Rule `throttle.lockout`.
    LockedOut(Duration),
}

/// Why a login attempt is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Closed {
    /// It is locked out for this long.
    #[error("locked out for {} s", .0.as_secs())]
    LockedOut(Duration),
    /// Too many attempts are waiting.
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
    /// A client at this address; its network is counted.
    Peer(IpAddr),
    /// A place where client addresses are unknown, such as the socket of saslauthd's protocol.
    ///
    /// There an attacker looks the same as the owner of an account. So a user name is slowed down there but never locked out, and
    /// attempts with other user names do not count: otherwise an attacker could lock out anybody.
    Place(Arc<str>),
}

/// How much a failed attempt weighs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Weight {
    /// The credentials were wrong.
    Wrong,
    /// The exchange was cancelled after the client had learned something, such as a salt: half as much, since connections of
    /// legitimate clients break too.
    GivenUp,
    /// The credentials were wrong as far as can be known while a directory is down: half as much.
    InDoubt,
}

/// What is reported to administrators, once each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Alarm {
    /// A user name is locked out from a network.
    Pair {
        /// The user name as it is counted.
        login: String,
        /// Failures that count.
        failures: u32,
        /// For how long.
        locked_out: Duration,
    },
    /// A network is locked out, except for user names that have succeeded from there.
    Network {
        /// Failures that count, over all user names.
        failures: u32,
        /// For how long.
        locked_out: Duration,
    },
    /// A user name is attacked from many networks, and is slowed down from those from which it has not recently succeeded.
    Login {
        /// The user name as it is counted.
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

/// Something locked out or slowed down now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lockout {
    /// The network, by its first address; `None` for a user name over all networks; or the name of a place.
    pub source: Option<Source>,
    /// The user name as it is counted; `None` for a network over all user names.
    pub login: Option<String>,
    /// Failures that count.
    pub failures: u32,
    /// How much longer it is locked out; `None` for a user name that is only slowed down.
    pub left: Option<Duration>,
    /// How many lockouts in a row this is.
    pub lockouts: u32,
}

/// Most octets of a user name that are compared here.
const LOGIN_MAX: usize = 256;

/// How long a user name that has succeeded from a network is known there.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Most attempts of one network that wait for their turn.
const NETWORK_WAITING_MAX: u32 = 100;

/// Most attempts with one user name, over all networks where it is not known, that wait for their turn.
const LOGIN_WAITING_MAX: u32 = 20;

/// Half failures in a whole one.
const WHOLE: u32 = 2;

/// The record of failed logins.
#[derive(Debug)]
pub struct LoginThrottle {
    settings: ThrottleSettings,
    pairs: Memory<Pair>,
    networks: Memory<Source>,
    logins: Memory<Box<str>>,
    /// Pairs that have succeeded; their last touch says when.
    known: Memory<Pair>,
    /// Checks in progress. One entry for each key that has any, so it is bounded by the number of sessions.
    under_way: HashMap<Key, UnderWay>,
}

/// A network or place, and a user name tried from there.
type Pair = (Source, Box<str>);

/// What checks in progress are counted by.
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

/// An attempt, from the first question to its end. Settings may change meanwhile.
#[derive(Debug)]
pub struct Ticket {
    pair: Pair,
    /// Whether the user name has recently succeeded from there.
    known: bool,
    standing: Standing,
    running: bool,
    /// Whether it uses one of the turns of the user name.
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
    /// Whether the user name has recently succeeded from this network.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// The standing of the network when the attempt began.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }
}

impl LoginThrottle {
    /// Starts empty.
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

    /// Changes the settings, as after a reload. What is remembered stays.
    pub fn configure(&mut self, settings: ThrottleSettings) {
        self.settings = settings;
    }

    /// Asked before a password is checked. The ticket is for [`retry`](Self::retry), while the verdict is
    /// [`ThrottleVerdict::Busy`], and for [`end`](Self::end) in any case.
    ///
    /// Checks in progress count as failed: parallel guesses get no further than sequential ones.
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

    /// Asks again for a waiting attempt.
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

    /// Called when the client has its challenge and may take its time: others may have their turn at the user name, while that of
    /// the network is still taken.
    pub fn challenged(&mut self, ticket: &mut Ticket) {
        if std::mem::take(&mut ticket.holds_login) && !ticket.known {
            self.less(&Key::Login(ticket.pair.1.clone()), |load| &mut load.running);
        }
    }

    /// Called once when an attempt is over, however it ended.
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

    /// Counts an attempt as waiting, or no longer.
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
            // Waiting guesses must not crowd out the owner's login: there is room for several at a time.
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

    /// How much longer a pair is locked out, by itself or with its network.
    fn locked_out(&self, pair: &Pair, known: bool, now: Instant) -> Option<Duration> {
        let of_pair = self.pairs.locked_out_for(pair, now);
        let of_network = self.networks.locked_out_for(&pair.0, now).filter(|_| !known);
        of_pair.max(of_network)
    }

    /// How long an account is locked out that a directory found under another name than its own. Asked before a login is granted,
    /// and after it was denied.
    #[must_use]
    pub fn account_locked_out(&self, source: &Source, account: &str, now: Instant) -> Option<Duration> {
        self.pairs.locked_out_for(&self.pair(source, account), now)
    }

    /// Called after an attempt has failed: for the user name as typed, and for the account that a directory found under it.
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

    /// Called after an attempt was refused because it would have waited too long. It counts half for its network, if that has
    /// failed before.
    pub fn turned_away(&mut self, ticket: &Ticket, now: Instant) -> Vec<Alarm> {
        match (&ticket.pair.0, ticket.standing) {
            (source @ Source::Peer(_), Standing::Suspect) => {
                self.network_halves(source.clone(), 1, now).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Called after a login: failures of its pair are forgotten, as typed and as the directory names it, and it is known from now
    /// on. What the network did with other user names is not forgotten.
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

    /// How long a login that cannot be guessed waits, such as one with a token: the failures of its network count.
    #[must_use]
    pub fn network_wait(&self, source: &Source, now: Instant) -> Duration {
        let (network, _) = self.pair(source, "");
        let count = self.networks.halves(&network, now, self.settings.window);
        match count >= self.settings.network_failures_max.saturating_mul(WHOLE) {
            true => self.settings.delay_max,
            false => Duration::ZERO,
        }
    }

    /// Called after such a login has failed: it counts for the network, but for no user name.
    pub fn network_failure(&mut self, source: &Source, now: Instant) -> Option<Alarm> {
        let (network, _) = self.pair(source, "");
        match network {
            Source::Peer(_) => self.network_halves(network, WHOLE, now),
            Source::Place(_) => None,
        }
    }

    /// What is locked out or slowed down now, the longest first.
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

    /// Lifts the lockouts of a user name, a network, or the two together, and forgets their failures. `None` for any. Returns how
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
        // A phone that does not have the new password yet must not lock out its owner for longer and longer.
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

    /// Alarms at the first failure beyond the limit, and then at each doubling.
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

/// What an attempt is counted by. If the user name is known from there, only the pair counts.
fn keys(ticket: &Ticket) -> impl Iterator<Item = Key> + use<> {
    let (source, login) = ticket.pair.clone();
    let strange = !ticket.known && matches!(source, Source::Peer(_));
    let shared = [Key::Network(source.clone()), Key::Login(login.clone())];
    std::iter::once(Key::Pair((source, login))).chain(shared.into_iter().filter(move |_| strange))
}

/// Whether no further check may begin: if those in progress fail, the limit is reached.
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

    /// The wait before the next attempt after this many half failures of one pair.
    fn delay(&self, halves: u32) -> Duration {
        self.delay_over(halves, self.free_failures.saturating_add(1))
    }

    /// The wait from the failure with this number on; it doubles with each further one.
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
