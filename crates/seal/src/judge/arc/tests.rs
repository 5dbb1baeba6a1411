//! Chains, valid and invalid.

use std::sync::Arc;

use postern_mail::Header;
use postern_policy::authenticity::ArcResult;

use super::{Found, NotSealed, Outcome, Sealer, seal};
use crate::judge::forge::{judge, key, link, link_of, record};
use crate::judge::zone::Zone;
use crate::{Algorithm, BodyHasher, Form, RsaBits, SigningKey};

const MESSAGE: &str = "From: a@site.example\r\nTo: b@here.example\r\nSubject: x\r\n\r\nHello\r\n";

fn zone(key: &SigningKey) -> Zone {
    Zone::new(&format!("arc._domainkey.forwarder.example TXT {}", record(key)))
}

fn check(zone: &Zone, message: &str) -> Outcome {
    judge(zone, message, "192.0.2.1", "").arc.unwrap()
}

/// A message sealed by that many forwarders.
fn chain(key: &SigningKey, links: u32) -> String {
    let mut message = MESSAGE.to_owned();
    for instance in 1..=links {
        let validation = if instance == 1 { "none" } else { "pass" };
        message = link(
            key,
            instance,
            validation,
            "forwarder.example; dmarc=pass",
            &message,
        );
    }
    message
}

#[test]
fn chains() {
    let key = key();
    let zone = zone(&key);
    let one = chain(&key, 1);
    let three = chain(&key, 3);
    let sealed_badly = link(&key, 2, "fail", "forwarder.example; arc=fail", &one);
    let again = link(&key, 2, "none", "forwarder.example; none", &one);
    let first_with_pass = link(&key, 1, "pass", "forwarder.example; none", MESSAGE);
    let gap = link(&key, 3, "pass", "forwarder.example; none", &one);
    let without = |message: &str, field: &str| {
        let from = message.find(field).unwrap();
        let to = message[from..]
            .match_indices("\r\n")
            .map(|(at, _)| from + at + 2)
            .find(|at| !message[*at..].starts_with(['\t', ' ']))
            .unwrap();
        format!("{}{}", &message[..from], &message[to..])
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows               message                                                     result
        ("none",                             MESSAGE.to_owned(),                                         "none"),
        ("one link",                         one.clone(),                                                "pass"),
        ("three links",                      three.clone(),                                              "pass"),
        ("another body",                     three.replace("Hello", "Bye"),                              "fail"),
        ("another subject",                  three.replace("Subject: x", "Subject: y"),                  "fail"),
        ("other results in the first link",  three.replacen("i=1; forwarder.example; dmarc=pass", "i=1; forwarder.example; dmarc=fail", 1), "fail"),
        ("cv=fail",                          sealed_badly,                                               "fail"),
        ("cv=none in the second link",       again,                                                      "fail"),
        ("cv=pass in the first link",        first_with_pass,                                            "fail"),
        ("a link is missing",                gap,                                                        "fail"),
        ("a seal is missing",                without(&three, "ARC-Seal: i=2"),                           "fail"),
        ("a signature is missing",           without(&three, "ARC-Message-Signature: i=1"),              "fail"),
        ("results are missing",              without(&three, "ARC-Authentication-Results: i=3"),         "fail"),
        ("a field twice",                    format!("ARC-Authentication-Results: i=1; x; none\r\n{one}"), "fail"),
        ("instance 0",                       one.replace("i=1;", "i=0;"),                                "fail"),
        ("instance 51",                      one.replace("i=1;", "i=51;"),                               "fail"),
        ("an instance of letters",           one.replace("i=1;", "i=x;"),                                "fail"),
        ("a seal with h=",                   one.replacen("cv=none;", "cv=none; h=from;", 1),            "fail"),
        ("a seal without cv=",               one.replacen("cv=none; ", "", 1),                           "fail"),
        ("a seal of nothing",                format!("ARC-Seal: hello\r\n{MESSAGE}"),                    "fail"),
    ];
    for (shows, message, result) in cases {
        let outcome = check(&zone, &message);
        assert_eq!(outcome.result.word(), result, "{shows}: {outcome:?}");
        assert_eq!(outcome.reason.is_some(), result == "fail", "{shows}");
    }
}

#[test]
fn how_long_a_chain_may_be() {
    let key = key();
    let zone = zone(&key);
    let longest = chain(&key, 50);
    assert_eq!(check(&zone, &longest).result, ArcResult::Pass);
    let longer = link(&key, 51, "pass", "forwarder.example; none", &longest);
    assert_eq!(check(&zone, &longer).result, ArcResult::Fail);
}

#[test]
fn keys_of_chains() {
    let key = key();
    let message = chain(&key, 2);
    let none = check(&Zone::default(), &message);
    assert_eq!(none.result, ArcResult::Fail, "{none:?}");
    let busy = check(
        &Zone::new("arc._domainkey.forwarder.example TXT SERVFAIL"),
        &message,
    );
    assert_eq!(busy.result, ArcResult::TempError, "{busy:?}");
    let other = check(&zone(&self::key()), &message);
    assert_eq!(other.result, ArcResult::Fail, "{other:?}");
}

