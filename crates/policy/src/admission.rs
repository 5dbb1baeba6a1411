//! Whether to accept a connection, a message, a recipient, by load, count and size.
//!
//! Sessions are counted in pools: strangers at the mx, strangers at submission, and known clients. Each pool has a share that no
//! other can take, so strangers who fill one pool leave room in the others. Within a pool the networks with the most sessions are
//! the first to give way.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use postern_mail::Status;

use crate::network::{LEVELS, NetworkPrefix};
use crate::rule::{Rule, Told, Verdict};

/// How full a pool is when strangers begin to get less time, and new ones from crowded networks begin to be refused at random.
const CROWDED: f64 = 0.75;

/// How full a pool is when this stops.
const RELAXED: f64 = 0.5;

/// Number of sessions of a network at which its next one is refused with half the probability that applies to an infinitely large
/// network.
const CROWD: f64 = 8.0;

/// How long a session of a full pool has to authenticate or to send before one from a network that is no larger may displace it:
/// enough for a genuine client.
const SETTLED: Duration = Duration::from_secs(5);

/// Limits of admission. A limit of `None` is off.
#[derive(Clone, Debug, PartialEq)]
pub struct AdmissionSettings {
    /// New connections per second on all listeners of a role; more have to wait (sendmail's `ConnectionRateThrottle`). Default:
    /// off.
    pub connections_per_second: Option<u32>,
    /// Concurrent sessions of strangers from one network in one pool; more are told `421 4.7.0`. Default 100.
    pub sessions_per_network: Option<u32>,
    /// The same for a `/24` of IPv4 and a `/56` of IPv6; a `/48` may have twice as many. Never less than
    /// [`sessions_per_network`](Self::sessions_per_network), and off where that is. Default 400.
    pub sessions_per_wide_network: u32,
    /// Sessions of one user that are counted as known; further ones count like those of strangers. Default 100.
    pub sessions_per_login: u32,
    /// What counts as one network.
    pub network: NetworkPrefix,
    /// Concurrent sessions in all; more are told `421 4.3.2`. Default 10,000.
    pub sessions: u32,
    /// The share of them reserved for each pool.
    pub shares: PoolShares,
    /// Load average from which mail is queued for later instead of delivered at once (`QueueLA`). Default: off.
    pub queue_only_load: Option<f64>,
    /// Load average from which every command waits for [`delay`](Self::delay) (`DelayLA`). Default: off.
    pub delay_load: Option<f64>,
    /// Load average from which new connections are told `421 4.3.2` (`RefuseLA`). Default: off.
    pub refuse_load: Option<f64>,
    /// How long a command waits under `delay_load`. Default one second.
    pub delay: Duration,
    /// Recipients in one transaction; more are told `452 4.5.3`. Default 1,000.
    pub recipients: u32,
    /// Largest message in octets, announced as `SIZE`; a larger one is told `552 5.3.4`. Default 25 MiB.
    pub message_size: u64,
}

/// A pool in which sessions are counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pool {
    /// Strangers on listeners for other servers.
    Mx,
    /// Clients that have not authenticated yet, on listeners for own users.
    Submission,
    /// Authenticated clients, and hosts that may relay by their address or certificate.
    Known,
}

/// Sessions by pool, in the order of [`Pool::ALL`].
pub type PoolCounts = [u32; 3];

/// Percentage of all sessions reserved for each pool. The rest is first come, first served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PoolShares {
    /// [`Pool::Mx`]. Default 20.
    pub mx: u8,
    /// [`Pool::Submission`]. Default 20.
    pub submission: u8,
    /// [`Pool::Known`]. Default 40.
    pub known: u8,
}

/// The facts about a new connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionFacts {
    /// The load average of the last minute.
    pub load: f64,
    /// The pool to count it in.
    pub pool: Pool,
    /// Sessions open in each pool, without this one.
    pub used: PoolCounts,
    /// The client's address.
    pub peer: IpAddr,
    /// Open sessions of its pool from its networks, the narrowest first, without this one. Zeros for known clients.
    pub of_networks: [u32; LEVELS],
    /// A number drawn at random, from 0 up to 1.
    pub chance: f64,
}

/// Whether to accept a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Admission {
    /// Accept it.
    Accept,
    /// The pool is full: accept it in place of another ([`displaced`]), or refuse it for this reason.
    Displace(AdmissionRefusal),
    /// `421` and close.
    Refuse421(AdmissionRefusal),
}

