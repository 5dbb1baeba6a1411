//! Signatures with arbitrary tags, valid and invalid, for tests.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use postern_mail::Header;

use super::dkim::{Covered, Kind, Signature, itself};
use super::zone::{Zone, now};
use super::{Checks, Judgement, Moment, Watch, spf};
use crate::canon::{self, Form};
use crate::{Algorithm, BodyHasher, KeyRecord, RsaBits, SigningKey};

/// The time in tests.
pub(crate) const NOW: u64 = 1_700_000_000;

/// A key for tests; Ed25519, which is fast to make.
pub(crate) fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Ed25519Sha256, RsaBits::default())
        .unwrap()
        .0
}

/// The record of a key.
pub(crate) fn record(key: &SigningKey) -> String {
    KeyRecord::of(key).to_string()
}

/// A field `DKIM-Signature` over a message: `tags` without `bh=` and `b=`, which are appended.
pub(crate) fn dkim(key: &SigningKey, tags: &str, message: &str) -> String {
    field("DKIM-Signature", Kind::Dkim, key, tags, message)
}

pub(crate) fn field(name: &str, kind: Kind, key: &SigningKey, tags: &str, message: &str) -> String {
    let (header, body) = Header::split(message.as_bytes());
    let read = Signature::parse(format!("{tags}; bh=AAAA; b=AAAA").as_bytes(), kind);
    let (form, limit) = read
        .as_ref()
        .map_or((Form::Relaxed, None), |read| (read.forms.body, read.length));
    let mut hasher = BodyHasher::new(form, limit);
    hasher.feed(&message.as_bytes()[body..]);
    let hash = BASE64_STANDARD.encode(hasher.finish().sha256);
    let unsigned = format!("{name}: {tags};\r\n\tbh={hash}; b=");
    let value = match read {
        Ok(read) => {
            let header = Header::parse(header.to_vec());
            let covered = Covered::new(&header).by(&read, format!("{unsigned}\r\n").as_bytes());
            BASE64_STANDARD.encode(key.sign(&covered).unwrap())
        }
        Err(_) => "AAAA".to_owned(),
    };
    format!("{unsigned}{value}\r\n")
}

/// The three fields of a link of ARC on top of a message. `results` is what was found.
pub(crate) fn link(
    key: &SigningKey,
    instance: u32,
    validation: &str,
    results: &str,
    message: &str,
) -> String {
    let tags = "a=ed25519-sha256; d=forwarder.example; s=arc";
    link_of(key, instance, validation, tags, results, message)
}

/// The same for any domain: `tags` have `a=`, `d=` and `s=`.
pub(crate) fn link_of(
    key: &SigningKey,
    instance: u32,
    validation: &str,
    tags: &str,
    results: &str,
    message: &str,
) -> String {
    let results = format!("ARC-Authentication-Results: i={instance}; {results}\r\n");
    let h = "c=relaxed/relaxed; h=from:to:subject";
    let signature = field(
        "ARC-Message-Signature",
        Kind::ArcMessage,
        key,
        &format!("i={instance}; {tags}; {h}"),
        message,
    );
    let mut sealed = Vec::new();
    let header = Header::parse(Header::split(message.as_bytes()).0.to_vec());
    for before in 1..instance {
        for name in ["ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"] {
            let wanted = format!("i={before};");
            let found = header
                .named(name)
                .find(|(_, field)| String::from_utf8_lossy(field.value()).trim().starts_with(&wanted));
            if let Some((_, field)) = found {
                canon::field(Form::Relaxed, field.raw(), &mut sealed);
            }
        }
    }
    canon::field(Form::Relaxed, results.as_bytes(), &mut sealed);
    canon::field(Form::Relaxed, signature.as_bytes(), &mut sealed);
    let seal = format!("ARC-Seal: i={instance}; cv={validation}; {tags}; b=");
    itself(Form::Relaxed, format!("{seal}\r\n").as_bytes(), &mut sealed);
    let value = BASE64_STANDARD.encode(key.sign(&sealed).unwrap());
    format!("{seal}{value}\r\n{signature}{results}{message}")
}

/// The results of all checks for a message from a client.
pub(crate) fn judge(zone: &Zone, message: &str, client: &str, sender: &str) -> Judgement {
    judge_with(zone, message, client, sender, 0)
}

pub(crate) fn judge_with(zone: &Zone, message: &str, client: &str, sender: &str, chance: u8) -> Judgement {
    let (header, body) = Header::split(message.as_bytes());
    let mut watch = Watch::new(Header::parse(header.to_vec()), Checks::ALL);
    for piece in message.as_bytes()[body..].chunks(7) {
        watch.body(piece);
    }
    let sender = (!sender.is_empty()).then(|| sender.parse().unwrap());
    let asked = spf::Asked {
        ip: client.parse().unwrap(),
        helo: "client.example",
        sender: sender.as_ref(),
        receiver: "mx.here.example",
        time: 0,
    };
    now(async {
        let spf = spf::check(zone, &asked).await;
        watch.finish(zone, Some(spf), Moment { now: NOW, chance }).await
    })
}
