//! A disk that is full, then is not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;

use crate::harness::Site;

/// A separate small file system, unmounted when dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(at: &Path, size: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"])
            .arg(at)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "mount needs root: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        Self(at.to_owned())
    }
}

impl SmallDisk {
    fn grow(&self, size: &str) {
        let done = Command::new("mount")
            .args(["-o", &format!("remount,size={size}")])
            .arg(&self.0)
            .status()
            .unwrap();
        assert!(done.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_refuses_loses_nothing_and_comes_back() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "[admission]\nmin_free = \"0 B\"\n");
    // The queue is on 96 MiB, half of which is reserved; the existing user file is copied.
    let users = fs::read(site.path("state/users.db")).unwrap();
    let _disk = SmallDisk::mount(&site.path("state"), "96m");
    crate::harness::private(&site.path("state/users.db"), "");
    fs::write(site.path("state/users.db"), users).unwrap();
    site.start();
    let status = site.run(&["status"]);
    let shown = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(
        status.status.code() == Some(1)
            && shown.starts_with("WARNING: 1 warning: the disk is nearly full\n")
            && shown.contains(" left\n"),
        "a disk of 96 MiB is small: {shown}"
    );
    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    let send = |client: &mut postern_testkit::smtp::Client, subject: &str, size: usize| {
        let filler = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(size / 64);
        client.mail(
            "a@outside.example",
            &["b@relay.test"],
            &format!("Subject: {subject}\r\n\r\n{filler}"),
        )
    };
    assert!(send(&mut client, "before", 4_096).unwrap().starts_with("250"));

    let filler = site.path("state/filler");
    let left = || free(&site.path("state"));
    fs::write(&filler, vec![0_u8; usize::try_from(left()).unwrap()]).ok();
    let mut refused = 0;
    for size in [4_096, 200_000] {
        for round in 0..60 {
            let mut client = site.client();
            client.say("EHLO helo").unwrap();
            let reply = send(&mut client, &format!("full {size} {round}"), size).unwrap();
            if reply.starts_with("452") || reply.starts_with("421") || reply.starts_with("451") {
                refused += 1;
            } else {
                assert!(reply.starts_with("250"), "{reply}");
            }
        }
    }
    assert!(refused > 0, "a full disk was not noticed");

    fs::remove_file(&filler).unwrap();
    wait_until("the service to be back", || {
        let Ok((mut client, _)) = postern_testkit::smtp::Client::connect(site.mx) else {
            return false;
        };
        client.say("EHLO helo").is_ok()
            && send(&mut client, "after", 4_096).is_ok_and(|reply| reply.starts_with("250"))
    });
    let _ = sink.wait_for("Subject: before");
    let _ = sink.wait_for("Subject: after");
    wait_until("an empty queue", || site.queue_is_empty());
}

/// The mailboxes are on a different disk than the queue, and it keeps as much space free.
#[test]
fn mailboxes_leave_their_disk_what_it_keeps() {
    const KEPT: u64 = 16 << 20;
    let sink = Sink::start();
    let mut site = Site::relay_with(
        sink.port(),
        "local_domains = [\"local.test\"]",
        "[admission]\nmin_free = \"16 MiB\"\n[delivery]\nmaildir = \"boxes/{local}\"\n",
    );
    for login in ["ann@local.test", "bob@local.test"] {
        site.add_user(login, "test word");
    }
    let boxes = site.path("boxes");
    let disk = SmallDisk::mount(&boxes, "24m");
    site.start();
    let filler = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(3 << 14);
    // Two copies of 3 MiB have room, four have not.
    for subject in ["first", "second"] {
        let mut client = site.client();
        client.say("EHLO helo").unwrap();
        let reply = client
            .mail(
                "a@outside.example",
                &["ann@local.test", "bob@local.test"],
                &format!("Subject: {subject}\r\n\r\n{filler}"),
            )
            .unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    }
    site.wait_for_log(&["deferred", "4.3.1", "insufficient disk space"]);
    assert!(free(&boxes) >= KEPT, "{} octets are left", free(&boxes));
    disk.grow("64m");
    wait_until("an empty queue", || site.queue_is_empty());
    for name in ["ann", "bob"] {
        let new = fs::read_dir(boxes.join(name).join("new")).unwrap();
        assert_eq!(new.count(), 2, "{name}");
    }
    assert!(free(&boxes) >= KEPT);
}

pub(crate) fn free(path: &Path) -> u64 {
    let output = Command::new("df")
        .args(["--output=avail", "-B1"])
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .nth(1)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}