/// A session that could be displaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seated {
    /// Sessions of its wide network, itself included.
    pub of_network: u32,
    /// How long it has been there.
    pub age: Duration,
}

/// Why something is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum AdmissionRefusal {
    /// The load average has reached `refuse_load`.
    #[error("load average {load:.1} has reached refuse_load {limit:.1}")]
    Load {
        /// The load average.
        load: f64,
        /// The limit.
        limit: f64,
    },
    /// No session is left for this pool.
    #[error("{limit} sessions of {} are open already", pool.who())]
    Sessions {
        /// The pool.
        pool: Pool,
        /// How many sessions it can have now.
        limit: u32,
    },
    /// The pool is nearly full and the network has many sessions: this one was refused at random.
    #[error("sessions of {} are scarce, and {of_network} are from this network", pool.who())]
    Scarce {
        /// The pool.
        pool: Pool,
        /// Sessions from its wide network.
        of_network: u32,
    },
    /// Too many sessions from one network.
    #[error("{limit} sessions from its /{bits} are open already")]
    Network {
        /// Prefix length of the network.
        bits: u8,
        /// The limit.
        limit: u32,
    },
    /// The message is too large.
    #[error("message of {size} octets, at most {limit} are taken")]
    Size {
        /// Its size, or the octets received until it was given up.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Too many recipients.
    #[error("{limit} recipients are the most in one transaction")]
    Recipients {
        /// The limit.
        limit: u32,
    },
}

impl Verdict for AdmissionRefusal {
    fn rule(&self) -> Rule {
        match self {
            Self::Load { .. } => Rule::AdmissionLoad,
            Self::Sessions { .. } => Rule::AdmissionSessions,
            Self::Scarce { .. } => Rule::AdmissionScarce,
            Self::Network { .. } => Rule::AdmissionNetwork,
            Self::Size { .. } => Rule::AdmissionSize,
            Self::Recipients { .. } => Rule::AdmissionRecipients,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some(self.told())
    }
}

impl AdmissionRefusal {
    /// Reply code, status and text for the peer, without our figures.
    #[must_use]
    pub fn told(self) -> Told {
        match self {
            Self::Load { .. } => (421, Status(4, 3, 2), "Too busy, try again later"),
            Self::Sessions { .. } | Self::Scarce { .. } => {
                (421, Status(4, 3, 2), "Too many connections, try again later")
            }
            Self::Network { .. } => (421, Status(4, 7, 0), "Too many connections from your network"),
            Self::Size { .. } => (552, Status(5, 3, 4), "Message too large"),
            Self::Recipients { .. } => (452, Status(4, 5, 3), "Too many recipients"),
        }
    }
}

impl Default for AdmissionSettings {
    fn default() -> Self {
        Self {
            connections_per_second: None,
            sessions_per_network: Some(100),
            sessions_per_wide_network: 400,
            sessions_per_login: 100,
            network: NetworkPrefix::default(),
            sessions: 10_000,
            shares: PoolShares::default(),
            queue_only_load: None,
            delay_load: None,
            refuse_load: None,
            delay: Duration::from_secs(1),
            recipients: 1_000,
            message_size: 25 * 1024 * 1024,
        }
    }
}

impl Pool {
    /// All pools.
    pub const ALL: [Self; 3] = [Self::Mx, Self::Submission, Self::Known];

    /// Its index in [`PoolCounts`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Mx => 0,
            Self::Submission => 1,
            Self::Known => 2,
        }
    }

    /// Whose sessions are in it, for the log.
    #[must_use]
    pub const fn who(self) -> &'static str {
        match self {
            Self::Mx => "strangers at the mx",
            Self::Submission => "strangers at submission",
            Self::Known => "known clients",
        }
    }
}

impl Default for PoolShares {
    fn default() -> Self {
        Self {
            mx: 20,
            submission: 20,
            known: 40,
        }
    }
}

impl AdmissionSettings {
    /// Sessions reserved for a pool.
    fn reserved(&self, pool: Pool) -> u32 {
        let percent = match pool {
            Pool::Mx => self.shares.mx,
            Pool::Submission => self.shares.submission,
            Pool::Known => self.shares.known,
        };
        let reserved = u64::from(self.sessions) * u64::from(percent.min(100)) / 100;
        u32::try_from(reserved).unwrap_or(self.sessions)
    }

