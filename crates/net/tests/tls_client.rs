//! The client side against `openssl s_server`, and against our own server where the peer has to misbehave.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use postern_net::MailStream;
use postern_net::tls::{
    ClientTls, ClientTlsSettings, HandshakeError, ServerTls, TlsVersion, Verification, Verify,
};
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use std::time::Duration;
use support::s_server::{SServer, client, talk};
use support::{Bench, EC, Greeter, PATIENCE, RSA};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn bench() -> Bench {
    let bench = Bench::new();
    bench.ca("ca");
    bench.ca("stranger");
    let names = "subjectAltName=DNS:mx.test,DNS:*.wild.test,IP:127.0.0.1";
    bench.certificate("host", "ca", "/CN=host", RSA, names);
    bench.certificate("v1", "ca", "/CN=mx.test", EC, "");
    bench.openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout self.key -out self.crt -days 9 -subj /CN=self \
         -addext subjectAltName=DNS:self.test",
    );
    bench
}

#[tokio::test]
async fn verification() {
    let bench = bench();
    let by_ca = client(Verification::CaFile(bench.path("ca.crt")));
    let by_stranger = client(Verification::CaFile(bench.path("stranger.crt")));
    let by_itself = client(Verification::CaFile(bench.path("self.crt")));
    let by_system = client(Verification::SystemRoots);
    let by_nobody = client(Verification::None);
    #[rustfmt::skip]
    let cases = [
        // what the case shows                      server   asked for      trust          outcome
        ("issued by the CA",                        "host",  "mx.test",     &by_ca,        "OK"),
        ("a trailing dot",                          "host",  "mx.test.",    &by_ca,        "OK"),
        ("wildcard",                                "host",  "a.wild.test", &by_ca,        "OK"),
        ("address",                                 "host",  "127.0.0.1",   &by_ca,        "OK"),
        ("another name",                            "host",  "my.test",     &by_ca,        "issued for mx.test "),
        ("another address",                         "host",  "127.0.0.2",   &by_ca,        "issued for"),
        ("a common name does not count",            "v1",    "mx.test",     &by_ca,        "X.509 version 1"),
        ("another CA",                              "host",  "mx.test",     &by_stranger,  "not issued by a trusted authority"),
        ("unknown to the system",                   "host",  "mx.test",     &by_system,    "not issued by a trusted authority"),
        ("self-signed and listed",                  "self",  "self.test",   &by_itself,    "OK"),
        ("self-signed and listed, another name",    "self",  "mx.test",     &by_itself,    "issued for"),
        ("self-signed and not listed",              "self",  "self.test",   &by_ca,        "marked as an authority"),
        ("nobody to trust",                         "self",  "mx.test",     &by_nobody,    "NO"),
        ("nobody to trust, version 1",              "v1",    "other.test",  &by_nobody,    "NO"),
    ];
    let servers = ["host", "v1", "self"].map(|name| (name, SServer::start(&bench, name, "")));
    for (shows, server, name, tls, outcome) in cases {
        let (_, server) = servers.iter().find(|(other, _)| *other == server).unwrap();
        match talk(tls, server.address, name).await {
            Ok(facts) => {
                assert_eq!(facts.verify.word(), outcome, "{shows}");
                assert!(facts.server_certificate.is_some(), "{shows}");
                assert_eq!((facts.version, facts.bits), ("TLSv1.3", 256), "{shows}");
            }
            Err(HandshakeError::Unverified { server_name, reason }) => {
                assert_eq!(server_name, name, "{shows}");
                assert!(reason.contains(outcome), "{shows}: {reason}");
            }
            Err(other) => panic!("{shows}: {other:?}"),
        }
    }
    let odd = talk(&by_nobody, servers.first().unwrap().1.address, "no name").await;
    assert!(matches!(odd, Err(HandshakeError::ServerName(_))), "{odd:?}");
}

