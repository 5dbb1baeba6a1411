//! DKIM: what is signed, with which keys, and that real verifiers accept it.

use std::fs;

use postern_testkit::dkim::{Verified, dkimpy, opendkim};
use postern_testkit::dns::Zone;
use postern_testkit::postfix::Postfix;
use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;
use postern_testkit::smtp::Client;

use crate::harness::Site;

const RULES: &str = "[relay]\nsenders = \"own\"\n[timeouts]\nreverse_lookup = \"0s\"\n";

/// The records of a domain's keys: name and text.
pub(crate) fn records(site: &Site, domain: &str) -> Vec<(String, String)> {
    let told = site.ok(&["dkim", "records", domain, "--json"]);
    let lines: serde_json::Value = serde_json::from_str(&told).unwrap();
    let text = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap().to_owned();
    let lines = lines.as_array().unwrap().iter();
    lines
        .map(|line| (text(line, "name"), text(line, "text")))
        .collect()
}

/// Creates keys for these domains that sign at once.
pub(crate) fn make_keys(site: &Site, domains: &[&str]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for domain in domains {
        site.ok(&["dkim", "new", domain]);
        site.ok(&["dkim", "rotate", domain, "--switch"]);
        all.extend(records(site, domain));
    }
    all
}

fn site(hop: u16, extra: &str) -> (Site, Vec<(String, String)>) {
    let tables = "[[dkim]]\ndomain = \"relay.test\"\nsubdomains = true\n[[dkim]]\ndomain = \"tenant.test\"\n";
    let mut site = Site::relay(hop, &format!("{RULES}{tables}{extra}"));
    site.add_user("other@tenant.test", "other word");
    let records = make_keys(&site, &["relay.test", "tenant.test"]);
    site.start();
    (site, records)
}

pub(crate) fn send(client: &mut Client, from: &str, to: &str, content: &str) {
    let reply = client.mail(from, &[to], content).unwrap();
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
}

/// The selectors of the signatures, with dkimpy's results.
pub(crate) fn judged(content: &str, records: &[(String, String)]) -> Vec<Verified> {
    dkimpy(content.as_bytes(), records)
}

pub(crate) fn both_hold(content: &str, records: &[(String, String)], shows: &str) {
    let found = judged(content, records);
    assert_eq!(found.len(), 2, "{shows}: {content}");
    assert!(found.iter().all(|one| one.holds), "{shows}: {found:?}\n{content}");
    assert!(opendkim(content.as_bytes(), records).holds, "{shows}: {content}");
}

#[test]
fn a_users_mail_is_signed_with_both_keys() {
    let sink = Sink::start();
    let (site, records) = site(sink.port(), "");
    let mut tester = site.tester();
    #[rustfmt::skip]
    let cases = [
        ("with From",              "From: Tester <tester@relay.test>\r\nTo: someone@outside.example\r\nSubject: with From\r\n\r\nHello.\r\n"),
        ("without From and Date",  "Subject: without From and Date\r\n\r\nHello.\r\n"),
        ("dots and blanks",        "From: tester@relay.test\r\nSubject: dots and blanks\r\n\r\n..\r\n. a \t b  \r\n\r\n\r\n"),
        ("no body",                "From: tester@relay.test\r\nSubject: no body\r\n\r\n"),
        ("folded",                 "From: tester@relay.test\r\nSubject: folded\r\n\tand folded again\r\nReferences: <a@b>\r\n <c@d>\r\n\r\nHello.\r\n"),
    ];
    for (shows, content) in cases {
        send(
            &mut tester,
            "tester@relay.test",
            "someone@outside.example",
            content,
        );
        let taken = sink.wait_for(&format!("Subject: {shows}"));
        both_hold(&taken.content, &records, shows);
        assert!(taken.content.starts_with("DKIM-Signature:"), "{}", taken.content);
        // Nothing can be added or changed.
        for (from, to) in [
            ("Subject: ", "Subject: not "),
            ("Subject: ", "From: x@y.example\r\nSubject: "),
            ("Subject: ", "Cc: x@y.example\r\nSubject: "),
        ] {
            let forged = taken
                .content
                .replacen(&format!("\r\n{from}"), &format!("\r\n{to}"), 1);
            assert!(forged != taken.content);
            assert!(
                judged(&forged, &records).iter().all(|one| !one.holds),
                "{shows}: {to}"
            );
        }
    }
    // A large body, which is in a file.
    let lines = "A line of a large message, which is not kept in memory.\r\n".repeat(5_000);
    let content = format!("From: tester@relay.test\r\nSubject: large\r\n\r\n{lines}");
    send(
        &mut tester,
        "tester@relay.test",
        "someone@outside.example",
        &content,
    );
    both_hold(&sink.wait_for("Subject: large").content, &records, "large");
    site.wait_for_log(&["signed", "rule=dkim.signed", "domain=relay.test"]);
}

