//! Every mechanism with the clients that people have, right and wrong password, TLS 1.2 and 1.3.
//!
//! What came out is `docs/interop.md`. With `POSTERN_UPDATE=1` the test writes it, without it compares.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use postern_testkit::process::program;
use postern_testkit::sink::Sink;
use postern_testkit::smtp::{Client, TlsOptions};

use crate::harness::{Site, private};

const LOGIN: &str = "tester@relay.test";
const RIGHT: &str = "test word";
const WRONG: &str = "test sword";

/// Mechanisms by rows of the table.
const MECHANISMS: [&str; 12] = [
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
    "DIGEST-MD5",
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-512",
    "SCRAM-SHA-512-PLUS",
    "NTLM",
    "EXTERNAL",
];

/// Which TLS a run has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tls {
    V12,
    V13,
}

/// One login by one client: whether it succeeded, and what it said.
struct Try {
    success: bool,
    said: String,
}

/// What a client can be had to do.
#[derive(Clone, Copy, Debug)]
struct Peer {
    name: &'static str,
    /// Its program and version, for the page.
    version: &'static [&'static str],
    run: fn(&Bench, &str, Tls, &str) -> Try,
    /// What a mechanism does not work for, and why; `*` stands for all others.
    lacks: &'static [(&'static str, &'static str)],
}

const PEERS: [Peer; 6] = [
    Peer {
        name: "gsasl",
        version: &["gsasl", "--version"],
        run: gsasl,
        lacks: &[
            ("NTLM", "speaks the first version alone, which is as good as none"),
            ("*", "not in the client"),
        ],
    },
    Peer {
        name: "swaks",
        version: &["swaks", "--version"],
        run: swaks,
        lacks: &[
            ("NTLM", "needs Authen::NTLM, which Debian does not have"),
            ("*", "not in the client"),
        ],
    },
    Peer {
        name: "curl",
        version: &["curl", "--version"],
        run: curl,
        lacks: &[("*", "not in Debian's build")],
    },
    Peer {
        name: "msmtp",
        version: &["msmtp", "--version"],
        run: msmtp,
        lacks: &[
            ("NTLM", "speaks the first version alone, which is as good as none"),
            ("*", "not in the client"),
        ],
    },
    Peer {
        name: "smtplib",
        version: &["python3", "--version"],
        run: smtplib,
        lacks: &[("*", "not in the client")],
    },
    Peer {
        name: "Cyrus",
        version: &["/usr/sbin/saslauthd", "-v"],
        run: cyrus,
        lacks: &[
            (
                "NTLM",
                "speaks the first version; with `ntlm_v2` on it sends LMv2 alone",
            ),
            ("EXTERNAL", "takes the certificate's name from a TLS of its own"),
            (
                "SCRAM-SHA-1-PLUS",
                "the same code as SCRAM-SHA-1; bound in crates/sasl/tests",
            ),
            (
                "SCRAM-SHA-256-PLUS",
                "the same code as SCRAM-SHA-256; bound in crates/sasl/tests",
            ),
            (
                "SCRAM-SHA-512-PLUS",
                "the same code as SCRAM-SHA-512; bound in crates/sasl/tests",
            ),
        ],
    },
];

