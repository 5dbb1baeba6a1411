//! Files that are not as they were left: what can be read stays in use, what cannot is never lost silently, and damaged mail is
//! never delivered.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::*;
use postern_mail::QueueId;
use postern_spool::{
    Aside, Body, Filter, Page, Selection, Spool, SpoolError, SpoolSettings, SqliteSpool, Summary,
};
use tempfile::TempDir;

/// What was accepted, by id: recipients and content.
#[derive(Clone, Debug)]
struct Accepted {
    recipients: Vec<String>,
    content: Vec<u8>,
}

type All = BTreeMap<i64, Accepted>;

fn open_small(folder: &Path) -> SqliteSpool {
    SqliteSpool::open(SpoolSettings {
        reserve_bytes: 0,
        ..SpoolSettings::new(folder)
    })
    .unwrap()
}

async fn put_one(spool: &SqliteSpool, number: usize, octets: usize) -> (QueueId, Accepted) {
    let recipients = [format!("a{number}@one.example"), format!("b{number}@two.example")];
    let texts: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let body: Vec<u8> = (0..octets).map(|place| (place * 7 + number) as u8).collect();
    let mut message = new_message(spool, &texts, b"");
    // Some bodies have replaced others, and have other names.
    let mut writer = if number.is_multiple_of(2) {
        spool.body_writer(message.id)
    } else {
        spool.another_body(message.id)
    };
    writer.write(&body).await.unwrap();
    message.body = writer.finish().await.unwrap();
    message.queue_only = true;
    let id = spool.put(message).await.unwrap().id;
    let content = [PREFIX, &body].concat();
    (
        id,
        Accepted {
            recipients: recipients.into(),
            content,
        },
    )
}

/// Messages of all sizes, one of them half delivered, and one delivered.
async fn fill(spool: &SqliteSpool, from: usize) -> All {
    let mut all = All::new();
    for (place, octets) in [0, 10, 900, 5_000, 20_000, 60_000, 70_000, 200_000]
        .into_iter()
        .enumerate()
    {
        let (id, accepted) = put_one(spool, from + place, octets).await;
        all.insert(id.as_i64(), accepted);
    }
    let (half, mut accepted) = put_one(spool, from + 90, 300).await;
    settle(spool, half, 0, delivered()).await;
    accepted.recipients.remove(0);
    all.insert(half.as_i64(), accepted);
    let (done, _) = put_one(spool, from + 91, 300).await;
    settle(spool, done, 0, delivered()).await;
    settle(spool, done, 1, bounced()).await;
    all
}

