//! Signatures, valid and invalid.

use postern_policy::authenticity::DkimResult;

use super::{Fault, KeyFault, Outcome, best};
use crate::judge::forge::{dkim, judge, key, record};
use crate::judge::zone::Zone;
use crate::{Algorithm, KeyRecord, RsaBits, SigningKey};

const MESSAGE: &str = "From: A <a@site.example>\r\nTo: b@here.example\r\nSubject: one  two\r\n\r\nHello,\r\n\r\nworld  \r\n\r\n";

/// The tags of a typical signature.
const TAGS: &str = "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=site.example; s=sel; h=from:to:subject";

fn check(zone: &Zone, message: &str) -> Vec<Outcome> {
    judge(zone, message, "192.0.2.1", "").dkim
}

fn only(zone: &Zone, message: &str) -> Outcome {
    let mut outcomes = check(zone, message);
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

/// RFC 8463 appendix A: a message with two signatures, by Ed25519 and RSA, made by others.
#[test]
fn the_example_of_rfc_8463() {
    let message = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n \
         q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : date;\r\n \
         bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n \
         Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n\
         DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n \
         q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n date : message-id : from : subject : date;\r\n \
         bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n \
         DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n\
         From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n\
         Subject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
         Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\n\
         Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";
    let zone = Zone::new(
        "brisbane._domainkey.football.example.com TXT v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
         test._domainkey.football.example.com TXT v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
    );
    for outcome in check(&zone, message) {
        assert_eq!(
            (outcome.result, outcome.fault),
            (DkimResult::Pass, None),
            "{:?}",
            outcome.selector
        );
    }
    let changed = message.replace("hungry", "thirsty");
    for outcome in check(&zone, &changed) {
        assert_eq!(outcome.result, DkimResult::Fail);
        assert_eq!(outcome.fault.unwrap().to_string(), "body hash did not verify");
    }
}

#[test]
fn signatures() {
    let key = key();
    let zone = Zone::new(&format!("sel._domainkey.site.example TXT {}", record(&key)));
    let with = |from: &str, to: &str| TAGS.replace(from, to);
    #[rustfmt::skip]
    let cases = [
        // what the case shows                    tags                                                     result       what is wrong
        ("as it should be",                       TAGS.to_owned(),                                         "pass",      ""),
        ("simple/simple",                         with("relaxed/relaxed", "simple/simple"),                "pass",      ""),
        ("simple by default",                     with(" c=relaxed/relaxed;", ""),                         "pass",      ""),
        ("oversigned",                            with("from:to:subject", "from:from:to:cc:subject:subject"), "pass",   ""),
        ("i= of d= itself",                       format!("{TAGS}; i=a@site.example"),                     "pass",      ""),
        ("i= below d=",                           format!("{TAGS}; i=a@b.site.example"),                   "pass",      ""),
        ("i= outside of d=",                      format!("{TAGS}; i=a@other.example"),                    "permerror", "i= is outside of d="),
        ("i= that only ends like d=",             format!("{TAGS}; i=a@evilsite.example"),                 "permerror", "i= is outside of d="),
        ("i= without @",                          format!("{TAGS}; i=site.example"),                       "permerror", "i= of the signature is not valid"),
        ("another version",                       with("v=1", "v=2"),                                      "permerror", "the signature is of an unknown version"),
        ("a version with words",                  with("v=1", "v=DKIM2"),                                  "permerror", "the signature is of an unknown version"),
        ("no version",                            with("v=1; ", ""),                                       "permerror", "the signature has no v="),
        ("no d=",                                 with(" d=site.example;", ""),                            "permerror", "the signature has no d="),
        ("no s=",                                 with(" s=sel;", ""),                                     "permerror", "the signature has no s="),
        ("no h=",                                 with("; h=from:to:subject", ""),                         "permerror", "the signature has no h="),
        ("no a=",                                 with(" a=ed25519-sha256;", ""),                          "permerror", "the signature has no a="),
        ("an empty h=",                           with("from:to:subject", ""),                             "permerror", "h= of the signature is not valid"),
        ("From is not signed",                    with("from:", ""),                                       "permerror", "From is not signed"),
        ("SHA-1",                                 with("ed25519-sha256", "rsa-sha1"),                      "policy",    "rsa-sha1 is not accepted (RFC 8301)"),
        ("an unknown algorithm",                  with("ed25519-sha256", "dsa-sha256"),                    "permerror", "the algorithm is not known"),
        ("a key of another kind",                 with("ed25519-sha256", "rsa-sha256"),                    "permerror", "the key is of another kind than the signature"),
        ("unknown forms",                         with("relaxed/relaxed", "nowsp"),                        "permerror", "c= of the signature is not valid"),
        ("it has expired",                        format!("{TAGS}; t=1600000000; x=1600000100"),           "fail",      "the signature has expired"),
        ("it has not",                            format!("{TAGS}; t=1600000000; x=1800000000"),           "pass",      ""),
        ("it ends before it begins",              format!("{TAGS}; t=1800000000; x=1750000000"),           "permerror", "x= of the signature is not valid"),
        ("another way to ask for keys",           format!("{TAGS}; q=http"),                               "permerror", "q= of the signature is not valid"),
        ("several ways",                          format!("{TAGS}; q=http:dns/txt"),                       "pass",      ""),
        ("a tag twice",                           format!("{TAGS}; s=sel"),                                "permerror", "the signature has a tag twice"),
        ("no key",                                with("s=sel", "s=other"),                                "permerror", "no key for signature"),
        ("a selector that is no name",            with("s=sel", "s=a b"),                                  "permerror", "s= of the signature is not valid"),
        ("l= longer than the body",               format!("{TAGS}; l=1000"),                               "fail",      "the body is shorter than l="),
        ("l= of letters",                         format!("{TAGS}; l=x"),                                  "permerror", "l= of the signature is not valid"),
        ("nothing like a signature",              "hello".to_owned(),                                      "permerror", "the signature is malformed"),
    ];
    for (shows, tags, result, wrong) in cases {
        let field = if shows == "nothing like a signature" {
            "DKIM-Signature: hello\r\n".to_owned()
        } else {
            dkim(&key, &tags, MESSAGE)
        };
        let outcome = only(&zone, &format!("{field}{MESSAGE}"));
        assert_eq!(outcome.result.word(), result, "{shows}: {outcome:?}");
        assert_eq!(
            outcome.fault.map_or(String::new(), |fault| fault.to_string()),
            wrong,
            "{shows}"
        );
    }
}

#[test]
fn what_happens_on_the_way() {
    let key = key();
    let zone = Zone::new(&format!("sel._domainkey.site.example TXT {}", record(&key)));
    let relaxed = dkim(&key, TAGS, MESSAGE);
    let simple = dkim(&key, &TAGS.replace("relaxed/relaxed", "simple/simple"), MESSAGE);
    let over = dkim(&key, &TAGS.replace("h=from", "h=from:from"), MESSAGE);
    #[rustfmt::skip]
    let cases = [
        // what the case shows                 signature  from                    to                                        result
        ("nothing",                            &simple,   "",                     "",                                       "pass"),
        ("a field on top",                     &simple,   "From: A",              "Received: x\r\nFrom: A",                 "pass"),
        ("blanks in the header",               &relaxed,  "Subject: one  two",    "SUBJECT:  one two ",                     "pass"),
        ("blanks in the header, simple",       &simple,   "Subject: one  two",    "Subject: one two",                       "fail"),
        ("blanks at the end of a line",        &relaxed,  "world  ",              "world",                                  "pass"),
        ("the same, simple",                   &simple,   "world  ",              "world",                                  "fail"),
        ("empty lines at the end",             &simple,   "world  \r\n\r\n",      "world  \r\n\r\n\r\n\r\n",                "pass"),
        ("another subject",                    &relaxed,  "one  two",             "three",                                  "fail"),
        ("another body",                       &relaxed,  "Hello",                "Bye",                                    "fail"),
        ("a second From above",                &relaxed,  "From: A",              "From: x@evil.example\r\nFrom: A",        "pass"),
        ("a second From below",                &relaxed,  "To:",                  "From: x@evil.example\r\nTo:",            "fail"),
        ("a second From, oversigned",          &over,     "From: A",              "From: x@evil.example\r\nFrom: A",        "fail"),
    ];
    for (shows, signature, from, to, result) in cases {
        let message = if from.is_empty() {
            MESSAGE.to_owned()
        } else {
            MESSAGE.replacen(from, to, 1)
        };
        let outcome = only(&zone, &format!("{signature}{message}"));
        assert_eq!(outcome.result.word(), result, "{shows}: {outcome:?}");
    }
}

#[test]
fn a_body_that_is_signed_in_part_is_told() {
    let key = key();
    let zone = Zone::new(&format!("sel._domainkey.site.example TXT {}", record(&key)));
    let signature = dkim(&key, &format!("{TAGS}; l=10"), MESSAGE);
    let judgement = judge(
        &zone,
        &format!("{signature}{MESSAGE}Buy now!\r\n"),
        "192.0.2.1",
        "",
    );
    let outcome = &judgement.dkim[0];
    assert_eq!(outcome.result, DkimResult::Pass);
    assert!(outcome.uncovered > 10, "{outcome:?}");
    let text = judgement.text("mx.here.example", None, "x");
    assert!(text.contains("octets of the body are not signed"), "{text}");
}

#[test]
fn keys() {
    let key = key();
    let p = record(&key).rsplit_once("p=").unwrap().1.to_owned();
    let other = record(&self::key());
    let below = format!("{TAGS}; i=a@b.site.example");
    #[rustfmt::skip]
    let cases = [
        // what the case shows               record                                       tags      result       what is wrong
        ("as it should be",                  format!("v=DKIM1; k=ed25519; p={p}"),        TAGS,     "pass",      ""),
        ("no version",                       format!("k=ed25519; p={p}"),                 TAGS,     "pass",      ""),
        ("a version that is not first",      format!("k=ed25519; v=DKIM1; p={p}"),        TAGS,     "permerror", "the record of the key is not valid"),
        ("another version",                  format!("v=DKIM2; k=ed25519; p={p}"),        TAGS,     "permerror", "the record of the key is not valid"),
        ("for mail",                         format!("k=ed25519; s=email; p={p}"),        TAGS,     "pass",      ""),
        ("for all services",                 format!("k=ed25519; s=tlsrpt:*; p={p}"),     TAGS,     "pass",      ""),
        ("for another service",              format!("k=ed25519; s=tlsrpt; p={p}"),       TAGS,     "permerror", "the key is for another service"),
        ("for SHA-256",                      format!("k=ed25519; h=sha1:sha256; p={p}"),  TAGS,     "pass",      ""),
        ("for SHA-1 alone",                  format!("k=ed25519; h=sha1; p={p}"),         TAGS,     "permerror", "the key does not allow sha256"),
        ("strict, i= is d=",                 format!("k=ed25519; t=s; p={p}"),            TAGS,     "pass",      ""),
        ("strict, i= is below",              format!("k=ed25519; t=y:s; p={p}"),          &below,   "permerror", "the key does not allow i= below d="),
        ("revoked",                          "v=DKIM1; k=ed25519; p=".to_owned(),         TAGS,     "permerror", "the key is revoked"),
        ("no p=",                            "v=DKIM1; k=ed25519".to_owned(),             TAGS,     "permerror", "the record of the key is not valid"),
        ("no Base64",                        "v=DKIM1; k=ed25519; p=!".to_owned(),        TAGS,     "permerror", "the record of the key is not valid"),
        ("a key that is cut off",            "k=ed25519; p=11qYAYKxCrc=".to_owned(),      TAGS,     "permerror", "the record of the key is not valid"),
        ("another key",                      other,                                       TAGS,     "fail",      "signature did not verify"),
        ("DNS fails",                        "SERVFAIL".to_owned(),                       TAGS,     "temperror", "the key cannot be fetched now: the name server answers: SERVFAIL"),
        ("something else",                   "hello".to_owned(),                          TAGS,     "permerror", "the record of the key is not valid"),
    ];
    for (shows, record, tags, result, wrong) in cases {
        let zone = Zone::new(&format!("sel._domainkey.site.example TXT {record}"));
        let outcome = only(&zone, &format!("{}{MESSAGE}", dkim(&key, tags, MESSAGE)));
        assert_eq!(outcome.result.word(), result, "{shows}: {outcome:?}");
        assert_eq!(
            outcome.fault.map_or(String::new(), |fault| fault.to_string()),
            wrong,
            "{shows}"
        );
    }
    let two = format!(
        "sel._domainkey.site.example TXT hello\nsel._domainkey.site.example TXT {}",
        record(&key)
    );
    let outcome = only(
        &Zone::new(&two),
        &format!("{}{MESSAGE}", dkim(&key, TAGS, MESSAGE)),
    );
    assert_eq!(outcome.result, DkimResult::Pass, "another text beside the record");
}

/// An element of DER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = match length {
        0..0x80 => vec![tag, length as u8],
        0x80..0x100 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    out.extend_from_slice(content);
    out
}

