//! Limits: the log while a program reads, the history, and files with odd permissions.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use common::*;
use postern_spool::{Spool, SpoolError, SpoolSettings, SpoolState, SqliteSpool};

/// An outside program that keeps reading prevents the log from starting again.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_start_anew_refuses_mail_in_time() {
    held_by_a_reader(|_| {}).await;
}

/// The same, but it is not the writer that finally empties the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_another_has_emptied_takes_mail_again() {
    held_by_a_reader(|outside| {
        let emptied = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        let _ = outside
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], emptied)
            .unwrap();
    })
    .await;
}

async fn held_by_a_reader(then: impl FnOnce(&rusqlite::Connection)) {
    let folder = tempfile::tempdir().unwrap();
    let settings = SpoolSettings {
        log_bytes: 256 * 1024,
        log_max: 4 << 20,
        reserve_bytes: 0,
        ..SpoolSettings::new(folder.path())
    };
    let spool = SqliteSpool::open(settings).unwrap();
    let first = put(&spool, &[OUTSIDE]).await;
    let outside = rusqlite::Connection::open(folder.path().join("queue.db")).unwrap();
    outside
        .execute_batch("BEGIN; SELECT count(*) FROM message;")
        .unwrap();
    let body = vec![b'x'; 60_000];
    let mut taken = 0;
    let refused = loop {
        match spool.put(new_message(&spool, &[OUTSIDE], &body)).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 200, "12 MB are more than 4 MiB");
    };
    assert!(
        matches!(&refused, SpoolError::Full(reason) if reason.contains("queue.db-wal")),
        "{refused}"
    );
    assert!(matches!(spool.state(), SpoolState::Full(_)));
    let size = fs::metadata(folder.path().join("queue.db-wal")).unwrap().len();
    assert!(size < 6 << 20, "{size} octets");
    // Queued mail goes on.
    assert!(settle(&spool, first.id, 0, delivered()).await.finished);

    outside.execute_batch("COMMIT").unwrap();
    then(&outside);
    drop(outside);
    eventually("mail is taken again", async || {
        spool.put(new_message(&spool, &[OUTSIDE], &body)).await.is_ok()
    })
    .await;
    assert_eq!(spool.state(), SpoolState::Ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_read_only_once_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let id = put(&spool, &[OUTSIDE]).await.id;
    // As a crash leaves it: with the log and its index.
    let copy = tempfile::tempdir().unwrap();
    for name in ["queue.db", "queue.db-wal", "queue.db-shm"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
        fs::set_permissions(copy.path().join(name), Permissions::from_mode(0o400)).unwrap();
    }
    drop(spool);
    let spool = open(copy.path());
    assert!(spool.load(id).await.unwrap().is_some());
    put(&spool, &[OUTSIDE]).await;
    for name in ["queue.db", "queue.db-wal", "queue.db-shm"] {
        let mode = fs::metadata(copy.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
