//! Messages for judges: signatures with arbitrary tags, valid and invalid. The signed data is assembled here independently,
//! from the RFC.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use postern_mail::Header;
use postern_seal::canon::{self, Form};
use postern_seal::{BodyHasher, SigningKey};

/// The message that is signed.
pub(crate) const MESSAGE: &str = "From: A <a@good.example>\r\nTo: b@here.example\r\nSubject: one  two\r\n\
    Date: Tue, 1 Dec 2026 10:00:00 +0000\r\nMessage-ID: <1@good.example>\r\n\r\nHello,\r\n\r\nworld  \r\n\r\n";

/// The tags of a typical signature, without `a=`.
pub(crate) const TAGS: &str = "v=1; c=relaxed/relaxed; d=good.example; s=sel; h=from:to:subject:date";

fn tag<'a>(tags: &'a str, wanted: &str) -> Option<&'a str> {
    tags.split(';')
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.trim() == wanted)
        .map(|(_, value)| value.trim())
}

fn form(word: Option<&str>) -> Form {
    if word == Some("relaxed") {
        Form::Relaxed
    } else {
        Form::Simple
    }
}

/// A field `DKIM-Signature` over [`MESSAGE`] with these tags, including the key's `a=`; `bh=` and `b=` are appended.
pub(crate) fn dkim(key: &SigningKey, tags: &str) -> String {
    field(
        "DKIM-Signature",
        key,
        &format!("{tags}; a={}", key.algorithm()),
        MESSAGE,
    )
}

/// Such a field with any name over any message.
pub(crate) fn field(name: &str, key: &SigningKey, tags: &str, message: &str) -> String {
    let (header, body) = Header::split(message.as_bytes());
    let header = Header::parse(header.to_vec());
    let mut forms = tag(tags, "c").unwrap_or_default().split('/');
    let (of_header, of_body) = (form(forms.next()), form(forms.next()));
    let limit = tag(tags, "l").and_then(|limit| limit.parse().ok());
    let mut hasher = BodyHasher::new(of_body, limit);
    hasher.feed(&message.as_bytes()[body..]);
    let hash = BASE64_STANDARD.encode(hasher.finish().sha256);
    let unsigned = format!("{name}: {tags};\r\n\tbh={hash}; b=");
    let mut covered = Vec::new();
    let mut taken: Vec<usize> = Vec::new();
    for name in tag(tags, "h").unwrap_or_default().split(':').map(str::trim) {
        // From the bottom, each once.
        let all: Vec<_> = header.named(name).collect();
        if let Some((place, field)) = all.into_iter().rev().find(|(place, _)| !taken.contains(place)) {
            taken.push(place);
            canon::field(of_header, field.raw(), &mut covered);
        }
    }
    canon::field_unended(of_header, format!("{unsigned}\r\n").as_bytes(), &mut covered);
    let value = BASE64_STANDARD.encode(key.sign(&covered).unwrap());
    let lines: Vec<_> = value
        .as_bytes()
        .chunks(70)
        .map(|line| String::from_utf8_lossy(line))
        .collect();
    format!("{unsigned}{}\r\n", lines.join("\r\n\t"))
}

/// [`MESSAGE`] with a field on top.
pub(crate) fn with(field: &str) -> String {
    format!("{field}{MESSAGE}")
}

/// A link of a chain on top of a message: `ARC-Seal`, `ARC-Message-Signature`, `ARC-Authentication-Results`.
pub(crate) fn link(key: &SigningKey, instance: u32, validation: &str, message: &str) -> String {
    let whose = format!("a={}; d=forwarder.example; s=sel", key.algorithm());
    let results = format!("ARC-Authentication-Results: i={instance}; forwarder.example; dmarc=pass\r\n");
    let tags = format!("i={instance}; {whose}; c=relaxed/relaxed; h=from:to:subject");
    let signature = field("ARC-Message-Signature", key, &tags, message);
    let header = Header::parse(Header::split(message.as_bytes()).0.to_vec());
    let mut sealed = Vec::new();
    for before in 1..instance {
        for name in ["ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"] {
            let wanted = format!("i={before};");
            let mut found = header.named(name).map(|(_, field)| field);
            if let Some(field) =
                found.find(|field| String::from_utf8_lossy(field.value()).trim().starts_with(&wanted))
            {
                canon::field(Form::Relaxed, field.raw(), &mut sealed);
            }
        }
    }
    canon::field(Form::Relaxed, results.as_bytes(), &mut sealed);
    canon::field(Form::Relaxed, signature.as_bytes(), &mut sealed);
    let seal = format!("ARC-Seal: i={instance}; cv={validation}; {whose}; b=");
    canon::field_unended(Form::Relaxed, format!("{seal}\r\n").as_bytes(), &mut sealed);
    let value = BASE64_STANDARD.encode(key.sign(&sealed).unwrap());
    format!("{seal}{value}\r\n{signature}{results}{message}")
}
