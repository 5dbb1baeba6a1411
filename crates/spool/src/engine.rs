//! What every queue engine provides.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use postern_mail::{QueueId, ReversePath};

use crate::admin::{Ages, Counts, Filter, MessageDetail, Page, Selection, SummaryPage};
use crate::body::{BodyReader, BodyWriter};
use crate::error::SpoolError;
use crate::fresh::Subscription;
use crate::lease::{DueWork, Leased};
use crate::message::{Body, Message, NewMessage, Note};
use crate::outcome::{HistoryEntry, Settled, Settlement};
use crate::rescue::salvage::Recovered;

/// The future of a call.
pub type SpoolFuture<'a, T> = BoxFuture<'a, Result<T, SpoolError>>;

/// The durable queue.
///
/// All calls may be made from any task. If a future is dropped before it resolves, the outcome of its call is open: a put may
/// still be committed (and is then handed over like any other), a settlement is still recorded.
pub trait Spool: Send + Sync + 'static {
    /// A new id, larger than all before it, also across restarts and when the clock is set back.
    fn next_id(&self) -> QueueId;

    /// Queue time, for due times and ages. It runs with the monotonic clock, whatever happens to the system clock.
    fn now(&self) -> Timestamp;

    /// A queue time in current system time, to be shown to people.
    fn shown_time(&self, queue: Timestamp) -> Timestamp;

    /// Sets the longest wait between two attempts, by delivery's current settings. Anything due much later than that is wrong,
    /// and is brought forward when it is seen.
    fn expect_waits(&self, longest: Duration);

    /// Begins a body. Nothing is written to disk until it outgrows the memory it may use.
    fn body_writer(&self, id: QueueId) -> BodyWriter;

    /// Begins a body to replace one that was not put yet ([`Assembly::replace_body`](crate::Assembly::replace_body)). The other
    /// one can be read meanwhile, and there may be several; those that are not put leave nothing behind.
    fn another_body(&self, id: QueueId) -> BodyWriter;

    /// Queues a message; resolves when message and envelope are on stable storage, and only then may `250` be sent.
    ///
    /// Never waits for an outcome, and does not wait at all when alone. If several shared the last commit, the first to return
    /// waits for the others, at most 150 µs.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Full`], [`SpoolError::Unavailable`], [`SpoolError::Closed`]: nothing was queued, try again later.
    /// [`SpoolError::DuplicateId`], [`SpoolError::NoRecipients`]: the caller's mistake.
    fn put(&self, message: NewMessage) -> SpoolFuture<'_, Arc<Message>>;

    /// Records outcomes and queues the reports they cause, all or nothing; resolves when that is on stable storage.
    ///
    /// Safe to repeat: the first final outcome of a recipient counts, later ones are listed in [`Settled::duplicates`]. Waits up
    /// to [`outcome_wait`](crate::SpoolSettings::outcome_wait) for a put to share its commit with; and as long as it takes while
    /// the store is down, since the delivery has happened.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Closed`]: not recorded; after the next start the recipients are due again.
    fn settle(&self, settlement: Settlement) -> SpoolFuture<'_, Settled>;

    /// Reads a message back, with all its recipients, including finished ones; `None` if it is no longer queued.
    ///
    /// One that is not what was accepted is held as damaged, and logged with its id, before this returns.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Damaged`] if it is invalid, [`SpoolError::Unavailable`] if the disk fails.
    fn load(&self, id: QueueId) -> SpoolFuture<'_, Option<Arc<Message>>>;

    /// The envelope of a message whose content may be damaged or gone; the content is left out. `None` if it is not queued.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Damaged`] if the envelope itself is not what was accepted, [`SpoolError::Unavailable`] if the disk fails.
    fn load_envelope(&self, id: QueueId) -> SpoolFuture<'_, Option<Arc<Message>>>;

    /// Messages held as damaged that were accepted before a queue time, oldest first, with the recipients that are open.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Unavailable`] when the disk fails.
    fn damaged_before(&self, before: Timestamp, limit: usize) -> SpoolFuture<'_, Vec<DueWork>>;

    /// Reads the content of a message, prefix first, in pieces. Opens nothing before the first piece is asked for.
    fn open_body(&self, message: &Message) -> BodyReader;

    /// Reads a body that was not put yet, in pieces. Opens nothing before the first piece is asked for.
    fn open_new(&self, id: QueueId, body: &Body) -> BodyReader;

    /// Domains with queued recipients due at `now` (queue time) or before, in order of name, after `after`.
    ///
    /// Costs one index look-up per domain, however many recipients each has. Looks at up to 20 times `limit` domains and returns
    /// at most `limit`; continue with [`DuePage::resume`].
    ///
    /// # Errors
    ///
    /// [`SpoolError::Unavailable`] when the disk fails.
    fn due_domains<'a>(
        &'a self,
        after: Option<&'a str>,
        now: Timestamp,
        limit: usize,
    ) -> SpoolFuture<'a, DuePage>;

    /// Takes work that is due for one domain, longest due first: at most `count` messages, each with all its due recipients there,
    /// and with a [`Lease`](crate::Lease) on it that keeps others from it.
    ///
    /// Invalid messages are held as damaged and left out, as are those with a lease on them. Fresh ones in memory and held ones
    /// are never included. There may be more than were returned, unless none was.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Unavailable`] when the disk fails.
    fn lease<'a>(&'a self, domain: &'a str, now: Timestamp, count: usize) -> SpoolFuture<'a, Vec<Leased>>;

    /// Who these messages are from; finished ones are left out. For routes that depend on this: [`lease`](Self::lease) does not
    /// read it.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Unavailable`] when the disk fails.
    fn origins(&self, ids: Vec<QueueId>) -> SpoolFuture<'_, Vec<MessageOrigin>>;

    /// The notes of this machine, in the order of their numbers; see [`NewMessage::note`].
    ///
    /// # Errors
    ///
    /// [`SpoolError::Unavailable`] when the disk fails.
    fn notes(&self) -> SpoolFuture<'_, Vec<Note>>;

    /// Removes the notes of this machine up to a number; returns how many there were.
    ///
    /// # Errors
    ///
    /// As for [`put`](Self::put).
    fn forget_notes(&self, up_to: i64) -> SpoolFuture<'_, u64>;

    /// From now on fresh messages and changes are reported here. There is one subscriber: a new one replaces the last.
    fn subscribe(&self) -> Subscription;

    /// Messages that match, oldest first.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Unavailable`] when the disk fails.
    fn list<'a>(&'a self, filter: &'a Filter, page: Page) -> SpoolFuture<'a, SummaryPage>;

    /// Everything about one message; `None` if it is not queued (its outcomes may be in the [`history`](Self::history)).
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load).
    fn show(&self, id: QueueId) -> SpoolFuture<'_, Option<MessageDetail>>;

    /// Holds messages until they are released; returns how many that changed. `by` is the administrator's name.
    ///
    /// # Errors
    ///
    /// As for [`put`](Self::put). Changes before the failure remain; repeating is safe.
    fn hold<'a>(&'a self, which: Selection, by: &'a str, reason: &'a str) -> SpoolFuture<'a, u64>;

    /// Lets held messages go; their recipients are due at once. Those in the sandbox stay there. Returns how many that changed.
    ///
    /// # Errors
    ///
    /// As for [`hold`](Self::hold).
    fn release<'a>(&'a self, which: Selection, by: &'a str) -> SpoolFuture<'a, u64>;

    /// Makes the waiting recipients of messages due at once, except held ones. Returns how many messages have due recipients now,
    /// including those that already had.
    ///
    /// # Errors
    ///
    /// As for [`hold`](Self::hold).
    fn retry_now<'a>(&'a self, which: Selection, by: &'a str) -> SpoolFuture<'a, u64>;

    /// Removes messages without a report. Each open recipient gets the outcome [`Removed`](crate::Outcome::Removed) with
    /// the administrator's name. Returns how many messages that removed.
    ///
    /// # Errors
    ///
    /// As for [`hold`](Self::hold).
    fn remove<'a>(&'a self, which: Selection, by: &'a str) -> SpoolFuture<'a, u64>;

    /// Removes messages of the sandbox that were queued before this time. Returns how many that removed, at most a few hundred at once.
    ///
    /// # Errors
    ///
    /// As for [`hold`](Self::hold).
    fn expire_sandboxed(&self, before: Timestamp) -> SpoolFuture<'_, u64>;

    /// Makes everything deferred for a domain, or for all domains, due at once. Returns how many recipients that changed.
    ///
    /// # Errors
    ///
    /// As for [`hold`](Self::hold).
    fn flush<'a>(&'a self, domain: Option<&'a str>, by: &'a str) -> SpoolFuture<'a, u64>;

    /// Looks for messages that the queue does not know in files that were set aside as damaged. With `import` they are added to
    /// the queue, held, with their ids; without it nothing changes. None is imported twice.
    ///
    /// # Errors
    ///
    /// As for [`hold`](Self::hold).
    fn recover<'a>(&'a self, import: bool, by: &'a str) -> SpoolFuture<'a, Vec<Recovered>>;

    /// Final outcomes of one message, kept for [`history_retention`](crate::SpoolSettings::history_retention) after it
    /// finished.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Unavailable`] when the disk fails.
    fn history(&self, id: QueueId) -> SpoolFuture<'_, Vec<HistoryEntry>>;

    /// Has the writer commit something, as a put would: resolves when it is on stable storage. Tests whether mail can be queued;
    /// it costs a sync, shared like that of a put.
    ///
    /// # Errors
    ///
    /// As for [`put`](Self::put).
    fn probe(&self) -> SpoolFuture<'_, ()>;

    /// How old the queue is: how many messages were accepted before each of these queue times, and when the oldest was. Reads a
    /// number from every message: a million take some tenths of a second of one reader, so do not call this every second.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Unavailable`] when the disk fails.
    fn ages(&self, before: Vec<Timestamp>) -> SpoolFuture<'_, Ages>;

    /// The size of the queue, as of the last commit.
    fn counts(&self) -> Counts;

    /// Whether puts can succeed now.
    fn state(&self) -> SpoolState;

    /// Octets that this process may still write on the queue's disk, at most 20 ms old; `None` if the file system does not report
    /// it.
    fn free_bytes(&self) -> Option<u64>;

    /// Commits everything pending and closes. Later calls fail with [`SpoolError::Closed`].
    ///
    /// # Errors
    ///
    /// If the last commit failed; even then nothing acknowledged is lost.
    fn close(&self) -> SpoolFuture<'_, ()>;
}

/// Whether puts can succeed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SpoolState {
    /// Yes.
    Ready,
    /// The disk is full: puts fail, outcomes wait. Checked again several times a second.
    Full(Arc<str>),
    /// The store failed and is being opened again; puts fail at once.
    Unavailable(Arc<str>),
    /// The queue was closed.
    Closed,
}

/// A domain with recipients that are due.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DueDomain {
    /// The domain, or an address literal in brackets.
    pub domain: String,
    /// When its first recipient was or is due, in queue time.
    pub next_due: Timestamp,
}

/// A piece of the list of due domains.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DuePage {
    /// Domains that are due.
    pub domains: Vec<DueDomain>,
    /// Where to continue (the `after` of the next call); `None` if the end was reached.
    pub resume: Option<String>,
    /// The earliest due time, in queue time, of the domains that were skipped because they are not due yet.
    pub next_due: Option<Timestamp>,
}

/// Who a message is from.
#[derive(Clone, Debug)]
pub struct MessageOrigin {
    /// The message.
    pub id: QueueId,
    /// The envelope's sender.
    pub sender: ReversePath,
    /// The authenticated user who submitted it.
    pub login: Option<String>,
}
