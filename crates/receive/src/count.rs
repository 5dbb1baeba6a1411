//! Counts open sessions, in pools, by network and by user, and gives access to each of them from outside.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use parking_lot::Mutex;
use postern_events::{Observers, notice};
use postern_policy::admission::{
    self, Admission, AdmissionRefusal, AdmissionSettings, ConnectionFacts, Pool, PoolCounts, Seated,
};
use postern_policy::network::{LEVELS, Levels};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Sessions sampled when one has to be displaced. Whoever holds most of a pool is almost certainly among this many.
const SAMPLE: usize = 16;

/// Most connections at a time that are told why they are closed. Further ones are closed without a reply, since each takes a
/// descriptor.
const LINGERING_MAX: u32 = 200;

/// Shortest time between two log lines that sessions are scarce.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Open sessions. Holds one entry for each network and user that has any.
#[derive(Debug)]
pub(crate) struct SessionCounts {
    total: AtomicU32,
    lingering: AtomicU32,
    /// Whether strangers have shorter time limits, by pool.
    crowded: [AtomicBool; 3],
    inner: Mutex<Inner>,
    /// Who is told when sessions are scarce.
    observers: Observers,
}

#[derive(Debug)]
struct Inner {
    settings: AdmissionSettings,
    pools: [Vec<Seat>; 3],
    /// Strangers by pool, level and network: a flood at one listener does not shut its neighbours out of the other.
    networks: HashMap<NetworkKey, u32>,
    logins: HashMap<Box<str>, u32>,
    warned_at: Option<Instant>,
}

/// Pool, level and network.
type NetworkKey = (usize, usize, IpNet);

/// One session's place in its pool.
#[derive(Debug)]
struct Seat {
    signal: Arc<Signal>,
    wide: Option<IpNet>,
    since: Instant,
    /// Whether it cannot be displaced.
    spared: bool,
}

/// Why a session is ended from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Cut {
    /// The server is stopping, and the grace period is over.
    #[error("the time to stop has passed")]
    Stop,
    /// It was displaced by another session.
    #[error("sessions are scarce, and another network has fewer")]
    Displaced,
    /// An administrator ended it, or its login is no longer valid: the list of sessions knows which.
    #[error("ended from outside")]
    Ended,
}

/// Signals to a session from outside.
#[derive(Debug)]
pub(crate) struct Signal {
    /// Pool and index of its seat; changed under the lock alone.
    seat: AtomicU64,
    /// Why it must end; 0 if it need not.
    cut: AtomicU8,
    /// Whether a message is being written to disk, or its reply sent: that is not interrupted.
    busy: AtomicBool,
    ended: Notify,
    hurried: Notify,
}

/// The value for a session that no longer has a seat.
const NO_SEAT: u64 = u64::MAX;

/// One session in the counts, until dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    counts: Arc<SessionCounts>,
    signal: Arc<Signal>,
    key: Key,
}

/// What a session is counted under besides its pool.
#[derive(Debug)]
enum Key {
    /// Nothing yet: a proxy has yet to say where it comes from.
    Unknown,
    Networks(Pool, Levels),
    Login(Box<str>),
}

/// A session that wants to begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newcomer<'a> {
    /// The pool of its listener.
    pub(crate) pool: Pool,
    /// The client's address, unless a proxy has yet to say it.
    pub(crate) peer: Option<IpAddr>,
    /// What it is counted under if it is known by its address.
    pub(crate) known_as: Option<&'a str>,
    pub(crate) load: f64,
}

/// A connection that is being told why it is closed, until dropped.
pub(crate) struct Lingering(Arc<SessionCounts>);

impl Default for SessionCounts {
    fn default() -> Self {
        Self::new(Observers::nobody())
    }
}

impl SessionCounts {
    /// Starts with no sessions; `observers` are told when sessions are scarce.
    pub(crate) fn new(observers: Observers) -> Self {
        Self {
            observers,
            total: AtomicU32::new(0),
            lingering: AtomicU32::new(0),
            crowded: Default::default(),
            inner: Mutex::new(Inner {
                settings: AdmissionSettings::default(),
                pools: Default::default(),
                networks: HashMap::new(),
                logins: HashMap::new(),
                warned_at: None,
            }),
        }
    }
}

impl SessionCounts {
    /// Sessions open now.
    pub(crate) fn total(&self) -> u32 {
        self.total.load(Ordering::Relaxed)
    }

    /// Whether strangers of a pool have shorter time limits.
    pub(crate) fn is_crowded(&self, pool: Pool) -> bool {
        self.crowded[pool.index()].load(Ordering::Relaxed)
    }

