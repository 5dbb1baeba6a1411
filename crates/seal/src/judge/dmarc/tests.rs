//! Records, authors, and results.

use postern_policy::authenticity::{DmarcResult, Requested};

use super::Record;
use crate::judge::forge::{dkim, judge, judge_with, key, record};
use crate::judge::zone::Zone;

const BODY: &str = "To: b@here.example\r\nSubject: x\r\n\r\nHello\r\n";

fn signed(key: &crate::SigningKey, from: &str, domain: &str) -> String {
    let message = format!("From: {from}\r\n{BODY}");
    let tags = format!("v=1; a=ed25519-sha256; c=relaxed/relaxed; d={domain}; s=sel; h=from:to:subject");
    format!("{}{message}", dkim(key, &tags, &message))
}

#[test]
fn alignment_and_policy() {
    let key = key();
    let lines = format!(
        "sel._domainkey.site.example TXT {0}
         sel._domainkey.sub.site.example TXT {0}
         sel._domainkey.other.example TXT {0}
         sel._domainkey.busy.site.example TXT SERVFAIL
         site.example TXT v=spf1 ip4:192.0.2.1 -all
         sub.site.example TXT v=spf1 ip4:192.0.2.1 -all
         other.example TXT v=spf1 ip4:192.0.2.1 -all
         busy.site.example TXT SERVFAIL
         sub.site.example A 192.0.2.1",
        record(&key)
    );
    let relaxed = "v=DMARC1; p=reject";
    let strict = "v=DMARC1; p=reject; adkim=s; aspf=s";
    #[rustfmt::skip]
    let cases = [
        // what the case shows             record     From                   signed by            sender                result, what is asked for
        ("SPF alone",                      relaxed,   "a@site.example",      "",                  "x@site.example",     "pass none"),
        ("SPF of a subdomain",             relaxed,   "a@site.example",      "",                  "x@sub.site.example", "pass none"),
        ("the same, strict",               strict,    "a@site.example",      "",                  "x@sub.site.example", "fail reject"),
        ("DKIM alone",                     relaxed,   "a@site.example",      "site.example",      "x@other.example",    "pass none"),
        ("DKIM of a subdomain",            relaxed,   "a@site.example",      "sub.site.example",  "x@other.example",    "pass none"),
        ("the same, strict",               strict,    "a@site.example",      "sub.site.example",  "x@other.example",    "fail reject"),
        ("DKIM of the domain above",       relaxed,   "a@sub.site.example",  "site.example",      "x@other.example",    "pass none"),
        ("strict and the same",            strict,    "a@site.example",      "site.example",      "x@other.example",    "pass none"),
        ("of another domain",              relaxed,   "a@site.example",      "other.example",     "x@other.example",    "fail reject"),
        ("nothing passes",                 relaxed,   "a@site.example",      "",                  "x@none.example",     "fail reject"),
        ("below the record",               relaxed,   "a@sub.site.example",  "",                  "x@none.example",     "fail reject"),
        ("sp=",                            "v=DMARC1; p=reject; sp=quarantine", "a@sub.site.example", "",            "x@none.example",     "fail quarantine"),
        ("sp= is for what is below",       "v=DMARC1; p=reject; sp=none",       "a@site.example",     "",            "x@none.example",     "fail reject"),
        ("np=, it exists",                 "v=DMARC1; p=none; np=reject",       "a@sub.site.example", "",            "x@none.example",     "fail none"),
        ("np=, it does not",               "v=DMARC1; p=none; np=reject",       "a@no.site.example",  "",            "x@none.example",     "fail reject"),
        ("t=y",                            "v=DMARC1; p=reject; t=y",           "a@site.example",     "",            "x@none.example",     "fail quarantine"),
        ("t=y, quarantine",                "v=DMARC1; p=quarantine; t=y",       "a@site.example",     "",            "x@none.example",     "fail none"),
        ("pct=0",                          "v=DMARC1; p=reject; pct=0",         "a@site.example",     "",            "x@none.example",     "fail quarantine"),
        ("a pct= that is none",            "v=DMARC1; p=reject; pct=x",         "a@site.example",     "",            "x@none.example",     "fail reject"),
        ("case does not matter in values", "v=DMARC1; p=Reject",                "a@site.example",     "",            "x@none.example",     "fail reject"),
        ("blanks do not matter",           " v = DMARC1 ;\tp = reject ;",       "a@site.example",     "",            "x@none.example",     "fail reject"),
        ("v= is not first",                "p=reject; v=DMARC1",                "a@site.example",     "",            "x@none.example",     "none none"),
        ("v= in another case",             "v=dmarc1; p=reject",                "a@site.example",     "",            "x@none.example",     "none none"),
        ("a longer version",               "v=DMARC10; p=reject",               "a@site.example",     "",            "x@none.example",     "none none"),
        ("an unknown p= with rua=",        "v=DMARC1; p=nope; rua=mailto:r@site.example", "a@site.example", "",      "x@none.example",     "fail none"),
        ("an unknown p= without",          "v=DMARC1; p=nope",                  "a@site.example",     "",            "x@none.example",     "permerror none"),
        ("no p= with a rua= that is none", "v=DMARC1; rua=nowhere",             "a@site.example",     "",            "x@none.example",     "permerror none"),
        ("DNS fails for the record",       "SERVFAIL",                          "a@site.example",     "site.example", "x@site.example",    "temperror none"),
        ("DNS fails for the record above", "SERVFAIL",                          "a@sub.site.example", "",            "x@none.example",     "temperror none"),
        ("DNS fails for the key",          relaxed,   "a@site.example",      "busy.site.example", "x@none.example",     "temperror none"),
        ("the same, and SPF passes",       relaxed,   "a@site.example",      "busy.site.example", "x@site.example",     "pass none"),
        ("DNS fails for SPF",              relaxed,   "a@site.example",      "",                  "x@busy.site.example", "temperror none"),
        ("the same of another domain",     strict,    "a@site.example",      "",                  "x@busy.site.example", "fail reject"),
        ("a domain without a record",      relaxed,   "a@other.example",     "",                  "x@none.example",     "none none"),
        ("names in UTF-8 are A-labels",    relaxed,   "a@SITE.Example",      "",                  "x@site.example",     "pass none"),
    ];
    for (shows, record, from, domain, sender, want) in cases {
        let mut zone = Zone::new(&lines);
        zone.add("_dmarc.site.example", "TXT", record);
        let message = if domain.is_empty() {
            format!("From: {from}\r\n{BODY}")
        } else {
            signed(&key, from, domain)
        };
        let outcome = judge(&zone, &message, "192.0.2.1", sender).dmarc.unwrap();
        assert_eq!(
            format!("{} {}", outcome.result, outcome.requested),
            want,
            "{shows}: {outcome:?}"
        );
    }
}

