//! A queue of many messages: it opens as fast, accepts mail as fast, and takes no memory.
//!
//! Ten thousand in an ordinary run, a million with `cargo test --release -p postern-spool --test
//! scale -- --ignored --nocapture`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test program, which prints what it measured"
)]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::*;
use postern_spool::{Filter, Page, Spool};
use tempfile::TempDir;

const DOMAINS: u32 = 1000;

/// How often to measure in search of a quiet moment.
const ROUNDS: u32 = 20;

/// Fills a queue with SQL, as fast as SQLite can. The messages are of 1 KiB, in a thousand domains, all deferred.
fn fill(folder: &Path, messages: u32) {
    drop(open(folder));
    let database = rusqlite::Connection::open(folder.join("queue.db")).unwrap();
    let first = postern_mail::QueueId::new(later(-86_400).as_millisecond(), 0).as_i64();
    let now = now().as_millisecond();
    database
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;
             BEGIN;
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {messages})
             INSERT INTO message (id, sender, received_at, size, recipients, unfinished, body_kind, smtputf8, origin)
                 SELECT {first} + i * 100, 'user' || (i % 5000) || '@client.example', {now} - 86400000, 1024, 1, 1, 0, 0, 0 FROM n;
             INSERT INTO body SELECT id, zeroblob(300), zeroblob(724) FROM message;
             INSERT INTO recipient (message_id, idx, state, due_at, attempts, warned, domain, address, notify, relay, status, reply)
                 SELECT id, 0, 1, {now} + (id - {first}) / 100 % 7200 * 1000 - 3600000, 3, 0,
                     printf('d%04d.example', (id - {first}) / 100 % {DOMAINS}),
                     printf('someone@d%04d.example', (id - {first}) / 100 % {DOMAINS}),
                     0, 'mx.example[192.0.2.1]', '4.4.1', '451 4.4.1 no answer' FROM message;
             UPDATE totals SET messages = {messages}, recipients = {messages}, bytes = {messages} * 1024;
             COMMIT;"
        ))
        .unwrap();
    drop(database);
    // Data that the filling left to the kernel must not be measured.
    std::fs::File::open(folder.join("queue.db"))
        .unwrap()
        .sync_all()
        .unwrap();
}

/// Resident memory of this process in KiB.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Median time of a put, with its outcome in progress.
async fn put_time(spool: &postern_spool::SqliteSpool) -> Duration {
    let mut times = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        let id = put(spool, &["someone@d0500.example"]).await.id;
        times.push(begun.elapsed());
        drop(
            spool
                .settle(settlement(id, vec![(0, delivered())]))
                .await
                .unwrap(),
        );
    }
    times.sort_unstable();
    times[times.len() / 2]
}

async fn measure(messages: u32) {
    let empty_folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let empty = put_time(&open(empty_folder.path())).await;

    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fill(folder.path(), messages);
    let memory_before = memory_kib();
    let begun = Instant::now();
    let spool = open(folder.path());
    let opened = begun.elapsed();
    assert_eq!(spool.counts().messages, u64::from(messages));
    let full = put_time(&spool).await;

    // A whole round of the scheduler: all domains, a page at a time, and work for each.
    let begun = Instant::now();
    let (mut after, mut domains, mut work) = (None::<String>, 0, 0);
    loop {
        let page = spool.due_domains(after.as_deref(), now(), 100).await.unwrap();
        for due in &page.domains {
            domains += 1;
            work += take_due(&spool, &due.domain, now(), 20).await.unwrap().len();
        }
        match page.resume {
            Some(resume) => after = Some(resume),
            None => break,
        }
    }
    let round = begun.elapsed();
    assert_eq!(domains, DOMAINS.min(messages));

    let begun = Instant::now();
    let sender = Filter {
        sender: Some("user17@client.example".into()),
        ..Filter::default()
    };
    let found = spool.list(&sender, Page::default()).await.unwrap();
    let listed = begun.elapsed();
    assert_eq!(found.messages.len() as u32, messages.div_ceil(5000).min(1000));
    let grown = memory_kib().saturating_sub(memory_before);
    let file = std::fs::metadata(folder.path().join("queue.db")).unwrap().len() >> 20;
    println!(
        "{messages} messages ({file} MiB): open {opened:?}, put {full:?} (empty queue {empty:?}), \
         {domains} domains with {work} due messages in {round:?}, search by sender {listed:?}, memory +{} MiB",
        grown >> 10
    );
    assert!(grown < 64 << 10, "memory grew by {grown} KiB");
    drop(spool);
    compare(&empty_folder, &folder).await;
}

/// Opening and puts must not take longer with a large queue. Disk and processors are shared with others, so both are measured
/// until a quiet moment shows it: only what is slow every time is slow.
async fn compare(empty: &TempDir, full: &TempDir) {
    let mut seen = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let spool = open(empty.path());
        let opened_empty = begun.elapsed();
        let put_empty = put_time(&spool).await;
        drop(spool);
        let begun = Instant::now();
        let spool = open(full.path());
        let opened_full = begun.elapsed();
        let put_full = put_time(&spool).await;
        drop(spool);
        let as_fast = |full: Duration, empty: Duration, more| full < empty * 4 + Duration::from_millis(more);
        if as_fast(opened_full, opened_empty, 1_000) && as_fast(put_full, put_empty, 10) {
            return;
        }
        seen.push([opened_empty, opened_full, put_empty, put_full]);
    }
    panic!("open and put, each with an empty queue and a full one: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages() {
    measure(10_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute and 2 GiB of disk"]
async fn a_million_messages() {
    measure(1_000_000).await;
}
