//! Admission, and the ways in which a client can be a nuisance.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use postern_testkit::smtp::Client;

use crate::harness::{Options, begin_message};

fn greeting(port: u16) -> String {
    Client::connect(port).unwrap().1
}

#[test]
fn load_delays_queues_and_refuses() {
    let mut options = Options::mx();
    options.settings.admission.queue_only_load = Some(8.0);
    options.settings.admission.delay_load = Some(10.0);
    options.settings.admission.refuse_load = Some(12.0);
    options.settings.admission.delay = Duration::from_millis(300);
    let server = options.start();
    let mut client = server.connect();

    server.set_load(9.0);
    let begun = Instant::now();
    let reply = client
        .mail("a@a.example", &["acaird@challenger.example"], "x: y\n\n")
        .unwrap();
    let (message, _) = server.message(&reply);
    assert!(!message.is_fresh(), "left to the queue");
    assert!(begun.elapsed() < Duration::from_millis(300));

    server.set_load(11.0);
    let begun = Instant::now();
    client.say("NOOP").unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(greeting(server.port).starts_with("220"));

    server.set_load(12.5);
    assert!(greeting(server.port).starts_with("421 4.3.2"));
}

#[test]
fn sessions_of_one_network_are_counted() {
    let mut options = Options::mx();
    options.settings.admission.sessions_per_network = Some(2);
    let server = options.start();
    let first = server.connect();
    let _second = server.connect();
    assert!(greeting(server.port).starts_with("421 4.7.0"));
    drop(first);
    std::thread::sleep(Duration::from_millis(200));
    assert!(greeting(server.port).starts_with("220"));
}

#[test]
fn a_rate_makes_others_wait() {
    let mut options = Options::mx();
    options.settings.admission.connections_per_second = Some(2);
    let server = options.start();
    let begun = Instant::now();
    for _ in 0..5 {
        assert!(greeting(server.port).starts_with("220"));
    }
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn no_room_on_the_disk() {
    let mut options = Options::mx();
    options.settings.admission.min_free_bytes = u64::MAX / 2;
    let server = options.start();
    let reply = server.connect().say("MAIL FROM:<a@a.example>").unwrap();
    assert!(reply.starts_with("452 4.3.1"), "{reply}");
}

#[test]
fn a_closed_queue_says_421() {
    let server = Options::mx().start();
    let mut client = server.connect();
    begin_message(&mut client);
    server.close_spool();
    client.send(b"Subject: x\r\n\r\n").unwrap();
    let reply = client.say(".").unwrap();
    assert!(reply.starts_with("421 4.3.0"), "{reply}");
}

#[test]
fn who_talks_first_is_sent_away() {
    let mut options = Options::mx();
    options.settings.timeouts.greeting_delay = Duration::from_millis(300);
    let server = options.start();
    let begun = Instant::now();
    assert!(greeting(server.port).starts_with("220"));
    assert!(begun.elapsed() >= Duration::from_millis(300));
    let mut early = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    early.write_all(b"EHLO spam\r\n").unwrap();
    let mut said = String::new();
    early.read_to_string(&mut said).unwrap();
    assert!(
        said.starts_with("554 5.7.1") && said.lines().count() == 1,
        "{said}"
    );
}

#[test]
fn a_proxy_tells_who_connects() {
    let mut options = Options::mx();
    options.listener.proxy_from = vec!["127.0.0.0/8".parse().unwrap()];
    options.settings.timeouts.reverse_lookup = Duration::ZERO;
    options.settings.timeouts.proxy_header = Duration::from_millis(300);
    let server = options.start();
    let mut socket = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let session = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\nEHLO c\r\nMAIL FROM:<a@a.example>\r\n\
                   RCPT TO:<acaird@challenger.example>\r\nBDAT 0 LAST\r\nQUIT\r\n";
    socket.write_all(session.as_bytes()).unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    assert!(
        said.starts_with("220 ") && said.contains("Hello [192.0.2.7]"),
        "{said}"
    );
    let queued = said
        .lines()
        .find(|line| line.contains("Message accepted"))
        .unwrap();
    let (_, content) = server.message(queued);
    assert!(content.contains("[192.0.2.7]"), "{content}");

    let mut silent = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    said.clear();
    silent.read_to_string(&mut said).unwrap();
    assert_eq!(said, "", "without a header nobody is served");
}

#[test]
fn silence_ends_a_session() {
    let mut options = Options::mx();
    options.settings.timeouts.command = Duration::from_millis(300);
    options.settings.timeouts.data_block = Duration::from_millis(300);
    let server = options.start();
    let mut client = server.connect();
    assert!(client.reply().unwrap().starts_with("421 4.4.2"));
    let mut client = server.connect();
    begin_message(&mut client);
    client.send(b"half a").unwrap();
    assert!(client.reply().unwrap().starts_with("421 4.4.2"));
    assert!(client.reply().is_err(), "closed");
}

#[test]
fn settings_swapped_hold_for_new_sessions() {
    let server = Options::mx().start();
    let mut old = server.connect();
    let mut settings = (**server.settings.load()).clone();
    settings.admission.recipients = 0;
    settings.greeting = "{hostname} anew".to_owned();
    server.settings.store(std::sync::Arc::new(settings));
    old.say("MAIL FROM:<a@a.example>").unwrap();
    assert!(
        old.say("RCPT TO:<acaird@challenger.example>")
            .unwrap()
            .starts_with("250")
    );
    let (mut new, greeting) = Client::connect(server.port).unwrap();
    assert_eq!(greeting, "220 challenger.example ESMTP anew");
    new.say("MAIL FROM:<a@a.example>").unwrap();
    assert!(
        new.say("RCPT TO:<acaird@challenger.example>")
            .unwrap()
            .starts_with("452 4.5.3")
    );
}

#[test]
fn a_command_sent_octet_by_octet_gets_no_more_time() {
    let mut options = Options::mx();
    options.settings.timeouts.command = Duration::from_millis(800);
    let server = options.start();
    let mut client = server.connect();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(700) {
        client.send(b"N").unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(client.reply().unwrap().starts_with("421 4.4.2"));
    assert!(
        begun.elapsed() < Duration::from_millis(1_300),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn submitters_are_greeted_without_delay() {
    for (mut options, delayed) in [(Options::mx(), true), (Options::submission(), false)] {
        options.settings.timeouts.greeting_delay = Duration::from_millis(600);
        let server = options.start();
        let begun = Instant::now();
        let _ = greeting(server.port);
        assert_eq!(begun.elapsed() >= Duration::from_millis(600), delayed);
    }
}
