//! Cyrus SASL's library makes the messages; a plain client carries them.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use postern_testkit::smtp::{Client, TlsOptions};

use super::Peer;
use crate::mechanisms::{Bench, LOGIN, Login, Tls, Try};

pub(super) const PEER: Peer = Peer {
    name: "Cyrus",
    version: &["/usr/sbin/saslauthd", "-v"],
    speaks: &[
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
    ],
    lacks: &[
        ("OAUTHBEARER", "not in Debian's build"),
        ("XOAUTH2", "not in Debian's build"),
        (
            "NTLM",
            "speaks the first version; with `ntlm_v2` on it sends LMv2 alone",
        ),
        ("EXTERNAL", "takes the certificate's name from a TLS of its own"),
    ],
    log_in,
};

fn log_in(bench: &Bench, login: &Login<'_>) -> Try {
    let mechanism = login.mechanism;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sasl/tests/peers/cyrus.py");
    let mut carrier = carrier(bench, login.tls);
    let binding = carrier.tls_exporter().unwrap();
    let mut command = Command::new("python3");
    command.arg(script).envs(bench.tickets(login)).args([
        "client",
        mechanism,
        "localhost",
        LOGIN,
        login.secret,
        "0",
        "0",
    ]);
    if mechanism.ends_with("-PLUS") {
        let binding = binding.iter().fold(String::new(), |mut hexadecimal, octet| {
            let _ = write!(hexadecimal, "{octet:02x}");
            hexadecimal
        });
        command.args(["tls-exporter", &binding]);
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to_library = child.stdin.take().unwrap();
    let mut from_library = BufReader::new(child.stdout.take().unwrap()).lines();
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