#[test]
fn records_beside_each_other() {
    for (shows, records, want) in [
        ("one", &["v=DMARC1; p=reject"][..], DmarcResult::Fail),
        (
            "two are none",
            &["v=DMARC1; p=reject", "v=DMARC1; p=none"],
            DmarcResult::None,
        ),
        (
            "another text before it",
            &["hello", "v=DMARC1; p=reject"],
            DmarcResult::Fail,
        ),
        (
            "another text behind it",
            &["v=DMARC1; p=reject", "v=spf1 -all"],
            DmarcResult::Fail,
        ),
    ] {
        let mut zone = Zone::default();
        for record in records {
            zone.add("_dmarc.site.example", "TXT", record);
        }
        let message = format!("From: a@site.example\r\n{BODY}");
        let outcome = judge(&zone, &message, "192.0.2.1", "").dmarc.unwrap();
        assert_eq!(outcome.result, want, "{shows}");
    }
}

#[test]
fn authors() {
    let zone = Zone::new(
        "_dmarc.site.example TXT v=DMARC1; p=reject
         site.example TXT v=spf1 +all",
    );
    #[rustfmt::skip]
    let cases = [
        // what the case shows               From                                                         result
        ("one",                              "From: a@site.example\r\n",                                 "pass"),
        ("with a name",                      "From: \"x@other.example\" <a@site.example>\r\n",           "pass"),
        ("folded",                           "From: A\r\n <a@site.example>\r\n",                         "pass"),
        ("two of one domain",                "From: a@site.example, b@site.example\r\n",                 "pass"),
        ("two of different domains",         "From: a@site.example, b@other.example\r\n",                "permerror"),
        ("two fields, the good one first",   "From: a@site.example\r\nFrom: b@other.example\r\n",        "permerror"),
        ("two fields, the good one last",    "From: b@other.example\r\nFrom: a@site.example\r\n",        "permerror"),
        ("the same twice",                   "From: a@site.example\r\nFrom: a@site.example\r\n",         "permerror"),
        ("in another case",                  "From: a@site.example\r\nFROM : b@other.example\r\n",       "permerror"),
        ("none",                             "",                                                         "permerror"),
        ("two addresses in one",             "From: <a@site.example><b@other.example>\r\n",              "permerror"),
        ("no address",                       "From: undisclosed\r\n",                                    "permerror"),
        ("an address literal",               "From: a@[192.0.2.1]\r\n",                                  "permerror"),
    ];
    for (shows, from, result) in cases {
        let judgement = judge(&zone, &format!("{from}{BODY}"), "192.0.2.1", "a@site.example");
        let outcome = judgement.dmarc.unwrap();
        assert_eq!(outcome.result.word(), result, "{shows}");
        assert_eq!(outcome.reason.is_some(), result == "permerror", "{shows}");
    }
}