#[tokio::test]
async fn versions_and_resumption() {
    let bench = bench();
    for (line, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let server = SServer::start(&bench, "host", line);
        let tls = client(Verification::CaFile(bench.path("ca.crt")));
        let first = talk(&tls, server.address, "mx.test").await.unwrap();
        let second = talk(&tls, server.address, "mx.test").await.unwrap();
        assert_eq!((first.version, first.resumed), (version, false));
        assert_eq!((second.version, second.resumed), (version, true));
        assert_eq!(second.verify, Verify::Ok);
        assert_eq!(first.server_certificate, second.server_certificate);

        // A session begun without verification is not resumed by a client that verifies.
        let stranger = client(Verification::CaFile(bench.path("stranger.crt")));
        let nobody = client(Verification::None);
        talk(&nobody, server.address, "mx.test").await.unwrap();
        let refused = talk(&stranger, server.address, "mx.test").await;
        assert!(
            matches!(refused, Err(HandshakeError::Unverified { .. })),
            "{refused:?}"
        );
    }
    let server = SServer::start(&bench, "host", "-tls1_2");
    let settings = ClientTlsSettings {
        min_version: TlsVersion::Tls13,
        ..ClientTlsSettings::new(Verification::CaFile(bench.path("ca.crt")))
    };
    let refused = talk(&ClientTls::load(&settings).unwrap(), server.address, "mx.test").await;
    assert!(matches!(refused, Err(HandshakeError::Protocol(_))), "{refused:?}");
}

#[tokio::test]
async fn shows_its_own_certificate_when_asked() {
    let bench = bench();
    bench.certificate("user", "ca", "/CN=user", EC, "extendedKeyUsage=clientAuth");
    let server = SServer::start(&bench, "host", "-CAfile ca.crt -Verify 1 -verify_return_error");
    let mut settings = ClientTlsSettings::new(Verification::CaFile(bench.path("ca.crt")));
    let without = talk(&ClientTls::load(&settings).unwrap(), server.address, "mx.test").await;
    assert!(without.is_err());
    settings.identity = Some(bench.files("user"));
    talk(&ClientTls::load(&settings).unwrap(), server.address, "mx.test")
        .await
        .unwrap();
}

#[tokio::test]
async fn expired_servers_are_not_trusted() {
    use postern_net::ca::{Authority, AuthorityRequest, CertificateRequest};
    use postern_net::file::Existing;
    let bench = Bench::new();
    let past = "2020-01-01T00:00:00Z".parse().unwrap();
    let authority = Authority::create(&AuthorityRequest::new("CA"), past).unwrap();
    let host = authority
        .issue(&CertificateRequest::new(vec!["mx.test".into()]), past)
        .unwrap();
    for (credentials, name) in [(authority.credentials(), "ca"), (&host, "host")] {
        let files = bench.files(name);
        credentials
            .save(&files.certificate, &files.key, None, Existing::Keep)
            .unwrap();
    }
    let server = SServer::start(&bench, "host", "");
    for trusted in ["ca", "host"] {
        let tls = client(Verification::CaFile(bench.path(&format!("{trusted}.crt"))));
        let refused = talk(&tls, server.address, "mx.test")
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains("expired"), "{refused}");
    }
}

/// A server that accepts the connection but sends nothing has exactly the given time, not a second more.
#[tokio::test(start_paused = true)]
async fn a_handshake_has_the_time_that_it_is_given() {
    const GIVEN: Duration = Duration::from_secs(60);
    let (ours, _theirs) = tokio::io::duplex(4_096);
    let begun = tokio::time::Instant::now();
    let ended = client(Verification::None).connect(ours, "mx.test", GIVEN).await;
    let ended = ended.map(|_| ());
    assert!(matches!(ended, Err(HandshakeError::Timeout(GIVEN))), "{ended:?}");
    assert_eq!(begun.elapsed().as_secs(), GIVEN.as_secs());
}

