//! Servers checked against their TLSA records, with `openssl s_server` as the host.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use postern_net::resolver::TlsaRecord;
use postern_net::tls::{HandshakeError, TlsaSet, Verification, Verify};
use support::s_server::{SServer, client, talk};
use support::{Bench, EC};

/// The part of a certificate that a record is about, in DER.
fn part(bench: &Bench, name: &str, selector: u8) -> Vec<u8> {
    let file = format!("{name}-{selector}.der");
    if selector == 0 {
        bench.openssl(&format!("x509 -in {name}.crt -outform DER -out {file}"));
    } else {
        bench.openssl(&format!("x509 -in {name}.crt -pubkey -noout -out {name}.pub"));
        bench.openssl(&format!("pkey -pubin -in {name}.pub -outform DER -out {file}"));
    }
    std::fs::read(bench.path(&file)).unwrap()
}

/// The record `usage selector matching` for a certificate.
fn record(bench: &Bench, name: &str, (usage, selector, matching): (u8, u8, u8)) -> TlsaRecord {
    let part = part(bench, name, selector);
    TlsaRecord {
        usage,
        selector,
        matching,
        data: match matching {
            0 => part,
            1 => digest(&SHA256, &part).as_ref().to_vec(),
            _ => digest(&SHA512, &part).as_ref().to_vec(),
        },
    }
}

#[tokio::test]
async fn the_certificate_that_the_records_name() {
    let bench = Bench::new();
    bench.ca("ca");
    bench.ca("stranger");
    bench.certificate("host", "ca", "/CN=host", EC, "subjectAltName=DNS:mx.test");
    bench.certificate("other", "ca", "/CN=other", EC, "subjectAltName=DNS:mx.test");
    // Expired long ago, for another name, from no known authority: with DANE-EE none of that matters.
    bench.openssl_at(
        "2020-01-01 00:00:00",
        "req -x509 -newkey rsa:2048 -nodes -keyout old.key -out old.crt -days 9 -subj /CN=old \
         -addext subjectAltName=DNS:old.test",
    );
    std::fs::copy(bench.path("ca.crt"), bench.path("chain.pem")).unwrap();
    let whole = SServer::start(&bench, "host", "-cert_chain chain.pem");
    let bare = SServer::start(&bench, "host", "");
    let old = SServer::start(&bench, "old", "");
    #[rustfmt::skip]
    let cases = [
        // what the case shows                               server  the records                                              names                  outcome
        ("its key, SHA-256",                                 &bare,  vec![("host", (3, 1, 1))],                               vec!["elsewhere.test"], "OK"),
        ("its key, SHA-512",                                 &bare,  vec![("host", (3, 1, 2))],                               vec!["mx.test"],        "OK"),
        ("its certificate, SHA-256",                         &bare,  vec![("host", (3, 0, 1))],                               vec!["mx.test"],        "OK"),
        ("its certificate as it is",                         &bare,  vec![("host", (3, 0, 0))],                               vec!["mx.test"],        "OK"),
        ("its key as it is",                                 &bare,  vec![("host", (3, 1, 0))],                               vec!["mx.test"],        "OK"),
        ("out of date, another name, self-signed",           &old,   vec![("old", (3, 1, 1))],                                vec!["mx.test"],        "OK"),
        ("one of two, during a change of keys",              &bare,  vec![("other", (3, 1, 1)), ("host", (3, 1, 1))],         vec!["mx.test"],        "OK"),
        ("the authority, in the chain",                      &whole, vec![("ca", (2, 0, 1))],                                 vec!["mx.test"],        "OK"),
        ("the authority's key",                              &whole, vec![("ca", (2, 1, 1))],                                 vec!["mx.test"],        "OK"),
        ("the second of several names",                      &whole, vec![("ca", (2, 1, 1))],                                 vec!["a.test", "mx.test."], "OK"),
        ("the authority, whole in the record alone",         &bare,  vec![("ca", (2, 0, 0))],                                 vec!["mx.test"],        "OK"),
        ("an authority that was not sent",                   &bare,  vec![("ca", (2, 0, 1))],                                 vec!["mx.test"],        "none of the host's TLSA records"),
        ("another name of that authority",                   &whole, vec![("ca", (2, 0, 1))],                                 vec!["a.test"],         "issued for mx.test"),
        ("another authority",                                &whole, vec![("stranger", (2, 0, 1))],                           vec!["mx.test"],        "none of the host's TLSA records"),
        ("another authority, whole in the record",           &whole, vec![("stranger", (2, 0, 0))],                           vec!["mx.test"],        "not issued by a trusted authority"),
        ("another host of the same authority",               &whole, vec![("other", (3, 1, 1))],                              vec!["mx.test"],        "none of the host's TLSA records"),
        ("the authority does not stand for the host",        &whole, vec![("ca", (3, 0, 1))],                                 vec!["mx.test"],        "none of the host's TLSA records"),
    ];
    for (shows, server, named, names, outcome) in cases {
        let records: Vec<TlsaRecord> = named
            .into_iter()
            .map(|(name, kind)| record(&bench, name, kind))
            .collect();
        let set = TlsaSet::read(&records).unwrap();
        let tls = client(Verification::None).held_to(set, &names);
        match talk(&tls, server.address, "mx.test").await {
            Ok(facts) => {
                assert_eq!(outcome, "OK", "{shows}");
                assert_eq!(facts.verify, Verify::Ok, "{shows}");
            }
            Err(HandshakeError::Unverified { reason, .. }) => {
                assert!(reason.contains(outcome), "{shows}: {reason}");
            }
            Err(other) => panic!("{shows}: {other}"),
        }
    }
}

