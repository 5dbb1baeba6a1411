//! `postern milters` and `postern milters try` with the filters that sites run.

use std::fs;

use postern_testkit::milter::{
    ClamAv, MimeDefang, ODD, OpenDkim, OpenDmarc, PythonMilter, Rspamd, SPAM, SpamAssassin, WORM,
};
use postern_testkit::process::free_port;
use serde_json::{Value, json};

use super::{changes, tables, tried};
use crate::harness::Site;

fn message(subject: &str, body: &str) -> String {
    format!(
        "From: Ann <ann@example.net>\nTo: Bob <bob@example.org>\nSubject: {subject}\nDate: Mon, 30 Nov 2026 12:00:00 +0000\n\
         Message-ID: <1@example.net>\n\n{body}\n"
    )
}

#[test]
fn what_each_filter_wants_is_listed_and_checked() {
    let choosy = PythonMilter::start(
        "FLAGS = Milter.ADDHDRS | Milter.QUARANTINE | 0x100\n\
         class Filter(Recorder):\n    SYMBOLS = {Milter.M_ENVFROM: 'i {auth_authen}'}\n    \
         @Milter.nocallback\n    def hello(self, name): return Milter.CONTINUE\n",
    );
    let dead = free_port();
    let dead = format!("inet:{dead}@localhost");
    let filters = [("choosy", choosy.address()), ("dead", &dead)];
    let more = "skip_above = \"1 MiB\"\non_failure = \"hold\"";
    let site = Site::relay(1, &tables(&filters, more));

    let output = site.run(&["milters", "--json"]);
    assert_eq!(output.status.code(), Some(1), "one does not answer: {output:?}");
    let lines: Value = serde_json::from_slice(&output.stdout).unwrap();
    let choosy = &lines[0];
    assert_eq!(choosy["milter"], "choosy");
    assert_eq!(
        (&choosy["reachable"], &choosy["version"]),
        (&json!(true), &json!(6))
    );
    assert_eq!(choosy["actions"], json!(["add fields", "quarantine"]));
    let steps: Vec<&str> = choosy["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step.as_str().unwrap())
        .collect();
    assert!(
        steps.contains(&"mail") && steps.contains(&"end of message") && !steps.contains(&"helo"),
        "{steps:?}"
    );
    assert_eq!(choosy["symbols"], json!({"mail": ["i", "{auth_authen}"]}));
    assert!(choosy["latency_ms"].as_f64().is_some(), "{choosy}");
    assert_eq!(choosy["passed_by"], json!(["above 1.0 MiB"]));
    assert_eq!(choosy["on_failure"], "hold");
    assert_eq!(lines[1]["reachable"], false);
    let error = lines[1]["error"].as_str().unwrap();
    assert!(error.contains("Connection refused"), "{error}");

    let shown = String::from_utf8(site.run(&["milters"]).stdout).unwrap();
    assert!(
        shown.contains("add fields, quarantine") && shown.contains("Connection refused"),
        "{shown}"
    );

    let explained = site.run(&[
        "explain",
        "--peer",
        "203.0.113.9",
        "--from",
        "ann@example.net",
        "--to",
        "bob@relay.test",
        "--size",
        "2000000",
        "--json",
    ]);
    let explained: Value = serde_json::from_slice(&explained.stdout).unwrap();
    let steps = explained["steps"].as_array().unwrap().iter();
    let steps: Vec<&Value> = steps
        .filter(|step| step["command"].as_str().unwrap().starts_with("filter "))
        .collect();
    assert_eq!(steps.len(), 2, "{explained}");
    for step in steps {
        assert_eq!(step["rule"], "milter.skip-size", "{step}");
        assert!(step["setting"]["line"].as_u64().is_some(), "{step}");
    }

    let output = site.run(&["check"]);
    assert_eq!(output.status.code(), Some(0), "it may answer later: {output:?}");
    let warned = String::from_utf8(output.stderr).unwrap();
    assert!(
        warned.contains("the filter dead") && warned.contains("until then mail is held"),
        "{warned}"
    );
    assert!(!warned.contains("choosy"), "{warned}");
    let output = site.run(&["check", "--offline"]);
    assert!(
        !String::from_utf8_lossy(&output.stderr).contains("the filter dead"),
        "nobody was asked: {output:?}"
    );
}

#[test]
fn python_filters_do_everything_that_filters_can() {
    let filter = PythonMilter::start(
        r"
class Filter(Recorder):
    WATCHED = ['i', 'j', '{daemon_name}', '{client_addr}', '{auth_authen}', '{rcpt_addr}']
    def eom(self):
        self.addheader('X-Added', 'one\n\ttwo')
        self.addheader('X-Top', 'first', 0)
        self.chgheader('Subject', 1, 'another')
        self.chgheader('X-Gone', 1, '')
        self.replacebody('Another body.\nOf two lines.')
        self.addrcpt('<carol@example.org>', 'NOTIFY=NEVER')
        self.addrcpt('<bob@example.org>')
        self.delrcpt('<dan@example.org>')
        self.chgfrom('<new@example.net>')
        return Milter.CONTINUE
",
    );
    let site = Site::relay(1, &tables(&[("python", filter.address())], "skip_logins = true"));
    let original =
        message("one", "Hello.").replace("\n\n", "\nX-Gone: 1\nX-Kept:  two  blanks\n\tand a fold \n\n");
    let out = site.path("out");
    let (code, report) = tried(
        &site,
        "python",
        &original,
        &[
            "--login",
            "tester@relay.test",
            "--client",
            "2001:db8::7",
            "--client-name",
            "pc.example.net",
            "--to",
            "bob@example.org",
            "--to",
            "dan@example.org",
            "--output",
            out.to_str().unwrap(),
        ],
    );
    assert_eq!((code, &report["outcome"]), (0, &json!("through")), "{report}");
    assert_eq!(report["rule"], "milter.skip-login", "the server would not ask it");
    assert_eq!(report["from"], "new@example.net");
    assert_eq!(report["to"], json!(["bob@example.org", "carol@example.org"]));
    let written = fs::read_to_string(&out).unwrap();
    assert_eq!(
        written,
        "X-Top: first\nFrom: Ann <ann@example.net>\nTo: Bob <bob@example.org>\nSubject: another\n\
         Date: Mon, 30 Nov 2026 12:00:00 +0000\nMessage-ID: <1@example.net>\nX-Kept:  two  blanks\n\tand a fold \n\
         X-Added: one\n\ttwo\n\nAnother body.\nOf two lines.\n"
    );
    let notes = filter.notes().join("\n");
    for seen in [
        "'connect' 'pc.example.net'",
        "2001:db8::7",
        "{auth_authen}='tester@relay.test'",
        "{rcpt_addr}='dan@example.org'",
        "j='mx.relay.test'",
        "{daemon_name}='mx'",
        "'header' 'X-Kept' b' two  blanks\\n\\tand a fold '",
    ] {
        assert!(notes.contains(seen), "{seen} in\n{notes}");
    }
}

/// A typical filter of a site.
const MIMEDEFANG: &str = r#"
sub filter_begin {
    action_bounce('Not here', 554, '5.7.1') if $Subject =~ /unwanted/;
}
sub filter {
    my ($entity, $name, $extension, $type) = @_;
    return action_drop_with_warning('A program was taken out.') if $extension eq '.exe';
    return action_accept();
}
sub filter_end {
    my ($entity) = @_;
    action_add_header('X-Looked-At', "by $SendmailMacros{'j'} for $Sender");
    add_recipient('<extra@example.org>') if $Subject =~ /copy/;
    action_sm_quarantine('looks odd') if $Subject =~ /odd/;
}
"#;

#[test]
fn mimedefang() {
    let mimedefang = MimeDefang::start(MIMEDEFANG);
    let site = Site::relay(1, &tables(&[("mimedefang", &mimedefang.address())], ""));
    let looked_at = "add field X-Looked-At by mx.relay.test for <ann@example.net>";

    let (code, report) = tried(&site, "mimedefang", &message("plain", "Hello."), &[]);
    assert_eq!(code, 0, "{report}");
    assert!(
        changes(&report).iter().any(|change| change == looked_at),
        "{report}"
    );

    let (code, report) = tried(&site, "mimedefang", &message("unwanted", "Hello."), &[]);
    assert_eq!((code, &report["outcome"]), (1, &json!("rejected")));
    assert_eq!(report["reason"], "554 5.7.1 Not here");

    let (code, report) = tried(&site, "mimedefang", &message("an odd copy", "Hello."), &[]);
    assert_eq!((code, &report["outcome"]), (1, &json!("held")), "{report}");
    assert_eq!(report["reason"], "looks odd");
    assert_eq!(report["to"], json!(["bob@example.org", "extra@example.org"]));

    let out = site.path("out");
    let parts = "--x\nContent-Type: text/plain\n\nHello.\n--x\nContent-Type: application/octet-stream\n\
                 Content-Disposition: attachment; filename=a.exe\n\nMZ\n--x--";
    let mixed = message("a program", parts).replace(
        "\n\n--x\n",
        "\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\n",
    );
    let (code, report) = tried(&site, "mimedefang", &mixed, &["--output", out.to_str().unwrap()]);
    assert_eq!(code, 0, "{report}");
    let written = fs::read_to_string(&out).unwrap();
    assert!(
        written.contains("A program was taken out.")
            && !written.contains("a.exe")
            && written.contains("Hello."),
        "{written}"
    );
    assert!(
        written.contains("\nX-Looked-At: by mx.relay.test for <ann@example.net>\n"),
        "{written}"
    );
}

#[test]
fn opendkim_signs_and_verifies_and_opendmarc_judges() {
    let signer = OpenDkim::start_signing("example.net");
    let verifier = signer.start_verifying("mx.relay.test");
    let dmarc = OpenDmarc::start("mx.relay.test");
    let filters = [
        ("signer", signer.address()),
        ("verifier", verifier.address()),
        ("dmarc", dmarc.address()),
    ];
    let filters: Vec<(&str, &str)> = filters
        .iter()
        .map(|(name, address)| (*name, address.as_str()))
        .collect();
    let site = Site::relay(1, &tables(&filters, ""));
    let out = site.path("signed");
    let path = out.to_str().unwrap();
    let (code, report) = tried(
        &site,
        "signer",
        &message("signed", "Hello."),
        &["--client", "127.0.0.1", "--output", path],
    );
    assert_eq!(code, 0, "{report}");
    let signed = fs::read_to_string(&out).unwrap();
    assert!(
        signed.starts_with("DKIM-Signature: v=1; a=rsa-sha256;"),
        "{signed}"
    );
    for (message, result) in [
        (signed.clone(), "dkim=pass"),
        (signed.replace("Hello.", "Hullo."), "dkim=fail"),
        (message("not signed", "Hello."), "dkim=none"),
    ] {
        let (code, report) = tried(&site, "verifier", &message, &[]);
        assert_eq!(code, 0, "{report}");
        let results = changes(&report)
            .into_iter()
            .find(|change| change.contains("Authentication-Results mx.relay.test;"));
        let results = results.unwrap_or_else(|| panic!("{report}"));
        assert!(results.contains(result), "{results}");
    }
    let (code, report) = tried(&site, "dmarc", &message("judged", "Hello."), &[]);
    assert_eq!(code, 0, "{report}");
    let judged = changes(&report)
        .iter()
        .any(|change| change.contains("mx.relay.test; dmarc=") && change.contains("header.from=example.net"));
    assert!(judged, "{report}");
}

#[test]
fn clamav_refuses_a_worm() {
    let clamav = ClamAv::start();
    let site = Site::relay(1, &tables(&[("clamav", &clamav.address())], ""));
    let (code, report) = tried(&site, "clamav", &message("clean", "Hello."), &[]);
    assert_eq!(code, 0, "{report}");
    assert!(
        changes(&report).contains(&"add field X-Virus-Status Clean".to_owned()),
        "{report}"
    );
    let (code, report) = tried(&site, "clamav", &message("a worm", WORM), &[]);
    assert_eq!((code, &report["outcome"]), (1, &json!("rejected")), "{report}");
    let reason = report["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("550 5.7.1 Infected with Postern.Test.Worm"),
        "{reason}"
    );
}

#[test]
fn spamassassin_marks_and_refuses() {
    let spamassassin = SpamAssassin::start();
    let site = Site::relay(1, &tables(&[("spam", &spamassassin.address())], ""));
    for (body, code, outcome, change) in [
        (
            "Hello.",
            0,
            "through",
            "add field X-Spam-Status No, score=0.0 required=5.0",
        ),
        (ODD, 0, "through", "add field X-Spam-Flag YES"),
        (SPAM, 1, "rejected", ""),
    ] {
        let (ended, report) = tried(&site, "spam", &message("a question", body), &[]);
        assert_eq!((ended, &report["outcome"]), (code, &json!(outcome)), "{report}");
        let made = changes(&report);
        assert!(
            change.is_empty() || made.iter().any(|made| made == change),
            "{body}: {made:?}"
        );
    }
}

#[test]
fn rspamd_marks_and_refuses() {
    let rspamd = Rspamd::start();
    let site = Site::relay(1, &tables(&[("rspamd", &rspamd.address())], ""));
    for (subject, code, outcome, change) in [
        ("a question", 0, "through", ""),
        (ODD, 0, "through", "X-Spam Yes"),
        (SPAM, 1, "rejected", ""),
    ] {
        let (ended, report) = tried(&site, "rspamd", &message(subject, "Hello."), &[]);
        assert_eq!((ended, &report["outcome"]), (code, &json!(outcome)), "{report}");
        let made = changes(&report);
        assert!(
            change.is_empty() || made.iter().any(|made| made.ends_with(change)),
            "{subject}: {made:?}"
        );
    }
}
