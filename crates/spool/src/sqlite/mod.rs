//! The engine for one machine: SQLite with a write-ahead log, one writer thread, group commit.
//!
//! | Module | What it does |
//! | --- | --- |
//! | `connection`, `schema/` | opens the database and brings its schema up to date |
//! | `lock` | one owner per folder |
//! | `inbox` | where callers leave work, which the writer fetches for one transaction |
//! | `writer` | the writer thread: commit, answer, fail, start again |
//! | `transaction`, `settle`, `chores` | what a transaction does |
//! | `recover`, `probe`, `reserve` | opening after a crash or a failure; a full disk |
//! | `recovery` | importing messages from files set aside, at an administrator's request |
//! | `checkpoint`, `keeper` | moving the log into the database, and other slow background work |
//! | `readers`, `load`, `due`, `list` | reading in parallel with the writer |
//! | `leases` | who is working on what is due |
//! | `inspect` | a slow check of the whole queue for damage |
//! | `manage` | requests of administrators |
//! | `notes` | notes that are committed together with messages |

mod checkpoint;
mod chores;
mod codec;
mod connection;
mod detail;
mod due;
mod inbox;
mod inspect;
mod keeper;
mod keeper_handle;
mod leases;
mod list;
mod load;
mod lock;
mod log_state;
mod manage;
mod notes;
mod probe;
mod readers;
mod recover;
mod recovery;
mod reserve;
mod settle;
mod shared;
mod store;
mod transaction;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use parking_lot::Mutex;
use postern_events::{Administered, Word, notice, shown};
use postern_mail::QueueId;
use tokio::sync::oneshot;

use crate::admin::{Ages, Counts, Filter, MessageDetail, Page, Selection, SummaryPage};
use crate::body::{BodyFolder, BodyReader, BodyStore, BodyWriter, Damaged, Discard};
use crate::engine::{DuePage, MessageOrigin, Spool, SpoolFuture, SpoolState};
use crate::error::SpoolError;
use crate::fresh::{Board, Subscription};
use crate::lease::DueWork;
use crate::lease::{Lease, Leased};
use crate::message::{Body, Message, NewMessage, Note};
use crate::outcome::{HistoryEntry, Settled, Settlement};
use crate::rescue;
use crate::rescue::salvage::Recovered;
use crate::settings::SpoolSettings;
use crate::ticket::FreshRoom;
use due::Place;
use inbox::{Chore, Inbox, NewRow, Put, Settle, Task};
use lock::DirectoryLock;
use recover::Opened;
use shared::{Parts, Shared};
use transaction::Act;

/// Messages of the sandbox that are removed in one transaction when their time is over.
const SANDBOX_STEP: usize = 200;

/// Who removes them, as their history says.
const SANDBOX_OVER: &str = "Postern: its time in the sandbox is over";

/// Rows read at a time while looking for due messages that are not leased.
const DUE_ROWS: usize = 256;

/// The queue in one folder of one machine.
///
/// Dropping it commits pending work and waits for that; [`close`](Spool::close) does so without blocking.
pub struct SqliteSpool {
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

struct Running {
    writer: JoinHandle<Result<(), SpoolError>>,
    keeper: JoinHandle<()>,
    lock: DirectoryLock,
}

impl fmt::Debug for SqliteSpool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSpool")
            .field("directory", &self.shared.settings.directory)
            .finish_non_exhaustive()
    }
}

