//! Keys are rotated automatically, depending on the clock and DNS, or manually.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use postern_testkit::dns::Zone;
use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;

use crate::clock::faketime;
use crate::harness::{Site, binary};
use crate::signing::{both_hold, judged, make_keys, records, send};

/// How many days ago the keys are created: verifiers do not accept signatures from the future.
const BEGIN: i32 = 100;

/// A site whose clock is set by the file `time`, as `faketime` reads it.
fn site(sink: &Sink, zone: &Zone, tables: &str) -> Site {
    let dns = format!("[dns]\nnameservers = [\"{}\"]\n", zone.address());
    let rules = "[relay]\nsenders = \"own\"\n[timeouts]\nreverse_lookup = \"0s\"\n";
    let mut site = Site::relay_with(sink.port(), "sandbox = false\n", &format!("{rules}{dns}{tables}"));
    let time = site.path("time");
    set(&site, 0);
    site.use_environment(&[
        ("LD_PRELOAD", &faketime()),
        ("FAKETIME_TIMESTAMP_FILE", &time),
        ("FAKETIME_NO_CACHE", Path::new("1")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", Path::new("1")),
    ]);
    site
}

/// Sets the clock to that many days after the first.
fn set(site: &Site, day: i32) {
    // Atomically, so that no reader finds half of it.
    fs::write(site.path("time.new"), format!("{}d\n", day - BEGIN)).unwrap();
    fs::rename(site.path("time.new"), site.path("time")).unwrap();
}

/// Starts the server on another day: it then checks its keys at once, and every two minutes after that.
fn start_on(site: &mut Site, day: i32) {
    set(site, day);
    site.start();
}

fn stop(site: &mut Site) {
    assert!(site.take_server().terminate().success());
}

fn content(subject: &str) -> String {
    format!("From: tester@relay.test\r\nSubject: {subject}.\r\n\r\nHello.\r\n")
}

/// The current signatures.
fn signed(site: &Site, sink: &Sink, subject: &str) -> String {
    let (from, to) = ("tester@relay.test", "someone@outside.example");
    send(&mut site.tester(), from, to, &content(subject));
    sink.wait_for(&format!("Subject: {subject}.")).content
}

#[test]
fn keys_are_replaced_by_themselves() {
    let sink = Sink::start();
    let mut zone = Zone::start("relay.test", &[]);
    let table = "[[dkim]]\ndomain = \"relay.test\"\nrotate_every = \"30d\"\nkeep_old = \"5d\"\n";
    let mut site = site(&sink, &zone, table);
    let first = make_keys(&site, &["relay.test"]);
    zone.replace("relay.test", &first);

    start_on(&mut site, 29);
    both_hold(&signed(&site, &sink, "a day before"), &first, "a day before");
    stop(&mut site);
    assert_eq!(records(&site, "relay.test"), first, "nothing was to be done");

    // The server creates the next ones and says which records it is waiting for; until then, the first
    // ones sign.
    start_on(&mut site, 30);
    site.wait_for_log(&[
        "a DKIM key was made that signs once DNS shows its record",
        "IN TXT",
    ]);
    wait_until("the next keys", || records(&site, "relay.test").len() == 4);
    let all = records(&site, "relay.test");
    both_hold(
        &signed(&site, &sink, "not in DNS yet"),
        &first,
        "the first keys still",
    );
    stop(&mut site);

    zone.replace("relay.test", &all);
    start_on(&mut site, 31);
    site.wait_for_log(&["DNS shows the records of new DKIM keys"]);
    let next = &all[2..];
    wait_until("mail signed with the next keys", || {
        judged(&signed(&site, &sink, "switched"), next)
            .iter()
            .all(|one| one.holds)
    });
    stop(&mut site);

    // The old ones stay as long as mail signed with them may be in transit.
    start_on(&mut site, 35);
    both_hold(&signed(&site, &sink, "four days later"), next, "the next keys");
    assert_eq!(records(&site, "relay.test"), all);
    stop(&mut site);
    start_on(&mut site, 36);
    site.wait_for_log(&["old DKIM keys were removed"]);
    assert_eq!(records(&site, "relay.test"), next);
    let files = fs::read_dir(site.path("state/dkim/relay.test"))
        .unwrap()
        .flatten();
    let keys = files.filter(|file| file.path().extension().is_some_and(|end| end == "pem"));
    assert_eq!(keys.count(), 2, "their files are gone, too");
}

#[test]
fn without_automatic_no_step_is_taken() {
    let sink = Sink::start();
    let zone = Zone::start("relay.test", &[]);
    // The second domain shows that the server has checked.
    let tables = "[[dkim]]\ndomain = \"relay.test\"\nrotate_every = \"30d\"\nautomatic = false\n\
                  [[dkim]]\ndomain = \"other.test\"\nrotate_every = \"30d\"\n";
    let mut site = site(&sink, &zone, tables);
    make_keys(&site, &["relay.test", "other.test"]);
    let before = records(&site, "relay.test");
    start_on(&mut site, 60);
    site.wait_for_log(&[
        "a DKIM key was made that signs once DNS shows its record",
        "domain=other.test",
    ]);
    assert_eq!(records(&site, "relay.test"), before);
    assert!(!site.log().contains("domain=relay.test"), "{}", site.log());
    // It continues manually.
    let told = site.run(&["dkim", "rotate", "relay.test", "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["step"], "made", "{told}");
}

#[test]
fn whoever_waits_goes_on_once_dns_shows_the_records() {
    let sink = Sink::start();
    let mut zone = Zone::start("relay.test", &[]);
    let dns = format!(
        "[dns]\nnameservers = [\"{}\"]\n[[dkim]]\ndomain = \"relay.test\"\nautomatic = false\n",
        zone.address()
    );
    let site = Site::relay(sink.port(), &dns);
    make_keys(&site, &["relay.test"]);
    let wait = || {
        let mut command = Command::new(binary());
        command
            .args(["dkim", "rotate", "relay.test", "--json", "--wait"])
            .env("POSTERN_CONFIG", site.path("postern.toml"))
            .current_dir(site.path("."))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    };
    let child = wait().spawn().unwrap();
    wait_until("the next keys", || records(&site, "relay.test").len() == 4);
    let all = records(&site, "relay.test");
    // One of two records is not enough.
    zone.replace("relay.test", &all[..3]);
    zone.replace("relay.test", &all);
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let printed = String::from_utf8_lossy(&done.stderr);
    assert!(
        printed.contains("IN TXT"),
        "what to add is said before it waits: {printed}"
    );
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(told["step"], "switched", "{told}");
    let check: serde_json::Value =
        serde_json::from_slice(&site.run(&["dkim", "check", "--json"]).stdout).unwrap();
    let stages: Vec<_> = check
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["stage"].as_str().unwrap())
        .collect();
    assert_eq!(stages, ["retired", "retired", "active", "active"], "{check}");

    // With `--go-on`, nothing new begins.
    let rest = site.ok(&["dkim", "rotate", "relay.test", "--continue", "--json"]);
    assert!(rest.contains("\"nothing\""), "{rest}");
    assert_eq!(records(&site, "relay.test").len(), 4);

    // If the wait is not long enough, that is reported.
    site.ok(&["dkim", "rotate", "relay.test", "--finish"]);
    zone.replace("relay.test", &all[2..]);
    let mut short = wait();
    let ended = short.arg("0").output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let told: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(told["step"], "waiting", "{told}");
}
