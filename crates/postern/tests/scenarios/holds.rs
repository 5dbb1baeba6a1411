//! What administrators do and see of accounts on hold, and whom budgets count.

use std::net::Ipv4Addr;

use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;
use postern_testkit::smtp::Client;

use crate::harness::Site;

const TESTER: &str = "tester@relay.test";

fn budget(per: &str, count: &str, bound: &str) -> String {
    format!("[[budget]]\nname = \"users\"\nper = \"{per}\"\n[[budget.bound]]\ncount = \"{count}\"\n{bound}\n")
}

fn send(client: &mut Client, from: &str, to: &[&str]) -> String {
    client.mail(from, to, "Subject: hello\r\n\r\nhello\r\n").unwrap()
}

fn json(site: &Site, arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&site.ok(arguments)).unwrap()
}

#[test]
fn a_login_is_the_same_however_it_is_written() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    site.start();
    // No budget is there, and nothing is queued: an administrator's hold counts all the same, and is told.
    let other = "TESTER@Relay.Test";
    let held = site.ok(&["account", "hold", other, "--reason", "left"]);
    assert!(held.contains("is on hold\n"), "{held}");
    let again = site.ok(&["account", "hold", TESTER]);
    assert!(again.contains("is on hold already"), "{again}");
    site.wait_for_log(&["account on hold", "login=tester@relay.test", "reason=left"]);
    let acts = site.ok(&["history", "acts"]);
    assert!(acts.contains("left"), "{acts}");
    let status = site.run(&["status"]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains(TESTER), "{status}");

    let mut client = site.tester();
    assert!(send(&mut client, TESTER, &["a@x.test"]).starts_with("250"));
    let known = json(&site, &["account", "show", "tESTER@relay.test", "--json"]);
    assert_eq!(known["hold"]["messages"], 1);
    assert_eq!(json(&site, &["account", "list", "--json"])[0]["messages"], 1);

    // The history says that it was held when it came, and why.
    let found = json(&site, &["trace", "--outcome", "held", "--json"]);
    let steps = found["stories"][0]["steps"].as_array().unwrap();
    let held = steps.iter().find(|step| step["event"] == "held").unwrap();
    assert_eq!(held["rule"], "account.held", "{held}");
    assert!(held["reason"].as_str().unwrap().contains("left"), "{held}");
    let brief = site.ok(&["trace", "--login", TESTER, "--brief"]);
    assert!(
        brief.lines().any(|line| line.trim_end().ends_with("held")),
        "{brief}"
    );

    let released = site.ok(&["account", "release", "Tester@relay.TEST"]);
    assert!(released.contains("released 1 message\n"), "{released}");
    let _ = sink.wait_for("Subject: hello");
    assert!(!site.run(&["account", "release", TESTER]).status.success());

    // A name that no directory knows is told.
    let unknown = site.run(&["account", "hold", "nosuch@relay.test"]);
    let told = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(told.contains("no directory knows a user"), "{told}");
    let held = json(&site, &["account", "hold", "nosuch@relay.test", "--json"]);
    assert_eq!(
        (&held["exists"], &held["was_on_hold"]),
        (&false.into(), &true.into())
    );
}

#[test]
fn who_relays_by_an_access_rule_is_counted() {
    let sink = Sink::start();
    let bound = "hour = 2\naction = \"refuse\"";
    let rule = "[[access]]\nname = \"printer\"\nclient = \"127.0.0.9\"\ndestination = \"elsewhere\"\nverdict = \"accept\"\nrelay = true\n";
    let mut site = Site::relay(
        sink.port(),
        &(rule.to_owned() + &budget("network", "sent_recipients", bound)),
    );
    site.start();
    let (mut printer, _) = Client::connect_from(Ipv4Addr::new(127, 0, 0, 9), site.mx).unwrap();
    printer.say("EHLO printer.example").unwrap();
    assert!(send(&mut printer, "p@printer.example", &["a@x.test"]).starts_with("250"));
    assert!(send(&mut printer, "p@printer.example", &["b@x.test"]).starts_with("250"));
    printer.say("MAIL FROM:<p@printer.example>").unwrap();
    let refused = printer.say("RCPT TO:<c@x.test>").unwrap();
    assert!(
        refused.starts_with("450 4.7.1 Your network has sent to too many recipients in the last hour"),
        "{refused}"
    );
    // What anybody may send is not the network's.
    let local = printer.say("RCPT TO:<d@relay.test>").unwrap();
    assert!(local.starts_with("250"), "{local}");
}

