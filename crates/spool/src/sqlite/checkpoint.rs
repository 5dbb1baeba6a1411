//! Moving the log's pages into the database, without stalling puts.
//!
//! The keeper moves most of them from a connection of its own while the writer goes on. What the writer added meanwhile is
//! little, and once only that is left the writer moves it itself between two transactions; then the log starts anew at
//! its beginning, in place, where a sync has no new blocks to record. A log that grows in spite of that, because a reader
//! takes long or the disk is slow, is bounded by making the writer do all of it.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use rusqlite::Connection;

use super::shared::Shared;
use crate::error::SpoolError;

const PAGE: u64 = 4096;

/// A log this many times its bound makes the writer stop for it. The room kept aside has to be larger than that.
const STOP_AT: u64 = 2;

thread_local! {
    /// Pages in the log after this thread's last commit. SQLite's hook takes no context, and a connection stays in its thread.
    static PAGES: Cell<u64> = const { Cell::new(0) };
}

/// Counts the log's pages as this connection commits.
pub(super) fn watch(connection: &Connection) {
    PAGES.set(0);
    connection.wal_hook(Some(|_, pages| {
        PAGES.set(u64::try_from(pages).unwrap_or(0));
        Ok(())
    }));
}

/// The writer's part, after each of its commits.
pub(super) fn after_commit(shared: &Shared, connection: &Connection) -> Result<(), SpoolError> {
    let (pages, bound) = (PAGES.get(), shared.settings.log_bytes / PAGE);
    let log = &shared.log;
    if pages < bound {
        // It has started anew by this commit, since the keeper had moved all of it.
        if log.is_full() || log.large.load(Ordering::Relaxed) {
            log.clear(&shared.settings.observers);
        }
        return Ok(());
    }
    log.note(
        pages * PAGE,
        shared.settings.log_max.max(shared.settings.log_bytes * 4),
        &shared.settings.observers,
    );
    let rest = log.rest.swap(false, Ordering::AcqRel);
    let left = pages.saturating_sub(log.moved.load(Ordering::Acquire));
    if ((rest && left <= bound / 4) || pages >= bound * STOP_AT) && by_writer(shared, connection)? {
        return Ok(());
    }
    if !log.asked.swap(true, Ordering::AcqRel) {
        shared.keeper.checkpoint();
    }
    Ok(())
}

/// Moves what is left from the writer's own connection; says whether that was all.
pub(super) fn by_writer(shared: &Shared, connection: &Connection) -> Result<bool, SpoolError> {
    match passive(connection)? {
        Some(log) if log.is_moved() => {}
        _ => return Ok(false),
    }
    // The next commit starts at the log's beginning.
    PAGES.set(0);
    shared.log.clear(&shared.settings.observers);
    Ok(true)
}

/// The keeper's part.
pub(super) fn in_background(shared: &Shared, connection: &Connection) -> Result<(), SpoolError> {
    let result = passive(connection);
    let log = &shared.log;
    if let Ok(Some(found)) = &result {
        log.moved.store(found.moved, Ordering::Release);
        log.rest.store(true, Ordering::Release);
    }
    log.asked.store(false, Ordering::Release);
    result.map(|_| ())
}

/// What a look at the log has found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Log {
    /// Pages in it.
    pages: u64,
    /// Of those, pages that lie in the database.
    moved: u64,
}

impl Log {
    const fn is_moved(self) -> bool {
        self.pages == self.moved
    }
}

/// Moves what can be moved. `None` when another connection is at it: then nothing is known of the log.
fn passive(connection: &Connection) -> Result<Option<Log>, SpoolError> {
    let result = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        let count = |column| {
            row.get::<_, i64>(column)
                .map(|count| u64::try_from(count).unwrap_or(0))
        };
        if row.get::<_, i64>(0)? != 0 {
            return Ok(None);
        }
        Ok(Some(Log {
            pages: count(1)?,
            moved: count(2)?,
        }))
    });
    Ok(result?)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::*;

    /// Whether another's checkpoint waits for a reader, and whether it is to give up.
    static WAITS: AtomicBool = AtomicBool::new(false);
    static ENOUGH: AtomicBool = AtomicBool::new(false);

    #[test]
    fn nothing_is_known_of_a_log_that_another_is_moving() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("queue.db");
        let open = || Connection::open(&file).unwrap();
        let writer = open();
        writer
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1);")
            .unwrap();
        let reader = open();
        reader.execute_batch("BEGIN; SELECT * FROM t;").unwrap();
        writer.execute_batch("INSERT INTO t VALUES (2);").unwrap();
        // One that wants the whole log moved waits for the reader, and nobody else may move anything meanwhile.
        let other = open();
        let waits = |_| {
            WAITS.store(true, Ordering::Release);
            std::thread::sleep(Duration::from_millis(1));
            !ENOUGH.load(Ordering::Acquire)
        };
        other.busy_handler(Some(waits)).unwrap();
        let other = std::thread::spawn(move || {
            other
                .query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(()))
                .unwrap();
        });
        while !WAITS.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(passive(&writer).unwrap(), None);
        ENOUGH.store(true, Ordering::Release);
        other.join().unwrap();
        let held_up = passive(&writer).unwrap().unwrap();
        assert!(
            !held_up.is_moved(),
            "the reader needs what the database has: {held_up:?}"
        );
        reader.execute_batch("COMMIT").unwrap();
        assert!(passive(&writer).unwrap().unwrap().is_moved());
    }
}
