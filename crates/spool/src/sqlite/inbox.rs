//! The inbox of the writer thread: what waits for the next commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::{Condvar, Mutex};
use postern_mail::QueueId;
use tokio::sync::oneshot;

use super::codec;
use crate::error::SpoolError;
use crate::message::{Body, Hold, Message, Note};
use crate::outcome::{RecipientOutcome, Settled};
use crate::rescue::salvage::Parts;
use crate::sums::{self, Constant, Seal};

/// Most messages, and most octets of them, in one transaction: limits how much one commit makes the log grow.
const BATCH_PUTS: usize = 1000;
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// A message to be written to the database, with its texts prepared by the caller's thread.
pub(super) struct NewRow {
    pub(super) message: Arc<Message>,
    pub(super) sender: String,
    pub(super) addresses: Vec<String>,
    pub(super) seal: u32,
    pub(super) hold: Option<Box<Hold>>,
    pub(super) queue_only: bool,
    pub(super) note: Option<Box<Note>>,
}

impl NewRow {
    /// Prepares its texts and checksums.
    pub(super) fn new(mut message: Message, hold: Option<Hold>, queue_only: bool) -> Self {
        let body = match &message.body {
            Body::Inline(bytes) => Some(crc32fast::hash(bytes)),
            Body::File(file) => file.sum(),
        };
        // A file left behind by another put has no checksum of its own, but then the message has one.
        let sum = match body {
            Some(body) => sums::of_content(&message.prefix, body, message.body.len()),
            None => message.content_sum.unwrap_or_default(),
        };
        message.content_sum = Some(sum);
        let sender = codec::sender_text(&message.envelope.sender);
        let addresses: Vec<String> = message
            .envelope
            .recipients
            .iter()
            .map(|one| one.address.to_string())
            .collect();
        let (file, file_size) = match &message.body {
            Body::Inline(_) => (None, None),
            Body::File(file) => (Some(file.name()), Some(file.len() as i64)),
        };
        let envelope = &message.envelope;
        let mut seal = Seal::begin(&Constant {
            id: message.id.as_i64(),
            sender: &sender,
            received_at: message.received_at.as_millisecond(),
            queued_at: message.queued_at.as_millisecond(),
            size: message.size() as i64,
            recipients: addresses.len() as i64,
            body_kind: codec::body_kind_number(envelope.body),
            smtputf8: i64::from(envelope.smtputf8),
            ret: envelope.ret.map(codec::ret_number),
            envid: envelope.envid.as_deref(),
            auth: envelope.auth.as_deref(),
            login: message.login.as_deref(),
            session: message.session.as_deref(),
            origin: codec::origin_number(message.origin),
            body_file: file,
            body_size: file_size,
            content_sum: sum,
            detour: message.detour.as_ref().map(|detour| detour.text()),
        });
        for (address, recipient) in addresses.iter().zip(&envelope.recipients) {
            seal.recipient(
                address,
                codec::notify_number(recipient.notify),
                recipient.orcpt.as_deref(),
            );
        }
        Self {
            seal: seal.finish(),
            message: Arc::new(message),
            sender,
            addresses,
            hold: hold.map(Box::new),
            queue_only,
            note: None,
        }
    }
}

pub(super) struct Put {
    pub(super) row: NewRow,
    pub(super) reply: oneshot::Sender<Result<(), SpoolError>>,
}

pub(super) struct Settle {
    pub(super) id: QueueId,
    pub(super) at: Timestamp,
    pub(super) outcomes: Vec<RecipientOutcome>,
    pub(super) reports: Vec<NewRow>,
    pub(super) reply: oneshot::Sender<Result<Settled, SpoolError>>,
}

/// Infrequent work.
pub(super) struct Chore {
    pub(super) task: Task,
    /// Gets how many messages (or recipients, for a flush) were changed.
    pub(super) reply: Option<oneshot::Sender<Result<u64, SpoolError>>>,
}