#[test]
fn what_is_too_much_waits_before_its_acknowledgement() {
    let sink = Sink::start();
    let bound = "hour = 1\naction = \"delay\"";
    let config = budget("login", "sent_recipients", bound) + "[budgets]\ndelay = \"1s\"\n";
    let mut site = Site::relay(sink.port(), &config);
    site.start();
    // All have been let past `MAIL` before anything counts.
    let mut thieves: Vec<Client> = (0..3).map(|_| site.tester()).collect();
    for thief in &mut thieves {
        thief.say(&format!("MAIL FROM:<{TESTER}>")).unwrap();
        thief.say("RCPT TO:<a@x.test>").unwrap();
        thief.say("RCPT TO:<b@x.test>").unwrap();
        assert!(thief.say("DATA").unwrap().starts_with("354"));
    }
    for thief in &mut thieves {
        thief.send(b"Subject: hello\r\n\r\nhello\r\n.\r\n").unwrap();
    }
    for thief in &mut thieves {
        assert!(thief.reply().unwrap().starts_with("250"));
    }
    site.wait_for_log(&["ruled", "rule=budget.delayed", "recipients in an hour"]);
    wait_until("all to arrive", || site.queue_is_empty());
}

#[test]
fn a_budget_that_nobody_reaches_is_told() {
    let sink = Sink::start();
    let site = Site::relay(sink.port(), "");
    let config = std::fs::read_to_string(site.path("postern.toml")).unwrap();
    let bound = "[[budget.bound]]\ncount = \"sent_messages\"\nday = 9\naction = \"refuse\"\n";
    #[rustfmt::skip]
    let cases = [
        // what the case shows          of the first                                   of the second                      whether the second is hidden
        ("behind one for all",          "",                                            "logins = [\"ann\"]",                               true),
        ("before it",                   "logins = [\"ann\"]",                          "",                                                 false),
        ("by its domain",               "logins = [\"@example.org\"]",                 "logins = [\"Ann@example.org\"]",                   true),
        ("not all of them",             "logins = [\"ann\"]",                          "logins = [\"ann\", \"ben\"]",                      false),
        ("everybody who logs in",       "logins = [\"*\"]",                            "logins = [\"@example.org\"]",                      true),
        ("by network",                  "networks = [\"10.0.0.0/8\"]",                 "networks = [\"10.1.0.0/16\"]",                     true),
        ("of another network",          "networks = [\"10.0.0.0/8\"]",                 "networks = [\"10.1.0.0/16\", \"192.0.2.0/24\"]",   false),
        ("by the sender's domain",      "domains = [\"*.example.org\"]",               "domains = [\"a.example.org\"]",                    true),
        ("narrower in another way",     "logins = [\"ann\"]\ndomains = [\"a.example\"]", "logins = [\"ann\"]",                             false),
        ("per something else",          "per = \"network\"",                           "logins = [\"ann\"]",                               false),
    ];
    for (shows, first, second, hidden) in cases {
        let budgets = format!(
            "[[budget]]\nname = \"first\"\n{first}\n{bound}[[budget]]\nname = \"second\"\n{second}\n{bound}"
        );
        std::fs::write(site.path("postern.toml"), format!("{config}\n{budgets}")).unwrap();
        let output = site.run(&["check"]);
        let shown =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        let told = shown.contains("the budget \"second\" is never reached");
        assert_eq!(told, hidden, "{shows}: {shown}");
        assert!(!shown.contains("\"first\" is never reached"), "{shows}");
    }
}

/// A report about a message, as a provider sends it.
fn report(kind: &str, id: &str, to: &str) -> String {
    let about = match kind {
        "feedback-report" => format!(
            "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\nUser-Agent: Loop/1\r\nOriginal-Rcpt-To: <{to}>\r\n"
        ),
        _ => format!(
            "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.x.test\r\n\r\nFinal-Recipient: rfc822; {to}\r\nAction: failed\r\nStatus: 5.2.2\r\n"
        ),
    };
    format!(
        "From: <loop@x.test>\r\nTo: <tester@relay.test>\r\nSubject: report\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type={kind};\r\n\tboundary=\"xyz\"\r\n\r\n\
         --xyz\r\n\r\nwords\r\n--xyz\r\n{about}\r\n--xyz\r\nContent-Type: message/rfc822\r\n\r\n\
         Received: from a (a [192.0.2.1])\r\n\tby mx.relay.test (Postern) with ESMTPSA id {id}\r\n\tfor <{to}>; Tue, 1 Dec 2026 10:00:00 +0000\r\n\
         Subject: hello\r\n\r\nhello\r\n--xyz--\r\n"
    )
}

