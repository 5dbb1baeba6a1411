//! GSSAPI with a real Kerberos server: every layer with its bits in the trace field, and every kind of invalid
//! ticket.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use postern_testkit::kdc::{Kdc, Login};
use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;
use postern_testkit::smtp::Client;

use crate::harness::{Site, binary};

const TESTER: Login<'_> = Login {
    name: "tester",
    password: "test-word",
    lifetime: "1h",
};

/// A realm with the tester in it, and the keytab of a relay on this host.
struct Realm {
    kdc: Kdc,
    keytab: PathBuf,
}

impl Realm {
    fn new(name: &str, keytab: &Path, kind: &str) -> Self {
        let kdc = Kdc::start_with(name, kind);
        kdc.add(TESTER.name, TESTER.password);
        kdc.keytab(keytab, &["smtp/localhost"]);
        Self {
            kdc,
            keytab: keytab.to_owned(),
        }
    }
}

/// A relay that accepts tickets, also without TLS, with these layers.
fn relay(hop: u16, layers: &str, kerberos: &str) -> Site {
    let extra = format!(
        "[auth]\nmechanisms = [\"GSSAPI\", \"PLAIN\"]\nlayers = [{layers}]\n\
         [kerberos]\nkeytab = \"smtp.keytab\"\ndomain = \"relay.test\"\n{kerberos}\n"
    );
    Site::relay(hop, &extra)
}

/// The same in its own realm, started.
fn started(hop: u16, layers: &str, kind: &str) -> (Site, Realm) {
    let mut site = relay(hop, layers, "");
    let realm = Realm::new("RELAY.TEST", &site.path("smtp.keytab"), kind);
    site.use_kdc(&realm.kdc);
    site.start();
    (site, realm)
}

/// Sends a message through Cyrus's library, with a layer of that many bits.
fn submit(site: &Site, kdc: &Kdc, cache: &Path, bits: (&str, &str), subject: &str) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sasl/tests/peers/cyrus.py");
    let gssapi = Path::new("/usr/share/doc/libsasl2-modules-gssapi-mit");
    assert!(gssapi.exists(), "install libsasl2-modules-gssapi-mit");
    let place = format!("localhost:{}", site.submission);
    let sender = "tester@relay.test";
    kdc.command("/usr/bin/python3", "python3")
        .env("KRB5CCNAME", cache)
        .arg(script)
        .args(["submit", "GSSAPI", &place, "", "", bits.0, bits.1])
        .args([sender, "someone@outside.example", subject])
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Waits until the log says why a login was refused.
fn refused_for(site: &Site, reason: &str) {
    wait_until(&format!("{reason:?} in the log"), || {
        site.log()
            .lines()
            .any(|line| line.contains("refused") && line.contains("GSSAPI") && line.contains(reason))
    });
}

#[test]
fn each_layer_has_its_bits_in_the_trace() {
    let sink = Sink::start();
    for (kind, strongest) in [("aes256-cts", "256"), ("aes128-cts", "128")] {
        let (site, realm) = started(sink.port(), "\"auth-int\", \"auth-conf\"", kind);
        let cache = realm.kdc.ticket("tester", TESTER);
        for (shows, most, bits) in [
            ("none", "0", "0"),
            ("integrity", "1", "1"),
            ("all", "256", strongest),
        ] {
            let subject = format!("layer {kind} {shows}");
            let output = submit(&site, &realm.kdc, &cache, (bits, most), &subject);
            assert!(
                output.status.success(),
                "{subject}: {}{}",
                text(&output),
                site.log()
            );
            let taken = sink.wait_for(&format!("Subject: {subject}"));
            assert!(
                taken.content.contains(&format!("(authenticated bits={bits})")),
                "{subject}: {}",
                taken.content.lines().take(8).collect::<Vec<_>>().join("\n")
            );
            assert_eq!(taken.content.matches(&"x".repeat(98)).count(), 1_000, "{subject}");
        }
        let report = site.ok(&["auth", "report"]);
        assert!(
            report
                .lines()
                .any(|line| line.starts_with("GSSAPI") && line.contains("tester@relay.test")),
            "{report}"
        );
    }
}

