//! The system clock jumps: waits and ages go on as if it had not.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use common::*;
use jiff::{SignedDuration, Timestamp};
use postern_spool::{Clock, Spool, SpoolSettings, SqliteSpool};

const START: i64 = 1_795_000_000_000;
const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// Clocks that stand still until they are advanced.
#[derive(Clone, Default)]
struct Hands {
    wall: Arc<AtomicI64>,
    steady: Arc<AtomicI64>,
}

impl Hands {
    /// Lets time pass.
    fn live(&self, milliseconds: i64) {
        self.wall.fetch_add(milliseconds, Ordering::Relaxed);
        self.steady.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// Sets the system clock.
    fn jump(&self, milliseconds: i64) {
        self.wall.fetch_add(milliseconds, Ordering::Relaxed);
    }

    fn clock(&self) -> Clock {
        let (wall, steady) = (self.wall.clone(), self.steady.clone());
        Clock::new(
            move || Timestamp::from_millisecond(START + wall.load(Ordering::Relaxed)).unwrap(),
            move || Duration::from_millis(steady.load(Ordering::Relaxed) as u64),
        )
    }

    fn open(&self, folder: &Path) -> SqliteSpool {
        SqliteSpool::open(SpoolSettings {
            clock: self.clock(),
            ..SpoolSettings::new(folder)
        })
        .unwrap()
    }
}

async fn due(spool: &SqliteSpool) -> usize {
    let work = take_due(spool, "outside.example", spool.now(), 1000)
        .await
        .unwrap();
    work.len()
}

async fn put_deferred(spool: &SqliteSpool, wait: i64) -> postern_mail::QueueId {
    let mut message = new_message(spool, &[OUTSIDE], b"x");
    message.queue_only = true;
    let id = spool.put(message).await.unwrap().id;
    settle(
        spool,
        id,
        0,
        deferred(spool.now() + SignedDuration::from_millis(wait)),
    )
    .await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_changes_no_wait_and_no_age() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::default();
    let spool = hands.open(folder.path());
    let id = put_deferred(&spool, 60 * SECOND).await;
    for jump in [DAY, -3 * DAY, 40 * DAY] {
        hands.jump(jump);
        assert_eq!(due(&spool).await, 0, "not due by a jump of {jump} ms");
        let shown = spool.show(id).await.unwrap().unwrap().summary.next_due;
        let wall = hands.wall.load(Ordering::Relaxed);
        assert_eq!(
            shown.as_millisecond(),
            START + wall + 60 * SECOND,
            "shown as the clock on the wall"
        );
    }
    hands.live(59 * SECOND);
    assert_eq!(due(&spool).await, 0);
    hands.live(2 * SECOND);
    let work = take_due(&spool, "outside.example", spool.now(), 10)
        .await
        .unwrap();
    let age = spool.now().duration_since(work[0].queued_at);
    assert_eq!(
        age,
        SignedDuration::from_secs(61),
        "only lived time makes it older"
    );
    // New mail is due at once too.
    let mut message = new_message(&spool, &["new@other.example"], b"x");
    message.queue_only = true;
    spool.put(message).await.unwrap();
    let page = spool.due_domains(None, spool.now(), 10).await.unwrap();
    assert_eq!(page.domains.len(), 2);
    // A retry by hand means now, whatever the clock says.
    put_deferred(&spool, HOUR).await;
    assert_eq!(spool.flush(None, "root").await.unwrap(), 1);
    assert_eq!(due(&spool).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_start_goes_on_with_the_same_time() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows                  off for      clock set by   due after it  grown older by
        ("a short stop",                        30 * SECOND, 0,             false,        30 * SECOND),
        ("a stop that is longer than the wait", 90 * SECOND, 0,             true,         90 * SECOND),
        ("set back meanwhile",                  30 * SECOND, -DAY,          false,        0),
        ("set forward by a year",               30 * SECOND, 365 * DAY,     true,         4 * HOUR),
        ("off for a week",                      7 * DAY,     0,             true,         4 * HOUR),
    ];
    for (shows, off, set, is_due, older) in cases {
        let folder = tempfile::tempdir().unwrap();
        let hands = Hands::default();
        let spool = hands.open(folder.path());
        // The clock was also set before: only changes since the last commit count.
        hands.jump(5 * DAY);
        let id = put_deferred(&spool, 60 * SECOND).await;
        drop(spool);
        hands.live(off);
        hands.jump(set);
        let spool = hands.open(folder.path());
        assert_eq!(due(&spool).await == 1, is_due, "{shows}");
        let message = spool.load(id).await.unwrap().unwrap();
        let age = spool.now().duration_since(message.queued_at);
        assert_eq!(age, SignedDuration::from_millis(older), "{shows}");
        check_consistency(folder.path());
    }
}

/// Mail of a version that used the system clock, which was years ahead when it was deferred.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_in_years_is_brought_forward() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::default();
    let spool = hands.open(folder.path());
    put_deferred(&spool, 3_000 * DAY).await;
    put_deferred(&spool, 3_001 * DAY).await;
    put_deferred(&spool, HOUR).await;
    // The longest wait was not set yet.
    spool.due_domains(None, spool.now(), 10).await.unwrap();
    spool.expect_waits(Duration::from_secs(4 * 3600));
    hands.live(2 * HOUR);
    assert_eq!(due(&spool).await, 1);
    let near = take_due(&spool, "outside.example", spool.now(), 10)
        .await
        .unwrap();
    settle(&spool, near[0].id, 0, delivered()).await;
    // Once it is the domain's first, it is seen.
    spool.due_domains(None, spool.now(), 10).await.unwrap();
    hands.live(4 * HOUR);
    assert_eq!(due(&spool).await, 2);
    check_consistency(folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_the_last_version_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let database = rusqlite::Connection::open(folder.path().join("queue.db")).unwrap();
    let old = include_str!("../src/sqlite/schema/0001_queue.sql");
    let id = postern_mail::QueueId::new(now().as_millisecond() - 1000, 0);
    database.execute_batch(old).unwrap();
    database
        .execute_batch(&format!(
            "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL);
             INSERT INTO schema_version VALUES (1, 0);
             INSERT INTO message (id, sender, received_at, size, recipients, unfinished, body_kind, smtputf8, origin)
                 VALUES ({0}, 'a@one.example', {1}, 5, 2, 1, 0, 0, 0);
             INSERT INTO body VALUES ({0}, x'', CAST('hello' AS BLOB));
             INSERT INTO recipient (message_id, idx, state, due_at, attempts, warned, domain, address, notify)
                 VALUES ({0}, 0, 1, {1}, 0, 0, 'outside.example', 'b@outside.example', 0);
             INSERT INTO recipient (message_id, idx, state, due_at, attempts, warned, domain, address, notify, outcome, settled_at)
                 VALUES ({0}, 1, 3, {1}, 1, 0, 'outside.example', 'c@outside.example', 0, 'delivered', {1});
             UPDATE totals SET messages = 1, recipients = 1, bytes = 5;",
            id.as_i64(),
            now().as_millisecond() - 1000
        ))
        .unwrap();
    drop(database);
    let spool = open(folder.path());
    assert_eq!(due_ids(&spool, "outside.example").await, [id]);
    let message = spool.load(id).await.unwrap().unwrap();
    assert_eq!(content(&spool, &message).await.unwrap(), b"hello");
    settle(&spool, id, 0, deferred(later(-1))).await;
    let failure = spool.show(id).await.unwrap().unwrap().summary.last_failure;
    assert!(failure.is_some());
    assert!(settle(&spool, id, 0, delivered()).await.finished);
    drop(spool);
    check_consistency(folder.path());
}
