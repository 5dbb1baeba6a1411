//! What an administrator does to a running relay.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use postern_testkit::process::{free_port, wait_until};
use postern_testkit::saslauthd::Saslauthd;
use postern_testkit::sink::Sink;
use postern_testkit::slapd::Slapd;

use crate::harness::Site;

#[test]
fn the_queue_is_worked_on_with_and_without_a_server() {
    let hop = free_port();
    let mut site = Site::relay(hop, "[retry]\nintervals = [\"1h\"]\n");
    site.start();
    let mut tester = site.tester();
    let mut ids = Vec::new();
    for number in 0..4 {
        let reply = tester
            .mail(
                "tester@relay.test",
                &["x@outside.example"],
                &format!("Subject: number {number}\r\n\r\nhello"),
            )
            .unwrap();
        ids.push(reply.split(' ').nth(2).unwrap().to_owned());
    }
    let list = || site.ok(&["queue", "list", "--json"]);
    wait_until("four deferred", || list().matches("efused").count() >= 4);
    for id in &ids {
        assert!(list().contains(id));
        assert!(site.ok(&["queue", "show", id]).contains("x@outside.example"));
    }
    site.ok(&["queue", "hold", &ids[0]]);
    site.ok(&["queue", "hold", &ids[1]]);
    let shown: serde_json::Value =
        serde_json::from_str(&site.ok(&["queue", "show", &ids[1], "--json"])).unwrap();
    site.ok(&["queue", "remove", &ids[1]]);
    assert!(!list().contains(&ids[1]));
    // What administrators did is in the story of the session in which the message arrived.
    let story = site.ok(&["explain", "--session", shown["session"].as_str().unwrap()]);
    for did in ["held", "removed"] {
        let said = format!("message {} {did} by ", ids[1]);
        assert!(story.contains(&said), "{said}: {story}");
    }
    assert!(!site.run(&["queue", "show", "0000000000000"]).status.success());
    assert!(!site.run(&["queue", "hold", "nonsense"]).status.success());

    // The next hop comes up; flushed mail leaves, held mail stays.
    let sink = Sink::start_on(hop);
    site.ok(&["queue", "flush"]);
    let _ = sink.wait_for("Subject: number 2");
    let _ = sink.wait_for("Subject: number 3");
    wait_until("one left", || list().matches("\"queue\"").count() == 1);
    assert!(list().contains(&ids[0]));

    // The same commands without a server, directly on the spool.
    assert!(site.take_server().terminate().success());
    assert!(site.ok(&["queue", "list", "--json"]).contains(&ids[0]));
    site.ok(&["queue", "release", &ids[0]]);
    site.start();
    let _ = sink.wait_for("Subject: number 0");
    assert!(
        sink.taken()
            .iter()
            .all(|taken| !taken.content.contains("Subject: number 1\r\n"))
    );
}

#[test]
fn reload_keeps_sessions_and_a_bad_configuration_changes_nothing() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    site.start();
    let mut session = site.tester();
    let config = fs::read_to_string(site.path("postern.toml")).unwrap();

    // Broken: refused, with the place; everything continues.
    fs::write(
        site.path("postern.toml"),
        format!("relay_domain = [\"typo.test\"]\n{config}"),
    )
    .unwrap();
    let output = site.run(&["reload"]);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("relay_domains") && text.contains(":1"), "{text}");
    site.server().signal(Signal::SIGHUP);
    wait_until("the log to say so", || site.log().contains("relay_domain"));
    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    assert!(
        client
            .mail("a@b.example", &["x@relay.test"], "Subject: a\r\n\r\na")
            .unwrap()
            .starts_with("250")
    );

    // A file at the limit of `ulimit -f` is a write error, not the end of the server.
    site.server().signal(Signal::SIGXFSZ);

    // Valid: new sessions see it, the old one continues.
    fs::write(
        site.path("postern.toml"),
        config.replace("\"relay.test\"", "\"relay.test\", \"second.test\""),
    )
    .unwrap();
    site.issue("relay", &["mx.relay.test", "localhost", "third.test"]);
    site.ok(&["reload"]);
    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    let reply = client
        .mail("a@b.example", &["x@second.test"], "Subject: b\r\n\r\na")
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let reply = session
        .mail("tester@relay.test", &["x@outside.example"], "Subject: c\r\n\r\nc")
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let ca = site.path("certs/ca.crt");
    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    let options = postern_testkit::smtp::TlsOptions {
        name: "third.test",
        ca: &ca,
        identity: None,
    };
    assert!(client.starttls(options).is_ok(), "the new certificate is in use");
}

