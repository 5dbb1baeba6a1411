//! nodemailer, the library of programs in JavaScript.

use std::process::Command;

use postern_testkit::process::program;

use super::{NOT_IN_CLIENT, Peer};
use crate::mechanisms::{Bench, LOGIN, Login, Tls, Try, tried};

pub(super) const PEER: Peer = Peer {
    name: "nodemailer",
    version: &[
        "node",
        "-p",
        "require('/usr/share/nodejs/nodemailer/package.json').version",
    ],
    speaks: &["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"],
    lacks: &[("*", NOT_IN_CLIENT)],
    log_in,
};

/// With the full path of Debian's library folder: a Node.js from elsewhere does not search there.
const SCRIPT: &str = r#"
const nodemailer = require("/usr/share/nodejs/nodemailer");
const [port, ca, version, mechanism, user, secret] = process.argv.slice(1);
const token = mechanism === "XOAUTH2";
const transport = nodemailer.createTransport({
    host: "localhost",
    port: Number(port),
    requireTLS: true,
    tls: { ca: require("fs").readFileSync(ca), minVersion: version, maxVersion: version },
    authMethod: mechanism,
    auth: token ? { type: "OAuth2", user, accessToken: secret } : { user, pass: secret },
});
const mail = { from: user, to: "someone@outside.example", subject: "nodemailer " + mechanism, text: "hello" };
transport.sendMail(mail).catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
"#;

fn log_in(bench: &Bench, login: &Login<'_>) -> Try {
    // The package is only a library; any available Node.js can run it.
    let _ = program(
        "/usr/share/nodejs/nodemailer/lib/nodemailer.js",
        "node-nodemailer",
    );
    let mut command = Command::new(program("/usr/bin/node", "nodejs"));
    command
        .args(["-e", SCRIPT, &bench.site.submission.to_string()])
        .arg(&bench.ca)
        .arg(match login.tls {
            Tls::V12 => "TLSv1.2",
            Tls::V13 => "TLSv1.3",
        })
        .args([login.mechanism, LOGIN, login.secret]);
    tried(&mut command, "")
}
