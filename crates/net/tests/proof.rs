//! How far answers are proven: signed, unsigned and corrupted zones behind a real unbound, by its verdict and by our own
//! validation.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use postern_mail::Proof;
use postern_net::resolver::{Dnssec, Proven, ResolveError, Resolver, ResolverSettings};
use postern_testkit::signed::SignedZones;
use postern_testkit::unbound::Unbound;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

const ZONES: &str = "
    signed.lab MX 10 mx.lab.
    mx.lab A 192.0.2.1
    mx.lab AAAA 2001:db8::1
    four.lab A 192.0.2.4
    alias.lab CNAME signed.lab.
    host.lab CNAME mx.lab.
    four-alias.lab CNAME four.lab.
    twice.lab CNAME host.lab.
    *.hosts.lab CNAME four.lab.
    toplain.lab CNAME plain.lab.
    toforged.lab CNAME forged.lab.
    tonothing.lab CNAME nothing.lab.
    *.wild.lab MX 10 mx.lab.
    *.deep.wild.lab MX 10 mx.lab.
    hashed.lab MX 10 mx.hashed.lab.
    mx.hashed.lab A 192.0.2.3
    *.wild.hashed.lab MX 10 mx.hashed.lab.
    hop.lab CNAME hop.hashed.lab.
    hop.hashed.lab CNAME signed.lab.
    old.lab DNAME new.lab.
    new.lab A 192.0.2.9
    site.new.lab MX 10 mx.lab.
    a.host.new.lab A 192.0.2.5
    *.any.new.lab MX 10 mx.lab.
    b.any.new.lab A 192.0.2.6
    far.lab DNAME Site.Hashed.lab.
    one.site.hashed.lab MX 10 mx.hashed.lab.
    back.hashed.lab DNAME new.lab.
    alias-old.lab CNAME site.old.lab.
    tounsigned.lab DNAME plain.lab.
    site.plain.lab MX 10 mx.plain.lab.
    moved.plain.lab DNAME new.lab.
    towrong.lab DNAME forged.lab.
    site.forged.lab MX 10 mx.forged.lab.
    moved.forged.lab DNAME new.lab.
    plain.lab MX 10 mx.plain.lab.
    mx.plain.lab A 192.0.2.2
    back.plain.lab CNAME signed.lab.
    forged.lab MX 10 mx.forged.lab.
    mx.forged.lab A 192.0.2.66
    stale.lab MX 10 mx.stale.lab.
    mx.stale.lab A 192.0.2.67
    _25._tcp.mx.lab TLSA 3 1 1 0101010101010101010101010101010101010101010101010101010101010101
    _25._tcp.mx.plain.lab TLSA 3 1 1 0101010101010101010101010101010101010101010101010101010101010101
    _25._tcp.mx.forged.lab TLSA 3 1 1 0101010101010101010101010101010101010101010101010101010101010101
";

fn resolver(zones: &SignedZones, dnssec: Dnssec) -> Resolver {
    let settings = ResolverSettings {
        nameservers: vec![zones.address()],
        attempt_timeout: Duration::from_secs(10),
        timeout: Duration::from_secs(60),
        dnssec,
        trust_anchors: (dnssec == Dnssec::Validate).then(|| zones.anchors().to_owned()),
        ..ResolverSettings::default()
    };
    Resolver::new(&settings).unwrap()
}

/// In a word each: how many records, or why there are none; and how far that is proven.
fn shown<T>(proven: &Proven<Result<Vec<T>, ResolveError>>) -> (String, Proof) {
    let word = match &proven.found {
        Ok(records) => records.len().to_string(),
        Err(ResolveError::NoSuchDomain(_)) => "no such domain".to_owned(),
        Err(ResolveError::NoData(_)) => "no data".to_owned(),
        Err(ResolveError::Bogus(_)) => "bogus".to_owned(),
        Err(error) if error.is_temporary() => "temporary".to_owned(),
        Err(error) => panic!("{error}"),
    };
    (word, proven.proof)
}