pub(super) enum Task {
    /// Hold messages, for this reason.
    Hold {
        ids: Vec<QueueId>,
        by: Arc<str>,
        reason: String,
    },
    /// Release held messages.
    Release {
        ids: Vec<QueueId>,
        by: Arc<str>,
        now: Timestamp,
    },
    /// Make queued recipients of messages due.
    Retry {
        ids: Vec<QueueId>,
        by: Arc<str>,
        now: Timestamp,
    },
    /// Remove messages.
    Remove {
        ids: Vec<QueueId>,
        by: Arc<str>,
        now: Timestamp,
    },
    /// Make recipients due, if they are queued.
    Flush {
        rows: Vec<(QueueId, u32)>,
        by: Arc<str>,
        now: Timestamp,
    },
    /// Hold messages as damaged, for these reasons.
    Damage { found: Vec<(QueueId, String)> },
    /// Make recipients of a domain due that wait longer than the longest wait.
    BringForward {
        domain: String,
        far: Timestamp,
        to: Timestamp,
    },
    /// Set aside the damaged database, and start again with what can be read, unless that was done since this generation of
    /// readers.
    Replace { why: String, generation: u64 },
    /// Import messages found in files set aside.
    Import { found: Vec<(i64, Parts)> },
    /// Rebuild the index of what is due.
    Reindex,
    /// Return fresh messages to the database.
    Requeue { ids: Vec<QueueId> },
    /// Forget outcomes of finished messages.
    Prune { rows: Vec<(QueueId, u32)> },
    /// Forget notes up to this number.
    ForgetNotes { up_to: i64 },
    /// Return unused pages to the disk.
    Shrink { pages: u64 },
}

/// What goes into one transaction.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) puts: Vec<Put>,
    pub(super) settles: Vec<Settle>,
    pub(super) chores: Vec<Chore>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.settles.is_empty() && self.chores.is_empty()
    }

    /// Answers everything in it with an error.
    pub(super) fn fail(&mut self, error: &SpoolError) {
        for put in self.puts.drain(..) {
            let _ = put.reply.send(Err(error.clone()));
        }
        for settle in self.settles.drain(..) {
            let _ = settle.reply.send(Err(error.clone()));
        }
        self.fail_chores(error);
    }

    pub(super) fn fail_chores(&mut self, error: &SpoolError) {
        for reply in self.chores.drain(..).filter_map(|chore| chore.reply) {
            let _ = reply.send(Err(error.clone()));
        }
    }
}

/// Why the writer was woken.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Woken {
    /// There is a batch.
    Work,
    /// The queue is being closed, and nothing is left.
    Closing,
}

/// Where callers leave work and the writer fetches it, everything at once.
///
/// Nothing is dropped under its lock: dropping a message may add work here.
pub(super) struct Inbox {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Default)]
struct Inner {
    batch: Batch,
    bytes: usize,
    /// When the first of the waiting outcomes arrived.
    outcome_since: Option<Instant>,
    /// Whether the writer is asleep.
    asleep: bool,
    closing: bool,
    closed: bool,
}