#[test]
fn sizes_of_rsa_keys() {
    let tags = TAGS.replace("ed25519", "rsa");
    let (good, _) = SigningKey::generate(Algorithm::RsaSha256, RsaBits::default()).unwrap();
    let zone = Zone::new(&format!("sel._domainkey.site.example TXT {}", record(&good)));
    let outcome = only(&zone, &format!("{}{MESSAGE}", dkim(&good, &tags, MESSAGE)));
    assert_eq!(outcome.result, DkimResult::Pass, "{outcome:?}");

    // A modulus of 512 bits, and one of 16,384, each with the exponent 65537, in the form of RFC 8017.
    for (bits, told) in [
        (512_usize, "the key has 512 bits, fewer than 1024"),
        (16_384, "the key has 16384 bits, more than 8192"),
    ] {
        let mut modulus = vec![0x00, 0x80];
        modulus.resize(bits / 8 + 1, 0x55);
        let mut numbers = element(0x02, &modulus);
        numbers.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
        let der = element(0x30, &numbers);
        let record = KeyRecord::with(Algorithm::RsaSha256, &der);
        let zone = Zone::new(&format!("sel._domainkey.site.example TXT {record}"));
        let outcome = only(&zone, &format!("{}{MESSAGE}", dkim(&good, &tags, MESSAGE)));
        assert_eq!(outcome.result, DkimResult::Policy, "{bits}");
        assert_eq!(outcome.fault.unwrap().to_string(), told);
    }
    // An elliptic-curve key, in the form of RFC 5280, is not RSA; nor is a key followed by more data.
    let curve = element(0x30, &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]);
    let curve = element(0x30, &[curve, element(0x03, &[0x00, 0x04])].concat());
    let more = [good.public(), &[0x00]].concat();
    for der in [
        curve,
        more,
        vec![0x30, 0x00],
        vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        Vec::from(*b"x"),
    ] {
        let record = KeyRecord::with(Algorithm::RsaSha256, &der);
        let zone = Zone::new(&format!("sel._domainkey.site.example TXT {record}"));
        let outcome = only(&zone, &format!("{}{MESSAGE}", dkim(&good, &tags, MESSAGE)));
        assert_eq!(outcome.fault, Some(Fault::Key(KeyFault::Malformed)), "{der:?}");
    }
}