    /// Counts a session, if policy admits it.
    pub(crate) fn enter(
        self: &Arc<Self>,
        newcomer: &Newcomer<'_>,
        settings: &AdmissionSettings,
    ) -> Result<Counted, AdmissionRefusal> {
        let mut inner = self.inner.lock();
        if inner.settings != *settings {
            inner.settings = settings.clone();
        }
        let (pool, key) = inner.place_of(newcomer);
        let of_networks = inner.of(&key);
        let facts = ConnectionFacts {
            load: newcomer.load,
            pool,
            used: inner.used(),
            peer: newcomer
                .peer
                .unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)),
            of_networks,
            chance: rand::random(),
        };
        match admission::admit(&facts, settings) {
            Admission::Accept => {}
            Admission::Displace(refusal) => {
                if !inner.displace(pool, of_networks[1]) {
                    return Err(refusal);
                }
            }
            Admission::Refuse421(refusal) => return Err(refusal),
        }
        let signal = Arc::new(Signal::default());
        inner.count(&key);
        inner.seat(pool, Seat::new(&signal, &key));
        self.total.fetch_add(1, Ordering::Relaxed);
        self.look_around(&mut inner);
        drop(inner);
        Ok(Counted {
            counts: Arc::clone(self),
            signal,
            key,
        })
    }

    /// Ends all sessions.
    pub(crate) fn cut_all(&self, cut: Cut) {
        let inner = self.inner.lock();
        inner.pools.iter().flatten().for_each(|seat| seat.signal.cut(cut));
    }

    /// A place among the connections that are told why they are closed, if one is free.
    pub(crate) fn linger(self: &Arc<Self>) -> Option<Lingering> {
        let lingering = Lingering(Arc::clone(self));
        (self.lingering.fetch_add(1, Ordering::Relaxed) < LINGERING_MAX).then_some(lingering)
    }

    /// Time limits for strangers have become shorter for a reason other than a crowd: waiting sessions check them.
    pub(crate) fn hurry_strangers(&self) {
        let inner = self.inner.lock();
        for pool in [Pool::Mx, Pool::Submission] {
            for seat in &inner.pools[pool.index()] {
                seat.signal.hurried.notify_one();
            }
        }
    }

    /// Finds out which pools are crowded now, and hurries the strangers in them.
    fn look_around(&self, inner: &mut Inner) {
        let used = inner.used();
        for pool in [Pool::Mx, Pool::Submission] {
            let before = self.is_crowded(pool);
            let now = admission::is_crowded(pool, &used, before, &inner.settings);
            if now == before {
                continue;
            }
            self.crowded[pool.index()].store(now, Ordering::Relaxed);
            let most = admission::capacity(pool, &used, &inner.settings);
            if now {
                for seat in &inner.pools[pool.index()] {
                    seat.signal.hurried.notify_one();
                }
                inner.warn_of_crowd(pool, used[pool.index()], most, &self.observers);
            } else {
                let sessions = used[pool.index()];
                notice!(self.observers, Run Info "sessions enough again", Pool = pool.who(), Sessions = sessions, Most = most);
            }
        }
    }
}

impl Inner {
    fn used(&self) -> PoolCounts {
        self.pools
            .each_ref()
            .map(|pool| u32::try_from(pool.len()).unwrap_or(u32::MAX))
    }

    /// Where a newcomer is counted.
    fn place_of(&self, newcomer: &Newcomer<'_>) -> (Pool, Key) {
        if let Some(name) = newcomer.known_as
            && admission::joins_known(&self.used(), self.of_login(name), &self.settings)
        {
            return (Pool::Known, Key::Login(name.into()));
        }
        let key = match newcomer.peer {
            Some(peer) => Key::Networks(newcomer.pool, self.settings.network.levels(peer)),
            None => Key::Unknown,
        };
        (newcomer.pool, key)
    }

    fn of_login(&self, name: &str) -> u32 {
        self.logins.get(name).copied().unwrap_or(0)
    }

    /// How many strangers there are in its networks.
    fn of(&self, key: &Key) -> [u32; LEVELS] {
        let mut counts = [0; LEVELS];
        for network in key.networks() {
            counts[network.1] = self.networks.get(&network).copied().unwrap_or(0);
        }
        counts
    }

    fn count(&mut self, key: &Key) {
        for network in key.networks() {
            *self.networks.entry(network).or_insert(0) += 1;
        }
        if let Key::Login(name) = key {
            match self.logins.get_mut(name) {
                Some(count) => *count += 1,
                None => drop(self.logins.insert(name.clone(), 1)),
            }
        }
    }

