//! Who may send as whom: own addresses, aliases, groups, delegates, and acting as another user.

use std::fs;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_testkit::process::{program, wait_until};
use postern_testkit::sink::Sink;

use crate::harness::Site;

const TOP: &str = "local_domains = [\"local.test\"]\naliases = \"aliases\"\n";

const RULES: &str = "\
[relay]
senders = \"own\"
show_login = true
[timeouts]
reverse_lookup = \"0s\"
[identity]
tag_separator = \"+\"
[[identity.grant]]
name = \"sales desk\"
groups = [\"sales\"]
addresses = [\"sales@relay.test\", \"*@shop.test\"]
[[identity.grant]]
name = \"webmail\"
logins = [\"webmail\"]
act_as = [\"*@relay.test\"]
";

fn site(sink: &Sink) -> Site {
    let mut site = Site::relay_with(sink.port(), TOP, RULES);
    fs::write(
        site.path("aliases"),
        "desk: tester@relay.test\nteam: tester@relay.test, boss@relay.test\n",
    )
    .unwrap();
    for (login, password) in [("boss@relay.test", "boss word"), ("webmail", "web word")] {
        site.add_user(login, password);
    }
    site.ok(&[
        "user",
        "address",
        "add",
        "tester@relay.test",
        "t.ester@relay.test",
    ]);
    site.ok(&["user", "group", "add", "tester@relay.test", "Sales"]);
    site.ok(&["user", "delegate", "add", "boss@relay.test", "tester@relay.test"]);
    site.start();
    site
}

fn swaks(site: &Site, sender: &str, headers: &[String]) -> Output {
    let mut command = Command::new(program("/usr/bin/swaks", "swaks"));
    command
        .args(["--server", "127.0.0.1", "--port", &site.submission.to_string()])
        .arg("--tls")
        .args(["--auth", "PLAIN", "--auth-user", "tester@relay.test"])
        .args(["--auth-password", "test word"])
        .args(["--from", sender, "--to", "someone@outside.example"]);
    for header in headers {
        command.args(["--header", header]);
    }
    command.output().unwrap()
}

/// The last log line with this text, which may be written a little later than the reply.
fn logged(site: &Site, text: &str) -> String {
    let found = || {
        let log = site.log();
        let found = log.lines().rfind(|line| line.contains(text));
        found.map(str::to_owned)
    };
    wait_until(text, || found().is_some());
    found().unwrap()
}

#[test]
fn every_sender_is_allowed_or_refused_by_a_rule_with_a_name() {
    let sink = Sink::start();
    let site = site(&sink);
    #[rustfmt::skip]
    let cases = [
        // what the case shows               sender                  From                        rule                  sent
        ("the own address",                  "tester@relay.test",    "tester@relay.test",        "identity.own",       true),
        ("a further one",                    "t.ester@relay.test",   "t.ester@relay.test",       "identity.own",       true),
        ("an own one with a tag",            "tester+x@relay.test",  "tester+x@relay.test",      "identity.tag",       true),
        ("an alias of nobody else",          "desk@local.test",      "desk@local.test",          "identity.alias",     true),
        ("the boss's, as delegate",          "tester@relay.test",    "boss@relay.test",          "identity.delegate",  true),
        ("granted to the group",             "sales@relay.test",     "sales@relay.test",         "identity.group",     true),
        ("a domain, granted so",             "any@shop.test",        "other@shop.test",          "identity.group",     true),
        ("nobody",                           "<>",                   "tester@relay.test",        "identity.own",       true),
        ("a list of two people",             "team@local.test",      "tester@relay.test",        "sender.own",         false),
        ("somebody else",                    "chief@relay.test",     "tester@relay.test",        "sender.own",         false),
        ("somebody else in the message",     "tester@relay.test",    "chief@relay.test",         "sender.own-header",  false),
    ];
    for (shows, sender, from, rule, sent) in cases {
        let subject = format!("Subject: {shows}");
        let output = swaks(&site, sender, &[format!("From: {from}"), subject]);
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert_eq!(output.status.success(), sent, "{shows}: {told}");
        let line = logged(&site, &format!("rule={rule}"));
        assert!(
            line.contains(if sent { "accepted" } else { "refused" }),
            "{shows}: {line}"
        );
        if sent {
            let _ = sink.wait_for(shows);
        } else {
            assert!(told.contains("not owned by this login"), "{shows}: {told}");
            assert!(
                !told.contains("boss") && !told.contains("webmail"),
                "{shows}: {told}"
            );
        }
    }
    let spoofed = [
        "From: tester@relay.test".to_owned(),
        "Sender: chief@relay.test".to_owned(),
    ];
    assert!(!swaks(&site, "tester@relay.test", &spoofed).status.success());

    // The decision without a message: the same rules, with the reason.
    let asked = ["auth", "explain", "--login", "tester@relay.test"];
    let said = site.ok(&[&asked[..], &["--sender", "boss@relay.test"]].concat());
    assert!(
        said.contains("identity.delegate") && said.contains("a delegate of boss@relay.test"),
        "{said}"
    );
    let refused = site.run(&[&asked[..], &["--sender", "chief@relay.test", "--json"]].concat());
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(said.contains("\"rule\": \"sender.own\""), "{said}");
    let said = site.ok(&["user", "show", "boss@relay.test"]);
    assert!(said.contains("delegates: tester@relay.test"), "{said}");
}

#[test]
fn explaining_makes_no_users() {
    let site = Site::relay(1, "");
    let users = site.path("state/users.db");
    fs::remove_file(&users).unwrap();
    let said = site.run(&["auth", "explain", "--login", "tester@relay.test"]);
    assert!(said.status.code().is_some_and(|code| code < 2), "{said:?}");
    assert!(!users.exists(), "a root that asks would own it");
}

#[test]
fn who_acts_as_another_sends_with_the_others_addresses_alone() {
    let sink = Sink::start();
    let mut site = site(&sink);
    let plain = |authzid: &str, login: &str, password: &str| {
        let message = STANDARD.encode(format!("{authzid}\0{login}\0{password}"));
        let mut client = site.tls_client(site.submission);
        let reply = client.say(&format!("AUTH PLAIN {message}")).unwrap();
        (client, reply)
    };
    #[rustfmt::skip]
    let cases = [
        ("a delegate as the owner",     "boss@relay.test",     "tester@relay.test",  "test word",  "235"),
        ("itself by another address",   "t.ester@relay.test",  "tester@relay.test",  "test word",  "235"),
        ("granted",                     "boss@relay.test",     "webmail",            "web word",   "235"),
        ("granted, but nobody's",       "none@relay.test",     "webmail",            "web word",   "535"),
        ("not granted",                 "root",                "webmail",            "web word",   "535"),
        ("not the other way round",     "tester@relay.test",   "boss@relay.test",    "boss word",  "535"),
        ("with a wrong password",       "boss@relay.test",     "tester@relay.test",  "wrong",      "535"),
    ];
    let mut refusals = Vec::new();
    for (shows, authzid, login, password, code) in cases {
        let (_, reply) = plain(authzid, login, password);
        assert!(reply.starts_with(code), "{shows}: {reply}");
        if code == "535" {
            refusals.push(reply);
        }
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 1, "none tells why: {refusals:?}");

    let (mut client, _) = plain("boss@relay.test", "tester@relay.test", "test word");
    let line = logged(&site, "login=tester@relay.test acts_as=boss@relay.test");
    assert!(line.contains("rule=identity.delegate"), "{line}");
    let own = client.say("MAIL FROM:<tester@relay.test>").unwrap();
    assert!(own.starts_with("553 5.7.1"), "the boss does not own it: {own}");
    let sent = client
        .mail(
            "boss@relay.test",
            &["x@outside.example"],
            "Subject: in the boss's name\r\n\r\nx\r\n",
        )
        .unwrap();
    assert!(sent.starts_with("250"), "{sent}");
    let line = logged(&site, " accepted ");
    assert!(
        line.contains("login=tester@relay.test") && line.contains("acts_as=boss@relay.test"),
        "{line}"
    );
    let taken = sink.wait_for("in the boss's name");
    assert!(
        taken.content.contains("user=boss@relay.test"),
        "the trace field names whom it acts as"
    );

    let said = site.ok(&["auth", "explain", "--login", "webmail", "--as", "boss@relay.test"]);
    assert!(said.contains("grant \"webmail\""), "{said}");

    // Disabled again without restarting anything.
    site.ok(&[
        "user",
        "delegate",
        "remove",
        "boss@relay.test",
        "tester@relay.test",
    ]);
    let (_, reply) = plain("boss@relay.test", "tester@relay.test", "test word");
    assert!(reply.starts_with("535"), "{reply}");
    site.take_server();
}

#[test]
fn who_cannot_log_in_is_told_apart_for_the_administrator() {
    let sink = Sink::start();
    let site = site(&sink);
    site.ok(&["user", "add", "gone@relay.test", "--generate"]);
    site.ok(&["user", "disable", "gone@relay.test"]);
    for (login, why) in [
        ("gone@relay.test", "account disabled"),
        ("nobody@relay.test", "unknown user"),
    ] {
        let output = site.run(&["auth", "explain", "--login", login, "--sender", login]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("login.denied") && said.contains(why), "{said}");
    }
}

/// What the case shows, the arguments for client, envelope and recipient, and the deciding rule.
type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str], &'a str);

/// The output of `explain` for a session, and whether it succeeds.
fn explained(site: &Site, arguments: &[&str]) -> (serde_json::Value, bool) {
    let output = site.run(&[&["explain", "--json"], arguments].concat());
    let said = serde_json::from_slice(&output.stdout);
    let said = said.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (said, output.status.success())
}

#[test]
fn a_whole_session_is_explained_as_it_would_be_judged() {
    let sink = Sink::start();
    let site = site(&sink);
    let stranger = ["--peer", "203.0.113.9"];
    let user = [
        "--peer",
        "203.0.113.9",
        "--listener",
        "submission",
        "--login",
        "tester@relay.test",
    ];
    let to_outside = ["--to", "x@outside.example"];
    let to_desk = ["--to", "desk@local.test"];
    #[rustfmt::skip]
    let cases: [Case<'_>; 10] = [
        // what the case shows          client      envelope                                              recipient    decided by
        ("a stranger to an alias",      &stranger,  &["--from", "x@y.example"],                           &to_desk,    "local.recipient"),
        ("to nobody",                   &stranger,  &["--from", "x@y.example"],                           &["--to", "no@local.test"], "recipient.unknown"),
        ("behind here",                 &stranger,  &["--from", "x@y.example"],                           &["--to", "no@relay.test"], "relay.domain"),
        ("elsewhere",                   &stranger,  &["--from", "x@y.example"],                           &to_outside, "relay.denied"),
        ("too large",                   &stranger,  &["--from", "x@y.example", "--size", "999999999999"], &to_desk,    "admission.size"),
        ("a user",                      &user,      &["--from", "tester@relay.test"],                     &to_outside, "relay.login"),
        ("as somebody else",            &user,      &["--from", "chief@relay.test"],                      &to_outside, "sender.own"),
        ("in the message",              &user,      &["--from", "tester@relay.test", "--author", "chief@relay.test"], &to_outside, "sender.own-header"),
        ("acting as the boss",          &user,      &["--from", "boss@relay.test", "--as", "boss@relay.test"], &to_outside, "relay.login"),
        ("outside TLS",                 &user,      &["--from", "tester@relay.test", "--bits", "0"],      &to_outside, "login.not-offered"),
    ];
    for (shows, client, envelope, to, rule) in cases {
        let (said, allowed) = explained(&site, &[client, envelope, to].concat());
        assert_eq!(said["decided"], rule, "{shows}: {said:#}");
        let yes = ["local.recipient", "relay.domain", "relay.login"].contains(&rule);
        assert_eq!((allowed, said["allowed"].as_bool()), (yes, Some(yes)), "{shows}");
    }

    let (said, _) = explained(
        &site,
        &[&user[..], &["--from", "chief@relay.test"], &to_outside].concat(),
    );
    let steps = said["steps"].as_array().unwrap();
    let refused = steps.iter().find(|step| step["allowed"] == false).unwrap();
    let config = fs::read_to_string(refused["setting"]["file"].as_str().unwrap()).unwrap();
    let line = usize::try_from(refused["setting"]["line"].as_u64().unwrap()).unwrap();
    assert_eq!(
        config.lines().nth(line - 1),
        Some("senders = \"own\""),
        "{refused}"
    );
    assert!(
        steps.iter().any(|step| step["rule"] == "route.rule"),
        "the way of what would be taken: {said:#}"
    );
    let words = site.run(
        &[
            &["explain"],
            &user[..],
            &["--from", "chief@relay.test"],
            &to_outside,
        ]
        .concat(),
    );
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    assert!(
        words.contains("The session would be refused by sender.own."),
        "{words}"
    );

    // The same answers as a session gets.
    let reply = site.tester().say("MAIL FROM:<chief@relay.test>").unwrap();
    assert!(reply.starts_with("553 5.7.1"), "{reply}");
    assert_eq!(sink.total(), 0, "explaining sends nothing");
}

/// What `explain --session` remembers, as the events with their rules, and all of it.
fn remembered(site: &Site, session: &str) -> (Vec<String>, serde_json::Value) {
    let said: serde_json::Value =
        serde_json::from_str(&site.ok(&["explain", "--session", session, "--json"])).unwrap();
    let line = |step: &serde_json::Value| {
        let rule = step["rule"].as_str().or_else(|| step["sender_rule"].as_str());
        format!("{} {}", step["event"].as_str().unwrap(), rule.unwrap_or("-"))
    };
    let lines = said["steps"].as_array().unwrap().iter().map(line).collect();
    (lines, said)
}

#[test]
fn a_session_that_there_was_is_explained() {
    let sink = Sink::start();
    let site = site(&sink);
    let mut client = site.tester();
    for (line, code) in [
        ("MAIL FROM:<chief@relay.test>", "553"),
        ("MAIL FROM:<tester@relay.test>", "250"),
        ("RCPT TO:<x@outside.example>", "250"),
        ("RCPT TO:<desk@local.test>", "250"),
        ("DATA", "354"),
        ("From: tester@relay.test\r\n\r\nhello\r\n.", "250"),
        ("QUIT", "221"),
    ] {
        let reply = client.say(line).unwrap();
        assert!(reply.starts_with(code), "{line}: {reply}");
    }
    let line = logged(&site, " accepted ");
    let field = |line: &str, name: &str| {
        let value = line.split(&format!(" {name}=")).nth(1).unwrap();
        value.split(' ').next().unwrap().to_owned()
    };
    let session = field(&line, "session");
    wait_until("the end of the session and of its mail", || {
        let (lines, _) = remembered(&site, &session);
        let count = |what: &str| lines.iter().filter(|line| *line == what).count();
        (count("disconnect -"), count("delivered -")) == (1, 2)
    });
    let (lines, said) = remembered(&site, &session);
    assert_eq!(
        lines,
        [
            "connect -",
            "helo -",
            "tls -",
            "login -",
            "refused sender.own",
            "sender identity.own",
            "recipient relay.login",
            "recipient local.recipient",
            "accepted relay.login",
            "disconnect -",
            "delivered -",
            "delivered -",
        ],
        "{said:#}"
    );
    let step = |number: usize| &said["steps"][number];
    let outcomes = [step(10), step(11)];
    for outcome in outcomes {
        assert_eq!(outcome["queue"], field(&line, "queue"), "{outcome}");
        assert!(outcome["relay"].is_string(), "{outcome}");
    }
    let at_sink = outcomes
        .iter()
        .find(|outcome| outcome["to"] == "x@outside.example")
        .unwrap();
    assert!(at_sink["reply"].as_str().unwrap().starts_with("250"), "{at_sink}");
    assert_eq!(step(1)["helo"], "helo");
    assert_eq!(step(3)["login"], "tester@relay.test");
    let refused = step(4);
    assert_eq!(
        (&refused["allowed"], &refused["from"]),
        (&false.into(), &"<chief@relay.test>".into())
    );
    let config = fs::read_to_string(refused["setting"]["file"].as_str().unwrap()).unwrap();
    let place = usize::try_from(refused["setting"]["line"].as_u64().unwrap()).unwrap();
    assert_eq!(
        config.lines().nth(place - 1),
        Some("senders = \"own\""),
        "{refused}"
    );
    assert_eq!(step(7)["to"], "<desk@local.test>");
    assert_eq!(step(8)["queue"], field(&line, "queue"));
    let words = site.ok(&["explain", "--session", &session]);
    for part in [
        "RCPT TO:<x@outside.example>",
        "sender.own",
        "delivered to x@outside.example",
        "What would change that",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }

    // One whose refusal an outsider has seen, by the id in the reply.
    let mut stranger = site.client();
    stranger.say("EHLO stranger.example").unwrap();
    stranger.say("MAIL FROM:<x@y.example>").unwrap();
    let reply = stranger.say("RCPT TO:<x@outside.example>").unwrap();
    assert!(reply.starts_with("554") || reply.starts_with("550"), "{reply}");
    let told = reply.split("session ").nth(1).unwrap();
    let told: String = told
        .chars()
        .take_while(|c| c.is_ascii_hexdigit() || *c == '-')
        .collect();
    let (lines, said) = remembered(&site, &told);
    assert_eq!(
        lines,
        ["connect -", "helo -", "sender -", "refused relay.denied"],
        "{said:#}"
    );

    let unknown = site.run(&["explain", "--session", "0-0"]);
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!(unknown.status.code(), Some(1), "{said}");
    assert!(
        said.contains("does not remember") && said.contains("Since its start at"),
        "{said}"
    );
}
