//! Places for connections: who has one, who is in line, and how many each host has.
//!
//! How many each class of mail may have is decided in [`postern_policy::concurrency`]; here they are counted. No task waits for a
//! place: a next hop is an entry in a line, and the worker is started with the place (`usher`).

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use postern_policy::concurrency::{Class, Pressure, PressureNews, Shares, Site, Usage};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::destination::Destination;
use crate::in_line::InLine;
use crate::line::Line;
use crate::proven::Proven;
use crate::seat::{Held, Keeper, Seat};
use crate::status::PlacesStatus;

/// All places.
pub(crate) struct Places {
    state: Mutex<State>,
    /// The secret seed for hashes of hosts.
    seed: AtomicU64,
    /// For each class, whether a place used by a proven host is wanted by others.
    crowded: [AtomicBool; 3],
    /// For each class, whether a place used by an unproven host is wanted by others.
    pressed: [AtomicBool; 3],
    /// Signals that there may be a place for an entry in line.
    pub(super) changed: Notify,
    /// For each class, tells one idle connection that its place is wanted.
    wanted: [Notify; 3],
}

pub(super) struct State {
    shares: Shares,
    usage: Usage,
    lines: [Lines; 3],
    sites: HashMap<(Class, Site), AtSite>,
    proven: [Proven; 3],
    /// When the next paced place may be given to an unproven host.
    paced: [Option<Instant>; 3],
    pressure: [Pressure; 3],
    /// How long to wait for an unproven host while others wait for its place.
    patience: Duration,
}

/// Next hops in line for places of one class.
#[derive(Default)]
struct Lines {
    proven: Line<Entry>,
    unproven: Line<Entry>,
    /// Which kind had its turn last, if both could.
    proven_last: bool,
    /// How many wait for places at one address or network.
    parked: usize,
}

/// A next hop in line.
struct Entry {
    in_line: InLine,
    submitter: u64,
}

/// Connections to one address or network.
#[derive(Default)]
struct AtSite {
    proven: usize,
    unproven: usize,
    parked: VecDeque<Entry>,
}

/// The next step for the line.
pub(crate) enum Next {
    /// The next one, with its place for a connection. It stays in line until the `InLine` is dropped.
    Place(Seat, InLine),
    /// None until then, or until [`Places::changed`].
    Wait(Option<Instant>),
}

