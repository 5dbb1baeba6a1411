//! The programs that people really use: each submits a message as with any other `sendmail`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::Command;
use std::time::Duration;

use postern_testkit::process::{Server, program};
use postern_testkit::sink::Sink;

use super::{Desk, NOBODY, is_root, number, output, said};

/// A program that is told where `sendmail` is.
struct Program {
    path: &'static str,
    package: &'static str,
    /// `{}` stands for the path of `sendmail`, `{place}` for its folder.
    arguments: &'static [&'static str],
    input: &'static str,
}

#[rustfmt::skip]
const PROGRAMS: &[Program] = &[
    Program { path: "/usr/bin/php", package: "php-cli", input: "",
        arguments: &["-d", "sendmail_path={} -t -i", "-r", "exit(mail('bea@far.test', 'by php', \"line one\\n.\\nline two\", 'From: shop@far.test') ? 0 : 1);"] },
    Program { path: "/usr/bin/bsd-mailx", package: "bsd-mailx", input: "line one\nline two\n",
        arguments: &["-s", "by bsd-mailx", "bea@far.test"] },
    Program { path: "/usr/bin/mail.mailutils", package: "mailutils", input: "line one\nline two\n",
        arguments: &["-E", "set sendmail=sendmail:{}", "-s", "by mail.mailutils", "bea@far.test"] },
    Program { path: "/usr/bin/s-nail", package: "s-nail", input: "line one\nline two\n",
        arguments: &["-:/", "-Sv15-compat", "-Smta={}", "-s", "by s-nail", "bea@far.test"] },
    Program { path: "/usr/bin/mutt", package: "mutt", input: "line one\nline two\n",
        arguments: &["-n", "-F", "/dev/null", "-e", "set sendmail='{} -oem -oi' copy=no", "-s", "by mutt", "bea@far.test"] },
    Program { path: "/usr/bin/git", package: "git-email", input: "",
        arguments: &["-c", "user.name=Anna", "-c", "user.email=anna@far.test", "send-email", "--quiet", "--confirm=never", "--no-validate",
            "--sendmail-cmd={}", "--from=anna@far.test", "--to=bea@far.test", "{place}/by-git.patch"] },
];

const PATCH: &str = "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: Anna <anna@far.test>\n\
    Date: Mon, 23 Nov 2026 10:00:00 +0000\nSubject: by git\n\nline one\nline two\n---\n";

#[test]
fn the_programs_that_people_use() {
    let sink = Sink::start();
    let mut desk = Desk::new(sink.port(), "", "");
    desk.site.start();
    let sendmail = desk.path("sendmail").display().to_string();
    let place = desk.place.path().display().to_string();
    fs::write(desk.path("by-git.patch"), PATCH).unwrap();
    fs::write(desk.path("mailrc"), format!("set sendmail={sendmail}\n")).unwrap();
    let home = desk.path("home");
    fs::create_dir(&home).unwrap();
    if is_root() {
        chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    for one in PROGRAMS {
        let found = program(one.path, one.package);
        let name = found.file_name().unwrap().to_str().unwrap().to_owned();
        let arguments: Vec<String> = one
            .arguments
            .iter()
            .map(|argument| argument.replace("{}", &sendmail).replace("{place}", &place))
            .collect();
        let mut command = Command::new(&found);
        command
            .args(&arguments)
            .env("POSTERN_SUBMIT", desk.path("submit"))
            .env("HOME", &home)
            .env("MAILRC", desk.path("mailrc"))
            .env("LC_ALL", "C.UTF-8")
            .current_dir(&home);
        if is_root() {
            std::os::unix::process::CommandExt::uid(&mut command, NOBODY);
        }
        let done = output(&mut command, one.input);
        assert!(done.status.success(), "{name}: {}", said(&done));
        let taken = sink.wait_for(&format!("Subject: by {name}"));
        assert!(taken.rcpt[0].contains("bea@far.test"), "{name}: {:?}", taken.rcpt);
        let from = format!("from userid {})", number(NOBODY));
        assert!(taken.content.contains(&from), "{name}: {}", taken.content);
        let body = taken.content.split_once("\r\n\r\n").unwrap().1;
        assert!(
            body.contains("line one\r\n") && body.contains("line two"),
            "{name}: {body}"
        );
        for field in ["\r\nDate: ", "\r\nFrom: "] {
            assert!(taken.content.contains(field), "{name} {field}: {}", taken.content);
        }
        let ids = taken
            .content
            .to_ascii_lowercase()
            .matches("\r\nmessage-id: ")
            .count();
        assert_eq!(ids, 1, "{name}: {}", taken.content);
    }
}

/// Runs a script where `/usr/sbin/sendmail` is Postern's and its sockets are at the default paths.
fn in_its_place(desk: &Desk, script: &str) -> Command {
    // None of this is visible outside: the system's folders are covered, in a separate mount namespace.
    let covered = "set -e\nmount --make-rprivate /\nmount -t tmpfs none /run\nmkdir /run/postern\n\
        mount --bind \"$PLACE\" /run/postern\nmount --bind \"$PLACE/postern\" /usr/sbin/sendmail\n";
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            &format!("{covered}{script}"),
        ])
        .env("PLACE", desk.place.path())
        .env_remove("POSTERN_SUBMIT");
    command
}

