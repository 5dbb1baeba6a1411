//! The state shared by the handle, the writer and the keeper.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use postern_mail::QueueId;
use rusqlite::Connection;

use super::inbox::Inbox;
use super::keeper_handle::KeeperHandle;
use super::leases::Leases;
use super::log_state::{LogState, TOO_LARGE};
use super::readers::Readers;
use super::reserve::Reserve;
use super::transaction::Totals;
use crate::body::BodyStore;
use crate::clock::QueueClock;
use crate::engine::SpoolState;
use crate::error::SpoolError;
use crate::fresh::Board;
use crate::lease::LeaseOwner;
use crate::settings::SpoolSettings;

/// Pauses of destinations and rounding can make a wait a little longer than delivery's longest.
const FAR_SLACK: Duration = Duration::from_secs(3600);

pub(super) struct Shared {
    pub(super) settings: SpoolSettings,
    pub(super) inbox: Arc<Inbox>,
    pub(super) board: Arc<Board>,
    pub(super) bodies: Arc<BodyStore>,
    pub(super) readers: Readers,
    /// The keeper's connection, which must be closed when the store fails.
    pub(super) checkpointer: Mutex<Option<Connection>>,
    /// Since when parts of the database cannot be read.
    pub(super) unreadable_since: Mutex<Option<Instant>>,
    pub(super) keeper: KeeperHandle,
    pub(super) ids: Ids,
    pub(super) clock: QueueClock,
    /// Longest wait between two attempts, in milliseconds; 0 until delivery sets it.
    pub(super) wait_max: AtomicU64,
    pub(super) log: LogState,
    pub(super) free: FreeSpace,
    pub(super) reserve: Reserve,
    pub(super) leases: Leases,
    state: Mutex<SpoolState>,
    /// Whether puts fail without being tried.
    down: AtomicBool,
    counts: Mutex<Totals>,
}

pub(super) struct Parts {
    pub(super) settings: SpoolSettings,
    pub(super) inbox: Arc<Inbox>,
    pub(super) board: Arc<Board>,
    pub(super) bodies: Arc<BodyStore>,
    pub(super) keeper: KeeperHandle,
    pub(super) last_id: QueueId,
    pub(super) totals: Totals,
    pub(super) clock: QueueClock,
}

impl Shared {
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            settings,
            inbox,
            board,
            bodies,
            keeper,
            last_id,
            totals,
            clock,
        } = parts;
        Arc::new(Self {
            readers: Readers::new(&settings, inbox.clone()),
            checkpointer: Mutex::default(),
            unreadable_since: Mutex::default(),
            ids: Ids {
                last: AtomicI64::new(last_id.as_i64()),
                node: settings.node,
            },
            clock,
            wait_max: AtomicU64::new(0),
            log: LogState::default(),
            free: FreeSpace::default(),
            reserve: Reserve::new(&settings),
            leases: Leases::new(LeaseOwner {
                node: settings.node,
                since: Timestamp::now(),
            }),
            state: Mutex::new(SpoolState::Ready),
            down: AtomicBool::new(false),
            counts: Mutex::new(totals),
            settings,
            inbox,
            board,
            bodies,
            keeper,
        })
    }

    /// Times beyond this were not requested by delivery; `None` before it has set its longest wait.
    pub(super) fn far(&self) -> Option<Timestamp> {
        let longest = self.wait_max.load(Ordering::Relaxed);
        let far = Duration::from_millis(longest.saturating_mul(2)) + FAR_SLACK;
        (longest > 0)
            .then(|| self.clock.now().checked_add(far).ok())
            .flatten()
    }

    pub(super) fn state(&self) -> SpoolState {
        match self.state.lock().clone() {
            SpoolState::Ready if self.log.is_full() => SpoolState::Full(TOO_LARGE.into()),
            state => state,
        }
    }

    pub(super) fn set_state(&self, state: SpoolState) {
        self.down
            .store(!matches!(state, SpoolState::Ready), Ordering::Release);
        *self.state.lock() = state;
    }

    /// The disk is full or the store failed: puts fail at once.
    pub(super) fn set_down(&self, error: &SpoolError) {
        let text = error.to_string().into();
        self.set_state(match error {
            SpoolError::Full(_) => SpoolState::Full(text),
            _ => SpoolState::Unavailable(text),
        });
    }

    /// Fails if puts cannot succeed now.
    pub(super) fn check(&self) -> Result<(), SpoolError> {
        if !self.down.load(Ordering::Acquire) {
            return Ok(());
        }
        let state = self.state.lock().clone();
        match state {
            SpoolState::Ready => Ok(()),
            SpoolState::Full(reason) => Err(SpoolError::Full(reason)),
            SpoolState::Unavailable(reason) => Err(SpoolError::Unavailable(reason)),
            SpoolState::Closed => Err(SpoolError::Closed),
        }
    }

    /// The same for mail, which is refused first.
    pub(super) fn check_put(&self) -> Result<(), SpoolError> {
        if self.log.is_full() {
            return Err(SpoolError::Full(TOO_LARGE.into()));
        }
        self.check()
    }

    pub(super) fn counts(&self) -> Totals {
        *self.counts.lock()
    }

    pub(super) fn set_counts(&self, totals: Totals) {
        *self.counts.lock() = totals;
    }
}

/// Assigns ids that only grow.
pub(super) struct Ids {
    last: AtomicI64,
    node: u8,
}

impl Ids {
    /// The last one assigned.
    pub(super) fn last(&self) -> QueueId {
        QueueId::from_i64(self.last.load(Ordering::Relaxed))
    }

    pub(super) fn next(&self) -> QueueId {
        let now = QueueId::first(Timestamp::now().as_millisecond(), self.node);
        let after = |last: i64| now.max(QueueId::from_i64(last).next_of(self.node));
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(after(last).as_i64())
            })
            .unwrap_or_else(|last| last);
        after(last)
    }
}

/// The free disk space, read at most fifty times a second: what a fast network can bring meanwhile is less than what must stay
/// free.
pub(super) struct FreeSpace {
    start: Instant,
    /// When it was last read, in milliseconds after `start`; 0 for never.
    asked: AtomicU64,
    bytes: AtomicU64,
}

const UNKNOWN: u64 = u64::MAX;
const FRESHNESS: Duration = Duration::from_millis(20);

impl Default for FreeSpace {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            asked: AtomicU64::new(0),
            bytes: AtomicU64::new(UNKNOWN),
        }
    }
}

impl FreeSpace {
    pub(super) fn bytes(&self, directory: &std::path::Path) -> Option<u64> {
        let now = self.start.elapsed().as_millis() as u64 + 1;
        let asked = self.asked.load(Ordering::Acquire);
        if asked == 0 || now - asked.min(now) >= FRESHNESS.as_millis() as u64 {
            let bytes = nix::sys::statvfs::statvfs(directory)
                .map_or(UNKNOWN, |disk| disk.blocks_available() * disk.fragment_size());
            self.bytes.store(bytes, Ordering::Release);
            self.asked.store(now, Ordering::Release);
        }
        Some(self.bytes.load(Ordering::Acquire)).filter(|bytes| *bytes != UNKNOWN)
    }
}