#[test]
fn layers_that_are_not_wanted_are_not_offered() {
    let sink = Sink::start();
    let (site, realm) = started(sink.port(), "", "aes256-cts");
    let cache = realm.kdc.ticket("tester", TESTER);
    let none = submit(&site, &realm.kdc, &cache, ("0", "256"), "no layer");
    assert!(none.status.success(), "{}", text(&none));
    assert!(
        sink.wait_for("Subject: no layer")
            .content
            .contains("(authenticated bits=0)")
    );
    let insists = submit(&site, &realm.kdc, &cache, ("56", "256"), "insists");
    assert!(!insists.status.success(), "{}", text(&insists));
}

#[test]
fn wrong_tickets_are_refused_with_their_reason() {
    let sink = Sink::start();
    let (site, realm) = started(sink.port(), "", "aes256-cts");
    let kdc = &realm.kdc;

    // No ticket at all: the client gives up by itself, and the server sees nothing.
    let nothing = submit(&site, kdc, &site.path("no-cache"), ("0", "0"), "no ticket");
    assert!(!nothing.status.success(), "{}", text(&nothing));

    // A principal without an account, and an admin instance of one that has one.
    for (name, reason) in [("stranger", "unknown user"), ("tester/admin", "has an instance")] {
        kdc.add(name, "other-word");
        let login = Login {
            name,
            password: "other-word",
            lifetime: "1h",
        };
        let cache = kdc.ticket(&name.replace('/', "-"), login);
        let output = submit(&site, kdc, &cache, ("0", "0"), name);
        assert!(
            !output.status.success() && text(&output).contains("535"),
            "{}",
            text(&output)
        );
        refused_for(&site, reason);
    }

    // A ticket of another realm, for which the keytab has a key as well.
    let other = Realm::new("OTHER.TEST", &realm.keytab, "aes256-cts");
    let cache = other.kdc.ticket("tester", TESTER);
    let output = submit(&site, &other.kdc, &cache, ("0", "0"), "other realm");
    assert!(text(&output).contains("535"), "{}", text(&output));
    refused_for(&site, "of the realm OTHER.TEST");

    // A ticket for another service of the same keytab.
    kdc.keytab(&realm.keytab, &["host/localhost"]);
    let cache = kdc.ticket("for-host", TESTER);
    let output = kdc
        .command("/usr/bin/gsasl", "gsasl")
        .env("KRB5CCNAME", &cache)
        .args(["--smtp", "--connect", &format!("localhost:{}", site.submission)])
        .args([
            "--mechanism",
            "GSSAPI",
            "--service",
            "host",
            "--hostname",
            "localhost",
        ])
        .args([
            "--authentication-id",
            "",
            "--authorization-id",
            "",
            "--no-starttls",
        ])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success(), "{}", text(&output));
    refused_for(&site, "the ticket is for host/localhost@RELAY.TEST");

    // A ticket from before the key was changed, in a keytab that has forgotten the old one.
    let cache = kdc.ticket("old-key", TESTER);
    let before = submit(&site, kdc, &cache, ("0", "0"), "old key");
    assert!(before.status.success(), "{}{}", text(&before), site.log());
    std::fs::remove_file(&realm.keytab).unwrap();
    kdc.keytab(&realm.keytab, &["smtp/localhost"]);
    let output = submit(&site, kdc, &cache, ("0", "0"), "after the change");
    assert!(text(&output).contains("535"), "{}", text(&output));
    refused_for(&site, "smtp/localhost@RELAY.TEST");
    // The new one works at once, without a reload.
    let cache = kdc.ticket("new-key", TESTER);
    let output = submit(&site, kdc, &cache, ("0", "0"), "new key");
    assert!(output.status.success(), "{}{}", text(&output), site.log());

    // The keytab is gone: the client should try again, and keep its ticket.
    std::fs::remove_file(&realm.keytab).unwrap();
    let output = submit(&site, kdc, &cache, ("0", "0"), "no keytab");
    assert!(text(&output).contains("454"), "{}", text(&output));
}

