//! Through the socket, while the server is running.

use std::fs;

use postern_testkit::process::{free_port, wait_until};
use postern_testkit::sink::Sink;

use super::{DAEMON, Desk, NOBODY, is_root, number, said};

const LOCAL: &str = "local_domains = [\"here.test\"]\naliases = \"aliases\"\n";

#[test]
fn a_message_goes_the_way_of_all_mail() {
    let sink = Sink::start();
    let mut desk = Desk::new(sink.port(), "", "trusted_users = [\"daemon\"]");
    desk.site.start();
    let text =
        "From: Anna\nTo: Bea <bea@far.test>, carl\nBcc: dora@far.test\nSubject: one\n\nHello!\n.\nnot seen\n";
    let sent = desk.sendmail(NOBODY, &["-t", "-odb", "-oem"], text);
    assert_eq!(said(&sent), "status Some(0)");
    let taken = sink.wait_for("Subject: one");
    let message = &taken.content;
    for part in [
        &format!(
            "Received: by mx.relay.test (Postern, from userid {})\r\n\tid ",
            number(NOBODY)
        ),
        "From: Anna@mx.relay.test\r\n",
        "To: Bea <bea@far.test>, carl@mx.relay.test\r\n",
        "Date: ",
        "Message-ID: <",
        "\r\n\r\nHello!\r\n",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    for absent in ["Bcc", "dora", "not seen", "X-Authentication-Warning"] {
        assert!(!message.contains(absent), "{absent} in {message}");
    }
    if is_root() {
        assert!(taken.mail.contains("nobody@mx.relay.test"), "{}", taken.mail);
        desk.site.wait_for_log(&[
            "accepted",
            "rule=relay.local",
            "nobody (uid 65534)",
            "listener=local",
        ]);
    }
    // A self-chosen sender is marked, unless the user is trusted.
    let forged = desk.sendmail(
        NOBODY,
        &["-f", "boss@far.test", "bea@far.test"],
        "Subject: two\n\n",
    );
    assert_eq!(said(&forged), "status Some(0)");
    let taken = sink.wait_for("Subject: two");
    assert!(taken.mail.contains("boss@far.test"), "{}", taken.mail);
    assert!(
        taken.content.contains("set sender to <boss@far.test> using -f"),
        "{}",
        taken.content
    );
    if is_root() {
        desk.sendmail(
            DAEMON,
            &["-f", "boss@far.test", "bea@far.test"],
            "Subject: three\n\n",
        );
        let taken = sink.wait_for("Subject: three");
        assert!(
            !taken.content.contains("X-Authentication-Warning"),
            "{}",
            taken.content
        );
    }
}

#[test]
fn what_is_refused_has_its_status() {
    let sink = Sink::start();
    let mut desk = Desk::new(sink.port(), LOCAL, "senders = \"own\"");
    fs::write(desk.site.path("aliases"), "list: ann\n").unwrap();
    desk.site.add_user("ann@here.test", "test word");
    desk.site.start();
    #[rustfmt::skip]
    let cases: [(&str, &[&str], i32, &str); 9] = [
        // what the case shows           arguments                                      status  words
        ("a recipient who is nobody",    &["nosuch@here.test"],                          67, "550"),
        ("one is, one is not",           &["ann@here.test", "nosuch@here.test"],         67, "nosuch@here.test"),
        ("a sender of somebody else",    &["-f", "boss@far.test", "ann@here.test"],      77, "not owned by this user"),
        ("no address",                   &["a b c@here.test"],                           65, "5"),
        ("a control character",          &["a\u{1}b@here.test"],                          65, "is not an address"),
        ("no recipient",                 &["-i"],                                        64, "no recipient"),
        ("no such option",               &["-Z"],                                        64, "unknown option -Z"),
        ("always 0",                     &["-oee", "nosuch@here.test"],                   0, "550"),
        ("the server itself",            &["-bd"],                                       64, "systemctl start postern"),
    ];
    for (shows, arguments, status, words) in cases {
        let done = desk.sendmail(NOBODY, arguments, "Subject: x\n\n");
        assert_eq!(done.status.code(), Some(status), "{shows}: {}", said(&done));
        assert!(said(&done).contains(words), "{shows}: {}", said(&done));
    }
    let quiet = desk.sendmail(NOBODY, &["-oeq", "nosuch@here.test"], "Subject: x\n\n");
    assert_eq!(said(&quiet), "status Some(67)");
    let forged = desk.sendmail(NOBODY, &["ann@here.test"], "From: boss@here.test\n\n");
    assert_eq!(forged.status.code(), Some(77), "{}", said(&forged));
    assert!(
        desk.dropped().is_empty(),
        "what is refused for good is not kept: {:?}",
        desk.dropped()
    );
    // The existing one of two recipients got it.
    wait_until("mail for ann", || {
        fs::read_dir(desk.site.path("state/mail/ann/new")).is_ok_and(|found| found.count() == 1)
    });
    let verified = desk.sendmail(NOBODY, &["-bv", "list@here.test", "nosuch@here.test"], "");
    assert_eq!(verified.status.code(), Some(67), "{}", said(&verified));
    let shown = said(&verified);
    assert!(
        shown.contains("list@here.test... deliverable") && shown.contains("nosuch@here.test... refused"),
        "{shown}"
    );
}

#[test]
fn smtp_on_standard_input() {
    let sink = Sink::start();
    let mut desk = Desk::new(sink.port(), "", "");
    let dead = desk.sendmail(NOBODY, &["-bs"], "QUIT\n");
    assert!(said(&dead).starts_with("421 4.3.2"), "{}", said(&dead));
    assert_eq!(dead.status.code(), Some(75));
    desk.site.start();
    let script = "EHLO me\nMAIL FROM:<>\nRCPT TO:<bea@far.test>\nDATA\nFrom: me@far.test\nSubject: by hand\n\n..\n.\nQUIT\n";
    let done = desk.sendmail(NOBODY, &["-bs"], script);
    let shown = said(&done);
    assert!(
        shown.contains("221 ") && shown.ends_with("status Some(0)"),
        "{shown}"
    );
    assert!(
        !shown.contains("STARTTLS") && !shown.contains("AUTH "),
        "nobody logs in here: {shown}"
    );
    let taken = sink.wait_for("Subject: by hand");
    assert!(taken.content.ends_with("\r\n\r\n.\r\n"), "{}", taken.content);
}

#[test]
fn what_is_too_much_waits() {
    let sink = Sink::start();
    let mut desk = Desk::new(sink.port(), "", "messages_per_minute = 2");
    desk.site.start();
    for n in 0..3 {
        let sent = desk.sendmail(NOBODY, &["bea@far.test"], &format!("Subject: number {n}\n\n"));
        assert_eq!(said(&sent), "status Some(0)", "{n}");
    }
    desk.site.wait_for_log(&["refused", "rule=local.messages"]);
    let _ = sink.wait_for("Subject: number 1");
    if is_root() {
        let sent = desk.sendmail(DAEMON, &["bea@far.test"], "Subject: of another\n\n");
        assert_eq!(said(&sent), "status Some(0)");
        let _ = sink.wait_for("Subject: of another");
    }
    // The rate limit refills every thirty seconds; the folder keeps the message until then.
    wait_until("the message in the folder, or taken from it", || {
        desk.dropped().len() == 1
            || sink
                .taken()
                .iter()
                .any(|one| one.content.contains("Subject: number 2"))
    });
}

#[test]
fn each_sees_his_own_mail() {
    // Nothing listens there, so all of it waits.
    let mut desk = Desk::new(free_port(), "", "queue_users = [\"bin\"]");
    desk.site.start();
    if !is_root() {
        return;
    }
    for (uid, to) in [(NOBODY, "first@far.test"), (DAEMON, "second@far.test")] {
        let sent = desk.sendmail(uid, &[to], "Subject: x\n\n");
        assert_eq!(said(&sent), "status Some(0)");
    }
    let seen = |name: &str, uid: u32, arguments: &[&str]| said(&desk.run(name, uid, arguments, ""));
    wait_until("both in the queue", || {
        seen("mailq", 2, &[]).matches("@far.test").count() >= 2
    });
    #[rustfmt::skip]
    let cases = [
        // who           first  second
        (NOBODY,         true,  false),
        (DAEMON,         false, true),
        (2,              true,  true),
    ];
    for (uid, first, second) in cases {
        for shown in [
            seen("mailq", uid, &[]),
            seen("mailq", uid, &["-v"]),
            seen("sendmail", uid, &["-bp"]),
        ] {
            assert_eq!(
                (
                    shown.contains("first@far.test"),
                    shown.contains("second@far.test")
                ),
                (first, second),
                "{uid}: {shown}"
            );
            assert!(shown.ends_with("status Some(0)"), "{shown}");
        }
    }
    let refused = seen("sendmail", NOBODY, &["-q"]);
    assert!(
        refused.contains("queue_users") && refused.ends_with("status Some(77)"),
        "{refused}"
    );
    let flushed = seen("sendmail", 2, &["-q"]);
    assert!(flushed.contains("due now: 2 recipients"), "{flushed}");
    // An aliases file only concerns the administrator.
    let forbidden = desk
        .command("newaliases", NOBODY)
        .env("POSTERN_CONFIG", desk.site.path("postern.toml"))
        .output()
        .unwrap();
    assert_eq!(forbidden.status.code(), Some(77), "{}", said(&forbidden));
}

#[test]
fn root_hears_every_rule_and_has_aliases_read() {
    let sink = Sink::start();
    let mut desk = Desk::new(sink.port(), LOCAL, "");
    fs::write(desk.site.path("aliases"), "list: ann\n").unwrap();
    desk.site.add_user("ann@here.test", "test word");
    desk.site.start();
    if !is_root() {
        return;
    }
    let as_root = |name: &str, arguments: &[&str], input: &str| {
        let mut command = desk.command(name, 0);
        command
            .args(arguments)
            .env("POSTERN_CONFIG", desk.site.path("postern.toml"));
        said(&super::output(&mut command, input))
    };
    let shown = as_root("sendmail", &["-bv", "list@here.test", "bea@far.test"], "");
    for part in [
        "relay.local",
        "root",
        "list@here.test",
        "ann@here.test",
        "status Some(0)",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let shown = as_root("sendmail", &["-bt"], "3,0 nosuch@here.test\nquit\n");
    assert!(shown.contains("recipient.unknown"), "{shown}");
    fs::write(desk.site.path("aliases"), "list: ann\nfresh: ann\n").unwrap();
    let shown = as_root("newaliases", &[], "");
    assert!(
        shown.contains("reloaded") && shown.ends_with("status Some(0)"),
        "{shown}"
    );
    let sent = desk.sendmail(NOBODY, &["fresh@here.test"], "Subject: x\n\n");
    assert_eq!(said(&sent), "status Some(0)");
    fs::write(desk.site.path("aliases"), "list ann\n").unwrap();
    let shown = as_root("newaliases", &[], "");
    assert!(
        shown.contains("line 1") && shown.ends_with("status Some(78)"),
        "{shown}"
    );
}
