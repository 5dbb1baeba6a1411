//! Where is my mail: `postern trace`, the history on disk, and what can happen to it.

use std::fs;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use postern_testkit::process::{free_port, wait_until};
use postern_testkit::sink::Sink;
use serde_json::Value;

use crate::disk::SmallDisk;
use crate::harness::{Site, binary};

fn json(site: &Site, arguments: &[&str]) -> Value {
    serde_json::from_str(&site.ok(arguments)).unwrap()
}

/// The words of all events of the first story.
fn words(traced: &Value) -> Vec<&str> {
    let steps = traced["stories"][0]["steps"].as_array().unwrap();
    steps.iter().map(|step| step["event"].as_str().unwrap()).collect()
}

/// Sends a message as the tester; returns its queue id.
fn send(site: &Site, to: &str, subject: &str) -> String {
    let mut tester = site.tester();
    let reply = tester
        .mail(
            "tester@relay.test",
            &[to],
            &format!("Subject: {subject}\r\nMessage-ID: <{subject}@mail.test>\r\n\r\nhello"),
        )
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    reply.split(' ').nth(2).unwrap().to_owned()
}

#[test]
fn a_message_is_traced_with_and_without_a_server() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    site.start();
    let id = send(&site, "x@outside.example", "first");
    let _ = sink.wait_for("Subject: first");
    wait_until("the outcome", || {
        site.run(&["trace", &id, "--outcome", "delivered"])
            .status
            .success()
    });
    // Somebody without a login is refused.
    let mut stranger = site.client();
    stranger.say("EHLO bad.example").unwrap();
    stranger.say("MAIL FROM:<spam@bad.example>").unwrap();
    let refused = stranger.say("RCPT TO:<victim@outside.example>").unwrap();
    assert!(refused.starts_with('5'), "{refused}");
    drop(stranger);
    wait_until("the refusal", || {
        site.run(&["trace", "victim@outside.example"]).status.success()
    });

    let ways = [
        vec![id.as_str()],
        vec!["<first@mail.test>"],
        vec!["tester@relay.test"],
        vec!["x@outside.example"],
        vec!["outside.example", "--outcome", "delivered"],
        vec!["127.0.0.0/8", "--rule", "relay.login"],
        vec!["--login", "tester@relay.test", "--since", "1h"],
        vec!["login=tester@relay.test", "x@outside.example"],
    ];
    let all = |site: &Site| {
        for way in &ways {
            let mut arguments = vec!["trace", "--json"];
            arguments.extend(way);
            let traced = json(site, &arguments);
            assert_eq!(traced["stories"][0]["queue"], id.as_str(), "{way:?}: {traced:#}");
            assert_eq!(
                words(&traced),
                ["sender", "recipient", "accepted", "delivered"],
                "{way:?}"
            );
        }
        let shown = site.ok(&["trace", &id]);
        for part in [
            "message ",
            "connection from 127.0.0.1",
            "logged in as tester@relay.test by",
            "relay.login",
            "delivered to x@outside.example",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let refused = json(site, &["trace", "victim@outside.example", "--json"]);
        assert!(words(&refused).contains(&"refused"), "{refused:#}");
        let brief = site.ok(&["trace", "--brief", "outside.example"]);
        assert!(
            brief.contains("delivered") && brief.contains("refused"),
            "{brief}"
        );
        let nothing = site.run(&["trace", "nobody@nowhere.example"]);
        assert_eq!(nothing.status.code(), Some(1));
        let past = site.run(&["trace", &id, "--until", "1h"]);
        assert_eq!(past.status.code(), Some(1));
    };
    all(&site);
    let session = json(&site, &["trace", &id, "--json"])["stories"][0]["session"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(site.take_server().terminate().success());
    all(&site);
    // What only the running server remembered is in the history after it has stopped.
    let explained = site.ok(&["explain", "--session", &session]);
    assert!(
        explained.contains("relay.login") && explained.contains("delivered to"),
        "{explained}"
    );
    site.start();
    all(&site);
    assert!(
        site.ok(&["explain", "--session", &session])
            .contains("delivered to")
    );
    let exported = site.ok(&["history", "export", "--since", "1h"]);
    let lines: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines.iter().any(|line| line["queue"] == id.as_str()),
        "{exported}"
    );
    let status = json(&site, &["history", "status", "--json"]);
    assert!(status["stories"].as_u64().unwrap() >= 3, "{status:#}");
    assert_eq!(status["counted"]["dropped"], 0, "{status:#}");
}

