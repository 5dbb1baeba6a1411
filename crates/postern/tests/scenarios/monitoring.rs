//! What monitors see: a real Prometheus reads the metrics of real mail, and health probes show whether mail is accepted.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use postern_testkit::http;
use postern_testkit::process::{free_port, wait_until};
use postern_testkit::prometheus::{Prometheus, promtool};
use postern_testkit::sink::Sink;
use serde_json::Value;

use crate::harness::Site;

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../packaging")
        .join(name)
}

fn http_table(port: u16) -> String {
    format!("[[http]]\nname = \"monitor\"\naddress = \"127.0.0.1:{port}\"\n")
}

/// Successful logins and a failed one, delivered mail and waiting mail, a refusal: all of it appears in Prometheus.
#[test]
fn prometheus_reads_what_mail_there_was() {
    let sink = Sink::start();
    let (monitor, nowhere) = (free_port(), free_port());
    let routes = format!(
        "{}[[route]]\ndomains = [\"away.example\"]\nvia = [\"127.0.0.1:{nowhere}\"]\ntls = \"none\"\n\
         [[route]]\ndomains = [\"*\"]\nvia = [\"127.0.0.1:{}\"]\ntls = \"none\"\n[retry]\nintervals = [\"1h\"]\n",
        http_table(monitor),
        sink.port()
    );
    let mut site = Site::relay(0, &routes);
    site.start();
    let prometheus = Prometheus::start(monitor, &packaging("prometheus/postern.rules.yml"));
    let mut tester = site.tester();
    for number in 0..3 {
        let content = format!("Subject: number {number}\r\n\r\nhello");
        let reply = tester.mail(
            "tester@relay.test",
            &["x@outside.example", "y@outside.example"],
            &content,
        );
        assert!(reply.unwrap().starts_with("250"));
    }
    let reply = tester.mail(
        "tester@relay.test",
        &["z@away.example"],
        "Subject: stays\r\n\r\nx",
    );
    assert!(reply.unwrap().starts_with("250"));
    let wrong = site
        .tls_client(site.submission)
        .login("tester@relay.test", "wrong");
    assert!(wrong.unwrap().starts_with("535"));
    let mut stranger = site.client();
    stranger.say("EHLO helo").unwrap();
    stranger.say("MAIL FROM:<a@b.example>").unwrap();
    assert!(
        stranger
            .say("RCPT TO:<x@elsewhere.example>")
            .unwrap()
            .starts_with("550")
    );
    let _ = sink.wait_for("Subject: number 2");

    for (expression, value) in [
        (
            r#"postern_messages_accepted_total{listener="submission",rule="relay.login"}"#,
            4.0,
        ),
        (r#"postern_recipients_accepted_total{listener="submission"}"#, 7.0),
        (
            r#"postern_accept_duration_seconds_count{listener="submission"}"#,
            4.0,
        ),
        (
            r#"postern_logins_total{outcome="accepted",directory=~"users.*"}"#,
            1.0,
        ),
        (r#"postern_logins_total{outcome="refused"}"#, 1.0),
        (
            r#"postern_refusals_total{listener="mx",rule="relay.denied"}"#,
            1.0,
        ),
        (r#"postern_outcomes_total{outcome="delivered",cause="none"}"#, 6.0),
        (
            r#"postern_outcomes_total{outcome="deferred",cause="unreachable"}"#,
            1.0,
        ),
        (r#"postern_attempts_total{outcome="taken"}"#, 3.0),
        (
            r#"postern_attempts_total{outcome="unreached",cause="unreachable"}"#,
            1.0,
        ),
        (r"postern_delivery_delay_seconds_count", 6.0),
        (r"postern_handover_duration_seconds_count", 3.0),
        (r#"postern_queue_messages{state="waiting"}"#, 1.0),
        (r#"postern_queue_messages_older{than="1h"}"#, 0.0),
        (r"postern_queue_ready", 1.0),
        (r"postern_tls_handshakes_total", 2.0),
        (r#"up{job="postern"}"#, 1.0),
    ] {
        let mut last = None;
        wait_until(&format!("{expression} to be {value}"), || {
            last = prometheus.sum(expression);
            last == Some(value)
        });
    }
    for (expression, what) in [
        (
            r#"postern_sync_duration_seconds_count{result="done"} >= 4"#,
            "each message was synced",
        ),
        (
            "postern_directory_answer_duration_seconds_count >= 2",
            "the directory was asked",
        ),
        (
            "postern_certificate_expiry_timestamp_seconds > time()",
            "the certificate is good",
        ),
        (
            "postern_queue_oldest_age_seconds > 0",
            "a message is in the queue",
        ),
        (
            "process_resident_memory_bytes > 1000000",
            "the process has memory",
        ),
        (
            "time() - process_start_time_seconds < 3600",
            "it was started a moment ago",
        ),
        (
            r#"postern_next_hop_connections_total{wanted="none",reached="clear"} >= 1"#,
            "no TLS was wanted",
        ),
        ("postern_build_info == 1", "the build says which it is"),
    ] {
        wait_until(what, || !prometheus.query(expression).is_empty());
    }
    let firing = prometheus.query("ALERTS{alertstate=\"firing\"}");
    assert!(firing.is_empty(), "all is well: {firing:?}");
    drop(stranger);
}

/// Both formats are correct, on a port and on a Unix socket, and nothing else is answered.
#[test]
fn the_numbers_pass_the_checker_and_tell_nothing_about_people() {
    let sink = Sink::start();
    let monitor = free_port();
    let more = "[[http]]\npath = \"http.sock\"\nserves = [\"metrics\"]\n";
    let mut site = Site::relay(sink.port(), &format!("{}{more}", http_table(monitor)));
    site.start();
    let reply = site.tester().mail(
        "tester@relay.test",
        &["secret@outside.example"],
        "Subject: a\r\n\r\nhello",
    );
    assert!(reply.unwrap().starts_with("250"));
    let _ = sink.wait_for("Subject: a");
    let (status, text) = http::get(monitor, "/metrics").unwrap();
    assert_eq!(status, 200);
    let (content, said) = promtool(&["check", "metrics"], &text);
    assert!(content, "{said}");
    for private in ["tester", "secret", "outside.example", "127.0.0.1"] {
        assert!(!text.contains(private), "{private}: {text}");
    }
    let (_, newer) = http::get_as(monitor, "/metrics", "application/openmetrics-text").unwrap();
    assert!(newer.ends_with("# EOF\n"), "{newer}");
    let (status, same) = http::get_unix(&site.path("http.sock"), "/metrics").unwrap();
    assert!(status == 200 && same.contains("postern_build_info"), "{same}");
    let (status, _) = http::get_unix(&site.path("http.sock"), "/health/live").unwrap();
    assert_eq!(status, 404, "it serves the numbers alone");
    assert_eq!(http::get(monitor, "/").unwrap().0, 404);
}

#[test]
fn the_rules_pass_their_tests() {
    let tests = packaging("prometheus/postern.tests.yml");
    let (passed, said) = promtool(&["test", "rules", tests.to_str().unwrap()], "");
    assert!(passed, "{said}");
    let config = packaging("prometheus/prometheus.yml");
    let (passed, said) = promtool(&["check", "config", config.to_str().unwrap()], "");
    assert!(passed, "{said}");
}

fn health(port: u16, path: &str) -> (u16, Value) {
    let (status, body) = http::get(port, path).unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

/// A server that accepts mail says so; one that is stopping says why it does not, while it waits for sessions to end.
#[test]
fn health_tells_whether_mail_is_taken() {
    let sink = Sink::start();
    let monitor = free_port();
    let mut site = Site::relay(sink.port(), &http_table(monitor));
    site.start();
    let (status, live) = health(monitor, "/health/live");
    assert_eq!((status, &live["live"]), (200, &Value::Bool(true)));
    let (status, ready) = health(monitor, "/health/ready");
    assert_eq!((status, &ready["ready"]), (200, &Value::Bool(true)), "{ready}");
    assert!(ready["write_ms"].is_u64(), "{ready}");
    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    client.say("MAIL FROM:<a@b.example>").unwrap();
    client.say("RCPT TO:<x@relay.test>").unwrap();
    client.say("DATA").unwrap();
    site.server().signal(Signal::SIGTERM);
    wait_until("health to tell of the stop", || {
        let (status, ready) = health(monitor, "/health/ready");
        status == 503 && ready["reasons"][0] == "the server is stopping"
    });
    assert_eq!(health(monitor, "/health/live").0, 200);
    let reply = client.say("Subject: last\r\n\r\nx\r\n.").unwrap();
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    drop(client);
    assert!(site.take_server().wait().unwrap().success());
}

/// What is not in the configuration does not listen and does not count; a reload adds and removes it.
#[test]
fn a_reload_opens_changes_and_closes() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    let config = fs::read_to_string(site.path("postern.toml")).unwrap();
    site.start();
    let monitor = free_port();
    let mut client = site.client();
    client.say("EHLO helo").unwrap();
    let write = |extra: &str| fs::write(site.path("postern.toml"), format!("{config}\n{extra}")).unwrap();
    write(&http_table(monitor));
    site.ok(&["reload"]);
    let count = |listener: &str| -> Option<u64> {
        let (_, text) = http::get(monitor, "/metrics").ok()?;
        let start = format!("postern_connections_total{{listener=\"{listener}\"}} ");
        text.lines()
            .find_map(|line| line.strip_prefix(&start))?
            .parse()
            .ok()
    };
    assert_eq!(count("mx"), Some(0), "what was before is not known");
    drop(site.client());
    wait_until("a connection to be counted", || count("mx") == Some(1));
    write(&http_table(monitor).replace("name =", "serves = [\"health\"]\nname ="));
    site.ok(&["reload"]);
    assert_eq!(http::get(monitor, "/metrics").unwrap().0, 404);
    assert_eq!(http::get(monitor, "/health/live").unwrap().0, 200);
    write("");
    site.ok(&["reload"]);
    wait_until("the port to be closed", || {
        http::get(monitor, "/health/live").is_err()
    });
    // A place that cannot be bound changes nothing.
    write(&http_table(site.mx));
    assert!(!site.run(&["reload"]).status.success());
    assert!(site.client().say("EHLO helo").unwrap().starts_with("250"));
}

fn json(site: &Site, arguments: &[&str]) -> Value {
    let output = site.run(arguments);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// The first line and the exit status say whether all is well.
#[test]
fn status_says_what_is_wrong_and_ends_as_monitors_expect() {
    let sink = Sink::start();
    let mut site = Site::relay(
        sink.port(),
        "[[directory]]\nkind = \"saslauthd\"\nsocket = \"nowhere/mux\"\n",
    );
    let code = |site: &Site, arguments: &[&str]| site.run(arguments).status.code();
    assert_eq!(code(&site, &["status"]), Some(2), "nothing runs");
    assert_eq!(json(&site, &["status", "--json"])["verdict"], "critical");
    let why = |site: &Site| {
        let asked = site.run(&["status", "--ready"]);
        (
            asked.status.code(),
            String::from_utf8_lossy(&asked.stderr).into_owned(),
        )
    };
    let (exit, said) = why(&site);
    assert_eq!(exit, Some(1));
    assert!(said.contains("not ready: no server runs on"), "{said}");
    site.start();
    let login = site
        .tls_client(site.submission)
        .login("nobody@relay.test", "word");
    assert!(login.unwrap().starts_with("454"));
    wait_until("the directory to be seen as down", || {
        code(&site, &["status"]) == Some(1)
    });
    assert_eq!(
        code(&site, &["status", "--ready"]),
        Some(0),
        "mail is taken all the same"
    );
    let shown = String::from_utf8_lossy(&site.run(&["status"]).stdout).into_owned();
    assert!(
        shown.starts_with("WARNING: 1 warning: directory saslauthd (directory 2) is down\n"),
        "{shown}"
    );
    assert!(
        shown.contains("\nwarning   the directory saslauthd (directory 2) does not answer"),
        "{shown}"
    );
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let told = json(&site, &["status", "--json"]);
    assert_eq!(told["verdict"], "warning");
    assert!(
        told["findings"][0]["remedy"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{told}"
    );
    assert!(
        told["sessions_max"].as_u64() > Some(0) && told["disk_free"].is_u64(),
        "{told}"
    );
}

/// A filter that is down and what it does to mail, and a helper for mailboxes that does not run.
#[test]
fn status_judges_filters_and_the_helper() {
    let sink = Sink::start();
    let mut site = Site::relay(
        sink.port(),
        "[[milter]]\nname = \"scan\"\naddress = \"inet:127.0.0.1:1\"\non_failure = \"accept\"\n\
         [delivery]\nsystem_users = true\n",
    );
    site.start();
    let shown = |site: &Site| String::from_utf8_lossy(&site.run(&["status"]).stdout).into_owned();
    assert!(site.client().say("EHLO helo").unwrap().starts_with("250"));
    wait_until("the filter to be seen as down", || {
        shown(&site)
            .starts_with("CRITICAL: 1 critical, 1 warning: mailbox helper is down, filter scan is down\n")
    });
    let after = shown(&site);
    assert!(after.contains("mail goes on without it"), "{after}");
    assert!(
        after.contains("systemctl start postern-mailbox.service"),
        "{after}"
    );
    assert!(after.lines().all(|line| line.chars().count() <= 80), "{after}");
}

/// Mail is counted by day, and the counts survive a restart; the previous day is reported by mail, once.
#[test]
fn statistics_are_kept_and_sent() {
    let sink = Sink::start();
    let mut site = Site::relay(
        sink.port(),
        "[digest]\nto = [\"postmaster@relay.test\"]\nhour = 0\n",
    );
    site.start();
    let mut tester = site.tester();
    for to in ["x@outside.example", "y@outside.example", "z@other.example"] {
        let reply = tester.mail("tester@relay.test", &[to], "Subject: counted\r\n\r\nx");
        assert!(reply.unwrap().starts_with("250"));
    }
    let mut stranger = site.client();
    stranger.say("EHLO helo").unwrap();
    stranger.say("MAIL FROM:<a@b.example>").unwrap();
    assert!(
        stranger
            .say("RCPT TO:<x@elsewhere.example>")
            .unwrap()
            .starts_with("550")
    );
    // Midnight may pass meanwhile.
    let stats = ["stats", "--days", "2", "--json"];
    wait_until("three deliveries", || {
        json(&site, &stats)["total"]["delivered"] == 3
    });
    let told = json(&site, &stats);
    assert_eq!(told["total"]["accepted"], 3, "{told}");
    assert_eq!(told["total"]["refused"], 1, "{told}");
    let name = |list: &str, place: usize| told[list]["names"][place].clone();
    assert_eq!(name("by_login", 0)["name"], "tester@relay.test", "{told}");
    assert_eq!(name("by_listener", 0)["name"], "submission", "{told}");
    assert_eq!(name("by_sender_domain", 0)["name"], "relay.test", "{told}");
    assert_eq!(
        name("by_recipient_domain", 0)["name"],
        "outside.example",
        "{told}"
    );
    assert_eq!(name("by_recipient_domain", 0)["delivered"], 2, "{told}");
    assert_eq!(name("by_rule", 0)["name"], "relay.denied", "{told}");
    assert_eq!(name("by_rule", 0)["refused"], 1, "{told}");
    let shown = site.ok(&["stats", "--days", "2", "--top", "1"]);
    assert!(
        shown.contains("accepted   3 messages for 3 recipients") && shown.contains("(all others)"),
        "{shown}"
    );
    assert!(shown.lines().all(|line| line.len() <= 80), "{shown}");
    drop(stranger);
    drop(tester);
    assert!(site.take_server().terminate().success());

    // As for a server that was down at midnight: the last digest is old, and the counts are yesterday's.
    let store = rusqlite::Connection::open(site.path("state/state.db")).unwrap();
    let day =
        "SELECT value FROM record WHERE space = 'statistics' AND key LIKE '2%' ORDER BY key DESC LIMIT 1";
    let value: String = store.query_row(day, [], |row| row.get(0)).unwrap();
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let yesterday = today.yesterday().unwrap().to_string();
    let mut value: Value = serde_json::from_str(&value).unwrap();
    value["date"] = yesterday.clone().into();
    let put = "INSERT OR REPLACE INTO record (space, key, value) VALUES ('statistics', ?1, ?2)";
    store
        .execute(put, [yesterday.as_str(), &value.to_string()])
        .unwrap();
    store.execute(put, ["digest", "2020-01-01"]).unwrap();
    drop(store);
    site.start();
    let digest = sink.wait_for(&format!("Subject: Mail on {yesterday} at mx.relay.test"));
    assert!(
        digest.content.contains("accepted   3 messages"),
        "{}",
        digest.content
    );
    assert!(digest.content.contains("tester@relay.test"), "{}", digest.content);
    assert_eq!(
        json(&site, &["stats", "--days", "3", "--json"])["total"]["accepted"]
            .as_u64()
            .map(|count| count >= 6),
        Some(true)
    );
    assert!(site.take_server().terminate().success());
    site.start();
    let sent = |taken: &&postern_testkit::sink::Taken| taken.content.contains("Subject: Mail on ");
    assert_eq!(sink.taken().iter().filter(sent).count(), 1, "it is sent once");
}