impl SqliteSpool {
    /// Opens the queue, creating it if the folder is empty, and recovers what a crash left.
    ///
    /// Blocks: call it before serving, or from a blocking thread. Does not read the queue: a million messages open as fast as
    /// none.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Locked`] if another process has it open, [`SpoolError::SchemaTooNew`], and disk errors.
    pub fn open(settings: SpoolSettings) -> Result<Self, SpoolError> {
        let failed = |error: std::io::Error| SpoolError::from_io("cannot open the queue", &error);
        connection::make_directory(&settings.directory).map_err(failed)?;
        let lock = DirectoryLock::take(&settings.directory)?;
        rescue::before_open(&settings.directory, &settings.observers).map_err(failed)?;
        connection::make_database(&settings.directory).map_err(failed)?;
        let (keeper, duties) = keeper_handle::keeper_channel();
        let discard = Discard(Arc::new({
            let keeper = keeper.clone();
            move |name| keeper.remove(name)
        }));
        let inbox = Inbox::new();
        let damaged = Damaged(Arc::new({
            let inbox = inbox.clone();
            move |id, reason: &str| {
                let found = vec![(id, reason.to_owned())];
                let _ = inbox.chore(Chore {
                    task: Task::Damage { found },
                    reply: None,
                });
            }
        }));
        let folder = BodyFolder::open(&settings.directory).map_err(failed)?;
        let bodies = BodyStore::new(Box::new(folder), settings.inline_max, discard, damaged);
        let Opened {
            store,
            last_id,
            clock,
        } = recover::open(&settings)?;
        let abandoned = {
            let inbox = inbox.clone();
            move |id| {
                // If the queue is closed they are found at the next start.
                let _ = inbox.chore(Chore {
                    task: Task::Requeue { ids: vec![id] },
                    reply: None,
                });
            }
        };
        let board = Board::new(FreshRoom::new(
            settings.fresh_count_max,
            settings.fresh_bytes_max,
            Box::new(abandoned),
        ));
        let bodies = Arc::new(bodies);
        let shared = Shared::new(Parts {
            settings,
            inbox,
            board,
            bodies,
            keeper,
            last_id,
            totals: store.size(),
            clock,
        });
        let first_id = shared.ids.next();
        let writer = thread("spool-writer", {
            let shared = shared.clone();
            move || {
                let _end = WriterEnd(&shared);
                writer::run(&shared, store)
            }
        });
        let keeper = thread("spool-keeper", {
            let shared = shared.clone();
            move || keeper::run(&shared, &duties, first_id)
        });
        let running = Running {
            writer: writer.map_err(failed)?,
            keeper: keeper.map_err(failed)?,
            lock,
        };
        Ok(Self {
            shared,
            running: Mutex::new(Some(running)),
        })
    }

    /// Checks the whole queue for damaged messages, and holds them. The queue does so by itself after its start and once a day.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Unavailable`] when the disk fails.
    pub async fn inspect(&self) -> Result<(), SpoolError> {
        let mut place = Some(inspect::Place::START);
        while let Some(from) = place {
            let seen = self
                .shared
                .readers
                .read(move |reader| inspect::step(reader, from))
                .await??;
            place = seen.next;
            for task in self.shared.repairs(seen) {
                match self.shared.do_chore(task).await {
                    // It is being replaced.
                    Err(SpoolError::Corrupt(_)) => return Ok(()),
                    done => done?,
                };
            }
        }
        Ok(())
    }

    /// Looks for messages in files set aside that the queue does not know, and with `import` adds them, held.
    async fn recover_aside(&self, import: bool) -> Result<Vec<Recovered>, SpoolError> {
        let shared = self.shared.clone();
        let task = tokio::task::spawn_blocking(move || shared.recover_aside(import));
        task.await
            .unwrap_or_else(|gone| Err(SpoolError::Unavailable(gone.to_string().into())))
    }

    fn row(&self, new: NewMessage) -> Result<NewRow, SpoolError> {
        let recipients = &new.envelope.recipients;
        if recipients.is_empty() || i32::try_from(recipients.len()).is_err() {
            return Err(SpoolError::NoRecipients);
        }
        let mut message = Message {
            id: new.id,
            envelope: new.envelope,
            received_at: new.received_at,
            queued_at: codec::time(self.shared.clock.now().as_millisecond()),
            content_sum: None,
            prefix: new.prefix,
            body: new.body,
            login: new.login,
            session: new.session,
            origin: new.origin,
            detour: new.detour,
            sent: None,
            ticket: None,
        };
        if new.hold.is_none() && !new.queue_only {
            message.ticket = self.shared.board.ticket(&message);
        }
        let mut row = NewRow::new(message, new.hold, new.queue_only);
        row.note = new.note.map(Box::new);
        Ok(row)
    }

    async fn put_message(&self, new: NewMessage) -> Result<Arc<Message>, SpoolError> {
        self.shared.check_put()?;
        let row = self.row(new)?;
        let message = row.message.clone();
        let (reply, done) = oneshot::channel();
        self.shared
            .inbox
            .put(Put { row, reply })
            .map_err(|_| SpoolError::Closed)?;
        writer::answer(done).await?;
        Ok(message)
    }

    async fn settle_message(&self, settlement: Settlement) -> Result<Settled, SpoolError> {
        let Settlement {
            id,
            at,
            outcomes,
            reports,
        } = settlement;
        let reports = reports
            .into_iter()
            .map(|report| self.row(report))
            .collect::<Result<_, _>>()?;
        let (reply, done) = oneshot::channel();
        let settle = Settle {
            id,
            at,
            outcomes,
            reports,
            reply,
        };
        self.shared.inbox.settle(settle).map_err(|_| SpoolError::Closed)?;
        writer::answer(done).await
    }

