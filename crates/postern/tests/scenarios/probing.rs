//! `postern probe`: a server looked at from outside, and put under load.

use postern_testkit::process::free_port;
use postern_testkit::sink::Sink;
use serde_json::Value;

use crate::harness::Site;

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
        ("a certificate of an unknown authority", vec![format!("127.0.0.1:{}", site.mx)],                                                     "BAD  certificate: "),
        ("a certificate for another name",        vec![format!("127.0.0.1:{}", site.mx), "--ca".into(), ca.clone(), "--name".into(), "other.test".into()], "BAD  certificate: "),
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