#[test]
fn a_token_works_once() {
    let sink = Sink::start();
    let (site, realm) = started(sink.port(), "", "aes256-cts");
    let cache = realm.kdc.ticket("tester", TESTER);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sasl/tests/peers/cyrus.py");
    let mut child = realm
        .kdc
        .command("/usr/bin/python3", "python3")
        .env("KRB5CCNAME", &cache)
        .arg(script)
        .args(["client", "GSSAPI", "localhost", "", "", "0", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let token = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .next()
        .unwrap()
        .unwrap();
    let _ = child.kill();
    let _ = child.wait();
    let replies: Vec<String> = (0..2)
        .map(|_| {
            let mut client = Client::connect(site.submission).unwrap().0;
            client.say("EHLO helo").unwrap();
            client.say(&format!("AUTH GSSAPI {token}")).unwrap()
        })
        .collect();
    assert!(replies[0].starts_with("334"), "{replies:?}");
    assert!(replies[1].starts_with("535"), "{replies:?}");
    refused_for(&site, "replay");
    let mode = std::fs::metadata(site.path("state/kerberos.rcache"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0, "what was seen is nobody else's affair");
}

/// Logs in with Cyrus's library over our own session, without a layer.
fn log_in(realm: &Realm, cache: &Path, client: &mut Client) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sasl/tests/peers/cyrus.py");
    let mut peer = realm
        .kdc
        .command("/usr/bin/python3", "python3")
        .env("KRB5CCNAME", cache)
        .arg(script)
        .args(["client", "GSSAPI", "localhost", "", "", "0", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(peer.stdout.take().unwrap()).lines();
    let mut input = peer.stdin.take().unwrap();
    client.say("EHLO helo").unwrap();
    let mut reply = match lines.next() {
        Some(token) => client.say(&format!("AUTH GSSAPI {}", token.unwrap())).unwrap(),
        // The library has no valid ticket left.
        None => "no token".to_owned(),
    };
    while let Some(challenge) = reply.strip_prefix("334 ") {
        // For both, no octets at all are an empty line.
        writeln!(input, "{}", challenge.trim()).unwrap();
        let Some(answer) = lines.next() else { break };
        reply = client.say(&answer.unwrap()).unwrap();
    }
    let _ = peer.kill();
    let _ = peer.wait();
    reply
}

/// A session ends when the ticket that opened it expires.
#[test]
fn a_session_ends_with_its_ticket() {
    let sink = Sink::start();
    let mut site = relay(sink.port(), "", "");
    let realm = Realm::new("RELAY.TEST", &site.path("smtp.keytab"), "aes256-cts");
    realm.kdc.set_skew(1);
    site.use_kdc(&realm.kdc);
    site.start();
    let cache = realm.kdc.ticket("long", TESTER);
    let mut long = Client::connect(site.submission).unwrap().0;
    let reply = log_in(&realm, &cache, &mut long);
    assert!(reply.starts_with("235"), "{reply}\n{}", site.log());
    // The machine may be so slow that one has expired before the login.
    let (mut short, fetched, lasts) = (2..7)
        .find_map(|round| {
            let lasts = Duration::from_secs(2 << round);
            let lifetime = format!("{}s", lasts.as_secs());
            let login = Login {
                lifetime: &lifetime,
                ..TESTER
            };
            let cache = realm.kdc.ticket(&lifetime, login);
            let fetched = SystemTime::now();
            let mut client = Client::connect(site.submission).unwrap().0;
            let reply = log_in(&realm, &cache, &mut client);
            reply.starts_with("235").then_some((client, fetched, lasts))
        })
        .unwrap();
    let begins = |client: &mut Client| client.say("MAIL FROM:<tester@relay.test>").unwrap();
    // Plus one second of allowed clock skew, and another since times are in whole seconds.
    let end = fetched + lasts + Duration::from_secs(2);
    wait_until("the ticket to end", || SystemTime::now() > end);
    assert_eq!(
        begins(&mut short),
        "421 4.7.0 Login no longer valid, log in again"
    );
    site.wait_for_log(&["login.expired", "tester@relay.test"]);
    assert!(
        begins(&mut long).starts_with("250"),
        "its ticket is good for an hour"
    );
}

/// A client whose clock is eight minutes ahead: the log says what to look at.
#[test]
fn clocks_that_differ() {
    let sink = Sink::start();
    let (site, realm) = started(sink.port(), "", "aes256-cts");
    let cache = realm.kdc.ticket("ahead", TESTER);
    let mut fetch = realm.kdc.command("/usr/bin/kvno", "krb5-user");
    let fetched = fetch
        .arg("-c")
        .arg(&cache)
        .arg("smtp/localhost")
        .output()
        .unwrap();
    assert!(fetched.status.success(), "{}", text(&fetched));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sasl/tests/peers/cyrus.py");
    let mut ahead = realm.kdc.command("/usr/bin/faketime", "faketime");
    let output = ahead
        .env("KRB5CCNAME", &cache)
        .args(["-f", "+8m", "/usr/bin/python3"])
        .arg(script)
        .args([
            "submit",
            "GSSAPI",
            &format!("localhost:{}", site.submission),
            "",
            "",
            "0",
            "0",
        ])
        .args(["tester@relay.test", "someone@outside.example", "ahead"])
        .output()
        .unwrap();
    assert!(text(&output).contains("535"), "{}", text(&output));
    refused_for(&site, "Clock skew too great; the clocks of both hosts");
}

#[test]
fn many_clients_at_once() {
    let sink = Sink::start();
    let (site, realm) = started(sink.port(), "\"auth-conf\"", "aes256-cts");
    let cache = realm.kdc.ticket("tester", TESTER);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (site, kdc, cache) = (&site, &realm.kdc, &cache);
            scope.spawn(move || {
                let output = submit(site, kdc, cache, ("56", "256"), &format!("at once {number}"));
                assert!(output.status.success(), "{}{}", text(&output), site.log());
            });
        }
    });
    for number in 0..8 {
        let _ = sink.wait_for(&format!("Subject: at once {number}"));
    }
}

#[test]
fn whether_an_account_is_needed() {
    let sink = Sink::start();
    let mut site = relay(sink.port(), "", "account = \"optional\"");
    let realm = Realm::new("RELAY.TEST", &site.path("smtp.keytab"), "aes256-cts");
    site.use_kdc(&realm.kdc);
    realm.kdc.add("newcomer", "other-word");
    site.add_user("leaver@relay.test", "other word");
    site.ok(&["user", "disable", "leaver@relay.test"]);
    realm.kdc.add("leaver", "other-word");
    site.start();
    for (name, good) in [("newcomer", true), ("leaver", false)] {
        let login = Login {
            name,
            password: "other-word",
            lifetime: "1h",
        };
        let cache = realm.kdc.ticket(name, login);
        let output = submit(&site, &realm.kdc, &cache, ("0", "0"), name);
        assert_eq!(output.status.success(), good, "{name}: {}", text(&output));
    }
}

#[test]
fn without_the_library() {
    // Valid for the loader.
    let output = Command::new("ldd").arg(binary()).output().unwrap();
    let needed = text(&output);
    assert!(needed.contains("libc.so"), "{needed}");
    for library in ["gssapi", "krb5", "libpam"] {
        assert!(!needed.contains(library), "{needed}");
    }
    // With GSSAPI on, the check says what is missing.
    let sink = Sink::start();
    let site = relay(sink.port(), "", "library = \"libnowhere.so.9\"");
    std::fs::write(site.path("smtp.keytab"), b"").unwrap();
    std::fs::set_permissions(site.path("smtp.keytab"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = site.run(&["check"]);
    let said = text(&output);
    assert!(!output.status.success(), "{said}");
    for part in [
        "libnowhere.so.9",
        "libgssapi-krb5-2",
        "is open to others (mode 644)",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    // With it off, it is not needed.
    let extra = "[kerberos]\nlibrary = \"libnowhere.so.9\"\n";
    let mut site = Site::relay(sink.port(), extra);
    site.start();
    let _ = site.tester();
}

/// Postern logs in at a smarthost, which is another Postern, with a keytab and with tickets of another program.
#[test]
fn as_client_of_a_smarthost() {
    let sink = Sink::start();
    let (smarthost, realm) = started(sink.port(), "\"auth-conf\"", "aes256-cts");
    let tickets = realm.kdc.ticket("tickets", TESTER);
    for (shows, source) in [
        ("keytab", "keytab = \"tester.keytab\"".to_owned()),
        ("tickets", format!("tickets = {tickets:?}")),
    ] {
        let route = format!(
            "[[login]]\nname = \"next\"\nlogin = \"tester\"\n{source}\nlayers = [\"auth-conf\"]\n\
             [[route]]\ndomains = [\"*\"]\nvia = [\"localhost:{}\"]\ntls = \"none\"\nlogin = \"next\"\n\
             login_to_unverified_host = \"prove-to-anyone\"\n",
            smarthost.submission
        );
        let mut site = Site::relay(sink.port(), &route);
        site.use_kdc(&realm.kdc);
        if shows == "keytab" {
            realm.kdc.keytab(&site.path("tester.keytab"), &["tester"]);
        }
        site.start();
        let mut client = site.tester();
        let subject = format!("by {shows}");
        client
            .mail(
                "tester@relay.test",
                &["someone@outside.example"],
                &format!("Subject: {subject}\r\n\r\nhello\r\n"),
            )
            .unwrap();
        let taken = sink.wait_for(&format!("Subject: {subject}"));
        assert!(
            taken.content.contains("(authenticated bits=256)"),
            "{}",
            taken.content
        );
        wait_until("the login in the log", || {
            let log = site.log();
            log.lines()
                .any(|line| line.contains("logged in") && line.contains("GSSAPI"))
        });
    }
}

/// No ticket: the mail waits, and the log says why.
#[test]
fn as_client_without_a_ticket() {
    let sink = Sink::start();
    let (smarthost, realm) = started(sink.port(), "", "aes256-cts");
    let route = format!(
        "[[login]]\nname = \"next\"\nlogin = \"tester\"\ntickets = \"not-there\"\n\
         [[route]]\ndomains = [\"*\"]\nvia = [\"localhost:{}\"]\ntls = \"none\"\nlogin = \"next\"\n\
         login_to_unverified_host = \"prove-to-anyone\"\n",
        smarthost.submission
    );
    let mut site = Site::relay(sink.port(), &route);
    site.use_kdc(&realm.kdc);
    site.start();
    let mut client = site.tester();
    client
        .mail(
            "tester@relay.test",
            &["someone@outside.example"],
            "Subject: waits\r\n\r\nhello\r\n",
        )
        .unwrap();
    wait_until("the refusal in the log", || site.log().contains("its mail waits"));
    let log = site.log();
    let reason = log
        .lines()
        .find(|line| line.contains("its mail waits"))
        .unwrap_or_default();
    assert!(
        reason.contains("No credentials cache found") && reason.contains("not-there"),
        "{reason}"
    );
    assert!(!site.queue_is_empty());
    assert_eq!(sink.total(), 0);
}
