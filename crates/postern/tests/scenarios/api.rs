//! The API, asked with curl: roles, tokens, sockets, TLS, submission; and what an attacker tries.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use postern_testkit::process::{free_port, program, wait_until};
use postern_testkit::sink::Sink;
use serde_json::{Value, json};

use crate::harness::Site;

/// What a server answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Value,
    text: String,
}

fn curl(arguments: &[&str]) -> Answer {
    let output = Command::new(program("/usr/bin/curl", "curl"))
        .args([
            "--silent",
            "--show-error",
            "--include",
            "--max-time",
            "60",
            "--header",
            "Expect:",
        ])
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{output:?}"));
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
        text: body.to_owned(),
    }
}

/// A site with the API on a loopback port.
struct Api {
    site: Site,
    base: String,
}

impl Api {
    fn start(hop: u16, more: &str) -> Self {
        let port = free_port();
        let http = format!("[[http]]\naddress = \"127.0.0.1:{port}\"\nserves = [\"api\"]\n{more}");
        let mut site = Site::relay(hop, &http);
        site.start();
        Self {
            site,
            base: format!("http://127.0.0.1:{port}/api/v1"),
        }
    }

    fn token(&self, name: &str, more: &[&str]) -> String {
        let arguments = [&["api", "token", "create", name, "--json"], more].concat();
        let made: Value = serde_json::from_str(&self.site.ok(&arguments)).unwrap();
        made["token"].as_str().unwrap().to_owned()
    }

    fn ask(&self, token: &str, path: &str, more: &[&str]) -> Answer {
        let bearer = format!("Authorization: Bearer {token}");
        let url = format!("{}{path}", self.base);
        curl(&[&["--header", &bearer, &url], more].concat())
    }

    fn post(&self, token: &str, path: &str, body: &Value, more: &[&str]) -> Answer {
        let body = body.to_string();
        let json = ["--header", "Content-Type: application/json", "--data", &body];
        self.ask(token, path, &[&json, more].concat())
    }

    fn queue(&self, token: &str) -> Vec<String> {
        let listed = self.ask(token, "/queue", &[]);
        assert_eq!(listed.status, 200, "{listed:?}");
        let messages = listed.body["messages"].as_array().unwrap().clone();
        let ids = messages
            .iter()
            .map(|one| one["queue"].as_str().unwrap().to_owned());
        ids.collect()
    }
}

/// A hop that takes nothing: mail stays in the queue.
fn nowhere() -> u16 {
    free_port()
}

