//! Certificates of our own CA, as openssl sees them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use postern_net::ca::{Authority, AuthorityRequest, CertificateInfo, CertificateRequest, KeyKind, Purpose};
use postern_net::file::Existing;
use secrecy::SecretString;
use support::{Bench, Greeter};

fn made(bench: &Bench, key: KeyKind) -> Authority {
    let now = jiff::Timestamp::now();
    let request = AuthorityRequest {
        organization: Some("Fox, Chase".into()),
        key,
        ..AuthorityRequest::new("Challenger CA")
    };
    let authority = Authority::create(&request, now).unwrap();
    let files = bench.files("ca");
    authority
        .credentials()
        .save(&files.certificate, &files.key, None, Existing::Replace)
        .unwrap();
    let names = ["challenger.example", "*.challenger.example", "127.0.0.1", "::1"].map(str::to_owned);
    let host = CertificateRequest {
        key,
        ..CertificateRequest::new(names.to_vec())
    };
    let user = CertificateRequest {
        purpose: Purpose::Client,
        ..CertificateRequest::new(vec!["acaird@fccc.example".into()])
    };
    for (name, request) in [("host", host), ("user", user)] {
        let files = bench.files(name);
        let issued = authority.issue(&request, now).unwrap();
        issued
            .save(&files.certificate, &files.key, None, Existing::Replace)
            .unwrap();
    }
    authority
}

#[test]
fn openssl_accepts_them_under_its_strict_rules() {
    let bench = Bench::new();
    for key in [
        KeyKind::EcdsaP256,
        KeyKind::EcdsaP384,
        KeyKind::Rsa2048,
        KeyKind::Rsa4096,
    ] {
        made(&bench, key);
        let verify = "verify -x509_strict -check_ss_sig -CAfile ca.crt";
        bench.openssl(&format!("{verify} ca.crt"));
        bench.openssl(&format!(
            "{verify} -purpose sslserver -verify_hostname challenger.example host.crt"
        ));
        bench.openssl(&format!(
            "{verify} -purpose sslserver -verify_hostname mx.challenger.example host.crt"
        ));
        bench.openssl(&format!(
            "{verify} -purpose sslserver -verify_ip 127.0.0.1 host.crt"
        ));
        bench.openssl(&format!("{verify} -purpose sslserver -verify_ip ::1 host.crt"));
        bench.openssl(&format!("{verify} -purpose sslclient host.crt"));
        bench.openssl(&format!(
            "{verify} -purpose sslclient -verify_email acaird@fccc.example user.crt"
        ));
        let output = bench.try_openssl(&format!("{verify} -purpose sslserver user.crt"));
        assert!(
            !output.status.success(),
            "a user's certificate is none for a server"
        );
        let output = bench.try_openssl(&format!(
            "{verify} -purpose sslserver -verify_hostname other.example host.crt"
        ));
        assert!(!output.status.success(), "another name");
    }
}

#[test]
fn extensions() {
    let bench = Bench::new();
    made(&bench, KeyKind::EcdsaP256);
    let ca = bench.openssl("x509 -in ca.crt -noout -text");
    let host = bench.openssl("x509 -in host.crt -noout -text");
    #[rustfmt::skip]
    let cases = [
        // which   text
        (&ca,   "CA:TRUE, pathlen:0"),
        (&ca,   "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign"),
        (&ca,   "X509v3 Subject Key Identifier"),
        (&host, "CA:FALSE"),
        (&host, "DNS:challenger.example, DNS:*.challenger.example, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1"),
        (&host, "TLS Web Server Authentication, TLS Web Client Authentication"),
        (&host, "Digital Signature"),
        (&host, "X509v3 Subject Key Identifier"),
        (&host, "X509v3 Authority Key Identifier"),
    ];
    for (text, expected) in cases {
        assert!(text.contains(expected), "{expected} is missing from: {text}");
    }
    let identifier = |text: &str, which: &str| {
        let (_, rest) = text.split_once(which).unwrap();
        rest.lines().nth(1).unwrap().trim().to_owned()
    };
    let (issuer, own) = ("X509v3 Authority Key Identifier", "X509v3 Subject Key Identifier");
    assert_eq!(
        identifier(&host, issuer),
        identifier(&ca, own),
        "the two are linked"
    );
}