#[test]
fn many_bad_signatures_do_not_hide_a_good_one() {
    let key = key();
    let zone = Zone::new(&format!(
        "sel._domainkey.site.example TXT {0}\nsel._domainkey.spam.example TXT {0}",
        record(&key)
    ));
    let good = dkim(&key, TAGS, MESSAGE);
    let foreign = TAGS.replace("site.example", "spam.example");
    let mut many = String::new();
    for n in 0..60 {
        many.push_str(&format!("DKIM-Signature: hello {n}\r\n"));
        // Each requires a hash of its own.
        many.push_str(&dkim(&key, &format!("{foreign}; l={n}"), MESSAGE));
    }
    let outcomes = check(&zone, &format!("{many}{good}{MESSAGE}"));
    assert!(outcomes.len() <= 20);
    assert_eq!(best(&outcomes), DkimResult::Pass);
    assert!(
        outcomes
            .iter()
            .any(|one| one.domain.as_deref() == Some("site.example") && one.result == DkimResult::Pass)
    );
    let asked = zone.asked.load(std::sync::atomic::Ordering::Relaxed);
    assert!(asked < 60, "{asked} questions");
}

#[test]
fn the_best_counts() {
    let key = key();
    let zone = Zone::new(&format!(
        "sel._domainkey.site.example TXT {}\nsel._domainkey.busy.example TXT SERVFAIL\nsel._domainkey.try.example TXT {}",
        record(&key),
        record(&self::key()).replace("v=DKIM1;", "v=DKIM1; t=y;")
    ));
    let of = |domain: &str| dkim(&key, &TAGS.replace("site.example", domain), MESSAGE);
    let (good, busy, none, testing) = (
        of("site.example"),
        of("busy.example"),
        of("none.example"),
        of("try.example"),
    );
    for (shows, fields, result) in [
        ("no signature", String::new(), "none"),
        ("a good one behind others", format!("{none}{busy}{good}"), "pass"),
        (
            "no answer is better than no",
            format!("{none}{busy}"),
            "temperror",
        ),
        ("no key", none.clone(), "permerror"),
        ("a key that is only tried out", testing, "none"),
    ] {
        let outcomes = check(&zone, &format!("{fields}{MESSAGE}"));
        assert_eq!(best(&outcomes).word(), result, "{shows}: {outcomes:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_field_breaks_the_reader(text in "[-a-z=;: @./+0-9\r\n\t\u{e4}]{0,80}") {
        let zone = Zone::default();
        let _ = check(&zone, &format!("DKIM-Signature: {text}\r\n{MESSAGE}"));
        let _ = check(&zone, &format!("DKIM-Signature: {TAGS}; {text}\r\n{MESSAGE}"));
    }
}