async fn compare(dnssec: Dnssec) {
    use Proof::{Bogus, Indeterminate, Insecure, Secure};
    let zones = SignedZones::start(ZONES);
    let resolver = resolver(&zones, dnssec);
    #[rustfmt::skip]
    let cases = [
        // what the case shows                   domain               found              proof
        ("signed",                               "signed.lab",        "1",               Secure),
        ("the case of letters",                  "Signed.LAB.",       "1",               Secure),
        ("by a signed alias",                    "alias.lab",         "1",               Secure),
        ("by a wildcard",                        "any.wild.lab",      "1",               Secure),
        ("by one far above",                     "some.name.wild.lab", "1",              Secure),
        ("by another wildcard below",            "x.deep.wild.lab",   "1",               Secure),
        ("signed with NSEC3",                    "hashed.lab",        "1",               Secure),
        ("by a wildcard there",                  "any.wild.hashed.lab", "1",             Secure),
        ("no such name there",                   "none.hashed.lab",   "no such domain",  Secure),
        ("a name without MX there",              "mx.hashed.lab",     "no data",         Secure),
        ("unsigned",                             "plain.lab",         "1",               Insecure),
        ("an alias to an unsigned zone",         "toplain.lab",       "1",               Insecure),
        ("an alias from an unsigned zone",       "back.plain.lab",    "1",               Insecure),
        ("a tampered signature",                 "forged.lab",        "bogus",           Bogus),
        ("an alias to one",                      "toforged.lab",      "bogus",           Bogus),
        ("signatures of long ago",               "stale.lab",         "bogus",           Bogus),
        ("a signed name without MX",             "mx.lab",            "no data",         Secure),
        ("an unsigned name without MX",          "mx.plain.lab",      "no data",         Insecure),
        ("a denial that is tampered with",       "mx.forged.lab",     "bogus",           Bogus),
        ("no such name in a signed zone",        "none.lab",          "no such domain",  Secure),
        ("no such name in an unsigned zone",     "none.plain.lab",    "no such domain",  Insecure),
        ("no such name in a spoiled zone",       "none.forged.lab",   "bogus",           Bogus),
        ("an alias to nothing",                  "tonothing.lab",     "no such domain",  Insecure),
        ("an alias to a name without MX",        "host.lab",          "no data",         Insecure),
        ("no top level of that name",            "none.nowhere",      "no such domain",  Secure),
        ("a zone that nobody answers for",       "x.dead.lab",        "temporary",       Indeterminate),
        ("aliases over two zones",               "hop.lab",           "1",               Secure),
        ("below a DNAME",                        "site.old.lab",      "1",               Secure),
        ("below one, at a wildcard",             "x.any.old.lab",     "1",               Secure),
        ("below one of another zone",            "one.far.lab",       "1",               Secure),
        ("below one, back from there",           "site.back.hashed.lab", "1",            Secure),
        ("by an alias to below one",             "alias-old.lab",     "1",               Secure),
        ("below one to an unsigned zone",        "site.tounsigned.lab", "1",             Insecure),
        ("below one of an unsigned zone",        "site.moved.plain.lab", "1",            Insecure),
        ("below one to a spoiled zone",          "site.towrong.lab",  "bogus",           Bogus),
        ("below one of a spoiled zone",          "site.moved.forged.lab", "bogus",       Bogus),
        ("nothing below one",                    "none.old.lab",      "no such domain",  Insecure),
        ("no MX below one",                      "a.host.old.lab",    "no data",         Insecure),
        ("this host, which no zone has",         "localhost",         "no data",         Insecure),
    ];
    for (shows, domain, found, proof) in cases {
        let answer = resolver.proven_mx(domain).await;
        assert_eq!(shown(&answer), (found.to_owned(), proof), "{shows}: {answer:?}");
        // From the cache, if it was cached.
        let again = resolver.proven_mx(domain).await;
        assert_eq!(again, answer, "{shows}");
    }
    #[rustfmt::skip]
    let cases = [
        // what the case shows                   host                found              proof       at the end of its aliases
        ("both families",                        "mx.lab",           "2",               Secure,     None),
        ("one family",                           "four.lab",         "1",               Secure,     None),
        ("by an alias",                          "host.lab",         "2",               Secure,     Some("mx.lab")),
        ("by two",                               "twice.lab",        "2",               Secure,     Some("mx.lab")),
        ("to one family",                        "four-alias.lab",   "1",               Secure,     Some("four.lab")),
        ("by a wildcard alias",                  "x.hosts.lab",      "1",               Secure,     Some("four.lab")),
        ("below a DNAME",                        "a.host.old.lab",   "1",               Secure,     Some("a.host.new.lab")),
        ("unsigned",                             "mx.plain.lab",     "1",               Insecure,   None),
        ("tampered with",                        "mx.forged.lab",    "bogus",           Bogus,      None),
        ("of long ago",                          "mx.stale.lab",     "bogus",           Bogus,      None),
        ("neither",                              "signed.lab",       "no data",         Secure,     None),
    ];
    for (shows, host, found, proof, canonical) in cases {
        let answer = resolver.proven_addresses(host).await;
        assert_eq!(shown(&answer), (found.to_owned(), proof), "{shows}: {answer:?}");
        assert_eq!(answer.canonical.as_deref(), canonical, "{shows}");
    }
    let own = resolver.proven_addresses("localhost").await;
    assert!(own.found.is_ok(), "{own:?}");
    assert_eq!(own.proof, Indeterminate, "/etc/hosts is nobody's zone");
    #[rustfmt::skip]
    let cases = [
        ("signed",          "mx.lab",          25, "1",               Secure),
        ("another port",    "mx.lab",          26, "no such domain",  Secure),
        ("unsigned",        "mx.plain.lab",    25, "1",               Insecure),
        ("tampered with",   "mx.forged.lab",   25, "bogus",           Bogus),
    ];
    for (shows, host, port, found, proof) in cases {
        let answer = resolver.tlsa(host, port).await;
        assert_eq!(shown(&answer), (found.to_owned(), proof), "{shows}: {answer:?}");
    }
}

