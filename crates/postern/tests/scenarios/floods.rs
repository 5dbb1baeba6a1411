//! Large numbers of strangers: they must not take sessions, log, disk or memory from others.

use std::fs;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;
use postern_testkit::smtp::{Client, TlsOptions};

use crate::disk::{SmallDisk, free};
use crate::harness::{Site, resident_kib};

/// One of some hundred addresses, each in a separate wide network.
fn stranger(number: usize) -> Ipv4Addr {
    let number = u8::try_from(number % 200).unwrap();
    Ipv4Addr::new(127, 7, number, 1)
}

/// A session from an address, after its greeting.
fn greeted(source: Ipv4Addr, port: u16) -> Client {
    let (mut client, greeting) = Client::connect_from(source, port).unwrap();
    assert!(greeting.starts_with("220"), "{greeting}");
    assert!(client.say("EHLO helo").unwrap().starts_with("250"));
    client
}

/// Connects from that many addresses again and again, and keeps what it gets.
fn flood(port: u16, addresses: usize) -> Vec<Client> {
    (0..400)
        .filter_map(|number| Client::connect_from(stranger(number % addresses), port).ok())
        .filter(|(_, greeting)| greeting.starts_with("220"))
        .map(|(client, _)| client)
        .collect()
}

#[test]
fn a_flood_at_the_mx_leaves_submission_open() {
    let sink = Sink::start();
    let mut site = Site::relay(
        sink.port(),
        "[admission]\nsessions = 200\n[timeouts]\nreverse_lookup = \"0\"\n",
    );
    site.start();
    let mut early = site.tester();
    let held = flood(site.mx, 20);
    assert!(held.len() > 60, "the flood was no flood: {}", held.len());
    site.wait_for_log(&["sessions are scarce"]);

    // Both ways to submit still work, for new clients and for earlier ones.
    let mail = |client: &mut Client, subject: &str| {
        client.mail(
            "tester@relay.test",
            &["x@outside.example"],
            &format!("Subject: {subject}\r\n\r\n"),
        )
    };
    assert!(mail(&mut early, "early").unwrap().starts_with("250"));
    assert!(
        mail(&mut site.tester(), "by STARTTLS")
            .unwrap()
            .starts_with("250")
    );
    let ca = site.path("certs/ca.crt");
    let options = TlsOptions {
        name: "localhost",
        ca: &ca,
        identity: None,
    };
    let (mut implicit, _) = Client::connect_tls(site.submissions, options).unwrap();
    implicit.say("EHLO helo").unwrap();
    assert!(
        implicit
            .login("tester@relay.test", "test word")
            .unwrap()
            .starts_with("235")
    );
    assert!(mail(&mut implicit, "by TLS").unwrap().starts_with("250"));
    // Even a host of the flood is accepted on the other listener.
    drop(greeted(stranger(0), site.submission));
    // A host outside the flood gets the place of one that is part of it.
    let mut honest = greeted(Ipv4Addr::new(127, 99, 0, 1), site.mx);
    assert!(
        honest
            .mail("a@a.example", &["b@relay.test"], "Subject: honest\r\n\r\n")
            .unwrap()
            .starts_with("250")
    );
    for subject in ["early", "by STARTTLS", "by TLS", "honest"] {
        let _ = sink.wait_for(&format!("Subject: {subject}"));
    }
    drop(held);
}

#[test]
fn a_flood_at_submission_leaves_who_has_logged_in_alone_and_lets_others_in() {
    let sink = Sink::start();
    let mut site = Site::relay(
        sink.port(),
        "[admission]\nsessions = 200\n[timeouts]\nreverse_lookup = \"0\"\n",
    );
    site.start();
    let mut users: Vec<Client> = (0..10).map(|_| site.tester()).collect();
    // A hundred networks with one session each.
    let held = flood(site.submission, 100);
    assert!(held.len() > 60, "the flood was no flood: {}", held.len());
    // Clients that have not logged in after some seconds give way.
    thread::sleep(Duration::from_secs(6));
    users.push(site.tester());
    for user in &mut users {
        assert!(
            user.say("NOOP").unwrap().starts_with("250"),
            "nobody who has logged in is sent away"
        );
    }
    drop(greeted(Ipv4Addr::new(127, 99, 0, 1), site.mx));
    drop(held);
}

