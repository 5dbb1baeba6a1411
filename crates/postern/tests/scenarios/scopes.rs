//! What a login or an app password is good for: where and when, with which senders, for which recipients.

use std::fs;

use postern_testkit::sink::Sink;
use postern_testkit::smtp::Client;

use crate::harness::Site;

const TESTER: &str = "tester@relay.test";
const WRONG: &str = "535 5.7.0 authentication failed";

fn scope(lines: &str) -> String {
    format!("[[scope]]\nname = \"test\"\nlogins = [\"Tester@relay.TEST\"]\n{lines}\n")
}

fn rewrite(site: &Site, from: &str, to: &str) {
    let path = site.path("postern.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(&path, text.replace(from, to)).unwrap();
}

fn from(client: &mut Client, sender: &str) -> String {
    client.say("RSET").unwrap();
    client.say(&format!("MAIL FROM:<{sender}>")).unwrap()
}

fn to(client: &mut Client, path: &str) -> String {
    client.say(&format!("RCPT TO:{path}")).unwrap()
}

/// Whoever is outside of the scope hears what a wrong password hears.
#[test]
fn where_and_when_a_login_is_good() {
    let sink = Sink::start();
    #[rustfmt::skip]
    let cases = [
        ("listeners = [\"submission\"]",              true,  "login"),
        ("listeners = [\"submissions\"]",             false, "rule=scope.listener"),
        ("mechanisms = [\"PLAIN\"]",                  true,  "login"),
        ("mechanisms = [\"LOGIN\"]",                  false, "rule=scope.mechanism"),
        ("networks = [\"127.0.0.0/8\"]",              true,  "login"),
        ("networks = [\"192.0.2.0/24\"]",             false, "rule=scope.network"),
        ("hours = [\"Mon-Sun 00:00-24:00\"]",         true,  "login"),
    ];
    for (lines, good, logged) in cases {
        let mut site = Site::relay(sink.port(), &scope(lines));
        site.start();
        let mut client = site.tls_client(site.submission);
        let reply = client.login(TESTER, "test word").unwrap();
        if good {
            assert!(reply.starts_with("235"), "{lines}: {reply}");
        } else {
            let mut other = site.tls_client(site.submission);
            let wrong = other.login(TESTER, "another word").unwrap();
            assert!(wrong.starts_with(WRONG), "{lines}: {wrong}");
            let told = |reply: &str| reply.split(" (").next().unwrap().to_owned();
            assert_eq!(told(&reply), told(&wrong), "{lines}");
        }
        site.wait_for_log(&[logged]);
    }
}

#[test]
fn what_a_login_sends_to_whom() {
    let sink = Sink::start();
    let lines =
        "senders = [\"scanner@relay.test\"]\nrecipients = [\"ann@x.test\", \"@lab.test\", \"list:allowed\"]";
    let mut site = Site::relay(sink.port(), &scope(lines));
    fs::write(site.path("allowed"), "carol@y.test\n").unwrap();
    site.start();
    let mut client = site.tester();
    for sender in [TESTER, "", "scanner+x@x.test"] {
        let reply = from(&mut client, sender);
        assert!(reply.starts_with("550 5.7.1"), "{sender}: {reply}");
    }
    site.wait_for_log(&[
        "refused",
        "rule=scope.sender",
        "scope \\\"test\\\" is not for the sender tester@relay.test",
    ]);
    let reply = from(&mut client, "Scanner@RELAY.test");
    assert!(reply.starts_with("250"), "{reply}");
    #[rustfmt::skip]
    let cases = [
        ("<ann@x.test>",                    true),
        ("<ANN@X.TEST>",                    true),
        ("<\"ann\"@x.test>",                true),
        ("<@a.test,@b.test:ann@x.test>",    true),
        ("<who@lab.test>",                  true),
        ("<carol@y.test>",                  true),
        ("<bob@x.test>",                    false),
        ("<ann+x@x.test>",                  false),
        ("<who@sub.lab.test>",              false),
        ("<\"ann@x.test\"@evil.test>",      false),
        ("<ann%x.test@evil.test>",          false),
        ("<@lab.test:bob@x.test>",          false),
        ("<postmaster>",                    false),
    ];
    for (path, taken) in cases {
        let reply = to(&mut client, path);
        let want = if taken { "250" } else { "550 5.7.1" };
        assert!(reply.starts_with(want), "{path}: {reply}");
    }
    site.wait_for_log(&[
        "refused",
        "rule=scope.recipient",
        "is not for the recipient bob@x.test",
    ]);

    // Nor in the header, by DATA and by BDAT.
    client.say("RSET").unwrap();
    let reply = client
        .mail(
            "scanner@relay.test",
            &["ann@x.test"],
            "From: boss@relay.test\r\nSubject: a\r\n\r\nx\r\n",
        )
        .unwrap();
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    from(&mut client, "scanner@relay.test");
    to(&mut client, "<ann@x.test>");
    let body = "From: boss@relay.test\r\nSubject: b\r\n\r\nx\r\n";
    client
        .send(format!("BDAT {} LAST\r\n{body}", body.len()).as_bytes())
        .unwrap();
    let reply = client.reply().unwrap();
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    let reply = client
        .mail(
            "scanner@relay.test",
            &["ann@x.test"],
            "Subject: good\r\n\r\nx\r\n",
        )
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let _ = sink.wait_for("Subject: good");

    // `explain` says the same.
    let ask = |to: &str| {
        site.explained(&[
            "--peer",
            "127.0.0.1",
            "--listener",
            "submission",
            "--login",
            TESTER,
            "--from",
            "scanner@relay.test",
            "--to",
            to,
        ])
    };
    let (explained, text) = ask("bob@x.test");
    assert_eq!(explained["decided"], "scope.recipient", "{text}");
    let (explained, text) = ask("ann@x.test");
    assert_eq!(explained["allowed"], true, "{text}");
    assert!(text.contains("scope.applies"), "{text}");
}

/// A reload makes a scope smaller: who is outside of it now loses the session.
#[test]
fn a_reload_counts_for_open_sessions() {
    let sink = Sink::start();
    let mut site = Site::relay(
        sink.port(),
        &scope("networks = [\"127.0.0.0/8\"]\nrecipients = [\"@x.test\"]"),
    );
    site.start();
    let mut client = site.tester();
    assert!(from(&mut client, TESTER).starts_with("250"));
    assert!(to(&mut client, "<a@x.test>").starts_with("250"));
    rewrite(&site, "[\"@x.test\"]", "[\"@y.test\"]");
    site.ok(&["reload"]);
    assert!(to(&mut client, "<b@x.test>").starts_with("550 5.7.1"));
    assert!(to(&mut client, "<b@y.test>").starts_with("250"));
    rewrite(
        &site,
        "networks = [\"127.0.0.0/8\"]",
        "networks = [\"192.0.2.0/24\"]",
    );
    site.ok(&["reload"]);
    let reply = client.reply().unwrap();
    assert_eq!(reply, "421 4.7.0 This login may not be used from this network");
}

#[test]
fn an_app_password_is_good_for_some_things() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    site.start();
    let add = |label: &str, arguments: &[&str]| {
        let said = site.ok(&[&["user", "app-password", "add", TESTER, label], arguments].concat());
        let (_, made) = said.split_once("password: ").unwrap();
        made.lines().next().unwrap().to_owned()
    };
    let scanner = add(
        "scanner",
        &[
            "--senders",
            "scanner@relay.test,tester@relay.test",
            "--recipient",
            "ann@x.test",
            "--listener",
            "submission",
        ],
    );
    let elsewhere = add(
        "elsewhere",
        &[
            "--listener",
            "submissions",
            "--hours",
            "Mon-Sun 00:00-24:00",
            "--zone",
            "Europe/Berlin",
        ],
    );
    let bad = site.run(&["user", "app-password", "add", TESTER, "x", "--hours", "noon"]);
    assert!(!bad.status.success());
    assert!(
        String::from_utf8_lossy(&bad.stderr).contains("not days and times"),
        "{bad:?}"
    );

    let listed: serde_json::Value =
        serde_json::from_str(&site.ok(&["user", "app-password", "list", TESTER, "--json"])).unwrap();
    assert_eq!(listed[1]["label"], "scanner");
    assert_eq!(listed[1]["scope"]["recipients"][0], "ann@x.test");
    assert_eq!(listed[0]["scope"]["zone"], "Europe/Berlin");
    let shown = site.ok(&["user", "app-password", "list", TESTER]);
    assert!(shown.contains("to ann@x.test"), "{shown}");

    let mut client = site.tls_client(site.submission);
    assert!(client.login(TESTER, &elsewhere).unwrap().starts_with(WRONG));
    site.wait_for_log(&["rule=scope.listener", "app password \\\"elsewhere\\\""]);
    let mut client = site.tls_client(site.submission);
    assert!(client.login(TESTER, &scanner).unwrap().starts_with("235"));
    assert!(from(&mut client, "boss@relay.test").starts_with("550 5.7.1"));
    assert!(from(&mut client, "scanner@relay.test").starts_with("250"));
    assert!(to(&mut client, "<bob@x.test>").starts_with("550 5.7.1"));
    assert!(to(&mut client, "<ann@x.test>").starts_with("250"));
    // The password itself is good for anything.
    let mut client = site.tester();
    assert!(from(&mut client, "boss@relay.test").starts_with("250"));
    assert!(to(&mut client, "<bob@x.test>").starts_with("250"));
}