impl Places {
    pub(crate) fn new(total: usize, patience: Duration) -> Arc<Self> {
        let state = State {
            shares: Shares::of(total),
            usage: Usage::default(),
            lines: Default::default(),
            sites: HashMap::new(),
            proven: Default::default(),
            paced: [None; 3],
            pressure: Default::default(),
            patience,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            seed: AtomicU64::new(rand::random()),
            crowded: Default::default(),
            pressed: Default::default(),
            changed: Notify::new(),
            wanted: Default::default(),
        })
    }

    /// Follows new settings. Places taken stay taken.
    pub(crate) fn follow(&self, total: usize, patience: Duration) {
        let mut state = self.state.lock();
        state.shares = Shares::of(total);
        state.patience = patience;
        drop(state);
        self.changed.notify_one();
    }

    /// How many more places there are for this next hop.
    pub(crate) fn room(&self, class: Class, destination: &Destination) -> usize {
        if destination.hop.is_local() {
            return usize::MAX;
        }
        let host = self.hash(&destination.name);
        let state = self.state.lock();
        let proven = state.is_proven(class, host, Instant::now());
        state.shares.room(&state.usage, class, proven)
    }

    /// Whether the next hop has accepted mail of this class recently.
    pub(crate) fn is_proven(&self, class: Class, destination: &Destination) -> bool {
        let host = self.hash(&destination.name);
        self.state.lock().is_proven(class, host, Instant::now())
    }

    /// Takes a place, unless there is none, or others are in line for it.
    pub(crate) fn take(self: &Arc<Self>, class: Class, destination: &Destination) -> Option<Seat> {
        if destination.hop.is_local() {
            return Some(Seat::local(class));
        }
        let host = self.hash(&destination.name);
        let now = Instant::now();
        let mut state = self.state.lock();
        let proven = state.is_proven(class, host, now);
        let line = &state.lines[class.index()];
        let others = if proven { &line.proven } else { &line.unproven };
        if !others.is_empty() || state.not_before(class, proven, now) != Some(now) {
            return None;
        }
        let held = state.count(class, proven, now);
        drop(state);
        Some(Seat::new(self.clone(), host, held))
    }

    /// Puts a next hop in line.
    pub(crate) fn line_up(&self, in_line: InLine) {
        let (class, entry) = (in_line.class(), Entry::new(in_line));
        let mut state = self.state.lock();
        self.push(&mut state, class, entry, false);
        self.refresh(&mut state);
        drop(state);
        self.changed.notify_one();
    }

    /// Lets a next hop wait until there is room at an address or network that has all the connections it may have.
    pub(crate) fn park(&self, site: Site, in_line: InLine) {
        let (class, entry) = (in_line.class(), Entry::new(in_line));
        let mut state = self.state.lock();
        match state.sites.get_mut(&(class, site)) {
            Some(at) => {
                at.parked.push_back(entry);
                state.lines[class.index()].parked += 1;
                // There may be room by now.
                self.unpark(&mut state, class, site);
            }
            None => self.push(&mut state, class, entry, true),
        }
        self.refresh(&mut state);
        drop(state);
        self.changed.notify_one();
    }

    /// The next entry, with the place taken for it.
    pub(crate) fn next(self: &Arc<Self>) -> Next {
        let now = Instant::now();
        let mut state = self.state.lock();
        let mut wake: Option<Instant> = None;
        for class in Class::ALL {
            let Some((entry, proven)) = state.pop(class, now, &mut wake) else {
                continue;
            };
            let host = self.hash(&entry.in_line.destination().name);
            let held = state.count(class, proven, now);
            self.refresh(&mut state);
            drop(state);
            let seat = Seat::new(self.clone(), host, held);
            return Next::Place(seat, entry.in_line);
        }
        self.refresh(&mut state);
        Next::Wait(wake)
    }

    /// What to report; `since` is the time since the last call.
    pub(crate) fn news(&self, since: Duration) -> Vec<(PressureNews, PlacesStatus)> {
        let mut state = self.state.lock();
        Class::ALL
            .into_iter()
            .filter_map(|class| {
                let waiting = state.lines[class.index()].len() > 0;
                let news = state.pressure[class.index()].note(waiting, since)?;
                Some((news, state.status(class)))
            })
            .collect()
    }

    /// The places of each class, for listings.
    pub(crate) fn status(&self) -> Vec<PlacesStatus> {
        let state = self.state.lock();
        Class::ALL.into_iter().map(|class| state.status(class)).collect()
    }

    fn hash(&self, host: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.seed.load(Ordering::Relaxed).hash(&mut hasher);
        host.hash(&mut hasher);
        hasher.finish()
    }

    fn push(&self, state: &mut State, class: Class, entry: Entry, again: bool) {
        let host = self.hash(&entry.in_line.destination().name);
        let proven = state.is_proven(class, host, Instant::now());
        let lines = &mut state.lines[class.index()];
        let line = if proven {
            &mut lines.proven
        } else {
            &mut lines.unproven
        };
        if again {
            line.push_again(entry.submitter, entry);
        } else {
            line.push(entry.submitter, entry);
        }
    }

    /// Moves entries back in line for which there is room at a site.
    fn unpark(&self, state: &mut State, class: Class, site: Site) {
        let shares = state.shares;
        let Some(at) = state.sites.get_mut(&(class, site)) else {
            return;
        };
        let most = shares.most_at(class, site.width, at.proven > 0);
        let room = most.saturating_sub(at.proven + at.unproven);
        let next: Vec<_> = at.parked.drain(..room.min(at.parked.len())).collect();
        if at.proven + at.unproven == 0 && at.parked.is_empty() {
            state.sites.remove(&(class, site));
        }
        state.lines[class.index()].parked -= next.len();
        if !next.is_empty() {
            self.changed.notify_one();
        }
        for entry in next {
            self.push(state, class, entry, true);
        }
    }

    /// Updates what the lines mean for those who have places.
    fn refresh(&self, state: &mut State) {
        for class in Class::ALL {
            let place = class.index();
            let lines = &state.lines[place];
            let room = |proven| state.shares.room(&state.usage, class, proven);
            let more_unproven = state.usage.unproven(class) < state.shares.unproven(class);
            let crowded = !lines.proven.is_empty() && room(true) == 0
                || !lines.unproven.is_empty() && more_unproven && room(false) == 0;
            self.crowded[place].store(crowded, Ordering::Relaxed);
            self.pressed[place].store(!lines.unproven.is_empty() || lines.parked > 0, Ordering::Relaxed);
            if crowded {
                for other in Class::ALL {
                    // A class gives away nothing of its reserved share.
                    if other == class || state.usage.held(other) > state.shares.reserved(other) {
                        self.wanted[other.index()].notify_one();
                    }
                }
            }
        }
    }
}

