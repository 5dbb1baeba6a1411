//! Every mechanism with the clients that people use, right and wrong password, TLS 1.2 and 1.3.
//!
//! The results are in `docs/interop.md`. With `POSTERN_UPDATE=1` the test writes that file, otherwise it compares.
//!
//! A mechanism is a row of [`MECHANISMS`], a client is a file in `clients`. What a mechanism needs on the relay goes into
//! [`bench`]; its right and wrong secrets come from [`Bench::secret`].

mod clients;
mod upgrade;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use postern_testkit::kdc::{self, Kdc};
use postern_testkit::oauth::{AUDIENCE, OauthProvider};
use postern_testkit::sink::Sink;

use crate::harness::Site;
use clients::{PEERS, Peer};

const LOGIN: &str = "tester@relay.test";
const RIGHT: &str = "test word";
const WRONG: &str = "test sword";

/// Mechanisms by rows of the table.
const MECHANISMS: [&str; 15] = [
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
    "GSSAPI",
    "NTLM",
    "EXTERNAL",
    "OAUTHBEARER",
    "XOAUTH2",
];

/// The TLS of a login.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tls {
    V12,
    V13,
}

/// What a client should do.
struct Login<'a> {
    mechanism: &'a str,
    tls: Tls,
    /// Whether it should succeed.
    right: bool,
    /// The password, or what the mechanism uses instead.
    secret: &'a str,
}

/// One login by one client: whether it succeeded, and its output.
struct Try {
    success: bool,
    said: String,
}

/// The relay and the CA that clients trust.
struct Bench {
    site: Site,
    /// The Kerberos server of the tester's realm.
    kdc: Option<Kdc>,
    ca: PathBuf,
    /// The provider whose tokens the relay accepts.
    provider: Option<OauthProvider>,
}

impl Bench {
    /// The secret for a mechanism: the right one, or a wrong one.
    fn secret(&self, mechanism: &str, right: bool) -> String {
        match (&self.provider, mechanism) {
            (Some(provider), "OAUTHBEARER" | "XOAUTH2") if right => provider.token(serde_json::json!({})),
            (Some(provider), "OAUTHBEARER" | "XOAUTH2") => provider.forged(None, serde_json::json!({})),
            _ => if right { RIGHT } else { WRONG }.to_owned(),
        }
    }

    /// The tickets for GSSAPI: the right one is the tester's, the wrong one belongs to a principal without an account.
    fn tickets(&self, login: &Login<'_>) -> Vec<(&'static str, PathBuf)> {
        let Some(kdc) = self.kdc.as_ref().filter(|_| login.mechanism == "GSSAPI") else {
            return Vec::new();
        };
        let name = if login.right { "tester" } else { "stranger" };
        let login = kdc::Login {
            name,
            password: "ticket-word",
            lifetime: "1h",
        };
        vec![
            ("KRB5_CONFIG", kdc.config()),
            ("KRB5CCNAME", kdc.ticket(name, login)),
        ]
    }

    /// The certificate for EXTERNAL: the right one is the tester's, the wrong one belongs to no user.
    fn identity(&self, login: &Login<'_>) -> (PathBuf, PathBuf) {
        let stem = if login.right { "tester" } else { "stranger" };
        (
            self.site.path(&format!("certs/{stem}.crt")),
            self.site.path(&format!("certs/{stem}.key")),
        )
    }
}

fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input has already ended.
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

fn bench(hop: u16) -> Bench {
    let provider = OauthProvider::start();
    let mechanisms: Vec<String> = MECHANISMS.iter().map(|name| format!("{name:?}")).collect();
    let extra = format!(
        "[auth]\nmechanisms = [{}]\nchannel_binding_in_tls12 = true\nfree_failures = 1000\nfailures_until_lockout = 100000\n\
         network_failures = 1000000\nscram_iterations = 4096\n\
         [[auth.certificate]]\nemail = \"*@relay.test\"\nlogin = \"{{email}}\"\n\
         [kerberos]\nkeytab = \"smtp.keytab\"\ndomain = \"relay.test\"\n\
         [[auth.provider]]\nissuer = \"{}\"\naudience = [\"{AUDIENCE}\"]\nca_file = \"{}\"\n",
        mechanisms.join(", "),
        provider.issuer(),
        provider.ca().display(),
    );
    let mut site = Site::relay_as(hop, "", &extra, "client_ca = \"certs/ca.crt\"\n");
    for (stem, name) in [("tester", LOGIN), ("stranger", "stranger@elsewhere.test")] {
        site.ok(&["cert", "issue", "--dir", "certs", "--client", "--out", stem, name]);
    }
    let kdc = Kdc::start("RELAY.TEST");
    for name in ["tester", "stranger"] {
        kdc.add(name, "ticket-word");
    }
    kdc.keytab(&site.path("smtp.keytab"), &["smtp/localhost"]);
    site.use_kdc(&kdc);
    site.start();
    Bench {
        kdc: Some(kdc),
        ca: site.path("certs/ca.crt"),
        site,
        provider: Some(provider),
    }
}

/// One login; a client's wrong password must never be accepted.
fn log_in(bench: &Bench, peer: &Peer, mechanism: &str, tls: Tls) -> bool {
    let attempt = |right: bool| {
        let secret = bench.secret(mechanism, right);
        (peer.log_in)(
            bench,
            &Login {
                mechanism,
                tls,
                right,
                secret: &secret,
            },
        )
    };
    let (right, wrong) = (attempt(true), attempt(false));
    assert!(
        !wrong.success,
        "{} {mechanism} {tls:?}: a wrong password was taken: {}",
        peer.name, wrong.said
    );
    if !right.success {
        println!("{} {mechanism} {tls:?}: {}", peer.name, right.said);
    }
    right.success
}

/// `yes`, or why not.
fn cell(bench: &Bench, peer: &Peer, mechanism: &str) -> String {
    if let Some(reason) = peer.lack(mechanism) {
        return reason.to_owned();
    }
    match [Tls::V13, Tls::V12].map(|tls| log_in(bench, peer, mechanism, tls)) {
        [true, true] => "yes".to_owned(),
        [true, false] if mechanism.ends_with("-PLUS") => {
            "yes with TLS 1.3; with 1.2 it binds by `tls-unique`, which rustls does not give".to_owned()
        }
        other => format!("FAILS (TLS 1.3, TLS 1.2: {other:?})"),
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
         Written by `crates/postern/tests/scenarios/mechanisms`, which logs in to a real relay with each client and mechanism,\n\
         with the right and the wrong password, under TLS 1.3 and TLS 1.2. \"yes\" means: taken with the right password and refused\n\
         with the wrong one, under both. For EXTERNAL the passwords are certificates, for GSSAPI tickets, for OAUTHBEARER and\n\
         XOAUTH2 tokens; the messages of those two are written by the caller of smtplib, as its documentation has it. swaks speaks\n\
         the second version of NTLM when its module Authen::NTLM is told to (`ntlmv2(1)`).\n\n",
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
