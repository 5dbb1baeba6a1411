//! Judging strangers' mail: a real name server, signatures by dkimpy, SPF compared with pyspf.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use postern_testkit::process::program;
use postern_testkit::sink::Sink;
use postern_testkit::unbound::Unbound;

use crate::harness::Site;

/// Signs what it reads: `sign.py dkim|arc DOMAIN KEY [EXTRA]`.
const SIGN: &str = r#"
import sys, dkim
what, domain, key = sys.argv[1:4]
message = sys.stdin.buffer.read()
key = open(key, "rb").read()
if what == "dkim":
    out = dkim.sign(message, b"sel", domain.encode(), key, canonicalize=(b"relaxed", b"simple"))
else:
    out = b"".join(dkim.arc_sign(message, b"sel", domain.encode(), key, domain.encode()))
sys.stdout.buffer.write(out + message)
"#;

/// Prints pyspf's result for `IP SENDER HELO` in each line it reads.
const SPF: &str = r#"
import sys, dns.resolver, spf
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers = ["127.0.0.1"]
resolver.port = int(sys.argv[1])
dns.resolver.default_resolver = resolver
for line in sys.stdin:
    ip, sender, helo = line.split()
    print(spf.check2(i=ip, s=sender, h=helo)[0])
"#;

pub(crate) fn python(script: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program("/usr/bin/python3", "python3"))
        .args(["-c", script])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "install python3-dkim, python3-spf and python3-dnspython? {errors}"
    );
    output.stdout
}

/// A key made by openssl: the file, and the text of its record.
pub(crate) fn key(folder: &Path) -> (String, String) {
    let file = folder.join("dkim.pem").display().to_string();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    openssl(&["genrsa", "-traditional", "-out", &file, "2048"]);
    let public = openssl(&["rsa", "-in", &file, "-pubout"]);
    let p: String = public.lines().filter(|line| !line.starts_with('-')).collect();
    (file, format!("v=DKIM1; k=rsa; p={p}"))
}

pub(crate) fn message(from: &str, subject: &str) -> String {
    format!(
        "From: A <{from}>\r\nTo: b@relay.test\r\nSubject: {subject}\r\nDate: Tue, 1 Dec 2026 10:00:00 +0000\r\nMessage-ID: <{subject}@x.example>\r\n\r\nHello\r\n\r\nworld\r\n"
    )
}

pub(crate) fn signed(what: &str, domain: &str, key: &str, message: &str) -> String {
    String::from_utf8(python(SIGN, &[what, domain, key], message.as_bytes())).unwrap()
}

pub(crate) const ACTIONS: &str = "[judge]\nchecks = [\"spf\", \"dkim\", \"dmarc\", \"arc\"]\n\
    dmarc_quarantine = \"hold\"\ndmarc_permerror = \"reject\"\ndmarc_temperror = \"reject\"\nspf_permerror = \"reject\"\n\
    arc_trusted = [\"forwarder.example\"]\n";