impl Keeper for Places {
    fn give_back(&self, held: &mut Held) {
        let mut state = self.state.lock();
        self.leave_sites(&mut state, held);
        state.refund(held, Instant::now());
        state.usage.give_back(held.class, held.proven, 1);
        let waiting = state.lines.iter().any(|lines| lines.len() > 0);
        drop(state);
        if waiting {
            self.changed.notify_one();
        }
    }

    fn change(&self, host: u64, held: &mut Held, class: Class) -> bool {
        let now = Instant::now();
        let mut state = self.state.lock();
        let address = held.sites.is_some_and(|sites| {
            let address = self.hash(sites[0]);
            state.proven[class.index()].holds(address, now)
        });
        let proven = address || state.is_proven(class, host, now);
        state.refund(held, now);
        state.usage.give_back(held.class, held.proven, 1);
        if state.shares.room(&state.usage, class, proven) == 0 {
            state.usage.take(held.class, held.proven, 1);
            return false;
        }
        let sites = held.sites;
        self.leave_sites(&mut state, held);
        state.usage.take(class, proven, 1);
        (held.class, held.proven) = (class, proven);
        // It is already connected, so no limit applies.
        for site in sites.into_iter().flatten() {
            let at = state.sites.entry((class, site)).or_default();
            *at.of(proven) += 1;
        }
        held.sites = sites;
        drop(state);
        self.changed.notify_one();
        true
    }

    fn enter(&self, held: &mut Held, address: IpAddr) -> Result<(), Site> {
        let sites = Site::of(address);
        let now = Instant::now();
        let mut state = self.state.lock();
        self.leave_sites(&mut state, held);
        let class = held.class;
        if !held.proven && state.proven[class.index()].holds(self.hash(sites[0]), now) {
            state.refund(held, now);
            state.usage.give_back(class, false, 1);
            state.usage.take(class, true, 1);
            held.proven = true;
        }
        for site in sites {
            let (proven, unproven) = state
                .sites
                .get(&(class, site))
                .map_or((0, 0), |at| (at.proven, at.unproven));
            let most = |proven| state.shares.most_at(class, site.width, proven);
            if proven + unproven >= most(true) || !held.proven && unproven >= most(false) {
                return Err(site);
            }
        }
        for site in sites {
            *state.sites.entry((class, site)).or_default().of(held.proven) += 1;
        }
        held.sites = Some(sites);
        Ok(())
    }

    fn prove(&self, host: u64, held: &mut Held) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let proven = &mut state.proven[held.class.index()];
        proven.note(host, now);
        if let Some([address, _]) = held.sites {
            proven.note(self.hash(address), now);
        }
        self.count_as(&mut state, held, true);
        for site in held.sites.into_iter().flatten() {
            self.unpark(&mut state, held.class, site);
        }
        self.refresh(&mut state);
        drop(state);
        self.changed.notify_one();
    }

    fn doubt(&self, host: u64, held: &mut Held) {
        let mut state = self.state.lock();
        let proven = &mut state.proven[held.class.index()];
        proven.forget(host);
        if let Some([address, _]) = held.sites {
            proven.forget(self.hash(address));
        }
        self.count_as(&mut state, held, false);
    }

    fn is_crowded(&self, class: Class) -> bool {
        self.crowded[class.index()].load(Ordering::Relaxed)
    }

    fn wanted(&self, class: Class) -> &Notify {
        &self.wanted[class.index()]
    }

    fn hurry(&self, class: Class) -> Option<Duration> {
        self.pressed[class.index()]
            .load(Ordering::Relaxed)
            .then(|| self.state.lock().patience)
    }
}

impl Places {
    fn count_as(&self, state: &mut State, held: &mut Held, proven: bool) {
        if held.proven == proven {
            return;
        }
        state.refund(held, Instant::now());
        state.usage.give_back(held.class, held.proven, 1);
        state.usage.take(held.class, proven, 1);
        for site in held.sites.into_iter().flatten() {
            if let Some(at) = state.sites.get_mut(&(held.class, site)) {
                *at.of(held.proven) -= 1;
                *at.of(proven) += 1;
            }
        }
        held.proven = proven;
    }

