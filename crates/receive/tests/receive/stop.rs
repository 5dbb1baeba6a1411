//! Stopping: nothing is accepted, idle sessions are told, transactions may finish within a bound.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use postern_testkit::smtp::Client;

use crate::harness::{Options, begin_message};

#[test]
fn idle_sessions_are_told_and_transactions_finish() {
    let mut options = Options::mx();
    // Too long to be waited for: the server must stop at the end of the last transaction.
    options.settings.timeouts.shutdown = Duration::from_secs(24 * 3_600);
    let mut server = options.start();
    let mut idle = server.connect();
    let mut busy = server.connect();
    busy.say("MAIL FROM:<a@a.example>").unwrap();
    busy.say("RCPT TO:<acaird@challenger.example>").unwrap();
    server.shutdown.cancel();
    assert!(idle.reply().unwrap().starts_with("421 4.3.2"));
    assert!(Client::connect(server.port).is_err(), "nobody new is served");
    assert!(busy.say("DATA").unwrap().starts_with("354"));
    busy.send(b"Subject: x\r\n\r\n").unwrap();
    let reply = busy.say(".").unwrap();
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    assert!(busy.reply().unwrap().starts_with("421 4.3.2"));
    server.stop();
    server.message(&reply);
}

#[test]
fn who_takes_too_long_is_told_and_cut_off() {
    let mut options = Options::mx();
    options.settings.timeouts.shutdown = Duration::from_millis(500);
    let mut server = options.start();
    let mut slow = server.connect();
    slow.say("MAIL FROM:<a@a.example>").unwrap();
    let mut sending = server.connect();
    begin_message(&mut sending);
    sending.send(b"Subject: x\r\n\r\nhalf a").unwrap();
    let mut chunking = server.connect_secured();
    for line in ["MAIL FROM:<a@a.example>", "RCPT TO:<acaird@challenger.example>"] {
        assert!(chunking.say(line).unwrap().starts_with("250"), "{line}");
    }
    chunking.send(b"BDAT 1000\r\nSubject: x\r\n").unwrap();
    let begun = Instant::now();
    server.stop();
    assert!(
        begun.elapsed() >= Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
    for (shows, mut client) in [
        ("in a transaction", slow),
        ("in DATA", sending),
        ("in a chunk", chunking),
    ] {
        let reply = client.reply().unwrap();
        assert!(reply.starts_with("421 4.3.2"), "{shows}: {reply}");
        assert_eq!(
            client.reply().unwrap_err().kind(),
            ErrorKind::UnexpectedEof,
            "{shows}: closed in order"
        );
    }
}
