//! Admission, and clients that misbehave.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_policy::header_check::{By, Check, Own, Part, Verdict};
use postern_policy::rewrite::{When, Whose};
use postern_receive::{ContentSettings, Settings};
use postern_table::Pattern;
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
    // So long that a message that has to wait for it never comes.
    options.settings.admission.delay = Duration::from_secs(24 * 3_600);
    let server = options.start();
    let mut client = server.connect();

    server.set_load(9.0);
    let reply = client
        .mail("a@a.example", &["acaird@challenger.example"], "x: y\n\n")
        .unwrap();
    let (message, _) = server.message(&reply);
    assert!(!message.is_fresh(), "left to the queue");

    let mut settings = Settings::clone(&server.settings.load());
    settings.admission.delay = Duration::from_millis(300);
    server.settings.store(settings.into());
    let mut client = server.connect();
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
    options.settings.room.min_free = u64::MAX / 2;
    let server = options.start();
    let reply = server.connect().say("MAIL FROM:<a@a.example>").unwrap();
    assert!(reply.starts_with("452 4.3.1"), "{reply}");
}

/// Replies are not held back while the octets of a chunk are awaited (RFC 2920 section 3.1): the client may wait for them.
#[test]
fn a_client_may_wait_for_replies_before_its_chunk() {
    let server = Options::mx().start();
    let mut client = server.connect();
    client
        .send(b"MAIL FROM:<a@a.example>\r\nRCPT TO:<acaird@challenger.example>\r\nBDAT 8 LAST\r\n")
        .unwrap();
    for _ in 0..2 {
        let reply = client.reply().unwrap();
        assert!(reply.starts_with("250 2.1."), "{reply}");
    }
    client.send(b"x: y\r\n\r\n").unwrap();
    assert!(
        client.reply().unwrap().starts_with("250 2.0.0"),
        "the message is taken"
    );
    // The same for a refused chunk.
    client.send(b"NOOP\r\nBDAT 3\r\n").unwrap();
    assert!(
        client.reply().unwrap().starts_with("250"),
        "before the octets come"
    );
    client.send(b"abc").unwrap();
    assert!(client.reply().unwrap().starts_with("503"));
}

/// A chunk far over the limit is refused at once and not read; one a little over it does not end the session.
#[test]
fn a_chunk_far_over_the_limit_is_not_read() {
    let mut options = Options::mx();
    options.settings.admission.message_size = 1_000;
    let server = options.start();
    let begin = || {
        let mut client = server.connect();
        client.say("MAIL FROM:<a@a.example>").unwrap();
        client.say("RCPT TO:<acaird@challenger.example>").unwrap();
        client
    };
    #[rustfmt::skip]
    let cases = [
        ("as large as it gets",     true,  "BDAT 9223372036854775807",       "552 5.3.4"),
        ("the last, too",           true,  "BDAT 99999999999 LAST",          "552 5.3.4"),
        ("one that nobody wants",   false, "BDAT 9223372036854775807 LAST",  "503"),
    ];
    for (shows, wanted, line, refusal) in cases {
        let mut client = if wanted { begin() } else { server.connect() };
        // Not an octet of it is sent.
        let reply = client.say(line).unwrap();
        assert!(reply.starts_with(refusal), "{shows}: {reply}");
        assert!(client.reply().is_err(), "{shows}: closed");
    }
    let mut client = begin();
    assert!(
        client.say("BDAT 6\r\nx: y").unwrap().starts_with("250"),
        "a part that fits"
    );
    let reply = client.say("BDAT 9223372036854775807").unwrap();
    assert!(reply.starts_with("552 5.3.4"), "with what was before: {reply}");

    let mut client = begin();
    let body = "x".repeat(1_498);
    let reply = client.say(&format!("BDAT 1500 LAST\r\n{body}")).unwrap();
    assert!(reply.starts_with("552 5.3.4"), "a little: {reply}");
    assert!(client.say("NOOP").unwrap().starts_with("250"), "goes on");
}