#[test]
fn what_happens_after_a_restart_is_added_and_reports_are_tied_to_their_message() {
    let hop = free_port();
    let mut site = Site::relay(hop, "[retry]\nintervals = [\"1h\"]\n");
    site.start();
    let id = send(&site, "x@outside.example", "late");
    wait_until("the deferral", || {
        site.run(&["trace", &id, "--outcome", "deferred"])
            .status
            .success()
    });
    // If killed, nothing older than a second is lost.
    site.server().signal(Signal::SIGKILL);
    site.take_server();
    site.start();
    let sink = Sink::start_on(hop);
    site.ok(&["queue", "flush"]);
    let _ = sink.wait_for("Subject: late");
    wait_until("the delivery", || {
        site.run(&["trace", &id, "--outcome", "delivered"])
            .status
            .success()
    });
    let traced = json(&site, &["trace", &id, "--json"]);
    let words = words(&traced);
    for word in ["accepted", "deferred", "delivered"] {
        assert!(words.contains(&word), "{word}: {words:?}");
    }
    assert_eq!(traced["stories"].as_array().unwrap().len(), 1);
}

#[test]
fn acts_of_administrators_are_recorded_with_their_reason() {
    let hop = free_port();
    let mut site = Site::relay(hop, "[retry]\nintervals = [\"1h\"]\n");
    site.use_environment(&[("SUDO_USER", "anna".as_ref())]);
    site.start();
    let id = send(&site, "x@outside.example", "held");
    site.ok(&["queue", "hold", &id, "--reason", "looks like spam"]);
    site.ok(&["reload"]);
    site.ok(&["user", "disable", "tester@relay.test", "--reason", "left"]);
    let _ = site.run(&["queue", "hold", "0000000000000"]);
    assert!(site.take_server().terminate().success());
    site.ok(&["queue", "release", &id]);
    let acts = json(&site, &["history", "acts", "--json"]);
    // The first one, long ago, was done without sudo.
    let acts: Vec<(&str, &str, &str)> = acts.as_array().unwrap()[..4]
        .iter()
        .map(|act| {
            let text = |key: &str| act[key].as_str().unwrap_or_default();
            assert_eq!(text("told"), "anna", "{act:#}");
            (text("event"), text("what"), text("reason"))
        })
        .collect();
    let wanted = [
        ("queue release", id.as_str(), ""),
        ("user disable", "tester@relay.test", "left"),
        ("reload", "", ""),
        ("queue hold", id.as_str(), "looks like spam"),
    ];
    assert_eq!(acts, wanted, "newest first");
    let shown = site.ok(&["history", "acts"]);
    assert!(
        shown.contains("(says anna)") && shown.contains("looks like spam"),
        "{shown}"
    );
}

#[test]
fn a_damaged_history_hinders_no_mail() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    site.start();
    let first = send(&site, "x@outside.example", "one");
    wait_until("it is in the history", || {
        site.run(&["trace", &first]).status.success()
    });
    assert!(site.take_server().terminate().success());
    for entry in fs::read_dir(site.path("state/history")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "sqlite") && !path.ends_with("acts.sqlite") {
            let mut octets = fs::read(&path).unwrap();
            octets[..200].fill(0x5a);
            fs::write(&path, octets).unwrap();
        }
    }
    site.start();
    let second = send(&site, "x@outside.example", "two");
    let _ = sink.wait_for("Subject: two");
    wait_until("the history goes on", || {
        site.run(&["trace", &second]).status.success()
    });
    assert!(site.log().contains("history damaged"), "{}", site.log());
}

