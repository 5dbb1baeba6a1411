//! The cost of judging: a message with one signature of each algorithm, one without any, and a chain, with DNS answers in memory.
//!
//! `cargo bench -p postern-seal --bench judge`

#![allow(clippy::unwrap_used, reason = "a failed step ends the bench")]
#![allow(missing_docs, reason = "criterion's macros")]

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use futures_util::future::ready;
use jiff::Timestamp;
use postern_mail::Header;
use postern_policy::authenticity::{ArcResult, DkimResult, DmarcResult};
use postern_seal::dns::{Dns, Family, Lookup, NoAnswer};
use postern_seal::judge::arc::{Found, Sealer, seal};
use postern_seal::judge::{Checks, Judgement, Moment, Watch, spf};
use postern_seal::{Algorithm, BodyHasher, Canonicalization, Form, KeyRecord, RsaBits, Signer, SigningKey};

const NOW: i64 = 1_796_000_000;

const HEADER: &str = "Received: from client.example ([192.0.2.1])\r\n\tby mx.example.org with ESMTPS id 1;\r\n\tTue, 01 Dec 2026 01:00:00 +0000\r\n\
    From: Ann <ann@site.example>\r\nTo: Bob <bob@example.net>\r\nSubject: What judging costs\r\n\
    Date: Tue, 01 Dec 2026 01:00:00 +0000\r\nMessage-ID: <1@site.example>\r\nMIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n";

/// The DNS records that are queried.
struct Zone(Vec<(&'static str, String)>);

impl Dns for Zone {
    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<Vec<u8>>> {
        let found = self.0.iter().find(|(at, _)| *at == name);
        let texts = found.map(|(_, text)| vec![text.clone().into_bytes()]);
        ready(texts.ok_or(NoAnswer::Nothing)).boxed()
    }

    fn addresses<'a>(&'a self, _: &'a str, _: Family) -> Lookup<'a, Vec<IpAddr>> {
        ready(Err(NoAnswer::Nothing)).boxed()
    }

    fn mx<'a>(&'a self, _: &'a str) -> Lookup<'a, Vec<String>> {
        ready(Err(NoAnswer::Nothing)).boxed()
    }

    fn names(&self, _: IpAddr) -> Lookup<'_, Vec<String>> {
        ready(Err(NoAnswer::Nothing)).boxed()
    }
}

fn judge(zone: &Zone, message: &[u8]) -> Judgement {
    let (header, body) = Header::split(message);
    let mut watch = Watch::new(Header::parse(header.to_vec()), Checks::ALL);
    watch.body(&message[body..]);
    let sender = "ann@site.example".parse().unwrap();
    let asked = spf::Asked {
        ip: "192.0.2.1".parse().unwrap(),
        helo: "client.example",
        sender: Some(&sender),
        receiver: "mx.example.org",
        time: NOW,
    };
    let moment = Moment {
        now: NOW.unsigned_abs(),
        chance: 0,
    };
    let judged = async {
        watch
            .finish(zone, Some(spf::check(zone, &asked).await), moment)
            .await
    };
    judged.now_or_never().unwrap()
}

fn messages(c: &mut Criterion) {
    let body = "A line of text as people write it, with a few blanks in it.\r\n".repeat(60);
    let mut hasher = BodyHasher::new(Form::Relaxed, None);
    hasher.feed(body.as_bytes());
    let hash = hasher.finish();
    let header = Header::parse(HEADER.into());
    let mut zone = Zone(vec![
        ("site.example", "v=spf1 ip4:192.0.2.1 -all".to_owned()),
        ("_dmarc.site.example", "v=DMARC1; p=reject".to_owned()),
    ]);
    let mut keys = Vec::new();
    for (algorithm, name) in [
        (Algorithm::RsaSha256, "r._domainkey.site.example"),
        (Algorithm::Ed25519Sha256, "e._domainkey.site.example"),
    ] {
        let key = SigningKey::generate(algorithm, RsaBits::default()).unwrap().0;
        zone.0.push((name, KeyRecord::of(&key).to_string()));
        keys.push((name, Arc::new(key)));
    }
    let plain = format!("{HEADER}\r\n{body}");
    c.bench_function("judge without a signature", |b| {
        b.iter(|| judge(&zone, black_box(plain.as_bytes())));
    });
    for (name, key) in &keys {
        let signer = Signer {
            domain: "site.example".to_owned(),
            selector: name[..1].to_owned(),
            key: Arc::clone(key),
            canonicalization: Canonicalization::RELAXED,
            fields: Arc::default(),
            expires: None,
        };
        let field = signer
            .sign(&header, &hash, Timestamp::from_second(NOW).unwrap())
            .unwrap();
        let message = format!("{}{plain}", String::from_utf8_lossy(field.raw()));
        let judgement = judge(&zone, message.as_bytes());
        assert_eq!(judgement.dkim[0].result, DkimResult::Pass);
        assert_eq!(judgement.dmarc.unwrap().result, DmarcResult::Pass);
        c.bench_function(&format!("judge {}", key.algorithm()), |b| {
            b.iter(|| judge(&zone, black_box(message.as_bytes())));
        });
    }
    let sealer = Sealer {
        domain: "site.example".to_owned(),
        selector: "r".to_owned(),
        key: Arc::clone(&keys[0].1),
    };
    let found = Found {
        chain: ArcResult::None,
        links: 0,
        results: "mx.example.org;\n\tdmarc=pass",
        body: &hash,
        now: NOW.unsigned_abs(),
    };
    c.bench_function("seal", |b| b.iter(|| seal(black_box(&header), &found, &sealer)));
    let link = seal(&header, &found, &sealer).unwrap();
    let link: String = link
        .iter()
        .map(|field| String::from_utf8_lossy(field.raw()).into_owned())
        .collect();
    let sealed = format!("{link}{plain}");
    assert_eq!(
        judge(&zone, sealed.as_bytes()).arc.unwrap().result,
        ArcResult::Pass
    );
    c.bench_function("judge a chain of one link", |b| {
        b.iter(|| judge(&zone, black_box(sealed.as_bytes())));
    });
}

criterion_group!(benches, messages);
criterion_main!(benches);
