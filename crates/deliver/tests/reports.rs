//! Reports: their content, that they arrive whatever the sender's host supports, and that one message causes one.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Bench, CONTENT, Host, PATIENCE, envelope, mailbox, rule, settings, spool_at, to_ports};
use postern_mail::{Header, NewField, Notify, Recipient, Status};
use postern_net::resolver::ResolverSettings;
use postern_net::tls::Verification;
use postern_policy::route::{Hop, HopHost, Protocol, RouteRule, Target, TlsLevel};
use postern_policy::{DomainSet, Rule};
use postern_spool::{
    Arrival, Assembly, Inspection, InspectionFuture, Inspector, Inspectors, NewBodies, Origin, Refusal,
    Spool as _,
};
use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;
use tokio::time::{Instant, sleep};

const HELLO: &str = "S 220 home.test\nC EHLO\nS 250-home.test\n";
const OLD: &str = "S 250 HELP\n";
const SMALL: &str = "S 250-8BITMIME\nS 250 SIZE 3000\n";
const MODERN: &str = "S 250 8BITMIME\n";
const TAKES: &str = "C MAIL FROM:<>\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nBODY\nS 250 done\n";
const REFUSES: &str =
    "C MAIL FROM:<>\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nBODY\nS 554 5.7.1 no reports\n";

/// The recipients' host, which has no users.
const NOBODY: &str = "S 220 away.test\nC EHLO\nS 250-away.test\nS 250-SMTPUTF8\nS 250 8BITMIME\nC MAIL\nS 250 ok\nC RCPT\n\
    S 550 5.1.1 Empfänger unbekannt\nC RSET\nS 250 ok\nEOF";

/// A bench whose mail for `away.test` is refused, and whose reports go to `home`. Sessions last as long as they may.
async fn away_from(home: &Host) -> (Bench, Host) {
    let away = Host::start(&[NOBODY]).await;
    let mut settings = settings();
    settings.routes.rules = vec![rule("away.test", &[away.port]), rule("home.test", &[home.port])];
    settings.timeouts.idle = PATIENCE;
    (Bench::start(settings), away)
}

