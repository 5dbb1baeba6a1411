//! An open store.

use std::sync::Arc;

use postern_mail::QueueId;
use rusqlite::Connection;

use super::transaction::Totals;

/// An open store, ready to be written to.
pub(super) struct Store {
    pub(super) connection: Connection,
    /// What this machine has added and removed, and all others.
    pub(super) totals: Totals,
    pub(super) others: Totals,
}

impl Store {
    /// The size of the queue.
    pub(super) fn size(&self) -> Totals {
        self.totals + self.others
    }
}

/// A message that may or may not be on disk.
pub(super) struct Doubtful {
    pub(super) id: QueueId,
    pub(super) body_file: Option<Arc<str>>,
    /// Whether it is a report whose settlement will be retried; such a one stays if it is there.
    pub(super) report: bool,
}