#[test]
fn who_may_do_what() {
    let api = Api::start(nowhere(), "");
    let mut tester = api.site.tester();
    let reply = tester.mail(
        "tester@relay.test",
        &["x@outside.example"],
        "Subject: one\r\n\r\nhello",
    );
    assert!(reply.unwrap().starts_with("250"));
    let (read, operate, administer) = (
        api.token("r", &["--role", "read"]),
        api.token("o", &["--role", "operate"]),
        api.token("a", &["--role", "administer", "--expires", "1d"]),
    );
    let narrow = api.token("n", &["--role", "administer", "--scope", "queue list"]);
    let elsewhere = api.token("e", &["--role", "administer", "--network", "192.0.2.0/24"]);
    let id = api.queue(&read).pop().unwrap();
    let (show, content) = (format!("/queue/{id}"), format!("/queue/{id}/content"));
    let hold = json!({ "ids": [id] });
    #[rustfmt::skip]
    let cases: [(&str, &str, &str, Option<&Value>, u16); 15] = [
        // what the case shows                token        path                 body         status
        ("the content is not for readers",    &read,       &content,            None,        403),
        ("nor is a change",                   &read,       "/queue/hold",       Some(&hold), 403),
        ("but a look is",                     &read,       &show,               None,        200),
        ("an operator reads content",         &operate,    &content,            None,        200),
        ("and changes",                       &operate,    "/queue/hold",       Some(&hold), 200),
        ("but not who may log in",            &operate,    "/users",            Some(&json!({ "login": "eve" })), 403),
        ("nor tokens",                        &operate,    "/tokens",           Some(&json!({ "name": "x", "role": "administer" })), 403),
        ("nor the configuration",             &operate,    "/reload",           Some(&json!({})), 403),
        ("an administrator reloads",          &administer, "/reload",           Some(&json!({})), 200),
        ("a scope takes away",                &narrow,     "/status",           None,        403),
        ("and leaves what it names",          &narrow,     "/queue",            None,        200),
        ("a token from elsewhere",            &elsewhere,  "/queue",            None,        401),
        ("a made-up token",                   "pst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "/queue", None, 401),
        ("nothing there",                     &read,       "/passwords",        None,        404),
        ("everything has to be asked for",    &operate,    "/queue/remove",     Some(&json!({})), 400),
    ];
    for (shows, token, path, body, status) in cases {
        let answer = match body {
            Some(body) => api.post(token, path, body, &[]),
            None => api.ask(token, path, &[]),
        };
        assert_eq!(answer.status, status, "{shows}: {answer:?}");
        assert!(
            answer.head.contains("cache-control: no-store"),
            "{shows}: {answer:?}"
        );
        if status >= 400 {
            assert!(
                answer.head.contains("content-type: application/problem+json"),
                "{shows}: {answer:?}"
            );
            assert_eq!(answer.body["status"], status, "{shows}");
        }
    }
    let reason = ["--header", "Postern-Reason: ticket 4711"];
    assert_eq!(api.post(&operate, "/queue/release", &hold, &reason).status, 200);
    let acts = api.ask(&read, "/acts", &[]).body;
    let released = acts
        .as_array()
        .unwrap()
        .iter()
        .find(|act| act["event"] == "queue release")
        .unwrap();
    assert_eq!(released["by"], "token o", "{released}");
    assert_eq!(released["source"], "API token");
    assert_eq!(released["reason"], "ticket 4711");
    assert_eq!(released["uid"], Value::Null);

    let made = api.post(&administer, "/users", &json!({ "login": "eve@relay.test" }), &[]);
    assert_eq!(made.status, 201, "{made:?}");
    assert!(made.body["password"].as_str().unwrap().len() > 20);
    let again = api.post(&administer, "/users", &json!({ "login": "eve@relay.test" }), &[]);
    assert_eq!(again.status, 422, "{again:?}");
    let eve = api.token("eve", &["--role", "own", "--login", "Eve@relay.test"]);
    assert_eq!(api.ask(&eve, "/queue", &[]).status, 200);
    for (act, status) in [("disable", 403), ("enable", 200)] {
        let path = format!("/users/eve@relay.test/{act}");
        assert_eq!(api.post(&administer, &path, &json!({}), &[]).status, 200, "{act}");
        assert_eq!(api.ask(&eve, "/queue", &[]).status, status, "{act}");
    }
    let gone = api.ask(&administer, "/users/eve@relay.test", &["--request", "DELETE"]);
    assert_eq!(gone.status, 200, "{gone:?}");
    assert_eq!(api.ask(&eve, "/queue", &[]).status, 401, "no user, no token");

    assert_eq!(
        api.ask(&administer, "/tokens/r", &["--request", "DELETE"]).status,
        200
    );
    assert_eq!(api.ask(&read, "/queue", &[]).status, 401, "revoked");
    let log = api.site.log();
    assert!(
        !log.contains("pst_") && !log.contains(&read),
        "no token in the log"
    );
    let listed = api.site.ok(&["api", "token", "list"]);
    assert!(
        listed.contains("administer") && !listed.contains("pst_"),
        "{listed}"
    );
}

/// One that has only its own: another's message is as good as none, whichever way it is asked for.
#[test]
fn an_own_token_sees_nothing_of_others() {
    let api = Api::start(nowhere(), "");
    api.site.add_user("mallory@relay.test", "a long password");
    let mut tester = api.site.tester();
    let reply = tester.mail(
        "tester@relay.test",
        &["x@outside.example"],
        "Subject: secret\r\n\r\nhello",
    );
    assert!(reply.unwrap().starts_with("250"));
    let own = api.token("m", &["--role", "own", "--login", "Mallory@relay.test"]);
    let theirs = api.token("t", &["--role", "own", "--login", "tester@relay.test"]);
    let id = api.queue(&theirs).pop().unwrap();
    assert!(api.queue(&own).is_empty());
    for path in [
        "/queue?login=tester@relay.test",
        "/queue?domain=outside.example",
        "/queue?login=",
    ] {
        let listed = api.ask(&own, path, &[]);
        assert_eq!(listed.body["messages"], json!([]), "{path}");
    }
    for path in [format!("/queue/{id}"), format!("/queue/{id}/content")] {
        assert_eq!(api.ask(&own, &path, &[]).status, 404, "{path}");
        assert_eq!(api.ask(&theirs, &path, &[]).status, 200, "{path}");
    }
    let missing = id.replace(char::is_alphabetic, "0");
    let other = api.ask(&own, &format!("/queue/{missing}"), &[]);
    assert_eq!(
        other.status, 404,
        "the same as for one that is not there: {other:?}"
    );
    for (path, body) in [
        ("/queue/remove", json!({ "ids": [id] })),
        ("/users/tester@relay.test/app-passwords", json!({ "label": "x" })),
        ("/tokens", json!({ "name": "x", "role": "administer" })),
    ] {
        assert_eq!(api.post(&own, path, &body, &[]).status, 403, "{path}");
    }
    for path in [
        "/users",
        "/users/tester@relay.test",
        "/status",
        "/configuration",
        "/acts",
        "/sessions/1-1",
    ] {
        assert_eq!(api.ask(&own, path, &[]).status, 403, "{path}");
    }
    let stories = api.ask(&own, "/trace?address=tester@relay.test", &[]);
    assert_eq!(stories.body["stories"], json!([]), "{stories:?}");
    let stories = api.ask(&theirs, "/trace?address=tester@relay.test", &[]);
    assert_eq!(
        stories.body["stories"].as_array().unwrap().len(),
        1,
        "{stories:?}"
    );
    let sessions = api.ask(&own, "/sessions", &[]);
    assert_eq!(sessions.body, json!([]), "the tester is connected: {sessions:?}");
    let made = api.post(
        &own,
        "/users/mallory@relay.test/app-passwords",
        &json!({ "label": "phone" }),
        &[],
    );
    assert_eq!(made.status, 201, "{made:?}");
}

#[test]
fn mail_is_submitted_once() {
    let sink = Sink::start();
    let api = Api::start(sink.port(), "[relay]\nsenders = \"own\"\n");
    let token = api.token(
        "s",
        &["--role", "own", "--login", "tester@relay.test", "--scope", "send"],
    );
    let whole = "From: tester@relay.test\nTo: a@outside.example\nBcc: b@outside.example\nSubject: whole\n\nhello\n.\nworld\n";
    let kind = ["--header", "Content-Type: message/rfc822", "--data-binary", whole];
    let key = ["--header", "Idempotency-Key: order 1"];
    let first = api.ask(&token, "/messages", &[&kind[..], &key[..]].concat());
    assert_eq!(first.status, 201, "{first:?} {}", api.site.log());
    assert_eq!(first.body["accepted"].as_array().unwrap().len(), 2, "{first:?}");
    let again = api.ask(&token, "/messages", &[&kind[..], &key[..]].concat());
    assert_eq!((again.status, &again.body), (201, &first.body), "the same answer");
    let changed = [
        "--header",
        "Content-Type: message/rfc822",
        "--data-binary",
        "From: tester@relay.test\nTo: c@outside.example\n\nother",
    ];
    let other = api.ask(&token, "/messages", &[&changed[..], &key[..]].concat());
    assert_eq!(other.status, 422, "another message under the same key: {other:?}");
    let got = sink.wait_for("Subject: whole");
    assert!(!format!("{got:?}").contains("Bcc"), "{got:?}");

    let parts = json!({
        "from": { "name": "The Tester", "address": "tester@relay.test" },
        "to": ["a@outside.example"],
        "subject": "parts <script>",
        "text": "hello",
        "attachments": [{ "filename": "a.bin", "content": "AAEC" }],
    });
    let taken = api.post(&token, "/messages", &parts, &[]);
    assert_eq!(taken.status, 201, "{taken:?}");
    let _ = sink.wait_for("a.bin");

    let foreign = json!({ "from": "boss@relay.test", "to": ["a@outside.example"], "text": "pay" });
    let refused = api.post(&token, "/messages", &foreign, &[]);
    assert_eq!(refused.status, 422, "the rule on senders holds: {refused:?}");
    assert_eq!(refused.body["code"].as_u64().unwrap() / 100, 5, "{refused:?}");
    assert_eq!(
        api.ask(&token, "/queue", &[]).status,
        403,
        "the scope is submission"
    );
    let nobody = api.token("x", &["--role", "administer"]);
    assert_eq!(
        api.post(&nobody, "/messages", &parts, &[]).status,
        403,
        "as nobody"
    );
    wait_until("the queue to be empty", || api.site.queue_is_empty());
    let whole = sink
        .taken()
        .into_iter()
        .filter(|taken| format!("{taken:?}").contains("Subject: whole"))
        .count();
    assert_eq!(whole, 1);
}

/// Root and the server's own user need no token at a socket of the file system; TLS is spoken with the site's certificate; passwords
/// cross no network in the clear.
#[test]
fn sockets_and_tls() {
    let port = free_port();
    let mut site = Site::relay(nowhere(), "");
    let socket = site.path("api.sock");
    let config = fs::read_to_string(site.path("postern.toml")).unwrap();
    let more = format!(
        "[[http]]\npath = \"{}\"\nserves = [\"api\"]\n[[http]]\naddress = \"127.0.0.1:{port}\"\ntls = true\nserves = [\"api\"]\n",
        socket.display()
    );
    fs::write(site.path("postern.toml"), format!("{config}\n{more}")).unwrap();
    site.start();
    let answer = curl(&[
        "--unix-socket",
        socket.to_str().unwrap(),
        "http://localhost/api/v1/status",
    ]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let (ca, url) = (
        site.path("certs/ca.crt"),
        format!("https://localhost:{port}/api/v1/status"),
    );
    let made: Value =
        serde_json::from_str(&site.ok(&["api", "token", "create", "t", "--role", "read", "--json"])).unwrap();
    let bearer = format!("Authorization: Bearer {}", made["token"].as_str().unwrap());
    let answer = curl(&["--cacert", ca.to_str().unwrap(), "--header", &bearer, &url]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = curl(&["--cacert", ca.to_str().unwrap(), &url]);
    assert_eq!(answer.status, 401, "{answer:?}");
    let mut clear = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let _ = clear.write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut octets = Vec::new();
    let _ = clear.read_to_end(&mut octets);
    assert!(
        !String::from_utf8_lossy(&octets).contains("HTTP/1.1"),
        "nothing in the clear"
    );

    let open = format!("{config}\n[[http]]\naddress = \"0.0.0.0:{port}\"\nserves = [\"api\"]\n");
    fs::write(site.path("postern.toml"), open).unwrap();
    let checked = site.run(&["check"]);
    let said =
        String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    assert!(
        !checked.status.success() && said.contains("without TLS"),
        "{said}"
    );
}

#[test]
fn what_an_attacker_tries() {
    let api = Api::start(nowhere(), "");
    let token = api.token("a", &["--role", "administer"]);
    let bearer = format!("Authorization: Bearer {token}");
    let host = api
        .base
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    // Two lengths, and a length beside pieces: whoever stands in front might see another request than we do.
    for smuggled in [
        "Content-Length: 2\r\nContent-Length: 20\r\n\r\n{}",
        "Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\n{}",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ] {
        let mut raw = TcpStream::connect(&host).unwrap();
        write!(
            raw,
            "POST /api/v1/queue/flush HTTP/1.1\r\nHost: x\r\n{bearer}\r\nContent-Type: application/json\r\n{smuggled}GET /api/v1/queue HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        let _ = raw.read_to_string(&mut answer);
        assert!(
            answer.starts_with("HTTP/1.1 400") || answer.is_empty(),
            "{smuggled:?}: {answer}"
        );
    }
    let deep = "[".repeat(100_000);
    let json = ["--header", "Content-Type: application/json", "--data", &deep];
    assert_eq!(api.ask(&token, "/queue/hold", &json).status, 400, "deep JSON");
    let large = format!("{{\"domain\": \"{}\"}}", "x".repeat(2 << 20));
    fs::write(api.site.path("large"), large).unwrap();
    let file = format!("@{}", api.site.path("large").display());
    let json = [
        "--header",
        "Content-Type: application/json",
        "--data-binary",
        &file,
    ];
    assert_eq!(api.ask(&token, "/queue/hold", &json).status, 413, "large JSON");
    let form = ["--data", "domain=x"];
    assert_eq!(
        api.ask(&token, "/queue/hold", &form).status,
        415,
        "a form of somebody's page"
    );
    let foreign = api.ask(&token, "/status", &["--header", "Origin: https://evil.example"]);
    assert!(!foreign.head.contains("access-control"), "{foreign:?}");
    let query = curl(&[&format!("{}/status?access_token={token}", api.base)]);
    assert_eq!(query.status, 401, "no token in a query");
    let guessed: Vec<_> = (0..30)
        .map(|number| api.ask(&format!("pst_{number}"), "/status", &[]))
        .collect();
    let last = &guessed[29];
    assert_eq!(last.status, 429, "{last:?}");
    assert!(last.head.contains("retry-after"), "{last:?}");
    assert!(!last.text.contains("pst_"), "{last:?}");
    assert_eq!(
        api.ask(&token, "/status", &[]).status,
        200,
        "a right one is taken whoever guesses"
    );
    assert!(api.site.log().matches("a token was not taken").count() <= 21);
}

/// The description that a server shows is the one in the documents, and names no form that it lacks.
#[test]
fn the_description_is_openapi() {
    let api = Api::start(nowhere(), "");
    let described = curl(&[&format!("{}/openapi.json", api.base)]);
    assert_eq!(described.status, 200);
    let written = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    assert_eq!(
        described.text,
        fs::read_to_string(written).unwrap(),
        "docs/openapi.json"
    );
    let paths = described.body["paths"].as_object().unwrap();
    assert!(paths.len() > 40, "{}", paths.len());
    let mut references = described.text.split("\"$ref\": \"").skip(1);
    let forms = described.body["components"]["schemas"].as_object().unwrap();
    let missing = references.find(|rest| {
        let name = rest
            .split('"')
            .next()
            .unwrap()
            .trim_start_matches("#/components/schemas/");
        !forms.contains_key(name)
    });
    assert_eq!(missing, None, "every form that is named is there");
}