impl Inbox {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            wake: Condvar::new(),
        })
    }

    pub(super) fn put(&self, put: Put) -> Result<(), Put> {
        let mut inner = self.inner.lock();
        if inner.closing {
            drop(inner);
            return Err(put);
        }
        inner.bytes += row_bytes(&put.row);
        inner.batch.puts.push(put);
        self.rouse(inner.asleep);
        Ok(())
    }

    pub(super) fn settle(&self, settle: Settle) -> Result<(), Settle> {
        let mut inner = self.inner.lock();
        if inner.closing {
            drop(inner);
            return Err(settle);
        }
        inner.batch.settles.push(settle);
        // A writer that sleeps until the first outcome's time is up need not be woken for the second.
        let first = inner.outcome_since.is_none();
        if first {
            inner.outcome_since = Some(Instant::now());
        }
        self.rouse(first && inner.asleep);
        Ok(())
    }

    pub(super) fn chore(&self, chore: Chore) -> Result<(), Chore> {
        let mut inner = self.inner.lock();
        if inner.closing {
            drop(inner);
            return Err(chore);
        }
        inner.batch.chores.push(chore);
        self.rouse(inner.asleep);
        Ok(())
    }

    pub(super) fn is_closing(&self) -> bool {
        self.inner.lock().closing
    }

    /// No more work is accepted; the writer finishes what there is.
    pub(super) fn close(&self) {
        self.inner.lock().closing = true;
        self.wake.notify_one();
    }

    /// The writer is gone. Fails everything that is left.
    pub(super) fn abandon(&self) {
        let mut inner = self.inner.lock();
        inner.closing = true;
        inner.closed = true;
        let mut left = std::mem::take(&mut inner.batch);
        drop(inner);
        left.fail(&SpoolError::Closed);
    }

    fn rouse(&self, asleep: bool) {
        if asleep {
            self.wake.notify_one();
        }
    }

    /// Waits for work and moves it into `batch`, which may hold outcomes to be retried. Returns at `again` in any case.
    ///
    /// Puts and chores are fetched at once; outcomes when there is a put to share the commit with, or `patience` after the
    /// first of them arrived.
    pub(super) fn fetch(&self, batch: &mut Batch, patience: Duration, again: Option<Instant>) -> Woken {
        let mut inner = self.inner.lock();
        loop {
            let urgent = !inner.batch.puts.is_empty() || !inner.batch.chores.is_empty();
            let waiting = inner.outcome_since.map(|since| since + patience);
            let until = match (waiting, again) {
                // Outcomes that met a full disk are retried at their own pace, together with all that arrived since.
                (Some(waiting), Some(again)) if batch.is_empty() => Some(waiting.min(again)),
                (_, Some(again)) => Some(again),
                (waiting, None) => waiting,
            };
            let due = until.is_some_and(|until| until <= Instant::now());
            if urgent || due || (inner.closing && !(inner.batch.is_empty() && batch.is_empty())) {
                inner.move_into(batch);
                return Woken::Work;
            }
            if inner.closing {
                return Woken::Closing;
            }
            inner.asleep = true;
            match until {
                Some(until) => drop(self.wake.wait_until(&mut inner, until)),
                None => self.wake.wait(&mut inner),
            }
            inner.asleep = false;
        }
    }

    /// Adds what has arrived since to a batch that is about to be written.
    pub(super) fn fetch_more(&self, batch: &mut Batch) {
        let mut inner = self.inner.lock();
        if !inner.batch.is_empty() {
            inner.move_into(batch);
        }
    }

    /// Waits for a pause while the store is down, taking puts and chores as they come so that they can be failed.
    pub(super) fn pause(&self, batch: &mut Batch, until: Instant) -> Woken {
        let mut inner = self.inner.lock();
        loop {
            if !inner.batch.is_empty() {
                inner.move_into(batch);
                return Woken::Work;
            }
            if inner.closing {
                return Woken::Closing;
            }
            inner.asleep = true;
            let over = self.wake.wait_until(&mut inner, until).timed_out();
            inner.asleep = false;
            if over {
                return Woken::Work;
            }
        }
    }
}

impl Inner {
    fn move_into(&mut self, batch: &mut Batch) {
        batch.settles.append(&mut self.batch.settles);
        batch.chores.append(&mut self.batch.chores);
        self.outcome_since = None;
        if self.batch.puts.len() <= BATCH_PUTS && self.bytes <= BATCH_BYTES {
            batch.puts.append(&mut self.batch.puts);
            self.bytes = 0;
            return;
        }
        let mut bytes = 0;
        let mut fits = |put: &Put| {
            bytes += row_bytes(&put.row);
            bytes <= BATCH_BYTES
        };
        let count = self
            .batch
            .puts
            .iter()
            .take(BATCH_PUTS)
            .map_while(|put| fits(put).then_some(()))
            .count();
        batch.puts.extend(self.batch.puts.drain(..count.max(1)));
        self.bytes = self.batch.puts.iter().map(|put| row_bytes(&put.row)).sum();
    }
}

fn row_bytes(row: &NewRow) -> usize {
    row.message.memory()
}
