//! The server's resource use: memory with many sessions and with large messages, and a million messages
//! queued.

use std::thread;

use postern_testkit::sink::Sink;
use postern_testkit::smtp::TlsOptions;

use crate::harness::{Site, resident_kib};

#[test]
#[ignore = "opens 5,000 connections and takes a minute; scripts/test --all runs it"]
fn five_thousand_idle_tls_sessions_take_less_than_220_mib() {
    idle_sessions(5_000, 220 * 1024);
}

#[test]
fn five_hundred_idle_tls_sessions_take_less_than_30_mib() {
    idle_sessions(500, 30 * 1024);
}

fn idle_sessions(count: usize, limit_kib: u64) {
    // The test's own end of the connections needs descriptors too.
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, 20_000, 20_000);
    let sink = Sink::start();
    let mut site = Site::relay(
        sink.port(),
        "[admission]\nconnections_per_second = 100000\nsessions_per_network = 100000\nsessions = 100000\n",
    );
    site.start();
    // A debug binary is itself larger.
    let alone = resident_kib(site.server().pid());
    let ca = site.path("certs/ca.crt");
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (ca, port) = (ca.clone(), site.mx);
            thread::spawn(move || {
                (0..count / 4)
                    .map(|_| {
                        let mut client = postern_testkit::smtp::Client::connect(port).unwrap().0;
                        client.say("EHLO helo").unwrap();
                        let options = TlsOptions {
                            name: "localhost",
                            ca: &ca,
                            identity: None,
                        };
                        let mut client = client.starttls(options).unwrap();
                        client.say("EHLO helo").unwrap();
                        client
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let sessions: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(sessions.iter().map(Vec::len).sum::<usize>(), count);
    let used = resident_kib(site.server().pid()) - alone;
    println!("{count} idle TLS sessions: {used} KiB beside the {alone} KiB of the server alone");
    assert!(
        used < limit_kib,
        "{used} KiB for {count} sessions, {limit_kib} allowed"
    );
}

#[test]
#[ignore = "writes 2.5 GB; scripts/test --all runs it"]
fn a_hundred_large_messages_at_once_take_less_than_200_mib() {
    large_messages(100, 25 * 1024 * 1024);
}

#[test]
fn twenty_messages_of_5_mib_at_once_take_less_than_200_mib() {
    large_messages(20, 5 * 1024 * 1024);
}

fn large_messages(count: usize, size: usize) {
    let sink = Sink::start();
    sink.count_only();
    let mut site = Site::relay_with(
        sink.port(),
        "message_size_limit = \"30 MiB\"",
        "[admission]\nsessions_per_network = 1000\nconnections_per_second = 1000\n",
    );
    site.start();
    let pid = site.server().pid();
    let port = site.mx;
    let senders: Vec<_> = (0..count)
        .map(|number| {
            thread::spawn(move || {
                let mut client = postern_testkit::smtp::Client::connect(port).unwrap().0;
                client.say("EHLO helo").unwrap();
                client.say("MAIL FROM:<a@outside.example>").unwrap();
                client.say("RCPT TO:<b@relay.test>").unwrap();
                client.say("DATA").unwrap();
                client.send(format!("X-Id: {number}\r\n\r\n").as_bytes()).unwrap();
                let block = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(1024);
                for _ in 0..size / block.len() - 1 {
                    client.send(block.as_bytes()).unwrap();
                }
                let reply = client.say(".").unwrap();
                assert!(reply.starts_with("250"), "{reply}");
            })
        })
        .collect();
    let mut peak = 0;
    while senders.iter().any(|sender| !sender.is_finished()) {
        peak = peak.max(resident_kib(pid));
        thread::sleep(std::time::Duration::from_millis(20));
    }
    for sender in senders {
        sender.join().unwrap();
    }
    postern_testkit::process::wait_until("all to arrive", || {
        peak = peak.max(resident_kib(pid));
        sink.ids().len() == count
    });
    println!("{count} messages of {size} octets at once: {peak} KiB resident at most");
    assert!(peak < 200 * 1024, "{peak} KiB");
}