    /// Most sessions of strangers from a network of this level; see [`NetworkPrefix::levels`].
    fn of_network_max(&self, level: usize) -> Option<u32> {
        let narrow = self.sessions_per_network?;
        let wide = self.sessions_per_wide_network;
        Some(match level {
            0 => narrow,
            1 => wide.max(narrow),
            _ => wide.saturating_mul(2).max(narrow),
        })
    }
}

/// Most sessions that a pool can have, given those in use in the others.
#[must_use]
pub fn capacity(pool: Pool, used: &PoolCounts, settings: &AdmissionSettings) -> u32 {
    let others = Pool::ALL.into_iter().filter(|other| *other != pool);
    let kept: u32 = others
        .map(|other| used[other.index()].max(settings.reserved(other)))
        .fold(0, u32::saturating_add);
    settings.sessions.saturating_sub(kept)
}

/// How full a pool is: 0 for empty, 1 and more for full.
fn fill(pool: Pool, used: &PoolCounts, settings: &AdmissionSettings) -> f64 {
    f64::from(used[pool.index()]) / f64::from(capacity(pool, used, settings).max(1))
}

/// Whether strangers of a pool get less time now; `before` is the state until now. Known clients always have the full time.
#[must_use]
pub fn is_crowded(pool: Pool, used: &PoolCounts, before: bool, settings: &AdmissionSettings) -> bool {
    pool != Pool::Known && fill(pool, used, settings) >= if before { RELAXED } else { CROWDED }
}

/// Decides whether to accept a connection.
#[must_use]
pub fn admit(facts: &ConnectionFacts, settings: &AdmissionSettings) -> Admission {
    let reached = |limit: &f64| facts.load >= *limit;
    if let Some(limit) = settings.refuse_load.filter(reached) {
        return Admission::Refuse421(AdmissionRefusal::Load {
            load: facts.load,
            limit,
        });
    }
    if let Err(refusal) = admit_network(facts.peer, &facts.of_networks, settings) {
        return Admission::Refuse421(refusal);
    }
    let limit = capacity(facts.pool, &facts.used, settings);
    if facts.used[facts.pool.index()] >= limit {
        let pool = facts.pool;
        return Admission::Displace(AdmissionRefusal::Sessions { pool, limit });
    }
    let of_network = facts.of_networks[1];
    if facts.pool != Pool::Known && facts.chance < early_drop(facts, of_network, settings) {
        let pool = facts.pool;
        return Admission::Refuse421(AdmissionRefusal::Scarce { pool, of_network });
    }
    Admission::Accept
}

/// The probability of an early refusal: it grows with the fill of the pool and the number of sessions of the network. The only
/// session of a network is never refused.
fn early_drop(facts: &ConnectionFacts, of_network: u32, settings: &AdmissionSettings) -> f64 {
    let scarce = (fill(facts.pool, &facts.used, settings) - CROWDED) / (1.0 - CROWDED);
    let crowd = f64::from(of_network);
    scarce.clamp(0.0, 1.0) * crowd / (crowd + CROWD)
}

/// Decides whether a stranger's networks may have one more session; the narrowest first.
///
/// # Errors
///
/// [`AdmissionRefusal::Network`].
pub fn admit_network(
    peer: IpAddr,
    of_networks: &[u32; LEVELS],
    settings: &AdmissionSettings,
) -> Result<(), AdmissionRefusal> {
    for (level, count) in of_networks.iter().enumerate() {
        if let Some(limit) = settings.of_network_max(level)
            && *count >= limit
        {
            return Err(AdmissionRefusal::Network {
                bits: settings.network.bits(peer, level),
                limit,
            });
        }
    }
    Ok(())
}

/// Which of some sessions of a full pool is displaced by a newcomer whose wide network has `of_newcomer` others, if any: the
/// oldest of the network with the most.
///
/// It must be from a larger network than the newcomer's, or have had enough time to authenticate or to send.
#[must_use]
pub fn displaced(of_newcomer: u32, seated: &[Seated]) -> Option<usize> {
    let first = (0..seated.len()).max_by_key(|at| (seated[*at].of_network, seated[*at].age))?;
    let Seated { of_network, age } = seated[first];
    let gives_way =
        of_network > of_newcomer.saturating_add(1) || (of_network > of_newcomer && age >= SETTLED);
    gives_way.then_some(first)
}

