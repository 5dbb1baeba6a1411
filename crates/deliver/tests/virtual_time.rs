//! Waits of hours in virtual time: the clocks of the queue and of the timers are advanced together.
//!
//! Actions take real time, and time is paused only while the clocks are advanced, so that no timer goes off before a reply has
//! arrived.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{Bench, CONTENT, Host, PATIENCE, settings, shown, to_ports};
use jiff::{SignedDuration, Timestamp};
use postern_deliver::{Settings, Timeouts};
use postern_mail::QueueId;
use postern_net::ca::{Authority, AuthorityRequest, CertificateRequest};
use postern_net::file::Existing;
use postern_net::resolver::ResolverSettings;
use postern_net::tls::{ServerTls, ServerTlsSettings, TlsIdentityFiles, Verification};
use postern_policy::DomainSet;
use postern_policy::route::{Hop, Protocol, RouteRule, Target};
use postern_spool::{Clock, Spool as _, SpoolSettings, SqliteSpool};
use postern_testkit::process::free_port;
use tempfile::TempDir;

const MINUTE: Duration = Duration::from_secs(60);

/// The queue's clocks: seconds by which they are ahead of the machine's.
#[derive(Clone, Default)]
struct Hands(Arc<AtomicU64>);

impl Hands {
    fn bench(&self, settings: Settings) -> Bench {
        let (wall, steady, start) = (self.0.clone(), self.0.clone(), Instant::now());
        let ahead = |seconds: &AtomicU64| Duration::from_secs(seconds.load(Ordering::Relaxed));
        let clock = Clock::new(
            move || Timestamp::now() + SignedDuration::try_from(ahead(&wall)).unwrap(),
            move || start.elapsed() + ahead(&steady),
        );
        let folder = TempDir::new().unwrap();
        let spool = SpoolSettings {
            clock,
            ..SpoolSettings::new(folder.path().join("queue"))
        };
        let spool = Arc::new(SqliteSpool::open(spool).unwrap());
        let resolver = ResolverSettings::default();
        Bench::over(folder, spool, settings, &resolver, Verification::None)
    }

    /// Lets this much time pass, for all at once.
    async fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_secs(), Ordering::Relaxed);
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
    }
}

