//! The writer thread: one transaction after another, each with everything that came in during the one before.
//!
//! How it fails: when the disk is full, the puts of the transaction fail, and outcomes are retried until there is room. When
//! anything else goes wrong, or a sync fails, the state of this connection cannot be relied on: it is dropped, and the store is
//! reopened and verified (see [`super::recover`]), as often as it takes. Outcomes wait for that.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::inbox::{Batch, Chore, Task, Woken};
use super::recover;
use super::shared::Shared;
use super::store::{Doubtful, Store};
use super::transaction::{Effects, Statements, Totals, Transaction};
use super::{checkpoint, chores, probe};
use crate::engine::SpoolState;
use crate::error::SpoolError;
use crate::message::Body;
use crate::outcome::Settled;
use postern_events::{Administered, Committed, Word, notice, shown};

/// Pause before outcomes that met a full disk are retried, and before checking for room.
const FULL_PAUSE: Duration = Duration::from_millis(250);

/// Longest time the first of several puts waits for the others; never longer than the last commit took.
const GATHER_MAX: Duration = Duration::from_micros(150);

/// Unused pages released to a full disk at a time.
const SHRINK_PAGES: u64 = 1000;

/// What outlives a failed store.
#[derive(Default)]
pub(super) struct Carried {
    pub(super) batch: Batch,
    /// Messages of a transaction that may or may not be on disk. Their clients were told that they are not queued.
    pub(super) doubtful: Vec<Doubtful>,
}

enum Ended {
    Closed(Result<(), SpoolError>),
    Failed(SpoolError),
}

/// Runs until the queue is closed; returns the result of closing.
pub(super) fn run(shared: &Arc<Shared>, mut store: Store) -> Result<(), SpoolError> {
    let mut carried = Carried::default();
    loop {
        let ended = Writer::serve(shared, &store, &mut carried);
        drop(store);
        let why = match ended {
            Ended::Closed(result) => return result,
            Ended::Failed(error) => error,
        };
        notice!(shared.settings.observers, Spool Error "store failed", Error = shown(&why));
        shared.set_down(&why);
        match reopen(shared, &mut carried, &why) {
            Some(opened) => store = opened,
            None => return Err(why),
        }
        shared.set_state(SpoolState::Ready);
        let messages = u64::try_from(store.size().messages).unwrap_or(0);
        notice!(shared.settings.observers, Spool Info "store open again", Messages = messages);
    }
}

/// Opens the store again, with growing pauses; `None` if the queue is closed meanwhile.
fn reopen(shared: &Arc<Shared>, carried: &mut Carried, why: &SpoolError) -> Option<Store> {
    let mut why = why.clone();
    let mut pause = shared.settings.reopen_wait;
    loop {
        let until = Instant::now() + pause;
        while Instant::now() < until {
            if shared.inbox.pause(&mut carried.batch, until) == Woken::Closing {
                carried.batch.fail(&SpoolError::Closed);
                return None;
            }
            fail_new(&mut carried.batch, &why);
        }
        match recover::reopen(shared, &mut carried.doubtful, &why) {
            Ok(store) => return Some(store),
            Err(error) => {
                let retry_ms = pause.as_millis() as u64;
                notice!(shared.settings.observers, Spool Warning "store not open yet", Error = shown(&error), RetryMs = retry_ms);
                shared.set_down(&error);
                // A database is not set aside twice.
                why = error;
            }
        }
        pause = (pause * 2).min(shared.settings.reopen_wait_max);
    }
}

/// Fails puts and chores, and keeps outcomes.
fn fail_new(batch: &mut Batch, why: &SpoolError) {
    fail_puts(batch, why);
    batch.fail_chores(why);
}

fn fail_puts(batch: &mut Batch, why: &SpoolError) {
    for put in batch.puts.drain(..) {
        let _ = put.reply.send(Err(why.clone()));
    }
}

struct Writer<'s, 'c> {
    shared: &'s Shared,
    connection: &'c Connection,
    statements: Statements<'c>,
    totals: Totals,
    others: Totals,
    effects: Effects,
    /// Puts of the current transaction that failed individually.
    refused: Vec<(usize, SpoolError)>,
    /// Results of the current transaction's settlements and chores.
    settled: Vec<Settled>,
    counted: Vec<u64>,
    /// Puts in the last transaction.
    shared_by: usize,
    /// How long the last commit took.
    sync_time: Duration,
}

impl<'s, 'c> Writer<'s, 'c> {
    fn serve(shared: &'s Shared, store: &'c Store, carried: &mut Carried) -> Ended {
        let connection = &store.connection;
        let statements = match Statements::prepare(connection) {
            Ok(statements) => statements,
            Err(error) => return Ended::Failed(error.into()),
        };
        let mut writer = Self {
            shared,
            connection,
            statements,
            totals: store.totals,
            others: store.others,
            effects: Effects::default(),
            refused: Vec::new(),
            settled: Vec::new(),
            counted: Vec::new(),
            shared_by: 0,
            sync_time: Duration::ZERO,
        };
        shared.set_counts(store.size());
        checkpoint::watch(connection);
        writer.serve_batches(carried)
    }