#[test]
fn refusals_end_and_do_not_fill_the_log() {
    let sink = Sink::start();
    let mut site = Site::relay(
        sink.port(),
        "[limits]\nrecipients = 100\n[timeouts]\nerror_delay = \"0\"\nreverse_lookup = \"0\"\n[log]\nrefusals_per_second = 2\n",
    );
    site.start();
    let before = site.log().len();
    let noisy: Vec<_> = (0..4)
        .map(|thread| {
            let port = site.mx;
            thread::spawn(move || {
                let mut refused = 0;
                for _ in 0..25 {
                    let source = Ipv4Addr::new(127, 7, thread, 1);
                    let mut client = greeted(source, port);
                    client.say("MAIL FROM:<a@a.example>").unwrap();
                    // Written at once, as an attacker who wants to fill the log would.
                    client
                        .send("RCPT TO:<victim@nobodys.example>\r\n".repeat(2_000).as_bytes())
                        .ok();
                    let mut last = String::new();
                    while let Ok(reply) = client.reply() {
                        refused += 1;
                        last = reply;
                    }
                    assert!(last.starts_with("421 4.7.0") || last.starts_with("550"), "{last}");
                }
                refused
            })
        })
        .collect();
    // Important events are in the log, whatever strangers do meanwhile.
    for number in 0..10 {
        let mut user = site.tester();
        let message = format!("Subject: {number}\r\nMessage-ID: <in-the-log-{number}@x>\r\n\r\n");
        assert!(
            user.mail("tester@relay.test", &["x@outside.example"], &message)
                .unwrap()
                .starts_with("250")
        );
    }
    let refused: usize = noisy.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(refused <= 100 * 101, "each session ends: {refused}");
    let _ = sink.wait_for("Subject: 9");
    wait_until("the queue to be empty", || site.queue_is_empty());
    let server = site.take_server();
    server.terminate();
    let log = site.log();
    for number in 0..10 {
        assert!(
            log.contains(&format!("in-the-log-{number}@x")),
            "accepted {number}"
        );
    }
    assert_eq!(log.lines().filter(|line| line.contains(" login ")).count(), 10);
    assert_eq!(
        log.lines().filter(|line| line.contains(" delivered ")).count(),
        10
    );
    let refusals = log.lines().filter(|line| line.contains(" refused ")).count();
    assert!(
        (10..=200).contains(&refusals),
        "{refusals} lines about {refused} refusals"
    );
    assert!(log.contains(" suppressed "), "the rest is counted");
    assert!(log.len() - before < 200_000, "{} octets", log.len() - before);
}

#[test]
fn one_session_of_refusals_is_told_in_few_lines() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "[timeouts]\nerror_delay = \"0\"\n");
    site.start();
    let mut user = site.tester();
    let mut refused = 0;
    let last = loop {
        // Each in a separate transaction, so that no other limit ends it.
        let reply = user
            .say("MAIL FROM:<tester@relay.test> SIZE=99999999999")
            .unwrap();
        refused += 1;
        if !reply.starts_with("552") {
            break reply;
        }
    };
    assert!(last.starts_with("421 4.7.0"), "{last}");
    assert_eq!(refused, 1_001, "who has logged in has ten times the patience");
    wait_until("the summary", || site.log().contains(" suppressed "));
    let log = site.log();
    let lines = log.lines().filter(|line| line.contains("admission.size")).count();
    assert!(lines < 60, "{lines}");
    let summary = log.lines().find(|line| line.contains(" suppressed ")).unwrap();
    assert!(
        summary.contains("rules=") && summary.contains("admission.size="),
        "{summary}"
    );
}

#[test]
fn unfinished_bodies_do_not_take_the_disk() {
    let sink = Sink::start();
    let mut site = Site::relay(
        sink.port(),
        "[admission]\nmin_free = \"32 MiB\"\n[spool]\nreserve = \"8 MiB\"\nlog_size = \"1 MiB\"\n[timeouts]\nreverse_lookup = \"0\"\n",
    );
    let users = fs::read(site.path("state/users.db")).unwrap();
    let _disk = SmallDisk::mount(&site.path("state"), "192m");
    crate::harness::private(&site.path("state/users.db"), "");
    fs::write(site.path("state/users.db"), users).unwrap();
    site.start();
    let available = free(&site.path("state"));
    // Fourteen strangers send what would fill the disk twice, and never finish; half of them by BDAT.
    let megabyte = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(16 * 1024);
    let strangers: Vec<_> = (0..14)
        .map(|number| {
            let (port, megabyte) = (site.mx, megabyte.clone());
            thread::spawn(move || {
                let mut client = greeted(stranger(number), port);
                let mut say = |line: &str| client.say(line).unwrap();
                if say("MAIL FROM:<a@a.example>").starts_with("452") {
                    return None;
                }
                say("RCPT TO:<b@relay.test>");
                if number.is_multiple_of(2) {
                    if say("DATA").starts_with("452") {
                        return None;
                    }
                    for _ in 0..24 {
                        client.send(megabyte.as_bytes()).unwrap();
                    }
                    return Some(client);
                }
                for _ in 0..24 {
                    client
                        .send(format!("BDAT {}\r\n{megabyte}", megabyte.len()).as_bytes())
                        .unwrap();
                    let reply = client.reply().unwrap();
                    if reply.starts_with("452") {
                        return None;
                    }
                    assert!(reply.starts_with("250"), "{reply}");
                }
                Some(client)
            })
        })
        .collect();
    let mut held: Vec<Option<Client>> = strangers
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    let left = free(&site.path("state"));
    assert!(left > 32 << 20, "{left} of {available} octets are left");
    // Meanwhile, a user has room.
    let reply = site
        .tester()
        .mail(
            "tester@relay.test",
            &["x@outside.example"],
            &format!("Subject: mine\r\n\r\n{megabyte}"),
        )
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let _ = sink.wait_for("Subject: mine");
    let mut refused = held.iter().filter(|client| client.is_none()).count();
    for client in held.iter_mut().step_by(2).flatten() {
        let reply = client.say(".").unwrap();
        assert!(reply.starts_with("250") || reply.starts_with("452"), "{reply}");
        refused += usize::from(reply.starts_with("452"));
    }
    assert!(refused > 0, "somebody was refused");
    let left = free(&site.path("state"));
    assert!(left > 32 << 20, "{left} of {available} octets are left");
}

