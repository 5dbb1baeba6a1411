//! Next hops of all kinds: MX records, TLS, LMTP, Maildirs, and a real Postfix.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use common::{Bench, CONTENT, Host, Names, envelope, rule, settings, shown, spool_at, to_ports};
use jiff::Timestamp;
use postern_net::ca::{Authority, AuthorityRequest, CertificateRequest};
use postern_net::file::Existing;
use postern_net::resolver::ResolverSettings;
use postern_net::tls::{ServerTls, ServerTlsSettings, TlsIdentityFiles, Verification};
use postern_policy::DomainSet;
use postern_policy::route::{Hop, HopHost, Pins, Protocol, RouteRule, Target, TlsLevel};
use postern_testkit::postfix::Postfix;
use postern_testkit::process::free_port;
use postern_testkit::sink::Sink;

const HELLO: &str = "S 220 mx.test\nC EHLO relay.test\nS 250-mx.test\nS 250 PIPELINING\n";
const TAKE: &str = "C MAIL\nC RCPT\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nBODY\nS 250 done\nEOF";

/// Names for the tests; hosts are on 127.0.0.2 and so on, all on one port.
const ZONES: &str = r#"
    local-zone: "test." static
    local-data: "two.test. 60 MX 20 second.hosts.test."
    local-data: "two.test. 60 MX 10 first.hosts.test."
    local-data: "first.hosts.test. 60 A 127.0.0.2"
    local-data: "second.hosts.test. 60 A 127.0.0.3"
    local-data: "bare.test. 60 A 127.0.0.3"
    local-data: "null.test. 60 MX 0 ."
    local-data: "us.test. 60 MX 10 relay.test."
    local-data: "backup.test. 60 MX 5 first.hosts.test."
    local-data: "backup.test. 60 MX 10 relay.test."
    local-data: "backup.test. 60 MX 20 second.hosts.test."
    local-data: "text.test. 60 TXT nothing"
    local-data: "broken.test. 60 MX 10 nowhere.hosts.test."
    local-data: "echo.test. 60 A 127.0.0.4"
    local-data: "inside.test. 60 MX 10 loop.hosts.test."
    local-data: "loop.hosts.test. 60 A 127.0.0.1"
    local-data: "loop.hosts.test. 60 AAAA ::1"
    local-data: "nothing.test. 60 A 0.0.0.0"
    local-data: "mapped.test. 60 AAAA ::ffff:127.0.0.1"
    local-data: "cloud.test. 60 A 169.254.169.254"
    local-data: "group.test. 60 A 224.0.0.1"
    local-data: "listener.test. 60 A 127.0.0.5"
    local-data: "dot.test. 60 MX 10 RELAY.test."
    local-data: "relay.test. 60 A 127.0.0.3"
    local-data: "partly.test. 60 MX 10 loop.hosts.test."
    local-data: "partly.test. 60 MX 20 second.hosts.test."
    local-data: "behind.test. 60 MX 10 self.hosts.test."
    local-data: "behind.test. 60 MX 20 second.hosts.test."
    local-data: "self.hosts.test. 60 A 127.0.0.5"
    local-data: "circle.test. 60 CNAME circle.test."
    local-zone: "refuse.example." refuse
"#;

fn by_mx(names: &Names, port: u16) -> Bench {
    let mut settings = settings();
    settings.mx_port = port;
    // All hosts of these tests are on loopback; the address that is left out represents it.
    settings.mx_networks = ["127.0.0.2/32", "127.0.0.3/32", "127.0.0.4/32"]
        .iter()
        .map(|network| network.parse().unwrap())
        .collect();
    settings.address_literals = true;
    settings.listeners = vec![SocketAddr::from(([127, 0, 0, 5], port))];
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_at(folder.path());
    Bench::over(folder, spool, settings, &names.resolver(), Verification::None)
}