#[test]
fn who_may_not_send_as_a_domain_is_not_signed() {
    let sink = Sink::start();
    let (site, records) = site(sink.port(), "");
    let mut stranger = site.client();
    stranger.say("EHLO stranger.example").unwrap();
    send(
        &mut stranger,
        "tester@relay.test",
        "someone@relay.test",
        "From: tester@relay.test\r\nSubject: a stranger\r\n\r\nHello.\r\n",
    );
    assert!(
        !sink
            .wait_for("Subject: a stranger")
            .content
            .contains("DKIM-Signature")
    );
    let mut tester = site.tester();
    let reply = tester
        .mail(
            "tester@relay.test",
            &["someone@outside.example"],
            "From: other@tenant.test\r\nSubject: another tenant\r\n\r\nHello.\r\n",
        )
        .unwrap();
    assert!(
        reply.starts_with('5'),
        "another's From is refused before it is signed: {reply}"
    );
    // Each tenant's mail has that tenant's signatures.
    send(
        &mut tester,
        "tester@relay.test",
        "someone@outside.example",
        "From: tester@relay.test\r\nSubject: own\r\n\r\nHello.\r\n",
    );
    let own = sink.wait_for("Subject: own").content;
    both_hold(&own, &records, "own");
    assert!(
        own.contains("d=relay.test") && !own.contains("d=tenant.test"),
        "{own}"
    );
}