#[test]
fn strangers_are_judged() {
    let scratch = tempfile::tempdir().unwrap();
    let (file, record) = key(scratch.path());
    let unbound = Unbound::start(&format!(
        "good.example TXT v=spf1 ip4:127.0.0.1 -all
         sel._domainkey.good.example TXT {record}
         sel._domainkey.forwarder.example TXT {record}
         _dmarc.good.example TXT v=DMARC1; p=reject
         _dmarc.strict.example TXT v=DMARC1; p=reject
         _dmarc.quarantine.example TXT v=DMARC1; p=quarantine
         failing.example TXT v=spf1 -all
         broken.example TXT v=spf1 moo -all
         busy.example SERVFAIL"
    ));
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), &format!("{}{ACTIONS}", unbound.configuration()));
    site.start();
    let mut client = site.client();
    client.say("EHLO client.example").unwrap();

    // Valid mail, signed by other software; results forged in our name are removed, and nothing else.
    let good = signed("dkim", "good.example", &file, &message("a@good.example", "good"));
    let forged = "Authentication-Results: mx.relay.test; dmarc=pass header.from=boss.example\r\n\
                  Authentication-Results: mx.other.example; spf=pass\r\nX-Postern-Judged: fine\r\n";
    let reply = client
        .mail("a@good.example", &["b@relay.test"], &format!("{forged}{good}"))
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let taken = sink.wait_for("Subject: good").content;
    let (top, rest) = taken
        .split_once("Authentication-Results: mx.relay.test;")
        .unwrap();
    assert!(top.starts_with("Received:"), "{taken}");
    for result in [
        "spf=pass",
        "dkim=pass",
        "header.d=good.example",
        "dmarc=pass",
        "arc=none",
    ] {
        assert!(rest.contains(result), "{result}: {taken}");
    }
    assert!(
        !rest.contains("mx.relay.test; dmarc") && !taken.contains("boss.example"),
        "{taken}"
    );
    assert!(
        rest.contains("Authentication-Results: mx.other.example; spf=pass"),
        "{taken}"
    );
    assert!(!taken.contains("X-Postern-Judged"), "{taken}");
    site.wait_for_log(&["judged", "author=good.example", "dmarc=pass", "action=nothing"]);

    // A large body is hashed as it arrives.
    let large = message("a@good.example", "large").replace("world", &"0123456789 abcdef\r\n".repeat(200_000));
    let large = signed("dkim", "good.example", &file, &large);
    let reply = client
        .mail("x@nobody.example", &["b@relay.test"], &large)
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let taken = sink.wait_for("Subject: large").content;
    let head = &taken[..taken.find("Subject: large").unwrap()];
    assert!(
        head.contains("dkim=pass") && head.contains("dmarc=pass") && head.contains("spf=none"),
        "{head}"
    );

    #[rustfmt::skip]
    let cases = [
        // what the case shows     sender                 message                                                        reply                 log
        ("forged",                 "x@failing.example",   message("a@strict.example", "forged"),                         "550 5.7.26",         "rule=dmarc.reject"),
        ("two authors",            "a@good.example",      format!("From: x@strict.example\r\n{}", message("a@good.example", "two")), "550 5.7.1", "rule=dmarc.permerror"),
        ("DNS gives no answer",    "a@good.example",      message("a@busy.example", "busy"),                             "451 4.7.1",          "rule=dmarc.temperror"),
        ("a record with a mistake", "a@broken.example",   message("a@broken.example", "broken"),                         "550 5.7.24",         "rule=spf.permerror"),
        ("a body that is another", "x@nobody.example",    good.replace("world", "World"),                                "550 5.7.26",         "rule=dmarc.reject"),
    ];
    for (shows, sender, message, want, rule) in cases {
        let reply = client.mail(sender, &["b@relay.test"], &message).unwrap();
        assert!(reply.starts_with(want), "{shows}: {reply}");
        site.wait_for_log(&["refused", rule]);
    }

    let reply = client
        .mail(
            "x@failing.example",
            &["b@relay.test"],
            &message("a@nopolicy.example", "marked"),
        )
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let marked = sink.wait_for("Subject: marked").content;
    assert!(marked.contains("X-Postern-Judged: spf.fail; "), "{marked}");

    let reply = client
        .mail(
            "x@nobody.example",
            &["b@relay.test"],
            &message("a@quarantine.example", "held"),
        )
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    assert!(site.ok(&["queue", "list", "--json"]).contains("dmarc.quarantine"));

    // A trusted forwarder says that the message had passed there; its list changed the subject.
    let forwarded = message("a@strict.example", "forwarded");
    let forwarded = format!(
        "Authentication-Results: forwarder.example; dmarc=pass header.from=strict.example\r\n{forwarded}"
    );
    let sealed = signed("arc", "forwarder.example", &file, &forwarded);
    let reply = client
        .mail("list@forwarder.example", &["b@relay.test"], &sealed)
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let taken = sink.wait_for("Subject: forwarded").content;
    assert!(taken.contains("arc=pass"), "{taken}");
    site.wait_for_log(&["judged", "rule=arc.vouched", "arc=pass"]);

    // Authenticated users are not judged, and cannot forge results.
    let mut tester = site.tester();
    let claims = "Authentication-Results: MX.relay.test. 1; dmarc=pass\r\nX-Postern-Judged: fine\r\n\
                  Authentication-Results: mx.other.example; dmarc=pass\r\n";
    let own = format!("{claims}{}", message("tester@relay.test", "own"));
    let reply = tester
        .mail("tester@relay.test", &["b@outside.example"], &own)
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let own = sink.wait_for("Subject: own").content;
    assert!(
        !own.to_lowercase().contains("mx.relay.test. 1") && !own.contains("X-Postern-Judged"),
        "{own}"
    );
    assert!(own.contains("Authentication-Results: mx.other.example"), "{own}");

    // The session remembers its verdicts.
    let log = site.log();
    let line = log
        .lines()
        .find(|line| line.contains("rule=dmarc.temperror"))
        .unwrap();
    let session = line
        .split("session=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .unwrap();
    let past = site.ok(&["explain", "--session", session]);
    for word in ["dmarc.reject", "spf.permerror", "arc.vouched"] {
        assert!(past.contains(word), "{word}: {past}");
    }
}

