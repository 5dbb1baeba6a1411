//! Smarthosts that require authentication: another Postern with every mechanism, Postfix with Cyrus SASL, and what must
//! not happen.

use std::fs;

use postern_testkit::postfix::Postfix;
use postern_testkit::process::{free_port, wait_until};
use postern_testkit::sink::Sink;
use serde_json::Value;

use crate::harness::{Site, private};

const MECHANISMS: &[&str] = &[
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
    "DIGEST-MD5",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    "SCRAM-SHA-512",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-512-PLUS",
    "NTLM",
    "EXTERNAL",
];

/// A Postern that accepts logins as `tester@relay.test`, with any mechanism.
fn hub(sink: &Sink) -> Site {
    let names: Vec<String> = MECHANISMS.iter().map(|name| format!("{name:?}")).collect();
    let extra = format!(
        "[auth]\nmechanisms = [{}]\nlayers = [\"auth-int\", \"auth-conf\"]\nleast_bits = 0\n\
         service_names = [\"*\"]\n\
         [[auth.certificate]]\nlogin = \"tester@relay.test\"\nemail = \"tester@relay.test\"\n",
        names.join(", ")
    );
    let mut hub = Site::relay_as(sink.port(), "", &extra, "client_ca = \"certs/ca.crt\"\n");
    hub.ok(&[
        "cert",
        "issue",
        "--dir",
        "certs",
        "--client",
        "--out",
        "client",
        "tester@relay.test",
    ]);
    hub.start();
    hub
}

/// One login and the route to it, for `NAME.example`.
struct Way {
    name: String,
    /// Further lines of `[[login]]`.
    login: String,
    port: u16,
    /// Further lines of `[[route]]`, besides `tls = "required"` unless they have one.
    route: String,
}

impl Way {
    fn new(name: &str, port: u16, login: &str, route: &str) -> Self {
        Self {
            name: name.to_ascii_lowercase(),
            login: login.to_owned(),
            port,
            route: route.to_owned(),
        }
    }

    fn text(&self) -> String {
        let Self {
            name,
            login,
            port,
            route,
        } = self;
        let tls = if route.contains("tls =") {
            ""
        } else {
            "tls = \"required\"\n"
        };
        let account = if login.contains("login =") {
            ""
        } else {
            "login = \"tester@relay.test\"\n"
        };
        format!(
            "[[login]]\nname = \"{name}\"\n{account}{login}\n\
             [[route]]\ndomains = [\"{name}.example\"]\nvia = [\"localhost:{port}\"]\nlogin = \"{name}\"\n{tls}{route}\n"
        )
    }
}

/// A Postern that sends over these routes, trusting the authority of `trusted`.
fn sender(trusted: &Site, ways: &[Way], more: &str) -> Site {
    let routes: String = ways.iter().map(Way::text).collect();
    let ca = trusted.path("certs/ca.crt");
    let extra = format!("{routes}\n[delivery.tls]\nca_file = \"{}\"\n{more}", ca.display());
    let site = Site::relay(1, &extra);
    private(&site.path("right.pass"), "test word\n");
    private(&site.path("wrong.pass"), "another word\n");
    site
}

fn send(site: &Site, from: &str, password: &str, to: &str, subject: &str) {
    let mut client = site.tls_client(site.submission);
    let reply = client.login(from, password).unwrap();
    assert!(reply.starts_with("235"), "{reply}");
    let content = format!("From: {from}\r\nSubject: {subject}\r\n\r\nhello");
    let reply = client.mail(from, &[to], &content).unwrap();
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
}

fn send_tester(site: &Site, way: &str) {
    let way = way.to_ascii_lowercase();
    send(
        site,
        "tester@relay.test",
        "test word",
        &format!("someone@{way}.example"),
        &format!("by {way}"),
    );
}

/// The destination that uses the login with this name.
fn destination(site: &Site, login: &str) -> Value {
    let list: Value = serde_json::from_str(&site.ok(&["queue", "list", "--destinations", "--json"])).unwrap();
    let all = list.as_array().unwrap().clone();
    let found = all.into_iter().find(|one| one["login"]["name"] == login);
    found.unwrap_or_else(|| panic!("{login} is not among the destinations: {list:#}"))
}

