//! DNSSEC determines how mail is sent: signed, unsigned and broken zones, and hosts checked against their TLSA records.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{Bench, CONTENT, Host, settings, shown, spool_at};
use jiff::Timestamp;
use postern_mail::{FailureKind, Proof};
use postern_net::ca::{Authority, AuthorityRequest, CertificateRequest};
use postern_net::file::Existing;
use postern_net::resolver::{Dnssec, ResolverSettings};
use postern_net::tls::{ServerTls, ServerTlsSettings, TlsIdentityFiles, Verification};
use postern_policy::DomainSet;
use postern_policy::route::{RouteRule, Target, TlsLevel};
use postern_testkit::process::free_port;
use postern_testkit::signed::SignedZones;

const PLAIN: &str = "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nBODY\nS 250 done\nEOF";

/// All mail by MX records with this TLS level, to hosts of the zones on 127.0.0.2 at `port`.
fn bench(zones: &SignedZones, dnssec: Dnssec, tls: TlsLevel, port: u16) -> Bench {
    let mut settings = settings();
    settings.mx_port = port;
    settings.mx_networks = vec!["127.0.0.2/32".parse().unwrap()];
    settings.routes.rules = vec![RouteRule {
        tls,
        ..RouteRule::new(DomainSet::new(["*"]).unwrap(), Target::Mx)
    }];
    let resolver = ResolverSettings {
        nameservers: vec![zones.address()],
        attempt_timeout: Duration::from_secs(10),
        timeout: Duration::from_secs(60),
        dnssec,
        trust_anchors: (dnssec == Dnssec::Validate).then(|| zones.anchors().to_owned()),
        ..ResolverSettings::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_at(folder.path());
    Bench::over(folder, spool, settings, &resolver, Verification::None)
}

/// A host with a certificate not issued by a CA that the system trusts, and the digest of its key.
fn identity(folder: &Path) -> (ServerTls, String) {
    let authority = Authority::create(&AuthorityRequest::new("Test CA"), Timestamp::now()).unwrap();
    let issued = authority
        .issue(
            &CertificateRequest::new(vec!["anything.test".into()]),
            Timestamp::now(),
        )
        .unwrap();
    let (certificate, key) = (folder.join("host.crt"), folder.join("host.key"));
    issued.save(&certificate, &key, None, Existing::Keep).unwrap();
    let digest = Command::new("sh")
        .args(["-c", "openssl x509 -in \"$0\" -pubkey -noout | openssl pkey -pubin -outform DER | openssl dgst -sha256 -r"])
        .arg(&certificate)
        .output()
        .unwrap();
    let digest = String::from_utf8(digest.stdout).unwrap();
    let digest = digest.split_ascii_whitespace().next().unwrap().to_owned();
    assert_eq!(digest.len(), 64, "openssl does not run");
    let identity = TlsIdentityFiles {
        certificate,
        key,
        passphrase_file: None,
    };
    let tls = ServerTls::load(&ServerTlsSettings {
        identities: vec![identity],
        ..ServerTlsSettings::default()
    });
    (tls.unwrap(), digest)
}

/// One host with many names on 127.0.0.2, in zones of all kinds; `digest` is that of its key, if it has TLS.
fn zones(port: u16, digest: &str) -> SignedZones {
    let wrong = "00".repeat(32);
    SignedZones::start(&format!(
        "
        named.lab MX 10 mx.named.lab.
        mx.named.lab A 127.0.0.2
        _{port}._tcp.mx.named.lab TLSA 3 1 1 {digest}
        wrong.lab MX 10 mx.wrong.lab.
        mx.wrong.lab A 127.0.0.2
        _{port}._tcp.mx.wrong.lab TLSA 3 1 1 {wrong}
        aliased.lab MX 10 alias.lab.
        alias.lab CNAME mx.named.lab.
        useless.lab MX 10 mx.useless.lab.
        mx.useless.lab A 127.0.0.2
        _{port}._tcp.mx.useless.lab TLSA 1 1 1 {digest}
        without.lab MX 10 mx.without.lab.
        mx.without.lab A 127.0.0.2
        bare.lab A 127.0.0.2
        _{port}._tcp.bare.lab TLSA 3 1 1 {digest}
        plain.lab MX 10 mx.named.lab.
        own.plain.lab MX 10 mx.plain.lab.
        mx.plain.lab A 127.0.0.2
        _{port}._tcp.mx.plain.lab TLSA 3 1 1 {wrong}
        forged.lab MX 10 mx.named.lab.
        tampered.lab MX 10 mx.tampered.lab.
        mx.tampered.lab A 127.0.0.2
        _{port}._tcp.mx.tampered.lab CNAME x.forged.lab.
        x.forged.lab TLSA 3 1 1 {digest}
        stale.lab MX 10 mx.named.lab.
        toforged.lab MX 10 mx.forged.lab.
        mx.forged.lab A 127.0.0.2
        either.lab MX 10 mx.forged.lab.
        either.lab MX 20 mx.without.lab.
        lost.lab MX 10 mx.lost.lab.
        mx.lost.lab A 127.0.0.2
        _{port}._tcp.mx.lost.lab CNAME nowhere.dead.lab.
        "
    ))
}

/// How far the path of the last failed try was proven, as reported.
fn told(bench: &Bench) -> Option<&'static str> {
    let told = bench.told.lock().unwrap();
    let attempt = told.iter().rfind(|line| line.starts_with("attempt "));
    let (_, rest) = attempt.expect("an attempt is told of").split_once(" proof=")?;
    let value = rest.split(' ').next().unwrap();
    Proof::ALL
        .into_iter()
        .map(Proof::name)
        .find(|name| value.contains(&format!("\"{name}\"")))
}

