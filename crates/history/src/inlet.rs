//! Where events wait for the writer: a bounded piece of memory, filled under a short lock by whoever tells of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use postern_events::{Accepted, Area, Event, Lane, Line, Observer};
use postern_policy::Rule;

/// Most octets that wait; strangers' events may have half of them.
const WAITING_MAX: usize = 8 << 20;

/// Octets at which the writer is woken before its time.
const MANY: usize = 1 << 20;

/// What an event is to a story.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Role {
    /// Of its message where it names one, else of its session.
    Goes,
    /// The session is over.
    Ends,
    /// A transaction of the session begins.
    Mail,
    /// Goes with the transaction, if one is open.
    Step,
    /// As [`Role::Step`], and is to be seen though no message comes of it.
    Refusal,
    /// The session's transaction was taken; for here.
    AcceptedForHere,
    /// The session's transaction was taken; of somebody who may relay.
    Accepted,
    /// The session has logged in.
    LogsIn,
    /// A report about a message, which is told in both stories.
    Report,
}

impl Role {
    fn of(event: &Event<'_>) -> Self {
        match event {
            Event::Disconnected(_) => Self::Ends,
            Event::SenderTaken(_) => Self::Mail,
            Event::RecipientTaken(_) | Event::AnswersDelayed(_) => Self::Step,
            Event::Refused(_) => Self::Refusal,
            Event::Accepted(Accepted { rule, .. }) if is_for_here(*rule) => Self::AcceptedForHere,
            Event::Accepted(_) => Self::Accepted,
            Event::LoggedIn(_) => Self::LogsIn,
            Event::Reported(_) => Self::Report,
            _ => Self::Goes,
        }
    }

    fn read(octet: u8) -> Self {
        [
            Self::Goes,
            Self::Ends,
            Self::Mail,
            Self::Step,
            Self::Refusal,
            Self::AcceptedForHere,
            Self::Accepted,
            Self::LogsIn,
        ]
        .into_iter()
        .find(|role| *role as u8 == octet)
        .unwrap_or(Self::Report)
    }
}

/// Whether mail was taken because it is for here, which anybody may send.
fn is_for_here(rule: Rule) -> bool {
    matches!(rule, Rule::LocalRecipient | Rule::RelayDomain)
}

/// Where events wait.
#[derive(Default)]
pub(crate) struct Inlet {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    /// Events that had no room.
    pub(crate) dropped: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    octets: Vec<u8>,
    /// Somebody waits until all that came before is written.
    flush: u64,
    closed: bool,
}

/// What the writer is told.
pub(crate) struct Taken {
    /// Those who wait for what came before are as many as ever were.
    pub(crate) flush: u64,
    pub(crate) closed: bool,
}

impl Inlet {
    /// Whether an event can be a part of a story.
    pub(crate) fn wants(event: &Event<'_>) -> bool {
        // Those say how long something took, and nothing that an attempt or outcome does not.
        if matches!(
            event,
            Event::FilterAsked(_) | Event::HopReached(_) | Event::HandedOver(_)
        ) {
            return false;
        }
        matches!(
            event.area(),
            Area::Connect
                | Area::Tls
                | Area::Login
                | Area::Refuse
                | Area::Accept
                | Area::Milter
                | Area::Attempt
                | Area::Outcome
        ) || matches!(event, Event::Administered(_))
    }

    /// Takes an event, or counts it where there is no room. Never waits for a disk.
    pub(crate) fn put(&self, event: &Event<'_>, line: &Line) {
        let (session, octets) = (line.session().as_bytes(), line.octets());
        let most = match event.lane() {
            Lane::Matters => WAITING_MAX,
            Lane::Strangers => WAITING_MAX / 2,
        };
        let Ok(session_length) = u8::try_from(session.len()) else {
            return;
        };
        let Ok(length) = u32::try_from(octets.len()) else {
            return;
        };
        let mut waiting = self.waiting.lock();
        let before = waiting.octets.len();
        if waiting.closed || before + 6 + session.len() + octets.len() > most {
            drop(waiting);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.octets.extend_from_slice(&length.to_le_bytes());
        waiting.octets.push(Role::of(event) as u8);
        waiting.octets.push(session_length);
        waiting.octets.extend_from_slice(session);
        waiting.octets.extend_from_slice(octets);
        let woken = before < MANY && waiting.octets.len() >= MANY;
        drop(waiting);
        if woken {
            self.wake.notify_one();
        }
    }

    /// Waits until there is much, somebody asks, or the time is over; what has come is then in `into`.
    pub(crate) fn take(&self, wait: Duration, done: u64, into: &mut Vec<u8>) -> Taken {
        into.clear();
        let mut waiting = self.waiting.lock();
        if !waiting.closed && waiting.flush == done && waiting.octets.len() < MANY {
            self.wake.wait_for(&mut waiting, wait);
        }
        std::mem::swap(&mut waiting.octets, into);
        Taken {
            flush: waiting.flush,
            closed: waiting.closed,
        }
    }

    /// Octets that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.lock().octets.len()
    }

    /// Has the writer write now; returns how often that was asked for.
    pub(crate) fn flush(&self) -> u64 {
        let mut waiting = self.waiting.lock();
        waiting.flush += 1;
        let asked = waiting.flush;
        drop(waiting);
        self.wake.notify_one();
        asked
    }

    /// Takes nothing more, and has the writer end.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.wake.notify_one();
    }
}

/// Events that have waited, with their sessions.
pub(crate) struct Entries<'o>(pub(crate) &'o [u8]);

impl<'o> Iterator for Entries<'o> {
    type Item = (Role, &'o str, &'o [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (role, rest) = rest.split_first()?;
        let (session_length, rest) = rest.split_first()?;
        let (session, rest) = rest.split_at_checked(usize::from(*session_length))?;
        let (octets, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        Some((Role::read(*role), std::str::from_utf8(session).ok()?, octets))
    }
}

/// Keeps events as they come.
pub(crate) struct Puts(pub(crate) std::sync::Arc<Inlet>);

impl Observer for Puts {
    fn observe(&self, event: &Event<'_>) {
        if Inlet::wants(event) {
            Line::with(event, jiff::Timestamp::now().as_millisecond(), |line| {
                self.0.put(event, line)
            });
        }
    }
}