#[test]
fn a_message_in_a_file_is_judged_and_spf_says_what_pyspf_says() {
    let scratch = tempfile::tempdir().unwrap();
    let (file, record) = key(scratch.path());
    let records = [
        ("v=spf1 ip4:192.0.2.0/24 -all", "pass"),
        ("v=spf1 a:host.example -all", "pass"),
        ("v=spf1 mx:host.example ~all", "pass"),
        ("v=spf1 ip4:198.51.100.1 -all", "fail"),
        ("v=spf1 include:fails.example ?all", "neutral"),
        ("v=spf1 redirect=fails.example", "fail"),
        ("v=spf1 ?all redirect=fails.example", "neutral"),
        ("v=spf1 exists:%{ir}.%{v}.list.example -all", "pass"),
        ("v=spf1 exists:%{l1r-}.users.example -all", "pass"),
        ("v=spf1 ip4:192.0.2.0/24 ip4:moo", "permerror"),
        ("v=spf1 a:n1.example a:n2.example a:n3.example -all", "permerror"),
        ("v=spf1 include:loop.example -all", "permerror"),
        ("v=spf1 -all:moo", "permerror"),
    ];
    let mut zone = format!(
        "host.example A 192.0.2.7
         host.example MX 10 host.example.
         fails.example TXT v=spf1 -all
         loop.example TXT v=spf1 include:loop.example -all
         7.2.0.192.in-addr.list.example A 127.0.0.2
         first.users.example A 127.0.0.2
         sel._domainkey.good.example TXT {record}
         _dmarc.good.example TXT v=DMARC1; p=reject\n"
    );
    let mut asked = String::new();
    for (number, (record, _)) in records.iter().enumerate() {
        zone.push_str(&format!("case{number}.example TXT {record}\n"));
        asked.push_str(&format!(
            "192.0.2.7 first-last@case{number}.example client.example\n"
        ));
    }
    let unbound = Unbound::start(&zone);
    let site = Site::relay(1, &format!("{}{ACTIONS}", unbound.configuration()));
    let good = signed("dkim", "good.example", &file, &message("a@good.example", "good"));
    fs::write(site.path("good.eml"), &good).unwrap();

    let theirs = python(SPF, &[&unbound.port().to_string()], asked.as_bytes());
    let theirs = String::from_utf8(theirs).unwrap();
    for ((number, (record, want)), theirs) in records.iter().enumerate().zip(theirs.lines()) {
        let sender = format!("first-last@case{number}.example");
        let output = site.run(&[
            "judge",
            "good.eml",
            "--peer",
            "192.0.2.7",
            "--helo",
            "client.example",
            "--from",
            &sender,
            "--json",
        ]);
        let ours: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((ours["spf"].as_str(), theirs), (Some(*want), *want), "{record}");
        assert_eq!(ours["dmarc"], "pass", "the signature holds");
    }
    let unix = good.replace("\r\n", "\n").replace("world", "World");
    let output = site.run_with(&["judge", "-", "--peer", "192.0.2.7"], &unix);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("body hash did not verify") && told.contains("550 5.7.26"),
        "{told}"
    );

    // The result of a whole session.
    let of = |arguments: &[&str]| {
        let mut all = vec!["explain", "--json", "--message", "-", "--to", "b@relay.test"];
        all.extend(arguments);
        let output = site.run_with(&all, &unix);
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), told)
    };
    let (code, told) = of(&["--peer", "192.0.2.7", "--listener", "mx"]);
    assert_eq!(
        (code, &told["decided"]),
        (Some(1), &"dmarc.reject".into()),
        "{told}"
    );
    let step = |command: &str| {
        let steps = told["steps"].as_array().unwrap().iter();
        let step = steps.clone().find(|step| step["command"] == command);
        step.unwrap_or_else(|| panic!("{command}: {told}")).clone()
    };
    for (command, rule, allowed, reason) in [
        (
            "DMARC",
            "dmarc.reject",
            false,
            "dmarc=fail (p=reject) header.from=good.example: reject",
        ),
        (
            "SPF",
            "spf.none",
            true,
            "spf=none smtp.helo=client.example: nothing",
        ),
        ("DKIM", "dkim.fail", true, "body hash did not verify"),
        ("ARC", "judge.passed", true, "arc=none"),
    ] {
        let step = step(command);
        assert_eq!(
            (&step["rule"], &step["allowed"]),
            (&rule.into(), &allowed.into()),
            "{step}"
        );
        assert!(step["reason"].as_str().unwrap().contains(reason), "{step}");
    }
    let (_, login) = of(&[
        "--peer",
        "127.0.0.1",
        "--listener",
        "submission",
        "--login",
        "tester@relay.test",
    ]);
    let commands: Vec<_> = login["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["command"].as_str().unwrap())
        .collect();
    assert!(!commands.contains(&"DMARC"), "logins are not judged: {login}");
    assert!(commands.contains(&"From: A <a@good.example>"), "{login}");
}
