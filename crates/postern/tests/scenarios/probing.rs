//! `postern probe`: examining a server from outside, and putting it under load.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use postern_testkit::process::{Server, free_port, program, wait_until};
use postern_testkit::signed::SignedZones;
use postern_testkit::sink::Sink;
use serde_json::Value;

use crate::harness::{Site, binary};

fn probe(site: &Site, arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let whole: Vec<&str> = ["probe"].iter().chain(arguments).copied().collect();
    let output = site.run_with(&whole, input);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn a_server_as_it_should_be() {
    let sink = Sink::start();
    let mut site = Site::relay(
        sink.port(),
        "[auth]\nmechanisms = [\"SCRAM-SHA-256\", \"SCRAM-SHA-256-PLUS\"]\n",
    );
    site.start();
    let ca = site.path("certs/ca.crt").display().to_string();
    let trusting = ["--ca", &ca, "--name", "mx.relay.test"];
    for (port, tls) in [(site.submission, "STARTTLS"), (site.submissions, "TLS at once")] {
        let server = format!("127.0.0.1:{port}");
        let mut arguments = vec![
            server.as_str(),
            "--login",
            "tester@relay.test",
            "--password-stdin",
        ];
        arguments.extend(trusting);
        if tls == "TLS at once" {
            arguments.extend(["--tls", "implicit"]);
        }
        let (status, said) = probe(&site, &arguments, "test word\n");
        assert_eq!(status, Some(0), "{said}");
        for part in [
            &format!("ok   {tls}: TLSv1.3"),
            "ok   verified: for mx.relay.test",
            "PIPELINING, CHUNKING",
            "ok   SCRAM-SHA-256, right password: 235",
            "ok   SCRAM-SHA-256-PLUS, right password: 235",
            "ok   SCRAM-SHA-256, wrong password: 535",
            "does as it should",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert!(!said.contains("test word"), "{said}");
    }
    let server = format!("127.0.0.1:{}", site.mx);
    let mut arguments = vec![
        server.as_str(),
        "--relay-test",
        "--json",
        "--to",
        "bea@relay.test",
        "--from",
        "ann@far.test",
        "--send",
    ];
    arguments.extend(trusting);
    let (status, said) = probe(&site, &arguments, "");
    assert_eq!(status, Some(0), "{said}");
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["good"], Value::Bool(true));
    let step = |name: &str| {
        let steps = report["steps"].as_array().unwrap();
        steps
            .iter()
            .find(|step| step["step"] == name)
            .unwrap_or_else(|| panic!("{name} in {report:#}"))
            .clone()
    };
    assert_eq!(step("open relay")["text"], "no");
    assert!(step("greeting")["ms"].is_number());
    assert_eq!(step("BDAT")["mark"], "good");
    let _ = sink.wait_for("Subject: postern probe");
}

#[test]
fn what_is_wrong_is_named() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "[relay]\nnetworks = [\"127.0.0.0/8\"]\n");
    site.start();
    let ca = site.path("certs/ca.crt").display().to_string();
    #[rustfmt::skip]
    let cases: [(&str, Vec<String>, &str); 4] = [
        ("a certificate of an unknown authority", vec![format!("127.0.0.1:{}", site.mx)],                                                     "BAD  verified: "),
        ("a certificate for another name",        vec![format!("127.0.0.1:{}", site.mx), "--ca".into(), ca.clone(), "--name".into(), "other.test".into()], "BAD  verified: "),
        ("an open relay",                         vec![format!("127.0.0.1:{}", site.mx), "--ca".into(), ca, "--name".into(), "mx.relay.test".into(), "--relay-test".into()], "BAD  open relay: it takes mail for postern-probe@relay-test.invalid"),
        ("nobody there",                          vec![format!("127.0.0.1:{}", free_port())],                                                 "BAD  connection: "),
    ];
    for (shows, arguments, words) in cases {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (status, said) = probe(&site, &arguments, "");
        assert_eq!(status, Some(1), "{shows}: {said}");
        assert!(
            said.contains(words) && said.contains("not as it should be"),
            "{shows}: {said}"
        );
    }
    let server = format!("127.0.0.1:{}", site.mx);
    let (_, said) = probe(&site, &[&server, "--tls", "starttls"], "");
    assert!(
        said.contains("ok   STARTTLS: TLSv1.3"),
        "the rest is shown all the same: {said}"
    );
}

#[test]
fn load_within_bounds() {
    let sink = Sink::start();
    let site = Site::relay(sink.port(), "");
    let server = format!("127.0.0.1:{}", sink.port());
    let (status, said) = probe(
        &site,
        &[
            "load",
            &server,
            "--to",
            "bea@far.test",
            "--messages",
            "50",
            "--connections",
            "5",
            "--json",
        ],
        "",
    );
    assert_eq!(status, Some(0), "{said}");
    let result: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&result["taken"], &result["refused"]),
        (&50.into(), &0.into()),
        "{said}"
    );
    assert_eq!(sink.total(), 50);
    assert!(
        sink.taken()
            .iter()
            .all(|one| one.content.len() <= 1_000 && one.content.len() > 900)
    );
    let (status, said) = probe(
        &site,
        &["load", &server, "--to", "reject@far.test", "--messages", "3"],
        "",
    );
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("3 refused") && said.contains("550"), "{said}");
    let (status, said) = probe(&site, &["load", "192.0.2.1", "--to", "bea@far.test"], "");
    assert_eq!(status, Some(64), "{said}");
    assert!(said.contains("--remote"), "{said}");
}

