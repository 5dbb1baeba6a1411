//! mutt, with GNU SASL's library.

use std::fmt::Write as _;
use std::process::Command;

use postern_testkit::process::program;

use super::{FIRST_NTLM, NOT_IN_CLIENT, Peer};
use crate::harness::private;
use crate::mechanisms::{Bench, LOGIN, Login, Tls, Try, tried};

pub(super) const PEER: Peer = Peer {
    name: "mutt",
    version: &["mutt", "-v"],
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

fn log_in(bench: &Bench, login: &Login<'_>) -> Try {
    let mechanism = login.mechanism;
    let mut text = format!(
        "set smtp_url=\"smtp://{}@localhost:{}/\"\nset smtp_authenticators=\"{}\"\n\
         set ssl_starttls=yes\nset ssl_force_tls=yes\nset ssl_usesystemcerts=no\nset ssl_ca_certificates_file=\"{}\"\n\
         set ssl_ciphers=\"NORMAL:-VERS-ALL:+VERS-TLS{}\"\n\
         set from={LOGIN}\nset envelope_from=yes\nset use_envelope_from=yes\nset copy=no\n",
        LOGIN.replace('@', "%40"),
        bench.site.submission,
        mechanism.to_ascii_lowercase(),
        bench.ca.display(),
        match login.tls {
            Tls::V12 => "1.2",
            Tls::V13 => "1.3",
        }
    );
    match mechanism {
        "EXTERNAL" => {
            let (certificate, key) = bench.identity(login);
            let both = [certificate, key].map(|path| std::fs::read_to_string(path).unwrap());
            let path = bench.site.path("mutt.pem");
            private(&path, &both.concat());
            let _ = writeln!(text, "set ssl_client_cert=\"{}\"", path.display());
        }
        "OAUTHBEARER" | "XOAUTH2" => {
            let _ = writeln!(text, "set smtp_oauth_refresh_command=\"echo {}\"", login.secret);
        }
        _ => {
            let _ = writeln!(text, "set smtp_pass=\"{}\"", login.secret);
        }
    }
    let path = bench.site.path("muttrc");
    private(&path, &text);
    let mut command = Command::new(program("/usr/bin/mutt", "mutt"));
    command
        .args(["-n", "-F"])
        .arg(&path)
        .args(["-s", &format!("mutt {mechanism}"), "someone@outside.example"])
        .envs(bench.tickets(login))
        .env("HOME", bench.site.path("."))
        .env("TERM", "dumb");
    tried(&mut command, "hello\n")
}
