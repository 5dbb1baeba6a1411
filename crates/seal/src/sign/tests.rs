//! The example of RFC 8463, and what a signature covers.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::canon::Canonicalization;
use crate::{Algorithm, SigningKey};
use crate::{BodyHasher, RsaBits, TagList};

const HEADER: &str = "From: Joe SixPack <joe@football.example.com>\r\n\
    To: Suzie Q <suzie@shopping.example.net>\r\n\
    Subject: Is dinner ready?\r\n\
    Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
    Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n";
const BODY: &str = "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

fn hash(form: Form, body: &str) -> BodyHash {
    let mut hasher = BodyHasher::new(form, None);
    hasher.feed(body.as_bytes());
    hasher.finish()
}

fn signer(key: SigningKey, canonicalization: Canonicalization) -> Signer {
    Signer {
        domain: "football.example.com".to_owned(),
        selector: "brisbane".to_owned(),
        key: Arc::new(key),
        canonicalization,
        fields: Arc::default(),
        expires: None,
    }
}

/// RFC 8463 appendix A.1.
fn brisbane() -> SigningKey {
    let seed = BASE64_STANDARD
        .decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
        .unwrap();
    let wrapping = [
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    let text = BASE64_STANDARD.encode([&wrapping[..], &seed].concat());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
    SigningKey::from_pem(pem.as_bytes()).unwrap()
}

#[test]
fn the_example_of_rfc_8463() {
    let key = brisbane();
    assert_eq!(
        BASE64_STANDARD.encode(key.public()),
        "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    );
    let body = hash(Form::Relaxed, BODY);
    assert_eq!(
        BASE64_STANDARD.encode(body.sha256),
        "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
    );
    let unsigned = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n \
        d=football.example.com; i=@football.example.com;\r\n \
        q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n \
        subject : date : message-id : from : subject : date;\r\n \
        bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=\r\n";
    let names = [
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "from",
        "subject",
        "date",
    ];
    let header = Header::parse(HEADER.into());
    let data = covered(Form::Relaxed, &header, &names, unsigned.as_bytes());
    assert_eq!(
        BASE64_STANDARD.encode(key.sign(&data).unwrap()),
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    );
}

/// Whether the signature in `field` is valid for this header, following RFC 6376 section 6.1.3.
fn holds(field: &NewField, header: &str, key: &SigningKey, form: Form) -> bool {
    let raw = std::str::from_utf8(field.raw()).unwrap();
    let value = raw.split_once(':').unwrap().1;
    let tags = TagList::parse(value).unwrap();
    let names: Vec<&str> = tags.get("h").unwrap().split(':').map(str::trim).collect();
    let (before, signature) = raw.rsplit_once("b=").unwrap();
    let signature: String = signature.split_ascii_whitespace().collect();
    let header = Header::parse(header.into());
    let data = covered(form, &header, &names, format!("{before}b=\r\n").as_bytes());
    let signature = BASE64_STANDARD.decode(signature).unwrap();
    match key.algorithm() {
        Algorithm::RsaSha256 => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public())
            .verify(&data, &signature)
            .is_ok(),
        Algorithm::Ed25519Sha256 => UnparsedPublicKey::new(&ED25519, key.public())
            .verify(digest(&SHA256, &data).as_ref(), &signature)
            .is_ok(),
    }
}

#[test]
fn what_may_change_on_the_way_and_what_may_not() {
    #[rustfmt::skip]
    let cases: &[(&str, String, bool, bool)] = &[
        // what the case shows            header at the other end                                    relaxed  simple
        ("as it was sent",                HEADER.to_owned(),                                         true,    true),
        ("a field above",                 format!("Received: x\r\n{HEADER}"),                        true,    true),
        ("a field below",                 format!("{HEADER}X-Spam: no\r\n"),                         true,    true),
        ("a list's field",                format!("{HEADER}List-Id: <l.example>\r\n"),               true,    true),
        ("folded otherwise",              HEADER.replace("dinner ready", "dinner\r\n  ready"),       true,    false),
        ("names in another case",         HEADER.replace("Subject", "SUBJECT"),                      true,    false),
        ("another subject",               HEADER.replace("dinner", "lunch"),                         false,   false),
        ("a second From above",           format!("From: x@y.example\r\n{HEADER}"),                  false,   false),
        ("a second From below",           format!("{HEADER}From: x@y.example\r\n"),                  false,   false),
        ("a second Subject",              format!("Subject: x\r\n{HEADER}"),                         false,   false),
        ("a Cc that was not there",       format!("{HEADER}Cc: x@y.example\r\n"),                    false,   false),
        ("a Content-Type that was not",   format!("{HEADER}Content-Type: text/html\r\n"),            false,   false),
        ("a field taken away",            HEADER.replace("To: Suzie Q <suzie@shopping.example.net>\r\n", ""), false, false),
    ];
    for algorithm in Algorithm::ALL {
        for form in [Form::Relaxed, Form::Simple] {
            let (key, _) = SigningKey::generate(algorithm, RsaBits::default()).unwrap();
            let canonicalization = Canonicalization {
                header: form,
                body: form,
            };
            let signer = signer(key, canonicalization);
            let header = Header::parse(HEADER.into());
            let field = signer
                .sign(&header, &hash(form, BODY), Timestamp::UNIX_EPOCH)
                .unwrap();
            for (shows, other, relaxed, simple) in cases {
                let want = if form == Form::Relaxed { *relaxed } else { *simple };
                assert_eq!(
                    holds(&field, other, &signer.key, form),
                    want,
                    "{shows}, {algorithm}, {form}"
                );
            }
        }
    }
}

#[test]
fn the_form_of_the_field() {
    let mut signer = signer(brisbane(), Canonicalization::RELAXED);
    signer.expires = Some(Duration::from_secs(60));
    let header = Header::parse(HEADER.into());
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let field = signer.sign(&header, &hash(Form::Relaxed, BODY), now).unwrap();
    let text = std::str::from_utf8(field.raw()).unwrap();
    assert!(text.lines().all(|line| line.len() <= 78), "{text}");
    let tags = TagList::parse(text.split_once(':').unwrap().1).unwrap();
    #[rustfmt::skip]
    let expected = [
        ("v", "1"),
        ("a", "ed25519-sha256"),
        ("c", "relaxed/relaxed"),
        ("d", "football.example.com"),
        ("s", "brisbane"),
        ("t", "1800000000"),
        ("x", "1800000060"),
        ("bh", "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="),
    ];
    for (name, value) in expected {
        assert_eq!(tags.get(name), Some(value), "{name}");
    }
    assert_eq!(tags.get("l"), None, "nothing may be added to a body");
    let names: String = tags.get("h").unwrap().split_ascii_whitespace().collect();
    assert!(
        names.starts_with("From:From:Reply-To:To:To:Cc:Subject:Subject:Date:Date:"),
        "{names}"
    );
    assert!(
        !names.contains("Received") && !names.contains("List-Id"),
        "{names}"
    );
}

#[test]
fn what_cannot_be_signed() {
    let signer = signer(brisbane(), Canonicalization::RELAXED);
    let sign = |text: String| {
        let body = hash(Form::Relaxed, BODY);
        signer
            .sign(&Header::parse(text.into()), &body, Timestamp::UNIX_EPOCH)
            .err()
    };
    assert_eq!(sign("To: x@y.example\r\n".to_owned()), Some(SignError::NoFrom));
    let many = "References: <a@b>\r\n".repeat(NAMES_MAX);
    assert_eq!(sign(format!("{HEADER}{many}")), Some(SignError::TooManyFields));
    assert_eq!(sign(HEADER.to_owned()), None);
}

type Names = &'static [&'static str];

#[test]
fn names_of_fields() {
    let header = Header::parse("A: 1\r\nFrom: x\r\nB: 2\r\nb: 3\r\n".into());
    type Case = (&'static str, Names, Names, Names);
    #[rustfmt::skip]
    let cases: &[Case] = &[
        // what the case shows            oversigned     signed      names
        ("From comes by itself",          &[],           &[],        &["From", "From"]),
        ("as often as it is there",       &[],           &["B"],     &["From", "From", "B", "B"]),
        ("and once more",                 &["B"],        &[],        &["From", "From", "B", "B", "B"]),
        ("not there",                     &["C"],        &["D"],     &["From", "From", "C"]),
        ("in both lists",                 &["A"],        &["a"],     &["From", "From", "A", "A"]),
        ("From among the second",         &[],           &["from"],  &["From", "From"]),
    ];
    for (shows, oversigned, signed, want) in cases {
        let names = FieldNames::new(*oversigned, *signed);
        assert_eq!(names.names(&header).unwrap(), *want, "{shows}");
    }
}