#[tokio::test(flavor = "multi_thread")]
async fn mx_records_decide() {
    let names = Names::start(ZONES);
    let port = free_port();
    let take = format!("{HELLO}{TAKE}");
    let first = Host::start_at(SocketAddr::from(([127, 0, 0, 2], port)), &[&take]).await;
    let second = Host::start_at(SocketAddr::from(([127, 0, 0, 3], port)), &[&take]).await;
    let bench = by_mx(&names, port);

    let id = bench.put("", &["b@two.test"], CONTENT).await;
    let history = bench.outcomes(id, 1).await;
    assert_eq!(
        history[0].attempt.relay,
        format!("first.hosts.test[127.0.0.2]:{port}")
    );

    let id = bench.put("", &["b@bare.test"], CONTENT).await;
    let history = bench.outcomes(id, 1).await;
    assert_eq!(
        history[0].attempt.relay,
        format!("bare.test[127.0.0.3]:{port}"),
        "its own host without MX"
    );

    let id = bench.put("", &["b@[127.0.0.3]"], CONTENT).await;
    let history = bench.outcomes(id, 1).await;
    assert_eq!(
        history[0].attempt.relay,
        format!("127.0.0.3:{port}"),
        "an address literal"
    );

    let id = bench.put("", &["b@partly.test"], CONTENT).await;
    let history = bench.outcomes(id, 1).await;
    assert_eq!(
        history[0].attempt.relay,
        format!("second.hosts.test[127.0.0.3]:{port}"),
        "a host that leads nowhere is passed over"
    );

    drop(first);
    let id = bench.put("", &["c@backup.test"], CONTENT).await;
    let detail = bench.deferral(id).await;
    let last = detail.recipients[0].last.clone().unwrap();
    assert!(
        last.reply.contains("cannot connect") && last.relay.contains("127.0.0.2"),
        "never to hosts behind our own place: {last:?}"
    );
    assert!(second.lines().iter().all(|line| !line.contains("backup.test")));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn domains_that_take_no_mail_bounce() {
    let names = Names::start(ZONES);
    let port = free_port();
    let _echo = Host::start_at(
        SocketAddr::from(([127, 0, 0, 4], port)),
        &["S 220 hi\nC EHLO\nS 250 relay.test\nEOF"],
    )
    .await;
    let bench = by_mx(&names, port);
    #[rustfmt::skip]
    let cases = [
        ("null MX",                  "b@null.test",      "5.1.10", "dns.null-mx",     "null.test accepts no mail"),
        ("no such domain",           "b@missing.test",   "5.1.2",  "dns.no-domain",   "missing.test does not exist"),
        ("neither MX nor address",   "b@text.test",      "5.1.2",  "dns.no-domain",   "neither an MX record nor an address"),
        ("the MX is us",             "b@us.test",        "5.4.6",  "loop",            "add us.test to local_domains"),
        ("the host says it is us",   "b@echo.test",      "5.4.6",  "loop",            "own name"),
        ("our name, other letters",  "b@dot.test",       "5.4.6",  "loop",            "add dot.test to local_domains"),
        ("our name, no MX",          "b@relay.test",     "5.4.6",  "loop",            "own name"),
        ("we listen there",          "b@listener.test",  "5.4.6",  "loop",            "it listens on 127.0.0.5"),
        ("we are the best host",     "b@behind.test",    "5.4.6",  "loop",            "it listens on 127.0.0.5"),
        ("a literal of ours",        "b@[127.0.0.5]",    "5.4.6",  "loop",            "it listens on 127.0.0.5"),
        ("loopback",                 "b@inside.test",    "5.4.6",  "dns.unreachable", "the loopback address"),
        ("unspecified",              "b@nothing.test",   "5.4.6",  "dns.unreachable", "the loopback address 0.0.0.0"),
        ("loopback, mapped",         "b@mapped.test",    "5.4.6",  "dns.unreachable", "the loopback address"),
        ("loopback, literal",        "b@[127.0.0.1]",    "5.4.6",  "dns.unreachable", "the loopback address 127.0.0.1"),
        ("loopback, literal, IPv6",  "b@[IPv6:::1]",     "5.4.6",  "dns.unreachable", "the loopback address ::1"),
        ("link-local",               "b@cloud.test",     "5.4.4",  "dns.unreachable", "the link-local address 169.254.169.254"),
        ("multicast",                "b@group.test",     "5.4.4",  "dns.unreachable", "224.0.0.1"),
    ];
    for (shows, to, status, kind, text) in cases {
        let id = bench.put("", &[to], CONTENT).await;
        let outcomes = bench.outcomes(id, 1).await;
        let shown = shown(&outcomes);
        assert!(
            shown[0].starts_with(&format!("{to} bounced {status} ")) && shown[0].contains(text),
            "{shows}: {shown:?}"
        );
        let failure = outcomes[0].attempt.failure.unwrap();
        assert_eq!((failure.kind.name(), failure.stage), (kind, None), "{shows}");
    }
    #[rustfmt::skip]
    let cases = [
        ("the MX has no address",    "b@broken.test",    "4.4.4",  "dns.no-host",     "nowhere.hosts.test has no address"),
        ("the name server refuses",  "b@refuse.example", "4.4.3",  "dns.no-answer",   "cannot look up the MX records of refuse.example"),
        ("aliases in a circle",      "b@circle.test",    "4.4.3",  "dns.no-answer",   "form a loop"),
    ];
    for (shows, to, status, kind, text) in cases {
        let id = bench.put("", &[to], CONTENT).await;
        let last = bench.deferral(id).await.recipients[0].last.clone().unwrap();
        assert_eq!(last.status.unwrap().to_string(), status, "{shows}");
        assert!(last.reply.contains(text), "{shows}: {last:?}");
        assert_eq!(last.failure.unwrap().kind.name(), kind, "{shows}");
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_to_address_literals_bounces_unless_wanted() {
    let sink = Sink::start();
    let mut settings = settings();
    settings.mx_port = sink.port();
    settings.mx_networks = vec!["127.0.0.0/8".parse().unwrap()];
    let bench = Bench::start(settings);
    let id = bench.put("", &["b@[127.0.0.1]"], CONTENT).await;
    let shown = shown(&bench.outcomes(id, 1).await);
    assert!(
        shown[0].starts_with("b@[127.0.0.1] bounced 5.1.2 mail to address literals such as [127.0.0.1]"),
        "{shown:?}"
    );
    assert_eq!(sink.total(), 0);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_leads_back_here_waits_to_be_mended() {
    let host = Host::start(&["S 220 hi\nC EHLO\nS 250 RELAY.test hello\nEOF"]).await;
    let mut by_name = to_ports(&[host.port]);
    by_name.mx_port = host.port;
    let mut by_address = to_ports(&[host.port]);
    by_address.listeners = vec![SocketAddr::from(([0, 0, 0, 0], host.port))];
    for (settings, why) in [
        (by_name, "answers with this server's own name"),
        (by_address, "it listens on 127.0.0.1"),
    ] {
        let bench = Bench::start(settings);
        let id = bench.put("", &["b@x.test"], CONTENT).await;
        let last = bench.deferral(id).await.recipients[0].last.clone().unwrap();
        assert_eq!(last.status.unwrap().to_string(), "4.4.6");
        assert!(
            last.reply.contains(why) && last.reply.contains("correct its [[route]]"),
            "{last:?}"
        );
        bench.stop().await;
    }
}

/// A certificate for `localhost` and the file of the CA that issued it.
fn certificate(folder: &Path, name: &str) -> ServerTls {
    let authority = Authority::create(&AuthorityRequest::new("Test CA"), Timestamp::now()).unwrap();
    authority
        .credentials()
        .save(
            &folder.join("ca.crt"),
            &folder.join("ca.key"),
            None,
            Existing::Keep,
        )
        .unwrap();
    let issued = authority
        .issue(&CertificateRequest::new(vec![name.into()]), Timestamp::now())
        .unwrap();
    let (certificate, key) = (folder.join("host.crt"), folder.join("host.key"));
    issued.save(&certificate, &key, None, Existing::Keep).unwrap();
    ServerTls::load(&ServerTlsSettings {
        identities: vec![TlsIdentityFiles {
            certificate,
            key,
            passphrase_file: None,
        }],
        ..ServerTlsSettings::default()
    })
    .unwrap()
}

/// What the case shows, level, whether verified, the certificate's name, a script for each connection, what happens to the mail.
type TlsCase<'a> = (&'a str, TlsLevel, bool, &'a str, Vec<&'a str>, &'a str);

#[tokio::test(flavor = "multi_thread")]
async fn tls_by_its_level() {
    let offer = "S 220 hi\nC EHLO\nS 250-mx.test\nS 250 STARTTLS\n";
    let plain = "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nBODY\nS 250 done\nEOF";
    let secure = format!("{offer}C STARTTLS\nS 220 go\nTLS\nC EHLO\nS 250 mx.test\n{plain}");
    let unwilling = format!("{offer}C STARTTLS\nS 454 4.7.0 not now\n{plain}");
    let broken = format!("{offer}C STARTTLS\nS 220 go\nWAIT 100\nS this is no TLS\nEOF");
    let injected = format!("{offer}C STARTTLS\nS 220 go\nS 250 injected\nEOF");
    let closed = format!("{offer}C STARTTLS\nS 220 go\nTLS\nC EHLO");
    let unheard = format!("{offer}C STARTTLS\nS 220 go\nTLS");
    let garbage = format!("{offer}C STARTTLS\nS 220 go\nTLS\nC EHLO\nS what\nEOF");
    let denied = format!(
        "{offer}C STARTTLS\nS 220 go\nTLS\nC EHLO\nS 554 certificate\nC HELO\nS 554 certificate\nEOF"
    );
    let clear = format!("{offer}{plain}");
    let none = format!("S 220 hi\nC EHLO\nS 250 mx.test\n{plain}");
    use TlsLevel::{None as Never, Opportunistic, Required};
    #[rustfmt::skip]
    let cases: Vec<TlsCase<'_>> = vec![
        ("never",                              Never,         false, "localhost", vec![&clear],              "delivered"),
        ("a wish, offered",                    Opportunistic, false, "localhost", vec![&secure],             "delivered"),
        ("a wish, any certificate will do",    Opportunistic, false, "elsewhere", vec![&secure],             "delivered"),
        ("a wish, not offered",                Opportunistic, false, "localhost", vec![&none],               "delivered"),
        ("a wish, refused",                    Opportunistic, false, "localhost", vec![&unwilling],          "delivered"),
        ("a wish, handshake fails",            Opportunistic, false, "localhost", vec![&broken, &clear],     "delivered"),
        ("a wish, somebody in between",        Opportunistic, false, "localhost", vec![&injected, &clear],   "delivered"),
        ("a wish, closed at EHLO inside",      Opportunistic, false, "localhost", vec![&closed, &clear],     "delivered"),
        ("a wish, closed before EHLO inside",  Opportunistic, false, "localhost", vec![&unheard, &clear],    "delivered"),
        ("a wish, nonsense inside",            Opportunistic, false, "localhost", vec![&garbage, &clear],    "delivered"),
        ("a wish, no welcome inside",          Opportunistic, false, "localhost", vec![&denied, &clear],     "delivered"),
        ("needed, closed at EHLO inside",      Required,      false, "localhost", vec![&closed],             "4.7.5 TLS broke right after the handshake"),
        ("needed, offered",                    Required,      false, "elsewhere", vec![&secure],             "delivered"),
        ("needed, not offered",                Required,      false, "localhost", vec![&none],               "4.7.4 does not offer STARTTLS"),
        ("needed, refused",                    Required,      false, "localhost", vec![&unwilling],          "4.7.4 454 4.7.0 not now"),
        ("needed, handshake fails",            Required,      false, "localhost", vec![&broken],             "4.7.5 TLS handshake failed"),
        ("needed, verified",                   Required,      true,  "localhost", vec![&secure],             "delivered"),
        ("needed, certificate of another",     Required,      true,  "elsewhere", vec![&secure],             "4.7.5 certificate of localhost not verified"),
    ];
    for (shows, level, verify, certified, scripts, expected) in cases {
        let certificates = tempfile::tempdir().unwrap();
        let host = Host::start_tls(certificate(certificates.path(), certified), &scripts).await;
        let mut settings = settings();
        let via = vec![Hop {
            host: HopHost::Name("localhost".into()),
            port: host.port,
        }];
        let target = Target::Hosts {
            via,
            protocol: Protocol::Smtp,
        };
        settings.routes.rules = vec![RouteRule {
            tls: level,
            verify,
            ..RouteRule::new(DomainSet::new(["*"]).unwrap(), target)
        }];
        let folder = tempfile::tempdir().unwrap();
        let spool = spool_at(folder.path());
        let verification = Verification::CaFile(certificates.path().join("ca.crt"));
        let bench = Bench::over(
            folder,
            spool,
            settings,
            &ResolverSettings::default(),
            verification,
        );
        let id = bench.put("", &["b@x.test"], CONTENT).await;
        if expected == "delivered" {
            let history = bench.outcomes(id, 1).await;
            assert_eq!(
                (shown(&history)[0].as_str(), history[0].attempts),
                ("b@x.test delivered 2.0.0 250 done", 1),
                "{shows}"
            );
            assert_eq!(host.connections(), scripts.len(), "{shows}");
        } else {
            let last = bench.deferral(id).await.recipients[0].last.clone().unwrap();
            let (status, text) = expected.split_once(' ').unwrap();
            assert_eq!(last.status.unwrap().to_string(), status, "{shows}: {last:?}");
            assert!(last.reply.contains(text), "{shows}: {last:?}");
        }
        bench.stop().await;
    }
}

/// SHA-256 of a certificate, as openssl prints it.
fn fingerprint(certificate: &Path) -> [u8; 32] {
    let printed = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(certificate)
        .output()
        .unwrap();
    let text = String::from_utf8(printed.stdout).unwrap();
    let digits = text.trim().split_once('=').unwrap().1.split(':');
    let octets: Vec<u8> = digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect();
    octets.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_known_by_its_fingerprint() {
    let secure = "S 220 hi\nC EHLO\nS 250-mx.test\nS 250 STARTTLS\nC STARTTLS\nS 220 go\nTLS\nC EHLO\nS 250 mx.test\n\
                  C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nBODY\nS 250 done\nEOF";
    for is_named in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let tls = certificate(folder.path(), "elsewhere");
        let mut fingerprint = fingerprint(&folder.path().join("host.crt"));
        if !is_named {
            fingerprint[0] ^= 1;
        }
        let host = Host::start_tls(tls, &[secure]).await;
        let mut settings = opportunistic(host.port, Protocol::Smtp);
        settings.routes.rules[0].tls = TlsLevel::Required;
        settings.routes.rules[0].lane.pins = Pins::new(vec![fingerprint]);
        let bench = Bench::start(settings);
        let id = bench.put("", &["b@x.test"], CONTENT).await;
        if is_named {
            let history = bench.outcomes(id, 1).await;
            assert_eq!(shown(&history), ["b@x.test delivered 2.0.0 250 done"]);
        } else {
            let last = bench.deferral(id).await.recipients[0].last.clone().unwrap();
            assert_eq!(last.status.unwrap().to_string(), "4.7.5");
            assert!(last.reply.contains("none of the fingerprints"), "{last:?}");
        }
        bench.stop().await;
    }
}

/// Settings by which all mail goes to this port with opportunistic TLS, one message per connection.
fn opportunistic(port: u16, protocol: Protocol) -> postern_deliver::Settings {
    let mut settings = settings();
    let target = Target::Hosts {
        via: vec![Hop::parse(&format!("127.0.0.1:{port}"), 25).unwrap()],
        protocol,
    };
    settings.routes.rules = vec![RouteRule::new(DomainSet::new(["*"]).unwrap(), target)];
    settings.limits.messages_per_connection = 1;
    settings
}

/// This is remembered about the host, once it has accepted mail in cleartext.
#[tokio::test(flavor = "multi_thread")]
async fn tls_that_broke_is_not_tried_with_every_connection() {
    for (protocol, hello) in [(Protocol::Smtp, "EHLO"), (Protocol::Lmtp, "LHLO")] {
        let offer = format!("S 220 hi\nC {hello}\nS 250-mx.test\nS 250 STARTTLS\n");
        let broken = format!("{offer}C STARTTLS\nS 220 go\nTLS\nC {hello}");
        let clear = format!(
            "{offer}C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nBODY\nS 250 done\nC QUIT\nS 221 bye"
        );
        let certificates = tempfile::tempdir().unwrap();
        let tls = certificate(certificates.path(), "localhost");
        let host = Host::start_tls(tls, &[&broken, &clear]).await;
        let bench = Bench::start(opportunistic(host.port, protocol));
        for connections in [2, 3] {
            let id = bench.put("", &["b@x.test"], CONTENT).await;
            let history = bench.outcomes(id, 1).await;
            assert_eq!(shown(&history), ["b@x.test delivered 2.0.0 250 done"]);
            assert_eq!(host.connections(), connections, "{hello}");
        }
        host.lines();
        bench.stop().await;
    }
}

/// It may be fixed by the next attempt, which begins with TLS again.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_insists_on_the_tls_that_broke_bounces_nothing() {
    let offer = "S 220 hi\nC EHLO\nS 250-mx.test\nS 250 STARTTLS\n";
    let mail = "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nBODY\nS 250 done\nEOF";
    let broken = format!("{offer}C STARTTLS\nS 220 go\nTLS\nC EHLO");
    let insists = format!("{offer}C MAIL\nS 530 5.7.0 Must issue a STARTTLS command first\nEOF");
    let mended = format!("{offer}C STARTTLS\nS 220 go\nTLS\nC EHLO\nS 250 mx.test\n{mail}");
    let certificates = tempfile::tempdir().unwrap();
    let tls = certificate(certificates.path(), "localhost");
    let host = Host::start_tls(tls, &[&broken, &insists, &mended]).await;
    let bench = Bench::start(opportunistic(host.port, Protocol::Smtp));
    let id = bench.put("", &["b@x.test"], CONTENT).await;
    let history = bench.outcomes(id, 1).await;
    assert_eq!(shown(&history), ["b@x.test delivered 2.0.0 250 done"]);
    assert_eq!((history[0].attempts, host.connections()), (2, 3));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lmtp_answers_for_each_recipient() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("lmtp");
    let host = Host::start_unix(
        &socket,
        &[
            "S 220 hi\nC LHLO relay.test\nS 250-mx.test\nS 250 PIPELINING\nC MAIL\nC RCPT TO:<a@\nC RCPT TO:<b@\nC RCPT TO:<c@\nC DATA\n\
           S 250 ok\nS 250 ok\nS 250 ok\nS 550 5.1.1 unknown\nS 354 go\nBODY\nS 250 2.0.0 stored\nS 452 4.2.2 full\nEOF",
        ],
    );
    let mut settings = settings();
    settings.routes.local_domains = DomainSet::new(["x.test"]).unwrap();
    settings.routes.local = Target::Hosts {
        via: vec![Hop {
            host: HopHost::Unix(socket.clone()),
            port: 0,
        }],
        protocol: Protocol::Lmtp,
    };
    let bench = Bench::start(settings);
    let id = bench
        .put("", &["a@x.test", "b@x.test", "c@x.test"], CONTENT)
        .await;
    let history = bench.outcomes(id, 2).await;
    assert_eq!(
        shown(&history),
        [
            "a@x.test delivered 2.0.0 250 2.0.0 stored",
            "c@x.test bounced 5.1.1 550 5.1.1 unknown"
        ]
    );
    assert_eq!(history[0].attempt.relay, format!("unix:{}", socket.display()));
    let detail = bench.deferral(id).await;
    assert_eq!(
        detail.recipients[1].last.as_ref().unwrap().reply,
        "452 4.2.2 full"
    );
    assert_eq!(host.bodies().len(), 1);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn maildirs_are_made_and_filled() {
    let sink = Sink::start();
    let mut settings = settings();
    let mail = tempfile::tempdir().unwrap();
    settings.routes.rules = vec![rule("*", &[sink.port()])];
    settings.routes.local_domains = DomainSet::new(["local.test"]).unwrap();
    settings.routes.local = Target::Maildir(mail.path().join("below"));
    let bench = Bench::start(settings);
    let mut asked = envelope(
        "s@example.org",
        &["Anna@local.test", "bert@local.test", "c@x.test"],
    );
    asked.recipients[0].notify = postern_mail::Notify::On {
        success: true,
        failure: true,
        delay: false,
    };
    let content = format!("Subject: x\r\n\r\n{}", "a line\r\n".repeat(40_000));
    let id = bench.put_envelope(asked, content.as_bytes()).await;
    let history = bench.outcomes(id, 3).await;
    assert!(
        shown(&history)[0].starts_with("Anna@local.test delivered 2.0.0 delivered to "),
        "{history:?}"
    );
    assert!(
        sink.wait_for("Action: delivered")
            .content
            .contains("Anna@local.test")
    );
    for (name, address) in [("anna", "Anna"), ("bert", "bert")] {
        let folder = mail.path().join("below").join(name);
        let files: Vec<_> = std::fs::read_dir(folder.join("new")).unwrap().collect();
        assert_eq!(files.len(), 1);
        assert!(folder.join("cur").is_dir());
        assert_eq!(std::fs::read_dir(folder.join("tmp")).unwrap().count(), 0);
        let text = std::fs::read_to_string(files[0].as_ref().unwrap().path()).unwrap();
        let head =
            format!("Return-Path: <s@example.org>\nDelivered-To: {address}@local.test\nReceived: from test");
        assert!(text.starts_with(&head), "{}", &text[..200]);
        assert!(text.ends_with(&content.replace("\r\n", "\n")));
    }
    let mut ids = Vec::new();
    for n in 0..100 {
        ids.push(
            bench
                .put("", &[&format!("many{}@local.test", n % 3)], CONTENT)
                .await,
        );
    }
    for id in ids {
        bench.outcomes(id, 1).await;
    }
    let count = |name: &str| {
        std::fs::read_dir(mail.path().join("below").join(name).join("new"))
            .unwrap()
            .count()
    };
    assert_eq!((count("many0"), count("many1"), count("many2")), (34, 33, 33));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_cannot_be_written_defers() {
    let mut settings = settings();
    let mail = tempfile::tempdir().unwrap();
    std::fs::write(mail.path().join("anna"), "in the way").unwrap();
    settings.routes.local_domains = DomainSet::new(["local.test"]).unwrap();
    settings.routes.local = Target::Maildir(mail.path().into());
    let bench = Bench::start(settings);
    let id = bench
        .put("", &["anna@local.test", "bert@local.test"], CONTENT)
        .await;
    assert!(shown(&bench.outcomes(id, 1).await)[0].starts_with("bert@local.test delivered"));
    let last = bench.deferral(id).await.recipients[0].last.clone().unwrap();
    assert!(
        last.status.unwrap().to_string() == "4.3.0" && last.reply.contains("anna"),
        "{last:?}"
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_postfix_takes_everything() {
    let postfix = Postfix::start(
        &["x.test"],
        "smtpd_recipient_limit = 3\nmessage_size_limit = 500000\nsmtpd_relay_restrictions = reject_unauth_destination\n",
    );
    let bench = Bench::start(to_ports(&[postfix.port()]));
    let mut ids = Vec::new();
    for n in 0..100 {
        let content =
            format!("Subject: number {n}\r\nMessage-ID: <{n}@t>\r\n\r\n.\r\n..\r\ntext {n} ends\r\n");
        ids.push((
            bench.put("s@x.test", &[&format!("b{n}@x.test")], &content).await,
            1,
        ));
    }
    let many: Vec<String> = (0..8).map(|n| format!("many{n}@x.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    ids.push((bench.put("s@x.test", &many, CONTENT).await, 8));
    for (id, count) in &ids {
        for entry in bench.outcomes(*id, *count).await {
            assert!(
                entry.attempt.reply.contains("queued as") && entry.attempts == 1,
                "{entry:?}"
            );
        }
    }
    let large = bench.put("", &["b@x.test"], &"x".repeat(70).repeat(10_000)).await;
    assert!(shown(&bench.outcomes(large, 1).await)[0].starts_with("b@x.test bounced 5.3.4 "));
    let refused = bench.put("", &["b@elsewhere.test"], CONTENT).await;
    assert!(
        shown(&bench.outcomes(refused, 1).await)[0].contains("bounced 5.7.1 "),
        "relaying denied"
    );
    postern_testkit::process::wait_until("all mail is in the mailbox", || {
        let mailbox = postfix.mailbox();
        (0..100).all(|n| mailbox.contains(&format!("\n.\n..\ntext {n} ends\n")))
            && mailbox.matches("Subject: test").count() == 8
    });
    assert!(TcpStream::connect(("127.0.0.1", postfix.port())).is_ok());
    bench.stop().await;
}