fn queue(site: &Site) -> String {
    site.ok(&["queue", "list", "--json"])
}

#[test]
fn every_mechanism_opens_another_postern() {
    let sink = Sink::start();
    let hub = hub(&sink);
    let mut ways: Vec<Way> = MECHANISMS
        .iter()
        .map(|name| {
            let proof = match *name {
                "EXTERNAL" => format!(
                    "certificate = \"{}\"\nkey = \"{}\"",
                    hub.path("certs/client.crt").display(),
                    hub.path("certs/client.key").display()
                ),
                _ => "password_file = \"right.pass\"".to_owned(),
            };
            Way::new(
                name,
                hub.submission,
                &format!("{proof}\nmechanisms = [\"{name}\"]"),
                "",
            )
        })
        .collect();
    let password = "password_file = \"right.pass\"";
    ways.push(Way::new("strongest", hub.submission, password, ""));
    ways.push(Way::new(
        "implicit",
        hub.submissions,
        password,
        "tls = \"implicit\"",
    ));
    ways.push(Way::new(
        "layered",
        hub.submission,
        "password_file = \"right.pass\"\nmechanisms = [\"DIGEST-MD5\"]\nlayers = [\"auth-int\", \"auth-conf\"]",
        "tls = \"none\"\nlogin_to_unverified_host = \"prove-to-anyone\"",
    ));
    let mut site = sender(&hub, &ways, "");
    site.start();
    for way in &ways {
        send_tester(&site, &way.name);
    }
    for way in &ways {
        let taken = sink.wait_for(&format!("Subject: by {}\r\n", way.name));
        assert_eq!(taken.rcpt, [format!("<someone@{}.example>", way.name)]);
    }
    for name in MECHANISMS {
        hub.wait_for_log(&[&format!("mechanism={name} ")]);
    }
    hub.wait_for_log(&["layer_bits=128"]);
    for login in ["strongest", "implicit"] {
        assert_eq!(
            destination(&site, login)["login"]["mechanism"],
            "SCRAM-SHA-512-PLUS",
            "{login}"
        );
    }
    let shown = site.ok(&["queue", "list", "--destinations"]);
    assert!(shown.contains("plain: works, PLAIN"), "{shown}");
    assert!(!site.log().contains("test word"), "the password is in the log");
}

#[test]
fn two_senders_have_their_accounts_at_two_smarthosts() {
    let (sinks, mut hubs) = ([Sink::start(), Sink::start()], Vec::new());
    for (sink, user) in sinks.iter().zip(["one@relay.test", "two@relay.test"]) {
        let mut hub = Site::relay(sink.port(), "");
        hub.add_user(user, "hub word");
        hub.start();
        hubs.push(hub);
    }
    let text: String = ["one", "two"]
        .iter()
        .zip(&hubs)
        .map(|(name, hub)| {
            let condition = if *name == "one" { "senders = [\"One@relay.test\"]" } else { "logins = [\"two@relay.test\"]" };
            format!(
                "[[login]]\nname = \"{name}\"\nlogin = \"{name}@relay.test\"\npassword_file = \"hub.pass\"\n\
                 [[route]]\ndomains = [\"*\"]\nvia = [\"localhost:{}\"]\ntls = \"required\"\nlogin = \"{name}\"\n{condition}\n",
                hub.submission
            )
        })
        .collect();
    // Each hub has its own authority.
    let authorities: String = hubs
        .iter()
        .map(|hub| fs::read_to_string(hub.path("certs/ca.crt")).unwrap())
        .collect();
    let third = Sink::start();
    let others = format!(
        "[[route]]\ndomains = [\"*\"]\nvia = [\"127.0.0.1:{}\"]\ntls = \"none\"\n[delivery.tls]\nca_file = \"hubs.crt\"\n",
        third.port()
    );
    let mut site = Site::relay(1, &format!("{text}{others}"));
    fs::write(site.path("hubs.crt"), authorities).unwrap();
    private(&site.path("hub.pass"), "hub word\n");
    for user in ["one@relay.test", "two@relay.test"] {
        site.add_user(user, "own word");
    }
    site.start();
    for round in 0..3 {
        for (user, password) in [
            ("one@relay.test", "own word"),
            ("two@relay.test", "own word"),
            ("tester@relay.test", "test word"),
        ] {
            send(
                &site,
                user,
                password,
                "x@outside.example",
                &format!("{user} {round}"),
            );
        }
    }
    for round in 0..3 {
        let _ = sinks[0].wait_for(&format!("Subject: one@relay.test {round}\r\n"));
        let _ = sinks[1].wait_for(&format!("Subject: two@relay.test {round}\r\n"));
        let _ = third.wait_for(&format!("Subject: tester@relay.test {round}\r\n"));
    }
    assert_eq!(
        (sinks[0].total(), sinks[1].total(), third.total()),
        (3, 3, 3),
        "nobody's mail went by another's account"
    );
    // After a restart, the choice is made from what the queue has stored.
    let ports = [hubs[0].submission, hubs[1].submission];
    assert_ne!(ports[0], ports[1]);
    for hub in &mut hubs {
        assert!(hub.take_server().terminate().success());
    }
    for user in ["one@relay.test", "two@relay.test"] {
        send(
            &site,
            user,
            "own word",
            "x@outside.example",
            &format!("{user} later"),
        );
    }
    wait_until("both deferred", || {
        let queued: Value = serde_json::from_str(&queue(&site)).unwrap();
        let waiting = queued.as_array().unwrap().clone();
        waiting.len() == 2 && waiting.iter().all(|one| one["attempts"].as_u64().unwrap() > 0)
    });
    assert!(site.take_server().terminate().success());
    for hub in &mut hubs {
        hub.start();
    }
    site.start();
    let _ = sinks[0].wait_for("Subject: one@relay.test later\r\n");
    let _ = sinks[1].wait_for("Subject: two@relay.test later\r\n");
    assert_eq!((sinks[0].total(), sinks[1].total()), (4, 4));
}