/// Serves `mta-sts.txt` on port 443 of an address that no other test uses.
const POLICY_SERVER: &str = "\
import http.server, ssl, sys
class Policy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = open('mta-sts.txt', 'rb').read()
        self.send_response(200 if self.path == '/.well-known/mta-sts.txt' else 404)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(('127.86.4.61', 443), Policy)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain('certs/sts.crt', 'certs/sts.key')
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
";

/// The digest of the public key in a certificate.
fn key_digest(certificate: &Path) -> String {
    let script =
        "openssl x509 -in \"$1\" -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -r";
    let output = Command::new("sh")
        .args(["-euc", script, "sh"])
        .arg(certificate)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

#[test]
fn what_a_domain_has_published_of_its_server() {
    let sink = Sink::start();
    let mut site = Site::relay(sink.port(), "");
    site.issue("sts", &["mta-sts.signed.lab", "mta-sts.other.lab"]);
    site.start();
    let port = site.mx;
    let right = key_digest(&site.path("certs/relay.crt"));
    let zones = SignedZones::start(&format!(
        "
        signed.lab MX 10 mx.relay.lab.
        mx.relay.lab A 127.0.0.1
        _{port}._tcp.mx.relay.lab TLSA 3 1 1 {right}
        mx.wrong.lab A 127.0.0.1
        _{port}._tcp.mx.wrong.lab TLSA 3 1 1 {wrong}
        mx.plain.lab A 127.0.0.1
        _{port}._tcp.mx.plain.lab TLSA 3 1 1 {right}
        _mta-sts.signed.lab TXT \"v=STSv1; id=2026;\"
        other.lab MX 10 mx.other.lab.
        _mta-sts.other.lab TXT \"v=STSv1; id=2026;\"
        _mta-sts.twice.lab TXT \"v=STSv1; id=1;\"
        _mta-sts.twice.lab TXT \"v=STSv1; id=2;\"
        ",
        wrong = "01".repeat(32),
    ));
    fs::write(
        site.path("mta-sts.txt"),
        "version: STSv1\nmode: enforce\nmx: mx.relay.lab\nmax_age: 86400\n",
    )
    .unwrap();
    fs::write(site.path("policy.py"), POLICY_SERVER).unwrap();
    let mut server = Command::new(program("/usr/bin/python3", "python3"));
    server.arg("policy.py").current_dir(site.path(""));
    let _server = Server::start(&mut server, &site.path("policy.log"));
    wait_until("the policy's server", || {
        TcpStream::connect("127.86.4.61:443").is_ok()
    });
    let hosts = site.path("hosts");
    fs::write(&hosts, "127.86.4.61 mta-sts.signed.lab mta-sts.other.lab\n").unwrap();
    let probe = |host: &str, domain: &str| {
        // The policy's host is found with the system's resolver, for which this file stands in.
        let script = "mount --make-rprivate / && mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", script, "sh"])
            .arg(&hosts)
            .arg(binary())
            .args([
                "probe",
                &format!("{host}:{port}"),
                "--domain",
                domain,
                "--name",
                "mx.relay.test",
            ])
            .args(["--nameserver", &zones.address().to_string(), "--trust-anchors"])
            .arg(zones.anchors())
            .arg("--ca")
            .arg(site.path("certs/ca.crt"))
            .output()
            .unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    #[rustfmt::skip]
    let cases: [(&str, &str, &[&str]); 5] = [
        ("mx.relay.lab", "signed.lab", &["ok   MTA-STS: enforce, for 1 day, names mx.relay.lab", "ok   TLSA: 1 record", "ok   DANE: ", "does as it should"]),
        ("mx.relay.lab", "other.lab",  &["BAD  MX: mx.relay.lab is not among the MX hosts of other.lab", "BAD  MTA-STS: enforce, for 1 day, names mx.relay.lab, and not mx.other.lab"]),
        ("mx.wrong.lab", "signed.lab", &["ok   TLSA: 1 record", "BAD  DANE: "]),
        ("mx.plain.lab", "hashed.lab", &["note TLSA: 1 record", "insecure: without DNSSEC they do not count", "note MTA-STS: hashed.lab has none"]),
        ("mx.relay.lab", "twice.lab",  &["BAD  MTA-STS: _mta-sts.twice.lab has 2 records, so none counts"]),
    ];
    for (host, domain, expected) in cases {
        let said = probe(host, domain);
        for part in expected {
            assert!(said.contains(part), "{host} for {domain}: {part} in {said}");
        }
    }
}