#[test]
fn commands_without_a_server_record_what_they_do() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    site.start();
    assert!(site.take_server().terminate().success());
    site.ok(&[
        "cert",
        "issue",
        "--dir",
        "certs",
        "--out",
        "other",
        "other.relay.test",
        "--reason",
        "a new name",
    ]);
    let acts = json(&site, &["history", "acts", "--json"]);
    let act = &acts[0];
    assert_eq!(
        (
            act["event"].as_str(),
            act["what"].as_str(),
            act["reason"].as_str()
        ),
        (Some("cert issue"), Some("other.relay.test"), Some("a new name")),
        "{acts:#}"
    );
    for (arguments, said) in [
        (&["trace", "x=y"][..], "unknown kind \"x\""),
        (&["trace", "192.0.2.0/33"], "is neither an address nor a network"),
        (
            &[
                "trace",
                "a@b.example",
                "--since",
                "2026-12-02",
                "--until",
                "2026-12-01",
            ],
            "exchange them",
        ),
        (
            &[
                "history",
                "acts",
                "--since",
                "2026-12-02",
                "--until",
                "2026-12-01",
            ],
            "exchange them",
        ),
        (
            &["stats", "--from", "2026-12-02", "--to", "2026-12-01"],
            "exchange them",
        ),
    ] {
        let asked = site.run(arguments);
        let text = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert_eq!(asked.status.code(), Some(64), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
}

#[test]
fn a_history_that_is_off_makes_nothing() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "[history]\nenabled = false\n");
    site.start();
    let id = send(&site, "x@outside.example", "off");
    let _ = sink.wait_for("Subject: off");
    let traced = site.run(&["trace", &id]);
    let said = String::from_utf8_lossy(&traced.stderr).into_owned();
    assert_eq!(traced.status.code(), Some(1), "{said}");
    assert!(said.contains("enabled = false"), "{said}");
    let status = json(&site, &["history", "status", "--json"]);
    assert_eq!(status["counted"], Value::Null);
    assert!(site.take_server().terminate().success());
}

#[test]
fn sessions_are_followed_as_they_happen() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    site.start();
    let follow = |arguments: &[&str], out: &str| {
        let file = fs::File::create(site.path(out)).unwrap();
        Command::new(binary())
            .args(["trace", "--follow", "--config"])
            .arg(site.path("postern.toml"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file)
            .spawn()
            .unwrap()
    };
    let read = |out: &str| fs::read_to_string(site.path(out)).unwrap();
    let mut tester = follow(&["--login", "tester@relay.test", "--json"], "tester");
    let mut others = follow(&["--login", "somebody-else"], "others");
    let mut all = follow(&[], "all");
    // They listen from some point on.
    wait_until("all of a session", || {
        send(&site, "x@outside.example", "followed");
        ["connect", "login", "accepted", "delivered"].iter().all(|word| {
            let wanted = format!("\"event\":\"{word}\"");
            read("tester").contains(&wanted)
        }) && read("all").contains("delivered to x@outside.example")
    });
    for line in read("tester").lines() {
        let step: Value = serde_json::from_str(line).unwrap();
        assert!(step["session"].is_string(), "{line}");
        assert!(!line.contains("test word"), "{line}");
    }
    assert_eq!(read("others"), "");
    let interrupt = |child: &Child| {
        let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(id, Signal::SIGINT).unwrap();
    };
    interrupt(&tester);
    assert_eq!(tester.wait().unwrap().code(), Some(0));
    interrupt(&others);
    assert_eq!(others.wait().unwrap().code(), Some(0));
    // Active followers do not delay the stop.
    assert!(site.take_server().terminate().success());
    assert_eq!(all.wait().unwrap().code(), Some(0));
    let unreachable = site.run(&["trace", "--follow"]);
    assert_eq!(unreachable.status.code(), Some(69));
}

#[test]
fn a_full_disk_of_the_history_hinders_no_mail() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "[history]\npath = \"archive\"\n");
    let _disk = SmallDisk::mount(&site.path("archive"), "8m");
    let ballast = site.path("archive/ballast");
    fs::write(&ballast, vec![0; 8_300_000]).unwrap();
    site.start();
    for subject in ["one", "two"] {
        send(&site, "x@outside.example", subject);
        let _ = sink.wait_for(&format!("Subject: {subject}"));
    }
    wait_until("a word of it", || site.log().contains("history not written"));
    let counts = json(&site, &["history", "status", "--json"])["counted"].clone();
    assert!(counts["dropped_failed"].as_u64().unwrap() > 0, "{counts}");
    fs::remove_file(&ballast).unwrap();
    wait_until("the history to go on", || {
        let id = send(&site, "x@outside.example", "again");
        site.run(&["trace", &id]).status.success()
    });
    wait_until("a word of that", || site.log().contains("history written again"));
    assert_eq!(
        site.log().matches("history not written").count(),
        1,
        "{}",
        site.log()
    );
    assert!(site.take_server().terminate().success());
}