#[test]
fn a_refused_login_keeps_the_mail_and_says_so_once() {
    let sink = Sink::start();
    let hub = hub(&sink);
    let ways = [Way::new(
        "wrong",
        hub.submission,
        "password_file = \"wrong.pass\"\nmechanisms = [\"PLAIN\"]",
        "",
    )];
    let mut site = sender(&hub, &ways, "");
    site.start();
    send_tester(&site, "wrong");
    wait_until("a deferral that says why", || {
        queue(&site).contains("refuses the login")
    });
    assert!(queue(&site).contains("535"), "{}", queue(&site));
    let shown = destination(&site, "wrong");
    assert_eq!(shown["login"]["state"], "fails", "{shown:#}");
    assert!(
        shown["login"]["reason"].as_str().unwrap().contains("535"),
        "{shown:#}"
    );
    wait_until("a second attempt", || {
        let queued: Value = serde_json::from_str(&queue(&site)).unwrap();
        queued[0]["attempts"].as_u64().unwrap_or(0) >= 2
    });
    site.wait_for_log(&["login fails, its mail waits"]);
    let log = site.log();
    let alarms = log
        .lines()
        .filter(|line| line.contains("login fails, its mail waits"));
    assert_eq!(alarms.count(), 1, "{log}");
    assert!(!log.contains("another word"), "{log}");
    assert_eq!(sink.total(), 0);
    private(&site.path("wrong.pass"), "test word\n");
    site.ok(&["reload"]);
    let _ = sink.wait_for("Subject: by wrong\r\n");
    assert_eq!(destination(&site, "wrong")["login"]["state"], "works");
}