#[test]
fn whose_domain_it_is() {
    let key = key();
    // Mail of a.NAME, signed by b.NAME.
    let aligned = |lines: &str, from: &str, by: &str| {
        let zone = Zone::new(&format!("sel._domainkey.{by} TXT {}\n{lines}", record(&key)));
        let message = signed(&key, &format!("x@{from}"), by);
        judge(&zone, &message, "192.0.2.1", "")
            .dmarc
            .unwrap()
            .dkim_aligned
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows                     records                                                                            From                  signed by             aligned
        ("one organisation",                       "_dmarc.site.example TXT v=DMARC1; p=none",                                        "a.site.example",     "b.site.example",     true),
        ("a suffix without a record",              "_dmarc.a.co.example TXT v=DMARC1; p=none",                                        "a.co.example",       "b.co.example",       false),
        ("a suffix that says so",                  "_dmarc.co.example TXT v=DMARC1; p=none; psd=y",                                   "a.co.example",       "b.co.example",       false),
        ("two of one customer of a suffix",        "_dmarc.co.example TXT v=DMARC1; p=none; psd=y",                                   "x.a.co.example",     "y.a.co.example",     true),
        ("a part that is on its own",              "_dmarc.site.example TXT v=DMARC1; p=none\n_dmarc.a.site.example TXT v=DMARC1; p=none; psd=n", "a.site.example", "b.site.example", false),
        ("below a part that is on its own",        "_dmarc.site.example TXT v=DMARC1; p=none\n_dmarc.a.site.example TXT v=DMARC1; p=none; psd=n", "a.site.example", "x.a.site.example", true),
        ("an organisation of many labels",         "_dmarc.site.example TXT v=DMARC1; p=none",                                        "1.2.3.4.5.6.7.8.9.site.example", "site.example", true),
    ];
    for (shows, lines, from, by, want) in cases {
        assert_eq!(aligned(lines, from, by), want, "{shows}");
    }
}

#[test]
fn the_policy_of_a_suffix() {
    let zone = Zone::new(
        "_dmarc.co.example TXT v=DMARC1; p=none; sp=quarantine; np=reject; psd=y\nthere.co.example A 192.0.2.1",
    );
    for (from, want) in [
        ("there.co.example", Requested::Quarantine),
        ("nobody.co.example", Requested::Reject),
    ] {
        let outcome = judge(&zone, &format!("From: a@{from}\r\n{BODY}"), "192.0.2.1", "")
            .dmarc
            .unwrap();
        assert_eq!(
            (outcome.result, outcome.requested),
            (DmarcResult::Fail, want),
            "{from}"
        );
    }
}

#[test]
fn a_share_of_the_mail() {
    let zone = Zone::new("_dmarc.site.example TXT v=DMARC1; p=reject; pct=30");
    let message = format!("From: a@site.example\r\n{BODY}");
    for (chance, want) in [
        (0, Requested::Reject),
        (29, Requested::Reject),
        (30, Requested::Quarantine),
        (99, Requested::Quarantine),
    ] {
        let outcome = judge_with(&zone, &message, "192.0.2.1", "", chance)
            .dmarc
            .unwrap();
        assert_eq!(outcome.requested, want, "{chance}");
        assert_eq!(outcome.sampled_out, want != Requested::Reject, "{chance}");
    }
}

#[test]
fn where_reports_go() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows         rua=                                                      where
        ("an address",                 "mailto:r@site.example",                                 vec![("r@site.example", None)]),
        ("two",                        "mailto:r@site.example , mailto:s@other.example",        vec![("r@site.example", None), ("s@other.example", None)]),
        ("a size",                     "mailto:r@site.example!10m",                             vec![("r@site.example", Some(10 << 20))]),
        ("a size without a unit",      "mailto:r@site.example!50",                              vec![("r@site.example", Some(50))]),
        ("a size that is none",        "mailto:r@site.example!10x",                             vec![]),
        ("a size beyond all",          "mailto:r@site.example!99999999t",                       vec![("r@site.example", Some(u64::MAX))]),
        ("escapes",                    "mailto:r%21s@site.example",                             vec![("r!s@site.example", None)]),
        ("another scheme",             "https://site.example/, mailto:r@site.example",          vec![("r@site.example", None)]),
        ("no address",                 "mailto:nobody",                                         vec![]),
    ];
    for (shows, uris, want) in cases {
        let record = Record::parse(format!("v=DMARC1; p=none; rua={uris}").as_bytes());
        let got: Vec<_> = record
            .reports
            .iter()
            .map(|uri| (uri.to.to_string(), uri.size_max))
            .collect();
        let want: Vec<_> = want.into_iter().map(|(to, size)| (to.to_owned(), size)).collect();
        assert_eq!(got, want, "{shows}");
    }
}

proptest::proptest! {
    #[test]
    fn no_record_breaks_the_reader(text in "v=DMARC1;[-a-z=;: @./!%+0-9\u{e4}]{0,80}") {
        assert!(Record::is_one(text.as_bytes()));
        let _ = Record::parse(text.as_bytes());
    }
}

#[test]
fn names_in_other_character_sets_are_no_doubt() {
    let of = |from: &[u8]| super::author(&postern_mail::Header::parse(from.to_vec()));
    let found = of(b"From: J\xfcrgen <a@site.example>\r\n").unwrap();
    assert_eq!(found.name(), Some("site.example"));
    // In an address they are.
    for from in [
        &b"From: <a@s\xefte.example>\r\n"[..],
        b"From: a@site.example\xff\r\n",
    ] {
        assert_eq!(of(from), Err(super::NoAuthor::Doubtful), "{from:?}");
    }
}
