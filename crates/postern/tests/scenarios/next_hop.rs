//! A real Postfix as next hop: without TLS, inside TLS, and with a certificate that does not
//! verify.

use postern_testkit::postfix::Postfix;
use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;

use crate::harness::Site;

fn route(port: u16, tls: &str, more: &str) -> String {
    format!("[[route]]\ndomains = [\"*\"]\nvia = [\"localhost:{port}\"]\ntls = \"{tls}\"\n{more}\n")
}

fn send(site: &Site, subject: &str) {
    let mut tester = site.tester();
    let reply = tester
        .mail(
            "tester@relay.test",
            &["someone@outside.example"],
            &format!("Subject: {subject}\r\n\r\n..hello"),
        )
        .unwrap();
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
}

#[test]
fn postfix_takes_our_mail_with_the_security_that_the_route_asks() {
    // Certificates first, so that Postfix can use one of them.
    let mut site = Site::relay(1, "");
    site.issue("postfix", &["localhost"]);
    // Postfix reads keys as root before it drops privileges.
    let postfix = Postfix::start(
        &["outside.example", "relay.test"],
        &format!(
            "smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {}\nsmtpd_tls_key_file = {}\nsmtpd_tls_received_header = yes",
            site.path("certs/postfix.crt").display(),
            site.path("certs/postfix.key").display()
        ),
    );
    // What Postfix's own administrator would read out.
    let printed = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(site.path("certs/postfix.crt"))
        .output()
        .unwrap();
    let fingerprint = String::from_utf8(printed.stdout).unwrap();
    let (_, digits) = fingerprint.trim().split_once('=').unwrap();
    let own = format!("fingerprints = [\"{digits}\"]");
    let others = format!("fingerprints = [\"{}\"]", "00".repeat(32));
    let original = std::fs::read_to_string(site.path("postern.toml")).unwrap();
    let (before, _) = original.split_once("[[route]]").unwrap();
    for (subject, tls, more, arrives, secured) in [
        ("in plain", "none", "", true, false),
        ("opportunistic", "opportunistic", "", true, true),
        (
            "verified",
            "required",
            "[delivery.tls]\nca_file = \"certs/ca.crt\"",
            true,
            true,
        ),
        ("unverifiable", "required", "", false, false),
        ("known by its fingerprint", "required", own.as_str(), true, true),
        ("another's fingerprint", "required", others.as_str(), false, false),
        ("unverified by choice", "required", "verify = false", true, true),
    ] {
        std::fs::write(
            site.path("postern.toml"),
            format!("{before}{}", route(postfix.port(), tls, more)),
        )
        .unwrap();
        site.start();
        send(&site, subject);
        let subject_line = format!("Subject: {subject}\n");
        if arrives {
            wait_until(subject, || postfix.mailbox().contains(&subject_line));
            let mailbox = postfix.mailbox();
            let head = &mailbox[..mailbox.find(&subject_line).unwrap()];
            let head = &head[head.rfind("\nFrom ").unwrap_or(0)..];
            assert_eq!(head.contains("using TLSv1.3"), secured, "{subject}: {head}");
            assert!(mailbox.contains("\n..hello"), "{mailbox}");
        } else {
            wait_until("a deferral that says why", || {
                site.ok(&["queue", "list", "--json"]).contains("certificate")
            });
            assert!(!postfix.mailbox().contains(&subject_line));
            site.ok(&["queue", "remove", "--all"]);
        }
        assert!(site.take_server().terminate().success());
    }
}

#[test]
fn hosts_are_tried_in_order() {
    let sink = Sink::start();
    let dead = postern_testkit::process::free_port();
    let mut site = Site::relay(
        sink.port(),
        &format!(
            "[[route]]\ndomains = [\"outside.example\"]\nvia = [\"127.0.0.1:{dead}\", \"127.0.0.1:{}\"]\ntls = \"none\"\n",
            sink.port()
        ),
    );
    site.start();
    send(&site, "second host");
    let _ = sink.wait_for("Subject: second host");
}

#[test]
fn a_dead_destination_does_not_delay_another() {
    let sink = Sink::start();
    // A host that takes the connection and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut site = Site::relay(
        sink.port(),
        &format!(
            "[[route]]\ndomains = [\"silent.example\"]\nvia = [\"127.0.0.1:{port}\"]\ntls = \"none\"\n\
             [[route]]\ndomains = [\"*\"]\nvia = [\"127.0.0.1:{}\"]\ntls = \"none\"\n",
            sink.port()
        ),
    );
    site.start();
    let mut tester = site.tester();
    for number in 0..200 {
        let reply = tester
            .mail(
                "tester@relay.test",
                &["x@silent.example"],
                &format!("Subject: {number}\r\n\r\nx"),
            )
            .unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    }
    let reply = tester
        .mail(
            "tester@relay.test",
            &["x@silent.example", "y@outside.example"],
            "Subject: past the dead\r\n\r\nx",
        )
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let taken = sink.wait_for("Subject: past the dead");
    assert_eq!(taken.rcpt, ["<y@outside.example>"]);
}
