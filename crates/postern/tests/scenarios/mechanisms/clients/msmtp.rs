//! msmtp, the sendmail replacement of single users.

use std::fmt::Write as _;
use std::process::Command;

use postern_testkit::process::program;

use super::{FIRST_NTLM, NOT_IN_CLIENT, Peer};
use crate::harness::private;
use crate::mechanisms::{Bench, LOGIN, Login, Tls, Try, tried};

pub(super) const PEER: Peer = Peer {
    name: "msmtp",
    version: &["msmtp", "--version"],
    speaks: &[
        "PLAIN",
        "LOGIN",
        "CRAM-MD5",
        "DIGEST-MD5",
        "SCRAM-SHA-1",
        "SCRAM-SHA-256",
        "GSSAPI",
        "EXTERNAL",
        "OAUTHBEARER",
        "XOAUTH2",
    ],
    lacks: &[("NTLM", FIRST_NTLM), ("*", NOT_IN_CLIENT)],
    log_in,
};

pub(crate) fn log_in(bench: &Bench, login: &Login<'_>) -> Try {
    let mut text = format!(
        "account default\nhost localhost\nport {}\ntls on\ntls_trust_file {}\nauth {}\nuser {LOGIN}\nfrom {LOGIN}\n\
         tls_priorities NORMAL:-VERS-ALL:+VERS-TLS{}\n",
        bench.site.submission,
        bench.ca.display(),
        login.mechanism.to_ascii_lowercase(),
        match login.tls {
            Tls::V12 => "1.2",
            Tls::V13 => "1.3",
        }
    );
    if login.mechanism == "EXTERNAL" {
        let (certificate, key) = bench.identity(login);
        let _ = writeln!(
            text,
            "tls_cert_file {}\ntls_key_file {}",
            certificate.display(),
            key.display()
        );
    } else if matches!(login.mechanism, "OAUTHBEARER" | "XOAUTH2") {
        // Lines of its configuration end at 500 characters, but tokens are longer.
        let path = bench.site.path("msmtp.token");
        private(&path, login.secret);
        let _ = writeln!(text, "passwordeval \"cat {}\"", path.display());
    } else {
        let _ = writeln!(text, "password \"{}\"", login.secret);
    }
    let path = bench.site.path("msmtprc");
    private(&path, &text);
    let mut command = Command::new(program("/usr/bin/msmtp", "msmtp"));
    command.arg("--file").arg(&path).arg("someone@outside.example");
    command.envs(bench.tickets(login));
    tried(
        &mut command,
        &format!("Subject: msmtp {}\n\nhello\n", login.mechanism),
    )
}