/// Waits for this many messages at a host.
async fn bodies(host: &Host, count: usize) -> Vec<String> {
    let end = Instant::now() + PATIENCE;
    while host.bodies().len() < count {
        assert!(Instant::now() < end, "{count} awaited: {:#?}", host.lines());
        sleep(Duration::from_millis(10)).await;
    }
    host.bodies()
        .into_iter()
        .map(|body| String::from_utf8(body).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_reach_hosts_of_any_age() {
    let large = format!("Subject: hello\r\n\r\n{}", "hello world\r\n".repeat(500));
    let long = large.as_str();
    let refusing = format!("{MODERN}{REFUSES}");
    #[rustfmt::skip]
    let cases = [
        // what the case shows         the sender's host  forms  recipient           message                            what arrives                       what does not
        ("an 8-bit body",              OLD,               1,     "b@away.test",      "Subject: hello\r\n\r\ngrüße\r\n", "gr=C3=BC=C3=9Fe",                 "gr"),
        ("an 8-bit header",            OLD,               1,     "b@away.test",      "Subject: grüße\r\n\r\nhello\r\n", "Subject: gr=C3=BC=C3=9Fe",        "hello"),
        ("a recipient beyond ASCII",   OLD,               1,     "jürgen@away.test", "Subject: a\r\n\r\nhello\r\n",     "utf-8; j\\x{FC}rgen@away.test",   "message/global"),
        ("larger than SIZE",           SMALL,             1,     "b@away.test",      long,                              "Subject: hello",                  "hello world"),
        ("refused for its content",    &refusing,         2,     "b@away.test",      "Subject: a\r\n\r\nhello\r\n",     "Subject: a",                      "hello"),
    ];
    for (shows, offers, forms, recipient, message, arrives, left_out) in cases {
        let home = Host::start(&[&format!("{HELLO}{offers}{TAKES}EOF")]).await;
        let (bench, _away) = away_from(&home).await;
        let mut order = envelope("a@home.test", &[recipient]);
        order.smtputf8 = !recipient.is_ascii();
        order.body = postern_mail::BodyKind::EightBitMime;
        bench.put_envelope(order, message.as_bytes()).await;
        let report = bodies(&home, forms).await.pop().unwrap();
        assert!(report.is_ascii() && report.contains(arrives), "{shows}: {report}");
        assert!(report.contains("Action: failed"), "{shows}: {report}");
        let returned = report.rsplit("Content-Type: ").next().unwrap();
        assert!(
            !returned.replace(arrives, "").contains(left_out),
            "{shows}: {report}"
        );
        wait_until("the end of it", || bench.spool.counts().messages == 0);
        assert_eq!(home.bodies().len(), forms, "{shows}: that was all");
        assert_eq!(home.connections(), 1, "{shows}: {:?}", home.lines());
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_nobody_takes_comes_to_an_end() {
    let hello = format!("{HELLO}{MODERN}");
    let one = format!("{hello}{REFUSES}{REFUSES}{REFUSES}EOF");
    let each = format!("{hello}{REFUSES}");
    for (shows, script, connections) in [("over one session", one, 1), ("over one for each", each, 3)] {
        let home = Host::start(&[&script]).await;
        let (bench, _away) = away_from(&home).await;
        bench.put("a@home.test", &["b@away.test"], CONTENT).await;
        let forms = bodies(&home, 3).await;
        assert!(
            forms[0].contains("Hello"),
            "{shows}: the whole message: {}",
            forms[0]
        );
        assert!(
            !forms[1].contains("Hello") && forms[1].contains("Subject: test"),
            "{shows}: its header: {}",
            forms[1]
        );
        assert!(
            !forms[2].contains("Subject: test"),
            "{shows}: nothing of it: {}",
            forms[2]
        );
        wait_until("the end of it", || bench.spool.counts().messages == 0);
        assert_eq!(home.bodies().len(), 3, "{shows}: that was all");
        assert_eq!(home.connections(), connections, "{shows}: {:?}", home.lines());
        bench.stop().await;
    }
}

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
    // Each outcome that it reports names it, and the kind of failure.
    let told = bench.told.lock().unwrap().clone();
    let made: Vec<&str> = told
        .iter()
        .filter_map(|line| line.strip_prefix("report queue="))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let [report] = *made else { panic!("{made:?}") };
    let of = format!("queue={id} ");
    let outcomes = |word: &str| {
        let lines = told.iter().filter(|line| line.starts_with(word));
        lines.filter(|line| line.contains(&of)).collect::<Vec<_>>()
    };
    let bounced = outcomes("bounced ");
    assert_eq!(bounced.len(), 351);
    for line in bounced {
        assert!(line.ends_with(&format!(" report={report}")), "{line}");
        assert!(
            line.contains(" failure=\"refused\" stage=\"RCPT\" reply=550 "),
            "{line}"
        );
    }
    let [delivered] = outcomes("delivered ")[..] else {
        panic!("{told:?}")
    };
    assert!(
        !delivered.contains("report=") && !delivered.contains("failure="),
        "{delivered}"
    );
    let attempts = outcomes("attempt ");
    assert!(
        attempts
            .iter()
            .all(|line| line.contains(" failure=\"refused\" stage=\"RCPT\"")),
        "{attempts:?}"
    );
    bench.stop().await;
}

/// Signs reports by the octets of their bodies, or refuses them.
struct Sealer {
    refuses: bool,
}

struct Sealing {
    refuses: bool,
    octets: usize,
}

impl Inspector for Sealer {
    fn begin(&self, arrival: &Arrival<'_>) -> Option<Box<dyn Inspection>> {
        assert_eq!(arrival.origin, Origin::Report);
        let refuses = self.refuses;
        Some(Box::new(Sealing { refuses, octets: 0 }))
    }
}

impl Inspection for Sealing {
    fn header<'a>(&'a mut self, header: &'a Header) -> InspectionFuture<'a> {
        assert!(header.place("Auto-Submitted", 0).is_some());
        Box::pin(async { Ok(()) })
    }

    fn body<'a>(&'a mut self, octets: &'a [u8]) -> InspectionFuture<'a> {
        self.octets += octets.len();
        Box::pin(async { Ok(()) })
    }

    fn finish<'a>(
        self: Box<Self>,
        assembly: &'a mut Assembly,
        _: &'a mut NewBodies<'_>,
    ) -> InspectionFuture<'a> {
        Box::pin(async move {
            let seal = NewField::new("X-Seal", self.octets.to_string().as_bytes()).unwrap();
            assembly.header_mut().insert(0, &seal).unwrap();
            if self.refuses {
                return Err(Refusal {
                    rule: Rule::BodyInspected,
                    code: 550,
                    status: Some(Status(5, 7, 1)),
                    text: "no".into(),
                    reason: "no".into(),
                });
            }
            Ok(())
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_shown_to_those_who_look_at_messages() {
    let sink = Sink::start();
    let bench = Bench::start(to_ports(&[sink.port()]));
    for refuses in [false, true] {
        let sealer: Arc<dyn Inspector> = Arc::new(Sealer { refuses });
        bench.inspectors.store(Arc::new(Inspectors::new(vec![sealer])));
        let id = bench.put("a@example.org", &["reject@x.test"], CONTENT).await;
        bench.outcomes(id, 1).await;
        wait_until("the report is there", || sink.total() > u64::from(refuses));
        let report = sink.taken().pop().unwrap().content;
        let (_, body) = report.split_once("\r\n\r\n").unwrap();
        if refuses {
            assert!(!report.contains("X-Seal"), "as it was made: {report}");
        } else {
            assert!(
                report.starts_with(&format!("X-Seal: {}\r\nDate: ", body.len())),
                "{report}"
            );
        }
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_and_a_crash_lose_no_report() {
    let sink = Sink::start();
    // It is slow, so that the other's refusal is held back for it.
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
    let hop = format!(":{} ", sink.port());
    wait_until("the refusal", || {
        let all = bench.deliverer.destinations();
        all.iter()
            .any(|status| status.destination.contains(&hop) && status.last_error.is_some())
    });
    let (folder, spool) = bench.stop().await;
    let history = spool.history(id).await.unwrap();
    assert_eq!(history.len(), 1, "recorded at the stop: {history:?}");
    assert_eq!(spool.counts().messages, 2, "with its report");
    spool.close().await.unwrap();
    drop(spool);

    // A crash leaves the queue as it was before the refusal was recorded: it is due again.
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
