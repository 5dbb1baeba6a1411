//! GNU SASL's own program.

use std::process::Command;

use postern_testkit::process::program;

use super::{FIRST_NTLM, NOT_IN_CLIENT, Peer};
use crate::mechanisms::{Bench, LOGIN, Login, Tls, Try, tried};

pub(super) const PEER: Peer = Peer {
    name: "gsasl",
    version: &["gsasl", "--version"],
    speaks: &[
        "PLAIN",
        "LOGIN",
        "CRAM-MD5",
        "DIGEST-MD5",
        "SCRAM-SHA-1",
        "SCRAM-SHA-1-PLUS",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256-PLUS",
        "GSSAPI",
        "EXTERNAL",
    ],
    lacks: &[("NTLM", FIRST_NTLM), ("*", NOT_IN_CLIENT)],
    log_in,
};

fn log_in(bench: &Bench, login: &Login<'_>) -> Try {
    let mut command = Command::new(program("/usr/bin/gsasl", "gsasl"));
    command
        .args([
            "--smtp",
            "--connect",
            &format!("localhost:{}", bench.site.submission),
        ])
        .arg(format!("--x509-ca-file={}", bench.ca.display()))
        .args(["--mechanism", login.mechanism, "--authentication-id", LOGIN])
        .args(["--authorization-id", "", "--password", login.secret])
        .args(["--service", "smtp", "--hostname", "localhost"])
        .args(["--realm", "mx.relay.test"])
        .arg("--quality-of-protection=qop-auth");
    command.arg(match login.tls {
        Tls::V12 => "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.2",
        Tls::V13 => "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.3",
    });
    if !login.mechanism.ends_with("-PLUS") {
        command.arg("--no-cb");
    }
    if login.mechanism == "EXTERNAL" {
        let (certificate, key) = bench.identity(login);
        command
            .arg(format!("--x509-cert-file={}", certificate.display()))
            .arg(format!("--x509-key-file={}", key.display()));
    }
    command.envs(bench.tickets(login));
    tried(&mut command, "")
}
