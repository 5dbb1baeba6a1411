//! Links that we add to a chain are valid for dkimpy, which others use to check them.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use postern_mail::Header;
use postern_policy::authenticity::ArcResult;
use postern_seal::judge::arc::{Found, Sealer, seal};
use postern_seal::{Algorithm, BodyHasher, Form, KeyRecord, RsaBits, SigningKey};
use postern_testkit::process::program;

/// Prints the result for the chain of the message that it reads; the first argument is the record of all
/// keys.
const VERIFY: &str = r#"
import sys, dkim
record = sys.argv[1].encode()
print(dkim.arc_verify(sys.stdin.buffer.read(), dnsfunc=lambda name, timeout=5: record)[0].decode())
"#;

const MESSAGE: &str = "From: A <a@site.example>\r\nTo: b@here.example\r\nTo: c@here.example\r\nSubject: one\r\n  two\r\n\
    Date: Tue, 1 Dec 2026 10:00:00 +0000\r\n\r\nHello \t world\r\n\r\n\r\n";

fn verified(message: &str, record: &str) -> String {
    let mut child = Command::new(program("/usr/bin/python3", "python3"))
        .args(["-c", VERIFY, record])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(message.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "install python3-dkim? {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn dkimpy_takes_our_links() {
    let (key, _) = SigningKey::generate(Algorithm::RsaSha256, RsaBits::default()).unwrap();
    let record = KeyRecord::of(&key).to_string();
    let sealer = Sealer {
        domain: "here.example".to_owned(),
        selector: "own".to_owned(),
        key: Arc::new(key),
    };
    let mut message = MESSAGE.to_owned();
    for links in 0..3 {
        let (header, body) = Header::split(message.as_bytes());
        let mut hasher = BodyHasher::new(Form::Relaxed, None);
        hasher.feed(&message.as_bytes()[body..]);
        let found = Found {
            chain: if links == 0 {
                ArcResult::None
            } else {
                ArcResult::Pass
            },
            links,
            results: "mx.here.example;\n\tspf=pass smtp.mailfrom=a@site.example;\n\tarc=pass",
            body: &hasher.finish(),
            now: 1_764_600_000,
        };
        let fields = seal(&Header::parse(header.to_vec()), &found, &sealer).unwrap();
        let fields: String = fields
            .iter()
            .map(|field| String::from_utf8_lossy(field.raw()).into_owned())
            .collect();
        message = format!("{fields}{message}");
        assert_eq!(verified(&message, &record), "pass", "{message}");
    }
    assert_eq!(verified(&message.replace("world", "World"), &record), "fail");
}
