//! The procedure that Postern replaces, step by step, with `acceptance/seed.toml` unchanged and a real slapd.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use postern_testkit::process::FixedPorts;
use postern_testkit::sink::Sink;
use postern_testkit::slapd::{Slapd, SlapdOptions};
use postern_testkit::smtp::{Client, TlsOptions};

use crate::harness::{Site, acceptance};

/// The procedure's `QueueLA` is 8 and its `RefuseLA` 12: on a machine that busy, the relay refuses clients as
/// configured. So the test waits until the load, including its own, is below that.
fn wait_for_calm() {
    let deadline = Instant::now() + Duration::from_secs(600);
    loop {
        let text = std::fs::read_to_string("/proc/loadavg").unwrap();
        let load: f64 = text.split(' ').next().unwrap().parse().unwrap();
        if load < 6.0 {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "the load of this machine stays at {load}"
        );
        sleep(Duration::from_secs(2));
    }
}

fn start() -> (FixedPorts, Slapd, Sink, Site) {
    let ports = FixedPorts::hold();
    wait_for_calm();
    let slapd = Slapd::start_with(&SlapdOptions {
        port: Some(3890),
        ..SlapdOptions::default()
    });
    let sink = Sink::start_on(2626);
    let mut site = Site::new(
        &acceptance("seed.toml"),
        "challenger",
        &["challenger.example", "localhost"],
    );
    site.issue("client", &["laptop.example"]);
    site.start();
    (ports, slapd, sink, site)
}

fn tls(port: u16, ca: &Path, identity: Option<(&Path, &Path)>) -> Client {
    let mut client = Client::connect(port).unwrap().0;
    client.say("ehlo helo").unwrap();
    let mut client = client
        .starttls(TlsOptions {
            name: "localhost",
            ca,
            identity,
        })
        .unwrap();
    client.say("ehlo helo").unwrap();
    client
}

fn expect(client: &mut Client, line: &str, reply: &str) {
    let got = client.say(line).unwrap();
    assert!(got.starts_with(reply), "{line}: expected {reply:?}, got {got:?}");
}