/// Whether a session that has become known moves into that pool, given the sessions in use without it, and those of the same user
/// there. If not, it stays where it is.
#[must_use]
pub fn joins_known(used: &PoolCounts, of_login: u32, settings: &AdmissionSettings) -> bool {
    of_login < settings.sessions_per_login
        && used[Pool::Known.index()] < capacity(Pool::Known, used, settings)
}

/// How long each command waits at this load.
#[must_use]
pub fn command_delay(load: f64, settings: &AdmissionSettings) -> Option<Duration> {
    settings
        .delay_load
        .filter(|limit| load >= *limit)
        .map(|_| settings.delay)
}

/// Whether mail accepted at this load is only queued instead of being delivered at once.
#[must_use]
pub fn queue_only(load: f64, settings: &AdmissionSettings) -> bool {
    settings.queue_only_load.is_some_and(|limit| load >= limit)
}

/// Decides whether to accept a message of this size: the one declared with `SIZE=` (RFC 1870), or what has arrived so far.
///
/// # Errors
///
/// [`AdmissionRefusal::Size`].
pub fn admit_size(size: u64, settings: &AdmissionSettings) -> Result<(), AdmissionRefusal> {
    let limit = settings.message_size;
    if size > limit {
        Err(AdmissionRefusal::Size { size, limit })
    } else {
        Ok(())
    }
}

/// Decides whether to accept one more recipient after `taken`.
///
/// # Errors
///
/// [`AdmissionRefusal::Recipients`].
pub fn admit_recipient(taken: usize, settings: &AdmissionSettings) -> Result<(), AdmissionRefusal> {
    let limit = settings.recipients;
    if taken >= limit as usize {
        Err(AdmissionRefusal::Recipients { limit })
    } else {
        Ok(())
    }
}

/// Limits the rate of new connections: a second begins with the first of them, and only a limited number go ahead until it ends.
#[derive(Clone, Debug, Default)]
pub struct RateWindow {
    window: Option<(Instant, u32)>,
}