#[test]
fn what_comes_back_is_tied_to_the_login_and_cannot_be_forged() {
    let sink = Sink::start();
    let bounds = "day = 1\naction = \"warn\"\n[[budget.bound]]\ncount = \"returned_bounces\"\nday = 9\naction = \"warn\"";
    let mut site = Site::relay(sink.port(), &budget("login", "complaints", bounds));
    site.start();
    let mut client = site.tester();
    let reply = send(&mut client, TESTER, &["a@x.test", "b@x.test"]);
    let id = reply.split(' ').nth(2).unwrap().to_owned();
    let _ = sink.wait_for("Subject: hello");
    wait_until("the mail to leave", || site.queue_is_empty());

    let complain = |kind: &str, id: &str, to: &str| {
        let mut stranger = site.client();
        stranger.say("EHLO mx.x.test").unwrap();
        let reply = stranger.mail("", &[TESTER], &report(kind, id, to)).unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    };
    // Of another recipient, of another message, of no message.
    complain("feedback-report", &id, "c@x.test");
    complain("feedback-report", "01HJ3K8Q2M7XA", "a@x.test");
    complain("feedback-report", "none", "a@x.test");
    // A true one, twice, and one more.
    complain("feedback-report", &id, "a@x.test");
    complain("feedback-report", &id, "A@X.test");
    complain("feedback-report", &id, "b@x.test");
    complain("delivery-status", &id, "b@x.test");
    site.wait_for_log(&[
        "bounce returned",
        &format!("about={id}"),
        "login=tester@relay.test",
        "status=5.2.2",
    ]);
    let counted = |counted: &str| {
        let account = json(&site, &["account", "show", TESTER, "--json"]);
        let counts = account["counts"].as_array().unwrap();
        let found = counts.iter().find(|one| one["counted"] == counted).unwrap();
        found["total"].as_u64().unwrap()
    };
    wait_until("all to be counted", || counted("returned_bounces") == 1);
    assert_eq!(counted("complaints"), 2);
    site.wait_for_log(&["more than a budget allows", "2 complaints in a day"]);
    let traced = json(&site, &["trace", &id, "--json"]);
    let stories = traced["stories"].as_array().unwrap();
    let sent = stories
        .iter()
        .find(|story| story["queue"] == id.as_str())
        .unwrap();
    let steps = sent["steps"].as_array().unwrap();
    let complaints = steps.iter().filter(|step| step["event"] == "complaint");
    assert_eq!(complaints.count(), 2, "{steps:?}");
    assert!(
        send(&mut client, TESTER, &["a@x.test"]).starts_with("250"),
        "nobody is stopped by it"
    );
    assert!(json(&site, &["account", "show", TESTER, "--json"])["hold"].is_null());

    // What strangers say may only warn.
    let config = std::fs::read_to_string(site.path("postern.toml")).unwrap();
    std::fs::write(site.path("postern.toml"), config.replace("\"warn\"", "\"hold\"")).unwrap();
    let output = site.run(&["check"]);
    let shown =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(
        shown.contains("whoever has got mail of a user could stop that user"),
        "{shown}"
    );
}

#[test]
fn budgets_are_tried_on_the_history() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    site.start();
    let mut client = site.tester();
    for _ in 0..4 {
        assert!(send(&mut client, TESTER, &["a@x.test", "b@x.test"]).starts_with("250"));
    }
    let _ = sink.wait_for("Subject: hello");
    wait_until("the mail to leave", || site.queue_is_empty());
    let of = |action: &str| {
        let bound = format!("hour = 5\naction = \"{action}\"");
        std::fs::write(
            site.path("draft.toml"),
            budget("login", "sent_recipients", &bound),
        )
        .unwrap();
        json(
            &site,
            &["budgets", "try", "draft.toml", "--since", "14d", "--json"],
        )
    };
    #[rustfmt::skip]
    let cases = [
        // the action   messages beyond, held, refused
        ("warn",        [2, 0, 0]),
        ("hold",        [2, 2, 0]),
        ("refuse",      [2, 0, 2]),
    ];
    for (action, want) in cases {
        let tried = of(action);
        assert_eq!(tried["messages"], 4);
        let caught = &tried["caught"][0];
        assert_eq!(caught["account"], TESTER, "{tried}");
        let got = ["times", "held", "refused"].map(|field| caught[field].as_u64().unwrap());
        assert_eq!(got, want, "{action}: {tried}");
    }
    let shown = site.ok(&["budgets", "try", "draft.toml"]);
    assert!(shown.contains("5 recipients in an hour: refuse\n"), "{shown}");
    assert!(shown.contains("4 messages of the history were tried"), "{shown}");
    let none = site.run(&["budgets", "try"]);
    let told = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(told.contains("no [[budget]] stands in"), "{told}");
    std::fs::write(
        site.path("draft.toml"),
        "[[budget]]\nname = \"a\"\n[[budget.bound]]\ncount = \"sent_messages\"\naction = \"warn\"\n",
    )
    .unwrap();
    let wrong = site.run(&["budgets", "try", "draft.toml"]);
    assert_eq!(wrong.status.code(), Some(78), "{wrong:?}");
    assert!(
        site.queue_is_empty()
            && json(&site, &["account", "list", "--json"])
                .as_array()
                .unwrap()
                .is_empty()
    );
}
