//! Moves the log's pages into the database, without stalling puts.
//!
//! The keeper moves most of them on a connection of its own while the writer goes on. The writer adds little meanwhile, and once
//! only that is left it moves the rest itself between two transactions; then the log starts again at its beginning, in place,
//! where a sync has no new blocks to record. If the log still grows, because a reader takes long or the disk is slow, it is
//! limited by making the writer move everything.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use rusqlite::Connection;

use super::shared::Shared;
use crate::error::SpoolError;

const PAGE: u64 = 4096;

/// If the log is this many times its limit, the writer stops to move it. The reserved space must be larger than that.
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
        // It has started again with this commit, since the keeper had moved everything.
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

/// Moves what is left on the writer's own connection; returns whether that was everything.
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

/// The state of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Log {
    /// Pages in it.
    pages: u64,
    /// Of those, pages that are already in the database.
    moved: u64,
}

impl Log {
    const fn is_moved(self) -> bool {
        self.pages == self.moved
    }
}

/// Moves what can be moved. `None` if another connection is doing so: then nothing is known about the log.
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

    /// Whether another connection's checkpoint waits for a reader, and whether it should give up.
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
        // A checkpoint of the whole log waits for the reader, and nothing else can be moved meanwhile.
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