    async fn lease_work(
        &self,
        domain: &str,
        now: Timestamp,
        count: usize,
    ) -> Result<Vec<Leased>, SpoolError> {
        let domain: Arc<str> = domain.into();
        loop {
            let mut leases = self.lease_ids(&domain, now, count).await?;
            let full = leases.len() >= count;
            if leases.is_empty() {
                return Ok(Vec::new());
            }
            // Read after the leases were taken: what was settled before that is no longer due.
            let here = domain.clone();
            let wanted: Vec<QueueId> = leases.iter().map(|lease| lease.key().id).collect();
            let (found, strange) = self
                .shared
                .readers
                .read(move |reader| due::work(reader, &here, now, &wanted))
                .await??;
            let held = self.shared.damaged(strange).await;
            // All may have been finished since the index was read, but an empty result must mean that nothing is left.
            if found.is_empty() && full && held {
                continue;
            }
            // Both are in the order of the index; leases without work are dropped.
            let mut leases = leases.drain(..);
            let with_lease = |work: DueWork| {
                let lease = leases.find(|lease| lease.key().id == work.id)?;
                Some(Leased { work, lease })
            };
            return Ok(found.into_iter().filter_map(with_lease).collect());
        }
    }

    /// Leases on the first messages due for a domain that are not leased yet.
    async fn lease_ids(
        &self,
        domain: &Arc<str>,
        now: Timestamp,
        count: usize,
    ) -> Result<Vec<Lease>, SpoolError> {
        let mut leases = Vec::new();
        let mut place = Some(Place::START);
        while let Some(from) = place.filter(|_| leases.len() < count) {
            let here = domain.clone();
            let (ids, next) = self
                .shared
                .readers
                .read(move |reader| due::ids(reader, &here, now, from, DUE_ROWS))
                .await??;
            let room = count - leases.len();
            let free = ids
                .into_iter()
                .filter_map(|id| self.shared.leases.take(id, domain));
            leases.extend(free.take(room));
            place = next;
        }
        Ok(leases)
    }

    async fn due_page(
        &self,
        after: Option<String>,
        now: Timestamp,
        limit: usize,
    ) -> Result<DuePage, SpoolError> {
        let far = self.shared.far();
        let found = self
            .shared
            .readers
            .read(move |reader| due::domains(reader, after, now, far, limit))
            .await??;
        self.shared.damaged(found.strange).await;
        for domain in found.far {
            self.shared.bring_forward(domain).await;
        }
        Ok(found.page)
    }

    /// Tells both threads to end; returns what to wait for, unless another caller does.
    fn begin_close(&self) -> Option<Running> {
        self.shared.inbox.close();
        self.shared.board.close();
        self.running.lock().take()
    }
}

impl Running {
    /// Waits for both threads, then releases the folder.
    fn wait(self, shared: &Shared) -> Result<(), SpoolError> {
        let panicked = || SpoolError::Unavailable("a thread of the queue panicked".into());
        let result = self.writer.join().unwrap_or_else(|_| Err(panicked()));
        shared.keeper.stop();
        let kept = self.keeper.join().map_err(|_| panicked());
        shared.readers.close();
        drop(self.lock);
        result.and(kept)
    }
}

impl Drop for SqliteSpool {
    fn drop(&mut self) {
        if let Some(running) = self.begin_close()
            && let Err(error) = running.wait(&self.shared)
        {
            let observers = &self.shared.settings.observers;
            notice!(observers, Spool Error "queue not closed cleanly", Error = shown(&error));
        }
    }
}

/// However the writer ends, no caller waits for it in vain.
struct WriterEnd<'s>(&'s Shared);

impl Drop for WriterEnd<'_> {
    fn drop(&mut self) {
        self.0.set_state(SpoolState::Closed);
        self.0.inbox.abandon();
    }
}

fn thread<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

impl Spool for SqliteSpool {
    fn next_id(&self) -> QueueId {
        self.shared.ids.next()
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn shown_time(&self, queue: Timestamp) -> Timestamp {
        self.shared.clock.shown(queue)
    }

    fn expect_waits(&self, longest: Duration) {
        let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        self.shared.wait_max.store(longest, Ordering::Relaxed);
    }

    fn body_writer(&self, id: QueueId) -> BodyWriter {
        BodyWriter::new(self.shared.bodies.clone(), id)
    }

    fn another_body(&self, id: QueueId) -> BodyWriter {
        BodyWriter::another(self.shared.bodies.clone(), id)
    }

    fn put(&self, message: NewMessage) -> SpoolFuture<'_, Arc<Message>> {
        self.put_message(message).boxed()
    }

