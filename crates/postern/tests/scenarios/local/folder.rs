//! The folder for the time when the server is down.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use postern_testkit::process::wait_until;
use postern_testkit::sink::{Sink, Taken};

use super::{DAEMON, Desk, NOBODY, is_root, number, said};

/// Starts the server once, so that the folder exists, and stops it.
fn made_once(desk: &mut Desk) {
    desk.site.start();
    assert!(desk.site.take_server().terminate().success());
}

#[test]
fn a_folder_that_the_server_could_not_use_is_found_by_check() {
    let mut desk = Desk::new(1, "", "");
    assert!(
        !desk.site.ok(&["check", "--offline"]).contains("drop"),
        "it is made at the start"
    );
    made_once(&mut desk);
    assert!(!desk.site.ok(&["check", "--offline"]).contains("drop"));
    fs::set_permissions(desk.path("drop"), fs::Permissions::from_mode(0o755)).unwrap();
    let found = desk.site.run_with(&["check", "--offline"], "");
    let text = String::from_utf8([found.stdout, found.stderr].concat()).unwrap();
    assert_eq!(found.status.code(), Some(78), "{text}");
    for part in ["drop = ", "needs the rights 3733", "chmod 3733"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn nothing_is_lost_while_the_server_is_down() {
    let sink = Sink::start();
    let mut desk = Desk::new(sink.port(), "local_domains = [\"here.test\"]\n", "");
    let early = desk.sendmail(NOBODY, &["bea@far.test"], "Subject: too early\n\n");
    assert_eq!(
        early.status.code(),
        Some(75),
        "without a folder nothing is promised: {}",
        said(&early)
    );
    made_once(&mut desk);
    let users = if is_root() {
        vec![NOBODY, DAEMON]
    } else {
        vec![NOBODY]
    };
    for uid in &users {
        let text = format!("From: me\nTo: bea@far.test\nBcc: carl@far.test\nSubject: kept for {uid}\n\n.\n");
        let sent = desk.sendmail(*uid, &["-t", "-i"], &text);
        assert_eq!(said(&sent), "status Some(0)");
    }
    let names = desk.dropped();
    assert_eq!(names.len(), users.len(), "{names:?}");
    let file = desk.path("drop").join(&names[0]);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o660);
    let half = desk.path("drop").join("new-0123456789abcdef0123456789abcdef");
    fs::write(&half, fs::read(&file).unwrap()).unwrap();
    desk.site.start();
    for uid in &users {
        let taken = sink.wait_for(&format!("Subject: kept for {uid}"));
        assert!(
            taken.content.contains(&format!("from userid {})", number(*uid))),
            "{}",
            taken.content
        );
        assert!(
            taken.content.contains("From: me@mx.relay.test\r\n"),
            "{}",
            taken.content
        );
        assert!(
            taken.content.ends_with("\r\n\r\n.\r\n") && !taken.content.contains("carl"),
            "{}",
            taken.content
        );
    }
    wait_until("the folder is empty but for what is half-written", || {
        desk.dropped().len() == 1
    });
    // Also while it is running.
    fs::rename(&half, desk.path("drop").join("0123456789abcdef0123456789abcdef")).unwrap();
    fs::set_permissions(
        desk.path("drop").join("0123456789abcdef0123456789abcdef"),
        fs::Permissions::from_mode(0o660),
    )
    .unwrap();
    wait_until("the folder is empty", || desk.dropped().is_empty());
}

#[test]
fn who_is_refused_later_hears_of_it() {
    let sink = Sink::start();
    let mut desk = Desk::new(sink.port(), "local_domains = [\"here.test\"]\n", "");
    made_once(&mut desk);
    let sent = desk.sendmail(
        NOBODY,
        &["-f", "anna@far.test", "nosuch@here.test", "bea@far.test"],
        "Subject: half of it\n\n",
    );
    assert_eq!(said(&sent), "status Some(0)");
    desk.site.start();
    wait_until("the message for who exists", || {
        let taken = sink.taken();
        let whole = |one: &Taken| {
            one.content.contains("Subject: half of it") && !one.content.contains("multipart/report")
        };
        taken.iter().any(whole)
    });
    let report = sink.wait_for("multipart/report");
    assert!(
        report.rcpt.iter().any(|to| to.contains("anna@far.test")),
        "{:?}",
        report.rcpt
    );
    assert!(report.content.contains("nosuch@here.test"), "{}", report.content);
    wait_until("the folder is empty", || desk.dropped().is_empty());
}

#[test]
fn attackers_gain_nothing_there() {
    let sink = Sink::start();
    let mut desk = Desk::new(sink.port(), "", "");
    made_once(&mut desk);
    let sent = desk.sendmail(NOBODY, &["bea@far.test"], "Subject: honest\n\n");
    assert_eq!(said(&sent), "status Some(0)");
    let drop = desk.path("drop");
    let honest = drop.join(&desk.dropped()[0]);
    let name = |n: u32| drop.join(format!("{n:032x}"));
    let whole = fs::read_to_string(&honest).unwrap().replace("honest", "forged");
    let make = |n: u32, content: &str, mode: u32| {
        fs::write(name(n), content).unwrap();
        fs::set_permissions(name(n), fs::Permissions::from_mode(mode)).unwrap();
    };
    make(1, &whole, 0o666);
    make(2, "root:x:0:0:root:/root:/bin/sh\n", 0o660);
    make(3, &whole[..whole.len() - 1], 0o660);
    make(
        4,
        &whole.replace(
            "recipient bea@far.test",
            "recipient bea@far.test>\rRCPT TO:<b@far.test",
        ),
        0o660,
    );
    fs::write(desk.path("secret"), &whole).unwrap();
    symlink(desk.path("secret"), name(5)).unwrap();
    make(6, &whole, 0o660);
    fs::hard_link(name(6), desk.path("second name")).unwrap();
    fs::create_dir(name(7)).unwrap();
    nix::unistd::mkfifo(&name(8), nix::sys::stat::Mode::from_bits_truncate(0o660)).unwrap();
    let mut aside = 6;
    if is_root() {
        // Somebody else's file, not created here: it has a different group.
        make(9, &whole, 0o660);
        std::os::unix::fs::chown(name(9), Some(DAEMON), Some(DAEMON)).unwrap();
        aside += 1;
    }
    desk.site.start();
    let _ = sink.wait_for("Subject: honest");
    wait_until("all others are put aside", || {
        let names = desk.dropped();
        names.len() == aside && names.iter().all(|name| name.starts_with("aside-"))
    });
    desk.site.wait_for_log(&["put aside", "its rights are not 660"]);
    assert!(!sink.taken().iter().any(|one| one.content.contains("forged")));
    assert_eq!(fs::read_to_string(desk.path("secret")).unwrap(), whole);
    if is_root() {
        // Nobody can list the folder, or read what another has put there.
        let mut command = Command::new("ls");
        command.uid(NOBODY);
        let listed = command.arg(&drop).output().unwrap();
        assert!(!listed.status.success(), "{}", said(&listed));
    }
}
