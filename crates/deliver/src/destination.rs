//! One next hop in use: its queue in memory, its workers, and its state.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use postern_mail::{QueueId, Status};
use postern_policy::concurrency::{Class, HopState, Pause, Setback};
use postern_policy::route::Rate;
use postern_policy::transport::Way;
use tokio::sync::Semaphore;

use crate::failure::Failure;
use crate::hop::NextHop;
use crate::queue::Queue;
use crate::settings::Limits;
use crate::status::{DestinationStatus, LoginState, LoginStatus, WaitingByClass};
use crate::time;
use crate::work::Work;

/// Most domains whose backlog is remembered individually.
const BACKLOG_MAX: usize = 256;

/// Below this many waiting messages that were read from the spool, more are fetched from there.
const LOW_WATER: usize = 100;

/// Deferred messages read for a paused destination in each [`SLOW_PERIOD`]. Each is deferred again without an attempt, except
/// expired ones, which bounce; so even a million of them are processed eventually, at a negligible cost.
const SLOW_READ: usize = 200;

/// See [`SLOW_READ`].
pub(crate) const SLOW_PERIOD: Duration = Duration::from_millis(500);

/// A next hop in use.
pub(crate) struct Destination {
    pub(crate) name: String,
    pub(crate) hop: NextHop,
    state: Mutex<State>,
    /// One permit for each idle worker that has been called to work.
    calls: Semaphore,
    delivered: AtomicU64,
    /// The classes for which it is in line for a place; see [`InLine`](crate::in_line::InLine).
    in_line: [AtomicBool; 3],
}

struct State {
    /// What waits, by class.
    queues: [Queue; 3],
    /// Decides which class comes next.
    turn: u8,
    /// Workers of each class, idle ones included.
    workers: [usize; 3],
    idle: usize,
    /// Workers that were started or called and have not asked for work since: each will take one message.
    coming: usize,
    /// Its concurrency limit, its pauses, its rate.
    fares: HopState<Failure>,
    last_error: Option<(Timestamp, String)>,
    /// How far DNSSEC proved the path at the last connection.
    way: Way,
    login: LoginState,
    /// The last failure of the login.
    login_fault: Option<LoginFault>,
    backlog: BTreeSet<Arc<str>>,
    backlog_unknown: bool,
    /// The start of the current period of a pause, and how many messages were read in it.
    slow_read: (Instant, usize),
    last_used: Instant,
}

/// What distinguishes failures of a login: the text is left out, since hosts put ids or times into their replies. Our own texts
/// have no code, so they count.
type LoginFault = (u16, Status, Option<String>);

/// What a worker finds when it asks for work.
pub(crate) enum Taken {
    /// Do this.
    Work(Box<Work>),
    /// Nothing now; the worker counts as idle and waits for [`Destination::called`].
    Idle,
    /// Nothing now; the worker no longer counts and ends.
    Leave,
}

/// A connection that is counted by its destination until dropped.
#[must_use]
pub(crate) struct Connected(Arc<Destination>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.state.lock().fares.disconnected();
    }
}

/// Mail waiting in the spool for a destination that has room again.
pub(crate) struct Shortage {
    pub(crate) domains: BTreeSet<Arc<str>>,
    pub(crate) everywhere: bool,
}

impl Destination {
    /// A new destination; `name` is the hop's.
    pub(crate) fn new(name: String, hop: NextHop) -> Self {
        let state = State {
            queues: Default::default(),
            turn: 0,
            workers: [0; 3],
            idle: 0,
            coming: 0,
            fares: HopState::default(),
            last_error: None,
            way: Way::default(),
            login: LoginState::Untried,
            login_fault: None,
            backlog: BTreeSet::new(),
            backlog_unknown: false,
            slow_read: (time::now(), SLOW_READ),
            last_used: time::now(),
        };
        Self {
            name,
            hop,
            state: Mutex::new(state),
            calls: Semaphore::new(0),
            delivered: AtomicU64::new(0),
            in_line: Default::default(),
        }
    }