/// Checks cannot make a message larger than a client may send.
#[test]
fn a_body_does_not_grow_over_the_limit() {
    let replace = |line: &str, by: &str| Check {
        name: line.into(),
        when: When::In,
        whose: Whose::everybody(),
        listeners: Vec::new(),
        parts: [Part::Body].into_iter().collect(),
        by: By::Own(Own {
            fields: Vec::new(),
            pattern: Some(Pattern::new(&format!("^{line}$"), by).unwrap()),
            verdict: Verdict::Replace("".into()),
        }),
    };
    let mut options = Options::mx();
    options.settings.admission.message_size = 1_000;
    options.settings.content = Some(Arc::new(ContentSettings {
        checks: Arc::new([
            replace("grow", &"x".repeat(100)),
            replace("same", "SAME"),
            replace("shrink", "s"),
        ]),
        ..ContentSettings::default()
    }));
    let server = options.start();
    let mut client = server.connect();
    // Before it come 6 octets of header and the 2 of an empty line.
    let full = |line: &str| format!("{line}\n{}\n{}\n", "x".repeat(900), "x".repeat(84 - line.len()));
    #[rustfmt::skip]
    let cases = [
        ("a little",         "grow\n".repeat(9),     Some("grow")),
        ("too much",         "grow\n".repeat(10),    None),
        ("as large before",  full("same"),           Some("SAME")),
        ("full, and grows",  full("grow"),           None),
        ("full, and smaller", full("shrink"),        Some("s")),
    ];
    for (shows, body, taken) in cases {
        let text = format!("x: y\n\n{body}");
        let size = text.len() + text.matches('\n').count();
        assert!(size <= 1_000, "{shows}: {size}");
        let reply = client
            .mail("a@a.example", &["acaird@challenger.example"], &text)
            .unwrap();
        let Some(line) = taken else {
            assert!(
                reply.starts_with("552 5.3.4 Message exceeds the limit of 1000 octets"),
                "{shows}: {reply}"
            );
            continue;
        };
        let (_, content) = server.message(&reply);
        let made = content.split_once("\r\n\r\n").unwrap().1;
        let line = if line == "grow" {
            "x".repeat(100)
        } else {
            line.to_owned()
        };
        assert_eq!(made.lines().next(), Some(&*line), "{shows}");
    }
}

#[test]
fn data_without_end_is_not_read_for_ever() {
    let mut options = Options::mx();
    options.settings.admission.message_size = 1_000;
    let server = options.start();
    let mut client = server.connect();
    client.say("MAIL FROM:<a@a.example>").unwrap();
    client.say("RCPT TO:<acaird@challenger.example>").unwrap();
    assert!(client.say("DATA").unwrap().starts_with("354"));
    let block = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(1 << 14);
    // The network buffers some of it; this is much more than is read of a refused body.
    let sent = (0..256)
        .take_while(|_| client.send(block.as_bytes()).is_ok())
        .count();
    assert!(sent < 256, "256 MiB were read");
}

