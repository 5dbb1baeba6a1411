//! The keeper thread: slow work that nobody waits for.
//!
//! It moves log pages into the database, removes body files, looks for orphans once after the start, and forgets
//! outcomes past their retention.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use postern_mail::QueueId;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use super::codec::{self, ReadError};
use super::inbox::{Chore, Task};
use super::shared::Shared;
use super::{checkpoint, connection};
use crate::error::SpoolError;

/// Rows looked at, and at most deleted, in one step of forgetting.
const PRUNE_STEP: usize = 500;

enum Duty {
    Checkpoint,
    Remove(Arc<str>),
    Stop,
}

/// The way to the keeper.
#[derive(Clone)]
pub(super) struct KeeperHandle(Sender<Duty>);

pub(super) struct KeeperInbox(Receiver<Duty>);

pub(super) fn keeper_channel() -> (KeeperHandle, KeeperInbox) {
    let (sender, receiver) = channel();
    (KeeperHandle(sender), KeeperInbox(receiver))
}

// A keeper that is gone means that the queue is closed: log pages and files wait for the next start.
impl KeeperHandle {
    pub(super) fn checkpoint(&self) {
        let _ = self.0.send(Duty::Checkpoint);
    }

    pub(super) fn remove(&self, name: Arc<str>) {
        let _ = self.0.send(Duty::Remove(name));
    }

    pub(super) fn stop(&self) {
        let _ = self.0.send(Duty::Stop);
    }
}

/// Runs until it is told to stop. `first_id` is the lowest id this run may give out: body files from there on are not orphans.
pub(super) fn run(shared: &Shared, inbox: &KeeperInbox, first_id: QueueId) {
    let mut keeper = Keeper {
        shared,
        checkpointer: None,
    };
    keeper.remove_orphans(first_id);
    let pace =
        (shared.settings.history_retention / 24).clamp(Duration::from_secs(60), Duration::from_secs(3600));
    let mut prune_at = Instant::now() + Duration::from_secs(60).min(pace);
    loop {
        match inbox
            .0
            .recv_timeout(prune_at.saturating_duration_since(Instant::now()))
        {
            Ok(Duty::Checkpoint) => keeper.checkpoint(),
            Ok(Duty::Remove(name)) => {
                if let Err(error) = shared.bodies.remove(&name) {
                    tracing::warn!(target: "postern::spool", file = &*name, %error, "body file not removed");
                }
            }
            Ok(Duty::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                prune_at = Instant::now() + pace;
                if let Err(error) = keeper.forget(Timestamp::now()) {
                    tracing::warn!(target: "postern::spool", %error, "history not pruned");
                }
            }
        }
    }
}

struct Keeper<'s> {
    shared: &'s Shared,
    checkpointer: Option<Connection>,
}

impl Keeper<'_> {
    fn checkpoint(&mut self) {
        let result = match self.checkpointer.take() {
            Some(connection) => Ok(connection),
            None => connection::open_checkpointer(&self.shared.settings.directory),
        };
        let result = result.and_then(|connection| {
            checkpoint::in_background(self.shared, &connection)?;
            // With the store down the connection must go, too.
            if self.shared.check().is_ok() {
                self.checkpointer = Some(connection);
            }
            Ok(())
        });
        if let Err(error) = result {
            tracing::warn!(target: "postern::spool", %error, "checkpoint failed");
        }
    }

    fn remove_orphans(&self, first_id: QueueId) {
        let mut candidates = Vec::new();
        let listed = self.shared.bodies.each_file(|name, id| {
            if id < first_id {
                candidates.push((name.to_owned(), id));
            }
        });
        if let Err(error) = listed {
            tracing::warn!(target: "postern::spool", %error, "body files not listed");
        }
        let mut removed = 0_u64;
        for (name, id) in candidates {
            // Unless it is certain that no message names it, it stays.
            let named = self.shared.readers.read_here(|connection| {
                let mut query = connection.prepare_cached("SELECT body_file FROM message WHERE id = ?1")?;
                Ok(query
                    .query_row([id.as_i64()], |row| row.get::<_, Option<String>>(0))
                    .optional()?)
            });
            if let Ok(Ok(None | Some(None))) = named
                && self.shared.bodies.remove(&name).is_ok()
            {
                removed += 1;
            }
        }
        if removed > 0 {
            tracing::info!(target: "postern::spool", removed, "body files without a message removed");
        }
    }

    /// Deletes outcomes of finished messages past their retention, a step at a time so that puts come in between.
    fn forget(&self, now: Timestamp) -> Result<(), SpoolError> {
        let retention = i64::try_from(self.shared.settings.history_retention.as_millis()).unwrap_or(i64::MAX);
        let before = now.as_millisecond().saturating_sub(retention);
        let mut after = (0, -1);
        loop {
            let (seen, rows, next) = self
                .shared
                .readers
                .read_here(|reader| old_rows(reader, after, before))??;
            if !rows.is_empty() {
                let (reply, done) = oneshot::channel();
                let chore = Chore {
                    task: Task::Prune { rows },
                    reply: Some(reply),
                };
                if self.shared.inbox.chore(chore).is_err() {
                    return Ok(());
                }
                done.blocking_recv().unwrap_or(Err(SpoolError::Closed))?;
            }
            if seen < PRUNE_STEP {
                return Ok(());
            }
            after = next;
        }
    }
}

type OldRows = (usize, Vec<(QueueId, u32)>, (i64, i64));

/// Looks at the recipients of the next few messages: how many rows were seen, which may go, and where to go on.
///
/// A message accepted after `before` has no outcome from before, so ids bound the search; what is passed over are recipients of
/// messages that are still queued.
fn old_rows(connection: &Connection, after: (i64, i64), before: i64) -> Result<OldRows, ReadError> {
    let mut query = connection.prepare_cached(
        "SELECT r.message_id, r.idx,
                r.state = 3 AND r.settled_at < ?3 AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = r.message_id)
         FROM recipient r
         WHERE (r.message_id, r.idx) > (?1, ?2) AND r.message_id < ?4
         ORDER BY r.message_id, r.idx LIMIT ?5",
    )?;
    let bound = QueueId::new(before, 0).as_i64();
    let mut found = query.query(params![after.0, after.1, before, bound, PRUNE_STEP as i64])?;
    let (mut seen, mut rows, mut next) = (0, Vec::new(), after);
    while let Some(row) = found.next()? {
        seen += 1;
        let (id, index) = (row.get(0)?, row.get(1)?);
        next = (id, i64::from(index));
        if row.get(2)? {
            rows.push((codec::id(id), index));
        }
    }
    Ok((seen, rows, next))
}
