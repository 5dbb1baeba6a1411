//! Clocks that jump, and messages that are not what was accepted.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use common::{Bench, CONTENT, PATIENCE, put, shown, to_ports};
use jiff::{SignedDuration, Timestamp};
use postern_deliver::Settings;
use postern_net::resolver::ResolverSettings;
use postern_net::tls::Verification;
use postern_spool::{Body, Clock, Spool as _, SpoolSettings, SqliteSpool};
use postern_testkit::process::{free_port, wait_until};
use postern_testkit::sink::Sink;
use tempfile::TempDir;

/// System clocks that can be set: seconds by which they are off.
#[derive(Clone, Default)]
struct Hands {
    wall: Arc<AtomicI64>,
    steady: Arc<AtomicI64>,
}

impl Hands {
    fn spool(&self, folder: &TempDir) -> Arc<SqliteSpool> {
        let start = Instant::now();
        let (wall, steady) = (self.wall.clone(), self.steady.clone());
        let clock = Clock::new(
            move || Timestamp::now() + SignedDuration::from_secs(wall.load(Ordering::Relaxed)),
            move || start.elapsed() + Duration::from_secs(steady.load(Ordering::Relaxed) as u64),
        );
        let settings = SpoolSettings {
            clock,
            ..SpoolSettings::new(folder.path().join("queue"))
        };
        Arc::new(SqliteSpool::open(settings).unwrap())
    }

    fn bench(&self, folder: TempDir, settings: Settings) -> Bench {
        let spool = self.spool(&folder);
        Bench::over(
            folder,
            spool,
            settings,
            &ResolverSettings::default(),
            Verification::None,
        )
    }
}

/// With the clock set back by a day the queue goes on; set forward by a day nothing bounces. Both old and new mail.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_neither_stops_nor_bounces_mail() {
    for jump in [-86_400, 86_400, 40 * 86_400] {
        let hands = Hands::default();
        let port = free_port();
        let bench = hands.bench(TempDir::new().unwrap(), to_ports(&[port]));
        let old = bench.put("a@x.test", &["b@x.test"], CONTENT).await;
        bench.deferral(old).await;
        hands.wall.store(jump, Ordering::Relaxed);
        let new = bench.put("a@x.test", &["c@y.test"], CONTENT).await;
        let mut detail = bench.deferral(new).await;
        let begun = Instant::now();
        while detail.recipients[0].attempts < 3 {
            assert!(
                begun.elapsed() < PATIENCE,
                "retries go on after a jump of {jump} s: {detail:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
            detail = bench.deferral(old).await;
        }
        let sink = Sink::start_on(port);
        for id in [old, new] {
            let history = bench.outcomes(id, 1).await;
            assert!(shown(&history)[0].contains("delivered"), "{jump}: {history:?}");
        }
        assert_eq!(sink.total(), 2);
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_body_is_held_and_its_sender_told_in_the_end() {
    let hands = Hands::default();
    let mut settings = to_ports(&[free_port()]);
    settings.retry.intervals = vec![Duration::from_secs(1)];
    let bench = hands.bench(TempDir::new().unwrap(), settings.clone());
    let content = format!("Subject: large\r\n\r\n{}", "0123456789abcdef\r\n".repeat(20_000));
    let id = put(
        &bench.spool,
        common::envelope("a@x.test", &["b@x.test"]),
        content.as_bytes(),
    )
    .await;
    bench.deferral(id).await;
    let message = bench.spool.load(id).await.unwrap().unwrap();
    let Body::File(file) = &message.body else {
        panic!("no file")
    };
    let path = bench.folder.path().join("queue/bodies").join(file.name());
    let mut octets = std::fs::read(&path).unwrap();
    octets[300_000] ^= 4;
    std::fs::write(&path, octets).unwrap();

    let sink = Sink::start();
    bench.settings.store(Arc::new(Settings {
        routes: to_ports(&[sink.port()]).routes,
        ..settings.clone()
    }));
    bench.deliverer.reloaded();
    wait_until("it is held as damaged", || bench.spool.counts().damaged == 1);
    let other = bench.put("a@x.test", &["c@x.test"], CONTENT).await;
    bench.outcomes(other, 1).await;
    assert_eq!(sink.total(), 1, "the other message alone");
    assert!(bench.spool.history(id).await.unwrap().is_empty());

    // Nobody repairs it before the message expires.
    let (folder, spool) = bench.stop().await;
    drop(spool);
    hands.steady.store(3_600, Ordering::Relaxed);
    hands.wall.store(3_600, Ordering::Relaxed);
    let settings = Settings {
        routes: to_ports(&[sink.port()]).routes,
        ..settings
    };
    let bench = hands.bench(folder, settings);
    let history = bench.outcomes(id, 1).await;
    assert!(shown(&history)[0].contains("expired"), "{history:?}");
    let report = sink.wait_for("could not be delivered");
    assert!(
        report.rcpt[0].contains("a@x.test") && !report.content.contains("89abcdef"),
        "{report:?}"
    );
    assert_eq!(bench.spool.counts().damaged, 0);
    bench.stop().await;
}

/// A server with a dead task would accept mail but deliver none. So the panic is passed on to delivery as a whole, and ends the
/// server (`server::watch` of the program).
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_a_task_that_delivery_cannot_do_without_ends_it() {
    let folder = TempDir::new().unwrap();
    let (start, is_faulty) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let faulty = is_faulty.clone();
    // The threads of the spool, which ask too, are not tasks.
    let steady = move || {
        let panics = faulty.load(Ordering::Relaxed) && tokio::task::try_id().is_some();
        assert!(!panics, "a fault of the clock");
        start.elapsed()
    };
    let settings = SpoolSettings {
        clock: Clock::new(Timestamp::now, steady),
        ..SpoolSettings::new(folder.path().join("queue"))
    };
    let spool = Arc::new(SqliteSpool::open(settings).unwrap());
    let bench = Bench::over(
        folder,
        spool,
        to_ports(&[free_port()]),
        &ResolverSettings::default(),
        Verification::None,
    );
    let id = bench.put("a@x.test", &["b@x.test"], CONTENT).await;
    bench.deferral(id).await;
    is_faulty.store(true, Ordering::Relaxed);
    // The reader of due mail looks at the clock.
    bench.deliverer.flush(None);
    let panic = bench.ended().await.unwrap_err().into_panic();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"a fault of the clock"));
}