    fn serve_batches(&mut self, carried: &mut Carried) -> Ended {
        // While the disk is full: when to check again.
        let mut look_at = None;
        if let Err(error) = self.shared.reserve.take() {
            look_at = Some(self.enter_full(&error));
        }
        if !carried.batch.is_empty() {
            look_at = look_at.or_else(|| Some(Instant::now()));
        }
        loop {
            let patience = self.shared.settings.outcome_wait;
            if self.shared.inbox.fetch(&mut carried.batch, patience, look_at) == Woken::Closing {
                return Ended::Closed(self.close());
            }
            self.gather(&mut carried.batch);
            if let Err(error) = self.shared.check_put() {
                fail_puts(&mut carried.batch, &error);
            }
            match self.commit(&mut carried.batch) {
                Ok(()) => {}
                Err(error @ SpoolError::Full(_)) => {
                    self.release_failed(carried, &error, false);
                    if self.shared.inbox.is_closing() {
                        carried.batch.fail(&SpoolError::Closed);
                        return Ended::Closed(Err(error));
                    }
                    if self.shared.check().is_ok() {
                        look_at = Some(self.enter_full(&error));
                        continue;
                    }
                }
                Err(error) => {
                    let told = probe::refine(&self.shared.settings.directory, &error);
                    self.release_failed(carried, &told, true);
                    return Ended::Failed(told);
                }
            }
            let moved = match look_at {
                Some(at) if at <= Instant::now() => self.look_for_room().map(|next| look_at = next),
                _ => checkpoint::after_commit(self.shared, self.connection),
            };
            if let Err(error) = moved {
                return Ended::Failed(error);
            }
        }
    }

    /// Lets callers that shared the last commit share the next one too.
    ///
    /// They were answered a moment ago, and all return at about the same time. Without this the first of them would have a sync
    /// to itself while all others wait for it, and every second sync would be for a few. A single caller does not wait.
    fn gather(&mut self, batch: &mut Batch) {
        let before = std::mem::replace(&mut self.shared_by, batch.puts.len());
        if before < 2 || batch.puts.is_empty() {
            return;
        }
        let until = Instant::now() + self.sync_time.min(GATHER_MAX);
        while batch.puts.len() < before && Instant::now() < until {
            std::thread::yield_now();
            self.shared.inbox.fetch_more(batch);
        }
        self.shared_by = batch.puts.len();
    }

    /// The disk is full: releases the reserve, so that queued mail can be delivered, and refuses mail. Returns when to try the
    /// outcomes again: at once.
    fn enter_full(&self, error: &SpoolError) -> Instant {
        notice!(self.shared.settings.observers, Spool Error "disk full", Error = shown(error));
        self.shared.set_down(error);
        self.shared.reserve.release();
        Instant::now()
    }

    /// Makes the database smaller if possible, then checks whether there is room again; if not, returns when to check next.
    fn look_for_room(&mut self) -> Result<Option<Instant>, SpoolError> {
        let mut room = if self.shared.check().is_ok() {
            Ok(())
        } else {
            self.shared.reserve.take()
        };
        if room.is_err() {
            let shrunk = chores::shrink(self.connection, SHRINK_PAGES)
                .and_then(|_| checkpoint::by_writer(self.shared, self.connection));
            match shrunk {
                Ok(_) => room = self.shared.reserve.take(),
                Err(SpoolError::Full(_)) => {}
                Err(error) => return Err(error),
            }
        }
        match room {
            Ok(()) => {
                if self.shared.check().is_err() {
                    notice!(self.shared.settings.observers, Spool Info "room on the disk again");
                    self.shared.set_state(SpoolState::Ready);
                }
                Ok(None)
            }
            Err(_) => Ok(Some(Instant::now() + FULL_PAUSE)),
        }
    }

