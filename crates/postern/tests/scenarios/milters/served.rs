//! Mail that goes through the server with filters: SMTP clients on one side, a next hop on the other.

use postern_testkit::milter::{
    ClamAv, MimeDefang, ODD, OpenDkim, PythonMilter, Rspamd, SPAM, SpamAssassin, WORM,
};
use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;
use serde_json::Value;

use super::tables;
use crate::harness::Site;

const AUTHOR: &str = "tester@relay.test";

fn message(subject: &str, body: &str) -> String {
    format!(
        "From: {AUTHOR}\r\nTo: bob@outside.example\r\nSubject: {subject}\r\nDate: Mon, 30 Nov 2026 12:00:00 +0000\r\n\
         Message-ID: <{subject}@relay.test>\r\n\r\n{body}\r\n"
    )
}

/// A running site with these filters whose mail goes to a sink.
fn running(filters: &[(&str, &str)], more: &str) -> (Site, Sink) {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), &tables(filters, more));
    site.start();
    (site, sink)
}

/// Sends a message as the tester and returns the last reply.
fn send(site: &Site, subject: &str, body: &str) -> String {
    let mut tester = site.tester();
    tester
        .mail(AUTHOR, &["bob@outside.example"], &message(subject, body))
        .unwrap()
}

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
    action_add_header('X-Looked-At', "by $SendmailMacros{'j'} for $Sender as $SendmailMacros{'auth_authen'}");
    add_recipient('<extra@outside.example>') if $Subject =~ /copy/;
    action_sm_quarantine('looks odd') if $Subject =~ /odd/;
}
"#;

#[test]
fn mimedefang_adds_drops_rejects_quarantines_and_copies() {
    let mimedefang = MimeDefang::start(MIMEDEFANG);
    let (site, sink) = running(&[("mimedefang", &mimedefang.address())], "");

    assert!(send(&site, "plain", "Hello.").starts_with("250 2."));
    let taken = sink.wait_for("Subject: plain");
    let looked_at = format!("X-Looked-At: by mx.relay.test for <{AUTHOR}> as {AUTHOR}\r\n");
    assert!(taken.content.contains(&looked_at), "{}", taken.content);
    assert!(taken.content.ends_with("\r\n\r\nHello.\r\n"), "{}", taken.content);

    let refused = send(&site, "unwanted", "Hello.");
    assert_eq!(refused.trim_end(), "554 5.7.1 Not here");
    site.wait_for_log(&["milter.reject", "mimedefang", "Not here"]);

    assert!(send(&site, "copy", "Hello.").starts_with("250 2."));
    let taken = sink.wait_for("Subject: copy");
    let to = taken.rcpt.join(" ");
    assert!(
        to.contains("<bob@outside.example>") && to.contains("<extra@outside.example>"),
        "{to}"
    );

    let parts = "--x\r\nContent-Type: text/plain\r\n\r\nHello.\r\n--x\r\nContent-Type: application/octet-stream\r\n\
                 Content-Disposition: attachment; filename=a.exe\r\n\r\nMZ\r\n--x--";
    let mixed = message("program", parts).replacen(
        "\r\n\r\n",
        "\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n",
        1,
    );
    let reply = site
        .tester()
        .mail(AUTHOR, &["bob@outside.example"], &mixed)
        .unwrap();
    assert!(reply.starts_with("250 2."), "{reply}");
    let taken = sink.wait_for("Subject: program");
    assert!(
        taken.content.contains("A program was taken out.") && !taken.content.contains("a.exe"),
        "{}",
        taken.content
    );

    assert!(send(&site, "odd", "Hello.").starts_with("250 2."));
    let held = site.ok(&["queue", "list", "--held", "--json"]);
    assert!(held.contains("looks odd") && held.contains(AUTHOR), "{held}");
    assert!(
        !sink
            .taken()
            .iter()
            .any(|taken| taken.content.contains("Subject: odd"))
    );
    site.ok(&["queue", "release", "--held"]);
    let _ = sink.wait_for("Subject: odd");
    wait_until("an empty queue", || site.queue_is_empty());
}