    fn leave_sites(&self, state: &mut State, held: &mut Held) {
        for site in held.sites.take().into_iter().flatten() {
            if let Some(at) = state.sites.get_mut(&(held.class, site)) {
                *at.of(held.proven) -= 1;
                self.unpark(state, held.class, site);
            }
        }
    }
}

impl State {
    fn is_proven(&self, class: Class, host: u64, now: Instant) -> bool {
        self.proven[class.index()].holds(host, now)
    }

    /// When there may be a place; `None` if another one must be released first.
    fn not_before(&self, class: Class, proven: bool, now: Instant) -> Option<Instant> {
        if self.shares.room(&self.usage, class, proven) == 0 {
            return None;
        }
        if proven || !self.shares.is_paced(&self.usage, class) {
            return Some(now);
        }
        Some(self.paced[class.index()].map_or(now, |at| at.max(now)))
    }

    /// Takes a place.
    fn count(&mut self, class: Class, proven: bool, now: Instant) -> Held {
        let paced = !proven && self.shares.is_paced(&self.usage, class);
        if paced {
            self.paced[class.index()] = Some(now + self.shares.pace(class, self.patience));
        }
        self.usage.take(class, proven, 1);
        Held::new(class, proven, paced.then_some(now))
    }

    /// A paced place was released early, or its host is now proven: the next one may have a place at once.
    fn refund(&mut self, held: &mut Held, now: Instant) {
        if let Some(since) = held.paced.take()
            && now - since < self.patience
        {
            let pace = self.shares.pace(held.class, self.patience);
            let paced = &mut self.paced[held.class.index()];
            *paced = paced.and_then(|at| at.checked_sub(pace));
        }
    }

    /// The next one in the lines of a class, if there is a place for it now. Moves `wake` forward to the time when there may be
    /// one.
    fn pop(&mut self, class: Class, now: Instant, wake: &mut Option<Instant>) -> Option<(Entry, bool)> {
        let place = class.index();
        let mut free = |proven: bool, empty: bool| {
            if empty {
                return false;
            }
            match self.not_before(class, proven, now) {
                Some(at) if at > now => {
                    *wake = Some(wake.map_or(at, |wake| wake.min(at)));
                    false
                }
                Some(_) => true,
                None => false,
            }
        };
        let proven = free(true, self.lines[place].proven.is_empty());
        let unproven = free(false, self.lines[place].unproven.is_empty());
        let paced = self.shares.is_paced(&self.usage, class);
        let lines = &mut self.lines[place];
        let proven = match (proven, unproven) {
            (false, false) => return None,
            (true, true) => !lines.proven_last,
            (proven, _) => proven,
        };
        lines.proven_last = proven;
        let entry = if proven {
            lines.proven.pop_oldest()
        } else if paced {
            // When most places are taken by silent hosts, the newest entry is the least likely to be another of those.
            lines.unproven.pop_newest()
        } else {
            lines.unproven.pop_oldest()
        };
        entry.map(|entry| (entry, proven))
    }

    fn status(&self, class: Class) -> PlacesStatus {
        let lines = &self.lines[class.index()];
        PlacesStatus {
            class: class.name().to_owned(),
            connections: self.usage.held(class),
            reserved: self.shares.reserved(class),
            most: self.shares.most(class),
            unproven: self.usage.unproven(class),
            unproven_most: self.shares.unproven(class),
            in_line: lines.proven.len() + lines.unproven.len(),
            in_line_for_address: lines.parked,
            short: self.pressure[class.index()].is_told(),
        }
    }
}

impl Entry {
    /// Asks the destination, so it must not be called while the places are locked.
    fn new(in_line: InLine) -> Self {
        Self {
            submitter: in_line.destination().submitter(in_line.class()),
            in_line,
        }
    }
}

impl Lines {
    fn len(&self) -> usize {
        self.proven.len() + self.unproven.len() + self.parked
    }
}

impl AtSite {
    fn of(&mut self, proven: bool) -> &mut usize {
        if proven {
            &mut self.proven
        } else {
            &mut self.unproven
        }
    }
}

mod remember;
#[cfg(test)]
mod tests;
