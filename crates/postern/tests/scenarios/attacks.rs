//! What an attacker tries: to relay, to smuggle, to slip in before STARTTLS, to guess, to exhaust.

use std::time::Duration;

use postern_testkit::sink::Sink;
use postern_testkit::smtp::TlsOptions;

use crate::harness::Site;

#[test]
fn no_spelling_of_a_foreign_address_relays() {
    let sink = Sink::start();
    let mut site = Site::relay_with(sink.port(), "local_domains = [\"local.test\"]", "");
    site.start();
    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    assert!(
        client
            .say("MAIL FROM:<x@outside.example>")
            .unwrap()
            .starts_with("250")
    );
    #[rustfmt::skip]
    let tricks = [
        ("plain",                        "<victim@outside.example>"),
        ("percent hack, relay domain",   "<victim%outside.example@relay.test>"),
        ("percent hack, local domain",   "<victim%outside.example@local.test>"),
        ("percent hack, host name",      "<victim%outside.example@mx.relay.test>"),
        ("source route",                 "<@relay.test:victim@outside.example>"),
        ("two-step source route",        "<@relay.test,@local.test:victim@outside.example>"),
        ("at inside quotes",             "<\"victim@outside.example\"@relay.test>"),
        ("at inside quotes, local",      "<\"victim@outside.example\"@local.test>"),
        ("escaped at",                   "<victim\\@outside.example@relay.test>"),
        ("bang path",                    "<outside.example!victim@relay.test>"),
        ("bang path without domain",     "<outside.example!victim>"),
        ("nested bang path",             "<relay.test!outside.example!victim@local.test>"),
        ("own address literal",          "<victim%outside.example@[127.0.0.1]>"),
        ("foreign address literal",      "<victim@[192.0.2.1]>"),
        ("IPv6 literal",                 "<victim@[IPv6:2001:db8::1]>"),
        ("subdomain of a relay domain",  "<victim@sub.relay.test>"),
        ("suffix of a relay domain",     "<victim@evilrelay.test>"),
        ("trailing dot",                 "<victim@outside.example.>"),
        ("two ats",                      "<victim@outside.example@relay.test>"),
        ("NUL in the domain",            "<victim@relay.test\0.outside.example>"),
        ("CR in the local part",         "<victim\r@outside.example>"),
        ("encoded route",                "<victim%outside.example%relay.test@local.test>"),
    ];
    for (shows, address) in tricks {
        let reply = client.say(&format!("RCPT TO:{address}"));
        // A bare CR ends the connection; anything else is a permanent refusal.
        let Ok(reply) = reply else {
            client = site.client();
            client.say("EHLO helo").unwrap();
            client.say("MAIL FROM:<x@outside.example>").unwrap();
            continue;
        };
        assert!(reply.starts_with('5'), "{shows}: {address} -> {reply}");
    }
    // The same session may still do what it is allowed to.
    assert!(
        client
            .say("RCPT TO:<someone@RELAY.test>")
            .unwrap()
            .starts_with("250")
    );
    assert_eq!(sink.total(), 0);
}

#[test]
fn a_login_does_not_outlive_its_connection_or_starttls() {
    let sink = Sink::start();
    let mut site = Site::relay_with(sink.port(), "", "");
    site.start();
    let mut tester = site.tester();
    assert!(
        tester
            .mail("tester@relay.test", &["x@outside.example"], "Subject: 1\r\n\r\n1")
            .unwrap()
            .starts_with("250")
    );
    // The same address, another connection.
    let mut stranger = site.client();
    stranger.say("EHLO helo").unwrap();
    let reply = stranger
        .mail("tester@relay.test", &["x@outside.example"], "Subject: 2\r\n\r\n2")
        .unwrap();
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
}

#[test]
fn nothing_said_before_starttls_survives_it() {
    let sink = Sink::start();
    let mut site = Site::relay_with(sink.port(), "", "");
    site.start();
    let ca = site.path("certs/ca.crt");
    let mut client = site.client();
    client.say("EHLO before.example").unwrap();
    // The injected commands ride in the packet of STARTTLS.
    client
        .send(b"STARTTLS\r\nMAIL FROM:<injected@outside.example>\r\nRCPT TO:<a@relay.test>\r\n")
        .unwrap();
    let reply = client.reply().unwrap();
    if reply.starts_with("220") {
        let secured = client.after_starttls(TlsOptions {
            name: "localhost",
            ca: &ca,
            identity: None,
        });
        if let Ok(mut client) = secured {
            // Not even the earlier greeting counts, and there is no reply to the injected commands.
            let reply = client.say("RCPT TO:<a@relay.test>").unwrap();
            assert!(reply.starts_with("503"), "{reply}");
            let reply = client.say("EHLO after.example").unwrap();
            assert!(reply.starts_with("250"), "{reply}");
        }
    } else {
        assert!(reply.starts_with('5') || reply.starts_with("421"), "{reply}");
    }
    assert_eq!(sink.total(), 0);
}

