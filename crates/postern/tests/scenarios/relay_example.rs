//! `acceptance/relay.toml` unchanged: own users, retries, bounces.

use std::time::Duration;

use postern_testkit::process::{FixedPorts, wait_until};
use postern_testkit::sink::Sink;

use crate::harness::{Site, acceptance};

#[test]
fn the_relay_example_works_unchanged() {
    let _ports = FixedPorts::hold();
    let mut site = Site::new(
        &acceptance("relay.toml"),
        "relay",
        &["mx.relay.test", "localhost"],
    );
    site.add_user("tester@relay.test", "test word");
    site.start();

    // The next hop is down: what was accepted waits.
    let mut stranger = site.client();
    stranger.say("EHLO helo").unwrap();
    let reply = stranger
        .mail(
            "a@outside.example",
            &["anyone@relay.test"],
            "Subject: in\r\n\r\nhello",
        )
        .unwrap();
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    let reply = stranger
        .mail(
            "a@outside.example",
            &["b@outside.example"],
            "Subject: no\r\n\r\nhello",
        )
        .unwrap();
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    let mut tester = site.tester();
    let reply = tester
        .mail(
            "tester@relay.test",
            &["b@outside.example"],
            "Subject: out\r\n\r\nhello",
        )
        .unwrap();
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    wait_until("both messages deferred", || {
        let list = site.ok(&["queue", "list", "--json"]);
        list.matches("Connection refused").count() >= 2 || list.matches("efused").count() >= 2
    });

    // It comes back: both arrive at the next retry.
    let sink = Sink::start_on(2626);
    let _ = sink.wait_for("Subject: in");
    let _ = sink.wait_for("Subject: out");

    // A refused recipient comes back as a report to the sender, from the null sender.
    let reply = tester
        .mail(
            "tester@relay.test",
            &["reject@outside.example"],
            "Subject: bad\r\n\r\nhello",
        )
        .unwrap();
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    let report = sink.wait_for("multipart/report");
    assert!(report.mail.starts_with("<>"), "{}", report.mail);
    assert!(
        report.rcpt[0].starts_with("<tester@relay.test>"),
        "{:?}",
        report.rcpt
    );
    for text in [
        "Final-Recipient: rfc822; reject@outside.example",
        "Action: failed",
        "Status: 5.1.1",
        "no such user",
    ] {
        assert!(report.content.contains(text), "{text} in {}", report.content);
    }

    wait_until("an empty queue", || {
        std::thread::sleep(Duration::from_millis(100));
        site.queue_is_empty()
    });
}