/// The cells that are tried, by client.
fn speaks(peer: &str, mechanism: &str) -> bool {
    let list: &[&str] = match peer {
        "gsasl" => &[
            "PLAIN",
            "LOGIN",
            "CRAM-MD5",
            "DIGEST-MD5",
            "SCRAM-SHA-1",
            "SCRAM-SHA-1-PLUS",
            "SCRAM-SHA-256",
            "SCRAM-SHA-256-PLUS",
            "EXTERNAL",
        ],
        "swaks" => &["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5"],
        "curl" => &["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "NTLM", "EXTERNAL"],
        "msmtp" => &[
            "PLAIN",
            "LOGIN",
            "CRAM-MD5",
            "DIGEST-MD5",
            "SCRAM-SHA-1",
            "SCRAM-SHA-256",
            "EXTERNAL",
        ],
        "smtplib" => &["PLAIN", "LOGIN", "CRAM-MD5"],
        "Cyrus" => &[
            "PLAIN",
            "LOGIN",
            "CRAM-MD5",
            "DIGEST-MD5",
            "SCRAM-SHA-1",
            "SCRAM-SHA-256",
            "SCRAM-SHA-512",
        ],
        _ => &[],
    };
    list.contains(&mechanism)
}

/// The relay and the CA that clients trust.
struct Bench {
    site: Site,
    ca: PathBuf,
}

fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who does not read its input has ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn tried(command: &mut Command, input: &str) -> Try {
    let output = run(command, input);
    Try {
        success: output.status.success(),
        said: format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

impl Bench {
    /// The certificate that EXTERNAL goes by: the right one is the tester's, the wrong one nobody's.
    fn identity(&self, password: &str) -> (PathBuf, PathBuf) {
        let stem = if password == RIGHT { "tester" } else { "stranger" };
        (
            self.site.path(&format!("certs/{stem}.crt")),
            self.site.path(&format!("certs/{stem}.key")),
        )
    }
}

fn gsasl(bench: &Bench, mechanism: &str, tls: Tls, password: &str) -> Try {
    let mut command = Command::new(program("/usr/bin/gsasl", "gsasl"));
    command
        .args([
            "--smtp",
            "--connect",
            &format!("localhost:{}", bench.site.submission),
        ])
        .arg(format!("--x509-ca-file={}", bench.ca.display()))
        .args(["--mechanism", mechanism, "--authentication-id", LOGIN])
        .args(["--authorization-id", "", "--password", password])
        .args([
            "--service",
            "smtp",
            "--hostname",
            "localhost",
            "--realm",
            "mx.relay.test",
        ])
        .arg("--quality-of-protection=qop-auth");
    command.arg(match tls {
        Tls::V12 => "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.2",
        Tls::V13 => "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.3",
    });
    if !mechanism.ends_with("-PLUS") {
        command.arg("--no-cb");
    }
    if mechanism == "EXTERNAL" {
        let (certificate, key) = bench.identity(password);
        command
            .arg(format!("--x509-cert-file={}", certificate.display()))
            .arg(format!("--x509-key-file={}", key.display()));
    }
    tried(&mut command, "")
}

fn swaks(bench: &Bench, mechanism: &str, tls: Tls, password: &str) -> Try {
    let mut command = Command::new(program("/usr/bin/swaks", "swaks"));
    command
        .args([
            "--server",
            "localhost",
            "--port",
            &bench.site.submission.to_string(),
        ])
        .args(["--tls", "--tls-protocol"])
        .arg(match tls {
            Tls::V12 => "tlsv1_2",
            Tls::V13 => "tlsv1_3",
        })
        .args([
            "--auth",
            mechanism,
            "--auth-user",
            LOGIN,
            "--auth-password",
            password,
        ])
        .args(["--from", LOGIN, "--to", "someone@outside.example"])
        .args(["--header", &format!("Subject: swaks {mechanism}")]);
    if mechanism == "DIGEST-MD5" {
        command.args(["--auth-extra", "dmd5-serv-type=smtp,dmd5-host=localhost"]);
    }
    tried(&mut command, "")
}

fn curl(bench: &Bench, mechanism: &str, tls: Tls, password: &str) -> Try {
    let mut command = Command::new(program("/usr/bin/curl", "curl"));
    command
        .args(["--silent", "--show-error", "--ssl-reqd", "--cacert"])
        .arg(&bench.ca)
        .args(match tls {
            Tls::V12 => ["--tlsv1.2", "--tls-max", "1.2"],
            Tls::V13 => ["--tlsv1.3", "--tls-max", "1.3"],
        })
        .args(["--login-options", &format!("AUTH={mechanism}")])
        .args([
            "--url",
            &format!("smtp://localhost:{}/helo", bench.site.submission),
        ])
        .args(["--mail-from", LOGIN, "--mail-rcpt", "someone@outside.example"])
        .args(["--upload-file", "-"]);
    if mechanism == "EXTERNAL" {
        let (certificate, key) = bench.identity(password);
        command.arg("--cert").arg(certificate).arg("--key").arg(key);
        command.args(["--user", &format!("{LOGIN}:")]);
    } else {
        command.args(["--user", &format!("{LOGIN}:{password}")]);
    }
    tried(
        &mut command,
        &format!("Subject: curl {mechanism}\r\n\r\nhello\r\n"),
    )
}

fn msmtp(bench: &Bench, mechanism: &str, tls: Tls, password: &str) -> Try {
    let mut text = format!(
        "account default\nhost localhost\nport {}\ntls on\ntls_trust_file {}\nauth {}\nuser {LOGIN}\nfrom {LOGIN}\n\
         tls_priorities NORMAL:-VERS-ALL:+VERS-TLS{}\n",
        bench.site.submission,
        bench.ca.display(),
        mechanism.to_ascii_lowercase(),
        match tls {
            Tls::V12 => "1.2",
            Tls::V13 => "1.3",
        }
    );
    if mechanism == "EXTERNAL" {
        let (certificate, key) = bench.identity(password);
        let _ = writeln!(
            text,
            "tls_cert_file {}\ntls_key_file {}",
            certificate.display(),
            key.display()
        );
    } else {
        let _ = writeln!(text, "password \"{password}\"");
    }
    let path = bench.site.path("msmtprc");
    private(&path, &text);
    let mut command = Command::new(program("/usr/bin/msmtp", "msmtp"));
    command.arg("--file").arg(&path).arg("someone@outside.example");
    tried(&mut command, &format!("Subject: msmtp {mechanism}\n\nhello\n"))
}

fn smtplib(bench: &Bench, mechanism: &str, tls: Tls, password: &str) -> Try {
    let script = r#"
import smtplib, ssl, sys
port, ca, version, mechanism, login, password = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
with smtplib.SMTP("localhost", int(port)) as server:
    server.starttls(context=context)
    server.ehlo()
    server.user, server.password = login, password
    server.auth(mechanism, getattr(server, "auth_" + mechanism.lower().replace("-", "_")))
    server.sendmail(login, ["someone@outside.example"], "Subject: smtplib " + mechanism + "\n\nhello\n")
"#;
    let mut command = Command::new("python3");
    command
        .args(["-c", script, &bench.site.submission.to_string()])
        .arg(&bench.ca)
        .arg(match tls {
            Tls::V12 => "TLSv1_2",
            Tls::V13 => "TLSv1_3",
        })
        .args([mechanism, LOGIN, password]);
    tried(&mut command, "")
}

/// Cyrus SASL's library makes the messages; a plain client carries them.
fn cyrus(bench: &Bench, mechanism: &str, tls: Tls, password: &str) -> Try {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sasl/tests/peers/cyrus.py");
    let mut child = Command::new("python3")
        .arg(script)
        .args(["client", mechanism, "localhost", LOGIN, password, "0", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to_library = child.stdin.take().unwrap();
    let mut from_library = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut carrier = carrier(bench, tls);
    let mut line = format!("AUTH {mechanism}");
    match from_library.next() {
        Some(Ok(first)) if first != "-" => {
            line.push(' ');
            line.push_str(if first.is_empty() { "=" } else { &first });
        }
        Some(Ok(_)) => {}
        _ => {
            let output = child.wait_with_output().unwrap();
            return Try {
                success: false,
                said: String::from_utf8_lossy(&output.stderr).into_owned(),
            };
        }
    }
    let mut reply = carrier.say(&line).unwrap();
    while let Some(challenge) = reply.strip_prefix("334 ").map(str::to_owned) {
        writeln!(to_library, "{challenge}").unwrap();
        let Some(Ok(response)) = from_library.next() else {
            break;
        };
        reply = carrier.say(response.trim_matches('-')).unwrap();
    }
    let _ = writeln!(to_library, "OK");
    drop(to_library);
    let output = child.wait_with_output().unwrap();
    Try {
        success: reply.starts_with("235") && output.status.success(),
        said: format!("{reply} {}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn carrier(bench: &Bench, tls: Tls) -> Client {
    if tls == Tls::V13 {
        return bench.site.tls_client(bench.site.submission);
    }
    let mut client = Client::connect(bench.site.submission).unwrap().0;
    client.say("EHLO helo").unwrap();
    let options = TlsOptions {
        name: "localhost",
        ca: &bench.ca,
        identity: None,
    };
    let mut client = client.starttls_at_most_12(options).unwrap();
    client.say("EHLO helo").unwrap();
    client
}

fn bench(hop: u16) -> Bench {
    let mechanisms: Vec<String> = MECHANISMS.iter().map(|name| format!("{name:?}")).collect();
    let extra = format!(
        "[auth]\nmechanisms = [{}]\nchannel_binding_in_tls12 = true\nfree_failures = 1000\nfailures_until_bar = 100000\n\
         network_failures = 1000000\nscram_iterations = 4096\n\
         [[auth.certificate]]\nemail = \"*@relay.test\"\nlogin = \"{{email}}\"\n",
        mechanisms.join(", ")
    );
    let mut site = Site::relay_as(hop, "", &extra, "client_ca = \"certs/ca.crt\"\n");
    for (stem, name) in [("tester", LOGIN), ("stranger", "stranger@elsewhere.test")] {
        site.ok(&["cert", "issue", "--dir", "certs", "--client", "--out", stem, name]);
    }
    site.start();
    Bench {
        ca: site.path("certs/ca.crt"),
        site,
    }
}

/// `yes`, or why not.
fn cell(bench: &Bench, peer: &Peer, mechanism: &str) -> String {
    if !speaks(peer.name, mechanism) {
        let reason = peer
            .lacks
            .iter()
            .find(|(name, _)| *name == mechanism || *name == "*")
            .map_or("not in the client", |(_, reason)| *reason);
        return reason.to_owned();
    }
    let mut versions = Vec::new();
    for tls in [Tls::V13, Tls::V12] {
        let right = (peer.run)(bench, mechanism, tls, RIGHT);
        let wrong = (peer.run)(bench, mechanism, tls, WRONG);
        assert!(
            !wrong.success,
            "{} {mechanism} {tls:?}: a wrong password was taken: {}",
            peer.name, wrong.said
        );
        if right.success {
            versions.push(match tls {
                Tls::V12 => "1.2",
                Tls::V13 => "1.3",
            });
        } else {
            println!("{} {mechanism} {tls:?}: {}", peer.name, right.said);
        }
    }
    match versions.as_slice() {
        ["1.3", "1.2"] => "yes".to_owned(),
        ["1.3"] if mechanism.ends_with("-PLUS") => {
            "yes with TLS 1.3; with 1.2 it binds by `tls-unique`, which rustls does not give".to_owned()
        }
        other => format!("FAILS (works with TLS {other:?})"),
    }
}

fn version_of(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let words = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.') && word.len() < 20);
    words.unwrap_or_default().trim_end_matches(',').to_owned()
}

#[test]
fn every_client_with_every_mechanism() {
    let sink = Sink::start();
    let bench = bench(sink.port());
    let mut page = String::from(
        "# Clients and mechanisms\n\n\
         Written by `crates/postern/tests/scenarios/mechanisms.rs`, which logs in to a real relay with each client and mechanism,\n\
         with the right and the wrong password, under TLS 1.3 and TLS 1.2. \"yes\" means: taken with the right password and refused\n\
         with the wrong one, under both. For EXTERNAL the passwords are certificates.\n\n",
    );
    let heads: Vec<String> = PEERS
        .iter()
        .map(|peer| format!("{} {}", peer.name, version_of(peer.version)))
        .collect();
    let _ = writeln!(page, "| | {} |", heads.join(" | "));
    let _ = writeln!(page, "| --- |{}", " --- |".repeat(PEERS.len()));
    for mechanism in MECHANISMS {
        let cells: Vec<String> = PEERS.iter().map(|peer| cell(&bench, peer, mechanism)).collect();
        let _ = writeln!(page, "| {mechanism} | {} |", cells.join(" | "));
    }
    let _ = sink.wait_for("Subject: msmtp SCRAM-SHA-256");
    let report = bench.site.ok(&["auth", "report"]);
    for mechanism in ["PLAIN", "SCRAM-SHA-256-PLUS", "NTLM", "EXTERNAL"] {
        assert!(
            report
                .lines()
                .any(|line| line.starts_with(mechanism) && line.contains(LOGIN)),
            "{report}"
        );
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/interop.md");
    if std::env::var_os("POSTERN_UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert!(!page.contains("FAILS"), "{page}");
    // Versions differ from one system to the next; what works must not.
    let rows = |text: &str| {
        text.lines()
            .filter(|line| !line.contains("| gsasl"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        rows(&std::fs::read_to_string(&path).unwrap_or_default()),
        rows(&page),
        "POSTERN_UPDATE=1 writes docs/interop.md"
    );
}

/// From PLAIN to SCRAM without a new password: the first login by PLAIN brings the keys.
#[test]
fn a_site_moves_to_scram_without_new_passwords() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    let moved = std::fs::read_to_string(site.path("postern.toml")).unwrap()
        + "\n[auth]\nmechanisms = [\"SCRAM-SHA-256\", \"PLAIN\"]\n[[auth.mechanism]]\nname = \"PLAIN\"\ntls = \"required\"\n";
    std::fs::write(site.path("postern.toml"), moved).unwrap();
    site.start();
    let works = |site: &Site| site.ok(&["user", "list", "--json"]).contains("SCRAM-SHA-256");
    assert!(!works(&site));
    assert!(
        site.ok(&["user", "show", LOGIN])
            .contains("SCRAM-SHA-256: has no key yet")
    );
    let bench = Bench {
        ca: site.path("certs/ca.crt"),
        site,
    };
    assert!(!msmtp(&bench, "SCRAM-SHA-256", Tls::V13, RIGHT).success);
    let plain = msmtp(&bench, "PLAIN", Tls::V13, RIGHT);
    assert!(plain.success, "{}", plain.said);
    assert!(works(&bench.site));
    assert!(
        bench
            .site
            .ok(&["user", "show", LOGIN])
            .contains("SCRAM-SHA-256: works")
    );
    let scram = msmtp(&bench, "SCRAM-SHA-256", Tls::V13, RIGHT);
    assert!(scram.success, "{}", scram.said);
    assert!(!msmtp(&bench, "SCRAM-SHA-256", Tls::V13, WRONG).success);
    let mut bench = bench;
    assert!(bench.site.take_server().terminate().success());
    let report = bench.site.ok(&["auth", "report", "--json"]);
    assert!(
        report.contains("\"SCRAM-SHA-256\""),
        "kept after the end: {report}"
    );
}
