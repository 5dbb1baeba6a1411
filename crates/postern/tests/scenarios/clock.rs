//! Setting the system clock while mail waits.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use postern_testkit::process::{free_port, program, wait_until};
use postern_testkit::sink::Sink;
use serde_json::Value;

use super::harness::Site;

const MESSAGES: usize = 20;

/// The library that makes programs see another time. On Debian it is in an architecture-specific
/// folder.
pub(crate) fn faketime() -> PathBuf {
    let _ = program("/usr/bin/faketime", "faketime");
    let found = fs::read_dir("/usr/lib").unwrap().flatten().find_map(|folder| {
        let library = folder.path().join("faketime/libfaketimeMT.so.1");
        library.exists().then_some(library)
    });
    found.expect("libfaketimeMT.so.1 of Debian's libfaketime")
}

fn attempts(site: &Site) -> Vec<u64> {
    let queue: Value = serde_json::from_str(&site.ok(&["queue", "list", "--json"])).unwrap();
    let messages = queue.as_array().unwrap();
    messages
        .iter()
        .map(|message| message["attempts"].as_u64().unwrap_or(0))
        .collect()
}

/// Mail of a day ahead, of a day back and of today is found, and counted on the day that the clock showed.
#[test]
fn what_happened_is_found_whichever_way_the_clock_was_set() {
    let sink = Sink::start();
    let mut site = Site::relay_with(sink.port(), "sandbox = false\n", "");
    let time = site.path("time");
    let set = |to: &str| {
        fs::write(time.with_extension("new"), to).unwrap();
        fs::rename(time.with_extension("new"), &time).unwrap();
    };
    set("+0\n");
    site.use_environment(&[
        ("LD_PRELOAD", &faketime()),
        ("FAKETIME_TIMESTAMP_FILE", &time),
        ("FAKETIME_NO_CACHE", Path::new("1")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", Path::new("1")),
    ]);
    site.start();
    let days = [("today", "+0\n"), ("ahead", "+2d\n"), ("back", "-2d\n")];
    for (name, to) in days {
        set(to);
        let content = format!("Subject: {name}\r\nMessage-ID: <{name}@mail.test>\r\n\r\na");
        let reply = site
            .tester()
            .mail("tester@relay.test", &["x@outside.example"], &content);
        assert!(reply.unwrap().starts_with("250"));
        let _ = sink.wait_for(&format!("Subject: {name}"));
    }
    set("+0\n");
    let all_are_found = |site: &Site, when: &str| {
        for (name, _) in days {
            let id = format!("<{name}@mail.test>");
            wait_until(&format!("{name} to be found {when}"), || {
                let traced = site.run(&["trace", &id]);
                String::from_utf8_lossy(&traced.stdout).contains("delivered to x@outside.example")
            });
        }
        let day = |days: i64| {
            let now = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
            now.strftime("%Y-%m-%d").to_string()
        };
        let stats = site.ok(&["stats", "--from", &day(-3), "--to", &day(3), "--json"]);
        let stats: Value = serde_json::from_str(&stats).unwrap();
        assert_eq!(stats["total"]["accepted"], 3, "{when}: {stats:#}");
        let counted = stats["by_day"].as_array().unwrap();
        let counted = counted.iter().filter(|day| day["counts"]["accepted"] == 1);
        assert_eq!(counted.count(), 3, "{when}: {stats:#}");
    };
    all_are_found(&site, "by the server");
    assert!(site.take_server().terminate().success());
    all_are_found(&site, "without a server");
    site.start();
    all_are_found(&site, "after a restart");
}

#[test]
fn a_clock_that_is_set_neither_stops_mail_nor_ends_it() {
    let hop = free_port();
    let retry = "[retry]\nintervals = [\"1s\"]\nexpire_after = \"12h\"\n";
    let mut site = Site::relay_with(hop, "sandbox = false\n", retry);
    let time = site.path("time");
    let set = |to: &str| {
        // Atomically, so that no reader finds half of it.
        fs::write(time.with_extension("new"), to).unwrap();
        fs::rename(time.with_extension("new"), &time).unwrap();
    };
    set("+0\n");
    site.use_environment(&[
        ("LD_PRELOAD", &faketime()),
        ("FAKETIME_TIMESTAMP_FILE", &time),
        ("FAKETIME_NO_CACHE", Path::new("1")),
        // The monotonic clock cannot be set.
        ("FAKETIME_DONT_FAKE_MONOTONIC", Path::new("1")),
    ]);
    site.start();
    let mail = |subject: &str| {
        let reply = site
            .tester()
            .mail(
                "tester@relay.test",
                &["x@outside.example"],
                &format!("Subject: {subject}\r\n\r\na"),
            )
            .unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    };
    for number in 0..MESSAGES {
        mail(&format!("waits {number}"));
    }
    let all_tried_again = |when: &str| {
        let before = attempts(&site).into_iter().max().unwrap();
        wait_until(when, || attempts(&site).iter().all(|count| *count > before));
        assert_eq!(attempts(&site).len(), MESSAGES, "{when}: nothing came to an end");
    };
    all_tried_again("the clock right");
    set("+1d\n");
    all_tried_again("a day ahead");
    set("-1d\n");
    all_tried_again("a day back");
    let log = site.log();
    let days: BTreeSet<_> = log.lines().filter_map(|line| line.get(..10)).collect();
    assert!(days.len() >= 3, "the server saw the clock being set: {days:?}");
    mail("new mail");
    let sink = Sink::start_on(hop);
    let _ = sink.wait_for("Subject: new mail");
    wait_until("the queue to be empty", || site.queue_is_empty());
    assert_eq!(sink.total(), MESSAGES as u64 + 1, "each once, and no report");
}