#[test]
fn what_a_signer_adds_the_next_filter_sees() {
    let signer = OpenDkim::start_signing("relay.test");
    let verifier = signer.start_verifying("mx.relay.test");
    let (site, sink) = running(
        &[("signer", &signer.address()), ("verifier", &verifier.address())],
        "",
    );
    assert!(send(&site, "signed", "Hello.").starts_with("250 2."));
    let taken = sink.wait_for("Subject: signed");
    assert!(
        taken.content.contains("DKIM-Signature: v=1;"),
        "{}",
        taken.content
    );
    assert!(taken.content.contains("dkim=pass"), "{}", taken.content);
}

#[test]
fn scanners_mark_and_refuse() {
    let (clamav, spamassassin, rspamd) = (ClamAv::start(), SpamAssassin::start(), Rspamd::start());
    let (site, sink) = running(
        &[
            ("clamav", &clamav.address()),
            ("spamassassin", &spamassassin.address()),
            ("rspamd", &rspamd.address()),
        ],
        "",
    );
    assert!(send(&site, "clean", "Hello.").starts_with("250 2."));
    let taken = sink.wait_for("Subject: clean");
    for field in ["X-Virus-Status: Clean\r\n", "X-Spam-Status: No, score=0.0"] {
        assert!(taken.content.contains(field), "{field} in {}", taken.content);
    }
    let marked = send(&site, ODD, "Hello.");
    assert!(marked.starts_with("250 2."), "{marked}");
    let taken = sink.wait_for(&format!("Subject: {ODD}"));
    assert!(taken.content.contains("X-Spam: Yes\r\n"), "{}", taken.content);
    // What rspamd would refuse, SpamAssassin would refuse too.
    let (alone, _sink) = running(&[("rspamd", &rspamd.address())], "");
    for (site, subject, body, by) in [
        (&site, "worm", WORM, "clamav"),
        (&site, "spam", SPAM, "spamassassin"),
        (&alone, SPAM, "Hello.", "rspamd"),
    ] {
        let refused = send(site, subject, body);
        assert!(refused.starts_with('5'), "{by}: {refused}");
        site.wait_for_log(&["milter.reject", by]);
    }
}

/// The subject says what the filter does at the end of a message.
const MOODY: &str = r"
class Filter(Recorder):
    @Milter.decode('bytes')
    def header(self, name, value):
        if name == 'Subject':
            self.plan = value.decode()
        return Milter.CONTINUE
    def eom(self):
        self.addheader('X-Changed', '1')
        self.addrcpt('<extra@outside.example>')
        if 'die' in self.plan:
            os._exit(1)
        if 'discard' in self.plan:
            return Milter.DISCARD
        return Milter.CONTINUE
";

