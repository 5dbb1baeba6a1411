//! Infrequent work in the writer's transactions: requests of administrators, and housekeeping.

use std::sync::Arc;

use jiff::Timestamp;
use postern_events::{notice, shown};
use postern_mail::QueueId;
use rusqlite::{Connection, OptionalExtension, params};

use super::inbox::Task;
use super::notes;
use super::transaction::{Act, Totals, Transaction};
use crate::error::SpoolError;
use crate::fresh::Change;
use crate::rescue::salvage::{self, Parts};

impl Transaction<'_, '_> {
    /// Does one chore; returns how many messages (or recipients, for a flush) it changed.
    ///
    /// # Errors
    ///
    /// Database errors; then the transaction is unusable.
    pub(super) fn chore(&mut self, task: &Task) -> Result<u64, SpoolError> {
        match task {
            Task::Hold { ids, by, reason } => self.hold(ids, by, reason),
            Task::Release { ids, by, now } => self.release(ids, by, *now),
            Task::Retry { ids, by, now } => self.retry(ids, by, *now),
            Task::Remove { ids, by, now } => self.remove_all(ids, by, *now),
            Task::Flush { rows, by, now } => self.flush(rows, by, *now),
            Task::Damage { found } => self.damage(found),
            Task::BringForward { domain, far, to } => self.bring_forward(domain, *far, *to),
            Task::Reindex => self.reindex(),
            // The writer does this when a transaction fails with it.
            Task::Replace { why, .. } => Err(SpoolError::Corrupt(why.as_str().into())),
            Task::Import { found } => self.import(found),
            Task::Requeue { ids } => self.requeue(ids),
            Task::Prune { rows } => self.prune(rows),
            Task::ForgetNotes { up_to } => notes::forget(self.connection, self.node, *up_to),
            Task::Shrink { pages } => shrink(self.connection, *pages),
        }
    }

    fn hold(&mut self, ids: &[QueueId], by: &Arc<str>, reason: &str) -> Result<u64, SpoolError> {
        let mut changed = Vec::new();
        let text = format!("{by}: {reason}");
        for id in ids {
            let number = id.as_i64();
            let held = self.run(
                "UPDATE message SET hold = ?2 WHERE id = ?1 AND hold IS NULL",
                params![number, text],
            )?;
            if held == 0 {
                continue;
            }
            let fresh = self.run(
                "UPDATE recipient SET state = 2 WHERE message_id = ?1 AND state = 0",
                [number],
            )?;
            if fresh > 0 {
                self.effects.left_fresh.push((*id, fresh as u32));
            }
            self.run(
                "UPDATE recipient SET state = 2 WHERE message_id = ?1 AND state = 1",
                [number],
            )?;
            self.totals.held += 1;
            changed.push(*id);
        }
        self.tell_of(Act::Held, &changed, by)?;
        self.effects.changed(Change::Held, &changed);
        Ok(changed.len() as u64)
    }

    fn release(&mut self, ids: &[QueueId], by: &Arc<str>, now: Timestamp) -> Result<u64, SpoolError> {
        let mut changed = Vec::new();
        for id in ids {
            let number = id.as_i64();
            let damaged: Option<bool> = self
                .connection
                .prepare_cached(
                    "SELECT damaged IS NOT NULL FROM message
                     WHERE id = ?1 AND hold IS NOT NULL AND hold_rule IS NOT 'sandbox.kept'",
                )?
                .query_row([number], |row| row.get(0))
                .optional()?;
            let Some(damaged) = damaged else {
                continue;
            };
            // A damaged one is checked again: it may have been repaired.
            self.run(
                "UPDATE message SET hold = NULL, hold_rule = NULL, hold_milter = NULL, damaged = NULL WHERE id = ?1",
                [number],
            )?;
            self.totals.damaged -= i64::from(damaged);
            self.run(
                "UPDATE recipient SET state = 1, due_at = ?2 WHERE message_id = ?1 AND state = 2",
                params![number, now.as_millisecond()],
            )?;
            self.totals.held -= 1;
            changed.push(*id);
        }
        self.tell_of(Act::Released, &changed, by)?;
        self.effects.changed(Change::Due, &changed);
        Ok(changed.len() as u64)
    }

