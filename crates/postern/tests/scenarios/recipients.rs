//! Which recipients have a mailbox: checked at `RCPT`, and again at delivery.

use std::fs;

use postern_testkit::process::{free_port, wait_until};
use postern_testkit::sink::Sink;

use crate::harness::Site;

const LOCAL: &str = "local_domains = [\"local.test\"]\naliases = \"aliases\"\n";

/// The existing Maildirs.
fn maildirs(site: &Site) -> Vec<String> {
    let Ok(found) = fs::read_dir(site.path("state/mail")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = found
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The texts of the mail in a Maildir.
fn mail(site: &Site, name: &str) -> Vec<String> {
    let Ok(found) = fs::read_dir(site.path(&format!("state/mail/{name}/new"))) else {
        return Vec::new();
    };
    found
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok())
        .collect()
}

fn mail_from(site: &Site, from: &str, to: &str, text: &str) -> String {
    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    client.mail(from, &[to], text).unwrap()
}

#[test]
fn nobody_gets_a_maildir_that_nobody_reads() {
    let sink = Sink::start();
    let mut site = Site::relay_with(sink.port(), LOCAL, "");
    fs::write(
        site.path("aliases"),
        "sales: nosuchuser\nghost: ghost\nmix: ann, an\nroot: ann\n",
    )
    .unwrap();
    site.add_user("ann@local.test", "test word");
    site.add_user("bob@local.test", "test word");
    let said = site.run(&["check"]);
    let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    for broken in [
        "\"sales\" points to nosuchuser@local.test",
        "\"ghost\" points to",
        "\"mix\" points to an@",
    ] {
        assert!(said.contains(broken), "{broken}: {said}");
    }
    assert!(!said.contains("\"root\""), "{said}");
    site.start();

    let send = |from: &str, to: &str| {
        let text = format!("Subject: for {to}\r\n\r\nhi\r\n");
        mail_from(&site, from, to, &text)
    };
    for nobody in ["sales", "ghost", "nosuchuser", "sales+x", "nosuchuser+x"] {
        let reply = send("x@far.test", &format!("{nobody}@local.test"));
        assert!(reply.starts_with("550 5.1.1"), "{nobody}: {reply}");
    }
    for known in [
        "mix@local.test",
        "Ann+shop@local.test",
        "root+x@local.test",
        "postmaster",
        "postmaster@local.test",
    ] {
        let reply = send("x@far.test", known);
        assert!(reply.starts_with("250"), "{known}: {reply}");
    }
    site.wait_for_log(&[
        "none of the alias's targets exists",
        "mix@local.test",
        "an@local.test",
    ]);
    wait_until("three mails for ann", || mail(&site, "ann").len() == 3);
    assert!(
        mail(&site, "ann")
            .iter()
            .any(|text| text.contains("Delivered-To: Ann+shop@local.test"))
    );
    wait_until("two for the postmaster", || mail(&site, "postmaster").len() == 2);

    // Reports: to the owner of a tagged sender, and to nobody for a nonexistent sender.
    let reply = send("ann+list@local.test", "nobody@relay.test");
    assert!(reply.starts_with("250"), "{reply}");
    let _ = sink.wait_for("Subject: for nobody@relay.test");
    assert_eq!(maildirs(&site), ["ann", "postmaster"]);
}

#[test]
fn a_user_who_is_gone_and_a_sender_who_never_was() {
    let hop = free_port();
    let mut site = Site::relay_with(
        hop,
        LOCAL,
        "[retry]\nintervals = [\"1s\"]\nexpire_after = \"2s\"\nwarn_after = \"0\"\n",
    );
    fs::write(site.path("aliases"), "staff: ann\n").unwrap();
    site.add_user("ann@local.test", "test word");
    site.add_user("bob@local.test", "test word");
    site.start();
    // Blocks bob's Maildir, so that his mail waits.
    fs::create_dir_all(site.path("state/mail")).unwrap();
    fs::write(site.path("state/mail/bob"), "").unwrap();
    let send = |from: &str, to: &str| {
        let text = format!("Subject: for {to}\r\n\r\nhi\r\n");
        let reply = mail_from(&site, from, to, &text);
        assert!(reply.starts_with("250"), "{reply}");
    };
    send("staff@local.test", "bob@local.test");
    site.wait_for_log(&["deferred", "bob@local.test"]);
    site.ok(&["user", "remove", "bob@local.test"]);
    fs::remove_file(site.path("state/mail/bob")).unwrap();
    site.wait_for_log(&["bounced", "bob@local.test", "5.1.1"]);
    // The report goes to the target of the sender's alias.
    wait_until("the report", || {
        mail(&site, "ann")
            .iter()
            .any(|text| text.contains("Action: failed"))
    });

    // Mail that expires because a host is down, from local names: one with a detail, one
    // nonexistent.
    send("ann+shop@local.test", "x@relay.test");
    send("scanner@local.test", "y@relay.test");
    site.wait_for_log(&["undeliverable report", "scanner@local.test"]);
    wait_until("the report for the detail", || {
        mail(&site, "ann")
            .iter()
            .any(|text| text.contains("Delivered-To: ann+shop@local.test"))
    });
    assert_eq!(maildirs(&site), ["ann"]);
    wait_until("an empty queue", || site.queue_is_empty());
}