#[test]
fn a_trusted_forwarder_vouches() {
    let key = key();
    let zone = zone(&key);
    let trusted = |sealer: &str| sealer == "forwarder.example";
    let passed = judge(&zone, &chain(&key, 1), "192.0.2.1", "");
    assert!(passed.results(trusted).vouched);
    assert!(!passed.results(|_| false).vouched, "of nobody's trust");
    let failed = link(
        &key,
        1,
        "none",
        "forwarder.example; dmarc=fail (dmarc=pass)",
        MESSAGE,
    );
    assert!(
        !judge(&zone, &failed, "192.0.2.1", "").results(trusted).vouched,
        "it found a fail"
    );
    let broken = chain(&key, 1).replace("Hello", "Bye");
    assert!(
        !judge(&zone, &broken, "192.0.2.1", "").results(trusted).vouched,
        "changed behind it"
    );
}

#[test]
fn a_chain_that_holds_makes_no_stranger_trusted() {
    let key = key();
    let mut zone = zone(&key);
    zone.add("arc._domainkey.stranger.example", "TXT", &record(&key));
    let of = |whose: &str| format!("a=ed25519-sha256; d={whose}; s=arc");
    let trusted = |sealer: &str| sealer == "forwarder.example";
    let (failed, passed) = ("x; dmarc=fail; arc=pass", "x; dmarc=pass");
    #[rustfmt::skip]
    let cases = [
        // what the case shows                  first link                        second link                       vouched
        ("both trusted, the first saw a pass",  ("forwarder.example", passed),    ("forwarder.example", failed),    true),
        ("the first is a stranger's",           ("stranger.example", passed),     ("forwarder.example", failed),    false),
        ("the last is a stranger's",            ("forwarder.example", passed),    ("stranger.example", "x; arc=pass"), false),
        ("the last saw a pass itself",          ("stranger.example", "x; none"),  ("forwarder.example", passed),    true),
        ("the last says nothing of the chain",  ("forwarder.example", passed),    ("forwarder.example", "x; dmarc=fail"), false),
        ("a fail comes first",                  ("forwarder.example", "x; dmarc=fail; dmarc=pass"), ("forwarder.example", failed), false),
    ];
    for (shows, (first, found), (last, found_last), want) in cases {
        let one = link_of(&key, 1, "none", &of(first), found, MESSAGE);
        let two = link_of(&key, 2, "pass", &of(last), found_last, &one);
        let judgement = judge(&zone, &two, "192.0.2.1", "");
        assert_eq!(judgement.arc.as_ref().unwrap().result, ArcResult::Pass, "{shows}");
        assert_eq!(judgement.results(trusted).vouched, want, "{shows}");
    }
}

/// Our own link on top of a message with that many links of others.
fn sealed(sealer: &Sealer, message: &str, chain: ArcResult, links: u32) -> Result<String, NotSealed> {
    let (header, body) = Header::split(message.as_bytes());
    let mut hasher = BodyHasher::new(Form::Relaxed, None);
    hasher.feed(&message.as_bytes()[body..]);
    let found = Found {
        chain,
        links,
        results: "mx.here.example;\n\tspf=pass smtp.mailfrom=a@site.example;\n\tdmarc=pass header.from=site.example",
        body: &hasher.finish(),
        now: crate::judge::forge::NOW,
    };
    let fields = seal(&Header::parse(header.to_vec()), &found, sealer)?;
    let fields: String = fields
        .iter()
        .map(|field| String::from_utf8_lossy(field.raw()).into_owned())
        .collect();
    Ok(format!("{fields}{message}"))
}

#[test]
fn our_links_hold() {
    let theirs = key();
    for algorithm in Algorithm::ALL {
        let ours = SigningKey::generate(algorithm, RsaBits::default()).unwrap().0;
        let mut zone = zone(&theirs);
        zone.add("own._domainkey.here.example", "TXT", &record(&ours));
        let sealer = Sealer {
            domain: "here.example".to_owned(),
            selector: "own".to_owned(),
            key: Arc::new(ours),
        };
        for links in [0, 1, 3] {
            let before = chain(&theirs, links);
            let result = if links == 0 {
                ArcResult::None
            } else {
                ArcResult::Pass
            };
            let message = sealed(&sealer, &before, result, links).unwrap();
            let outcome = check(&zone, &message);
            assert_eq!(
                (outcome.result, outcome.links),
                (ArcResult::Pass, links + 1),
                "{outcome:?}\n{message}"
            );
            assert_eq!(outcome.sealer.as_deref(), Some("here.example"));
            assert!(outcome.witnesses.last().unwrap().found.contains("dmarc=pass"));
            let changed = check(&zone, &message.replace("Hello", "Bye"));
            assert_eq!(changed.result, ArcResult::Fail);
            let two = check(&zone, &format!("From: x@evil.example\r\n{message}"));
            assert_eq!(two.result, ArcResult::Fail, "a second From");
            let ours = &message[..message.len() - before.len()];
            assert!(ours.lines().all(|line| line.len() < 120), "{ours}");
        }
        assert_eq!(
            sealed(&sealer, MESSAGE, ArcResult::Fail, 1),
            Err(NotSealed::Broken)
        );
        assert_eq!(
            sealed(&sealer, MESSAGE, ArcResult::Pass, 50),
            Err(NotSealed::Full)
        );
        assert_eq!(
            sealed(&sealer, "To: x\r\n\r\n", ArcResult::None, 0),
            Err(NotSealed::NoFrom)
        );
    }
}

proptest::proptest! {
    #[test]
    fn no_field_breaks_the_reader(which in 0..3_usize, text in "[-a-z=;: @./+0-9\r\n\t\u{e4}]{0,60}") {
        let name = ["ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"][which];
        let _ = check(&Zone::default(), &format!("{name}: {text}\r\n{MESSAGE}"));
    }
}