/// The files as a crash leaves them.
fn crashed(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_all(folder, copy.path());
    let _ = fs::remove_file(copy.path().join("queue.db-shm"));
    copy
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

async fn listed(spool: &SqliteSpool) -> Vec<Summary> {
    spool
        .list(&Filter::default(), Page::default())
        .await
        .unwrap()
        .messages
}

/// What delivery would send, and to whom. A database that turns out to be damaged meanwhile is replaced, and delivery looks
/// again.
async fn sent(spool: &SqliteSpool) -> BTreeMap<i64, (Vec<String>, Vec<u8>)> {
    let give_up = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        match try_sent(spool).await {
            Ok(sent) => return sent,
            Err(error) => assert!(std::time::Instant::now() < give_up, "it cannot be read: {error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        settled(spool).await;
    }
}

async fn try_sent(spool: &SqliteSpool) -> Result<BTreeMap<i64, (Vec<String>, Vec<u8>)>, SpoolError> {
    let mut sent: BTreeMap<i64, (Vec<String>, Vec<u8>)> = BTreeMap::new();
    let late = spool.now() + jiff::SignedDuration::from_hours(1_000_000);
    for domain in spool.due_domains(None, late, 1000).await?.domains {
        for work in take_due(spool, &domain.domain, late, 1000).await? {
            let Ok(Some(message)) = spool.load(work.id).await else {
                continue;
            };
            let Ok(octets) = content(spool, &message).await else {
                continue;
            };
            let entry = sent.entry(work.id.as_i64()).or_default();
            let to = |index: u32| message.envelope.recipients[index as usize].address.to_string();
            entry.0.extend(work.recipients.iter().map(|one| to(one.index)));
            entry.1 = octets;
        }
    }
    for (recipients, _) in sent.values_mut() {
        recipients.sort();
    }
    Ok(sent)
}

/// Reads everything once, as a start, delivery and an administrator do.
async fn settled(spool: &SqliteSpool) {
    for _ in 0..3 {
        let _ = spool.inspect().await;
        eventually("open", async || spool.state() == postern_spool::SpoolState::Ready).await;
    }
}

/// Checks that everything is there, as accepted, and due.
async fn assert_whole(spool: &SqliteSpool, all: &All, shows: &str) {
    settled(spool).await;
    let sent = sent(spool).await;
    for (id, accepted) in all {
        let id_text = QueueId::from_i64(*id);
        let (recipients, octets) = sent
            .get(id)
            .unwrap_or_else(|| panic!("{shows}: {id_text} is lost"));
        assert_eq!(*recipients, accepted.recipients, "{shows}");
        assert!(*octets == accepted.content, "{shows}: {id_text} changed");
    }
    assert_eq!(sent.len(), all.len(), "{shows}: nothing else is sent");
    assert_eq!(spool.counts().messages, all.len() as u64, "{shows}");
}

/// Checks that whatever is sent is what was accepted, and that what is missing is reported.
async fn assert_honest(spool: &SqliteSpool, folder: &Path, all: &All, shows: &str) {
    settled(spool).await;
    for (id, (recipients, octets)) in sent(spool).await {
        let accepted = &all
            .get(&id)
            .unwrap_or_else(|| panic!("{shows}: {id} was never accepted, or was done"));
        assert!(octets == accepted.content, "{shows}: {id} changed");
        for recipient in recipients {
            assert!(accepted.recipients.contains(&recipient), "{shows}: {recipient}");
        }
    }
    settled(spool).await;
    let ids: Vec<i64> = listed(spool).await.iter().map(|line| line.id.as_i64()).collect();
    let lost = all.keys().filter(|id| !ids.contains(id)).count();
    let told = !Aside::of(folder).is_empty() || spool.counts().damaged > 0;
    assert!(
        lost == 0 || told,
        "{shows}: {lost} messages are gone without a word"
    );
}

fn flip(path: &Path, bit: usize) {
    let mut octets = fs::read(path).unwrap();
    octets[bit / 8] ^= 1 << (bit % 8);
    fs::write(path, octets).unwrap();
}

fn len(path: &Path) -> usize {
    fs::metadata(path).map_or(0, |data| data.len() as usize)
}

/// A queue whose content is in the log, with the bodies' files.
async fn in_the_log() -> (TempDir, All) {
    let folder = tempfile::tempdir().unwrap();
    let spool = open_small(folder.path());
    let all = fill(&spool, 0).await;
    (crashed(folder.path()), all)
}

/// A queue whose content is in the database, and some more in the log.
async fn in_both() -> (TempDir, All) {
    let folder = tempfile::tempdir().unwrap();
    let spool = open_small(folder.path());
    let mut all = fill(&spool, 0).await;
    spool.close().await.unwrap();
    drop(spool);
    let spool = open_small(folder.path());
    all.extend(fill(&spool, 1_000).await);
    (crashed(folder.path()), all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_the_log_costs_nothing() {
    let (base, all) = in_both().await;
    let log = len(&base.path().join("queue.db-wal"));
    let frames = (log - 32) / 4120;
    let mut random = 12_345_u64;
    for round in 0..60 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let place = match round {
            // The log's header, and the headers of the first frames and the last.
            0..8 => round * 4,
            8..14 => 32 + (round - 8) * 4,
            14..20 => 32 + (frames - 1) * 4120 + (round - 14) * 4,
            _ => (random >> 33) as usize % log,
        };
        let bit = place * 8 + (random >> 20) as usize % 8;
        let folder = crashed(base.path());
        flip(&folder.path().join("queue.db-wal"), bit);
        let spool = open_small(folder.path());
        assert_whole(&spool, &all, &format!("bit {bit} of the log")).await;
        let aside = Aside::of(folder.path());
        assert_eq!(aside.finds.len(), 1, "bit {bit}: the log is kept as it was");
        drop(spool);
        check_consistency(folder.path());
    }
}

/// Octets that changed in many places cannot be corrected: messages after them are imported held.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_behind_a_hole_in_the_log_is_recovered() {
    let (base, all) = in_the_log().await;
    let log = base.path().join("queue.db-wal");
    let frames = (len(&log) - 32) / 4120;
    for hole in [0, 1, frames / 4, frames / 2, frames - 5] {
        let folder = crashed(base.path());
        let log = folder.path().join("queue.db-wal");
        let mut octets = fs::read(&log).unwrap();
        let at = 32 + hole * 4120 + 24;
        octets[at..at + 4000].fill(0x5a);
        fs::write(&log, octets).unwrap();
        let spool = open_small(folder.path());
        let shows = format!("frame {hole} of {frames}");
        assert_honest(&spool, folder.path(), &all, &shows).await;
        assert!(!Aside::of(folder.path()).is_empty(), "{shows}");
        // What was imported once is not imported again.
        let before = spool.counts().messages;
        spool.recover(true, "root").await.unwrap();
        assert!(spool.recover(false, "root").await.unwrap().is_empty(), "{shows}");
        let held: Vec<QueueId> = listed(&spool).await.iter().map(|line| line.id).collect();
        assert!(spool.counts().messages >= before, "{shows}");
        spool.remove(Selection::Ids(held), "root").await.unwrap();
        assert!(
            spool.recover(true, "root").await.unwrap().is_empty(),
            "{shows}: removed is removed"
        );
        drop(spool);
        let spool = open_small(folder.path());
        assert_eq!(spool.counts().messages, 0, "{shows}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_its_database_is_no_empty_queue() {
    let (folder, all) = in_the_log().await;
    fs::remove_file(folder.path().join("queue.db")).unwrap();
    let spool = open_small(folder.path());
    settled(&spool).await;
    let found = listed(&spool).await;
    assert_eq!(found.len(), all.len(), "all of it was in the log");
    assert!(
        found.iter().all(|line| line.hold.is_some()),
        "held: who knows how old it is"
    );
    assert!(sent(&spool).await.is_empty());
    let ids = found.iter().map(|line| line.id).collect();
    spool.release(Selection::Ids(ids), "root").await.unwrap();
    assert_whole(&spool, &all, "released").await;
    drop(spool);
    check_consistency(folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_without_a_database_are_put_aside() {
    let (folder, _) = in_both().await;
    for name in ["queue.db", "queue.db-wal"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    let spool = open_small(folder.path());
    eventually("they are put aside", async || {
        Aside::of(folder.path()).bodies == 4
    })
    .await;
    // Current mail is not among them.
    let (id, accepted) = put_one(&spool, 5, 200_000).await;
    let message = spool.load(id).await.unwrap().unwrap();
    assert_eq!(content(&spool, &message).await.unwrap(), accepted.content);
}

/// The whole database at once, damaged in the ways that disks and people do.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_put_aside_and_its_mail_goes_on() {
    let (base, all) = in_both().await;
    type Damage = fn(&mut Vec<u8>);
    #[rustfmt::skip]
    let cases: &[(&str, bool, Damage)] = &[
        ("its first page is gone",       false, |octets| octets[..4096].fill(0)),
        ("its header is gone",           false, |octets| octets[..100].fill(0xff)),
        ("it is a text",                 false, |octets| *octets = b"hello\n".repeat(1_000)),
        ("it is cut in the middle",      false, |octets| octets.truncate(octets.len() / 2 / 4096 * 4096)),
        ("one tree's page is gone",      false, |octets| octets[3 * 4096..4 * 4096].fill(0)),
        ("the magic has another letter", true,  |octets| octets[0] = b'T'),
    ];
    for (shows, whole, damage) in cases {
        let folder = crashed(base.path());
        // The log has the newest of many pages: without it the damage shows.
        let spool = open_small(folder.path());
        spool.close().await.unwrap();
        drop(spool);
        let path = folder.path().join("queue.db");
        let mut octets = fs::read(&path).unwrap();
        damage(&mut octets);
        fs::write(&path, octets).unwrap();
        let spool = open_small(folder.path());
        if *whole {
            assert_whole(&spool, &all, shows).await;
        } else {
            assert_honest(&spool, folder.path(), &all, shows).await;
        }
        assert!(!Aside::of(folder.path()).is_empty(), "{shows}");
        // The queue works.
        let (id, accepted) = put_one(&spool, 77, 1_000).await;
        let message = spool.load(id).await.unwrap().unwrap();
        assert_eq!(
            content(&spool, &message).await.unwrap(),
            accepted.content,
            "{shows}"
        );
        let released = spool.recover(true, "root").await.unwrap();
        assert!(
            spool.recover(true, "root").await.unwrap().is_empty(),
            "{shows}: {released:?}"
        );
    }
}

/// Any bit of any file.
#[tokio::test(flavor = "multi_thread")]
async fn no_flipped_bit_makes_mail_wrong_or_vanish_without_a_word() {
    let (base, all) = in_both().await;
    // Half of the rounds without a log, so that the database counts.
    let closed = crashed(base.path());
    open_small(closed.path()).close().await.unwrap();
    let mut random = std::env::var("POSTERN_FLIP_SEED").map_or(7, |text| text.parse().unwrap());
    let rounds = std::env::var("POSTERN_FLIP_ROUNDS").map_or(80, |text| text.parse().unwrap());
    for round in 0..rounds {
        let mut below = |bound: usize| {
            random =
                u64::wrapping_mul(random, 6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % bound
        };
        let from = if round % 2 == 0 {
            closed.path()
        } else {
            base.path()
        };
        let folder = crashed(from);
        let mut files: Vec<PathBuf> = ["queue.db", "queue.db", "queue.db-wal"]
            .map(|name| folder.path().join(name))
            .into_iter()
            .filter(|path| len(path) > 0)
            .collect();
        if round % 8 == 0 {
            let spool = open_small(folder.path());
            for id in all.keys() {
                let message = spool.load(QueueId::from_i64(*id)).await.unwrap().unwrap();
                if let Body::File(file) = &message.body {
                    files.push(folder.path().join("bodies").join(file.name()));
                }
            }
            drop(spool);
        }
        let path = &files[below(files.len())];
        // Bytes, and single bits.
        let bit = below(len(path) * 8);
        for flipped in 0..[1, 1, 8][round % 3] {
            flip(path, bit / 8 * 8 + (bit + flipped) % 8);
        }
        let shows = format!("round {round}, bit {bit} of {}", path.display());
        let spool = open_small(folder.path());
        assert_honest(&spool, folder.path(), &all, &shows).await;
        drop(spool);
    }
}