#[test]
fn a_failure_is_of_one_message_and_says_what_becomes_of_it() {
    for (on_failure, reply, arrives) in [
        ("tempfail", "451", false),
        ("reject", "550", false),
        ("accept", "250", true),
        ("hold", "250", false),
    ] {
        let mut filter = PythonMilter::start(MOODY);
        let (site, sink) = running(
            &[("moody", filter.address())],
            &format!("on_failure = \"{on_failure}\""),
        );
        // One session for all: a failure never affects the session.
        let mut tester = site.tester();
        let mut mail = |subject: &str| {
            tester
                .mail(AUTHOR, &["bob@outside.example"], &message(subject, "Hello."))
                .unwrap()
        };
        assert!(mail("before").starts_with("250"), "{on_failure}");
        let answer = mail("die");
        assert!(answer.starts_with(reply), "{on_failure}: {answer}");
        filter.restart();
        // The first attempt after it is back may come too early.
        wait_until("the filter to be asked again", || {
            let answer = mail("after");
            answer.starts_with("250")
                && sink.taken().iter().any(|taken| {
                    taken.content.contains("Subject: after") && taken.content.contains("X-Changed")
                })
        });
        site.wait_for_log(&["moody", &format!("milter.failed-{on_failure}")]);
        if on_failure == "hold" {
            let held: Value = serde_json::from_str(&site.ok(&["queue", "list", "--held", "--json"])).unwrap();
            let by = (&held[0]["milter"], &held[0]["rule"]);
            assert_eq!(by, (&"moody".into(), &"milter.failed-hold".into()), "{held}");
            let shown = site.ok(&["queue", "show", held[0]["queue"].as_str().unwrap()]);
            assert!(shown.contains("by filter    moody"), "{shown}");
            site.ok(&["queue", "release", "--held"]);
        }
        if arrives || on_failure == "hold" {
            let taken = sink.wait_for("Subject: die");
            assert!(
                !taken.content.contains("X-Changed") && taken.rcpt.len() == 1,
                "nothing that a failed filter asked for is done: {taken:?}"
            );
        } else {
            let came = sink
                .taken()
                .iter()
                .any(|taken| taken.content.contains("Subject: die"));
            assert!(!came, "{on_failure}");
        }
    }
}

#[test]
fn a_message_that_is_thrown_away_is_told_to_have_been_taken() {
    let filter = PythonMilter::start(MOODY);
    let (site, sink) = running(&[("moody", filter.address())], "");
    assert!(send(&site, "discard", "Hello.").starts_with("250"));
    site.wait_for_log(&["milter.discard", "moody"]);
    assert!(send(&site, "kept", "Hello.").starts_with("250"));
    let _ = sink.wait_for("Subject: kept");
    assert!(site.queue_is_empty() || sink.total() == 1);
    let came = sink
        .taken()
        .iter()
        .any(|taken| taken.content.contains("Subject: discard"));
    assert!(!came);
}

/// The history of a session says which filter did what, as the log does.
#[test]
fn which_filter_decided_is_told_of_the_session() {
    let filter = PythonMilter::start(MOODY);
    let (site, sink) = running(&[("moody", filter.address())], "");
    let mut tester = site.tester();
    for subject in ["mail", "discard"] {
        let reply = tester
            .mail(AUTHOR, &["bob@outside.example"], &message(subject, "Hello."))
            .unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    }
    let _ = sink.wait_for("Subject: mail");
    site.wait_for_log(&["discarded", "milter=moody"]);
    let log = site.log();
    let line = log.lines().find(|line| line.contains("discarded")).unwrap();
    let session = line.split_once("session=").unwrap().1.split(' ').next().unwrap();
    let said: Value = serde_json::from_str(&site.ok(&["explain", "--session", session, "--json"])).unwrap();
    let steps = said["steps"].as_array().unwrap();
    let of_filters: Vec<_> = steps
        .iter()
        .filter(|step| step["milter"] == "moody")
        .map(|step| (step["event"].as_str().unwrap(), step["rule"].as_str().unwrap()))
        .collect();
    let expected = [("filtered", "milter.change"), ("discarded", "milter.discard")];
    assert_eq!(of_filters, expected, "{said:#}");
    let words = site.ok(&["explain", "--session", session]);
    assert!(words.contains("discarded by moody"), "{words}");
}

#[test]
fn conditions_pass_a_filter_by() {
    let filter = PythonMilter::start(MOODY);
    let cases = [
        ("skip_logins = true", false),
        ("skip_strangers = true", true),
        ("skip_networks = [\"127.0.0.0/8\"]", false),
        ("skip_above = \"10 B\"", false),
        ("listeners = [\"mx\"]", false),
        ("listeners = [\"submission\"]", true),
    ];
    for (condition, asked) in cases {
        let (site, sink) = running(&[("moody", filter.address())], condition);
        assert!(send(&site, "mail", "Hello.").starts_with("250"), "{condition}");
        let taken = sink.wait_for("Subject: mail");
        assert_eq!(taken.content.contains("X-Changed"), asked, "{condition}");
    }
}
