//! Reports: what is in them, and that one message causes one.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::time::Duration;

use common::{Bench, CONTENT, Host, envelope, mailbox, rule, spool_at, to_ports};
use postern_mail::{Notify, Recipient};
use postern_net::resolver::ResolverSettings;
use postern_net::tls::Verification;
use postern_policy::DomainSet;
use postern_policy::route::{Hop, HopHost, Protocol, RouteRule, Target, TlsLevel};
use postern_spool::Spool as _;
use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn one_message_causes_one_report() {
    let (sink, other) = (Sink::start(), Sink::start());
    let mut settings = to_ports(&[sink.port()]);
    settings
        .routes
        .rules
        .insert(0, rule("other.test", &[other.port()]));
    let bench = Bench::start(settings);
    let mut to: Vec<String> = (0..350).map(|n| format!("reject{n}@x.test")).collect();
    to.push("reject@other.test".into());
    to.push("good@other.test".into());
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let id = bench.put("a@example.org", &to, CONTENT).await;
    bench.outcomes(id, to.len()).await;
    let report = sink.wait_for("multipart/report");
    assert_eq!(report.content.matches("Final-Recipient: ").count(), 351);
    while bench.spool.counts().messages > 0 {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(sink.total(), 1, "one report");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_and_a_crash_lose_no_report() {
    let sink = Sink::start();
    // It takes its time, so that the other's refusal is kept back for it.
    let silent = Host::start(&["HANG"]).await;
    let mut settings = to_ports(&[sink.port()]);
    settings
        .routes
        .rules
        .insert(0, rule("silent.test", &[silent.port]));
    let bench = Bench::start(settings.clone());
    let id = bench
        .put("a@example.org", &["reject@x.test", "b@silent.test"], CONTENT)
        .await;
    wait_until("the silent host is asked", || silent.connections() > 0);
    let (folder, spool) = bench.stop().await;
    let history = spool.history(id).await.unwrap();
    assert_eq!(history.len(), 1, "recorded at the stop: {history:?}");
    assert_eq!(spool.counts().messages, 2, "with its report");
    spool.close().await.unwrap();
    drop(spool);

    // What a crash leaves behind is what lay in the queue before the refusal was recorded: it is due again.
    let spool = spool_at(folder.path());
    let bench = Bench::over(
        folder,
        spool,
        settings,
        &ResolverSettings::default(),
        Verification::None,
    );
    let report = sink.wait_for("multipart/report");
    assert!(report.content.contains("reject@x.test"), "{}", report.content);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_this_site_is_in_a_report() {
    let sink = Sink::start();
    let mail = tempfile::tempdir().unwrap();
    let socket = mail.path().join("lmtp");
    let lmtp = Host::start_unix(
        &socket,
        &[
            "S 220 store.lan\nC LHLO\nS 250 store.lan\nC MAIL\nS 250 ok\nC RCPT\nS 550 5.2.0 /srv/mail/boss is gone, <boss@store.test>\nC RSET\nS 250 ok\nEOF",
        ],
    );
    let mut settings = to_ports(&[sink.port()]);
    settings.routes.local_domains = DomainSet::new(["here.test"]).unwrap();
    settings.routes.local = Target::Maildir(mail.path().join("boxes"));
    let target = Target::Hosts {
        via: vec![Hop {
            host: HopHost::Unix(socket),
            port: 0,
        }],
        protocol: Protocol::Lmtp,
    };
    let via = RouteRule {
        tls: TlsLevel::None,
        ..RouteRule::new(DomainSet::new(["store.test"]).unwrap(), target)
    };
    settings.routes.rules.insert(0, via);
    let local = RouteRule::new(
        DomainSet::new(["here.test"]).unwrap(),
        Target::Maildir(mail.path().join("boxes")),
    );
    settings.routes.rules.insert(0, local);
    let bench = Bench::start(settings);
    let mut order = envelope("a@example.org", &["ann@here.test"]);
    order.recipients[0].notify = Notify::On {
        success: true,
        failure: true,
        delay: true,
    };
    bench.put_envelope(order, CONTENT.as_bytes()).await;
    let success = sink.wait_for("Action: delivered").content;

    let mut order = envelope("a@example.org", &[]);
    order.recipients = vec![Recipient {
        orcpt: Some("rfc822;sales@here.test".into()),
        ..Recipient::new(mailbox("boss@store.test"))
    }];
    bench.put_envelope(order, CONTENT.as_bytes()).await;
    let failure = sink.wait_for("Action: failed").content;
    assert!(
        failure.contains("Final-Recipient: rfc822; sales@here.test\r\n")
            && failure.contains("smtp; 550 5.2.0 (not shown) is gone, <sales@here.test>"),
        "{failure}"
    );
    let folder = mail.path().to_str().unwrap();
    for report in [success, failure] {
        for secret in [
            folder,
            "/srv",
            "lmtp",
            "localhost",
            "store",
            "boss",
            "maildir",
            "boxes",
        ] {
            assert!(!report.contains(secret), "{secret} in {report}");
        }
    }
    drop(lmtp);
    bench.stop().await;
}