impl RateWindow {
    /// Asks for one connection now. `None`: go ahead, it is counted. Otherwise wait this long and ask again.
    pub fn take(&mut self, per_second: Option<u32>, now: Instant) -> Option<Duration> {
        const SECOND: Duration = Duration::from_secs(1);
        let limit = per_second?.max(1);
        let (start, count) = match self.window {
            Some((start, count)) if now.saturating_duration_since(start) < SECOND => (start, count),
            _ => (now, 0),
        };
        if count >= limit {
            return Some(SECOND.saturating_sub(now.saturating_duration_since(start)));
        }
        self.window = Some((start, count + 1));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> AdmissionSettings {
        AdmissionSettings {
            sessions_per_network: Some(3),
            sessions_per_wide_network: 6,
            sessions_per_login: 2,
            sessions: 10,
            queue_only_load: Some(8.0),
            delay_load: Some(10.0),
            refuse_load: Some(12.0),
            recipients: 2,
            message_size: 500,
            ..AdmissionSettings::default()
        }
    }

    /// Ten sessions: two for each pool of strangers, four for known clients, two for anybody.
    fn facts(pool: Pool, used: PoolCounts) -> ConnectionFacts {
        ConnectionFacts {
            load: 0.0,
            pool,
            used,
            peer: "192.0.2.1".parse().unwrap(),
            of_networks: [0; LEVELS],
            chance: 0.0,
        }
    }

    fn refused(facts: &ConnectionFacts, settings: &AdmissionSettings) -> Option<(&'static str, u16)> {
        match admit(facts, settings) {
            Admission::Accept => None,
            Admission::Displace(refusal) | Admission::Refuse421(refusal) => {
                Some((refusal.rule().name(), refusal.told().0))
            }
        }
    }

    #[test]
    fn connections() {
        const MX: Pool = Pool::Mx;
        #[rustfmt::skip]
        let cases = [
            // what the case shows                  load   pool              used        of networks   refused by
            ("nothing going on",                    0.0,   MX,               [0, 0, 0],  [0, 0, 0],    None),
            ("just below every limit",              11.9,  MX,               [1, 1, 1],  [2, 5, 11],   None),
            ("refuse_load reached",                 12.0,  MX,               [0, 0, 0],  [0, 0, 0],    Some(("admission.load", 421))),
            ("the mx has its share and the rest",   0.0,   MX,               [3, 0, 0],  [0, 0, 0],    None),
            ("the shares of others are theirs",     0.0,   MX,               [4, 0, 0],  [0, 0, 0],    Some(("admission.sessions", 421))),
            ("the rest went to submission",         0.0,   MX,               [2, 4, 0],  [0, 0, 0],    Some(("admission.sessions", 421))),
            ("its own share nobody took",           0.0,   MX,               [1, 4, 4],  [0, 0, 0],    None),
            ("a full mx does not shut submission",  0.0,   Pool::Submission, [4, 1, 4],  [0, 0, 0],    None),
            ("nor who is known",                    0.0,   Pool::Known,      [4, 2, 3],  [0, 0, 0],    None),
            ("who is known can be too many",        0.0,   Pool::Known,      [2, 2, 6],  [0, 0, 0],    Some(("admission.sessions", 421))),
            ("all sessions of the network taken",   0.0,   MX,               [0, 0, 0],  [3, 3, 3],    Some(("admission.network", 421))),
            ("those of the wide network",           0.0,   MX,               [0, 0, 0],  [0, 6, 6],    Some(("admission.network", 421))),
            ("those of the widest",                 0.0,   MX,               [0, 0, 0],  [0, 0, 12],   Some(("admission.network", 421))),
            ("load counts first",                   20.0,  MX,               [9, 9, 9],  [3, 3, 3],    Some(("admission.load", 421))),
        ];
        for (shows, load, pool, used, of_networks, expected) in cases {
            let facts = ConnectionFacts {
                load,
                of_networks,
                chance: 0.99,
                ..facts(pool, used)
            };
            assert_eq!(refused(&facts, &settings()), expected, "{shows}");
        }
        let off = AdmissionSettings {
            sessions_per_network: None,
            refuse_load: None,
            ..settings()
        };
        let facts = ConnectionFacts {
            load: 99.0,
            of_networks: [9, 9, 9],
            chance: 0.99,
            ..facts(MX, [1, 0, 0])
        };
        assert_eq!(admit(&facts, &off), Admission::Accept, "limits that are off");
    }

    #[test]
    fn no_pool_takes_the_share_of_another() {
        // Whatever comes in whatever order, each pool can still have what is reserved for it.
        let settings = settings();
        for mx in 0..=10 {
            for submission in 0..=10 {
                for known in 0..=10 {
                    let used = [mx, submission, known];
                    let reserved = [2, 2, 4];
                    let kept = |counts: &PoolCounts| -> u32 {
                        counts
                            .iter()
                            .zip(reserved)
                            .map(|(used, kept)| (*used).max(kept))
                            .sum()
                    };
                    if kept(&used) > settings.sessions {
                        continue;
                    }
                    for pool in Pool::ALL {
                        if admit(&facts(pool, used), &settings) == Admission::Accept {
                            let mut after = used;
                            after[pool.index()] += 1;
                            assert!(kept(&after) <= settings.sessions, "{pool:?} after {used:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_lot_falls_on_crowded_networks() {
        let settings = AdmissionSettings {
            sessions: 1_000,
            sessions_per_network: None,
            ..settings()
        };
        // The mx can have 400 of them.
        #[rustfmt::skip]
        let cases = [
            // what the case shows             used  of network  chance  refused
            ("room enough",                    299,  100,        0.0,    false),
            ("the first of its network",       399,  0,          0.0,    false),
            ("one of a few, half scarce",      350,  8,          0.24,   true),
            ("luckier",                        350,  8,          0.26,   false),
            ("one of many",                    399,  100,        0.9,    true),
        ];
        for (shows, used, of_network, chance, refused) in cases {
            let facts = ConnectionFacts {
                of_networks: [1, of_network, of_network],
                chance,
                ..facts(Pool::Mx, [used, 0, 0])
            };
            let found = matches!(
                admit(&facts, &settings),
                Admission::Refuse421(AdmissionRefusal::Scarce { .. })
            );
            assert_eq!(found, refused, "{shows}");
        }
    }

    #[test]
    fn crowded_and_relaxed() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows               pool              used        before  crowded
            ("nearly full",                      Pool::Mx,         [3, 0, 0],  false,  true),
            ("not yet",                          Pool::Mx,         [2, 0, 0],  false,  false),
            ("still, until it is half empty",    Pool::Mx,         [2, 0, 0],  true,   true),
            ("relaxed",                          Pool::Mx,         [1, 0, 0],  true,   false),
            ("others took what was free",        Pool::Submission, [4, 2, 0],  false,  true),
            ("who is known has time",            Pool::Known,      [0, 0, 6],  true,   false),
        ];
        for (shows, pool, used, before, crowded) in cases {
            assert_eq!(is_crowded(pool, &used, before, &settings()), crowded, "{shows}");
        }
    }

    #[test]
    fn who_gives_way() {
        let seated = |of_network, seconds| Seated {
            of_network,
            age: Duration::from_secs(seconds),
        };
        #[rustfmt::skip]
        let cases: [(_, _, &[Seated], _); 7] = [
            // what the case shows                       newcomer's  seated                                            gives way
            ("nobody is there",                          0,          &[],                                              None),
            ("one of the largest network, the oldest",   0,          &[seated(1, 99), seated(50, 1), seated(50, 2)],   Some(2)),
            ("however new it is",                        0,          &[seated(2, 0)],                                  Some(0)),
            ("all alone in their networks, and new",     0,          &[seated(1, 4), seated(1, 3)],                    None),
            ("all alone, one long enough",               0,          &[seated(1, 3), seated(1, 5)],                    Some(1)),
            ("the newcomer's network is the largest",    50,         &[seated(50, 99), seated(3, 99)],                 None),
            ("one more of the same network",             1,          &[seated(2, 4)],                                  None),
        ];
        for (shows, of_newcomer, seated, gives_way) in cases {
            assert_eq!(displaced(of_newcomer, seated), gives_way, "{shows}");
        }
    }

    #[test]
    fn who_becomes_known() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows              used        of login  joins
            ("room in its share",               [4, 2, 3],  0,        true),
            ("none without that of others",     [4, 1, 4],  0,        false),
            ("none of the rest",                [2, 2, 6],  0,        false),
            ("a login with many sessions",      [0, 0, 2],  2,        false),
        ];
        for (shows, used, of_login, joins) in cases {
            assert_eq!(joins_known(&used, of_login, &settings()), joins, "{shows}");
        }
    }

    #[test]
    fn loads() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows   load   queue only  delay
            ("below QueueLA",        7.9,   false,      None),
            ("QueueLA",              8.0,   true,       None),
            ("DelayLA",              10.0,  true,       Some(Duration::from_secs(1))),
        ];
        for (shows, load, queued, delay) in cases {
            assert_eq!(queue_only(load, &settings()), queued, "{shows}");
            assert_eq!(command_delay(load, &settings()), delay, "{shows}");
        }
        let off = AdmissionSettings::default();
        assert!(!queue_only(99.0, &off) && command_delay(99.0, &off).is_none());
    }

    #[test]
    fn sizes() {
        assert_eq!(admit_size(500, &settings()), Ok(()));
        let refusal = admit_size(501, &settings()).unwrap_err();
        assert_eq!((refusal.rule().name(), refusal.told().0), ("admission.size", 552));
    }

    #[test]
    fn recipients() {
        assert_eq!(admit_recipient(1, &settings()), Ok(()));
        assert_eq!(
            admit_recipient(2, &settings()),
            Err(AdmissionRefusal::Recipients { limit: 2 })
        );
    }

    #[test]
    fn connections_over_the_rate_wait_for_the_next_second() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let wait = |ms| Some(Duration::from_millis(ms));
        let mut window = RateWindow::default();
        #[rustfmt::skip]
        let cases = [
            // what the case shows               at      wait
            ("the first begins a second",        0,      None),
            ("the second",                       400,    None),
            ("the third waits",                  400,    wait(600)),
            ("asking again early",               900,    wait(100)),
            ("its turn",                         1_000,  None),
            ("a new second has begun with it",   1_900,  None),
            ("which is full now",                1_950,  wait(50)),
        ];
        for (shows, ms, expected) in cases {
            assert_eq!(window.take(Some(2), at(ms)), expected, "{shows}");
        }
        assert_eq!(window.take(None, at(1_950)), None, "no limit");
    }
}