#[test]
fn a_password_goes_to_no_stranger() {
    let sink = Sink::start();
    let hub = hub(&sink);
    let password = "password_file = \"right.pass\"";
    let ways = [
        // The sink offers neither TLS nor authentication.
        Way::new(
            "withdrawn",
            sink.port(),
            password,
            "tls = \"none\"\nlogin_to_unverified_host = \"send-password-to-anyone\"",
        ),
        Way::new("stripped", sink.port(), password, ""),
        Way::new("stranger", hub.submission, password, ""),
        Way::new(
            "revealing",
            hub.submission,
            "password_file = \"right.pass\"\nmechanisms = [\"PLAIN\", \"LOGIN\"]",
            "tls = \"none\"\nlogin_to_unverified_host = \"prove-to-anyone\"",
        ),
    ];
    // Its own authority did not issue the hub's certificate.
    let mut site = Site::relay(1, "");
    let own = Site::relay(1, "");
    drop(std::mem::replace(&mut site, sender(&own, &ways, "")));
    site.start();
    for way in &ways {
        send_tester(&site, &way.name);
    }
    for (way, reason) in [
        ("withdrawn", "does not offer AUTH"),
        ("stripped", "does not offer STARTTLS"),
        ("stranger", "certificate"),
        ("revealing", "cannot log in"),
    ] {
        let address = format!("someone@{way}.example");
        let mut last = String::new();
        wait_until(&format!("{way}: a deferral because of {reason:?}"), || {
            let queued: Value = serde_json::from_str(&queue(&site)).unwrap();
            let own = queued
                .as_array()
                .unwrap()
                .iter()
                .find(|one| one["first_recipient"] == address.as_str())
                .cloned();
            last = own.unwrap_or_default()["last_reply"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            last.contains(reason)
        });
    }
    assert_eq!(sink.total(), 0);
    let log = hub.log();
    assert!(
        !log.contains("postern::login") && !log.contains(" mechanism="),
        "somebody tried to log in: {log}"
    );
}

#[test]
fn postfix_with_cyrus_sasl_lets_us_in() {
    let mechanisms = [
        "PLAIN",
        "LOGIN",
        "CRAM-MD5",
        "DIGEST-MD5",
        "SCRAM-SHA-1",
        "SCRAM-SHA-256",
        "NTLM",
    ];
    let authority = Site::relay(1, "");
    authority.issue("postfix", &["localhost"]);
    let domains: Vec<String> = mechanisms
        .iter()
        .chain(&["strongest", "wrong"])
        .map(|name| format!("{}.example", name.to_ascii_lowercase()))
        .collect();
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let postfix = Postfix::start_with_accounts(
        &domains,
        &authority.path("certs/postfix.crt"),
        &authority.path("certs/postfix.key"),
        &mechanisms,
        &[("tester", "test word")],
    );
    let mut ways: Vec<Way> = mechanisms
        .iter()
        .map(|name| {
            let login =
                format!("login = \"tester\"\npassword_file = \"right.pass\"\nmechanisms = [\"{name}\"]");
            Way::new(name, postfix.port(), &login, "")
        })
        .collect();
    ways.push(Way::new(
        "strongest",
        postfix.port(),
        "login = \"tester\"\npassword_file = \"right.pass\"",
        "",
    ));
    ways.push(Way::new(
        "wrong",
        postfix.port(),
        "login = \"tester\"\npassword_file = \"wrong.pass\"",
        "",
    ));
    let mut site = sender(&authority, &ways, "");
    site.start();
    for way in &ways {
        send_tester(&site, &way.name);
    }
    for way in &ways[..ways.len() - 1] {
        wait_until(&way.name, || {
            postfix.mailbox().contains(&format!("Subject: by {}\n", way.name))
        });
    }
    for name in mechanisms {
        let words = format!("sasl_method={name}");
        wait_until(&words, || postfix.log().contains(&words));
    }
    assert_eq!(
        destination(&site, "strongest")["login"]["mechanism"],
        "SCRAM-SHA-256",
        "{}",
        postfix.log()
    );
    wait_until("a refusal", || {
        destination(&site, "wrong")["login"]["state"] == "fails"
    });
    assert!(!postfix.mailbox().contains("Subject: by wrong"));
}

#[test]
fn tokens_are_fetched_shared_renewed_and_kept() {
    use postern_testkit::oauth::{CLIENT_ID, OauthProvider};
    let provider = OauthProvider::start();
    // Short, so that it is renewed within the test.
    provider.set_lifetime(20);
    let token = |grant: &str, more: &str| {
        format!(
            "login = \"tester@relay.test\"\n[login.token]\ngrant = \"{grant}\"\nissuer = \"{}\"\nca_file = \"{}\"\n\
             client_id = \"{CLIENT_ID}\"\nclient_secret_file = \"{}\"\n{more}",
            provider.issuer(),
            provider.ca().display(),
            provider.secret_file().display()
        )
    };
    let gate = token_gate(&provider);
    let own = Site::relay(1, "");
    let anyone = "tls = \"none\"\nlogin_to_unverified_host = \"send-password-to-anyone\"";
    let ways = [
        Way::new("client", gate.port, &token("client-credentials", ""), anyone),
        Way::new("person", gate.port, &token("refresh-token", ""), anyone),
    ];
    let mut site = sender(&own, &ways, "");
    site.start();
    send_tester(&site, "client");
    send_tester(&site, "person");
    wait_until("mail by client credentials", || gate.taken("by client"));
    wait_until("a wish for a person", || {
        queue(&site).contains("postern login authorize person")
    });
    let fetched = provider.requests("token");
    for _ in 0..5 {
        send_tester(&site, "client");
    }
    wait_until("six messages", || gate.count("by client") == 6);
    assert!(provider.requests("token") <= fetched + 1, "one token for all");

    // A person consents in a browser.
    let mut authorize = std::process::Command::new(crate::harness::binary())
        .args(["login", "authorize", "person"])
        .env("POSTERN_CONFIG", site.path("postern.toml"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(authorize.stdout.take().unwrap()));
    let code = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("and type the code ").map(str::to_owned))
        .expect("a code");
    assert!(provider.decide(&code, true), "{code}");
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert!(authorize.wait().unwrap().success(), "{rest:?}");
    wait_until("the person's mail", || gate.taken("by person"));
    let shown = destination(&site, "person");
    assert!(shown["login"]["token"]["expires_at"].is_string(), "{shown:#}");
    let shown = site.ok(&["queue", "list", "--destinations"]);
    assert!(shown.contains("person: works, OAUTHBEARER, token for"), "{shown}");
    for entry in fs::read_dir(site.path("state/tokens")).unwrap() {
        let octets = fs::read(entry.unwrap().path()).unwrap();
        assert!(
            !octets.windows(8).any(|window| window == b"refresh-"),
            "a token in the clear"
        );
    }

    // Renewed by the timer, each refresh token used once; again after a restart.
    let before = provider.requests("token");
    wait_until("a renewal", || provider.requests("token") > before + 1);
    assert!(site.take_server().terminate().success());
    site.start();
    send_tester(&site, "person");
    wait_until("mail after a restart", || gate.count("by person") == 2);

    // The host rejects the token: it is renewed immediately, once.
    gate.refuse_known();
    send_tester(&site, "person");
    wait_until("mail with a new token", || gate.count("by person") == 3);

    // The consent is withdrawn.
    provider.revoke_refresh_tokens();
    wait_until("a wish for a person again", || {
        destination(&site, "person")["login"]["token"]["problem"]
            .as_str()
            .is_some_and(|problem| problem.contains("postern login authorize person"))
    });
}

/// A host that accepts tokens signed by its provider: enough SMTP for one login and several messages.
struct Gate {
    port: u16,
    state: std::sync::Arc<std::sync::Mutex<GateState>>,
}

#[derive(Default)]
struct GateState {
    subjects: Vec<String>,
    seen: std::collections::HashSet<String>,
    refused: std::collections::HashSet<String>,
}

impl Gate {
    fn count(&self, subject: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.subjects.iter().filter(|one| *one == subject).count()
    }

    fn taken(&self, subject: &str) -> bool {
        self.count(subject) > 0
    }

    fn refuse_known(&self) {
        let mut state = self.state.lock().unwrap();
        state.refused = state.seen.clone();
    }
}

fn token_gate(_provider: &postern_testkit::oauth::OauthProvider) -> Gate {
    let port = free_port();
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let state = std::sync::Arc::<std::sync::Mutex<GateState>>::default();
    let shared = std::sync::Arc::clone(&state);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(stream), shared) = (stream, std::sync::Arc::clone(&shared)) else {
                continue;
            };
            std::thread::spawn(move || drop(serve_gate(stream, &shared)));
        }
    });
    Gate { port, state }
}

