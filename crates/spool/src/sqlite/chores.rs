//! Seldom work in the writer's transactions: what administrators ask for, and keeping house.

use jiff::Timestamp;
use postern_mail::QueueId;
use rusqlite::{Connection, params};

use super::inbox::Task;
use super::transaction::Transaction;
use crate::error::SpoolError;
use crate::fresh::Change;

impl Transaction<'_, '_> {
    /// Does one chore; returns how many messages (or recipients, for a flush) it changed.
    ///
    /// # Errors
    ///
    /// Those of the database; the transaction is unusable then.
    pub(super) fn chore(&mut self, task: &Task) -> Result<u64, SpoolError> {
        match task {
            Task::Hold { ids, text } => self.hold(ids, text),
            Task::Release { ids, now } => self.release(ids, *now),
            Task::Retry { ids, now } => self.retry(ids, *now),
            Task::Remove { ids, by, now } => self.remove_all(ids, by, *now),
            Task::Flush { rows, now } => self.flush(rows, *now),
            Task::Requeue { ids } => self.requeue(ids),
            Task::Prune { rows } => self.prune(rows),
            Task::Shrink { pages } => shrink(self.connection, *pages),
        }
    }

    fn hold(&mut self, ids: &[QueueId], text: &str) -> Result<u64, SpoolError> {
        let mut changed = Vec::new();
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
        self.effects.changed(Change::Held, &changed);
        Ok(changed.len() as u64)
    }

    fn release(&mut self, ids: &[QueueId], now: Timestamp) -> Result<u64, SpoolError> {
        let mut changed = Vec::new();
        for id in ids {
            let number = id.as_i64();
            let released = self.run(
                "UPDATE message SET hold = NULL WHERE id = ?1 AND hold IS NOT NULL",
                [number],
            )?;
            if released == 0 {
                continue;
            }
            self.run(
                "UPDATE recipient SET state = 1, due_at = ?2 WHERE message_id = ?1 AND state = 2",
                params![number, now.as_millisecond()],
            )?;
            self.totals.held -= 1;
            changed.push(*id);
        }
        self.effects.changed(Change::Due, &changed);
        Ok(changed.len() as u64)
    }

    fn retry(&mut self, ids: &[QueueId], now: Timestamp) -> Result<u64, SpoolError> {
        let mut changed = Vec::new();
        for id in ids {
            let due = self.run(
                "UPDATE recipient SET due_at = ?2 WHERE message_id = ?1 AND state = 1 AND due_at > ?2",
                params![id.as_i64(), now.as_millisecond()],
            )?;
            if due > 0 {
                changed.push(*id);
            }
        }
        self.effects.changed(Change::Due, &changed);
        Ok(changed.len() as u64)
    }

    fn remove_all(&mut self, ids: &[QueueId], by: &str, now: Timestamp) -> Result<u64, SpoolError> {
        let mut changed = Vec::new();
        for id in ids {
            if self.remove(*id, by, now)? {
                self.effects.removed.push((*id, by.into()));
                changed.push(*id);
            }
        }
        self.effects.changed(Change::Removed, &changed);
        Ok(changed.len() as u64)
    }

    fn flush(&mut self, rows: &[(QueueId, u32)], now: Timestamp) -> Result<u64, SpoolError> {
        let mut changed = 0;
        for (id, index) in rows {
            changed += self.run(
                "UPDATE recipient SET due_at = ?3 WHERE message_id = ?1 AND idx = ?2 AND state = 1 AND due_at > ?3",
                params![id.as_i64(), index, now.as_millisecond()],
            )?;
        }
        Ok(changed as u64)
    }

    fn requeue(&mut self, ids: &[QueueId]) -> Result<u64, SpoolError> {
        let mut changed = 0;
        for id in ids {
            let left = self.run(
                "UPDATE recipient SET state = 1 WHERE message_id = ?1 AND state = 0",
                [id.as_i64()],
            )?;
            // Whatever the count says: no row of it is fresh any more.
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
        Ok(changed as u64)
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize, SpoolError> {
        Ok(self.connection.prepare_cached(sql)?.execute(values)?)
    }
}

/// Gives up to `pages` unused pages back; the file shrinks at the next checkpoint. Returns how many are left.
pub(super) fn shrink(connection: &Connection, pages: u64) -> Result<u64, SpoolError> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut steps = statement.query([])?;
    while steps.next()?.is_some() {}
    unused_pages(connection)
}

/// Pages of the database that hold nothing.
pub(super) fn unused_pages(connection: &Connection) -> Result<u64, SpoolError> {
    let pages: i64 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    Ok(u64::try_from(pages).unwrap_or(0))
}