    fn forget(&mut self, key: &Key) {
        for network in key.networks() {
            less(&mut self.networks, &network);
        }
        if let Key::Login(name) = key {
            less(&mut self.logins, name);
        }
    }

    fn seat(&mut self, pool: Pool, seat: Seat) {
        let seats = &mut self.pools[pool.index()];
        seat.signal.sit(pool, seats.len());
        seats.push(seat);
    }

    /// Frees a session's seat, if it has one.
    fn unseat(&mut self, signal: &Signal) -> Option<(Pool, Seat)> {
        let (pool, index) = signal.seat()?;
        let seats = &mut self.pools[pool.index()];
        let seat = seats.swap_remove(index);
        if let Some(moved) = seats.get(index) {
            moved.signal.sit(pool, index);
        }
        signal.seat.store(NO_SEAT, Ordering::Relaxed);
        Some((pool, seat))
    }

    /// Takes a seat from another session for a newcomer whose widest network has this many.
    fn displace(&mut self, pool: Pool, of_newcomer: u32) -> bool {
        let seats = &self.pools[pool.index()];
        if seats.is_empty() || pool == Pool::Known {
            return false;
        }
        let drawn = (0..SAMPLE).map(|_| &seats[rand::random_range(0..seats.len())]);
        let (signals, seated): (Vec<_>, Vec<_>) = drawn
            .filter(|seat| !seat.spared)
            .map(|seat| {
                let key = seat.wide.map(|wide| (pool.index(), 1, wide));
                let of_network = key.and_then(|key| self.networks.get(&key));
                let seated = Seated {
                    of_network: of_network.copied().unwrap_or(1),
                    age: seat.since.elapsed(),
                };
                (Arc::clone(&seat.signal), seated)
            })
            .unzip();
        let Some(first) = admission::displaced(of_newcomer, &seated) else {
            return false;
        };
        self.unseat(&signals[first]);
        signals[first].cut(Cut::Displaced);
        true
    }

    fn warn_of_crowd(&mut self, pool: Pool, sessions: u32, most: u32, observers: &Observers) {
        if self.warned_at.is_some_and(|at| at.elapsed() < WARN_EVERY) {
            return;
        }
        self.warned_at = Some(Instant::now());
        let of_pool = |(of, level, _): &&NetworkKey| (*of, *level) == (pool.index(), 1);
        let networks = self.networks.keys().filter(of_pool).count();
        notice!(observers, Run Warning "sessions are scarce", Pool = pool.who(), Sessions = sessions, Most = most, Networks = networks);
    }
}