fn serve_gate(stream: std::net::TcpStream, state: &std::sync::Mutex<GateState>) -> std::io::Result<()> {
    use std::io::{BufRead as _, Write as _};
    let mut out = stream.try_clone()?;
    let mut lines = std::io::BufReader::new(stream).lines();
    let mut next = || {
        lines
            .next()
            .unwrap_or_else(|| Err(std::io::ErrorKind::UnexpectedEof.into()))
    };
    out.write_all(b"220 gate.test ESMTP\r\n")?;
    let mut open = false;
    loop {
        let line = next()?;
        let upper = line.to_ascii_uppercase();
        let reply: String = if upper.starts_with("EHLO") {
            "250-gate.test\r\n250 AUTH OAUTHBEARER XOAUTH2\r\n".into()
        } else if upper.starts_with("AUTH OAUTHBEARER") {
            out.write_all(b"334 \r\n")?;
            let message = if line.len() > 17 {
                line[17..].to_owned()
            } else {
                next()?
            };
            let message = String::from_utf8(decode_base64(&message)).unwrap();
            let (_, rest) = message.split_once("auth=Bearer ").unwrap();
            let token = rest.split('\u{1}').next().unwrap().to_owned();
            let mut state = state.lock().unwrap();
            open = token.split('.').count() == 3 && !state.refused.contains(&token);
            state.seen.insert(token);
            drop(state);
            if open {
                "235 2.7.0 welcome\r\n".into()
            } else {
                out.write_all(b"334 eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=\r\n")?;
                next()?;
                "535 5.7.8 no\r\n".into()
            }
        } else if !open && upper.starts_with("MAIL") {
            "530 5.7.0 log in\r\n".into()
        } else if upper == "DATA" {
            out.write_all(b"354 go\r\n")?;
            loop {
                let line = next()?;
                if line == "." {
                    break;
                }
                if let Some(subject) = line.strip_prefix("Subject: ") {
                    state.lock().unwrap().subjects.push(subject.to_owned());
                }
            }
            // One message per connection, so that each has a login.
            out.write_all(b"250 2.0.0 taken\r\n")?;
            return Ok(());
        } else {
            "250 2.0.0 ok\r\n".into()
        };
        out.write_all(reply.as_bytes())?;
    }
}