    /// The limits that apply here: the general ones, unless its route says otherwise.
    pub(crate) fn bounds<'l>(&self, limits: &'l Limits) -> Cow<'l, Limits> {
        let lane = &self.hop.lane;
        if lane.connections.is_none()
            && lane.messages_per_connection.is_none()
            && lane.recipients.is_none()
            && lane.rate.is_none()
        {
            return Cow::Borrowed(limits);
        }
        let mut own = limits.clone();
        own.connections_per_destination = lane.connections.unwrap_or(own.connections_per_destination);
        own.messages_per_connection = lane
            .messages_per_connection
            .unwrap_or(own.messages_per_connection);
        own.recipients_per_transaction = lane.recipients.unwrap_or(own.recipients_per_transaction);
        own.rate_per_destination = lane.rate.map(Rate::get).or(own.rate_per_destination);
        Cow::Owned(own)
    }

    /// Adds work to the queue, and wakes an idle worker if there is one; returns the work if the queue is full.
    ///
    /// Call [`Core::staff`](crate::core::Core::staff) afterwards.
    pub(crate) fn offer(&self, work: Work, limits: &Limits) -> Result<(), Work> {
        let mut state = self.state.lock();
        state.queues[work.class.index()].push(work, limits)?;
        state.last_used = time::now();
        if state.idle > 0 {
            // Uncounted here, so that the next message wakes another one.
            state.idle -= 1;
            state.coming += 1;
            drop(state);
            self.calls.add_permits(1);
        }
        Ok(())
    }

    /// Puts back untried work, ahead of all other.
    pub(crate) fn put_back(&self, work: Work) {
        let mut state = self.state.lock();
        state.queues[work.class.index()].put_back(work);
        if state.idle > 0 {
            state.idle -= 1;
            state.coming += 1;
            drop(state);
            self.calls.add_permits(1);
        }
    }

    /// The classes for which one more worker may be wanted, if there are places.
    pub(crate) fn short_of(&self, limits: &Limits) -> impl Iterator<Item = Class> + use<> {
        let limits = &*self.bounds(limits);
        let state = self.state.lock();
        let short = Class::ALL.map(|class| !self.is_in_line(class) && state.wants(class, limits, usize::MAX));
        Class::ALL.into_iter().filter(move |class| short[class.index()])
    }

    /// Whether one more worker is wanted for mail of this class that is not already waiting in line. `free` is the number of
    /// places left for that.
    pub(crate) fn wants(&self, class: Class, limits: &Limits, free: usize) -> bool {
        !self.is_in_line(class) && self.state.lock().wants(class, &self.bounds(limits), free)
    }

    /// Whether to start one more worker for mail of this class; if so, it counts from now on.
    pub(crate) fn hire(&self, class: Class, limits: &Limits, free: usize) -> bool {
        let mut state = self.state.lock();
        let wanted = state.wants(class, &self.bounds(limits), free);
        if wanted {
            state.workers[class.index()] += 1;
            state.coming += 1;
        }
        wanted
    }

    /// Only for [`InLine`](crate::in_line::InLine): marks that it is in line for a place of this class. `false` if it already is.
    pub(crate) fn enter_line(&self, class: Class) -> bool {
        !self.in_line[class.index()].swap(true, Ordering::AcqRel)
    }

    /// Only for [`InLine`](crate::in_line::InLine): it is no longer in line. Takes no lock, so that a locked line may drop its
    /// entries.
    pub(crate) fn leave_line(&self, class: Class) {
        self.in_line[class.index()].store(false, Ordering::Release);
    }

    fn is_in_line(&self, class: Class) -> bool {
        self.in_line[class.index()].load(Ordering::Acquire)
    }

    /// The submitter of the next mail of this class.
    pub(crate) fn submitter(&self, class: Class) -> u64 {
        self.state.lock().queues[class.index()]
            .submitter()
            .unwrap_or_default()
    }

    /// The next message for a worker with a place of class `own`: by turns of the classes for which it has a place, or gets one
    /// through `change`.
    ///
    /// `arriving` must be set the first time a worker asks, and the first time after it was called.
    pub(crate) fn take(
        &self,
        own: Class,
        change: impl Fn(Class) -> bool,
        may_wait: bool,
        arriving: bool,
    ) -> Taken {
        let mut state = self.state.lock();
        state.coming -= usize::from(arriving);
        match state.next(own, change) {
            Some(work) => Taken::Work(Box::new(work)),
            None if may_wait => {
                state.idle += 1;
                Taken::Idle
            }
            None => {
                state.workers[own.index()] -= 1;
                Taken::Leave
            }
        }
    }

    /// Resolves when an idle worker is called to work; it is then no longer idle.
    pub(crate) async fn called(&self) {
        if let Ok(call) = self.calls.acquire().await {
            call.forget();
        }
    }

    /// Several messages of one class at once, for mailboxes, whose writer syncs once for all of them.
    pub(crate) fn take_more(&self, class: Class, most: usize) -> Vec<Work> {
        let mut state = self.state.lock();
        (0..most)
            .map_while(|_| state.queues[class.index()].next())
            .collect()
    }

    /// An idle worker wants to end. `false` if it was already called: it must wait for [`Destination::called`], which resolves at
    /// once, and ask again.
    pub(crate) fn withdraw(&self, class: Class) -> bool {
        let mut state = self.state.lock();
        if state.idle == 0 {
            return false;
        }
        state.idle -= 1;
        state.workers[class.index()] -= 1;
        true
    }

    /// A worker ends although there may be work; `arriving` as for [`Destination::take`].
    pub(crate) fn leave(&self, class: Class, arriving: bool) {
        let mut state = self.state.lock();
        state.workers[class.index()] -= 1;
        state.coming -= usize::from(arriving);
    }

    /// An idle worker ends without having withdrawn, whether or not it was called.
    pub(crate) fn leave_idle(&self, class: Class) {
        let mut state = self.state.lock();
        state.workers[class.index()] -= 1;
        if state.idle > 0 {
            state.idle -= 1;
        } else {
            // It was called: the call is cancelled.
            state.coming -= 1;
            if let Ok(call) = self.calls.try_acquire() {
                call.forget();
            }
        }
    }

    /// Notes how far DNSSEC proves the path.
    pub(crate) fn note_way(&self, way: Way) {
        self.state.lock().way = way;
    }

    /// Whether there is more than one worker.
    pub(crate) fn has_company(&self) -> bool {
        self.state.lock().workers() > 1
    }

    /// What to read from the spool, if more is wanted and there is room for it.
    pub(crate) fn shortage(&self) -> Option<Shortage> {
        let mut state = self.state.lock();
        let read: usize = state.queues.iter().map(Queue::read).sum();
        if (state.backlog.is_empty() && !state.backlog_unknown) || read >= LOW_WATER {
            return None;
        }
        let domains = std::mem::take(&mut state.backlog);
        let everywhere = domains.is_empty() && std::mem::take(&mut state.backlog_unknown);
        Some(Shortage { domains, everywhere })
    }

    /// Notes that the spool has due mail for `domain` that there was no room for.
    pub(crate) fn note_backlog(&self, domain: &Arc<str>) {
        let mut state = self.state.lock();
        if state.backlog.len() >= BACKLOG_MAX && !state.backlog.contains(domain) {
            state.backlog_unknown = true;
        } else {
            state.backlog.insert(domain.clone());
        }
    }

    /// How many messages of each class may be read from the spool.
    pub(crate) fn room(&self, limits: &Limits) -> [usize; 3] {
        let state = self.state.lock();
        Class::ALL.map(|class| state.queues[class.index()].room(limits))
    }

    /// How many deferred messages may be read for it now: a few at a time while it is paused.
    pub(crate) fn allowance(&self, now: Timestamp) -> usize {
        let mut state = self.state.lock();
        if state.fares.paused(now).is_none() {
            return usize::MAX;
        }
        if time::now().saturating_duration_since(state.slow_read.0) >= SLOW_PERIOD {
            state.slow_read = (time::now(), SLOW_READ);
        }
        state.slow_read.1
    }

    /// Notes that this many were read.
    pub(crate) fn note_read(&self, count: usize) {
        let mut state = self.state.lock();
        state.slow_read.1 = state.slow_read.1.saturating_sub(count);
    }

    /// The pause, if there is one at `now`.
    pub(crate) fn paused(&self, now: Timestamp) -> Option<Pause<Failure>> {
        self.state.lock().fares.paused(now).cloned()
    }

    /// A connection was made. It counts until what is returned is dropped.
    pub(crate) fn connected(self: &Arc<Self>) -> Connected {
        self.state.lock().fares.connected();
        Connected(self.clone())
    }

    /// No connection could be made. `pause_for` says how long to pause after a number of failures in a row.
    pub(crate) fn connect_failed(
        &self,
        now: Timestamp,
        failure: &Failure,
        pause_for: impl Fn(u32) -> Duration,
    ) -> Setback {
        let mut state = self.state.lock();
        state.last_error = Some((now, failure.line()));
        state
            .fares
            .connect_failed(now, time::now(), failure.clone(), pause_for)
    }

    /// A host timed out after it had accepted the connection; see [`HopState::stalled`].
    pub(crate) fn stalled(&self, now: Timestamp, failure: &Failure, pause_for: impl Fn(u32) -> Duration) {
        self.state.lock().fares.stalled(now, failure.clone(), pause_for);
    }

    /// The other side accepted a message.
    pub(crate) fn succeeded(&self, limits: &Limits) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
        let most = self.bounds(limits).connections_per_destination;
        self.state.lock().fares.succeeded(time::now(), most);
    }

    /// Notes an error of an attempt, for the listing.
    pub(crate) fn note_error(&self, now: Timestamp, error: String) {
        self.state.lock().last_error = Some((now, error));
    }

    /// Notes the result of a login. Returns whether that is news.
    pub(crate) fn note_login(&self, now: Timestamp, went: Result<&'static str, &Failure>) -> bool {
        let mut state = self.state.lock();
        let fault = went.err().map(login_fault);
        let same = state.login_fault == fault;
        state.login_fault = fault;
        match (went, &mut state.login) {
            (
                Ok(mechanism),
                LoginState::Works {
                    mechanism: before, ..
                },
            ) => std::mem::replace(before, mechanism) != mechanism,
            (Err(failure), LoginState::Fails { reason, .. }) => {
                *reason = failure.text().into_owned();
                !same
            }
            (Ok(mechanism), login) => {
                *login = LoginState::Works {
                    since: now,
                    mechanism,
                };
                true
            }
            (Err(failure), login) => {
                let reason = failure.text().into_owned();
                *login = LoginState::Fails { since: now, reason };
                true
            }
        }
    }

    /// Ends the pause.
    pub(crate) fn end_pause(&self) {
        self.state.lock().fares.end_pause();
    }

    /// When the next message may be sent, at `rate` messages per second; each call takes a slot.
    pub(crate) fn sending_time(&self, rate: f64) -> Instant {
        self.state.lock().fares.sending_time(time::now(), rate)
    }

    /// Forgets messages that no worker has begun.
    pub(crate) fn forget(&self, ids: &[QueueId]) {
        let mut state = self.state.lock();
        let gone: Vec<Work> = state
            .queues
            .iter_mut()
            .flat_map(|queue| queue.forget(ids))
            .collect();
        // Dropping a message tells the spool, which must not happen under the lock.
        drop(state);
        drop(gone);
    }

    /// Forgets all that waits; it stays in the spool.
    pub(crate) fn clear(&self) {
        drop(self.drain());
    }

    /// Takes out all that waits.
    pub(crate) fn drain(&self) -> Vec<Work> {
        let mut state = self.state.lock();
        state.queues.iter_mut().flat_map(Queue::drain).collect()
    }

    /// Whether nothing happens here, and has not for `quiet`.
    pub(crate) fn is_disused(&self, now: Timestamp, quiet: Duration) -> bool {
        let state = self.state.lock();
        state.workers() == 0
            && state.waiting() == 0
            && time::now().saturating_duration_since(state.last_used) > quiet
            && state.fares.paused(now).is_none()
    }

    /// Whether nothing happens here just now.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.workers() == 0 && state.waiting() == 0
    }

    /// Its status. `now` and all times here are queue time; `shown` converts them to system time.
    pub(crate) fn status(&self, now: Timestamp, shown: impl Fn(Timestamp) -> Timestamp) -> DestinationStatus {
        let state = self.state.lock();
        DestinationStatus {
            destination: self.name.clone(),
            connections: state.workers(),
            idle: state.idle,
            window: state.fares.earned(),
            waiting: state.waiting(),
            waiting_by_class: {
                let [users, strangers, reports] = Class::ALL.map(|class| state.queues[class.index()].len());
                WaitingByClass {
                    users,
                    strangers,
                    reports,
                }
            },
            in_line: Class::ALL.into_iter().any(|class| self.is_in_line(class)),
            proven: false,
            backlog: state.backlog_unknown || !state.backlog.is_empty(),
            delivered: self.delivered.load(Ordering::Relaxed),
            paused_until: state.fares.paused(now).map(|pause| shown(pause.until)),
            last_error: state
                .last_error
                .as_ref()
                .map(|(at, error)| (shown(*at), error.clone())),
            proof: state.way.whole(),
            mx_proof: state.way.mx,
            address_proof: state.way.addresses,
            login: self.hop.login.as_ref().map(|login| LoginStatus {
                name: login.name.to_string(),
                state: state.login.shown(&shown),
                token: None,
            }),
        }
    }
}

