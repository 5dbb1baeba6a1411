//! Answers as a validator returns them, and as an attacker in between would forge them.

use super::*;
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, MX, SOA};
use std::net::Ipv4Addr;

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}

fn record(owner: &str, data: RData, verdict: Verdict) -> Record {
    let mut record = Record::from_rdata(name(owner), 60, data);
    record.proof = verdict;
    record
}

fn mx(owner: &str, verdict: Verdict) -> Record {
    record(owner, RData::MX(MX::new(10, name("mx.test"))), verdict)
}

fn alias(owner: &str, target: &str, verdict: Verdict) -> Record {
    record(owner, RData::CNAME(CNAME(name(target))), verdict)
}

fn address(owner: &str, verdict: Verdict) -> Record {
    let address = A(Ipv4Addr::new(192, 0, 2, 1));
    record(owner, RData::A(address), verdict)
}

fn soa(owner: &str, verdict: Verdict) -> Record {
    let data = SOA::new(name("ns.test"), name("root.test"), 1, 60, 60, 60, 60);
    record(owner, RData::SOA(data), verdict)
}

#[test]
fn an_answer_is_as_good_as_its_weakest_record_on_the_way() {
    use Verdict::{Indeterminate, Insecure, Secure};
    #[rustfmt::skip]
    let cases = [
        // what the case shows                    records                                                                            proof, records, where
        ("signed",                                vec![mx("a.test", Secure), mx("A.test", Secure)],                                  (Proof::Secure, 2, None)),
        ("unsigned",                              vec![mx("a.test", Insecure)],                                                      (Proof::Insecure, 1, None)),
        ("not looked at",                         vec![mx("a.test", Indeterminate)],                                                 (Proof::Indeterminate, 1, None)),
        ("contradicted",                          vec![mx("a.test", Secure), mx("a.test", Verdict::Bogus)],                          (Proof::Bogus, 2, None)),
        ("by a signed alias",                     vec![alias("a.test", "b.test", Secure), mx("b.test", Secure)],                     (Proof::Secure, 1, Some("b.test"))),
        ("out of order",                          vec![mx("b.test", Secure), alias("a.test", "b.test", Secure)],                     (Proof::Secure, 1, Some("b.test"))),
        ("by an unsigned alias",                  vec![alias("a.test", "b.test", Insecure), mx("b.test", Secure)],                   (Proof::Insecure, 1, Some("b.test"))),
        ("to an unsigned zone",                   vec![alias("a.test", "b.test", Secure), mx("b.test", Insecure)],                   (Proof::Insecure, 1, Some("b.test"))),
        ("what was thrown in weakens nothing",    vec![mx("a.test", Secure), address("x.evil", Insecure)],                           (Proof::Secure, 1, None)),
        ("and adds nothing",                      vec![mx("a.test", Secure), mx("x.evil", Insecure)],                                (Proof::Secure, 1, None)),
        ("aliases in a circle",                   vec![alias("a.test", "b.test", Secure), alias("b.test", "a.test", Secure)],        (Proof::Insecure, 0, None)),
        ("an alias to nothing",                   vec![alias("a.test", "b.test", Secure)],                                           (Proof::Insecure, 0, Some("b.test"))),
    ];
    for (shows, records, (proof, count, canonical)) in cases {
        let query = Query::query(name("a.test"), RecordType::MX);
        let lookup = Lookup::new_with_max_ttl(query, records);
        let reading = read(Dnssec::Validate, &lookup, &name("a.test"), RecordType::MX);
        assert_eq!((reading.proof, reading.data.len()), (proof, count), "{shows}");
        if count > 0 {
            assert_eq!(reading.canonical, canonical.map(name), "{shows}");
        }
        let off = read(Dnssec::Off, &lookup, &name("a.test"), RecordType::MX);
        assert_eq!(off.proof, Proof::Indeterminate, "{shows}, with DNSSEC off");
    }
}

#[test]
fn a_signed_answer_beside_an_unsigned_zone_is_bogus() {
    let query = Query::query(name("a.test"), RecordType::MX);
    let mut lookup = Lookup::new_with_max_ttl(query, [mx("a.test", Verdict::Secure)]);
    lookup.extend_authorities([soa("evil", Verdict::Insecure)]);
    let reading = read(Dnssec::Validate, &lookup, &name("a.test"), RecordType::MX);
    assert_eq!(reading.proof, Proof::Bogus);
}

#[test]
fn what_is_not_there() {
    use Verdict::{Indeterminate, Insecure, Secure};
    use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, NSEC};
    let nsec = |owner: &str, verdict| {
        let data = NSEC::new(name("z.test"), [RecordType::A]);
        record(owner, RData::DNSSEC(DNSSECRData::NSEC(data)), verdict)
    };
    let (off, ad, validate) = (Dnssec::Off, Dnssec::Ad, Dnssec::Validate);
    #[rustfmt::skip]
    let cases = [
        // what the case shows                            how       at         beside it                                                  proof
        ("nobody has looked",                             off,      "a.test",  vec![soa("test", Secure)],                                 Proof::Indeterminate),
        ("the resolver vouches",                          ad,       "a.test",  vec![soa("test", Secure)],                                 Proof::Secure),
        ("it does not",                                   ad,       "a.test",  vec![soa("test", Insecure)],                               Proof::Insecure),
        ("it says nothing",                               ad,       "a.test",  vec![],                                                    Proof::Insecure),
        ("a signed denial",                               validate, "a.test",  vec![soa("test", Secure), nsec("a.test", Secure)],         Proof::Secure),
        ("a signed zone's name alone denies nothing",     validate, "a.test",  vec![soa("test", Secure)],                                 Proof::Insecure),
        ("an unsigned zone",                              validate, "a.test",  vec![soa("test", Insecure)],                               Proof::Insecure),
        ("an unsigned zone without a word",               validate, "a.test",  vec![],                                                    Proof::Insecure),
        ("somebody else's unsigned zone",                 validate, "a.test",  vec![soa("evil", Insecure)],                               Proof::Bogus),
        ("a zone below",                                  validate, "a.test",  vec![soa("x.a.test", Insecure)],                           Proof::Bogus),
        ("behind an alias",                               validate, "b.test",  vec![soa("test", Secure), nsec("b.test", Secure)],         Proof::Insecure),
        ("a denial that was not verified",                validate, "a.test",  vec![nsec("a.test", Indeterminate)],                       Proof::Insecure),
    ];
    for (shows, dnssec, at, beside, proof) in cases {
        let query = Query::query(name(at), RecordType::MX);
        let mut none = NoRecords::new(query, ResponseCode::NoError);
        none.authorities = Some(beside.into());
        assert_eq!(denial(dnssec, &none, &name("a.test")), proof, "{shows}");
    }
}
