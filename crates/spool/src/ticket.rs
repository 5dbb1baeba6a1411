//! The memory of fresh messages, and which of them are in it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use postern_mail::QueueId;
use postern_policy::concurrency::{Class, Shares, Usage};

/// Counts what is in delivery's memory, and knows which messages are there.
pub(crate) struct FreshRoom {
    counts: Shares,
    bytes: Shares,
    inner: Mutex<Inner>,
    /// Called with the ids of messages whose last handle was dropped with recipients still fresh.
    abandoned: Box<dyn Fn(QueueId) + Send + Sync>,
}

#[derive(Default)]
struct Inner {
    count: Usage,
    bytes: Usage,
    /// Recipients whose rows say "fresh", by message. The lowest id limits the search after a crash.
    live: BTreeMap<QueueId, u32>,
}

impl FreshRoom {
    pub(crate) fn new(
        count_max: usize,
        bytes_max: usize,
        abandoned: Box<dyn Fn(QueueId) + Send + Sync>,
    ) -> Arc<Self> {
        Arc::new(Self {
            counts: Shares::of(count_max),
            bytes: Shares::of(bytes_max),
            inner: Mutex::default(),
            abandoned,
        })
    }

    /// A place for a message of this many octets, or `None` when its class has no room left.
    pub(crate) fn ticket(self: &Arc<Self>, id: QueueId, class: Class, bytes: usize) -> Option<Ticket> {
        let mut inner = self.inner.lock();
        // One message may always be in memory, whatever its size, or a limit below it would stop fresh delivery for good.
        let fits = self.counts.room(&inner.count, class, true) > 0
            && (inner.count.held(class) == 0 || bytes <= self.bytes.room(&inner.bytes, class, true));
        if !fits {
            return None;
        }
        inner.count.take(class, true, 1);
        inner.bytes.take(class, true, bytes);
        Some(Ticket {
            room: Arc::clone(self),
            id,
            class,
            bytes,
        })
    }

    /// Rows of this message are about to say "fresh".
    pub(crate) fn enter(&self, id: QueueId, recipients: u32) {
        self.inner.lock().live.insert(id, recipients);
    }

    /// Some of these rows no longer say so.
    pub(crate) fn leave(&self, id: QueueId, recipients: u32) {
        let mut inner = self.inner.lock();
        if let Some(left) = inner.live.get_mut(&id) {
            *left = left.saturating_sub(recipients);
            if *left == 0 {
                inner.live.remove(&id);
            }
        }
    }

    /// Whether a row of this message may say "fresh".
    pub(crate) fn is_live(&self, id: QueueId) -> bool {
        self.inner.lock().live.contains_key(&id)
    }

    /// Messages with rows that may say "fresh".
    pub(crate) fn live(&self) -> Vec<QueueId> {
        self.inner.lock().live.keys().copied().collect()
    }

    /// No row with a smaller id says "fresh"; `None` if no row at all does.
    pub(crate) fn lowest(&self) -> Option<QueueId> {
        self.inner.lock().live.first_key_value().map(|(id, _)| *id)
    }

    /// How many messages are there.
    pub(crate) fn count(&self) -> usize {
        let inner = self.inner.lock();
        Class::ALL.iter().map(|class| inner.count.held(*class)).sum()
    }
}

/// A fresh message's share of memory, released on drop.
pub(crate) struct Ticket {
    room: Arc<FreshRoom>,
    id: QueueId,
    class: Class,
    bytes: usize,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("id", &self.id)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut inner = self.room.inner.lock();
        inner.count.give_back(self.class, true, 1);
        inner.bytes.give_back(self.class, true, self.bytes);
        let abandoned = inner.live.contains_key(&self.id);
        drop(inner);
        if abandoned {
            (self.room.abandoned)(self.id);
        }
    }
}