fn decode_base64(text: &str) -> Vec<u8> {
    let value = |octet: u8| {
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
            .iter()
            .position(|c| *c == octet)
    };
    let (mut bits, mut count, mut octets) = (0_usize, 0, Vec::new());
    for digit in text.bytes().filter_map(value) {
        bits = bits << 6 | digit;
        count += 6;
        if count >= 8 {
            count -= 8;
            octets.push((bits >> count & 0xff) as u8);
        }
    }
    octets
}

#[test]
fn exim_lets_us_in() {
    use postern_testkit::exim::{Exim, MECHANISMS};
    let authority = Site::relay(1, "");
    authority.issue("exim", &["localhost"]);
    authority.ok(&[
        "cert",
        "issue",
        "--dir",
        "certs",
        "--client",
        "--out",
        "client",
        "tester@relay.test",
    ]);
    let exim = Exim::start(
        &authority.path("certs/exim.crt"),
        &authority.path("certs/exim.key"),
        &authority.path("certs/ca.crt"),
        "tester",
        "test word",
    );
    let ways: Vec<Way> = MECHANISMS
        .iter()
        .map(|name| {
            let proof = match *name {
                "EXTERNAL" => format!(
                    "certificate = \"{}\"\nkey = \"{}\"",
                    authority.path("certs/client.crt").display(),
                    authority.path("certs/client.key").display()
                ),
                _ => "password_file = \"right.pass\"".to_owned(),
            };
            Way::new(
                name,
                exim.port(),
                &format!("login = \"tester\"\n{proof}\nmechanisms = [\"{name}\"]"),
                "",
            )
        })
        .chain([Way::new(
            "wrong",
            exim.port(),
            "login = \"tester\"\npassword_file = \"wrong.pass\"",
            "",
        )])
        .collect();
    let mut site = sender(&authority, &ways, "");
    site.start();
    for way in &ways {
        send_tester(&site, &way.name);
    }
    for name in MECHANISMS {
        let way = name.to_ascii_lowercase();
        wait_until(&way, || exim.mailbox().contains(&format!("Subject: by {way}\n")));
        assert_eq!(destination(&site, &way)["login"]["mechanism"], name);
    }
    wait_until("a refusal", || {
        destination(&site, "wrong")["login"]["state"] == "fails"
    });
    assert!(!exim.mailbox().contains("Subject: by wrong"));
}