#[tokio::test]
async fn silence_and_noise_end_the_handshake() {
    let tls = client(Verification::None);
    let listener = postern_net::listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let connect = |patience| {
        let tls = tls.clone();
        async move {
            let tcp = TcpStream::connect(address).await.unwrap();
            MailStream::Plain(tcp)
                .into_tls_client(&tls, "mx.test", patience)
                .await
                .map(|_| ())
        }
    };
    let (silent, _peer) = tokio::join!(connect(Duration::from_millis(50)), listener.accept());
    assert!(matches!(silent, Err(HandshakeError::Timeout(_))), "{silent:?}");
    let noise = async {
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.write_all(b"454 4.7.0 TLS not available\r\n").await.unwrap();
        peer
    };
    let (noisy, _peer) = tokio::join!(connect(PATIENCE), noise);
    assert!(matches!(noisy, Err(HandshakeError::Protocol(_))), "{noisy:?}");
    let gone = async { drop(listener.accept().await.unwrap()) };
    let (gone, ()) = tokio::join!(connect(PATIENCE), gone);
    assert!(matches!(gone, Err(HandshakeError::Lost(_))), "{gone:?}");
}

/// A client that presents somebody else's certificate, without having its key.
#[derive(Debug)]
struct Impostor(Arc<CertifiedKey>);

impl rustls::client::ResolvesClientCert for Impostor {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_proves_nothing() {
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

    let bench = bench();
    bench.certificate("user", "ca", "/CN=user", EC, "extendedKeyUsage=clientAuth");
    bench.certificate("userv1", "ca", "/CN=user", EC, "");
    bench.certificate("thief", "stranger", "/CN=thief", EC, "");
    let certificate = |name: &str| CertificateDer::from_pem_file(bench.path(&format!("{name}.crt"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(bench.path("thief.key")).unwrap();
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let mut greeter = Greeter::start(bench.server(&["host"], Some("ca")));
    let versions: [&[&rustls::SupportedProtocolVersion]; 2] =
        [&[&rustls::version::TLS12], &[&rustls::version::TLS13]];
    for version in versions {
        for name in ["user", "userv1", "thief"] {
            let shown = CertifiedKey::new(vec![certificate(name)], Arc::clone(&key));
            let mut roots = rustls::RootCertStore::empty();
            roots.add(certificate("ca")).unwrap();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(version)
                .unwrap()
                .with_root_certificates(roots)
                .with_client_cert_resolver(Arc::new(Impostor(Arc::new(shown))));
            let tcp = TcpStream::connect(greeter.address).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let _ = connector
                .connect(ServerName::try_from("mx.test").unwrap(), tcp)
                .await;
            let seen = greeter.seen().await;
            if name == "thief" {
                assert!(
                    matches!(seen.unwrap().verify, Verify::Fail(_)),
                    "its own certificate is let in, and recorded"
                );
            } else {
                assert!(
                    matches!(seen, Err(HandshakeError::Protocol(_))),
                    "{name} {version:?}: {seen:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn tls_does_not_begin_twice() {
    let bench = bench();
    let greeter = Greeter::start(bench.server(&["host"], None));
    let tls = client(Verification::None);
    let stream = MailStream::Plain(TcpStream::connect(greeter.address).await.unwrap());
    assert!(!stream.is_tls());
    let (stream, _) = stream.into_tls_client(&tls, "mx.test", PATIENCE).await.unwrap();
    assert!(stream.is_tls());
    let server: ServerTls = bench.server(&["host"], None);
    let twice = stream.into_tls_server(&server, PATIENCE).await;
    assert!(matches!(twice, Err(HandshakeError::AlreadyTls)), "{twice:?}");
}

#[tokio::test]
async fn an_abrupt_end_reads_as_an_end() {
    let bench = bench();
    let listener = postern_net::listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let server = bench.server(&["host"], None);
    let abrupt = async {
        let (tcp, _) = postern_net::listen::accept(&listener, |_| {}).await.unwrap();
        let (mut stream, _) = MailStream::Plain(tcp)
            .into_tls_server(&server, PATIENCE)
            .await
            .unwrap();
        stream.write_all(b"last words").await.unwrap();
        stream.flush().await.unwrap();
        // Dropped without a closing alert.
    };
    let reading = async {
        let tcp = TcpStream::connect(address).await.unwrap();
        let tls = client(Verification::None);
        let (mut stream, _) = MailStream::Plain(tcp)
            .into_tls_client(&tls, "mx.test", PATIENCE)
            .await
            .unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all
    };
    let (all, ()) = tokio::join!(reading, abrupt);
    assert_eq!(all, b"last words");
}