#[tokio::test]
async fn by_our_own_validation() {
    compare(Dnssec::Validate).await;
}

#[tokio::test]
async fn by_the_word_of_the_resolver() {
    compare(Dnssec::Ad).await;
}

#[tokio::test]
async fn off_proves_nothing() {
    let zones = SignedZones::start(ZONES);
    let resolver = resolver(&zones, Dnssec::Off);
    for domain in ["signed.lab", "plain.lab", "none.lab", "mx.lab"] {
        let answer = resolver.proven_mx(domain).await;
        assert_eq!(answer.proof, Proof::Indeterminate, "{answer:?}");
    }
    let spoiled = resolver.proven_mx("forged.lab").await;
    assert_eq!(shown(&spoiled), ("temporary".to_owned(), Proof::Indeterminate));
}

#[tokio::test]
async fn other_anchors_prove_nothing() {
    let zones = SignedZones::start(ZONES);
    let settings = ResolverSettings {
        nameservers: vec![zones.address()],
        dnssec: Dnssec::Validate,
        ..ResolverSettings::default()
    };
    let resolver = Resolver::new(&settings).unwrap();
    let answer = resolver.proven_mx("signed.lab").await;
    assert_eq!(shown(&answer), ("bogus".to_owned(), Proof::Bogus), "{answer:?}");
}

/// A resolver that does not validate proves nothing, whatever it resolves.
#[tokio::test]
async fn a_resolver_without_dnssec() {
    let unbound = Unbound::start("site.example MX 10 mx.site.example.\nbusy.example SERVFAIL");
    let settings = ResolverSettings {
        nameservers: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, unbound.port()))],
        dnssec: Dnssec::Ad,
        ..ResolverSettings::default()
    };
    let resolver = Resolver::new(&settings).unwrap();
    let answer = resolver.proven_mx("site.example").await;
    assert_eq!(shown(&answer), ("1".to_owned(), Proof::Insecure), "{answer:?}");
    let refused = resolver.proven_mx("x.busy.example").await;
    assert_eq!(shown(&refused), ("temporary".to_owned(), Proof::Indeterminate));
}
