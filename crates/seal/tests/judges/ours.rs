//! What we sign and seal is valid for other judges: both algorithms, all canonical forms.

use std::sync::Arc;

use jiff::Timestamp;
use postern_mail::Header;
use postern_policy::authenticity::ArcResult;
use postern_seal::judge::arc::{Found, Sealer, seal};
use postern_seal::{
    Algorithm, BodyHasher, Canonicalization, FieldNames, Form, KeyRecord, RsaBits, Signer, SigningKey,
};
use postern_testkit::judges::{dkimpy, opendkim};

use crate::Bench;
use crate::messages::rspamd;

/// Blanks, folds, empty lines and dots, which each canonical form treats differently.
const MESSAGES: [&str; 3] = [
    "From: A <a@signer.example>\r\nTo:  b@here.example,\r\n\tc@here.example\r\nSubject: one \t two\r\n  three \r\n\
     Date: Tue, 1 Dec 2026 10:00:00 +0000\r\nMessage-ID: <1@signer.example>\r\n\r\nHello, \t world  \r\n\r\n.\r\n..\r\n\r\n\r\n",
    "from:a@signer.example\r\nSUBJECT:\r\nDate: Tue, 1 Dec 2026 10:00:00 +0000\r\n\r\n",
    "From: a@signer.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\n\
     Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}\u{df}e\r\n \r\n",
];

/// rspamd's symbols for signatures.
const WORDS: [(&str, &str); 3] = [
    ("R_DKIM_ALLOW", "pass"),
    ("R_DKIM_REJECT", "fail"),
    ("R_DKIM_PERMFAIL", "permerror"),
];

fn keys() -> [(&'static str, Arc<SigningKey>); 2] {
    let make = |algorithm| Arc::new(SigningKey::generate(algorithm, RsaBits::default()).unwrap().0);
    [
        ("rsa", make(Algorithm::RsaSha256)),
        ("ed", make(Algorithm::Ed25519Sha256)),
    ]
}

fn hashed(message: &str, form: Form) -> (Header, postern_seal::BodyHash) {
    let (header, body) = Header::split(message.as_bytes());
    let mut hasher = BodyHasher::new(form, None);
    hasher.feed(&message.as_bytes()[body..]);
    (Header::parse(header.to_vec()), hasher.finish())
}

fn with_signature(message: &str, selector: &str, key: &Arc<SigningKey>, forms: Canonicalization) -> String {
    let signer = Signer {
        domain: "signer.example".to_owned(),
        selector: selector.to_owned(),
        key: Arc::clone(key),
        canonicalization: forms,
        fields: Arc::new(FieldNames::default()),
        expires: None,
    };
    let (header, hash) = hashed(message, forms.body);
    let field = signer.sign(&header, &hash, Timestamp::now()).unwrap();
    String::from_utf8(field.raw().to_vec()).unwrap() + message
}

fn with_link(message: &str, links: u32, key: &Arc<SigningKey>) -> String {
    let sealer = Sealer {
        domain: "signer.example".to_owned(),
        selector: "rsa".to_owned(),
        key: Arc::clone(key),
    };
    let (header, hash) = hashed(message, Form::Relaxed);
    let found = Found {
        chain: if links == 0 {
            ArcResult::None
        } else {
            ArcResult::Pass
        },
        links,
        results: "mx.signer.example;\n\tspf=pass smtp.mailfrom=a@signer.example;\n\tarc=pass",
        body: &hash,
        now: u64::try_from(Timestamp::now().as_second()).unwrap(),
    };
    let fields = seal(&header, &found, &sealer).unwrap();
    let link: Vec<u8> = fields
        .iter()
        .flat_map(|field| field.raw().iter().copied())
        .collect();
    String::from_utf8(link).unwrap() + message
}

#[test]
fn our_signatures_hold_for_others() {
    let keys = keys();
    let zone: String = keys
        .iter()
        .map(|(selector, key)| {
            format!(
                "{selector}._domainkey.signer.example TXT {}\n",
                KeyRecord::of(key)
            )
        })
        .collect();
    let bench = Bench::start(zone);
    // opendkim is a filter: in test mode it sees field values without leading blanks, and assumes one.
    let seen_whole = |message: &str, forms: Canonicalization| {
        let (header, _) = Header::split(message.as_bytes());
        let header = Header::parse(header.to_vec());
        let one = |value: &[u8]| matches!(value, [b' ', next, ..] if *next != b' ');
        forms.header == Form::Relaxed || header.fields().all(|field| one(field.value()))
    };
    let mut messages = Vec::new();
    for message in MESSAGES {
        for forms in [
            "relaxed/relaxed",
            "simple/simple",
            "relaxed/simple",
            "simple/relaxed",
        ] {
            let forms: Canonicalization = forms.parse().unwrap();
            for (selector, key) in &keys {
                let signed = with_signature(message, selector, key, forms);
                messages.push((format!("{selector}, {forms}"), signed, seen_whole(message, forms)));
            }
            let both = with_signature(message, keys[0].0, &keys[0].1, forms);
            let both = with_signature(&both, keys[1].0, &keys[1].1, forms);
            messages.push((format!("both, {forms}"), both, seen_whole(message, forms)));
        }
    }
    // Invalid ones are rejected: the judges really check.
    let forged = |message: &str| message.replacen("a@signer.example", "x@signer.example", 1);
    for holds in [true, false] {
        let texts: Vec<String> = messages
            .iter()
            .map(|(_, message, _)| if holds { message.clone() } else { forged(message) })
            .collect();
        let octets: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let by_dkimpy = dkimpy(bench.unbound.port(), &octets);
        for (((shows, _, whole), message), (theirs, _)) in messages.iter().zip(&texts).zip(by_dkimpy) {
            let mut found = vec![("dkimpy", theirs), ("rspamd", rspamd(&bench, message, &WORDS))];
            if *whole {
                found.push((
                    "opendkim",
                    opendkim(message.as_bytes(), bench.unbound.port()).to_owned(),
                ));
            }
            for (judge, word) in found {
                assert_eq!(word == "pass", holds, "{shows}: {judge} says {word}\n{message}");
            }
        }
    }
}

#[test]
fn our_links_hold_for_others() {
    let keys = keys();
    let (selector, key) = &keys[0];
    let bench = Bench::start(format!(
        "{selector}._domainkey.signer.example TXT {}\n",
        KeyRecord::of(key)
    ));
    let words = [
        ("ARC_ALLOW", "pass"),
        ("ARC_REJECT", "fail"),
        ("ARC_INVALID", "fail"),
        ("ARC_NA", "none"),
    ];
    for message in MESSAGES {
        let mut message = message.to_owned();
        for links in 0..3 {
            message = with_link(&message, links, key);
            let body = message.clone() + "more\r\n";
            let author = message.replacen("a@signer.example", "x@signer.example", usize::MAX);
            for (message, want) in [(&message, "pass"), (&body, "fail"), (&author, "fail")] {
                let by_dkimpy = dkimpy(bench.unbound.port(), &[message.as_bytes()]).remove(0).1;
                assert_eq!(by_dkimpy, want, "dkimpy, {} links: {message}", links + 1);
                assert_eq!(
                    rspamd(&bench, message, &words),
                    want,
                    "rspamd, {} links: {message}",
                    links + 1
                );
            }
        }
    }
}