    fn retry(&mut self, ids: &[QueueId], by: &Arc<str>, now: Timestamp) -> Result<u64, SpoolError> {
        let mut changed = Vec::new();
        let mut due = 0;
        for id in ids {
            let made_due = self.run(
                "UPDATE recipient SET due_at = ?2 WHERE message_id = ?1 AND state = 1 AND due_at > ?2",
                params![id.as_i64(), now.as_millisecond()],
            )?;
            if made_due > 0 {
                changed.push(*id);
            }
            // What was already due, or is being delivered, also counts.
            due += self
                .connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM recipient WHERE message_id = ?1 AND (state = 0 OR state = 1 AND due_at <= ?2))",
                )?
                .query_row(params![id.as_i64(), now.as_millisecond()], |row| row.get::<_, u64>(0))?;
        }
        self.tell_of(Act::Retried, &changed, by)?;
        self.effects.changed(Change::Due, &changed);
        Ok(due)
    }

    fn remove_all(&mut self, ids: &[QueueId], by: &Arc<str>, now: Timestamp) -> Result<u64, SpoolError> {
        let mut changed = Vec::new();
        for id in ids {
            // Read first, since it is deleted with the message.
            let session = self.session_of(*id)?;
            if self.remove(*id, by, now)? {
                self.effects.administered(Act::Removed, *id, session, by);
                changed.push(*id);
            }
        }
        self.effects.changed(Change::Removed, &changed);
        Ok(changed.len() as u64)
    }

    /// Keeps what was done to existing messages, to be reported.
    fn tell_of(&mut self, act: Act, ids: &[QueueId], by: &Arc<str>) -> Result<(), SpoolError> {
        for id in ids {
            let session = self.session_of(*id)?;
            self.effects.administered(act, *id, session, by);
        }
        Ok(())
    }

    /// The session in which a message was received.
    fn session_of(&mut self, id: QueueId) -> Result<Option<String>, SpoolError> {
        let mut found = self
            .connection
            .prepare_cached("SELECT session FROM message WHERE id = ?1")?;
        let session = found.query_row([id.as_i64()], |row| row.get(0)).optional()?;
        Ok(session.flatten())
    }

    fn flush(&mut self, rows: &[(QueueId, u32)], by: &Arc<str>, now: Timestamp) -> Result<u64, SpoolError> {
        let mut changed = 0;
        let mut messages = Vec::new();
        for (id, index) in rows {
            let made_due = self.run(
                "UPDATE recipient SET due_at = ?3 WHERE message_id = ?1 AND idx = ?2 AND state = 1 AND due_at > ?3",
                params![id.as_i64(), index, now.as_millisecond()],
            )?;
            changed += made_due;
            if made_due > 0 {
                messages.push(*id);
            }
        }
        messages.sort_unstable();
        messages.dedup();
        self.tell_of(Act::Flushed, &messages, by)?;
        Ok(changed as u64)
    }

    /// Holds messages as damaged, logs each once, and corrects what is known about their recipients.
    fn damage(&mut self, found: &[(QueueId, String)]) -> Result<u64, SpoolError> {
        let mut changed = Vec::new();
        for (id, reason) in found {
            if self.damage_one(*id, reason)? {
                notice!(
                    self.observers,
                    Spool Error "message is damaged, it is held: see `postern queue show`, and restore or remove it",
                    Queue = shown(id),
                    Reason = reason,
                );
                changed.push(*id);
            }
        }
        if !changed.is_empty() {
            self.recount()?;
        }
        self.effects.changed(Change::Held, &changed);
        Ok(changed.len() as u64)
    }

    fn damage_one(&mut self, id: QueueId, reason: &str) -> Result<bool, SpoolError> {
        let number = id.as_i64();
        let text = format!("damaged: {reason}");
        // Recipients marked as done but without an outcome become open again.
        let (all, open, lost): (i64, i64, i64) = self
            .connection
            .prepare_cached(
                "SELECT count(*), count(*) FILTER (WHERE state IS NOT 3), count(*) FILTER (WHERE state IS 3 AND outcome IS NULL)
                 FROM recipient WHERE message_id = ?1",
            )?
            .query_row([number], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let known: Option<(bool, bool)> = self
            .connection
            .prepare_cached(
                "SELECT damaged IS NOT NULL, EXISTS (SELECT 1 FROM body WHERE message_id = id) FROM message WHERE id = ?1",
            )?
            .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let unfinished = (open + lost).max(1);
        match known {
            Some((true, _)) => return Ok(false),
            Some((false, body)) => {
                self.run(
                    "UPDATE message SET damaged = ?2, hold = coalesce(hold, ?3), unfinished = ?4,
                         size = CASE typeof(size) WHEN 'integer' THEN size ELSE 0 END WHERE id = ?1",
                    params![number, reason, text, unfinished],
                )?;
                if !body {
                    self.run(
                        "INSERT INTO body (message_id, prefix, content) VALUES (?1, x'', x'')",
                        [number],
                    )?;
                }
            }
            // Its row is gone but its recipients are not: add a row, so that it is visible.
            None if open > 0 => {
                self.run(
                    "INSERT INTO message (id, sender, received_at, size, recipients, unfinished, hold, body_kind,
                         smtputf8, origin, queued_at, damaged)
                     VALUES (?1, '', ?2, 0, ?3, ?4, ?5, 0, 0, 2, ?6, ?7)",
                    params![
                        number,
                        id.unix_ms(),
                        all,
                        unfinished,
                        text,
                        self.clock.now().as_millisecond(),
                        reason
                    ],
                )?;
                self.run(
                    "INSERT OR IGNORE INTO body (message_id, prefix, content) VALUES (?1, x'', x'')",
                    [number],
                )?;
            }
            None => return Ok(false),
        }
        self.effects.left_fresh.push((id, u32::MAX));
        self.run(
            "UPDATE recipient SET state = 2
             WHERE message_id = ?1 AND (state IS NOT 2 AND state IS NOT 3 OR state = 3 AND outcome IS NULL)",
            [number],
        )?;
        Ok(true)
    }

    fn bring_forward(&mut self, domain: &str, far: Timestamp, to: Timestamp) -> Result<u64, SpoolError> {
        let changed = self.run(
            "UPDATE recipient SET due_at = ?3 WHERE (message_id, idx) IN
                 (SELECT message_id, idx FROM recipient INDEXED BY recipient_due
                  WHERE state = 1 AND domain = ?1 AND due_at > ?2 LIMIT 10000)",
            params![domain, far.as_millisecond(), to.as_millisecond()],
        )?;
        Ok(changed as u64)
    }

    fn import(&mut self, found: &[(i64, Parts)]) -> Result<u64, SpoolError> {
        let mut changed = 0;
        for (id, parts) in found {
            changed += u64::from(salvage::import(self.connection, *id, parts)?);
        }
        self.recount()?;
        Ok(changed)
    }

    fn reindex(&mut self) -> Result<u64, SpoolError> {
        notice!(self.observers, Spool Error "the index of due messages was damaged and is being rebuilt");
        self.run("REINDEX recipient_due", [])?;
        self.effects.backlog = true;
        Ok(1)
    }

    /// Recounts the queue: what is damaged may have been counted as something else.
    fn recount(&mut self) -> Result<(), SpoolError> {
        let outcomes = self.totals.outcomes;
        self.totals = self.connection.query_row(
            "SELECT count(*), CAST(total(unfinished) AS INTEGER), count(hold), CAST(total(size) AS INTEGER), count(damaged),
                 count(*) FILTER (WHERE hold_rule IS 'sandbox.kept'),
                 CAST(total(size) FILTER (WHERE hold_rule IS 'sandbox.kept') AS INTEGER)
             FROM message",
            [],
            |row| {
                Ok(Totals {
                    messages: row.get(0)?,
                    recipients: row.get(1)?,
                    held: row.get(2)?,
                    bytes: row.get(3)?,
                    damaged: row.get(4)?,
                    sandboxed: row.get(5)?,
                    sandboxed_bytes: row.get(6)?,
                    outcomes,
                })
            },
        )?;
        Ok(())
    }

    fn requeue(&mut self, ids: &[QueueId]) -> Result<u64, SpoolError> {
        let mut changed = 0;
        for id in ids {
            let left = self.run(
                "UPDATE recipient SET state = 1 WHERE message_id = ?1 AND state = 0",
                [id.as_i64()],
            )?;
            // Whatever the count says, no row of it is fresh any more.
            self.effects.left_fresh.push((*id, u32::MAX));
            self.effects.backlog |= left > 0;
            changed += left;
        }
        Ok(changed as u64)
    }

    fn prune(&mut self, rows: &[(QueueId, u32)]) -> Result<u64, SpoolError> {
        let mut changed = 0;
        for (id, index) in rows {
            changed += self.run(
                "DELETE FROM recipient WHERE message_id = ?1 AND idx = ?2 AND state = 3",
                params![id.as_i64(), index],
            )?;
        }
        self.totals.outcomes -= changed as i64;
        Ok(changed as u64)
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize, SpoolError> {
        Ok(self.connection.prepare_cached(sql)?.execute(values)?)
    }
}

/// Releases up to `pages` unused pages; the file shrinks at the next checkpoint. Returns how many are left.
pub(super) fn shrink(connection: &Connection, pages: u64) -> Result<u64, SpoolError> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut steps = statement.query([])?;
    while steps.next()?.is_some() {}
    unused_pages(connection)
}

/// Unused pages of the database.
pub(super) fn unused_pages(connection: &Connection) -> Result<u64, SpoolError> {
    let pages: i64 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    Ok(u64::try_from(pages).unwrap_or(0))
}
