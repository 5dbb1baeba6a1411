//! The server side against `openssl s_client`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use postern_net::ca::CertificateInfo;
use postern_net::tls::{HandshakeError, ServerTls, TlsFacts, TlsVersion, TlsWarning, Verify};
use support::{Bench, EC, Greeter, RSA};

const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

fn bench() -> Bench {
    let bench = Bench::new();
    bench.ca("ca");
    bench.certificate(
        "rsa",
        "ca",
        "/CN=rsa.test",
        RSA,
        "subjectAltName=DNS:mx.test,DNS:rsa.test",
    );
    bench.certificate(
        "ec",
        "ca",
        "/CN=ec.test",
        EC,
        "subjectAltName=DNS:mx.test,DNS:ec.test",
    );
    bench
}

#[tokio::test]
async fn versions_and_ciphers_by_their_openssl_names() {
    let bench = bench();
    let mut greeter = Greeter::start(bench.server(&["rsa", "ec"], None));
    #[rustfmt::skip]
    let cases = [
        // what s_client is told                                    version    bits  cipher
        ("-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384",             "TLSv1.2", 256, "ECDHE-RSA-AES256-GCM-SHA384"),
        ("-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256",             "TLSv1.2", 128, "ECDHE-RSA-AES128-GCM-SHA256"),
        ("-tls1_2 -cipher ECDHE-RSA-CHACHA20-POLY1305",             "TLSv1.2", 256, "ECDHE-RSA-CHACHA20-POLY1305"),
        ("-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384",           "TLSv1.2", 256, "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256",           "TLSv1.2", 128, "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305",           "TLSv1.2", 256, "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ("-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384",            "TLSv1.3", 256, "TLS_AES_256_GCM_SHA384"),
        ("-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256",            "TLSv1.3", 128, "TLS_AES_128_GCM_SHA256"),
        ("-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256",      "TLSv1.3", 256, "TLS_CHACHA20_POLY1305_SHA256"),
    ];
    for (line, version, bits, cipher) in cases {
        let (output, facts) = greeter.s_client(&bench, line).await;
        let facts = facts.unwrap();
        assert_eq!(
            (facts.version, facts.bits, facts.cipher),
            (version, bits, cipher),
            "{line}"
        );
        assert!(
            output.contains(&format!("{version}, Cipher is {cipher}")),
            "{line}: {output}"
        );
        assert!(output.contains("hello"), "{line}: {output}");
        assert_eq!(
            (facts.verify, facts.client_certificate, facts.resumed),
            (Verify::No, None, false),
            "{line}"
        );
    }
}

#[tokio::test]
async fn old_versions_are_refused() {
    let bench = bench();
    let mut greeter = Greeter::start(bench.server(&["rsa"], None));
    let (_, facts) = greeter
        .s_client(&bench, "-tls1_1 -cipher DEFAULT@SECLEVEL=0")
        .await;
    assert!(
        matches!(facts, Err(HandshakeError::Protocol(_) | HandshakeError::Lost(_))),
        "{facts:?}"
    );

    let mut settings = bench.settings(&["rsa"], None);
    settings.min_version = TlsVersion::Tls13;
    let mut greeter = Greeter::start(ServerTls::load(&settings).unwrap());
    let (_, facts) = greeter.s_client(&bench, "-tls1_2").await;
    assert!(matches!(facts, Err(HandshakeError::Protocol(_))), "{facts:?}");
    let (_, facts) = greeter.s_client(&bench, "-tls1_3").await;
    assert_eq!(facts.unwrap().version, "TLSv1.3");
}

#[tokio::test]
async fn the_certificate_follows_the_name_asked_for() {
    let bench = bench();
    bench.certificate("wild", "ca", "/CN=wild", EC, "subjectAltName=DNS:*.wild.test");
    bench.certificate("plain", "ca", "/CN=old.test", RSA, "");
    let mut greeter = Greeter::start(bench.server(&["ec", "rsa", "wild", "plain"], None));
    #[rustfmt::skip]
    let cases = [
        // what the case shows                      what s_client is told                            subject
        // shown
        ("no name: the first",                      "-noservername",                                 "ec.test"),
        ("unknown name: the first",                 "-servername other.test",                        "ec.test"),
        ("own name",                                "-servername rsa.test",                          "rsa.test"),
        ("the case of letters",                     "-servername RSA.Test",                          "rsa.test"),
        ("wildcard",                                "-servername a.wild.test",                       "wild"),
        ("a wildcard is one label deep",            "-servername a.b.wild.test",                     "ec.test"),
        ("common name, where there is nothing else", "-servername old.test",                         "old.test"),
        ("two bear the name: the first",            "-servername mx.test",                           "ec.test"),
        ("RSA for who cannot do ECDSA",             "-servername mx.test -sigalgs RSA-PSS+SHA256",   "rsa.test"),
        ("the same in TLS 1.2",                     "-servername mx.test -tls1_2 -cipher aRSA",      "rsa.test"),
    ];
    for (shows, line, subject) in cases {
        let (output, facts) = greeter.s_client(&bench, line).await;
        assert!(
            output.contains(&format!("subject=CN = {subject}\n")),
            "{shows}: {output}"
        );
        let facts = facts.unwrap();
        let asked = line
            .strip_prefix("-servername ")
            .map(|rest| rest.split(' ').next().unwrap().to_lowercase());
        assert_eq!(facts.sni, asked, "{shows}");
    }
}

/// What SNI must not contain (RFC 6066 section 3): rustls treats an address as no name, and refuses what is not a host
/// name.
#[tokio::test]
async fn names_that_are_none() {
    let bench = bench();
    let mut greeter = Greeter::start(bench.server(&["ec", "rsa"], None));
    let (output, facts) = greeter.s_client(&bench, "-servername 192.0.2.1").await;
    assert!(output.contains("subject=CN = ec.test\n"), "{output}");
    assert_eq!(facts.unwrap().sni, None);
    for name in ["rsa..test", "rsa!test", "-rsa.test"] {
        let (_, facts) = greeter.s_client(&bench, &format!("-servername {name}")).await;
        assert!(
            matches!(facts, Err(HandshakeError::Protocol(_))),
            "{name}: {facts:?}"
        );
    }
}

#[tokio::test]
async fn client_certificates_are_recorded_and_never_refused() {
    let bench = bench();
    bench.ca("stranger");
    let user = "subjectAltName=email:acaird@fccc.example\nextendedKeyUsage=clientAuth";
    bench.certificate("user", "ca", "/O=Fox~Chase/CN=Acaird,~A.\\+B", EC, user);
    bench.certificate("userrsa", "ca", "/CN=rsa~user", RSA, user);
    bench.certificate("v1", "ca", "/CN=version~1", EC, "");
    bench.certificate(
        "camark",
        "ca",
        "/CN=marked",
        EC,
        "basicConstraints=critical,CA:TRUE",
    );
    bench.certificate("v1other", "stranger", "/CN=version~1", EC, "");
    bench.certificate("other", "stranger", "/CN=other", EC, user);
    bench.certificate("server", "ca", "/CN=server", EC, "extendedKeyUsage=serverAuth");
    bench.certificate(
        "v1camark",
        "ca",
        "/CN=s",
        EC,
        "basicConstraints=CA:TRUE\nextendedKeyUsage=serverAuth",
    );
    bench.certificate(
        "critical",
        "ca",
        "/CN=c",
        EC,
        "basicConstraints=CA:TRUE\n1.2.3.4=critical,DER:05:00",
    );
    bench.ca("self");
    bench.ca("unlisted");
    expired_user(&bench);
    let listed = std::fs::read_to_string(bench.path("ca.crt")).unwrap()
        + &std::fs::read_to_string(bench.path("self.crt")).unwrap()
        + &std::fs::read_to_string(bench.path("oldca.crt")).unwrap();
    bench.write("listed.crt", &listed);

    let mut greeter = Greeter::start(bench.server(&["ec"], Some("listed")));
    #[rustfmt::skip]
    let cases = [
        // what the case shows                           certificate    verdict
        ("none",                                         "",            "NO"),
        ("issued by the listed CA",                      "user",        "OK"),
        ("the same with RSA",                            "userrsa",     "OK"),
        ("X.509 version 1, as openssl makes it",         "v1",          "OK"),
        ("a leaf marked as CA, as openssl makes it",     "camark",      "OK"),
        ("self-signed and itself listed",                "self",        "OK"),
        ("self-signed",                                  "unlisted",    "FAIL not issued by a trusted authority"),
        ("issued by another CA",                         "other",       "FAIL not issued by a trusted authority"),
        ("version 1 by another CA",                      "v1other",     "FAIL"),
        ("for servers only",                             "server",      "FAIL issued for another purpose"),
        ("for servers only, marked as CA",               "v1camark",    "FAIL"),
        ("an unknown critical extension",                "critical",    "FAIL"),
        ("expired",                                      "expired",     "FAIL expired on "),
    ];
    for version in VERSIONS {
        for (shows, name, verdict) in cases {
            let shown = match name {
                "" => String::new(),
                name => format!("-cert {name}.crt -key {name}.key"),
            };
            let (output, facts) = greeter.s_client(&bench, &format!("{version} {shown}")).await;
            let facts = facts.unwrap();
            let got = match &facts.verify {
                Verify::Fail(reason) => format!("FAIL {reason}"),
                other => other.word().to_owned(),
            };
            assert!(got.starts_with(verdict), "{shows}, {version}: {got}");
            assert!(
                output.contains("hello"),
                "{shows}, {version}: the session goes on"
            );
            assert_eq!(
                facts.client_certificate.is_some(),
                !name.is_empty(),
                "{shows}, {version}"
            );
        }
    }
}

fn verdict(facts: &TlsFacts) -> String {
    match &facts.verify {
        Verify::Fail(reason) => format!("FAIL {reason}"),
        other => other.word().to_owned(),
    }
}

#[tokio::test]
async fn revoked_and_denied_client_certificates() {
    let bench = bench();
    for name in ["good", "lost", "stolen"] {
        bench.certificate(
            name,
            "ca",
            &format!("/CN={name}"),
            EC,
            "extendedKeyUsage=clientAuth",
        );
    }
    // X.509 version 1, which takes another code path.
    bench.certificate("old", "ca", "/CN=old", EC, "");
    let crl = bench.crl("ca", "ca", &["lost", "old"], "-crldays 30");
    bench.openssl("crl -in ca.crl -outform DER -out ca.der");
    let stolen = CertificateInfo::load(&bench.path("stolen.crt")).unwrap();
    for crl in [crl, bench.path("ca.der")] {
        let mut settings = bench.settings(&["ec"], Some("ca"));
        settings.client_crls = vec![crl.clone()];
        settings.client_denied = vec![stolen[0].fingerprint_sha256.clone()];
        let mut greeter = Greeter::start(ServerTls::load(&settings).unwrap());
        #[rustfmt::skip]
        let cases = [
            ("good",   "OK"),
            ("lost",   "FAIL revoked"),
            ("old",    "FAIL revoked"),
            ("stolen", "FAIL denied by `client_denied`"),
        ];
        for (name, want) in cases {
            for version in VERSIONS {
                let line = format!("{version} -cert {name}.crt -key {name}.key");
                let (output, facts) = greeter.s_client(&bench, &line).await;
                assert_eq!(
                    verdict(&facts.unwrap()),
                    want,
                    "{name}, {version}, {}",
                    crl.display()
                );
                assert!(output.contains("hello"), "{name}, {version}: the session goes on");
            }
        }
    }
}

#[test]
fn revocation_lists_that_cannot_be_used() {
    let bench = bench();
    bench.ca("stranger");
    bench.openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout twin.key -out twin.crt -days 30 -subj /O=Bench/CN=ca");
    bench.crl("strange", "stranger", &[], "-crldays 30");
    bench.crl("forged", "twin", &[], "-crldays 30");
    bench.write("empty.crl", "\n");
    let load = |name: &str| {
        let mut settings = bench.settings(&["ec"], Some("ca"));
        settings.client_crls = vec![bench.path(name)];
        ServerTls::load(&settings)
    };
    #[rustfmt::skip]
    let cases = [
        ("strange.crl", "is not in `client_ca`", "of another authority"),
        ("forged.crl",  "not signed by",         "under the authority's name, with another key"),
        ("empty.crl",   "no list in it",         "nothing in it"),
        ("ec.crt",      "no list in it",         "a certificate"),
        ("none.crl",    "cannot read",           "not there"),
    ];
    for (name, want, shows) in cases {
        let error = load(name).unwrap_err().to_string();
        assert!(error.contains(want) && error.contains(name), "{shows}: {error}");
    }

    bench.crl("soon", "ca", &[], "-crlhours 1");
    let tls = load("soon.crl").unwrap();
    let now = jiff::Timestamp::now();
    assert_eq!(tls.warnings(now), []);
    let later = tls.warnings(now + jiff::SignedDuration::from_hours(2));
    assert!(
        matches!(later.as_slice(), [TlsWarning::CrlOverdue { .. }]),
        "{later:?}"
    );
}

#[tokio::test]
async fn a_key_too_weak_to_check_proves_nothing_and_ends_nothing() {
    let bench = bench();
    bench.certificate(
        "weak",
        "ca",
        "/CN=weak",
        "rsa:1024",
        "extendedKeyUsage=clientAuth",
    );
    let mut settings = bench.settings(&["ec"], Some("ca"));
    // Even when listed itself, it is not accepted.
    let both = std::fs::read_to_string(bench.path("ca.crt")).unwrap()
        + &std::fs::read_to_string(bench.path("weak.crt")).unwrap();
    settings.client_ca = Some(bench.write("both.crt", &both));
    for version in VERSIONS {
        let mut greeter = Greeter::start(ServerTls::load(&settings).unwrap());
        let line = format!("{version} -cert weak.crt -key weak.key -cipher ALL:@SECLEVEL=0");
        let (output, facts) = greeter.s_client(&bench, &line).await;
        let facts = facts.unwrap();
        assert!(facts.client_certificate.is_some(), "{version}: it was shown");
        assert!(
            verdict(&facts).contains("too weak"),
            "{version}: {}",
            verdict(&facts)
        );
        assert!(output.contains("hello"), "{version}: the session goes on");
    }
}

/// `expired.crt` under `oldca.crt`: both of 2020, the certificate for 10 days.
fn expired_user(bench: &Bench) {
    use postern_net::ca::{Authority, AuthorityRequest, CertificateRequest, Purpose};
    use postern_net::file::Existing;
    let past = "2020-01-01T00:00:00Z".parse().unwrap();
    let authority = Authority::create(&AuthorityRequest::new("old CA"), past).unwrap();
    let save = |credentials: &postern_net::ca::Credentials, name: &str| {
        let files = bench.files(name);
        credentials
            .save(&files.certificate, &files.key, None, Existing::Keep)
            .unwrap();
    };
    save(authority.credentials(), "oldca");
    let request = CertificateRequest {
        days: 10,
        purpose: Purpose::Client,
        ..CertificateRequest::new(vec!["acaird@fccc.example".into()])
    };
    save(&authority.issue(&request, past).unwrap(), "expired");
}

#[tokio::test]
async fn certificate_facts_agree_with_openssl() {
    let bench = bench();
    let user = "subjectAltName=email:acaird@fccc.example,email:a.caird@fccc.example,DNS:pc.test";
    let subjects = [
        "/O=Fox~Chase/CN=Acaird,~A.\\+B",
        "/DC=example/DC=fccc/OU=#1/UID=acaird/CN=a\\\\b\"c;<d>",
        "/C=US/ST=Pennsylvania/L=Philadelphia/O=Fox/CN=~blank~",
        "/CN=bücher/emailAddress=acaird@fccc.example",
        "/serialNumber=7/title=Dr/GN=A/SN=Caird/CN=x/1.2.3.4=odd",
    ];
    let mut greeter = Greeter::start(bench.server(&["ec"], Some("ca")));
    for subject in subjects {
        bench.certificate("user", "ca", &format!("{subject} -utf8"), EC, user);
        let (_, facts) = greeter.s_client(&bench, "-cert user.crt -key user.key").await;
        let facts = facts.unwrap().client_certificate.unwrap();
        let show = |what: &str| {
            let line = bench.openssl(&format!("x509 -in user.crt -noout {what} -nameopt RFC2253"));
            line.trim_end_matches('\n').split_once('=').unwrap().1.to_owned()
        };
        assert_eq!(facts.subject, show("-subject"));
        assert_eq!(facts.issuer, show("-issuer"));
        let fingerprint = show("-fingerprint -sha256").replace(':', "").to_lowercase();
        assert_eq!(facts.fingerprint_sha256, fingerprint);
        assert_eq!(facts.emails, ["acaird@fccc.example", "a.caird@fccc.example"]);
    }
}

#[tokio::test]
async fn resumed_sessions_keep_the_certificate_facts() {
    let bench = bench();
    bench.ca("stranger");
    bench.certificate("user", "ca", "/CN=user", EC, "extendedKeyUsage=clientAuth");
    bench.certificate(
        "other",
        "stranger",
        "/CN=other",
        EC,
        "extendedKeyUsage=clientAuth",
    );
    let mut greeter = Greeter::start(bench.server(&["ec"], Some("ca")));
    for version in VERSIONS {
        for (name, word) in [("", "NO"), ("user", "OK"), ("other", "FAIL")] {
            let shown = if name.is_empty() {
                String::new()
            } else {
                format!("-cert {name}.crt -key {name}.key")
            };
            let line = format!("{version} -servername ec.test {shown}");
            let (_, first) = greeter
                .s_client(&bench, &format!("{line} -sess_out session"))
                .await;
            let first = first.unwrap();
            let (output, second) = greeter
                .s_client(&bench, &format!("{line} -sess_in session"))
                .await;
            let second = second.unwrap();
            assert!(!first.resumed && second.resumed, "{name} {version}: {output}");
            assert!(output.contains("Reused"), "{name} {version}: {output}");
            assert_eq!(second.verify.word(), word, "{name} {version}");
            assert_eq!(first.verify, second.verify, "{name} {version}");
            assert_eq!(
                first.client_certificate, second.client_certificate,
                "{name} {version}"
            );
            assert_eq!(second.sni.as_deref(), Some("ec.test"), "{name} {version}");
        }
    }
}

#[tokio::test]
async fn a_session_does_not_outlive_a_reload() {
    let bench = bench();
    bench.certificate("user", "ca", "/CN=user", EC, "extendedKeyUsage=clientAuth");
    let mut before = Greeter::start(bench.server(&["ec"], Some("ca")));
    let mut after = Greeter::start(bench.server(&["ec"], Some("ca")));
    for version in VERSIONS {
        let line = format!("{version} -cert user.crt -key user.key");
        let (_, first) = before
            .s_client(&bench, &format!("{line} -sess_out session"))
            .await;
        assert_eq!(first.unwrap().verify, Verify::Ok);
        let (output, second) = after.s_client(&bench, &format!("{line} -sess_in session")).await;
        let second = second.unwrap();
        assert!(!second.resumed, "{version}: {output}");
        assert_eq!(
            second.verify,
            Verify::Ok,
            "{version}: a full handshake takes its place"
        );
    }
}

/// A client that sends nothing, or one octet now and then, has exactly the given time, not a second more.
#[tokio::test(start_paused = true)]
async fn a_handshake_has_the_time_that_it_is_given() {
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::time::{Instant, sleep};

    const GIVEN: Duration = Duration::from_secs(30);
    let tls = bench().server(&["ec"], None);
    // The beginning of a ClientHello.
    let hello = [0x16, 3, 1, 0x02, 0, 1, 0, 0x01, 0xfc, 3, 3];
    for (shows, pause) in [
        ("silence", None),
        ("an octet every 10 seconds", Some(Duration::from_secs(10))),
    ] {
        let (ours, mut theirs) = tokio::io::duplex(1_024);
        let begun = Instant::now();
        let client = async {
            for octet in hello {
                match pause {
                    Some(pause) => sleep(pause).await,
                    None => std::future::pending().await,
                }
                theirs.write_all(&[octet]).await.unwrap();
            }
        };
        let ended = tokio::select! {
            ended = tls.accept(ours, GIVEN, false) => ended.map(|_| ()),
            () = client => panic!("{shows}: the handshake outlives its time"),
        };
        assert!(
            matches!(ended, Err(HandshakeError::Timeout(GIVEN))),
            "{shows}: {ended:?}"
        );
        assert_eq!(begun.elapsed().as_secs(), GIVEN.as_secs(), "{shows}");
    }
}

#[tokio::test]
async fn silence_and_noise_end_the_handshake() {
    use postern_net::MailStream;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;

    let bench = bench();
    let tls = bench.server(&["ec"], None);
    let listener = postern_net::listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();

    let _silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let (tcp, _) = postern_net::listen::accept(&listener, |_| {}).await.unwrap();
    let silent = MailStream::Plain(tcp)
        .into_tls_server(&tls, Duration::from_millis(50))
        .await;
    assert!(matches!(silent, Err(HandshakeError::Timeout(_))), "{silent:?}");

    let mut noisy = tokio::net::TcpStream::connect(address).await.unwrap();
    noisy.write_all(b"EHLO me\r\n").await.unwrap();
    let (tcp, _) = postern_net::listen::accept(&listener, |_| {}).await.unwrap();
    let noisy = MailStream::Plain(tcp)
        .into_tls_server(&tls, support::PATIENCE)
        .await;
    assert!(
        matches!(noisy, Err(HandshakeError::Protocol(_))),
        "plain text before TLS: {noisy:?}"
    );
}