fn login_fault(failure: &Failure) -> LoginFault {
    match failure.cause.reply() {
        Some(reply) => (reply.code, failure.status, None),
        None => (0, failure.status, Some(failure.text().into_owned())),
    }
}

impl State {
    fn workers(&self) -> usize {
        self.workers.iter().sum()
    }

    fn waiting(&self) -> usize {
        self.queues.iter().map(Queue::len).sum()
    }

    fn wants(&self, class: Class, limits: &Limits, free: usize) -> bool {
        if self.queues[class.index()].is_empty() || self.waiting() <= self.coming {
            return false;
        }
        // The fewer are left, the fewer one destination gets, so that slow ones cannot take them all.
        self.workers() < self.fares.limit(limits.connections_per_destination)
            && self.workers[class.index()] < 1 + free / 4
    }

    /// The next message of a class for which a worker has or gets a place.
    fn next(&mut self, own: Class, change: impl Fn(Class) -> bool) -> Option<Work> {
        let first = Class::of_turn(self.turn);
        let others = Class::ALL.into_iter().filter(|class| *class != first);
        for class in std::iter::once(first).chain(others) {
            if self.queues[class.index()].is_empty() || !(class == own || change(class)) {
                continue;
            }
            self.turn = self.turn.wrapping_add(1);
            self.workers[own.index()] -= 1;
            self.workers[class.index()] += 1;
            return self.queues[class.index()].next();
        }
        None
    }
}

#[cfg(test)]
mod tests;