#[tokio::test]
async fn the_certificate_that_a_fingerprint_names() {
    let bench = Bench::new();
    bench.ca("ca");
    bench.certificate("host", "ca", "/CN=host", EC, "subjectAltName=DNS:mx.test");
    bench.certificate("other", "ca", "/CN=other", EC, "subjectAltName=DNS:mx.test");
    bench.openssl_at(
        "2020-01-01 00:00:00",
        "req -x509 -newkey rsa:2048 -nodes -keyout old.key -out old.crt -days 9 -subj /CN=old",
    );
    let host = SServer::start(&bench, "host", "");
    let old = SServer::start(&bench, "old", "");
    let fingerprint = |name: &str, selector: u8| -> [u8; 32] {
        let part = part(&bench, name, selector);
        digest(&SHA256, &part).as_ref().try_into().unwrap()
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows                                  server  the fingerprints                                           whether it is taken
        ("the certificate",                                     &host,  vec![fingerprint("host", 0)],                              true),
        ("its key, which a new certificate may keep",           &host,  vec![fingerprint("host", 1)],                              true),
        ("one of two, during a change",                         &host,  vec![fingerprint("other", 0), fingerprint("host", 0)],     true),
        ("out of date, self-signed, another name",              &old,   vec![fingerprint("old", 0)],                               true),
        ("another host of the same authority",                  &host,  vec![fingerprint("other", 0), fingerprint("other", 1)],    false),
        ("the authority does not stand for the host",           &host,  vec![fingerprint("ca", 0)],                                false),
    ];
    for (shows, server, fingerprints, is_taken) in cases {
        let tls = client(Verification::SystemRoots).pinned_to(&fingerprints);
        match talk(&tls, server.address, "mx.test").await {
            Ok(facts) => {
                assert!(is_taken, "{shows}");
                assert_eq!(facts.verify, Verify::Ok, "{shows}");
            }
            Err(HandshakeError::Unverified { reason, .. }) => {
                assert!(!is_taken, "{shows}");
                assert!(reason.contains("none of the fingerprints"), "{shows}: {reason}");
            }
            Err(other) => panic!("{shows}: {other}"),
        }
    }
}