/// Messages in progress at once, and how many of them fit: strangers get half of the bodies in files.
const COUNT: usize = 1_200;
const TAKEN: usize = 1_000;

/// How much memory a stranger's message may use while it is in progress and memory is short, in KiB: the session, and what is
/// kept of the header. They use about 30 in a debug build. Without a bound, each would use 150: the write buffer, and room for
/// large reads.
const HELD_KIB: u64 = 50;

/// An unfinished message of a stranger, and whether it uses `BDAT`; nothing if there was no room for it.
enum UnderWay {
    Data(Client),
    Chunks(Client),
    Refused,
}

fn begin_message(number: usize, port: u16, body: &str) -> UnderWay {
    let mut client = greeted(stranger(number), port);
    let mut say = |line: &str, answer: &str| {
        let reply = client.say(line).unwrap();
        assert!(reply.starts_with(answer), "{number}: {line}: {reply}");
    };
    say("MAIL FROM:<a@a.example>", "250");
    say("RCPT TO:<b@relay.test>", "250");
    if number.is_multiple_of(2) {
        say("DATA", "354");
        client.send(body.as_bytes()).unwrap();
        return UnderWay::Data(client);
    }
    client
        .send(format!("BDAT {}\r\n{body}", body.len()).as_bytes())
        .unwrap();
    let reply = client.reply().unwrap();
    match &reply[..3] {
        "250" => UnderWay::Chunks(client),
        "452" => UnderWay::Refused,
        _ => panic!("{number}: {reply}"),
    }
}

#[test]
fn messages_under_way_have_bounded_memory() {
    // The test's own end of the connections needs descriptors too.
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, 20_000, 20_000);
    let sink = Sink::start();
    // Nobody is disconnected for being slow, however long this machine takes.
    let mut site = Site::relay(
        sink.port(),
        &format!(
            "[admission]\nmemory = \"16 MiB\"\nbodies = {}\nsessions_per_network = 1000\n\
             [timeouts]\nreverse_lookup = \"0\"\nstress = \"1h\"\n",
            2 * TAKEN
        ),
    );
    site.start();
    let pid = site.server().pid();
    let before = resident_kib(pid);
    // Each has a body small enough to stay in memory, and a large header to keep. The replies to chunks show that they have
    // arrived, and so have those by DATA before them.
    let head = format!("From: {}\r\n", "x".repeat(1_900)).repeat(4);
    let body = format!("{head}\r\n{}", "0123456789abcdef\r\n".repeat(6_500));
    let held: Vec<UnderWay> = (0..COUNT)
        .map(|number| begin_message(number, site.mx, &body))
        .collect();
    // Memory freed to the allocator is returned to the system later, when more is allocated.
    let bound = 16 * 1024 + COUNT as u64 * HELD_KIB;
    let mut least = u64::MAX;
    wait_until("messages under way to hold little", || {
        drop(greeted(stranger(0), site.submission));
        least = least.min(resident_kib(pid).saturating_sub(before));
        least < bound
    });
    println!(
        "{COUNT} messages of {} octets under way at once: {least} KiB",
        body.len()
    );
    let mut taken = 0;
    for message in held {
        let reply = match message {
            UnderWay::Data(mut client) => client.say("\r\n.").unwrap(),
            UnderWay::Chunks(mut client) => client.say("BDAT 0 LAST").unwrap(),
            UnderWay::Refused => continue,
        };
        assert!(reply.starts_with("250") || reply.starts_with("452"), "{reply}");
        taken += usize::from(reply.starts_with("250"));
    }
    assert!(taken >= TAKEN, "{taken} were under way to their end");
}
