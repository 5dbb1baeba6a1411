//! Handing fresh messages to delivery, and telling it of an administrator's changes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use postern_mail::QueueId;
use postern_policy::concurrency::{Class, Shares, Usage};
use tokio::sync::mpsc;

use crate::message::Message;

/// What delivery hears from the queue.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message was put. Its recipients are not [`due`](crate::Spool::due) in the database as long as a handle to it
    /// lives or until they are settled, so nobody else works on it. When the last handle goes without that, it becomes
    /// due there by itself.
    Fresh(Arc<Message>),
    /// Messages became due in the database that delivery was not told of one by one: memory was full, or one was dropped
    /// unsettled. Told once until received, however many.
    Backlog,
    /// An administrator changed something.
    Changed(Change),
}

/// What an administrator changed. Long lists come in pieces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// These are held: forget them unless an attempt is under way (its outcome still counts).
    Held(Arc<[QueueId]>),
    /// These are gone: forget them. An outcome settled later is reported as a duplicate.
    Removed(Arc<[QueueId]>),
    /// These are due now: released, or to be retried. The database has them as due, except for fresh ones in memory.
    Due(Arc<[QueueId]>),
    /// All that was deferred for this domain, or for all domains, is due now.
    Flushed(Option<String>),
}

/// What delivery reads: fresh messages and changes, in the order in which they were committed.
#[derive(Debug)]
pub struct Subscription {
    events: mpsc::UnboundedReceiver<Event>,
    backlog_told: Arc<AtomicBool>,
}

impl Subscription {
    /// The next event; `None` once the queue is closed or another subscriber took over.
    ///
    /// May be dropped while it waits; no event is lost by that.
    pub async fn recv(&mut self) -> Option<Event> {
        let event = self.events.recv().await;
        self.seen(event)
    }

    /// The next event, if there is one already.
    pub fn try_recv(&mut self) -> Option<Event> {
        let event = self.events.try_recv().ok();
        self.seen(event)
    }

    fn seen(&self, event: Option<Event>) -> Option<Event> {
        if matches!(event, Some(Event::Backlog)) {
            self.backlog_told.store(false, Ordering::Release);
        }
        event
    }
}

/// Counts what is in delivery's memory, and knows which messages are there.
///
/// The channel to the subscriber has no bound of its own: tickets bound the fresh messages in it, and administrators the
/// changes.
pub(crate) struct Board {
    counts: Shares,
    bytes: Shares,
    inner: Mutex<Inner>,
    /// Told the ids of messages whose last handle was dropped with recipients still fresh.
    abandoned: Box<dyn Fn(QueueId) + Send + Sync>,
}

#[derive(Default)]
struct Inner {
    count: Usage,
    bytes: Usage,
    subscriber: Option<(mpsc::UnboundedSender<Event>, Arc<AtomicBool>)>,
    /// Recipients whose rows say "fresh", by message. The lowest id bounds the search after a crash.
    live: BTreeMap<QueueId, u32>,
}

impl Board {
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

    pub(crate) fn subscribe(&self) -> Subscription {
        let (sender, events) = mpsc::unbounded_channel();
        let backlog_told = Arc::new(AtomicBool::new(false));
        let before = self
            .inner
            .lock()
            .subscriber
            .replace((sender, backlog_told.clone()));
        drop(before);
        Subscription { events, backlog_told }
    }

    /// Room in memory for a message, or `None` when there is no subscriber or no room in the share of its class.
    pub(crate) fn ticket(self: &Arc<Self>, message: &Message) -> Option<Ticket> {
        let (bytes, class) = (message.memory(), message.origin.class());
        let mut inner = self.inner.lock();
        let listening = inner
            .subscriber
            .as_ref()
            .is_some_and(|(sender, _)| !sender.is_closed());
        // One message may always be in memory, whatever its size, or a bound below it would stop the fresh path for good.
        let fits = self.counts.room(&inner.count, class, true) > 0
            && (inner.count.held(class) == 0 || bytes <= self.bytes.room(&inner.bytes, class, true));
        if !listening || !fits {
            return None;
        }
        inner.count.take(class, true, 1);
        inner.bytes.take(class, true, bytes);
        Some(Ticket {
            board: self.clone(),
            id: message.id,
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

    /// Messages of which rows may say "fresh".
    pub(crate) fn live(&self) -> Vec<QueueId> {
        self.inner.lock().live.keys().copied().collect()
    }

    /// No row with a smaller id says "fresh"; `None` when no row at all does.
    pub(crate) fn lowest(&self) -> Option<QueueId> {
        self.inner.lock().live.first_key_value().map(|(id, _)| *id)
    }

    pub(crate) fn count(&self) -> usize {
        let inner = self.inner.lock();
        Class::ALL.iter().map(|class| inner.count.held(*class)).sum()
    }

    /// Tells the subscriber. Messages that nobody hears of go back to the database when their handle is dropped.
    pub(crate) fn tell(&self, events: &mut Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let inner = self.inner.lock();
        // Dropping a message takes the lock again, so what nobody takes is dropped after it.
        let refused: Vec<Event> = match &inner.subscriber {
            Some((sender, _)) => events
                .drain(..)
                .filter_map(|event| sender.send(event).err().map(|refused| refused.0))
                .collect(),
            None => std::mem::take(events),
        };
        drop(inner);
        drop(refused);
    }

    /// Tells the subscriber that the database has work it does not know of, unless it was told and has not looked.
    pub(crate) fn tell_backlog(&self) {
        let inner = self.inner.lock();
        if let Some((sender, told)) = &inner.subscriber
            && !told.swap(true, Ordering::AcqRel)
        {
            let _ = sender.send(Event::Backlog);
        }
    }

    /// Ends the subscription.
    pub(crate) fn close(&self) {
        let before = self.inner.lock().subscriber.take();
        drop(before);
    }
}

/// A fresh message's place in memory, given back on drop.
pub(crate) struct Ticket {
    board: Arc<Board>,
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
        let mut inner = self.board.inner.lock();
        inner.count.give_back(self.class, true, 1);
        inner.bytes.give_back(self.class, true, self.bytes);
        let abandoned = inner.live.contains_key(&self.id);
        drop(inner);
        if abandoned {
            (self.board.abandoned)(self.id);
        }
    }
}
