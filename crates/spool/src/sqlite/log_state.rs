//! The size of the database's log, shared between writer and keeper.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use postern_events::{Observers, notice};

/// Why the log grows beyond its limit, and what helps.
pub(super) const TOO_LARGE: &str =
    "queue.db-wal cannot be reset, because a program keeps reading queue.db (see `fuser queue.db`)";

/// State of the log shared by writer and keeper.
#[derive(Debug, Default)]
pub(super) struct LogState {
    /// Whether the keeper was asked and has not finished.
    pub(super) asked: AtomicBool,
    /// Whether the keeper has finished and the writer must move the rest.
    pub(super) rest: AtomicBool,
    /// Pages that the keeper found moved.
    pub(super) moved: AtomicU64,
    /// Whether it is so large that this was reported, and whether it is so large that mail is refused.
    pub(super) large: AtomicBool,
    pub(super) full: AtomicBool,
}

impl LogState {
    /// Whether mail is refused because of its size.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Notes its size.
    pub(super) fn note(&self, octets: u64, most: u64, observers: &Observers) {
        if octets >= most && !self.full.swap(true, Ordering::AcqRel) {
            notice!(observers, Spool Error "mail is refused: the queue's log is too large", Reason = TOO_LARGE, Octets = octets, LogMax = most);
        } else if octets >= most / 2 && !self.large.swap(true, Ordering::AcqRel) {
            notice!(observers, Spool Warning "the queue's log grows", Reason = TOO_LARGE, Octets = octets, LogMax = most);
        }
    }

    /// The log starts again.
    pub(super) fn clear(&self, observers: &Observers) {
        self.moved.store(0, Ordering::Release);
        self.large.store(false, Ordering::Release);
        if self.full.swap(false, Ordering::AcqRel) {
            notice!(observers, Spool Info "the queue's log is small again, mail is accepted");
        }
    }
}
