//! A disk that fails: full, broken, read-only, over its quota; and healthy again.
//!
//! A full disk is a real one, a small tmpfs in a mount namespace of the test. The other failures come from a library that is
//! preloaded into a child process and makes system calls fail (`shim/failing_disk.c`), so that SQLite and the body files meet
//! them where they would on a broken disk.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::*;
use postern_spool::{OutcomeKind, Spool, SpoolError, SpoolSettings, SpoolState, SqliteSpool};

/// Set in the children; names the folder they work in.
const FOLDER: &str = "POSTERN_TEST_FOLDER";

fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command
}

fn run(mut command: Command, needs: &str) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{needs}: {error}"));
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{needs}\n{out}\n{err}");
    assert!(out.contains("1 passed"), "the child ran nothing: {out}\n{err}");
}

/// A tmpfs of 6 MiB, mounted where no other process sees it; without root in a user namespace.
#[test]
fn a_full_disk_refuses_mail_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    if nix::unistd::geteuid().is_root() {
        command.arg("--mount");
    } else {
        command.args(["--user", "--map-root-user", "--mount"]);
    }
    let script = r#"mount -t tmpfs -o size=6m none "$POSTERN_TEST_FOLDER" && exec "$@""#;
    command
        .args(["sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap());
    command
        .args(["full_disk_child", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder.path());
    run(
        command,
        "needs unshare and mount (Debian: util-linux, mount), and root or unprivileged user namespaces",
    );
}

#[test]
#[ignore = "run by a_full_disk_refuses_mail_and_loses_none, in a mount namespace"]
fn full_disk_child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    runtime().block_on(fill_and_drain(Path::new(&folder)));
}

async fn fill_and_drain(folder: &Path) {
    let settings = SpoolSettings {
        log_bytes: 256 * 1024,
        reserve_bytes: 1 << 20,
        ..SpoolSettings::new(folder)
    };
    let spool = SqliteSpool::open(settings).unwrap();
    let body = vec![b'x'; 30_000];
    let mut kept = Vec::new();
    let full = loop {
        match spool.put(new_message(&spool, &[OUTSIDE], &body)).await {
            Ok(message) => kept.push(message.id),
            Err(error) => break error,
        }
        assert!(kept.len() < 500, "a disk of 6 MiB holds that much?");
    };
    assert!(matches!(full, SpoolError::Full(_)), "{full}");
    assert!(matches!(spool.state(), SpoolState::Full(_) | SpoolState::Ready));

    // A body that outgrows memory gets the same error when it is written.
    let mut writer = spool.body_writer(spool.next_id());
    let mut refused = Ok(());
    for _ in 0..100 {
        refused = refused.and(writer.write(&[b'y'; 100_000]).await);
    }
    assert!(matches!(refused, Err(SpoolError::Full(_))), "{refused:?}");
    drop(writer);

    // A full disk does not keep the queue from draining: outcomes get the reserved space.
    assert!(spool.free_bytes().is_some_and(|bytes| bytes < 6 << 20));
    let first = kept.remove(0);
    let settled = tokio::time::timeout(Duration::from_secs(60), settle(&spool, first, 0, delivered())).await;
    assert!(settled.expect("recorded on a full disk").finished);
    assert_eq!(
        spool.history(first).await.unwrap()[0].kind,
        OutcomeKind::Delivered
    );
    let refused = spool.put(new_message(&spool, &[OUTSIDE], &body)).await;
    assert!(matches!(refused, Err(SpoolError::Full(_)) | Ok(_)));
    kept.extend(refused.map(|message| message.id));

    for id in kept.drain(..) {
        let message = spool
            .load(id)
            .await
            .unwrap()
            .expect("nothing acknowledged is lost");
        assert_eq!(
            content(&spool, &message).await.unwrap().len(),
            PREFIX.len() + body.len()
        );
        let settled = tokio::time::timeout(Duration::from_secs(60), settle(&spool, id, 0, delivered())).await;
        assert!(settled.expect("recorded on a full disk").finished);
    }
    eventually("mail is taken again", async || {
        spool.put(new_message(&spool, &[OUTSIDE], &body)).await.is_ok()
    })
    .await;
    assert_eq!(spool.state(), SpoolState::Ready);
    spool.close().await.unwrap();
    drop(spool);
    check_consistency(folder);
}

/// Compiles the library once per run.
fn shim(folder: &Path) -> PathBuf {
    let library = folder.join("failing_disk.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shim/failing_disk.c");
    let mut command = Command::new("cc");
    command
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl");
    let output = command.output().expect("a C compiler (Debian: gcc)");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    library
}

#[test]
fn a_failing_disk_stops_acknowledging_and_comes_back_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let library = shim(folder.path());
    let queue = folder.path().join("queue");
    let orders = folder.path().join("orders");
    fs::write(&orders, "").unwrap();
    let mut command = child("failing_disk_child");
    command.env(FOLDER, &queue);
    command
        .env("LD_PRELOAD", library)
        .env("FAILING_DISK", orders)
        .env("FAILING_DISK_BELOW", &queue);
    run(command, "the child process failed");
}

