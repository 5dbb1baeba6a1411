//! Events pushed to a receiver that fails, hangs and comes back, over a server that is killed meanwhile; signatures are checked by Python's own hmac.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::process::Command;

use postern_testkit::process::{Server, free_port, program, wait_for_port, wait_until};
use postern_testkit::sink::Sink;
use serde_json::Value;

use crate::harness::{Site, private};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The path of the webhook, which is for nobody else.
const PATH: &str = "/hook/of-nobody-elses-business";

/// A site with a webhook, and its receiver.
struct Town {
    site: Site,
    _sink: Sink,
    _receiver: Server,
}

impl Town {
    /// `more` are further keys of the webhook.
    fn new(more: &str) -> Self {
        let sink = Sink::start();
        let port = free_port();
        let site = Site::relay(sink.port(), &table(port, more));
        fs::create_dir(site.path("received")).unwrap();
        private(&site.path("webhook.key"), SECRET);
        let receiver = receiver(&site, port);
        let town = Self {
            site,
            _sink: sink,
            _receiver: receiver,
        };
        town.mode("ok");
        wait_for_port(port);
        town
    }

    fn mode(&self, mode: &str) {
        // Never a file that is half written.
        fs::write(self.site.path("received/new"), mode).unwrap();
        fs::rename(self.site.path("received/new"), self.site.path("received/mode")).unwrap();
    }

    /// All requests so far.
    fn seen(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.site.path("received/seen")).unwrap_or_default();
        let whole = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        whole.collect()
    }

    /// The events that were taken, in order.
    fn taken(&self) -> Vec<Value> {
        let seen = self.seen();
        let taken = seen.iter().filter(|one| one["mode"] == "ok");
        let lines = taken.flat_map(|one| one["body"].as_str().unwrap().lines());
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn wait_for(&self, what: &str, fits: impl Fn(&Value) -> bool) {
        wait_until(what, || self.taken().iter().any(&fits));
    }

    fn send(&self, subject: &str) {
        let content = format!("Subject: {subject}\r\n\r\nthe body that nobody is told of");
        let reply = self
            .site
            .tester()
            .mail("tester@relay.test", &["x@outside.example"], &content);
        assert!(reply.unwrap().starts_with("250"));
    }

    /// How the webhook does, as its command tells, and how that ends.
    fn told(&self) -> (Value, Option<i32>) {
        let told = self.site.run(&["webhook", "--json"]);
        let all: Value = serde_json::from_slice(&told.stdout).unwrap_or_default();
        (all[0].clone(), told.status.code())
    }
}

fn table(port: u16, more: &str) -> String {
    format!(
        "[[webhook]]\nname = \"alerts\"\nurl = \"https://localhost:{port}{PATH}\"\nsecret_file = \"webhook.key\"\n\
         ca_file = \"certs/ca.crt\"\ntimeout = \"1s\"\n{more}\n"
    )
}

fn receiver(site: &Site, port: u16) -> Server {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios/webhook_receiver.py");
    let mut command = Command::new(program("/usr/bin/python3", "python3"));
    command.arg(script).arg(port.to_string());
    for file in ["certs/relay.crt", "certs/relay.key", "webhook.key", "received"] {
        command.arg(site.path(file));
    }
    Server::start(&mut command, &site.path("receiver.log"))
}

fn is(event: &'static str) -> impl Fn(&Value) -> bool {
    move |line| line["message"] == event
}