fn less<K, Q>(counts: &mut HashMap<K, u32>, key: &Q)
where
    K: std::hash::Hash + Eq + std::borrow::Borrow<Q>,
    Q: std::hash::Hash + Eq + ?Sized,
{
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Key {
    fn networks(&self) -> impl Iterator<Item = NetworkKey> + use<> {
        let (pool, levels) = match self {
            Self::Networks(pool, levels) => (pool.index(), *levels),
            Self::Unknown | Self::Login(_) => (0, [None; LEVELS]),
        };
        let levels = levels.into_iter().enumerate();
        levels.filter_map(move |(level, network)| Some((pool, level, network?)))
    }
}

impl Seat {
    fn new(signal: &Arc<Signal>, key: &Key) -> Self {
        Self {
            signal: Arc::clone(signal),
            wide: match key {
                Key::Networks(_, levels) => levels[1],
                Key::Unknown | Key::Login(_) => None,
            },
            since: Instant::now(),
            spared: false,
        }
    }
}

impl Counted {
    /// Its signals from outside.
    pub(crate) fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    /// Takes the client's address from a proxy.
    pub(crate) fn came_from(&mut self, newcomer: &Newcomer<'_>) -> Result<(), AdmissionRefusal> {
        let mut inner = self.counts.inner.lock();
        let Some((_, seat)) = inner.unseat(&self.signal) else {
            return Ok(());
        };
        let (pool, key) = inner.place_of(newcomer);
        let admitted = match newcomer.peer {
            Some(peer) => admission::admit_network(peer, &inner.of(&key), &inner.settings),
            None => Ok(()),
        };
        inner.count(&key);
        let moved = Seat::new(&self.signal, &key);
        inner.seat(
            pool,
            Seat {
                since: seat.since,
                ..moved
            },
        );
        self.key = key;
        self.counts.look_around(&mut inner);
        admitted
    }

    /// The client has become known: moves it out of the strangers' pool, if there is room in the other.
    pub(crate) fn has_become(&mut self, name: &str) {
        let mut inner = self.counts.inner.lock();
        let Some((from, mut seat)) = inner.unseat(&self.signal) else {
            return;
        };
        let (used, of_login) = (inner.used(), inner.of_login(name));
        let other = matches!(&self.key, Key::Login(before) if **before != *name);
        if (from != Pool::Known || other) && admission::joins_known(&used, of_login, &inner.settings) {
            inner.forget(&self.key);
            self.key = Key::Login(name.into());
            inner.count(&self.key);
            seat.wide = None;
            inner.seat(Pool::Known, seat);
        } else {
            // Only sessions beyond the limit of a user can be displaced like those of strangers.
            seat.spared = of_login < inner.settings.sessions_per_login;
            inner.seat(from, seat);
        }
        self.counts.look_around(&mut inner);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counts.total.fetch_sub(1, Ordering::Relaxed);
        let mut inner = self.counts.inner.lock();
        inner.unseat(&self.signal);
        inner.forget(&self.key);
        self.counts.look_around(&mut inner);
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        self.0.lingering.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Signal {
    fn default() -> Self {
        Self {
            seat: AtomicU64::new(NO_SEAT),
            cut: AtomicU8::new(0),
            busy: AtomicBool::new(false),
            ended: Notify::new(),
            hurried: Notify::new(),
        }
    }
}

impl Signal {
    /// Ends the session. The first reason counts.
    pub(crate) fn cut(&self, cut: Cut) {
        let reason = match cut {
            Cut::Stop => 1,
            Cut::Displaced => 2,
            Cut::Ended => 3,
        };
        let _ = self
            .cut
            .compare_exchange(0, reason, Ordering::AcqRel, Ordering::Acquire);
        self.ended.notify_one();
    }

    /// Waits until the session must end and no message of it is being written to disk.
    pub(crate) async fn is_cut(&self) -> Cut {
        loop {
            let cut = match self.cut.load(Ordering::Acquire) {
                0 => None,
                1 => Some(Cut::Stop),
                2 => Some(Cut::Displaced),
                _ => Some(Cut::Ended),
            };
            if let Some(cut) = cut
                && !self.busy.load(Ordering::Acquire)
            {
                return cut;
            }
            self.ended.notified().await;
        }
    }

    /// A message is being written to disk: the session is not ended before its reply is sent.
    pub(crate) fn begin_commit(&self) {
        self.busy.store(true, Ordering::Release);
    }

    /// All replies have been sent.
    pub(crate) fn replies_sent(&self) {
        if self.busy.load(Ordering::Relaxed) {
            self.busy.store(false, Ordering::Release);
            self.ended.notify_one();
        }
    }

    /// Waits until time limits for strangers become shorter.
    pub(crate) async fn is_hurried(&self) {
        self.hurried.notified().await;
    }

    fn seat(&self) -> Option<(Pool, usize)> {
        let seat = self.seat.load(Ordering::Relaxed);
        let pool = Pool::ALL.get(usize::try_from(seat >> 32).ok()?)?;
        Some((*pool, usize::try_from(seat & u64::from(u32::MAX)).ok()?))
    }

    fn sit(&self, pool: Pool, index: usize) {
        self.seat
            .store((pool.index() as u64) << 32 | index as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred sessions: twenty for each pool of strangers, forty for known clients, twenty for anybody.
    fn settings() -> AdmissionSettings {
        AdmissionSettings {
            sessions: 100,
            ..AdmissionSettings::default()
        }
    }

    fn newcomer(pool: Pool, peer: &str) -> Newcomer<'static> {
        Newcomer {
            pool,
            peer: Some(peer.parse().unwrap()),
            known_as: None,
            load: 0.0,
        }
    }

    fn enter(counts: &Arc<SessionCounts>, pool: Pool, peer: &str) -> Result<Counted, AdmissionRefusal> {
        counts.enter(&newcomer(pool, peer), &settings())
    }

    fn is_cut(counted: &Counted) -> bool {
        counted.signal.cut.load(Ordering::Relaxed) != 0
    }

    #[test]
    fn sessions_come_and_go() {
        let counts = Arc::new(SessionCounts::default());
        let first = enter(&counts, Pool::Mx, "192.0.2.1").unwrap();
        let second = enter(&counts, Pool::Submission, "2001:db8::1").unwrap();
        let mut third = enter(&counts, Pool::Submission, "192.0.2.1").unwrap();
        third.has_become("ann");
        assert_eq!(counts.total(), 3);
        assert_eq!(counts.inner.lock().used(), [1, 1, 1]);
        drop((first, second));
        assert_eq!(counts.total(), 1);
        drop(third);
        let inner = counts.inner.lock();
        assert_eq!(inner.used(), [0, 0, 0]);
        assert!(
            inner.networks.is_empty() && inner.logins.is_empty(),
            "nothing is kept of who has gone"
        );
    }

    #[test]
    fn a_flood_of_one_network_gives_way_to_others_and_leaves_other_doors_open() {
        let counts = Arc::new(SessionCounts::default());
        let mut flood: Vec<Counted> = Vec::new();
        for number in 0..1_000 {
            let peer = format!("198.51.100.{}", number % 200);
            flood.extend(enter(&counts, Pool::Mx, &peer));
        }
        assert!(flood.len() <= 40, "its share and what is free: {}", flood.len());
        assert!(counts.is_crowded(Pool::Mx));
        let honest: Vec<Counted> = (0..15)
            .map(|number| enter(&counts, Pool::Mx, &format!("192.0.{number}.1")).unwrap())
            .collect();
        assert!(!honest.iter().any(is_cut));
        // A client in the flood's own network, at the other listener.
        let mut user = enter(&counts, Pool::Submission, "198.51.100.1").unwrap();
        user.has_become("ann");
        assert_eq!(counts.inner.lock().used()[Pool::Known.index()], 1);
        flood.clear();
        assert!(!counts.is_crowded(Pool::Mx), "the others have room enough");
    }

    #[test]
    fn many_small_networks_keep_their_places_for_a_while() {
        let counts = Arc::new(SessionCounts::default());
        let flood: Vec<Counted> = (0..40)
            .map(|number| enter(&counts, Pool::Mx, &format!("10.0.{number}.1")).unwrap())
            .collect();
        assert!(enter(&counts, Pool::Mx, "192.0.2.1").is_err());
        assert!(!flood.iter().any(is_cut));
    }

    #[test]
    fn who_has_logged_in_counts_no_more_against_the_network() {
        let counts = Arc::new(SessionCounts::default());
        let settings = AdmissionSettings {
            sessions_per_network: Some(1),
            sessions_per_wide_network: 1,
            sessions_per_login: 2,
            ..settings()
        };
        let from = newcomer(Pool::Submission, "192.0.2.1");
        let mut first = counts.enter(&from, &settings).unwrap();
        assert!(counts.enter(&from, &settings).is_err());
        first.has_become("ann");
        let mut second = counts.enter(&from, &settings).unwrap();
        second.has_become("ann");
        let mut third = counts.enter(&from, &settings).unwrap();
        third.has_become("ann");
        assert!(
            counts.enter(&from, &settings).is_err(),
            "one login cannot have them all"
        );
        drop(first);
        third.has_become("ann");
        assert!(counts.enter(&from, &settings).is_ok());
    }

    #[test]
    fn hosts_that_may_relay_are_known_from_the_start() {
        let counts = Arc::new(SessionCounts::default());
        let flood: Vec<Counted> = (0..100)
            .filter_map(|number| enter(&counts, Pool::Mx, &format!("10.0.{number}.1")).ok())
            .collect();
        assert!(enter(&counts, Pool::Mx, "192.0.2.1").is_err());
        let printer = Newcomer {
            known_as: Some("192.0.2.9"),
            ..newcomer(Pool::Mx, "192.0.2.9")
        };
        assert!(counts.enter(&printer, &settings()).is_ok());
        drop(flood);
    }

    #[test]
    fn behind_a_proxy_the_network_counts_once_it_is_told() {
        let counts = Arc::new(SessionCounts::default());
        let settings = AdmissionSettings {
            sessions_per_network: Some(1),
            sessions_per_wide_network: 1,
            ..settings()
        };
        let proxy = Newcomer {
            peer: None,
            ..newcomer(Pool::Mx, "192.0.2.1")
        };
        let told = newcomer(Pool::Mx, "192.0.2.1");
        let mut first = counts.enter(&proxy, &settings).unwrap();
        let mut second = counts.enter(&proxy, &settings).unwrap();
        assert!(first.came_from(&told).is_ok());
        assert!(second.came_from(&told).is_err());
        drop((first, second));
        assert!(counts.inner.lock().networks.is_empty());
    }

    #[tokio::test]
    async fn a_commit_is_not_cut_short() {
        let counts = Arc::new(SessionCounts::default());
        let session = enter(&counts, Pool::Mx, "192.0.2.1").unwrap();
        let signal = Arc::clone(session.signal());
        signal.begin_commit();
        counts.cut_all(Cut::Stop);
        let mut cut = Box::pin(signal.is_cut());
        assert!(futures_poll(&mut cut).await.is_none());
        signal.replies_sent();
        assert_eq!(cut.await, Cut::Stop);
    }

    /// The result of a future, if it is ready.
    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = std::future::ready(()) => None,
        }
    }
}
