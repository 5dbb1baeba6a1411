//! Python's smtplib.

use std::process::Command;

use super::{NOT_IN_CLIENT, Peer};
use crate::mechanisms::{Bench, LOGIN, Login, Tls, Try, tried};

pub(super) const PEER: Peer = Peer {
    name: "smtplib",
    version: &["python3", "--version"],
    speaks: &["PLAIN", "LOGIN", "CRAM-MD5", "OAUTHBEARER", "XOAUTH2"],
    lacks: &[("*", NOT_IN_CLIENT)],
    log_in,
};

const SCRIPT: &str = r#"
import smtplib, ssl, sys
port, ca, version, mechanism, login, password = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
def bearer(challenge=None):
    if challenge is not None:
        return "\x01" if mechanism == "OAUTHBEARER" else ""
    start = "n,a=" + login + "," if mechanism == "OAUTHBEARER" else "user=" + login
    return start + "\x01auth=Bearer " + password + "\x01\x01"
with smtplib.SMTP("localhost", int(port)) as server:
    server.starttls(context=context)
    server.ehlo()
    server.user, server.password = login, password
    own = bearer if mechanism in ("OAUTHBEARER", "XOAUTH2") else None
    server.auth(mechanism, own or getattr(server, "auth_" + mechanism.lower().replace("-", "_")))
    server.sendmail(login, ["someone@outside.example"], "Subject: smtplib " + mechanism + "\n\nhello\n")
"#;

fn log_in(bench: &Bench, login: &Login<'_>) -> Try {
    let mut command = Command::new("python3");
    command
        .args(["-c", SCRIPT, &bench.site.submission.to_string()])
        .arg(&bench.ca)
        .arg(match login.tls {
            Tls::V12 => "TLSv1_2",
            Tls::V13 => "TLSv1_3",
        })
        .args([login.mechanism, LOGIN, login.secret]);
    tried(&mut command, "")
}
