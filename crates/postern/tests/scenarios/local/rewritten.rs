//! Mail submitted by local programs is rewritten like all other mail from inside: through the socket, and from the folder.

use postern_testkit::sink::Sink;

use super::{DAEMON, Desk, said};

const RULES: &str = "[[rewrite]]\nname = \"people\"\nclasses = [\"envelope_sender\", \"header_sender\"]\nclients = [\"local\"]\n\
    table = \"inline:{daemon@havelock.test=it@havelock.test}\"\n\
    [[header_check]]\nname = \"mailer\"\nclients = [\"local\"]\nfields = [\"X-Mailer\"]\nverdict = \"remove\"\n";

#[test]
fn programs_have_the_origin_and_what_rules_make_of_it() {
    let sink = Sink::start();
    let mut desk = Desk::new(sink.port(), "origin = \"havelock.test\"", RULES);
    desk.site.start();
    let sent = desk.sendmail(
        DAEMON,
        &["-t"],
        "To: bea@far.test\nSubject: by the door\nX-Mailer: x\n\ntext\n",
    );
    assert!(sent.status.success(), "{}", said(&sent));
    let sent = desk.sendmail(
        DAEMON,
        &["-f", "cron", "bea@far.test"],
        "Subject: for cron\n\ntext\n",
    );
    assert!(sent.status.success(), "{}", said(&sent));
    assert!(desk.site.take_server().terminate().success());
    let sent = desk.sendmail(DAEMON, &["bea@far.test"], "Subject: by the folder\n\ntext\n");
    assert!(sent.status.success(), "{}", said(&sent));
    desk.site.start();
    let name = if nix::unistd::geteuid().is_root() {
        "it"
    } else {
        ""
    };
    for (subject, sender) in [
        ("by the door", name),
        ("for cron", "cron"),
        ("by the folder", name),
    ] {
        let came = sink.wait_for(&format!("Subject: {subject}"));
        if sender.is_empty() {
            continue;
        }
        let address = format!("{sender}@havelock.test");
        assert!(
            came.mail.starts_with(&format!("<{address}>")),
            "{subject}: {}",
            came.mail
        );
        let from = came
            .content
            .lines()
            .find(|line| line.starts_with("From:"))
            .unwrap_or_default();
        assert!(from.contains(&address), "{subject}: {}", came.content);
        assert!(!came.content.contains("X-Mailer"));
    }
}
