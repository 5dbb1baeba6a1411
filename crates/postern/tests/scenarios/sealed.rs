//! Mail forwarded to the outside by an alias is sealed with our results.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use postern_testkit::postfix::Postfix;
use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;
use postern_testkit::unbound::Unbound;

use crate::harness::Site;
use crate::judging::{ACTIONS, key, message, python, signed};

/// Prints the result for the chain of the message that it reads; the first argument is the record of all keys.
const CHAIN: &str = r#"
import sys, dkim
record = sys.argv[1].encode()
print(dkim.arc_verify(sys.stdin.buffer.read(), dnsfunc=lambda name, timeout=5: record)[0].decode())
"#;

/// A site that seals for `here.example` with the key in `file`, where `forward@here.example` leads to the outside, through `hop`.
fn site(hop: u16, unbound: &Unbound, file: &str) -> Site {
    let seals = "arc_seal = \"here.example\"\n[[dkim]]\ndomain = \"here.example\"\n\
                 [[dkim.key]]\nselector = \"own\"\nfile = \"seal.pem\"\n";
    let top = "local_domains = [\"here.example\"]\naliases = \"aliases\"\n";
    let mut site = Site::relay_with(hop, top, &format!("{}{ACTIONS}{seals}", unbound.configuration()));
    fs::write(site.path("aliases"), "forward: c@outside.example\n").unwrap();
    let converted = Command::new("openssl")
        .args(["pkcs8", "-topk8", "-nocrypt", "-in", file, "-out"])
        .arg(site.path("seal.pem"))
        .status()
        .unwrap();
    assert!(converted.success());
    fs::set_permissions(site.path("seal.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    site.start();
    site
}

fn zone(record: &str) -> Unbound {
    Unbound::start(&format!(
        "good.example TXT v=spf1 ip4:127.0.0.1 -all
         sel._domainkey.good.example TXT {record}
         _dmarc.good.example TXT v=DMARC1; p=reject"
    ))
}

fn chain(record: &str, content: &str) -> String {
    let said = python(CHAIN, &[record], content.as_bytes());
    String::from_utf8(said).unwrap().trim().to_owned()
}

#[test]
fn what_an_alias_leads_to_the_outside_is_sealed() {
    let scratch = tempfile::tempdir().unwrap();
    let (file, record) = key(scratch.path());
    let sink = Sink::start();
    let unbound = zone(&record);
    let site = site(sink.port(), &unbound, &file);
    let mut client = site.client();
    client.say("EHLO client.example").unwrap();

    let good = message("a@good.example", "forwarded");
    let good = signed("dkim", "good.example", &file, &good);
    let reply = client
        .mail("a@good.example", &["forward@here.example"], &good)
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let taken = sink.wait_for("Subject: forwarded");
    assert!(taken.rcpt[0].contains("c@outside.example"), "{taken:?}");
    let found = "ARC-Authentication-Results: i=1; mx.relay.test;";
    assert!(
        taken.content.contains(found) && taken.content.contains("cv=none"),
        "{}",
        taken.content
    );
    assert_eq!(chain(&record, &taken.content), "pass", "{}", taken.content);
    let two = format!("From: x@evil.example\r\n{}", taken.content);
    assert_eq!(chain(&record, &two), "fail", "a second From");

    // Mail with a valid signature stays unchanged, including its 8-bit content.
    let eight = message("a@good.example", "eight").replace("world", "w\u{f6}rld");
    let eight = signed("dkim", "good.example", &file, &eight);
    let reply = client
        .mail("a@good.example", &["forward@here.example"], &eight)
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let eight = sink.wait_for("Subject: eight").content;
    assert!(
        eight.contains("w\u{f6}rld") && eight.contains("dkim=pass"),
        "{eight}"
    );
    assert_eq!(chain(&record, &eight), "pass", "{eight}");

    let stays = message("a@good.example", "stays");
    let reply = client.mail("a@good.example", &["b@relay.test"], &stays).unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let stays = sink.wait_for("Subject: stays").content;
    assert!(!stays.contains("ARC-Seal"), "{stays}");
}

#[test]
fn a_seal_holds_behind_a_host_that_takes_7_bits() {
    let scratch = tempfile::tempdir().unwrap();
    let (file, record) = key(scratch.path());
    let postfix = Postfix::start(
        &["outside.example"],
        "smtpd_discard_ehlo_keywords = 8bitmime, chunking",
    );
    let unbound = zone(&record);
    let site = site(postfix.port(), &unbound, &file);
    let mut client = site.client();
    client.say("EHLO client.example").unwrap();
    for (shows, body) in [
        ("eight bits", "Gr\u{fc}\u{df}e\r\n".to_owned()),
        ("a long line", format!("{}\r\n", "x".repeat(1_500))),
    ] {
        let content = message("a@good.example", shows).replace("Hello\r\n", &body);
        let reply = client
            .mail("a@good.example", &["forward@here.example"], &content)
            .unwrap();
        assert!(reply.starts_with("250"), "{reply}");
        let line = format!("Subject: {shows}\n");
        wait_until(shows, || postfix.mailbox().contains(&line));
        let mailbox = postfix.mailbox();
        let found = mailbox
            .split("\nFrom ")
            .find(|message| message.contains(&line))
            .unwrap();
        let (_, found) = found.split_once('\n').unwrap();
        assert!(found.is_ascii(), "{found}");
        // The mailbox ends each message with an empty line.
        let found = found.trim_end_matches('\n').replace('\n', "\r\n") + "\r\n";
        assert_eq!(chain(&record, &found), "pass", "{shows}: {found}");
    }
    // Mail signed by somebody else is not converted before it is sealed. After such a host, neither is valid, and the log says
    // so.
    let content = message("a@good.example", "signed by others").replace("Hello\r\n", "Gr\u{fc}\u{df}e\r\n");
    let content = signed("dkim", "good.example", &file, &content);
    let reply = client
        .mail("a@good.example", &["forward@here.example"], &content)
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    wait_until("the signed one", || {
        postfix.mailbox().contains("Subject: signed by others\n")
    });
    site.wait_for_log(&["converted", "broken=2"]);
}
