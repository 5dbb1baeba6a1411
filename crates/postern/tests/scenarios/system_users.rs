//! Mail for system users, through the helper that becomes each of them: real users, in a mount namespace where `/etc/passwd`,
//! `/home` and `/var/mail` are the test's own.
//!
//! All of it needs root, who runs these tests in the gate; as another user there is nothing to test.

mod agents;
mod attacks;
mod forwarding;
mod pipes;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Group, geteuid};
use postern_testkit::process::{Server, wait_until};
use postern_testkit::sink::Sink;
use tempfile::TempDir;

use crate::harness::{Site, binary};

/// Name, uid and shell of the users.
const USERS: [(&str, u32, &str); 5] = [
    ("ann", 2_001, "/bin/sh"),
    ("bob", 2_002, "/bin/sh"),
    ("carl", 2_003, "/usr/sbin/nologin"),
    ("dora", 2_004, "/bin/sh"),
    ("daemonic", 500, "/bin/sh"),
];

/// Set in the process of a test that has the namespace.
const INSIDE: &str = "POSTERN_TEST_TOWN";

fn uid_of(user: &str) -> u32 {
    USERS.iter().find(|(name, ..)| *name == user).unwrap().1
}

fn mail_group() -> Gid {
    Group::from_name("mail").unwrap().unwrap().gid
}