    /// Commits a batch and answers it. On an error everything stays in the batch unanswered: outcomes, puts and chores.
    fn commit(&mut self, batch: &mut Batch) -> Result<(), SpoolError> {
        self.effects.clear();
        self.refused.clear();
        self.settled.clear();
        self.counted.clear();
        if batch.is_empty() {
            return Ok(());
        }
        // Several callers that meet the same damage cause only one new database.
        let now = self.shared.readers.generation();
        let stale =
            |chore: &Chore| matches!(chore.task, Task::Replace { generation, .. } if generation != now);
        for chore in batch.chores.extract_if(.., |chore| stale(chore)) {
            if let Some(reply) = chore.reply {
                let _ = reply.send(Ok(0));
            }
        }
        let before = self.totals;
        if let Err(error) = self.write(batch) {
            self.totals = before;
            // SQLite may have rolled back by itself.
            if !self.connection.is_autocommit() {
                self.connection.execute_batch("ROLLBACK")?;
            }
            return Err(error);
        }
        self.answer(batch);
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), SpoolError> {
        self.statements.begin.execute([])?;
        let mut transaction = Transaction {
            connection: self.connection,
            statements: &mut self.statements,
            board: &self.shared.board,
            clock: &self.shared.clock,
            node: self.shared.settings.node,
            totals: self.totals,
            effects: &mut self.effects,
            observers: &self.shared.settings.observers,
        };
        for (place, put) in batch.puts.iter().enumerate() {
            match transaction.insert(&put.row) {
                Ok(()) => {}
                Err(error @ SpoolError::DuplicateId(_)) => self.refused.push((place, error)),
                Err(error) => return Err(error),
            }
        }
        for settle in &batch.settles {
            self.settled.push(transaction.settle(settle)?);
        }
        for chore in &batch.chores {
            self.counted.push(transaction.chore(&chore.task)?);
        }
        transaction.save_totals()?;
        self.totals = transaction.totals;
        let begun = Instant::now();
        let committed = self.statements.commit.execute([]);
        self.sync_time = begun.elapsed();
        self.shared.settings.observers.tell(Committed {
            messages: batch.puts.len(),
            took: self.sync_time,
            error: committed.as_ref().err().map(|error| error as &dyn Display),
        });
        committed?;
        Ok(())
    }

    /// Everything is on stable storage: answers all callers.
    fn answer(&mut self, batch: &mut Batch) {
        self.shared.set_counts(self.totals + self.others);
        for (id, recipients) in self.effects.left_fresh.drain(..) {
            self.shared.board.room().leave(id, recipients);
        }
        let mut refused = self.refused.drain(..).peekable();
        for (place, put) in batch.puts.drain(..).enumerate() {
            if let Some((_, error)) = refused.next_if(|(refused, _)| *refused == place) {
                let _ = put.reply.send(Err(error));
                continue;
            }
            let _ = put.reply.send(Ok(()));
            self.effects
                .put(put.row.message, put.row.queue_only, put.row.hold.is_some());
        }
        drop(refused);
        for (settle, settled) in batch.settles.drain(..).zip(self.settled.drain(..)) {
            for row in settle.reports {
                if settled.reports.iter().any(|report| report.id == row.message.id) {
                    self.effects.put(row.message, row.queue_only, row.hold.is_some());
                }
            }
            let _ = settle.reply.send(Ok(settled));
        }
        for (chore, count) in batch.chores.drain(..).zip(self.counted.drain(..)) {
            if let Some(reply) = chore.reply {
                let _ = reply.send(Ok(count));
            }
        }
        for name in self.effects.discard.drain(..) {
            self.shared.bodies.discard().file(name);
        }
        for done in self.effects.administered.drain(..) {
            self.shared.settings.observers.tell(Administered {
                queue: Some(&done.id),
                session: done.session.as_deref(),
                by: &done.by,
                reason: None,
                changed: None,
                word: Word(done.act.word()),
            });
        }
        self.shared.board.tell(&mut self.effects.events);
        if self.effects.backlog {
            self.shared.board.tell_backlog();
        }
    }

    /// A transaction failed: its puts and chores are answered, its outcomes stay. With `doubtful` it may be on disk after all.
    fn release_failed(&mut self, carried: &mut Carried, error: &SpoolError, doubtful: bool) {
        let batch = &mut carried.batch;
        let rows = batch.puts.iter().map(|put| (&put.row, false));
        let reports = batch
            .settles
            .iter()
            .flat_map(|settle| &settle.reports)
            .map(|row| (row, true));
        for (row, report) in rows.chain(reports) {
            self.shared.board.room().leave(row.message.id, u32::MAX);
            let file = match &row.message.body {
                Body::File(file) => Some(file),
                Body::Inline(_) => None,
            };
            if doubtful {
                let body_file = file.map(|file| file.name().into());
                carried.doubtful.push(Doubtful {
                    id: row.message.id,
                    body_file,
                    report,
                });
            } else if let Some(file) = file {
                file.keep(false);
            }
        }
        fail_new(batch, error);
    }

    fn close(&mut self) -> Result<(), SpoolError> {
        self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(())
    }
}

/// Ends a wait for the writer if it is gone without an answer.
pub(super) async fn answer<T>(reply: oneshot::Receiver<Result<T, SpoolError>>) -> Result<T, SpoolError> {
    reply.await.unwrap_or(Err(SpoolError::Closed))
}
