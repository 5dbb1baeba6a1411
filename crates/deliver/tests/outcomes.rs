//! What happens to mail with hosts of all kinds of behaviour: outcomes, retries, reports.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::time::{Duration, Instant};

use common::{Bench, CONTENT, Host, envelope, rule, settings, shown, to_ports};
use postern_deliver::Settings;
use postern_mail::{BodyKind, Notify, Ret};
use postern_smtp::client::needs::EightBit;
use postern_spool::{RecipientState, Spool as _};
use postern_testkit::sink::Sink;

const HELLO: &str = "S 220 mx.test\nC EHLO relay.test\nS 250-mx.test\nS 250-PIPELINING\nS 250 8BITMIME\n";

/// A host that says hello and then follows `rest`.
fn hello(rest: &str) -> String {
    format!("{HELLO}{rest}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_arrives_as_it_was_sent() {
    let sink = Sink::start();
    let bench = Bench::start(to_ports(&[sink.port()]));
    let id = bench
        .put("a@example.org", &["b@one.test", "c@two.test"], CONTENT)
        .await;
    let history = bench.outcomes(id, 2).await;
    assert_eq!(
        shown(&history),
        [
            "b@one.test delivered 2.0.0 250 2.0.0 taken",
            "c@two.test delivered 2.0.0 250 2.0.0 taken"
        ]
    );
    assert_eq!(history[0].attempt.relay, format!("127.0.0.1:{}", sink.port()));
    let taken = sink.taken();
    assert_eq!(
        taken.len(),
        1,
        "one transaction for all recipients of the same next hop"
    );
    assert_eq!(taken[0].rcpt, ["<b@one.test>", "<c@two.test>"]);
    assert!(
        taken[0].mail.starts_with("<a@example.org> SIZE="),
        "{}",
        taken[0].mail
    );
    assert!(taken[0].content.starts_with("Received: from test") && taken[0].content.ends_with(CONTENT));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_arrives_as_it_was_sent() {
    let sink = Sink::start();
    let bench = Bench::start(to_ports(&[sink.port()]));
    let content = format!(
        "Subject: large\r\n\r\n{}",
        ".a line with a dot\r\n..\r\n".repeat(50_000)
    );
    let id = bench.put("a@example.org", &["b@one.test"], &content).await;
    bench.outcomes(id, 1).await;
    assert!(sink.taken()[0].content.ends_with(&content));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_recipient_has_its_own_outcome() {
    let sink = Sink::start();
    let bench = Bench::start(to_ports(&[sink.port()]));
    let id = bench
        .put(
            "a@example.org",
            &["b@x.test", "reject@x.test", "tempfail@x.test"],
            CONTENT,
        )
        .await;
    let history = bench.outcomes(id, 2).await;
    assert_eq!(
        shown(&history),
        [
            "b@x.test delivered 2.0.0 250 2.0.0 taken",
            "reject@x.test bounced 5.1.1 550 5.1.1 no such user"
        ]
    );
    let detail = bench.deferral(id).await;
    let left: Vec<_> = detail
        .recipients
        .iter()
        .filter(|recipient| recipient.state == RecipientState::Queued)
        .collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].recipient.address.to_string(), "tempfail@x.test");
    assert_eq!(left[0].last.as_ref().unwrap().reply, "450 4.2.0 later");
    let report = sink.wait_for("multipart/report");
    assert_eq!(report.rcpt, ["<a@example.org> NOTIFY=NEVER"]);
    assert!(report.mail.starts_with("<>"), "{}", report.mail);
    for part in [
        "Final-Recipient: rfc822; reject@x.test",
        "Action: failed",
        "Status: 5.1.1",
        "550 5.1.1 no such user",
    ] {
        assert!(report.content.contains(part), "{part} in {}", report.content);
    }
    assert!(!report.content.contains("tempfail@x.test"), "{}", report.content);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_message_is_tried_again_at_its_time() {
    let host = Host::start(&[&hello(
        "C MAIL\nC RCPT\nC DATA\nS 250 ok\nS 450 4.2.0 later\nS 503 no\nC RSET\nS 250 ok\n\
         C MAIL\nC RCPT\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nBODY\nS 250 2.0.0 done\nEOF",
    )])
    .await;
    let mut settings = to_ports(&[host.port]);
    settings.retry.intervals = vec![Duration::from_secs(2)];
    let bench = Bench::start(settings);
    let start = Instant::now();
    let id = bench.put("a@example.org", &["b@x.test"], CONTENT).await;
    let history = bench.outcomes(id, 1).await;
    let took = start.elapsed();
    assert!(
        Duration::from_millis(1_750) < took,
        "not before its time: {took:?}"
    );
    assert_eq!(shown(&history), ["b@x.test delivered 2.0.0 250 2.0.0 done"]);
    assert_eq!(history[0].attempts, 2);
    assert_eq!(host.connections(), 1, "the connection was kept");
    host.lines();
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounce_that_cannot_be_delivered_is_dropped_with_its_outcome() {
    let sink = Sink::start();
    let bench = Bench::start(to_ports(&[sink.port()]));
    let id = bench.put("", &["reject@x.test"], CONTENT).await;
    assert_eq!(
        shown(&bench.outcomes(id, 1).await),
        ["reject@x.test bounced 5.1.1 550 5.1.1 no such user"]
    );
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(sink.total(), 0, "nobody hears of it");
    assert_eq!(bench.spool.counts().messages, 0);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postmaster_may_hear_of_double_bounces() {
    let sink = Sink::start();
    let mut settings = to_ports(&[sink.port()]);
    settings.reports.double_bounce_to = Some(common::mailbox("postmaster@relay.test"));
    let bench = Bench::start(settings);
    bench.put("", &["reject@x.test"], CONTENT).await;
    assert_eq!(
        sink.wait_for("multipart/report").rcpt,
        ["<postmaster@relay.test> NOTIFY=NEVER"]
    );
    // Our own report, which asks for no reports, to a sender that does not exist.
    bench
        .put(
            "reject-sender@x.test",
            &["reject@x.test"],
            "Subject: one of ours\r\n\r\nx\r\n",
        )
        .await;
    let taken = sink.wait_for("Final-Recipient: rfc822; reject-sender@x.test");
    assert_eq!(taken.rcpt, ["<postmaster@relay.test> NOTIFY=NEVER"]);
    assert!(
        taken.content.contains("Subject: one of ours"),
        "{}",
        taken.content
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_recipients_go_in_several_transactions_at_once() {
    let host = Host::start(&[&hello(
        "C MAIL\nC RCPT TO:<a@\nC RCPT TO:<b@\nC RCPT TO:<c@\nC DATA\nS 250 ok\nS 250 ok\nS 452 4.5.3 too many\nS 452 4.5.3 too many\nS 354 go\n\
         BODY\nS 250 first\nC MAIL\nC RCPT TO:<b@\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nBODY\nS 250 second\n\
         C MAIL\nC RCPT TO:<c@\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nBODY\nS 250 third\nEOF",
    )])
    .await;
    let bench = Bench::start(to_ports(&[host.port]));
    let id = bench
        .put("s@example.org", &["a@x.test", "b@x.test", "c@x.test"], CONTENT)
        .await;
    let history = bench.outcomes(id, 3).await;
    assert_eq!(
        shown(&history),
        [
            "a@x.test delivered 2.0.0 250 first",
            "b@x.test delivered 2.0.0 250 second",
            "c@x.test delivered 2.0.0 250 third"
        ]
    );
    host.lines();
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_limit_on_recipients_holds() {
    let sink = Sink::start();
    let mut settings = to_ports(&[sink.port()]);
    settings.limits.recipients_per_transaction = 2;
    let bench = Bench::start(settings);
    let id = bench
        .put(
            "s@example.org",
            &["a@x.test", "b@x.test", "c@x.test", "d@x.test", "e@x.test"],
            CONTENT,
        )
        .await;
    bench.outcomes(id, 5).await;
    let sizes: Vec<usize> = sink.taken().iter().map(|taken| taken.rcpt.len()).collect();
    assert_eq!(sizes, [2, 2, 1]);
    bench.stop().await;
}

/// What the case shows, the script of the first connection, the status and part of the reply that is recorded.
type Trouble = (&'static str, String, &'static str, &'static str);

#[tokio::test(flavor = "multi_thread")]
async fn hosts_in_trouble_defer() {
    let long = format!("S 220 {}\nHANG", "x".repeat(5_000));
    let endless = format!(
        "{}HANG",
        "S 220-again and again and again and again and again and again and again\n".repeat(1_000)
    );
    #[rustfmt::skip]
    let cases: Vec<Trouble> = vec![
        ("busy",                 "S 421 4.3.2 busy\n".into(),                                    "4.3.2", "421 4.3.2 busy"),
        ("blocked",              "S 554 5.7.1 listed\n".into(),                                  "4.7.1", "554 5.7.1 listed"),
        ("closed at once",       "".into(),                                                      "4.4.2", "greeting not answered"),
        ("no SMTP",              "S HTTP/1.1 400 Bad Request\n".into(),                          "4.4.2", "not an SMTP reply: \"HTTP/1.1 400 Bad Request\""),
        ("a line without end",   long,                                                           "4.4.2", "reply line of over 4096 octets"),
        ("a reply without end",  endless,                                                        "4.4.2", "reply of over 65536 octets"),
        ("EHLO and HELO no",     "S 220 hi\nC EHLO\nS 550 no\nC HELO\nS 550 5.7.1 no\nEOF".into(), "4.7.1", "550 5.7.1 no"),
        ("421 to MAIL",          hello("C MAIL\nS 421 4.3.2 closing\n"),                         "4.3.2", "421 4.3.2 closing"),
        ("closed after MAIL",    hello("C MAIL\nS 250 ok\n"),                                    "4.4.2", "RCPT not answered"),
        ("closed in the content", hello("C MAIL\nC RCPT\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nC Received\n"), "4.4.2", "may have taken the message"),
        ("closed after the dot", hello("C MAIL\nC RCPT\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nBODY\n"), "4.4.2", "may have taken the message"),
        ("mixed codes",          hello("C MAIL\nS 250-ok\nS 550 no\nEOF"),                       "4.4.2", "mixed the codes 250 and 550"),
        ("no 354",               hello("C MAIL\nC RCPT\nC DATA\nS 250 ok\nS 250 ok\nS 250 what\nC RSET\nS 250 ok\nEOF"), "4.5.0", "250 what"),
        ("silent",               "HANG".into(),                                                  "4.4.2", "no answer to greeting within 1 s"),
        ("content refused",      hello("C MAIL\nC RCPT\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nBODY\nS 451 4.7.1 greylisted\nEOF"), "4.7.1", "451 4.7.1 greylisted"),
    ];
    let mut waiting = Vec::new();
    for (shows, script, status, reply) in cases {
        let host = Host::start(&[&script]).await;
        let mut settings = to_ports(&[host.port]);
        settings.timeouts.greeting = Duration::from_secs(1);
        let bench = Bench::start(settings);
        let id = bench.put("a@example.org", &["b@x.test"], CONTENT).await;
        waiting.push((shows, host, bench, id, status, reply));
    }
    for (shows, host, bench, id, status, reply) in waiting {
        let detail = bench.deferral(id).await;
        let last = detail.recipients[0].last.clone().unwrap();
        assert_eq!(
            last.status.map(|status| status.to_string()).as_deref(),
            Some(status),
            "{shows}: {last:?}"
        );
        assert!(last.reply.contains(reply), "{shows}: {last:?}");
        assert_eq!(last.relay, format!("127.0.0.1:{}", host.port), "{shows}");
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_say_no_for_good() {
    #[rustfmt::skip]
    let cases: Vec<Trouble> = vec![
        ("takes no mail",      "S 521 5.3.2 no mail here\n".into(),                                "5.3.2", "521 5.3.2 no mail here"),
        ("sender refused",     hello("C MAIL\nC RCPT\nC DATA\nS 550 5.7.1 not you\nS 503 no\nS 503 no\nEOF"), "5.7.1", "550 5.7.1 not you"),
        ("content refused",    hello("C MAIL\nC RCPT\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nBODY\nS 554-5.6.0 spam\nS 554 5.6.0 go away\nEOF"), "5.6.0", "554 5.6.0 spam go away"),
        ("too large",          "S 220 hi\nC EHLO\nS 250-mx.test\nS 250 SIZE 50\nEOF".into(),       "5.3.4", "the next hop takes 50"),
    ];
    for (shows, script, status, reply) in cases {
        let host = Host::start(&[&script]).await;
        let bench = Bench::start(to_ports(&[host.port]));
        let id = bench.put("", &["b@x.test"], CONTENT).await;
        let history = bench.outcomes(id, 1).await;
        let shown = shown(&history);
        assert!(
            shown[0].starts_with(&format!("b@x.test bounced {status} ")),
            "{shows}: {shown:?}"
        );
        assert!(shown[0].contains(reply), "{shows}: {shown:?}");
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_that_the_next_hop_does_not_meet_bounce() {
    let script = "S 220 hi\nC EHLO\nS 250 mx.test\nEOF";
    let utf8 = {
        let mut envelope = envelope("", &["jürgen@x.test"]);
        envelope.smtputf8 = true;
        envelope
    };
    let eight = {
        let mut envelope = envelope("", &["b@x.test"]);
        envelope.body = BodyKind::EightBitMime;
        envelope
    };
    let binary = {
        let mut envelope = envelope("", &["b@x.test"]);
        envelope.body = BodyKind::BinaryMime;
        envelope
    };
    let cases = [
        ("SMTPUTF8", utf8, CONTENT.as_bytes().to_vec(), "5.6.7"),
        ("8BITMIME", eight, "Subject: x\r\n\r\nGrüße\r\n".into(), "5.6.3"),
        (
            "BINARYMIME",
            binary,
            b"Subject: x\r\n\r\n\0\n\r\n".to_vec(),
            "5.6.3",
        ),
    ];
    let bounce = |port| Settings {
        eight_bit: EightBit::Bounce,
        ..to_ports(&[port])
    };
    for (need, envelope, content, status) in cases {
        let host = Host::start(&[script]).await;
        let bench = Bench::start(bounce(host.port));
        let id = bench.put_envelope(envelope, &content).await;
        let shown = shown(&bench.outcomes(id, 1).await);
        assert!(
            shown[0].contains(&format!(" bounced {status} ")) && shown[0].contains(need),
            "{need}: {shown:?}"
        );
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_beyond_ascii_does_not_keep_the_others() {
    let host = Host::start(&["S 220 hi\nC EHLO\nS 250 mx.test\nC MAIL\nS 250 ok\nC RCPT TO:<b@\nS 250 ok\nC DATA\nS 354 go\nBODY\nS 250 ok\nEOF"]).await;
    let bench = Bench::start(to_ports(&[host.port]));
    let mut envelope = envelope("", &["jürgen@x.test", "b@x.test"]);
    envelope.smtputf8 = true;
    let id = bench.put_envelope(envelope, CONTENT.as_bytes()).await;
    let shown = shown(&bench.outcomes(id, 2).await);
    assert!(shown[0].starts_with("jürgen@x.test bounced 5.6.7"), "{shown:?}");
    assert_eq!(shown[1], "b@x.test delivered 2.0.0 250 ok");
    host.lines();
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_go_along_with_the_envelope_and_are_exact() {
    let content = b"Subject: x\r\n\r\n.\r\n\0bare\nline";
    let size = 68 + content.len();
    let host = Host::start(&[&format!(
        "S 220 hi\nC EHLO\nS 250-mx.test\nS 250-PIPELINING\nS 250-CHUNKING\nS 250-8BITMIME\nS 250 BINARYMIME\n\
         C MAIL FROM:<> BODY=BINARYMIME\nC RCPT\nC BDAT {size} LAST\nCHUNK {size}\nS 250 ok\nS 250 ok\nS 250 2.6.0 done\nEOF"
    )])
    .await;
    let bench = Bench::start(to_ports(&[host.port]));
    let mut envelope = envelope("", &["b@x.test"]);
    envelope.body = BodyKind::BinaryMime;
    let id = bench.put_envelope(envelope, content).await;
    assert_eq!(
        shown(&bench.outcomes(id, 1).await),
        ["b@x.test delivered 2.6.0 250 2.6.0 done"]
    );
    assert!(host.bodies()[0].ends_with(content));
    host.lines();
    bench.stop().await;
}

/// A surplus reply, taken for the reply to the content, would mark a message as delivered that the host never received.
#[tokio::test(flavor = "multi_thread")]
async fn replies_that_answer_nothing_end_the_connection() {
    let envelope = "C MAIL\nC RCPT\nC DATA\n";
    let host = Host::start(&[
        &hello(&format!(
            "{envelope}S 250 ok\\r\\n250 ok\\r\\n354 go on\\r\\n250 2.0.0 taken unseen\nEOF"
        )),
        "S 220 mx.test\nC EHLO relay.test\nS 250 mx.test\\r\\n250 2.1.0 sender taken unseen\nEOF",
        &hello(&format!(
            "{envelope}S 250 ok\\r\\n250 ok\\r\\n354 go on\nBODY\nS 250 2.0.0 taken\nEOF"
        )),
    ])
    .await;
    let mut settings = to_ports(&[host.port]);
    settings.retry.intervals = vec![Duration::from_millis(300)];
    let bench = Bench::start(settings);
    let id = bench.put("a@example.org", &["b@one.test"], CONTENT).await;
    assert_eq!(
        shown(&bench.outcomes(id, 1).await),
        ["b@one.test delivered 2.0.0 250 2.0.0 taken"]
    );
    assert_eq!(host.bodies().len(), 1, "the content went out once");
    assert_eq!(host.connections(), 3);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_expires_with_a_report_and_is_warned_of_before() {
    let sink = Sink::start();
    let host = Host::start(&["S 421 4.3.2 busy\n"]).await;
    let mut settings = settings();
    settings.routes.rules = vec![rule("dead.test", &[host.port]), rule("*", &[sink.port()])];
    settings.retry.intervals = vec![Duration::from_millis(500)];
    settings.retry.warn_after = Some(Duration::from_secs(1));
    settings.retry.expire_after = Duration::from_secs(4);
    let bench = Bench::start(settings);
    let mut asked = envelope("a@example.org", &["b@dead.test", "quiet@dead.test"]);
    asked.envid = Some("E-1".into());
    asked.ret = Some(Ret::Full);
    asked.recipients[0].orcpt = Some("rfc822;first@dead.test".into());
    asked.recipients[1].notify = Notify::Never;
    let start = Instant::now();
    let id = bench.put_envelope(asked, CONTENT.as_bytes()).await;
    let history = bench.outcomes(id, 2).await;
    let took = start.elapsed();
    assert!(Duration::from_secs(4) <= took, "not before its time: {took:?}");
    for line in shown(&history) {
        assert!(line.contains(" expired 5.4.7 421 4.3.2 busy"), "{line}");
    }
    let bounce = sink.wait_for("Action: failed");
    for part in [
        "Original-Envelope-Id: E-1",
        "Original-Recipient: rfc822; first@dead.test",
        "Status: 5.4.7",
        "within 4 seconds. The last answer was:",
        ".dot",
    ] {
        assert!(bounce.content.contains(part), "{part} in {}", bounce.content);
    }
    let warnings: Vec<_> = sink
        .taken()
        .into_iter()
        .filter(|taken| taken.content.contains("Action: delayed"))
        .collect();
    assert_eq!(warnings.len(), 1, "once");
    assert!(warnings[0].content.contains("Will-Retry-Until:"));
    assert!(
        warnings[0].content.contains("\r\nSubject: test\r\n"),
        "header fields of the message, not of the trace alone: {}",
        warnings[0].content
    );
    for report in sink.taken() {
        assert!(!report.content.contains("quiet@dead.test"), "{}", report.content);
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn success_is_reported_by_whoever_knows_last() {
    let sink = Sink::start();
    let host = Host::start(&[&hello("C MAIL FROM:<a@example.org>\nC RCPT TO:<b@nodsn.test>\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nBODY\nS 250 ok\nEOF")]).await;
    let mut settings = settings();
    settings.routes.rules = vec![rule("nodsn.test", &[host.port]), rule("*", &[sink.port()])];
    let bench = Bench::start(settings);
    let ask = |to: &str| {
        let mut asked = envelope("a@example.org", &[to]);
        asked.recipients[0].notify = Notify::On {
            success: true,
            failure: false,
            delay: false,
        };
        asked.envid = Some("E+2".into());
        asked.ret = Some(Ret::Headers);
        asked
    };
    let id = bench.put_envelope(ask("b@nodsn.test"), CONTENT.as_bytes()).await;
    bench.outcomes(id, 1).await;
    let report = sink.wait_for("Action: relayed");
    assert!(!report.content.contains(".dot"), "the header is enough");
    let id = bench.put_envelope(ask("b@dsn.test"), CONTENT.as_bytes()).await;
    bench.outcomes(id, 1).await;
    let taken = sink.taken();
    let passed = taken
        .iter()
        .find(|taken| taken.rcpt[0].starts_with("<b@dsn.test>"))
        .expect("arrived");
    assert!(passed.mail.contains(" RET=HDRS ENVID=E+2B2"), "{}", passed.mail);
    assert_eq!(passed.rcpt, ["<b@dsn.test> NOTIFY=SUCCESS"]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(sink.total(), 2, "the next hop reports that one");
    host.lines();
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_circles_bounces() {
    let sink = Sink::start();
    let mut settings = to_ports(&[sink.port()]);
    settings.received_max = 3;
    let bench = Bench::start(settings);
    let content = format!(
        "{}Subject: x\r\n\r\n",
        "Received: from a by b; Sun, 22 Nov 2026 09:30:20 +0000\r\n".repeat(3)
    );
    let id = bench.put("", &["b@x.test"], &content).await;
    let shown = shown(&bench.outcomes(id, 1).await);
    assert!(
        shown[0].contains("bounced 5.4.6 mail loop: 4 Received fields, limit 3"),
        "{shown:?}"
    );
    bench.stop().await;
}
