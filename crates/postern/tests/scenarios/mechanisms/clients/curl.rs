//! curl, as scripts send mail with it.

use std::process::Command;

use postern_testkit::process::program;

use super::Peer;
use crate::mechanisms::{Bench, LOGIN, Login, Tls, Try, tried};

pub(super) const PEER: Peer = Peer {
    name: "curl",
    version: &["curl", "--version"],
    speaks: &[
        "PLAIN",
        "LOGIN",
        "CRAM-MD5",
        "DIGEST-MD5",
        "GSSAPI",
        "NTLM",
        "EXTERNAL",
        "OAUTHBEARER",
        "XOAUTH2",
    ],
    lacks: &[("*", "not in Debian's build")],
    log_in,
};

fn log_in(bench: &Bench, login: &Login<'_>) -> Try {
    let mechanism = login.mechanism;
    let mut command = Command::new(program("/usr/bin/curl", "curl"));
    command
        .args(["--silent", "--show-error", "--ssl-reqd", "--cacert"])
        .arg(&bench.ca)
        .args(match login.tls {
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
        let (certificate, key) = bench.identity(login);
        command.arg("--cert").arg(certificate).arg("--key").arg(key);
        command.args(["--user", &format!("{LOGIN}:")]);
    } else if matches!(mechanism, "OAUTHBEARER" | "XOAUTH2") {
        command.args(["--user", &format!("{LOGIN}:"), "--oauth2-bearer", login.secret]);
    } else {
        command.args(["--user", &format!("{LOGIN}:{}", login.secret)]);
    }
    command.envs(bench.tickets(login));
    tried(
        &mut command,
        &format!("Subject: curl {mechanism}\r\n\r\nhello\r\n"),
    )
}