#[test]
fn events_wait_for_a_receiver_that_fails_hangs_and_comes_back() {
    let mut town = Town::new("level = \"debug\"");
    town.mode("fail");
    town.site.start();
    for number in 0..3 {
        town.send(&format!("number {number}"));
    }
    wait_until("the failure", || {
        let (told, exit) = town.told();
        exit == Some(1) && told["failing"]["reason"] == "status 503" && told["waiting"].as_u64() > Some(0)
    });
    let status = town.site.run(&["status"]);
    let shown = String::from_utf8(status.stdout).unwrap();
    let first = shown.lines().next().unwrap();
    assert!(first.contains("webhook alerts fails"), "{shown}");
    assert!(shown.contains("postern webhook test alerts"), "{shown}");
    assert_eq!(status.status.code(), Some(1), "{shown}");
    town.site
        .wait_for_log(&["webhook fails", "webhook=alerts", "status 503"]);

    // It is killed with events on disk, and the next one meets a receiver that says nothing.
    wait_until("all is on disk", || town.told().0["waiting"].as_u64() > Some(10));
    town.site.take_server().crash();
    town.mode("hang");
    town.site.start();
    town.send("number 3");
    wait_until("the time is over", || {
        let (told, _) = town.told();
        let reason = told["failing"]["reason"].as_str().unwrap_or_default();
        reason.contains("no answer within 1000 ms")
    });
    town.mode("elsewhere");
    wait_until("no redirect is followed", || {
        let (told, _) = town.told();
        let reason = told["failing"]["reason"].as_str().unwrap_or_default();
        reason.contains("redirects are not followed")
    });
    town.mode("ok");
    wait_until("all four deliveries are told", || {
        let taken = town.taken();
        let delivered = taken.iter().filter(|line| line["message"] == "delivered");
        // A crash may repeat a delivery.
        let queues: BTreeSet<&str> = delivered.filter_map(|line| line["queue"].as_str()).collect();
        queues.len() == 4
    });
    town.site.wait_for_log(&["webhook works again", "webhook=alerts"]);
    town.wait_for("the first server's start", is("started"));
    wait_until("it works", || town.told().1 == Some(0));
    assert!(town.site.ok(&["webhook"]).contains("working"));
    assert!(town.site.take_server().terminate().success());
    town.wait_for("its end", is("stopped"));

    let seen = town.seen();
    assert!(seen.iter().all(|one| one["path"] == PATH), "{seen:?}");
    let mut by_id: HashMap<&str, &str> = HashMap::new();
    for one in &seen {
        assert_eq!(
            (&one["verified"], &one["fresh"]),
            (&true.into(), &true.into()),
            "{one}"
        );
        assert_eq!(one["type"], "application/x-ndjson");
        let (id, body) = (one["id"].as_str().unwrap(), one["body"].as_str().unwrap());
        assert_eq!(*by_id.entry(id).or_insert(body), body, "a batch stays the same");
        for secret in ["the body that", "number 1", "test word", "business", SECRET] {
            assert!(!body.contains(secret), "{secret}: {body}");
        }
    }
    let mut taken: Vec<&str> = seen
        .iter()
        .filter(|one| one["mode"] == "ok")
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    let count = taken.len();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), count, "no batch is sent again after it was taken");
    assert!(!town.site.log().contains("business"), "the path may be a secret");
    // As the log has them.
    let accepted = town.taken();
    let accepted = accepted
        .iter()
        .find(|line| line["message"] == "accepted")
        .unwrap();
    assert_eq!(accepted["login"], "tester@relay.test");
    assert_eq!(accepted["rule"], "relay.login");
    assert_eq!(accepted["level"], "info");
    assert!(accepted["time"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_reload_changes_what_is_sent_and_a_test_needs_no_server() {
    let mut town = Town::new("events = [\"accepted\"]\nrules = [\"relay.\"]");
    let tested = town.site.ok(&["webhook", "test", "alerts"]);
    assert!(
        tested.contains("localhost accepted the test event msg_test_"),
        "{tested}"
    );
    town.wait_for("the test", is("test"));
    town.mode("fail");
    let failed = town.site.run(&["webhook", "test", "alerts", "--json"]);
    let told: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!(
        (failed.status.code(), &told["error"]),
        (Some(1), &"status 503".into())
    );
    let unknown = town.site.run(&["webhook", "test", "alarms"]);
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(said.contains("there are: alerts"), "{said}");
    town.mode("ok");

    town.site.start();
    town.send("one");
    town.wait_for("the message", is("accepted"));
    let config = town.site.path("postern.toml");
    let before = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        before
            .replace("[\"accepted\"]", "[\"delivered\"]")
            .replace("rules =", "# rules ="),
    )
    .unwrap();
    town.site.ok(&["reload"]);
    town.send("two");
    town.wait_for("the delivery", is("delivered"));
    let words: Vec<Value> = town.taken().iter().map(|line| line["message"].clone()).collect();
    let others = words
        .iter()
        .filter(|word| !["test", "accepted", "delivered"].contains(&word.as_str().unwrap()));
    assert_eq!(others.count(), 0, "{words:?}");
    assert_eq!(
        words.iter().filter(|word| **word == "accepted").count(),
        1,
        "{words:?}"
    );

    // One that is taken out is forgotten, with what waited for it.
    let folder = town.site.path("state/webhooks/alerts");
    assert!(folder.exists());
    let (head, rest) = before.split_once("[[webhook]]").unwrap();
    let after = rest.split_once("\n[").map_or("", |(_, after)| after);
    let without = match after {
        "" => head.to_owned(),
        after => format!("{head}[{after}"),
    };
    fs::write(&config, without).unwrap();
    town.site.ok(&["reload"]);
    assert!(!folder.exists());
    assert_eq!(town.site.ok(&["webhook", "--json"]).trim(), "[]");
}

#[test]
fn mistakes_are_told_with_their_remedy() {
    let town = Town::new("");
    let config = town.site.path("postern.toml");
    let before = fs::read_to_string(&config).unwrap();
    let url = before
        .split("url = \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    for (old, new, said) in [
        (url, "http://hooks.example.org/x", "plain http to another machine"),
        (
            url,
            "https://user:pass@hooks.example.org/x",
            "user, password and fragment",
        ),
        ("name = \"alerts\"", "name = \".alerts\"", "begins with a dot"),
        ("timeout = \"1s\"", "events = [\"acepted\"]", "write \"accepted\""),
        (
            "timeout = \"1s\"",
            "rules = [\"relay.denid\"]",
            "write \"relay.denied\"",
        ),
        (
            "timeout = \"1s\"",
            "rules = [\"budgets.\"]",
            "there is no rule \"budgets.\"",
        ),
    ] {
        fs::write(&config, before.replace(old, new)).unwrap();
        let checked = town.site.run(&["check"]);
        let text = String::from_utf8(checked.stderr).unwrap();
        assert!(!checked.status.success() && text.contains(said), "{said}: {text}");
    }
    fs::write(&config, before.replace(url, "http://hooks.example.org/x") + "\n").unwrap();
    let allowed = before
        .replace(url, "http://hooks.example.org/x")
        .replace("timeout = \"1s\"", "allow_http = true");
    fs::write(&config, allowed).unwrap();
    town.site.ok(&["check"]);
    fs::write(&config, &before).unwrap();
    fs::write(town.site.path("webhook.key"), "no key").unwrap();
    let checked = town.site.run(&["check"]);
    let text = String::from_utf8(checked.stderr).unwrap();
    assert!(text.contains("head -c 32 /dev/urandom"), "{text}");
}