#[test]
fn no_end_of_data_but_the_real_one() {
    let sink = Sink::start();
    let mut site = Site::relay_with(sink.port(), "", "");
    site.start();
    for ending in [
        "\n.\n",
        "\n.\r\n",
        "\r.\r",
        "\r.\r\n",
        "\r\n.\r",
        "\r\n.\n",
        "\r\n\0.\r\n",
        "\n.\r",
        "\r\n.\r\r\n",
    ] {
        let mut client = site.client();
        client.say("EHLO helo").unwrap();
        client.say("MAIL FROM:<a@outside.example>").unwrap();
        client.say("RCPT TO:<b@relay.test>").unwrap();
        assert!(client.say("DATA").unwrap().starts_with("354"));
        let smuggled = format!(
            "Subject: outer\r\n\r\nx{ending}MAIL FROM:<smuggled@outside.example>\r\nRCPT TO:<b@relay.test>\r\n\
             DATA\r\nSubject: smuggled\r\n\r\ny\r\n.\r\n"
        );
        client.send(smuggled.as_bytes()).unwrap();
        // One reply at most to the data, and never a second message.
        let first = client.reply();
        if let Ok(first) = &first {
            assert!(
                first.starts_with('5') || first.starts_with("250 2.0.0"),
                "{ending:?}: {first}"
            );
        }
        drop(client);
    }
    std::thread::sleep(Duration::from_millis(500));
    for taken in sink.taken() {
        assert!(!taken.mail.contains("smuggled"), "{taken:?}");
        assert!(!taken.content.contains("\r\n.\r\n"), "{taken:?}");
    }
}

#[test]
fn guessing_is_slowed_then_barred_and_known_users_cannot_be_told() {
    let sink = Sink::start();
    let mut site = Site::relay_with(sink.port(), "", "");
    site.start();
    // That neither time nor form distinguishes them is tested in `login_attacks`, without the
    // limit.
    for login in ["tester@relay.test", "nobody@relay.test"].repeat(2) {
        let mut client = site.tls_client(site.submission);
        let reply = client.login(login, "wrong").unwrap();
        assert!(reply.starts_with("535 5.7"), "{reply}");
    }

    // Beyond the limit, even the right password does not help from here, but nobody else is locked
    // out.
    let mut locked_out = false;
    for _ in 0..40 {
        let mut client = site.tls_client(site.submission);
        let Ok(reply) = client.login("nobody@relay.test", "wrong") else {
            continue;
        };
        if !reply.starts_with("535") || site.log().contains("locked out") {
            locked_out = true;
            break;
        }
    }
    assert!(locked_out, "{}", site.log());
    let mut client = site.tls_client(site.submission);
    assert!(
        client
            .login("tester@relay.test", "test word")
            .unwrap()
            .starts_with("235")
    );
}

#[test]
fn what_a_peer_can_grow_has_a_limit() {
    let sink = Sink::start();
    let mut site = Site::relay_with(sink.port(), "message_size_limit = \"64 KiB\"", "");
    site.start();
    let mut client = site.client();
    let ehlo = client.say("EHLO helo").unwrap();
    assert!(ehlo.contains("SIZE 65536"), "{ehlo}");
    let reply = client.say("MAIL FROM:<a@outside.example> SIZE=65537").unwrap();
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
    let long = "x".repeat(70_000);
    let reply = client
        .mail(
            "a@outside.example",
            &["b@relay.test"],
            &format!(
                "Subject: x\r\n\r\n{}",
                long.as_bytes()
                    .chunks(900)
                    .map(|c| String::from_utf8_lossy(c).into_owned())
                    .collect::<Vec<_>>()
                    .join("\r\n")
            ),
        )
        .unwrap();
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
    // The session can still be used for the next message.
    let reply = client
        .mail("a@outside.example", &["b@relay.test"], "Subject: y\r\n\r\nz")
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    // An endless line is cut off, not kept.
    let mut client = site.client();
    client.send(&vec![b'A'; 200_000]).ok();
    client.send(b"\r\n").ok();
    match client.reply() {
        Ok(reply) => assert!(reply.starts_with("500") || reply.starts_with("421"), "{reply}"),
        Err(_closed) => {}
    }
    // Thousands of recipients.
    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    client.say("MAIL FROM:<a@outside.example>").unwrap();
    let mut refused = None;
    for number in 0..1_500 {
        let reply = client.say(&format!("RCPT TO:<r{number}@relay.test>")).unwrap();
        if !reply.starts_with("250") {
            refused = Some((number, reply));
            break;
        }
    }
    let (number, reply) = refused.expect("a limit on recipients");
    assert!(
        number >= 100 && reply.starts_with("452 4.5.3"),
        "{number}: {reply}"
    );
}