#[test]
fn what_is_shown_agrees_with_openssl() {
    let bench = Bench::new();
    made(&bench, KeyKind::Rsa2048);
    let info = CertificateInfo::load(&bench.path("host.crt")).unwrap();
    let [info] = info.as_slice() else {
        panic!("one certificate")
    };
    let show = |what: &str| {
        let line = bench.openssl(&format!("x509 -in host.crt -noout {what}"));
        line.trim_end().split_once('=').unwrap().1.to_owned()
    };
    assert_eq!(info.subject, show("-subject -nameopt RFC2253"));
    assert_eq!(info.issuer, show("-issuer -nameopt RFC2253"));
    assert_eq!(info.issuer, "CN=Challenger CA,O=Fox\\, Chase");
    assert_eq!(info.serial.replace(':', ""), show("-serial").to_lowercase());
    assert_eq!(
        info.fingerprint_sha256,
        show("-fingerprint -sha256").replace(':', "").to_lowercase()
    );
    assert_eq!(
        info.names,
        ["challenger.example", "*.challenger.example", "127.0.0.1", "::1"]
    );
    assert_eq!(info.key_type, "RSA 2048");
    let end = show("-enddate -dateopt iso_8601").replace(' ', "T");
    assert_eq!(info.not_after.to_string(), end);
}

#[test]
fn openssl_reads_our_encrypted_keys() {
    let bench = Bench::new();
    let authority = made(&bench, KeyKind::EcdsaP256);
    let files = bench.files("sealed");
    let passphrase = SecretString::from("correct horse");
    authority
        .credentials()
        .save(&files.certificate, &files.key, Some(&passphrase), Existing::Keep)
        .unwrap();
    let sealed = std::fs::read_to_string(&files.key).unwrap();
    assert!(
        sealed.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"),
        "{sealed}"
    );
    let public = bench.openssl("pkey -in sealed.key -passin pass:correct~horse -pubout");
    assert_eq!(public, bench.openssl("x509 -in sealed.crt -noout -pubkey"));
    assert!(
        !bench
            .try_openssl("pkey -in sealed.key -passin pass:wrong")
            .status
            .success()
    );
}

#[test]
fn an_authority_made_by_openssl_issues_too() {
    let bench = Bench::new();
    let now = jiff::Timestamp::now();
    bench.ca("ec");
    bench.openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout pkcs8.key -out rsa.crt -days 30 -subj /C=US/O=Old/CN=rsa",
    );
    bench.openssl("rsa -in pkcs8.key -traditional -out rsa.key");
    bench.chmod("rsa.key", 0o600);
    bench.chmod("ec.key", 0o600);
    for name in ["ec", "rsa"] {
        let files = bench.files(name);
        let authority = Authority::load(&files.certificate, &files.key, None).unwrap();
        let host = authority
            .issue(&CertificateRequest::new(vec!["mx.test".into()]), now)
            .unwrap();
        let files = bench.files("host");
        host.save(&files.certificate, &files.key, None, Existing::Replace)
            .unwrap();
        bench.openssl(&format!(
            "verify -CAfile {name}.crt -purpose sslserver -verify_hostname mx.test host.crt"
        ));
    }
}

#[tokio::test]
async fn they_serve() {
    let bench = Bench::new();
    made(&bench, KeyKind::EcdsaP256);
    let mut greeter = Greeter::start(bench.server(&["host"], Some("ca")));
    let line = "-CAfile ca.crt -verify_return_error -verify_hostname mx.challenger.example -cert user.crt -key user.key";
    let (output, facts) = greeter.s_client(&bench, line).await;
    assert!(
        output.contains("Verification: OK") && output.contains("hello"),
        "{output}"
    );
    let facts = facts.unwrap();
    assert!(facts.verify.is_ok(), "{facts:?}");
    assert_eq!(facts.client_certificate.unwrap().emails, ["acaird@fccc.example"]);
}