#[test]
fn sigterm_lets_a_transaction_end_and_exits_with_0() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    site.start();
    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    client.say("MAIL FROM:<a@b.example>").unwrap();
    client.say("RCPT TO:<x@relay.test>").unwrap();
    client.say("DATA").unwrap();
    site.server().signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(300));
    let reply = client.say("Subject: last\r\n\r\nx\r\n.").unwrap();
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    drop(client);
    assert!(site.take_server().wait().unwrap().success());
    assert!(postern_testkit::smtp::Client::connect(site.mx).is_err());
    site.start();
    let _ = sink.wait_for("Subject: last");
}

#[test]
fn users_are_disabled_enabled_and_removed_at_once() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    site.add_user("second@relay.test", "one two three");
    site.start();
    let login = |password: &str| {
        site.tls_client(site.submission)
            .login("second@relay.test", password)
            .unwrap()
    };
    assert!(login("one two three").starts_with("235"));
    site.ok(&["user", "disable", "second@relay.test"]);
    assert!(login("one two three").starts_with("535"));
    site.ok(&["user", "enable", "second@relay.test"]);
    assert!(login("one two three").starts_with("235"));
    assert!(site.ok(&["user", "list", "--json"]).contains("second@relay.test"));
    site.ok(&["user", "remove", "second@relay.test"]);
    assert!(login("one two three").starts_with("535"));
}

#[test]
fn a_site_keeps_its_saslauthd() {
    let slapd = Slapd::start();
    let mut saslauthd = Saslauthd::start(&slapd.url());
    let sink = Sink::start();
    let mut site = Site::relay(
        sink.port(),
        &format!(
            "[[directory]]\nkind = \"saslauthd\"\nsocket = \"{}\"\n",
            saslauthd.socket().display()
        ),
    );
    site.start();
    let mut client = site.tls_client(site.submission);
    assert!(client.login("acaird", "wrong").unwrap().starts_with("535"));
    assert!(client.login("acaird", "pass word").unwrap().starts_with("235"));
    let reply = client
        .mail(
            "acaird@fccc.example",
            &["x@outside.example"],
            "Subject: by saslauthd\r\n\r\nx",
        )
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let _ = sink.wait_for("Subject: by saslauthd");
    saslauthd.stop();
    let mut client = site.tls_client(site.submission);
    assert!(
        client
            .login("acaird", "pass word")
            .unwrap()
            .starts_with("454 4.7.0")
    );
}

/// A reload that widens the address of a listener, and narrows it again, finds its port free.
#[test]
fn a_listener_moves_to_all_addresses_and_back() {
    let mut site = Site::relay(1, "");
    site.start();
    let mut before = site.client();
    let path = site.path("postern.toml");
    let one = format!("127.0.0.1:{}", site.mx);
    let all = format!("0.0.0.0:{}", site.mx);
    for (from, to) in [(&one, &all), (&all, &one)] {
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(from.as_str(), to)).unwrap();
        site.ok(&["reload"]);
        site.wait_for_log(&["listening", "listener=mx", to]);
        assert!(site.client().say("NOOP").unwrap().starts_with("250"), "{to}");
        assert!(before.say("NOOP").unwrap().starts_with("250"), "sessions go on");
    }
    // Another program's port is its own.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let theirs = taken.local_addr().unwrap().to_string();
    fs::write(&path, text.replace(&one, &theirs)).unwrap();
    let output = site.run(&["reload"]);
    assert!(!output.status.success());
    assert!(
        site.client().say("NOOP").unwrap().starts_with("250"),
        "nothing has changed"
    );
}
