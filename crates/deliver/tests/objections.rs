//! Hosts that refuse what they offer: mail is sent without what is optional, but never without what it needs.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::{Bench, CONTENT, Host, envelope, shown, to_ports};
use postern_mail::{BodyKind, Envelope, Notify, Ret};

const HELLO: &str = "S 220 mx.test\nC EHLO relay.test\nS 250-mx.test\n";
const REST: &str = "C RCPT TO:<b@x.test>\nS 250 ok\nC DATA\nS 354 go\nBODY\nS 250 2.0.0 done\n";

/// An envelope with all optional parameters.
fn courteous() -> Envelope {
    let mut envelope = envelope("a@example.org", &["b@x.test"]);
    envelope.ret = Some(Ret::Headers);
    envelope.envid = Some("id".into());
    envelope.auth = Some("a@example.org".into());
    envelope.body = BodyKind::EightBitMime;
    envelope
}

fn asking(on: &[&str]) -> Notify {
    Notify::On {
        success: on.contains(&"success"),
        failure: on.contains(&"failure"),
        delay: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_of_mail_that_is_refused_is_left_out() {
    for (offer, parameter) in [
        ("AUTH PLAIN", " AUTH=a@example.org"),
        ("SIZE 100000", " SIZE="),
        ("8BITMIME", " BODY=8BITMIME"),
        ("DSN", " RET=HDRS ENVID=id"),
    ] {
        for refusal in [
            "500 what",
            "501 5.5.4 syntax",
            "503 5.5.1 order",
            "504 parameter",
            "550 no",
            "555 5.5.4 parameters",
        ] {
            let script = format!(
                "{HELLO}S 250 {offer}\nC MAIL FROM:<a@example.org>{parameter}\nS {refusal}\nC MAIL FROM:<a@example.org>\nS 250 ok\n{REST}EOF"
            );
            let host = Host::start(&[&script]).await;
            let bench = Bench::start(to_ports(&[host.port]));
            let id = bench.put_envelope(courteous(), CONTENT.as_bytes()).await;
            let history = bench.outcomes(id, 1).await;
            assert_eq!(
                shown(&history),
                ["b@x.test delivered 2.0.0 250 2.0.0 done"],
                "{offer}, {refusal}"
            );
            assert_eq!(history[0].attempts, 1, "{offer}, {refusal}");
            let asked: Vec<_> = host
                .lines()
                .into_iter()
                .filter(|line| line.starts_with("MAIL"))
                .collect();
            assert_eq!(asked[1], "MAIL FROM:<a@example.org>", "{offer}, {refusal}");
            assert_eq!(host.connections(), 1, "{offer}, {refusal}");
            bench.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_helped_once_is_done_at_once_in_the_same_session() {
    let script = format!(
        "{HELLO}S 250 SIZE\nC MAIL FROM:<a@example.org> SIZE=\nS 501 syntax\nC MAIL FROM:<a@example.org>\nS 250 ok\n{REST}\
         C MAIL FROM:<a@example.org>\nS 250 ok\n{REST}EOF"
    );
    let host = Host::start(&[&script]).await;
    let bench = Bench::start(to_ports(&[host.port]));
    for _ in 0..2 {
        let id = bench.put("a@example.org", &["b@x.test"], CONTENT).await;
        bench.outcomes(id, 1).await;
    }
    let asked = host.lines();
    let asked = asked.iter().filter(|line| line.starts_with("MAIL"));
    assert_eq!(asked.count(), 3, "{:?}", host.lines());
    bench.stop().await;
}

/// Tried again it refuses again; and if it then closes the connection, its first refusal counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_without_parameters_is_the_answer() {
    let mail = "S 250 SIZE\nC MAIL FROM:<> SIZE=\nS 550 not you\n";
    let again = "C MAIL FROM:<>\n";
    #[rustfmt::skip]
    let cases = [
        ("once more",        format!("{HELLO}{mail}{again}S 550 never you\nEOF"),              "b@x.test bounced 5.0.0 550 never you"),
        ("it has enough",    format!("{HELLO}{mail}{again}S 421 bye"),                          "b@x.test bounced 5.0.0 550 not you"),
        ("it closes",        format!("{HELLO}{mail}{again}"),                                   "b@x.test bounced 5.0.0 550 not you"),
        ("it says why",      format!("{HELLO}S 250 SIZE\nC MAIL\nS 550 5.7.1 listed\nEOF"),     "b@x.test bounced 5.7.1 550 5.7.1 listed"),
        ("nothing to drop",  format!("{HELLO}S 250 HELP\nC MAIL\nS 550 not you\nEOF"),          "b@x.test bounced 5.0.0 550 not you"),
        ("too large",        format!("{HELLO}S 250 SIZE\nC MAIL\nS 552 too large\nEOF"),        "b@x.test bounced 5.3.4 552 too large"),
    ];
    for (shows, script, expected) in cases {
        let host = Host::start(&[&script]).await;
        let bench = Bench::start(to_ports(&[host.port]));
        let id = bench.put("", &["b@x.test"], CONTENT).await;
        let history = bench.outcomes(id, 1).await;
        assert_eq!(shown(&history), [expected], "{shows}");
        assert_eq!(host.connections(), 1, "{shows}");
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_message_needs_is_never_left_out() {
    let script = format!(
        "{HELLO}S 250-SIZE\nS 250 8BITMIME\nC MAIL FROM:<a@example.org> SIZE=\nS 555 parameters\n\
         C MAIL FROM:<a@example.org> BODY=8BITMIME\nS 555 parameters\nEOF"
    );
    let host = Host::start(&[&script]).await;
    let mut settings = to_ports(&[host.port]);
    settings.limits.messages_per_connection = 1;
    let bench = Bench::start(settings);
    // One in memory, and one of which only the header is examined first.
    for filler in [0, 200_000] {
        let content = format!(
            "Subject: x\r\n\r\nGr\u{fc}\u{df}e\r\n{}",
            "x\r\n".repeat(filler / 3)
        );
        // With a sender, since mail without one is sent again in a plainer form; and no report to it.
        let mut envelope = envelope("a@example.org", &["b@x.test"]);
        envelope.body = BodyKind::EightBitMime;
        envelope.recipients[0].notify = Notify::Never;
        let id = bench.put_envelope(envelope, content.as_bytes()).await;
        let history = bench.outcomes(id, 1).await;
        assert_eq!(
            shown(&history),
            ["b@x.test bounced 5.5.4 555 parameters"],
            "{filler}"
        );
    }
    assert!(
        host.lines()
            .iter()
            .all(|line| !line.starts_with("MAIL") || line.contains("BODY=8BITMIME")),
        "{:?}",
        host.lines()
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_for_reports_that_are_refused_are_left_out() {
    let offer = "S 250-PIPELINING\nS 250 DSN\n";
    let script = format!(
        "{HELLO}{offer}C MAIL FROM:<a@example.org> RET=HDRS\nC RCPT TO:<b@x.test> NOTIFY=SUCCESS\nC RCPT TO:<c@x.test>\nC DATA\n\
         S 250 ok\nS 555 5.5.4 parameters\nS 250 ok\nS 354 go\nBODY\nS 250 2.0.0 one\n\
         C MAIL FROM:<a@example.org>\nC RCPT TO:<b@x.test>\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nBODY\nS 250 2.0.0 two\n\
         C MAIL FROM:<>\nC RCPT TO:<a@example.org>\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nBODY\nS 250 2.0.0 three\nEOF"
    );
    let host = Host::start(&[&script]).await;
    let bench = Bench::start(to_ports(&[host.port]));
    let mut envelope = envelope("a@example.org", &["b@x.test", "c@x.test"]);
    envelope.ret = Some(Ret::Headers);
    envelope.recipients[0].notify = asking(&["success", "failure"]);
    let id = bench.put_envelope(envelope, CONTENT.as_bytes()).await;
    let history = bench.outcomes(id, 2).await;
    assert_eq!(
        shown(&history),
        [
            "b@x.test delivered 2.0.0 250 2.0.0 two",
            "c@x.test delivered 2.0.0 250 2.0.0 one"
        ]
    );
    // The host was not asked for a report, so this server makes it.
    postern_testkit::process::wait_until("the report", || host.bodies().len() == 3);
    let report = String::from_utf8(host.bodies().pop().unwrap()).unwrap();
    assert!(report.contains("Action: relayed"), "{report}");
    assert!(
        report.contains("b@x.test") && !report.contains("c@x.test"),
        "{report}"
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_mailbox_is_unknown_without_wishes_too() {
    let script = format!(
        "{HELLO}S 250 DSN\nC MAIL\nS 250 ok\nC RCPT TO:<b@x.test> NOTIFY=NEVER\nS 550 no such user\nC RSET\nS 250 ok\n\
         C MAIL\nS 250 ok\nC RCPT TO:<b@x.test>\nS 550 no such user\nC RSET\nS 250 ok\nEOF"
    );
    let host = Host::start(&[&script]).await;
    let bench = Bench::start(to_ports(&[host.port]));
    let mut envelope = envelope("a@example.org", &["b@x.test"]);
    envelope.recipients[0].notify = Notify::Never;
    let id = bench.put_envelope(envelope, CONTENT.as_bytes()).await;
    let history = bench.outcomes(id, 1).await;
    assert_eq!(shown(&history), ["b@x.test bounced 5.1.1 550 no such user"]);
    host.lines();
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_by_data_to_a_host_that_does_not_know_bdat() {
    let length =
        "Received: from test by relay.test; Sun, 22 Nov 2026 09:30:20 +0000\r\n".len() + CONTENT.len();
    let offer = "S 250-PIPELINING\nS 250 CHUNKING\n";
    let envelope = "C MAIL\nC RCPT\n";
    let eats = format!("C BDAT\nCHUNK {length}\nS 250 ok\nS 250 ok\n");
    let data =
        format!("{HELLO}{offer}{envelope}C DATA\nS 250 ok\nS 250 ok\nS 354 go\nBODY\nS 250 2.0.0 done\nEOF");
    #[rustfmt::skip]
    let cases = [
        ("the chunk is read",            format!("{HELLO}{offer}{envelope}{eats}S 502 5.5.1 not implemented\nEOF")),
        ("out of order",                 format!("{HELLO}{offer}{envelope}{eats}S 503 5.5.1 order\nEOF")),
        ("not recognised",               format!("{HELLO}{offer}{envelope}{eats}S 500 what\nEOF")),
        ("taken for commands",           format!("{HELLO}{offer}{envelope}C BDAT\nS 250 ok\nS 250 ok\nS 500 what\\r\\n500 what\\r\\n500 what\nEOF")),
    ];
    for (shows, first) in cases {
        // By the third connection this is known about the host.
        let host = Host::start(&[&first, &data, &data]).await;
        let mut settings = to_ports(&[host.port]);
        settings.limits.messages_per_connection = 1;
        let bench = Bench::start(settings);
        for connections in [2, 3] {
            let id = bench.put("a@example.org", &["b@x.test"], CONTENT).await;
            let history = bench.outcomes(id, 1).await;
            assert_eq!(
                shown(&history),
                ["b@x.test delivered 2.0.0 250 2.0.0 done"],
                "{shows}"
            );
            assert_eq!(history[0].attempts, 1, "{shows}");
            assert_eq!(host.connections(), connections, "{shows}");
        }
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_on_a_used_connection_is_asked_for_on_a_fresh_one() {
    for refusal in [
        "450 4.7.0 too many for one connection",
        "550 5.7.1 one is enough",
        "421 4.7.0 bye",
    ] {
        let take = format!("C MAIL\nS 250 ok\n{REST}");
        let used = format!("{HELLO}S 250 HELP\n{take}C MAIL\nS {refusal}\nEOF");
        let fresh = format!("{HELLO}S 250 HELP\n{take}EOF");
        let host = Host::start(&[&used, &fresh]).await;
        let bench = Bench::start(to_ports(&[host.port]));
        for _ in 0..2 {
            let id = bench.put("a@example.org", &["b@x.test"], CONTENT).await;
            let history = bench.outcomes(id, 1).await;
            assert_eq!(
                shown(&history),
                ["b@x.test delivered 2.0.0 250 2.0.0 done"],
                "{refusal}"
            );
            assert_eq!(history[0].attempts, 1, "{refusal}");
        }
        assert_eq!(host.connections(), 2, "{refusal}");
        bench.stop().await;
    }
}

/// A new connection decides, and there is no third.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_on_a_fresh_connection_is_the_answer() {
    let used = format!("{HELLO}S 250 HELP\nC MAIL\nS 250 ok\n{REST}C MAIL\nS 550 5.1.8 who\nEOF");
    let fresh = format!("{HELLO}S 250 HELP\nC MAIL\nS 550 5.1.8 who\nEOF");
    let host = Host::start(&[&used, &fresh]).await;
    let bench = Bench::start(to_ports(&[host.port]));
    let id = bench.put("", &["b@x.test"], CONTENT).await;
    bench.outcomes(id, 1).await;
    let id = bench.put("", &["b@x.test"], CONTENT).await;
    assert_eq!(
        shown(&bench.outcomes(id, 1).await),
        ["b@x.test bounced 5.1.8 550 5.1.8 who"]
    );
    assert_eq!(host.connections(), 2);
    bench.stop().await;
}

/// RFC 5321 section 4.5.3.1.10: surplus recipients go in further transactions at once, and later ones stay within the limit.
#[tokio::test(flavor = "multi_thread")]
async fn recipients_beyond_the_hosts_limit_go_at_once() {
    for refusal in [
        "452 4.5.3 Too many recipients",
        "452 no more",
        "552 Too many recipients",
        "552 5.5.3 Too many recipients",
        "550 5.5.3 Too many recipients",
        "451 4.5.3 Too many recipients",
    ] {
        let pair = |one, two| {
            format!(
                "C MAIL\nC RCPT TO:<{one}@\nC RCPT TO:<{two}@\nC DATA\nS 250 ok\nS 250 ok\nS 250 ok\nS 354 go\nBODY\nS 250 2.0.0 done\n"
            )
        };
        let script = format!(
            "{HELLO}S 250 PIPELINING\nC MAIL\nC RCPT TO:<a@\nC RCPT TO:<b@\nC RCPT TO:<c@\nC RCPT TO:<d@\nC RCPT TO:<e@\nC RCPT TO:<f@\nC DATA\n\
             S 250 ok\nS 250 ok\nS 250 ok\nS {refusal}\nS {refusal}\nS {refusal}\nS {refusal}\nS 354 go\nBODY\nS 250 2.0.0 done\n{}{}EOF",
            pair("c", "d"),
            pair("e", "f")
        );
        let host = Host::start(&[&script]).await;
        let bench = Bench::start(to_ports(&[host.port]));
        let all = [
            "a@x.test", "b@x.test", "c@x.test", "d@x.test", "e@x.test", "f@x.test",
        ];
        let id = bench.put("a@example.org", &all, CONTENT).await;
        let history = bench.outcomes(id, 6).await;
        assert!(
            history
                .iter()
                .all(|entry| entry.attempts == 1 && entry.attempt.reply == "250 2.0.0 done"),
            "{refusal}: {history:?}"
        );
        assert_eq!(host.lines().len(), 1 + 8 + 4 + 4, "{refusal}");
        assert_eq!(host.connections(), 1, "{refusal}");
        bench.stop().await;
    }
}
