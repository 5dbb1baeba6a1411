//! A stolen password: budgets that refuse, slow down and hold, over many connections and over a kill.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;
use postern_testkit::smtp::Client;

use crate::harness::Site;

const TESTER: &str = "tester@relay.test";

fn budget(bounds: &str) -> String {
    format!("[[budget]]\nname = \"users\"\n{bounds}\n[budgets]\nnotify = [\"admin@relay.test\"]\n")
}

fn send(client: &mut Client, number: u32) -> String {
    let to = format!("victim{number}@x.test");
    let content = format!("Subject: number {number}\r\n\r\nhello\r\n");
    client.mail(TESTER, &[&to], &content).unwrap()
}

fn account(site: &Site, login: &str) -> serde_json::Value {
    serde_json::from_str(&site.ok(&["account", "show", login, "--json"])).unwrap()
}

fn total(site: &Site, counted: &str, span: &str) -> u64 {
    let account = account(site, TESTER);
    let counts = account["counts"].as_array().unwrap();
    let found = counts
        .iter()
        .find(|count| count["counted"] == counted && count["span"] == span);
    found.unwrap()["total"].as_u64().unwrap()
}

#[test]
fn many_connections_get_no_more_than_one() {
    let sink = Sink::start();
    let bounds = "[[budget.bound]]\ncount = \"sent_messages\"\nday = 20\naction = \"refuse\"";
    let mut site = Site::relay(sink.port(), &budget(bounds));
    site.start();
    let (taken, refused) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for thief in 0..8 {
            let (site, taken, refused) = (&site, &taken, &refused);
            scope.spawn(move || {
                let mut client = site.tls_client(site.submission);
                // It is the same account, however the login is written.
                let login = if thief % 2 == 0 {
                    TESTER
                } else {
                    "Tester@RELAY.test"
                };
                assert!(client.login(login, "test word").unwrap().starts_with("235"));
                for number in 0..6 {
                    let reply = send(&mut client, thief * 10 + number);
                    let _ = client.say("NOOP").unwrap();
                    let _ = client.say("RSET").unwrap();
                    if reply.starts_with("250") {
                        taken.fetch_add(1, Ordering::Relaxed);
                    } else {
                        assert!(
                            reply.starts_with(
                                "450 4.7.1 Your account has sent too many messages in the last day, try again in"
                            ),
                            "{reply}"
                        );
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!((taken.into_inner(), refused.into_inner()), (20, 28));
    site.wait_for_log(&["refused", "rule=budget.refused"]);
    wait_until("all that was taken to arrive", || sink.total() == 20);
}

#[test]
fn a_chunked_message_counts_its_recipients() {
    let sink = Sink::start();
    let bounds = "[[budget.bound]]\ncount = \"sent_recipients\"\nhour = 3\naction = \"refuse\"";
    let mut site = Site::relay(sink.port(), &budget(bounds));
    site.start();
    let mut client = site.tester();
    client.say(&format!("MAIL FROM:<{TESTER}>")).unwrap();
    for name in ["a", "b", "a"] {
        let reply = client.say(&format!("RCPT TO:<{name}@x.test>")).unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    }
    let body = "Subject: chunked\r\n\r\nhello\r\n";
    client
        .send(format!("BDAT {} LAST\r\n{body}", body.len()).as_bytes())
        .unwrap();
    let reply = client.reply().unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(total(&site, "sent_recipients", "hour"), 2);
    client.say(&format!("MAIL FROM:<{TESTER}>")).unwrap();
    assert!(client.say("RCPT TO:<c@x.test>").unwrap().starts_with("250"));
    let refused = client.say("RCPT TO:<d@x.test>").unwrap();
    assert!(refused.starts_with("450 4.7.1"), "{refused}");
    client.say("RSET").unwrap();
    assert_eq!(
        total(&site, "sent_recipients", "hour"),
        2,
        "what was not sent does not count"
    );
}

#[test]
fn an_account_on_hold_sends_nothing_until_it_is_released() {
    let sink = Sink::start();
    let bounds = "[[budget.bound]]\ncount = \"sent_recipients\"\nhour = 2\naction = \"hold\"";
    let mut site = Site::relay(sink.port(), &budget(bounds));
    site.start();
    let mut client = site.tester();
    for number in 0..2 {
        assert!(send(&mut client, number).starts_with("250"));
    }
    wait_until("what is within the budget to leave", || {
        sink.total() == 2 && site.queue_is_empty()
    });
    for number in 2..5 {
        let reply = send(&mut client, number);
        assert!(reply.starts_with("250"), "the thief learns nothing: {reply}");
    }
    site.wait_for_log(&["ruled", "rule=budget.held"]);
    site.wait_for_log(&["ruled", "rule=account.held"]);
    site.wait_for_log(&["account on hold", "login=tester@relay.test"]);
    let told = sink.wait_for("Account tester@relay.test is on hold").content;
    assert!(
        told.contains("3 recipients in an hour for login tester@relay.test, 2 allowed"),
        "{told}"
    );
    let _ = sink.wait_for("Your account may not send mail for now");
    let held: serde_json::Value =
        serde_json::from_str(&site.ok(&["queue", "list", "--held", "--json"])).unwrap();
    let held = held.as_array().unwrap();
    assert_eq!(held.len(), 3);
    assert_eq!(held[0]["rule"], "budget.held", "{held:?}");
    let known = account(&site, TESTER);
    assert_eq!(known["hold"]["budget"], "users");
    assert_eq!(known["hold"]["messages"], 3);
    assert_eq!(known["recent"].as_array().unwrap().len(), 5);
    assert_eq!(known["networks"][0]["network"], "127.0.0.1");
    assert!(site.ok(&["account", "list"]).contains(TESTER));

    // It is still on hold after a kill, and nobody is notified again.
    site.take_server().crash();
    site.start();
    assert_eq!(account(&site, TESTER)["hold"]["budget"], "users");
    let mut client = site.tester();
    assert!(send(&mut client, 6).starts_with("250"));
    let removed = site.ok(&[
        "account",
        "release",
        TESTER,
        "--remove",
        "--reason",
        "new password",
    ]);
    assert!(
        removed.contains("may send again; removed 4 messages"),
        "{removed}"
    );
    assert!(!site.run(&["account", "release", TESTER]).status.success());
    assert!(send(&mut client, 7).starts_with("250"));
    let _ = sink.wait_for("Subject: number 7");
    let subjects = sink.taken();
    let told = subjects
        .iter()
        .filter(|taken| taken.content.contains("is on hold"))
        .count();
    assert_eq!(told, 1, "administrators are told once");
    for number in [2, 3, 4, 6] {
        let subject = format!("Subject: number {number}\r\n");
        assert!(
            subjects.iter().all(|taken| !taken.content.contains(&subject)),
            "{subject} was removed"
        );
    }
    site.wait_for_log(&["account released", "reason=\"new password\""]);

    // An administrator's own hold.
    site.ok(&["account", "hold", TESTER, "--reason", "asked for by the user"]);
    assert!(send(&mut client, 8).starts_with("250"));
    assert!(account(&site, TESTER)["hold"]["by"].is_string());
    site.ok(&["account", "release", TESTER]);
    let _ = sink.wait_for("Subject: number 8");
}

#[test]
fn what_was_acknowledged_counts_after_a_kill() {
    let sink = Sink::start();
    let bounds = "[[budget.bound]]\ncount = \"sent_messages\"\nday = 12\naction = \"refuse\"";
    let mut site = Site::relay(sink.port(), &budget(bounds));
    let mut taken = 0;
    for round in 0..4 {
        site.start();
        let mut client = site.tester();
        for number in 0..4 {
            let reply = send(&mut client, round * 10 + number);
            taken += u64::from(reply.starts_with("250"));
        }
        assert_eq!(total(&site, "sent_messages", "day"), taken);
        if round == 1 {
            // After an orderly end: nothing is counted twice.
            assert!(site.take_server().terminate().success());
        } else {
            site.take_server().crash();
        }
    }
    assert_eq!(taken, 12);
}

#[test]
fn strangers_stop_no_user() {
    let sink = Sink::start();
    let bounds = "[[budget.bound]]\ncount = \"failed_logins\"\nhour = 2\naction = \"warn\"\n\
                  [[budget.bound]]\ncount = \"bounces\"\nday = 2\naction = \"hold\"";
    let mut site = Site::relay(sink.port(), &budget(bounds));
    site.start();
    // Mail in the user's name from outside, which bounces, and wrong passwords.
    let mut stranger = site.client();
    stranger.say("EHLO helo").unwrap();
    for number in 0..4 {
        let reply = stranger
            .mail(
                TESTER,
                &[&format!("reject{number}@relay.test")],
                "Subject: forged\r\n\r\n\r\n",
            )
            .unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    }
    wait_until("the bounces", || site.queue_is_empty());
    let mut guesser = site.tls_client(site.submission);
    let _ = guesser.login("nobody@relay.test", "guess").unwrap();
    let unknown = site.run(&["account", "show", "nobody@relay.test"]);
    assert!(!unknown.status.success(), "nothing is kept of who does not exist");
    let mut client = site.tester();
    assert!(send(&mut client, 1).starts_with("250"));
    let _ = sink.wait_for("Subject: number 1");
    assert!(account(&site, TESTER)["hold"].is_null());

    // Bounces of the user's own mail do count.
    let to = [0, 1, 2, 3].map(|number| format!("reject{number}@x.test"));
    let to = to.each_ref().map(String::as_str);
    let reply = client
        .mail(TESTER, &to, "Subject: list\r\n\r\nhello\r\n")
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    wait_until("the bounces to be counted", || {
        total(&site, "bounces", "day") == 4
    });
    assert!(send(&mut client, 2).starts_with("250"));
    assert_eq!(account(&site, TESTER)["hold"]["budget"], "users");
}

#[test]
fn mistakes_in_budgets_are_shown() {
    let sink = Sink::start();
    let bounds = "[[budget.bound]]\ncount = \"failed_logins\"\nhour = 2\naction = \"hold\"\n\
                  [[budget.bound]]\ncount = \"countries\"\nday = 2\naction = \"warn\"\n\
                  [[budget.bound]]\ncount = \"sent_messages\"\naction = \"warn\"";
    let site = Site::relay(sink.port(), "");
    let config = std::fs::read_to_string(site.path("postern.toml")).unwrap();
    std::fs::write(site.path("postern.toml"), format!("{config}{}", budget(bounds))).unwrap();
    let output = site.run(&["check"]);
    let shown =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    for mistake in [
        "anybody can make logins fail, and so stop a user",
        "name a file in `countries` of [budgets]",
        "a bound without a number",
    ] {
        assert!(shown.contains(mistake), "{mistake}: {shown}");
    }
}
