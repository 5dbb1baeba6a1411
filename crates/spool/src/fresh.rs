//! Hands fresh messages to delivery, and tells it about administrators' changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use postern_mail::QueueId;
use tokio::sync::mpsc;

use crate::message::Message;
use crate::ticket::{FreshRoom, Ticket};

/// What the queue tells delivery.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message was put. Its recipients are not [`due`](crate::Spool::due) in the database while a handle to it exists or until
    /// they are settled, so nothing else works on it. If the last handle is dropped without that, it becomes due there by itself.
    Fresh(Arc<Message>),
    /// Messages became due in the database about which delivery was not told individually: memory was full, or one was dropped
    /// unsettled. Reported once until received, however many there are.
    Backlog,
    /// An administrator changed something.
    Changed(Change),
}

/// What an administrator changed. Long lists come in pieces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// These are held: forget them unless an attempt is in progress (its outcome still counts).
    Held(Arc<[QueueId]>),
    /// These are gone: forget them. An outcome settled later is reported as a duplicate.
    Removed(Arc<[QueueId]>),
    /// These are due now: released, or to be retried. They are due in the database, except fresh ones in memory.
    Due(Arc<[QueueId]>),
    /// Everything deferred for this domain, or for all domains, is due now.
    Flushed(Option<String>),
}

/// What delivery reads: fresh messages and changes, in commit order.
#[derive(Debug)]
pub struct Subscription {
    events: mpsc::UnboundedReceiver<Event>,
    backlog_told: Arc<AtomicBool>,
}

impl Subscription {
    /// The next event; `None` once the queue is closed or another subscriber has taken over.
    ///
    /// May be dropped while it waits; no event is lost.
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

/// The subscriber of fresh messages and changes, and the memory for those messages.
///
/// The channel to the subscriber is unbounded: tickets limit the fresh messages in it, and administrators the changes.
pub(crate) struct Board {
    room: Arc<FreshRoom>,
    subscriber: Mutex<Option<Subscriber>>,
}

/// The subscriber, and whether it was told about work in the database since it last looked.
type Subscriber = (mpsc::UnboundedSender<Event>, Arc<AtomicBool>);

impl Board {
    pub(crate) fn new(room: Arc<FreshRoom>) -> Arc<Self> {
        Arc::new(Self {
            room,
            subscriber: Mutex::default(),
        })
    }

    /// The memory for fresh messages.
    pub(crate) fn room(&self) -> &FreshRoom {
        &self.room
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        let (sender, events) = mpsc::unbounded_channel();
        let backlog_told = Arc::new(AtomicBool::new(false));
        let before = self.subscriber.lock().replace((sender, backlog_told.clone()));
        drop(before);
        Subscription { events, backlog_told }
    }

    /// Room in memory for a message, or `None` if there is no subscriber or no room in the share of its class.
    pub(crate) fn ticket(&self, message: &Message) -> Option<Ticket> {
        let listening = self
            .subscriber
            .lock()
            .as_ref()
            .is_some_and(|(sender, _)| !sender.is_closed());
        if !listening {
            return None;
        }
        self.room
            .ticket(message.id, message.origin.class(), message.memory())
    }

    /// Tells the subscriber. Messages not received go back to the database when their handle is dropped.
    pub(crate) fn tell(&self, events: &mut Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let subscriber = self.subscriber.lock();
        let refused: Vec<Event> = match &*subscriber {
            Some((sender, _)) => events
                .drain(..)
                .filter_map(|event| sender.send(event).err().map(|refused| refused.0))
                .collect(),
            None => std::mem::take(events),
        };
        // Messages not received are dropped without the lock: dropping one notifies the database, which may take the lock.
        drop(subscriber);
        drop(refused);
    }

    /// Tells the subscriber that the database has work it does not know about, unless it was already told and has not looked.
    pub(crate) fn tell_backlog(&self) {
        let subscriber = self.subscriber.lock();
        if let Some((sender, told)) = &*subscriber
            && !told.swap(true, Ordering::AcqRel)
        {
            let _ = sender.send(Event::Backlog);
        }
    }

    /// Ends the subscription.
    pub(crate) fn close(&self) {
        let before = self.subscriber.lock().take();
        drop(before);
    }
}
