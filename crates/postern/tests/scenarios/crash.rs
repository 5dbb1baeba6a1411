//! `kill -9` under load: nothing that got `250` is missing.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;
use postern_testkit::smtp::Client;

use crate::harness::Site;

const SENDERS: usize = 8;

/// How many deliveries may be in progress when the server dies: the default concurrency of one destination, and those that
/// each connection has had acknowledged but not yet recorded.
const UNDER_WAY: u32 = 200;

#[test]
fn three_rounds() {
    rounds(3);
}

#[test]
#[ignore = "runs for minutes; scripts/test --all runs it"]
fn thirty_rounds() {
    rounds(30);
}

/// Failures of a message are collected for one report, and not recorded before: a crash in between neither loses nor
/// duplicates any.
#[test]
fn a_death_while_failures_are_gathered() {
    let sink = Sink::start();
    // The kernel accepts connections for it, and it never says a word: the others' refusals wait for it.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let hop = sink.port();
    let mut site = Site::relay(
        hop,
        &format!(
            "[[route]]\ndomains = [\"silent.test\"]\nvia = [\"127.0.0.1:{port}\"]\ntls = \"none\"\n\
             [[route]]\ndomains = [\"*\"]\nvia = [\"127.0.0.1:{hop}\"]\ntls = \"none\"\n"
        ),
    );
    site.start();
    let reply = site
        .tester()
        .mail(
            "tester@relay.test",
            &[
                "reject1@x.test",
                "reject2@x.test",
                "reject3@y.test",
                "b@silent.test",
            ],
            "Subject: gathered\r\n\r\nhello\r\n",
        )
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    // The outcomes themselves are recorded with the report.
    site.wait_for_log(&["attempt", "recipients=3 taken=0"]);
    site.take_server().crash();

    drop(silent);
    let fourth = Sink::start_on(port);
    site.start();
    let report = sink.wait_for("multipart/report").content;
    for refused in ["reject1@x.test", "reject2@x.test", "reject3@y.test"] {
        let line = format!("Final-Recipient: rfc822; {refused}");
        assert_eq!(report.matches(&line).count(), 1, "{report}");
    }
    let _ = fourth.wait_for("Subject: gathered");
    wait_until("an empty queue", || site.queue_is_empty());
    let reports = sink.taken();
    let reports = reports
        .iter()
        .filter(|taken| taken.content.contains("multipart/report"));
    assert_eq!(reports.count(), 1, "one message has one report");
}

fn rounds(count: u64) {
    let sink = Sink::start();
    sink.count_only();
    let mut site = Site::relay(sink.port(), "");
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    let serial = Arc::new(AtomicU64::new(0));
    for round in 0..count {
        site.start();
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (acknowledged, serial, stop) =
                    (Arc::clone(&acknowledged), Arc::clone(&serial), Arc::clone(&stop));
                let port = site.mx;
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let _ = send_until_cut(port, sender, &serial, &acknowledged);
                    }
                })
            })
            .collect();
        // Each round dies at a different time.
        thread::sleep(Duration::from_millis(400 + (round * 137) % 600));
        site.take_server().crash();
        stop.store(true, Ordering::Relaxed);
        for sender in senders {
            sender.join().unwrap();
        }
    }
    site.start();
    let acknowledged = acknowledged.lock().unwrap();
    assert!(
        acknowledged.len() > 100,
        "only {} messages were taken at all",
        acknowledged.len()
    );
    wait_until("an empty queue", || {
        thread::sleep(Duration::from_millis(200));
        site.queue_is_empty()
    });
    let arrived = sink.ids();
    let missing: Vec<_> = acknowledged
        .iter()
        .filter(|id| !arrived.contains_key(*id))
        .collect();
    assert!(
        missing.is_empty(),
        "{} of {} are lost: {missing:?}",
        missing.len(),
        acknowledged.len()
    );
    let repeats: u32 = arrived.values().map(|times| times - 1).sum();
    assert!(
        repeats <= UNDER_WAY * u32::try_from(count).unwrap(),
        "{repeats} repeats in {count} rounds are more than were under way"
    );
    println!(
        "{} acknowledged, none lost, {repeats} repeated in {count} rounds",
        acknowledged.len()
    );
}

fn send_until_cut(
    port: u16,
    sender: usize,
    serial: &AtomicU64,
    acknowledged: &Mutex<HashSet<String>>,
) -> std::io::Result<()> {
    let (mut client, _) = Client::connect(port)?;
    client.say("EHLO helo")?;
    loop {
        let id = format!("{sender}-{}", serial.fetch_add(1, Ordering::Relaxed));
        // Every tenth is large enough for a file of its own.
        let filler = if id.ends_with('7') {
            "0123456789abcdef\r\n".repeat(6_000)
        } else {
            "x\r\n".repeat(300)
        };
        let content = format!("X-Id: {id}\r\nSubject: load\r\n\r\n{filler}");
        let reply = client.mail("a@outside.example", &["b@relay.test"], &content)?;
        if reply.starts_with("250") {
            acknowledged.lock().unwrap().insert(id);
        }
    }
}