#[test]
fn a_program_with_a_fixed_path() {
    if !is_root() {
        return;
    }
    let sink = Sink::start();
    let mut desk = Desk::new(sink.port(), "", "");
    desk.site.start();
    // As `mdadm --monitor` does for an array, which this machine does not have: popen("/usr/sbin/sendmail -t").
    let script = "\
        printf 'From: mdadm monitoring <root>\\nTo: bea@far.test\\nSubject: TestMessage event on /dev/md0\\n\\nThis is an automatic message\\n' | /usr/sbin/sendmail -t\n";
    let done = output(&mut in_its_place(&desk, script), "");
    assert!(done.status.success(), "{}", said(&done));
    let taken = sink.wait_for("Subject: TestMessage");
    assert!(
        taken
            .content
            .contains("From: mdadm monitoring <root@mx.relay.test>\r\n"),
        "{}",
        taken.content
    );
}

#[test]
fn cron_tells_of_its_jobs() {
    if !is_root() {
        return;
    }
    let sink = Sink::start();
    let mut desk = Desk::new(sink.port(), "", "");
    desk.site.start();
    let _ = program("/usr/sbin/cron", "cron");
    let table = desk.path("crontab");
    fs::write(
        &table,
        "MAILTO=bea@far.test\n* * * * * printf 'line one\\n.\\nline two\\n'\n",
    )
    .unwrap();
    fs::set_permissions(&table, fs::Permissions::from_mode(0o644)).unwrap();
    let script = "mount -t tmpfs none /var/spool/cron\nmkdir -m 1730 /var/spool/cron/crontabs\n\
        install -m 600 -o nobody \"$PLACE/crontab\" /var/spool/cron/crontabs/nobody\n\
        mount --bind /dev/null /etc/crontab\nmount -t tmpfs none /etc/cron.d\nexec cron -f\n";
    let mut cron = Server::start(&mut in_its_place(&desk, script), &desk.path("cron.log"));
    // It looks at its tables at the beginning of each minute.
    let taken = loop {
        let found = sink
            .taken()
            .into_iter()
            .find(|one| one.content.contains("line two"));
        match found {
            Some(taken) => break taken,
            None => {
                assert!(cron.runs(), "cron ended: {}", cron.log());
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    };
    cron.crash();
    assert!(taken.mail.contains("nobody@mx.relay.test"), "{}", taken.mail);
    assert!(taken.rcpt[0].contains("bea@far.test"), "{:?}", taken.rcpt);
    for part in [
        "from userid 65534)",
        "Subject: Cron <nobody@",
        "line one\r\n.\r\nline two",
    ] {
        assert!(taken.content.contains(part), "{part} in {}", taken.content);
    }
}