/// Waits until a message has been tried this often; returns in how long it is tried again.
async fn tried(bench: &Bench, id: QueueId, attempts: u32) -> Duration {
    let begun = Instant::now();
    loop {
        let detail = bench.deferral(id).await;
        let recipient = &detail.recipients[0];
        if recipient.attempts == attempts {
            let now = bench.spool.shown_time(bench.spool.now());
            return Duration::try_from(recipient.due_at.duration_since(now)).unwrap_or_default();
        }
        assert!(
            begun.elapsed() < PATIENCE && recipient.attempts < attempts,
            "{attempts} attempts awaited: {detail:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A host that cannot be reached is tried after each of the intervals, and the mail bounces when it expires.
#[tokio::test]
async fn retries_follow_the_schedule_to_the_end() {
    let hands = Hands::default();
    let mut settings = to_ports(&[free_port()]);
    settings.retry.intervals = vec![MINUTE * 15, MINUTE * 60, MINUTE * 120];
    settings.retry.expire_after = MINUTE * 60 * 10;
    settings.limits.dead_pause_max = MINUTE * 10;
    let bench = hands.bench(settings);
    let id = bench.put("", &["b@x.test"], CONTENT).await;
    for (attempts, interval) in [(1, 15), (2, 60), (3, 120), (4, 120)] {
        let interval = MINUTE * interval;
        let wait = tried(&bench, id, attempts).await;
        // A tenth either way is the jitter of the schedule; a minute is allowed for a slow machine.
        assert!(
            wait <= interval.mul_f64(1.1) && wait + MINUTE >= interval.mul_f64(0.9),
            "after {attempts} attempts it waits for {wait:?}"
        );
        hands.pass(wait + Duration::from_secs(1)).await;
    }
    tried(&bench, id, 5).await;
    hands.pass(MINUTE * 60 * 10).await;
    let history = bench.outcomes(id, 1).await;
    assert!(
        shown(&history)[0].starts_with("b@x.test expired"),
        "{:?}",
        shown(&history)
    );
    bench.stop().await;
}

/// A host that goes silent is waited for as long as RFC 5321 section 4.5.3.2 asks, and no longer.
#[tokio::test]
async fn silence_is_waited_for_at_each_step() {
    let limits = Timeouts::default();
    let hello = "S 220 x\nC EHLO";
    let mail = format!("{hello}\nS 250 x\nC MAIL");
    let rcpt = format!("{mail}\nS 250 ok\nC RCPT");
    let data = format!("{rcpt}\nS 250 ok\nC DATA");
    let end = format!("{data}\nS 354 go\nBODY");
    #[rustfmt::skip]
    let cases = [
        // silent at          the host         commands   bodies   waits
        ("the greeting",      "",              0,         0,       limits.greeting),
        ("EHLO",              hello,           1,         0,       limits.hello),
        ("MAIL",              mail.as_str(),   2,         0,       limits.mail),
        ("RCPT",              rcpt.as_str(),   3,         0,       limits.recipient),
        ("DATA",              data.as_str(),   4,         0,       limits.data),
        ("the final dot",     end.as_str(),    4,         1,       limits.end_of_data),
    ];
    for (shows, script, commands, bodies, limit) in cases {
        let host = Host::start(&[&format!("{script}\nEOF")]).await;
        let hands = Hands::default();
        let mut settings = to_ports(&[host.port]);
        settings.retry.intervals = vec![MINUTE * 15];
        settings.retry.expire_after = MINUTE * 60 * 10;
        let bench = hands.bench(settings);
        let id = bench.put("a@example.org", &["b@x.test"], CONTENT).await;
        let begun = Instant::now();
        while host.connections() == 0 || host.lines().len() < commands || host.bodies().len() < bodies {
            assert!(begun.elapsed() < PATIENCE, "{shows}: {:?}", host.lines());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        hands.pass(limit - MINUTE / 2).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let detail = bench.spool.show(id).await.unwrap().unwrap();
        assert_eq!(detail.recipients[0].attempts, 0, "{shows}: too early");
        hands.pass(MINUTE).await;
        tried(&bench, id, 1).await;
        bench.stop().await;
    }
}

/// A host whose TLS is broken gets mail in cleartext for half an hour, then TLS is tried again.
#[tokio::test]
async fn broken_tls_is_forgiven_after_half_an_hour() {
    let hands = Hands::default();
    let offer = "S 220 hi\nC EHLO\nS 250-mx.test\nS 250 STARTTLS\n";
    let mail = "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nBODY\nS 250 done\nC QUIT\nS 221 bye";
    let broken = format!("{offer}C STARTTLS\nS 220 go\nTLS\nC EHLO");
    let clear = format!("{offer}{mail}");
    let mended = format!("{offer}C STARTTLS\nS 220 go\nTLS\nC EHLO\nS 250 mx.test\n{mail}");
    let certificates = TempDir::new().unwrap();
    let scripts = [&*broken, &clear, &clear, &mended];
    let host = Host::start_tls(identity(&certificates), &scripts).await;
    let mut settings = settings();
    let target = Target::Hosts {
        via: vec![Hop::parse(&format!("127.0.0.1:{}", host.port), 25).unwrap()],
        protocol: Protocol::Smtp,
    };
    settings.routes.rules = vec![RouteRule::new(DomainSet::new(["*"]).unwrap(), target)];
    settings.limits.messages_per_connection = 1;
    let bench = hands.bench(settings);
    for (shows, passes, connections) in [
        ("TLS breaks, and it goes in the clear", Duration::ZERO, 2),
        ("it is known", MINUTE * 29, 3),
        ("and forgotten", MINUTE * 2, 4),
    ] {
        hands.pass(passes).await;
        let id = bench.put("", &["b@x.test"], CONTENT).await;
        let history = bench.outcomes(id, 1).await;
        assert_eq!(shown(&history), ["b@x.test delivered 2.0.0 250 done"], "{shows}");
        assert_eq!(host.connections(), connections, "{shows}");
    }
    host.lines();
    bench.stop().await;
}

fn identity(folder: &TempDir) -> ServerTls {
    let authority = Authority::create(&AuthorityRequest::new("Test CA"), Timestamp::now()).unwrap();
    let request = CertificateRequest::new(vec!["localhost".into()]);
    let issued = authority.issue(&request, Timestamp::now()).unwrap();
    let (certificate, key) = (folder.path().join("host.crt"), folder.path().join("host.key"));
    issued.save(&certificate, &key, None, Existing::Keep).unwrap();
    let identity = TlsIdentityFiles {
        certificate,
        key,
        passphrase_file: None,
    };
    ServerTls::load(&ServerTlsSettings {
        identities: vec![identity],
        ..ServerTlsSettings::default()
    })
    .unwrap()
}