#[test]
#[ignore = "run by a_failing_disk_stops_acknowledging_and_comes_back_by_itself, with a library preloaded"]
fn failing_disk_child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    runtime().block_on(fail_and_return(Path::new(&folder)));
}

async fn fail_and_return(folder: &Path) {
    let orders = PathBuf::from(std::env::var_os("FAILING_DISK").unwrap());
    let order = |text: &str| fs::write(&orders, text).unwrap();
    let settings = SpoolSettings {
        reopen_wait: Duration::from_millis(50),
        ..SpoolSettings::new(folder)
    };
    let spool = SqliteSpool::open(settings).unwrap();
    let mut acknowledged = Vec::new();
    #[rustfmt::skip]
    let cases = [
        // what the case shows            the order        full
        ("a sync that fails",             "sync EIO",      false),
        ("a write that fails",            "write EIO",     false),
        ("a disk gone read-only",         "write EROFS",   false),
        ("no space left",                 "write ENOSPC",  true),
        ("the quota is used up",          "write EDQUOT",  true),
    ];
    for (shows, failure, full) in cases {
        let open_before = put(&spool, &[OUTSIDE]).await.id;
        acknowledged.push(put(&spool, &[OUTSIDE]).await.id);
        order(failure);
        let refused = spool
            .put(new_message(&spool, &[OUTSIDE], b"x"))
            .await
            .unwrap_err();
        assert_eq!(matches!(refused, SpoolError::Full(_)), full, "{shows}: {refused}");
        assert!(refused.is_temporary(), "{shows}");

        // An outcome waits for the disk; puts do not.
        let mut waiting = Box::pin(settle(&spool, open_before, 0, delivered()));
        assert!(
            tokio::time::timeout(Duration::from_millis(300), &mut waiting)
                .await
                .is_err(),
            "{shows}"
        );
        let again = spool
            .put(new_message(&spool, &[OUTSIDE], b"x"))
            .await
            .unwrap_err();
        assert!(
            futures_util::poll!(&mut waiting).is_pending(),
            "{shows}: the outcome waits still"
        );
        assert_eq!(matches!(again, SpoolError::Full(_)), full, "{shows}: {again}");
        assert_ne!(spool.state(), SpoolState::Ready, "{shows}");

        order("");
        assert!(waiting.await.finished, "{shows}");
        eventually("mail is taken again", async || {
            match spool.put(new_message(&spool, &[OUTSIDE], b"x")).await {
                Ok(message) => {
                    acknowledged.push(message.id);
                    true
                }
                Err(_) => false,
            }
        })
        .await;
        assert_eq!(spool.state(), SpoolState::Ready, "{shows}");
        for id in &acknowledged {
            assert!(
                spool.load(*id).await.unwrap().is_some(),
                "{shows}: an acknowledged message is lost"
            );
        }
        // What was refused is not there: its client sends it again.
        assert_eq!(spool.counts().messages, acknowledged.len() as u64, "{shows}");
    }
    // A lock that cannot be taken or released, once: SQLite's state of it is discarded.
    for failure in ["lock EIO once", "unlock EIO once"] {
        order(failure);
        // Whether it affects the put or what comes after is not determined.
        let refused = spool.put(new_message(&spool, &[OUTSIDE], b"x")).await;
        acknowledged.extend(refused.map(|message| message.id));
        let id = loop {
            match spool.put(new_message(&spool, &[OUTSIDE], b"x")).await {
                Ok(message) => break message.id,
                Err(error) => assert!(error.is_temporary(), "{failure}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(settle(&spool, id, 0, delivered()).await.finished, "{failure}");
        order("");
    }
    // A disk that cannot be read: each failure counts, and no message counts as damaged.
    let before = spool.counts().unreadable;
    order("read EIO");
    let first = acknowledged[0];
    let refused = spool.load(first).await;
    order("");
    if let Err(error) = refused {
        assert!(error.is_temporary(), "{error}");
        assert!(spool.counts().unreadable > before);
    }
    eventually("it can be read again", async || spool.load(first).await.is_ok()).await;
    assert_eq!(spool.counts().damaged, 0);
    eventually("mail is taken again", async || {
        let put = spool.put(new_message(&spool, &[OUTSIDE], b"x")).await;
        put.map(|message| acknowledged.push(message.id)).is_ok()
    })
    .await;
    assert!(postern_spool::Aside::of(folder).is_empty(), "nothing was damaged");
    spool.close().await.unwrap();
    drop(spool);
    check_consistency(folder);
    let spool = open(folder);
    assert_eq!(due_ids(&spool, "outside.example").await, acknowledged);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}