#[test]
fn explain_says_which_keys_would_sign() {
    let (site, _) = site(1, "");
    #[rustfmt::skip]
    let cases: [(&str, &[&str], &str); 4] = [
        ("a user",             &["--listener", "submission", "--login", "tester@relay.test", "--to", "x@outside.example"],  "dkim.signed"),
        ("two in one domain",  &["--listener", "submission", "--login", "tester@relay.test", "--to", "x@outside.example",
                                 "--author", "tester@relay.test, tester@RELAY.test"],                                       "dkim.signed"),
        ("a stranger",         &["--listener", "mx", "--to", "x@relay.test"],                                               "dkim.stranger"),
        ("a stranger abroad",  &["--listener", "mx", "--peer", "127.0.0.1", "--to", "x@relay.test", "--author", "a@b.example"], "dkim.stranger"),
    ];
    for (shows, arguments, rule) in cases {
        let mut all = vec!["explain", "--json", "--from", "tester@relay.test"];
        if !arguments.contains(&"--peer") {
            all.extend(["--peer", "127.0.0.1"]);
        }
        all.extend(arguments);
        let told: serde_json::Value = serde_json::from_str(&site.ok(&all)).unwrap();
        let steps = told["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["command"] == "signature");
        assert_eq!(
            step.map(|step| &step["rule"]),
            Some(&rule.into()),
            "{shows}: {told}"
        );
    }
}

#[test]
fn reports_are_signed() {
    let sink = Sink::start();
    let (site, records) = site(sink.port(), "");
    let mut tester = site.tester();
    send(
        &mut tester,
        "tester@relay.test",
        "reject@outside.example",
        "From: tester@relay.test\r\nSubject: no such user\r\n\r\nHello.\r\n",
    );
    let report = sink.wait_for("multipart/report").content;
    assert!(
        report.contains("From: ") && report.contains("d=relay.test"),
        "{report}"
    );
    both_hold(&report, &records, "a report");
}

#[test]
fn a_signature_holds_behind_a_host_that_takes_7_bits() {
    // Postfix as a host that neither accepts 8 bits nor passes on long lines.
    let postfix = Postfix::start(
        &["outside.example"],
        "smtpd_discard_ehlo_keywords = 8bitmime, chunking",
    );
    let (site, records) = site(postfix.port(), "");
    let mut tester = site.tester();
    let long = "x".repeat(1_500);
    #[rustfmt::skip]
    let cases = [
        ("undeclared", "From: tester@relay.test\r\nSubject: undeclared\r\n\r\nGr\u{fc}\u{df}e\r\n".to_owned()),
        ("declared",   "From: tester@relay.test\r\nSubject: declared\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                        Content-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}\u{df}e\r\n".to_owned()),
        ("parts",      "From: tester@relay.test\r\nSubject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\
                        Content-Transfer-Encoding: 8bit\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
                        Content-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}\u{df}e\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b--\r\n".to_owned()),
        ("long line",  format!("From: tester@relay.test\r\nSubject: long line\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n{long}\r\n")),
        ("seven",      "From: tester@relay.test\r\nSubject: seven\r\n\r\nplain\r\n".to_owned()),
    ];
    for (shows, content) in cases {
        send(
            &mut tester,
            "tester@relay.test",
            "someone@outside.example",
            &content,
        );
        let line = format!("Subject: {shows}\n");
        wait_until(shows, || postfix.mailbox().contains(&line));
        let mailbox = postfix.mailbox();
        let message = mailbox
            .split("\nFrom ")
            .find(|message| message.contains(&line))
            .unwrap();
        let (_, message) = message.split_once('\n').unwrap();
        assert!(message.is_ascii(), "{message}");
        // The mailbox ends each message with an empty line.
        let message = message.trim_end_matches('\n').replace('\n', "\r\n") + "\r\n";
        both_hold(&message, &records, shows);
    }
}

#[test]
fn keys_follow_one_another() {
    let sink = Sink::start();
    let mut zone = Zone::start("relay.test", &[]);
    let dns = format!(
        "[dns]\nnameservers = [\"{}\"]\n[[dkim]]\ndomain = \"relay.test\"\n",
        zone.address()
    );
    let mut site = Site::relay(sink.port(), &format!("{RULES}{dns}"));
    site.start();
    let first = site.ok(&["dkim", "new", "relay.test"]);
    assert!(first.contains("_domainkey.relay.test. IN TXT ("), "{first}");
    let again = site.run(&["dkim", "new", "relay.test"]);
    assert_eq!(again.status.code(), Some(73), "{again:?}");
    let waiting = site.run(&["dkim", "rotate", "relay.test"]);
    assert_eq!(waiting.status.code(), Some(1), "{waiting:?}");
    let unpublished = site.run(&["dkim", "check", "relay.test"]);
    assert_eq!(unpublished.status.code(), Some(1), "{unpublished:?}");
    assert!(
        String::from_utf8_lossy(&unpublished.stdout).contains("there is no record"),
        "{unpublished:?}"
    );

    let old = records(&site, "relay.test");
    zone.replace("relay.test", &old);
    // The running server may be faster.
    site.run(&["dkim", "rotate", "relay.test"]);
    site.ok(&["dkim", "check"]);
    let mut tester = site.tester();
    let content = |subject: &str| format!("From: tester@relay.test\r\nSubject: {subject}\r\n\r\nHello.\r\n");
    send(
        &mut tester,
        "tester@relay.test",
        "someone@outside.example",
        &content("with the first keys"),
    );
    both_hold(
        &sink.wait_for("with the first keys").content,
        &old,
        "the first keys",
    );

    site.ok(&["dkim", "rotate", "relay.test"]);
    let all = records(&site, "relay.test");
    assert_eq!(all.len(), 4, "{all:?}");
    send(
        &mut tester,
        "tester@relay.test",
        "someone@outside.example",
        &content("while the next wait"),
    );
    both_hold(
        &sink.wait_for("while the next wait").content,
        &old,
        "the first keys still",
    );
    zone.replace("relay.test", &all);
    site.run(&["dkim", "rotate", "relay.test"]);
    site.ok(&["dkim", "check"]);
    send(
        &mut tester,
        "tester@relay.test",
        "someone@outside.example",
        &content("with the next keys"),
    );
    let new = &all[2..];
    both_hold(&sink.wait_for("with the next keys").content, new, "the next keys");
    let finished = site.ok(&["dkim", "rotate", "relay.test", "--finish"]);
    assert!(finished.contains("can be taken out of DNS"), "{finished}");
    assert_eq!(records(&site, "relay.test"), new);

    // Mismatching records in DNS, and how they are reported.
    let mut broken = new.to_vec();
    broken[0].1 = "v=DKIM1; p=".to_owned();
    broken[1].1 = broken[1].1.replace("v=DKIM1", "v=DKIM1; t=y");
    zone.replace("relay.test", &broken);
    let check = site.run(&["dkim", "check", "--json"]);
    assert_eq!(check.status.code(), Some(1));
    let lines: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(
        (&lines[0]["dns"], &lines[1]["dns"]),
        (&"revoked".into(), &"testing".into()),
        "{lines}"
    );
    let checked = site.run(&["check"]);
    let told = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(told.contains("cannot be verified"), "{told}");
}

#[test]
fn keys_in_files_are_as_strict_as_other_secrets() {
    use std::os::unix::fs::PermissionsExt as _;
    let sink = Sink::start();
    let site = Site::relay(sink.port(), RULES);
    let made = site.ok(&["dkim", "new", "relay.test", "--dir", "keys", "--selector", "one"]);
    assert!(made.contains("[[dkim.key]]\n    selector = \"one\""), "{made}");
    let key = site.path("keys/relay.test.one.pem");
    let config = fs::read_to_string(site.path("postern.toml")).unwrap();
    let table = "[[dkim]]\ndomain = \"relay.test\"\n[[dkim.key]]\nselector = \"one\"\nfile = \"keys/relay.test.one.pem\"\n";
    fs::write(site.path("postern.toml"), config + table).unwrap();
    site.ok(&["check", "--offline"]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let open = site.run(&["check", "--offline"]);
    assert!(
        String::from_utf8_lossy(&open.stderr).contains("chmod 600"),
        "{open:?}"
    );
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, "no key").unwrap();
    let none = site.run(&["check", "--offline"]);
    assert!(
        String::from_utf8_lossy(&none.stderr).contains("no private key in it"),
        "{none:?}"
    );
}

/// The server makes its own changes before it signs: addresses, fields, lines of the body.
#[test]
fn what_is_rewritten_is_signed_as_it_leaves() {
    let sink = Sink::start();
    let rules = "[[rewrite]]\nname = \"people\"\nclasses = [\"envelope_sender\", \"header_sender\"]\n\
        table = \"inline:{tester@relay.test=the.tester@relay.test}\"\n\
        [[header_check]]\nname = \"mailer\"\nfields = [\"X-Mailer\"]\nverdict = \"replace\"\nwith = \"X-Client: hidden\"\n\
        [[header_check]]\nname = \"words\"\nparts = [\"body\"]\npattern = \"^old (.*)$\"\nverdict = \"replace\"\nwith = \"new $1\"\n";
    let (site, records) = site(sink.port(), rules);
    let mut tester = site.tester();
    let large = "a line of text that is repeated until the body lies in a file\r\n".repeat(2_000);
    for (shows, body) in [
        ("small", "old line\r\n".to_owned()),
        ("large", format!("old line\r\n{large}")),
    ] {
        let text =
            format!("From: Tester <tester@relay.test>\r\nX-Mailer: 1\r\nSubject: {shows}\r\n\r\n{body}");
        send(&mut tester, "tester@relay.test", "someone@outside.example", &text);
        let taken = sink.wait_for(&format!("Subject: {shows}"));
        let start: String = taken.content.chars().take(3_000).collect();
        assert!(
            taken.mail.starts_with("<the.tester@relay.test>"),
            "{}",
            taken.mail
        );
        assert!(
            start.contains("From: Tester <the.tester@relay.test>\r\nX-Client: hidden\r\n"),
            "{start}"
        );
        assert!(start.contains("\r\n\r\nnew line\r\n"), "{start}");
        both_hold(&taken.content, &records, shows);
    }
}
