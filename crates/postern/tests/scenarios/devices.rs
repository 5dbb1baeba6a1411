//! The lane for devices: named senders to named recipients, without a login, and nothing else.

use std::fs;

use postern_testkit::sink::Sink;
use postern_testkit::smtp::Client;

use crate::harness::Site;

const LANE: &str = "[[device]]\nname = \"scanner\"\nnetworks = [\"127.0.0.0/8\"]\nlisteners = [\"mx\"]\n\
    senders = [\"scanner@relay.test\"]\nrecipients = [\"ann@x.test\", \"@lab.test\"]\n";

fn lane(more: &str) -> String {
    format!("{LANE}{more}\n")
}

fn device(site: &Site) -> Client {
    let mut client = site.client();
    // What such devices say.
    client.say("HELO SCANNER_2ND").unwrap();
    client
}

fn to(client: &mut Client, path: &str) -> String {
    client.say(&format!("RCPT TO:{path}")).unwrap()
}

#[test]
fn a_device_sends_what_its_lane_is_for() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), &lane("messages = 4"));
    site.start();
    let mut client = device(&site);
    assert!(
        client
            .say("MAIL FROM:<scanner@relay.test>")
            .unwrap()
            .starts_with("250")
    );
    #[rustfmt::skip]
    let cases = [
        ("<@evil.test:ann@x.test>",       false),
        ("<ann@x.test>",                  true),
        ("<WHO@LAB.test>",                true),
        ("<bob@x.test>",                  false),
        ("<ann+y@x.test>",                false),
        ("<\"ann@x.test\"@evil.test>",    false),
        ("<ann%x.test@evil.test>",        false),
        ("<@x.test:bob@evil.test>",       false),
        ("<ann@[127.0.0.1]>",             false),
    ];
    for (path, taken) in cases {
        let reply = to(&mut client, path);
        let want = if taken { "250" } else { "550 5.7.1" };
        assert!(reply.starts_with(want), "{path}: {reply}");
    }
    site.wait_for_log(&["refused", "rule=device.recipient", "bob@x.test"]);
    client.say("RSET").unwrap();
    for sender in ["boss@relay.test", "", "scanner+x@relay.test"] {
        client.say(&format!("MAIL FROM:<{sender}>")).unwrap();
        let reply = to(&mut client, "<ann@x.test>");
        assert!(reply.starts_with("550 5.7.1 "), "{sender}: {reply}");
        client.say("RSET").unwrap();
    }
    // The rate counts each MAIL of a client that has not authenticated: four of them were named.
    let reply = client.say("MAIL FROM:<scanner@relay.test>").unwrap();
    assert!(reply.starts_with("450 4.7.1"), "{reply}");
}

#[test]
fn its_author_and_size_are_bounded() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), &lane("message_size_limit = \"2 KiB\""));
    site.start();
    let mut client = device(&site);
    let send = |client: &mut Client, content: &str| {
        client
            .mail("scanner@relay.test", &["ann@x.test"], content)
            .unwrap()
    };
    let reply = send(
        &mut client,
        "From: scanner@relay.test\r\nSubject: fine\r\n\r\nx\r\n",
    );
    assert!(reply.starts_with("250"), "{reply}");
    let taken = sink.wait_for("Subject: fine").content;
    assert!(
        taken.contains("\nMessage-ID:") && taken.contains("\nDate:"),
        "{taken}"
    );
    site.wait_for_log(&["accepted", "rule=relay.device", "reason=scanner"]);
    let reply = send(
        &mut client,
        "From: boss@relay.test\r\nSubject: forged\r\n\r\nx\r\n",
    );
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    let reply = send(
        &mut client,
        &format!("Subject: large\r\n\r\n{}", "x\r\n".repeat(1_000)),
    );
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
}

#[test]
fn its_author_becomes_the_sender() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), &lane("rewrite_from = true"));
    site.start();
    let mut client = device(&site);
    let content = "From: \"2nd floor\" <printer@localdomain.local>\r\nSender: root@localhost.local\r\nSubject: scan\r\n\r\nx\r\n";
    let reply = client
        .mail("scanner@relay.test", &["ann@x.test"], content)
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let taken = sink.wait_for("Subject: scan").content;
    assert!(taken.contains("\nFrom: scanner@relay.test\r"), "{taken}");
    assert!(
        taken.contains("\nX-Original-From: \"2nd floor\" <printer@localdomain.local>"),
        "{taken}"
    );
    assert!(
        taken.contains("\nReply-To: \"2nd floor\" <printer@localdomain.local>"),
        "{taken}"
    );
    assert!(!taken.contains("\nSender:"), "{taken}");
}

#[test]
fn check_tries_each_lane() {
    let sink = Sink::start();
    let site = Site::relay(sink.port(), &lane(""));
    let said = site.ok(&["check", "--offline"]);
    assert!(
        said.contains(
            "[[device]] \"scanner\": refuses a strange recipient, a strange sender and a strange network"
        ),
        "{said}"
    );
    let path = site.path("postern.toml");
    let text = fs::read_to_string(&path).unwrap();
    #[rustfmt::skip]
    let mistakes = [
        ("[\"127.0.0.0/8\"]",                "[\"0.0.0.0/0\"]",          "is too large for devices"),
        ("[\"127.0.0.0/8\"]",                "[\"203.0.112.0/20\"]",     "is too large for devices"),
        ("[\"127.0.0.0/8\"]",                "[]",                       "`networks` of a [[device]] is empty"),
        ("[\"ann@x.test\", \"@lab.test\"]",  "[\"*\"]",                  "stands for addresses of anybody"),
        ("[\"ann@x.test\", \"@lab.test\"]",  "[\".com\"]",               "stands for addresses of anybody"),
        ("[\"ann@x.test\", \"@lab.test\"]",  "[]",                       "`recipients` of a [[device]] is empty"),
        ("[\"scanner@relay.test\"]",         "[\"<>\"]",                 "stands for addresses of anybody"),
        ("listeners = [\"mx\"]",             "listeners = [\"submission\"]", "devices cannot send at the listener submission"),
    ];
    for (from, to, message) in mistakes {
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let output = site.run(&["check", "--offline"]);
        let said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && said.contains(message), "{to}: {said}");
    }
}

#[test]
fn a_reload_closes_the_lane_and_explain_knows_it() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), &lane(""));
    site.start();
    let ask = |to: &str| {
        site.explained(&[
            "--peer",
            "127.0.0.1",
            "--listener",
            "mx",
            "--from",
            "scanner@relay.test",
            "--to",
            to,
        ])
    };
    let (explained, text) = ask("ann@x.test");
    assert_eq!(explained["allowed"], true, "{text}");
    assert!(text.contains("relay.device: scanner"), "{text}");
    let (explained, text) = ask("bob@x.test");
    assert_eq!(explained["decided"], "device.recipient", "{text}");
    let mut client = device(&site);
    client.say("MAIL FROM:<scanner@relay.test>").unwrap();
    assert!(to(&mut client, "<ann@x.test>").starts_with("250"));
    let path = site.path("postern.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("127.0.0.0/8", "192.0.2.0/24")).unwrap();
    site.ok(&["reload"]);
    let reply = to(&mut client, "<x@lab.test>");
    assert!(
        reply.starts_with("550 5.7.1") || reply.starts_with("554 5.7.1"),
        "{reply}"
    );
}