/// What the case shows, domain, level, the script of the host, what happens to the mail, the proof that is reported.
type Case<'a> = (&'a str, &'a str, TlsLevel, &'a str, &'a str, Option<Proof>);

async fn compare(dnssec: Dnssec) {
    use Proof::{Bogus, Insecure, Secure};
    use TlsLevel::{Dane, DaneOnly, Opportunistic};
    let certificates = tempfile::tempdir().unwrap();
    let (tls, digest) = identity(certificates.path());
    let port = free_port();
    let zones = zones(port, &digest);
    let offer = "S 220 hi\nC EHLO\nS 250-mx.test\nS 250 STARTTLS\n";
    let secure = format!("{offer}C STARTTLS\nS 220 go\nTLS\nC EHLO\nS 250 mx.test\n{PLAIN}");
    let clear = format!("S 220 hi\nC EHLO\nS 250 mx.test\n{PLAIN}");
    let (secure, clear) = (secure.as_str(), clear.as_str());
    let (done, no_tls) = ("delivered", "4.7.4 by the host's TLSA records");
    #[rustfmt::skip]
    let cases: Vec<Case<'_>> = vec![
        ("held to its name",                          "named.lab",      Dane,          secure, done,   Some(Secure)),
        ("held to it without MX records",             "bare.lab",       Dane,          secure, done,   Some(Secure)),
        ("at the end of an alias",                    "aliased.lab",    Dane,          secure, done,   Some(Secure)),
        ("somebody else's certificate",               "wrong.lab",      Dane,          secure, "4.7.5 none of the host's TLSA records", Some(Secure)),
        ("STARTTLS taken out on the way",             "named.lab",      Dane,          clear,  no_tls, Some(Secure)),
        ("records of no use: TLS all the same",       "useless.lab",    Dane,          secure, done,   Some(Secure)),
        ("records of no use, and no TLS",             "useless.lab",    Dane,          clear,  no_tls, Some(Secure)),
        ("no records",                                "without.lab",    Dane,          clear,  done,   Some(Secure)),
        ("unsigned records do not count",             "own.plain.lab",  Dane,          clear,  done,   Some(Insecure)),
        ("unsigned MX records to a signed host",      "plain.lab",      Dane,          clear,  no_tls, Some(Insecure)),
        ("TLSA records that cannot be looked up",     "lost.lab",       Dane,          clear,  "4.7.0 cannot look up the TLSA records", Some(Secure)),
        ("TLSA records that were tampered with",      "tampered.lab",   Dane,          clear,  "4.7.0 cannot look up the TLSA records of mx.tampered.lab", Some(Secure)),
        ("spoiled MX records",                        "forged.lab",     Opportunistic, clear,  "4.7.0 the MX records of forged.lab cannot be trusted", Some(Bogus)),
        ("MX records of long ago",                    "stale.lab",      Dane,          clear,  "4.7.0 the MX records of stale.lab cannot be trusted", Some(Bogus)),
        ("a spoiled address",                         "toforged.lab",   Opportunistic, clear,  "4.7.0 the address of mx.forged.lab cannot be trusted", Some(Bogus)),
        ("another host is none the worse for it",     "either.lab",     Opportunistic, clear,  done,   Some(Secure)),
        ("without DANE the records do not count",     "wrong.lab",      Opportunistic, clear,  done,   Some(Secure)),
        ("only with a name",                          "named.lab",      DaneOnly,      secure, done,   Some(Secure)),
        ("only with records",                         "without.lab",    DaneOnly,      secure, "4.7.0 no TLSA records", Some(Secure)),
        ("only with signed MX records",               "plain.lab",      DaneOnly,      secure, "4.7.0 the MX records of its domain are insecure", Some(Insecure)),
        ("only with records of use",                  "useless.lab",    DaneOnly,      secure, "4.7.0 none of its TLSA records can be used", Some(Secure)),
    ];
    for (shows, domain, level, script, expected, proof) in cases {
        let address = SocketAddr::from(([127, 0, 0, 2], port));
        let _host = Host::start_tls_at(address, tls.clone(), &[script]).await;
        let bench = bench(&zones, dnssec, level, port);
        let to = format!("b@{domain}");
        let id = bench.put("", &[&to], CONTENT).await;
        if expected == "delivered" {
            let history = bench.outcomes(id, 1).await;
            assert_eq!(
                shown(&history),
                [format!("{to} delivered 2.0.0 250 done")],
                "{shows}"
            );
        } else {
            let last = bench.deferral(id).await.recipients[0].last.clone().unwrap();
            let (status, text) = expected.split_once(' ').unwrap();
            assert_eq!(last.status.unwrap().to_string(), status, "{shows}: {last:?}");
            assert!(last.reply.contains(text), "{shows}: {last:?}");
            assert_eq!(told(&bench), proof.map(Proof::name), "{shows}");
            if proof == Some(Bogus) || domain == "tampered.lab" {
                let kind = last.failure.map(|fact| fact.kind);
                assert_eq!(kind, Some(FailureKind::DnsBogus), "{shows}");
            }
        }
        let listed = bench.deliverer.destinations();
        assert_eq!(listed[0].proof, proof, "{shows}");
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_our_own_validation() {
    compare(Dnssec::Validate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_word_of_the_resolver() {
    compare(Dnssec::Ad).await;
}

/// Nothing is looked up, reported or demanded.
#[tokio::test(flavor = "multi_thread")]
async fn off_is_as_if_there_were_no_dnssec() {
    let port = free_port();
    let zones = zones(port, &"00".repeat(32));
    let clear = format!("S 220 hi\nC EHLO\nS 250 mx.test\n{PLAIN}");
    let host = Host::start_at(SocketAddr::from(([127, 0, 0, 2], port)), &[&clear]).await;
    let bench = bench(&zones, Dnssec::Off, TlsLevel::Opportunistic, port);
    for domain in ["named.lab", "plain.lab"] {
        let to = format!("b@{domain}");
        let id = bench.put("", &[&to], CONTENT).await;
        assert_eq!(bench.outcomes(id, 1).await.len(), 1, "{domain}");
    }
    let id = bench.put("", &["b@forged.lab"], CONTENT).await;
    let last = bench.deferral(id).await.recipients[0].last.clone().unwrap();
    // The resolver does not return bogus data, and does not say why.
    assert!(last.reply.contains("Server Failure"), "{last:?}");
    for listed in bench.deliverer.destinations() {
        assert_eq!(listed.proof, None, "{listed:?}");
    }
    assert_eq!(told(&bench), None);
    host.lines();
    bench.stop().await;
}