#[test]
fn the_whole_procedure() {
    let (_ports, _slapd, sink, site) = start();
    let ca = site.path("certs/ca.crt");

    // Step 9: the greeting of SMTP_LOGIN_MSG, and the privacy flags of goaway.
    let (mut client, greeting) = Client::connect(site.mx).unwrap();
    assert!(
        greeting.starts_with("220 challenger.example ESMTP Sendmail; "),
        "{greeting}"
    );

    // Step 10: before TLS there is STARTTLS and no AUTH.
    let ehlo = client.say("ehlo helo").unwrap();
    for keyword in [
        "ENHANCEDSTATUSCODES",
        "PIPELINING",
        "8BITMIME",
        "SIZE",
        "DSN",
        "STARTTLS",
        "HELP",
    ] {
        assert!(ehlo.contains(keyword), "{keyword} in {ehlo}");
    }
    assert!(!ehlo.contains("AUTH"), "{ehlo}");
    expect(&mut client, "auth login", "503 5.3.3 AUTH not available");
    for (line, reply) in [
        ("vrfy acaird", "252 2.5.2"),
        ("expn acaird", "502 5.7.0"),
        ("verb", "502 5.7.0"),
        ("bogus", "500 5.5.1"),
        (
            "rcpt to:<a@challenger.example>",
            "503 5.0.0 Need MAIL before RCPT",
        ),
        ("mail from:<stranger@outside.example>", "250 2.1.0"),
        ("mail from:<stranger@outside.example>", "503 5.5.0"),
        ("starttls", "503 5.5.0"),
        // Step 11: a stranger cannot relay, with any spelling.
        ("rcpt to:<someone@outside.example>", "550 5.7.1"),
        (
            "rcpt to:<someone%outside.example@challenger.example>",
            "550 5.7.1",
        ),
        (
            "rcpt to:<@challenger.example:someone@outside.example>",
            "550 5.7.1",
        ),
        (
            "rcpt to:<\"someone@outside.example\"@challenger.example>",
            "550 5.7.1",
        ),
        ("rcpt to:<nobody@challenger.example>", "550 5.1.1"),
        ("rcpt to:<\"acaird@challenger.example>", "553 5.0.0"),
        ("rcpt to:<postmaster>", "250 2.1.5"),
        ("rset", "250 2.0.0"),
        ("quit", "221 2.0.0"),
    ] {
        expect(&mut client, line, reply);
    }

    // After TLS: AUTH LOGIN PLAIN, no STARTTLS; the login typed by hand in Base64, as in step 5.
    let mut client = tls(site.mx, &ca, None);
    let ehlo = client.say("ehlo helo").unwrap();
    assert!(
        ehlo.lines().any(|line| line[4..] == *"AUTH LOGIN PLAIN"),
        "{ehlo}"
    );
    assert!(!ehlo.contains("STARTTLS"), "{ehlo}");
    for (line, reply) in [
        ("auth", "501 5.5.2"),
        ("auth foo", "504 5.3.3"),
        ("auth plain !!!", "501 5.5.4"),
        ("auth login", "334 VXNlcm5hbWU6"),
        ("*", "501 5.0.0"),
        ("auth login", "334 VXNlcm5hbWU6"),
        ("YWNhaXJk", "334 UGFzc3dvcmQ6"),
        ("d3Jvbmc=", "535 5.7.0"),
        ("auth login", "334 VXNlcm5hbWU6"),
        ("YWNhaXJk", "334 UGFzc3dvcmQ6"),
        ("cGFzcyB3b3Jk", "235 2.0.0"),
        ("auth login", "503 5.5.0"),
        ("starttls", "454 4.3.3"),
        ("mail from:<acaird@fccc.example>", "250 2.1.0"),
        ("auth login", "503 5.5.0"),
        ("rcpt to:<someone@outside.example>", "250 2.1.5"),
        ("data", "354"),
    ] {
        expect(&mut client, line, reply);
    }
    let reply = client.say("Subject: by hand\r\n\r\nhello\r\n.").unwrap();
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    let id = reply.split(' ').nth(2).unwrap().to_owned();
    expect(&mut client, "quit", "221 2.0.0");
    let taken = sink.wait_for("Subject: by hand");
    // Step 12: the trace header, in sendmail's form.
    let trace = taken.content.split("\r\n").take(5).collect::<Vec<_>>().join("\n");
    assert!(
        trace.starts_with(
            "Received: from helo (localhost [127.0.0.1])\n\t(authenticated bits=0)\n\tby challenger.example ("
        ),
        "{trace}"
    );
    assert!(
        trace.contains(&format!(
            ") with ESMTPSA id {id}\n\t(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NO)"
        )),
        "{trace}"
    );
    assert_eq!(taken.rcpt, ["<someone@outside.example>"]);

    // PLAIN with an initial response, on the submission listener and inside implicit TLS.
    let plain = BASE64.encode("\0acaird\0pass word");
    let mut client = tls(site.submission, &ca, None);
    expect(&mut client, "mail from:<acaird@fccc.example>", "530 5.7.0");
    expect(&mut client, &format!("auth plain {plain}"), "235 2.0.0");
    let reply = client
        .mail(
            "acaird@fccc.example",
            &["x@outside.example"],
            "Subject: plain\r\n\r\nhello",
        )
        .unwrap();
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    let taken = sink.wait_for("Subject: plain");
    assert!(
        taken.content.contains("\r\nDate: ") && taken.content.contains("\r\nMessage-ID: <"),
        "{}",
        taken.content
    );
    let options = TlsOptions {
        name: "localhost",
        ca: &ca,
        identity: None,
    };
    let (mut client, _) = Client::connect_tls(site.submissions, options).unwrap();
    client.say("ehlo helo").unwrap();
    expect(&mut client, &format!("auth plain {plain}"), "235 2.0.0");

    // A client certificate of the CA is recorded as verify=OK; a stranger's as FAIL, without being refused.
    let (crt, key) = (site.path("certs/client.crt"), site.path("certs/client.key"));
    let mut client = tls(site.mx, &ca, Some((&crt, &key)));
    expect(&mut client, &format!("auth plain {plain}"), "235 2.0.0");
    client
        .mail(
            "acaird@fccc.example",
            &["x@outside.example"],
            "Subject: certified\r\n\r\nhello",
        )
        .unwrap();
    assert!(
        sink.wait_for("Subject: certified")
            .content
            .contains("bits=256 verify=OK)")
    );
    let other = Site::new(&acceptance("seed.toml"), "other", &["laptop.example"]);
    let (crt, key) = (other.path("certs/other.crt"), other.path("certs/other.key"));
    let mut client = tls(site.mx, &ca, Some((&crt, &key)));
    expect(&mut client, &format!("auth plain {plain}"), "235 2.0.0");
    client
        .mail(
            "acaird@fccc.example",
            &["x@outside.example"],
            "Subject: uncertified\r\n\r\nhello",
        )
        .unwrap();
    assert!(
        sink.wait_for("Subject: uncertified")
            .content
            .contains("bits=256 verify=FAIL)")
    );

    // The log has the refusal with its rule, and never a password.
    site.wait_for_log(&["relay.denied"]);
    let log = site.log();
    assert!(
        !log.contains("pass word") && !log.contains("cGFzcyB3b3Jk") && !log.contains(&plain),
        "{log}"
    );
}

#[test]
fn a_directory_that_is_down_is_no_refusal() {
    let (_ports, mut slapd, _sink, site) = start();
    let ca = site.path("certs/ca.crt");
    slapd.stop();
    let mut client = tls(site.mx, &ca, None);
    let plain = BASE64.encode("\0acaird\0pass word");
    expect(&mut client, &format!("auth plain {plain}"), "454 4.7.0");
    expect(&mut client, "mail from:<acaird@fccc.example>", "250 2.1.0");
    expect(&mut client, "rcpt to:<someone@outside.example>", "550 5.7.1");
    // Whether a local user exists cannot be determined now: a temporary failure rather than a bounce.
    let reply = client.say("rcpt to:<acaird@challenger.example>").unwrap();
    assert!(reply.starts_with("45"), "{reply}");
}
