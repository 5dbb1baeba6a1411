//! Swaks, the postmaster's test tool, with Perl's Authen::SASL.

use std::process::Command;

use postern_testkit::process::program;

use super::{NOT_IN_CLIENT, Peer};
use crate::mechanisms::{Bench, LOGIN, Login, Tls, Try, tried};

pub(super) const PEER: Peer = Peer {
    name: "swaks",
    version: &["swaks", "--version"],
    speaks: &["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "NTLM"],
    lacks: &[("*", NOT_IN_CLIENT)],
    log_in,
};

fn log_in(bench: &Bench, login: &Login<'_>) -> Try {
    let mechanism = login.mechanism;
    let mut command = Command::new(program("/usr/bin/swaks", "swaks"));
    command
        .args(["--server", "localhost", "--port"])
        .arg(bench.site.submission.to_string())
        .args(["--tls", "--tls-protocol"])
        .arg(match login.tls {
            Tls::V12 => "tlsv1_2",
            Tls::V13 => "tlsv1_3",
        })
        .args(["--auth", mechanism, "--auth-user", LOGIN])
        .args(["--auth-password", login.secret])
        .args(["--from", LOGIN, "--to", "someone@outside.example"])
        .args(["--header", &format!("Subject: swaks {mechanism}")]);
    if mechanism == "DIGEST-MD5" {
        command.args(["--auth-extra", "dmd5-serv-type=smtp,dmd5-host=localhost"]);
    }
    if mechanism == "NTLM" {
        // Authen::NTLM uses version 1 unless told otherwise, for which swaks has no option.
        let module = "package SecondNtlm; use Authen::NTLM (); Authen::NTLM::ntlmv2(1); 1;\n";
        let _ = program("/usr/share/perl5/Authen/NTLM.pm", "libauthen-ntlm-perl");
        std::fs::write(bench.site.path("SecondNtlm.pm"), module).unwrap();
        command.env(
            "PERL5OPT",
            format!("-I{} -MSecondNtlm", bench.site.path(".").display()),
        );
    }
    tried(&mut command, "")
}