    fn settle(&self, settlement: Settlement) -> SpoolFuture<'_, Settled> {
        self.settle_message(settlement).boxed()
    }

    fn load(&self, id: QueueId) -> SpoolFuture<'_, Option<Arc<Message>>> {
        async move {
            let found = self
                .shared
                .readers
                .read(move |reader| load::message(reader, id))
                .await?;
            self.shared.found(id, found).await
        }
        .boxed()
    }

    fn load_envelope(&self, id: QueueId) -> SpoolFuture<'_, Option<Arc<Message>>> {
        async move {
            let found = self
                .shared
                .readers
                .read(move |reader| load::envelope(reader, id))
                .await?;
            found.map_err(|error| error.of(id))
        }
        .boxed()
    }

    fn damaged_before(&self, before: Timestamp, limit: usize) -> SpoolFuture<'_, Vec<DueWork>> {
        async move {
            Ok(self
                .shared
                .readers
                .read(move |reader| list::damaged_before(reader, before, limit))
                .await??)
        }
        .boxed()
    }

    fn open_body(&self, message: &Message) -> BodyReader {
        BodyReader::new(&self.shared.bodies, message)
    }

    fn open_new(&self, id: QueueId, body: &Body) -> BodyReader {
        BodyReader::of_new(&self.shared.bodies, id, body)
    }

    fn due_domains<'a>(
        &'a self,
        after: Option<&'a str>,
        now: Timestamp,
        limit: usize,
    ) -> SpoolFuture<'a, DuePage> {
        let after = after.map(str::to_owned);
        self.due_page(after, now, limit).boxed()
    }

    fn lease<'a>(&'a self, domain: &'a str, now: Timestamp, count: usize) -> SpoolFuture<'a, Vec<Leased>> {
        self.lease_work(domain, now, count).boxed()
    }

    fn origins(&self, ids: Vec<QueueId>) -> SpoolFuture<'_, Vec<MessageOrigin>> {
        async move {
            Ok(self
                .shared
                .readers
                .read(move |reader| due::origins(reader, &ids))
                .await??)
        }
        .boxed()
    }

    fn notes(&self) -> SpoolFuture<'_, Vec<Note>> {
        async move {
            let node = self.shared.settings.node;
            let found = self.shared.readers.read(move |reader| notes::all(reader, node));
            Ok(found.await??)
        }
        .boxed()
    }

    fn forget_notes(&self, up_to: i64) -> SpoolFuture<'_, u64> {
        self.shared.do_chore(Task::ForgetNotes { up_to }).boxed()
    }

    fn subscribe(&self) -> Subscription {
        self.shared.board.subscribe()
    }

    fn list<'a>(&'a self, filter: &'a Filter, page: Page) -> SpoolFuture<'a, SummaryPage> {
        self.shared.list(filter, page).boxed()
    }

    fn show(&self, id: QueueId) -> SpoolFuture<'_, Option<MessageDetail>> {
        async move {
            let found = self
                .shared
                .readers
                .read(move |reader| detail::detail(reader, id))
                .await?;
            let mut found = found.map_err(|error| error.of(id))?;
            if let Some(detail) = &mut found {
                detail.summary.next_due = self.shown_time(detail.summary.next_due);
                for recipient in &mut detail.recipients {
                    recipient.due_at = self.shown_time(recipient.due_at);
                }
            }
            Ok(found)
        }
        .boxed()
    }

    fn hold<'a>(&'a self, which: Selection, by: &'a str, reason: &'a str) -> SpoolFuture<'a, u64> {
        let who: Arc<str> = by.into();
        let task = move |ids| Task::Hold {
            ids,
            by: Arc::clone(&who),
            reason: reason.to_owned(),
        };
        self.managed(Act::Held, by, self.shared.each(which, task).boxed())
    }

    fn release<'a>(&'a self, which: Selection, by: &'a str) -> SpoolFuture<'a, u64> {
        let (now, who) = (self.now(), Arc::<str>::from(by));
        let task = move |ids| Task::Release {
            ids,
            by: Arc::clone(&who),
            now,
        };
        self.managed(Act::Released, by, self.shared.each(which, task).boxed())
    }

    fn retry_now<'a>(&'a self, which: Selection, by: &'a str) -> SpoolFuture<'a, u64> {
        let (now, who) = (self.now(), Arc::<str>::from(by));
        let task = move |ids| Task::Retry {
            ids,
            by: Arc::clone(&who),
            now,
        };
        self.managed(Act::Retried, by, self.shared.each(which, task).boxed())
    }

    fn remove<'a>(&'a self, which: Selection, by: &'a str) -> SpoolFuture<'a, u64> {
        let (now, who) = (self.shared.clock.wall(), Arc::<str>::from(by));
        let task = move |ids| Task::Remove {
            ids,
            by: Arc::clone(&who),
            now,
        };
        self.shared.each(which, task).boxed()
    }

    fn expire_sandboxed(&self, before: Timestamp) -> SpoolFuture<'_, u64> {
        async move {
            let ids = self
                .shared
                .readers
                .read(move |reader| list::sandboxed_before(reader, before, SANDBOX_STEP))
                .await??;
            if ids.is_empty() {
                return Ok(0);
            }
            let (by, now) = (SANDBOX_OVER.into(), self.shared.clock.wall());
            self.shared.do_chore(Task::Remove { ids, by, now }).await
        }
        .boxed()
    }

    fn flush<'a>(&'a self, domain: Option<&'a str>, by: &'a str) -> SpoolFuture<'a, u64> {
        self.managed(
            Act::Flushed,
            by,
            self.shared.flush(domain, by.into(), self.now()).boxed(),
        )
    }

    fn recover<'a>(&'a self, import: bool, by: &'a str) -> SpoolFuture<'a, Vec<Recovered>> {
        async move {
            let found = self.recover_aside(import).await?;
            if import {
                self.administered("recovered", by, found.len() as u64);
            }
            Ok(found)
        }
        .boxed()
    }

    fn history(&self, id: QueueId) -> SpoolFuture<'_, Vec<HistoryEntry>> {
        async move {
            let found = self
                .shared
                .readers
                .read(move |reader| load::history(reader, id))
                .await?;
            found.map_err(|error| error.of(id))
        }
        .boxed()
    }

    fn probe(&self) -> SpoolFuture<'_, ()> {
        async move {
            self.shared
                .do_chore(Task::Prune { rows: Vec::new() })
                .await
                .map(drop)
        }
        .boxed()
    }

    fn ages(&self, before: Vec<Timestamp>) -> SpoolFuture<'_, Ages> {
        async move {
            let found = self
                .shared
                .readers
                .read(move |reader| list::ages(reader, &before))
                .await?;
            Ok(found?)
        }
        .boxed()
    }

    fn counts(&self) -> Counts {
        let totals = self.shared.counts();
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        Counts {
            messages: count(totals.messages),
            recipients: count(totals.recipients),
            held: count(totals.held - totals.sandboxed),
            sandboxed: count(totals.sandboxed),
            sandboxed_bytes: count(totals.sandboxed_bytes),
            damaged: count(totals.damaged),
            unreadable: self.shared.readers.failures(),
            bytes: count(totals.bytes),
            fresh: self.shared.board.room().count() as u64,
        }
    }

    fn state(&self) -> SpoolState {
        self.shared.state()
    }

    fn free_bytes(&self) -> Option<u64> {
        self.shared.free.bytes(&self.shared.settings.directory)
    }

    fn close(&self) -> SpoolFuture<'_, ()> {
        async move {
            let Some(running) = self.begin_close() else {
                return Ok(());
            };
            let shared = self.shared.clone();
            let task = tokio::task::spawn_blocking(move || running.wait(&shared));
            task.await
                .unwrap_or_else(|gone| Err(SpoolError::Unavailable(gone.to_string().into())))
        }
        .boxed()
    }
}

impl SqliteSpool {
    /// Reports what an administrator did, after the events of the single messages.
    fn managed<'a>(&'a self, act: Act, by: &'a str, done: SpoolFuture<'a, u64>) -> SpoolFuture<'a, u64> {
        async move {
            let changed = done.await?;
            self.administered(act.word(), by, changed);
            Ok(changed)
        }
        .boxed()
    }

    fn administered(&self, word: &'static str, by: &str, changed: u64) {
        self.shared.settings.observers.tell(Administered {
            queue: None,
            session: None,
            by,
            reason: None,
            changed: Some(changed),
            word: Word(word),
        });
    }
}
