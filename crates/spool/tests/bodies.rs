//! Bodies in memory and in files.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test program, which prints what it measured"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::*;
use postern_spool::{Assembly, Body, Parts, Spool, SpoolError};

/// All body files.
fn files(folder: &Path) -> Vec<PathBuf> {
    let shards = fs::read_dir(folder.join("bodies"))
        .unwrap()
        .map(|shard| shard.unwrap().path());
    shards
        .flat_map(|shard| fs::read_dir(shard).unwrap().map(|file| file.unwrap().path()))
        .collect()
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|place| (place % 251) as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_all_sizes_come_back_as_they_went() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let kib = 1024;
    #[rustfmt::skip]
    let cases = [
        // what the case shows               octets               written in      in a file
        ("empty",                            0,                   1,              false),
        ("one octet",                        1,                   1,              false),
        ("exactly what memory may hold",     64 * kib,            1000,           false),
        ("one octet more",                   64 * kib + 1,        1000,           true),
        ("one write over the limit",         64 * kib + 1,        usize::MAX,     true),
        ("exactly a piece",                  128 * kib,           4096,           true),
        ("a piece and one octet",            128 * kib + 1,       4096,           true),
        ("one write of several pieces",      1024 * kib + 17,     usize::MAX,     true),
        ("many small writes",                300 * kib,           77,             true),
    ];
    for (shows, octets, step, in_file) in cases {
        let mut message = new_message(&spool, &[OUTSIDE], b"");
        let body = pattern(octets);
        let mut writer = spool.body_writer(message.id);
        for piece in body.chunks(step.min(octets.max(1))) {
            writer.write(piece).await.unwrap();
        }
        assert_eq!(writer.len(), octets as u64, "{shows}");
        message.body = writer.finish().await.unwrap();
        assert_eq!(matches!(message.body, Body::File(_)), in_file, "{shows}");
        assert_eq!(message.body.len(), octets as u64, "{shows}");
        let put = spool.put(message).await.unwrap();
        let expected = [PREFIX, &body].concat();
        assert_eq!(put.size(), expected.len() as u64, "{shows}");
        assert_eq!(content(&spool, &put).await.unwrap(), expected, "{shows}");
        let loaded = spool.load(put.id).await.unwrap().unwrap();
        assert_eq!(content(&spool, &loaded).await.unwrap(), expected, "{shows}");
        assert_eq!(files(folder.path()).len(), usize::from(in_file), "{shows}");
        settle(&spool, put.id, 0, delivered()).await;
        eventually("the file is gone", async || files(folder.path()).is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_announced_does_not_make_room_beyond_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut writer = spool.body_writer(spool.next_id());
    writer.expect(u64::MAX);
    writer.write(b"small").await.unwrap();
    assert!(matches!(writer.finish().await.unwrap(), Body::Inline(bytes) if &bytes[..] == b"small"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_put_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let large = pattern(500_000);

    let mut abandoned = spool.body_writer(spool.next_id());
    abandoned.write(&large).await.unwrap();
    drop(abandoned);
    eventually("an abandoned body is gone", async || {
        files(folder.path()).is_empty()
    })
    .await;

    let mut message = new_message(&spool, &[], b"");
    let mut writer = spool.body_writer(message.id);
    writer.write(&large).await.unwrap();
    message.body = writer.finish().await.unwrap();
    assert_eq!(files(folder.path()).len(), 1);
    assert_eq!(spool.put(message).await.unwrap_err(), SpoolError::NoRecipients);
    eventually("a body that could not be put is gone", async || {
        files(folder.path()).is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_body_takes_the_place_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    for (first, second) in [
        (100, 300_000),
        (300_000, 100),
        (300_000, 300_000),
        (300_000, 0),
        (0, 100_000),
    ] {
        let shows = format!("{second} octets in place of {first}");
        let mut message = new_message(&spool, &[OUTSIDE], b"");
        let mut writer = spool.body_writer(message.id);
        writer.write(&pattern(first)).await.unwrap();
        let mut assembly = Assembly::new(
            message.id,
            message.envelope.clone(),
            message.received_at,
            message.origin,
            Parts {
                header: PREFIX[..PREFIX.len() - 2].to_vec(),
                own: 0,
                separated: true,
                body: writer.finish().await.unwrap(),
            },
        );
        // One that is given up, and one that is made from the current body.
        let mut given_up = spool.another_body(message.id);
        given_up.write(&pattern(400_000)).await.unwrap();
        drop(given_up.finish().await.unwrap());
        let mut read = assembly.read_body(&spool);
        let mut writer = spool.another_body(message.id);
        let (mut seen, mut left) = (0, pattern(second));
        while let Some(piece) = read.piece().await.unwrap() {
            seen += piece.len();
            let later = left.split_off(piece.len().min(left.len()));
            writer.write(&left).await.unwrap();
            left = later;
        }
        assert_eq!(seen, first, "{shows}");
        writer.write(&left).await.unwrap();
        let made = writer.len();
        assembly.replace_body(writer.finish().await.unwrap());
        message = assembly.into_message();
        assert_eq!(
            (made, message.body.len()),
            (second as u64, second as u64),
            "{shows}"
        );
        let in_file = usize::from(second > 64 * 1024);
        let put = spool.put(message).await.unwrap();
        eventually("the bodies that do not count are gone", async || {
            files(folder.path()).len() == in_file
        })
        .await;
        let loaded = spool.load(put.id).await.unwrap().unwrap();
        assert_eq!(
            content(&spool, &loaded).await.unwrap(),
            [PREFIX, &pattern(second)].concat(),
            "{shows}"
        );
        settle(&spool, put.id, 0, delivered()).await;
        eventually("the file is gone", async || files(folder.path()).is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_the_put_leaves_the_body_that_counts() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut message = new_message(&spool, &[OUTSIDE], b"");
    let mut writer = spool.another_body(message.id);
    writer.write(&pattern(100_000)).await.unwrap();
    message.body = writer.finish().await.unwrap();
    let put = spool.put(message).await.unwrap();
    spool.close().await.unwrap();
    drop(spool);
    let kept = files(folder.path()).remove(0);
    let first = kept.with_extension("");
    let (later, strange) = (kept.with_extension("77"), kept.with_extension("077"));
    for left_over in [&first, &later, &strange] {
        fs::write(left_over, "left over").unwrap();
    }
    let spool = open(folder.path());
    eventually("the others are gone", async || !first.exists() && !later.exists()).await;
    assert!(kept.exists() && strange.exists(), "{:?}", files(folder.path()));
    let loaded = spool.load(put.id).await.unwrap().unwrap();
    assert_eq!(
        content(&spool, &loaded).await.unwrap(),
        [PREFIX, &pattern(100_000)].concat()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_are_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut message = new_message(&spool, &[OUTSIDE], b"");
    let mut writer = spool.body_writer(message.id);
    writer.write(&pattern(100_000)).await.unwrap();
    message.body = writer.finish().await.unwrap();
    let put = spool.put(message).await.unwrap();
    let orphan = spool.next_id().to_string();
    spool.close().await.unwrap();
    drop(spool);
    let orphan = folder.path().join("bodies").join(&orphan[12..]).join(&orphan);
    let foreign = folder.path().join("bodies/0/README");
    fs::write(&orphan, "left over").unwrap();
    fs::write(&foreign, "not ours").unwrap();

    let spool = open(folder.path());
    // One that is still arriving has no row either.
    let mut arriving = spool.body_writer(spool.next_id());
    arriving.write(&pattern(500_000)).await.unwrap();
    eventually("the orphan is gone", async || !orphan.exists()).await;
    assert!(matches!(arriving.finish().await.unwrap(), Body::File(file) if !file.is_empty()));
    assert!(foreign.exists());
    let loaded = spool.load(put.id).await.unwrap().unwrap();
    assert_eq!(
        content(&spool, &loaded).await.unwrap(),
        [PREFIX, &pattern(100_000)].concat()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_told_apart_from_a_failing_disk() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut message = new_message(&spool, &[OUTSIDE], b"");
    let mut writer = spool.body_writer(message.id);
    writer.write(&pattern(300_000)).await.unwrap();
    message.body = writer.finish().await.unwrap();
    let put = spool.put(message).await.unwrap();
    let file = files(folder.path()).remove(0);
    fs::OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(200_000)
        .unwrap();
    let short = content(&spool, &put).await.unwrap_err();
    assert_eq!(
        short,
        SpoolError::Damaged {
            id: put.id,
            reason: "its body file is too short".into()
        }
    );
    fs::remove_file(file).unwrap();
    let gone = content(&spool, &put).await.unwrap_err();
    assert_eq!(
        gone,
        SpoolError::Damaged {
            id: put.id,
            reason: "its body file is gone".into()
        }
    );
}

/// The most memory this process ever had, in KiB.
fn memory_peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// As many messages at once, each written and read back in pieces; memory is bounded by their number, not by their size.
async fn at_once(messages: usize, octets: usize) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let spool = std::sync::Arc::new(open(folder.path()));
    let before = memory_peak_kib();
    let arriving: Vec<_> = (0..messages)
        .map(|_| {
            let spool = spool.clone();
            tokio::spawn(async move {
                let mut message = new_message(&spool, &[OUTSIDE], b"");
                let mut writer = spool.body_writer(message.id);
                let packet = [b'x'; 16_384];
                for _ in 0..octets / packet.len() {
                    writer.write(&packet).await.unwrap();
                    tokio::task::yield_now().await;
                }
                message.body = writer.finish().await.unwrap();
                let message = spool.put(message).await.unwrap();
                let (mut reader, mut read) = (spool.open_body(&message), 0);
                while let Some(piece) = reader.piece().await.unwrap() {
                    read += piece.len();
                }
                assert_eq!(read as u64, message.size());
            })
        })
        .collect();
    for one in arriving {
        one.await.unwrap();
    }
    let grown = (memory_peak_kib() - before) >> 10;
    println!(
        "{messages} messages of {} MiB at once: memory +{grown} MiB",
        octets >> 20
    );
    assert!(grown < 80, "memory grew by {grown} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_bodies_at_once_take_little_memory() {
    at_once(100, 1 << 20).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes 2.5 GiB"]
async fn a_hundred_bodies_of_25_mib_at_once_take_little_memory() {
    at_once(100, 25 << 20).await;
}