/// The time limit of a message does not start again with each chunk, even if all of them have already arrived.
#[test]
fn many_chunks_get_no_more_time_than_one() {
    let mut options = Options::mx();
    options.settings.timeouts.data_total = Duration::from_millis(400);
    let server = options.start();
    let mut client = server.connect();
    client.say("MAIL FROM:<a@a.example>").unwrap();
    client.say("RCPT TO:<acaird@challenger.example>").unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < end, "chunk after chunk is taken");
        let said = client.send(b"BDAT 5\r\nx:y\r\n").and_then(|()| client.reply());
        match said {
            Ok(reply) if reply.starts_with("250") => std::thread::sleep(Duration::from_millis(20)),
            Ok(reply) => {
                assert!(reply.starts_with("421"), "{reply}");
                break;
            }
            Err(_) => break,
        }
    }
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
    server.settings.store(Arc::new(settings));
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
    let mut client = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut said = Vec::new();
    // Sends something repeatedly until this many more lines have come.
    let mut until = |lines: usize, send: &[u8]| {
        said.clear();
        while said.iter().filter(|&&octet| octet == b'\n').count() < lines {
            client.write_all(send).unwrap();
            let mut piece = [0; 512];
            match client.read(&mut piece) {
                Ok(count) => said.extend_from_slice(&piece[..count]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        String::from_utf8(said.clone()).unwrap()
    };
    assert!(until(1, b"").starts_with("220"));
    // If each octet gained more time, no reply would come before there are too many.
    let last = until(1, b"N");
    assert!(last.starts_with("421 4.4.2"), "{last}");
}

#[test]
fn submitters_are_greeted_without_delay() {
    let mut options = Options::mx();
    options.settings.timeouts.greeting_delay = Duration::from_millis(600);
    let server = options.start();
    let begun = Instant::now();
    let _ = greeting(server.port);
    assert!(begun.elapsed() >= Duration::from_millis(600));
    let mut options = Options::submission();
    // Too long for anybody to wait for.
    options.settings.timeouts.greeting_delay = Duration::from_secs(86_400);
    let server = options.start();
    let _ = greeting(server.port);
}

#[test]
fn no_refusal_is_free() {
    let mut options = Options::mx();
    options.settings.admission.recipients = 1;
    options.settings.patience.errors = 30;
    options.settings.patience.delay = Duration::ZERO;
    options.settings.limits.refused_recipients_max = 10_000;
    let server = options.start();
    // What the client sends, and how often it is refused before the session ends.
    for (said, most) in [
        ("RCPT TO:<b@relay.example>", 301),
        ("RCPT TO:<b@nobodys.example>", 31),
        ("MAIL FROM:<a@a.example> SIZE=999999999", 31),
    ] {
        let mut client = server.connect();
        if said.starts_with("RCPT") {
            client.say("MAIL FROM:<a@a.example>").unwrap();
        }
        if said.contains("relay.example") {
            assert!(
                client
                    .say("RCPT TO:<a@relay.example>")
                    .unwrap()
                    .starts_with("250")
            );
        }
        let mut refused = 0;
        let last = loop {
            let reply = client.say(said).unwrap();
            refused += 1;
            assert!(
                reply.starts_with('4') || reply.starts_with('5'),
                "{said}: {reply}"
            );
            if reply.starts_with("421") || refused > 400 {
                break reply;
            }
        };
        assert!(last.starts_with("421 4.7.0"), "{said}: {last}");
        assert!(refused <= most, "{said}: {refused}");
        assert!(client.reply().is_err(), "closed");
    }
}

#[test]
fn messages_refused_cost_patience_too() {
    let mut options = Options::mx();
    options.settings.limits.header_max = 10;
    options.settings.patience.errors = 5;
    let server = options.start();
    let mut client = server.connect();
    let mut replies = 0;
    loop {
        let reply = client
            .mail(
                "a@a.example",
                &["acaird@challenger.example"],
                "Subject: long enough\r\n\r\n",
            )
            .unwrap();
        replies += 1;
        if reply.starts_with("421 4.7.0") {
            break;
        }
        assert!(reply.starts_with("552"), "{reply}");
    }
    assert_eq!(replies, 6);
}

#[test]
fn errors_take_more_and_more_time() {
    let mut options = Options::mx();
    options.settings.patience.delay = Duration::from_millis(50);
    options.settings.limits.mistakes_max = 1_000;
    let server = options.start();
    let mut client = server.connect();
    let begun = Instant::now();
    for _ in 0..24 {
        assert!(client.say("WHAT").unwrap().starts_with("500"));
    }
    // The 21st waits for one delay, the 24th for four.
    assert!(
        begun.elapsed() >= Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn commands_without_use_do_not_keep_a_session() {
    let mut options = Options::mx();
    options.settings.timeouts.idle = Duration::from_millis(700);
    options.settings.limits.idle_commands_max = 1_000_000;
    let server = options.start();
    let said = [
        "NOOP",
        "RSET",
        "EHLO helo",
        "HELP",
        "VRFY x",
        "MAIL FROM:<a@a.example>",
        "RSET",
    ];
    // The server's time limit starts no earlier than this.
    let begun = Instant::now();
    let mut client = server.connect();
    let last = said
        .into_iter()
        .cycle()
        .map(|line| {
            std::thread::sleep(Duration::from_millis(20));
            client.say(line).unwrap()
        })
        .find(|reply| reply.starts_with("421"))
        .unwrap();
    assert!(last.starts_with("421 4.4.2"), "{last}");
    assert!(
        begun.elapsed() >= Duration::from_millis(700),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_message_that_was_taken_begins_the_time_anew() {
    let mut options = Options::mx();
    options.settings.timeouts.idle = Duration::from_secs(3);
    let server = options.start();
    let mut client = server.connect();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        let reply = client
            .mail("a@a.example", &["acaird@challenger.example"], "x: y\r\n\r\n")
            .unwrap();
        assert!(reply.starts_with("250 2.0.0"), "{reply}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn a_login_cannot_be_put_off() {
    let mut options = Options::submission();
    options.settings.timeouts.login = Duration::from_millis(700);
    options.settings.limits.idle_commands_max = 1_000_000;
    let server = options.start();
    let mut user = server.logged_in();
    let mut client = server.connect_secured();
    let last = loop {
        std::thread::sleep(Duration::from_millis(20));
        let reply = client.say("NOOP").unwrap();
        if !reply.starts_with("250") {
            break reply;
        }
    };
    assert!(last.starts_with("421 4.4.2"), "{last}");
    std::thread::sleep(Duration::from_millis(700));
    assert!(
        user.say("NOOP").unwrap().starts_with("250"),
        "who has logged in has time"
    );
}

#[test]
fn scarce_sessions_hurry_strangers_and_no_others() {
    let mut options = Options::submission();
    options.settings.admission.sessions = 10;
    options.settings.timeouts.stress = Duration::from_millis(500);
    let server = options.start();
    let mut user = server.logged_in();
    // Of ten sessions four are for authenticated clients and two for the mx; three quarters of four count as many.
    let mut waiting: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    std::thread::sleep(Duration::from_millis(1_000));
    assert!(waiting[0].say("NOOP").unwrap().starts_with("250"), "all is well");
    waiting.push(server.connect());
    for mut stranger in waiting {
        assert!(
            stranger.reply().unwrap().starts_with("421 4.4.2"),
            "hurried, though it began to wait before"
        );
    }
    assert!(user.say("NOOP").unwrap().starts_with("250"));
}

#[test]
fn a_full_door_leaves_the_others_open() {
    let mut options = Options::mx();
    options.settings.admission.sessions = 10;
    options.settings.timeouts.reverse_lookup = Duration::ZERO;
    let server = options.start();
    let mut held = Vec::new();
    let refused = loop {
        match Client::connect(server.port) {
            Ok((client, greeting)) if greeting.starts_with("220") => held.push(client),
            Ok((_, greeting)) => break greeting,
            Err(error) => panic!("{error}"),
        }
        assert!(held.len() < 10);
    };
    assert!(refused.starts_with("421 4.3.2"), "{refused}");
    let mut listener = (**server.listener.load()).clone();
    listener.role = postern_receive::Role::Submission;
    listener.auth = postern_receive::AuthRule::Require;
    server.listener.store(Arc::new(listener));
    let user = server.logged_in();
    drop(user);
    drop(held);
}

#[test]
fn memory_for_messages_has_a_bound() {
    let mut options = Options::mx();
    // Half of it is for strangers.
    options.settings.room.memory = 64 * 1024;
    options.settings.room.bodies = 4;
    let server = options.start();
    let body = format!("Subject: x\r\n\r\n{}", "0123456789abcdef\r\n".repeat(400));
    let mut under_way = Vec::new();
    let refused = loop {
        let mut client = server.connect();
        for line in ["MAIL FROM:<a@a.example>", "RCPT TO:<acaird@challenger.example>"] {
            assert!(client.say(line).unwrap().starts_with("250"), "{line}");
        }
        let reply = client.say(&format!("BDAT {}\r\n{body}", body.len() + 2)).unwrap();
        if !reply.starts_with("250") {
            break reply;
        }
        under_way.push(client);
        assert!(under_way.len() < 20, "no bound");
    };
    assert!(refused.starts_with("452 4.3.1"), "{refused}");
    assert!(
        under_way.len() >= 3,
        "some in memory and two in files: {}",
        under_way.len()
    );
    // Messages in progress are not harmed.
    for mut client in under_way {
        let reply = client.say("BDAT 0 LAST").unwrap();
        assert!(reply.starts_with("250 2.0.0"), "{reply}");
        let (_, content) = server.message(&reply);
        assert!(content.ends_with(&format!("{body}\r\n")), "whole");
    }
    let reply = server
        .connect()
        .mail("a@a.example", &["acaird@challenger.example"], &body)
        .unwrap();
    assert!(reply.starts_with("250"), "room again: {reply}");
}

#[test]
fn memory_for_recipients_has_a_bound() {
    let mut options = Options::mx();
    options.settings.room.memory = 64 * 1024;
    options.settings.patience.errors = 1_000;
    let server = options.start();
    let mut clients = Vec::new();
    'all: for _ in 0..20 {
        let mut client = server.connect();
        client.say("MAIL FROM:<a@a.example>").unwrap();
        for number in 0..100 {
            let orcpt = format!("rfc822;{}@x", "o".repeat(400));
            let reply = client
                .say(&format!("RCPT TO:<r{number}@relay.example> ORCPT={orcpt}"))
                .unwrap();
            if !reply.starts_with("250") {
                assert!(reply.starts_with("452 4.3.1"), "{reply}");
                clients.push(client);
                break 'all;
            }
        }
        clients.push(client);
    }
    assert!(clients.len() < 5, "no bound");
    for client in &mut clients {
        assert!(client.say("RSET").unwrap().starts_with("250"));
    }
    let reply = clients[0]
        .mail("a@a.example", &["x@relay.example"], "x: y\r\n\r\n")
        .unwrap();
    assert!(reply.starts_with("250"), "room again: {reply}");
}

#[test]
fn a_header_stays_in_memory_and_a_large_one_needs_some() {
    for (memory, lines, code) in [(0, 100, "250"), (0, 4_000, "452"), (1 << 20, 4_000, "250")] {
        let mut options = Options::mx();
        options.settings.room.memory = memory;
        let server = options.start();
        let mut client = server.connect();
        begin_message(&mut client);
        let content = format!("{}\r\nbody\r\n.\r\n", "X: some more of it\r\n".repeat(lines));
        client.send(content.as_bytes()).unwrap();
        let reply = client.reply().unwrap();
        assert!(reply.starts_with(code), "{memory}, {lines}: {reply}");
        assert_eq!(server.queued(), u64::from(code == "250"), "{memory}, {lines}");
    }
}

#[test]
fn slow_bodies_give_way_when_room_is_scarce() {
    let mut options = Options::mx();
    // Room for one body of a stranger in a file, and none in memory.
    options.settings.room.memory = 0;
    options.settings.room.bodies = 2;
    options.settings.timeouts.stress = Duration::from_millis(300);
    let server = options.start();
    let mut slow = server.connect();
    begin_message(&mut slow);
    slow.send(b"Subject: slow\r\n\r\nbegun\r\n").unwrap();
    // It has all the time while nobody else wants the room.
    std::thread::sleep(Duration::from_millis(1_000));
    slow.send(b"more\r\n").unwrap();
    loop {
        let mut other = server.connect();
        let reply = other.mail(
            "a@a.example",
            &["acaird@challenger.example"],
            "Subject: x\r\n\r\nbody\r\n",
        );
        if reply.unwrap().starts_with("452") {
            break;
        }
    }
    assert!(slow.reply().unwrap().starts_with("421 4.4.2"));
    let reply = server
        .connect()
        .mail(
            "a@a.example",
            &["acaird@challenger.example"],
            "Subject: y\r\n\r\nbody\r\n",
        )
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
}