/// Runs a test in a separate process that has the users: `test` is its name within this file's modules.
fn in_town(test: &str, body: impl FnOnce()) {
    if !geteuid().is_root() {
        return;
    }
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let town = TempDir::new().unwrap();
    let at = |name: &str| town.path().join(name);
    let (mut passwd, mut group) = (
        fs::read_to_string("/etc/passwd").unwrap(),
        fs::read_to_string("/etc/group").unwrap(),
    );
    let mut homes = String::new();
    for (name, uid, shell) in USERS {
        passwd.push_str(&format!("{name}:x:{uid}:{uid}::/home/{name}:{shell}\n"));
        group.push_str(&format!("{name}:x:{uid}:\n"));
        homes.push_str(&format!(
            "mkdir -m 755 /home/{name} && chown {uid}:{uid} /home/{name}\n"
        ));
    }
    fs::write(at("passwd"), passwd).unwrap();
    fs::write(at("group"), group).unwrap();
    fs::write(at("shells"), "/bin/sh\n/bin/bash\n").unwrap();
    fs::create_dir(at("mail")).unwrap();
    chown(at("mail"), Some(0), Some(mail_group().as_raw())).unwrap();
    fs::set_permissions(at("mail"), fs::Permissions::from_mode(0o2775)).unwrap();
    let script = format!(
        "set -e\nmount --make-rprivate /\n\
         for file in passwd group shells; do mount --bind \"$TOWN/$file\" /etc/$file; done\n\
         mount -t tmpfs -o mode=755 none /home\n{homes}mount --bind \"$TOWN/mail\" /var/mail\n\
         exec \"$0\" --exact \"$1\" --nocapture --test-threads 1\n"
    );
    let status = Command::new("unshare")
        .args(["--mount", "--fork", "--kill-child", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .arg(format!("system_users::{test}"))
        .env("TOWN", town.path())
        .env(INSIDE, "yes")
        .status()
        .unwrap();
    assert!(status.success(), "{test}: see above");
}

/// A server with mailboxes of system users, and its helper.
struct Town {
    site: Site,
    helper: Option<Server>,
}

impl Town {
    /// With these lines in `[system_users]`.
    fn new(sink: &Sink, settings: &str) -> Self {
        let extra = format!(
            "[[directory]]\nkind = \"system\"\n[delivery]\nsystem_users = true\n\
             [system_users]\nsocket = \"mailbox.sock\"\n{settings}"
        );
        let top = "local_domains = [\"town.test\"]\naliases = \"aliases\"\n";
        let site = Site::relay_with(sink.port(), top, &extra);
        fs::write(site.path("aliases"), "root: ann\npostmaster: root\n").unwrap();
        Self { site, helper: None }
    }

    fn start(&mut self) {
        self.start_helper();
        self.site.start();
    }

    fn start_helper(&mut self) {
        let mut command = Command::new(binary());
        command
            .args(["mailbox-helper", "--config"])
            .arg(self.site.path("postern.toml"));
        let helper = Server::start(&mut command, &self.site.path("helper.log"));
        let log = self.site.path("helper.log");
        wait_until("the helper", || {
            let said = fs::read_to_string(&log).unwrap_or_default();
            said.contains("is taken at")
        });
        self.helper = Some(helper);
    }

    /// Submits a message as a stranger; returns the reply.
    fn send(&self, to: &str, content: &str) -> String {
        let mut client = self.site.client();
        client.say("EHLO helo").unwrap();
        client.mail("x@far.test", &[to], content).unwrap()
    }

    fn take(&self, to: &str, subject: &str) {
        let reply = self.send(to, &format!("Subject: {subject}\r\n\r\nhello\r\nFrom here\r\n"));
        assert!(reply.starts_with("250"), "{to}: {reply}");
    }

    /// Waits until somebody's mail waits, and the queue says why.
    fn waits(&self, words: &[&str]) {
        wait_until(&format!("{words:?} in the queue"), || {
            let listing = self.site.ok(&["queue", "list", "--json"]);
            words.iter().all(|word| listing.contains(word))
        });
    }
}

fn mbox(user: &str) -> PathBuf {
    Path::new("/var/mail").join(user)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Waits until a file has a message with this subject; its text.
fn wait_for(path: &Path, subject: &str) -> String {
    let line = format!("Subject: {subject}\n");
    wait_until(&format!("{subject:?} in {}", path.display()), || {
        text(path).contains(&line)
    });
    text(path)
}

/// A file of a user.
fn user_file(user: &str, name: &str, content: &str) -> PathBuf {
    let path = Path::new("/home").join(user).join(name);
    fs::write(&path, content).unwrap();
    chown(&path, Some(uid_of(user)), Some(uid_of(user))).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    path
}

#[test]
fn mail_lies_in_an_mbox_of_the_users_own() {
    in_town("mail_lies_in_an_mbox_of_the_users_own", || {
        let sink = Sink::start();
        let mut town = Town::new(&sink, "lock_timeout = \"1s\"\n");
        town.start();
        for (to, why) in [
            ("nosuch@town.test", "there is no such user"),
            ("daemonic@town.test", "a daemon"),
            ("nobody@town.test", "nobody"),
            ("\"../ann\"@town.test", "a path"),
        ] {
            let reply = town.send(to, "Subject: x\r\n\r\n");
            assert!(reply.starts_with("550 5.1.1"), "{why}: {reply}");
        }
        town.take("Ann+shop@town.test", "first");
        let mail = wait_for(&mbox("ann"), "first");
        assert!(mail.starts_with("From x@far.test "), "{mail}");
        assert!(mail.contains("\nhello\n>From here\n\n"), "{mail}");
        assert!(
            mail.contains("\nReturn-Path: <x@far.test>\nDelivered-To: Ann+shop@town.test\n"),
            "{mail}"
        );
        // Root's mail, by the alias.
        town.take("root@town.test", "for root");
        wait_for(&mbox("ann"), "for root");
        let found = fs::metadata(mbox("ann")).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o7777), (uid_of("ann"), 0o600));
        town.site.wait_for_log(&["delivered", "system", "/var/mail/ann"]);

        // Many at once: each is there exactly once.
        std::thread::scope(|scope| {
            for number in 0..20 {
                let town = &town;
                scope.spawn(move || town.take("bob@town.test", &format!("of many {number}.")));
            }
        });
        for number in 0..20 {
            let subject = format!("of many {number}.");
            let mail = wait_for(&mbox("bob"), &subject);
            assert_eq!(mail.matches(&format!("Subject: {subject}\n")).count(), 1);
        }
        wait_until("nothing in the queue", || town.site.queue_is_empty());
        assert!(!mbox("bob.lock").exists());

        // Locked by another program that is still running.
        fs::write(mbox("dora.lock"), std::process::id().to_string()).unwrap();
        town.take("dora@town.test", "behind a lock");
        town.waits(&["mailbox.locked", "dora.lock is locked"]);
        assert!(!text(&mbox("dora")).contains("behind a lock"));
        fs::remove_file(mbox("dora.lock")).unwrap();
        wait_for(&mbox("dora"), "behind a lock");
    });
}

#[test]
fn the_helper_may_come_and_go() {
    in_town("the_helper_may_come_and_go", || {
        let sink = Sink::start();
        let mut town = Town::new(&sink, "mailbox = \"~/Maildir/\"\n");
        town.site.start();
        let said = town.site.run(&["check"]);
        let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        assert!(
            said.contains("does not answer") && said.contains("postern-mailbox"),
            "{said}"
        );
        town.take("ann@town.test", "before it");
        town.waits(&["start postern-mailbox.service", "\"local\""]);
        town.start_helper();
        let new = Path::new("/home/ann/Maildir/new");
        let count = || fs::read_dir(new).map_or(0, |found| found.count());
        wait_until("its mail", || count() == 1);
        let file = fs::read_dir(new).unwrap().next().unwrap().unwrap();
        let found = file.metadata().unwrap();
        assert_eq!((found.uid(), found.mode() & 0o7777), (uid_of("ann"), 0o600));
        assert!(
            text(&file.path()).starts_with("Return-Path: "),
            "no line of an mbox"
        );

        // The root privileges it keeps: changing users, without passing that on.
        let status = text(
            &Path::new("/proc")
                .join(town.helper.as_ref().unwrap().pid().to_string())
                .join("status"),
        );
        for line in [
            "CapPrm:\t00000000000001c1",
            "CapEff:\t00000000000001c1",
            "CapBnd:\t00000000000001c1",
        ] {
            assert!(status.contains(line), "{line}: {status}");
        }

        // Killed while mail arrives.
        std::thread::scope(|scope| {
            for number in 0..10 {
                let town = &town;
                scope.spawn(move || town.take("ann@town.test", &format!("later {number}")));
            }
        });
        town.helper.take().unwrap().crash();
        town.start_helper();
        wait_until("all of it", || town.site.queue_is_empty());
        assert_eq!(count(), 11, "each once");

        // Another mailbox, after a reload.
        let config = text(&town.site.path("postern.toml")).replace("~/Maildir/", "~/Mailbox");
        fs::write(town.site.path("postern.toml"), config).unwrap();
        town.helper
            .as_ref()
            .unwrap()
            .signal(nix::sys::signal::Signal::SIGHUP);
        wait_until("the reload", || {
            text(&town.site.path("helper.log")).contains("read again")
        });
        town.take("ann@town.test", "elsewhere");
        wait_for(Path::new("/home/ann/Mailbox"), "elsewhere");

        // A missing home folder is not created.
        fs::rename("/home/bob", "/home/away").unwrap();
        town.take("bob@town.test", "no home");
        town.waits(&["mailbox.unusable", "/home/bob"]);
        fs::rename("/home/away", "/home/bob").unwrap();
        wait_for(Path::new("/home/bob/Mailbox"), "no home");
    });
}

#[test]
fn a_full_disk_and_an_own_alias() {
    in_town("a_full_disk_and_an_own_alias", || {
        let sink = Sink::start();
        let settings = "mailbox = \"~/Mailbox\"\n[admission]\nmin_free = \"0\"\n";
        let mut town = Town::new(&sink, settings);
        let small = format!("size=64k,mode=755,uid={0},gid={0}", uid_of("bob"));
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &small, "none", "/home/bob"])
            .status()
            .unwrap();
        assert!(done.success());
        town.start();
        town.take("bob@town.test", "there is room");
        let before = wait_for(Path::new("/home/bob/Mailbox"), "there is room");
        let large = format!(
            "Subject: too much\r\n\r\n{}",
            "0123456789abcdef\r\n".repeat(6_000)
        );
        assert!(town.send("bob@town.test", &large).starts_with("250"));
        town.waits(&["insufficient disk space", "\"local\""]);
        town.site.wait_for_log(&["deferred", "4.3.1", "bob@town.test"]);
        assert_eq!(
            text(Path::new("/home/bob/Mailbox")),
            before,
            "nothing is left of it"
        );
        let done = Command::new("mount")
            .args(["-o", "remount,size=1m", "/home/bob"])
            .status()
            .unwrap();
        assert!(done.success());
        assert!(wait_for(Path::new("/home/bob/Mailbox"), "too much").starts_with(&before));

        // What is reported before any mail arrives.
        let session = [
            "--peer",
            "192.0.2.1",
            "--from",
            "x@far.test",
            "--to",
            "Bob+x@town.test",
        ];
        let said = town.site.run(&[&["explain", "--json"][..], &session].concat());
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("bob, a user of this machine: ~/Mailbox"), "{said}");
        fs::write(town.site.path("aliases"), "root: ann\n").unwrap();
        let said = town.site.run(&["check"]);
        let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        assert!(
            said.contains("no alias says who reads the mail of postmaster"),
            "{said}"
        );
        assert!(!said.contains("mail of root"), "{said}");
        town.site.ok(&["reload"]);
        town.take("postmaster@town.test", "for nobody yet");
        town.waits(&["name who reads this mail", "\"settings\""]);
    });
}
