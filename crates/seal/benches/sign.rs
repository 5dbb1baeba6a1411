//! The cost of a signature: body hashes by size, and each algorithm for one message.
//!
//! `cargo bench -p postern-seal`

#![allow(clippy::unwrap_used, reason = "a failed step ends the bench")]
#![allow(missing_docs, reason = "criterion's macros")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use postern_mail::Header;
use postern_seal::{Algorithm, BodyHasher, Canonicalization, Form, RsaBits, Signer, SigningKey};

const HEADER: &str = "Received: from client.example ([192.0.2.1])\r\n\tby mx.example.org with ESMTPSA id 1;\r\n\tTue, 01 Dec 2026 01:00:00 +0000\r\n\
    From: Ann <ann@example.org>\r\nTo: Bob <bob@example.net>\r\nSubject: What a signature costs\r\n\
    Date: Tue, 01 Dec 2026 01:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n";

fn bodies(c: &mut Criterion) {
    let line = "A line of text as people write it, with a few blanks in it.\r\n";
    let body = line.repeat((1 << 20) / line.len());
    let mut group = c.benchmark_group("body");
    group.throughput(Throughput::Bytes(body.len() as u64));
    for form in [Form::Simple, Form::Relaxed] {
        group.bench_function(form.name(), |b| {
            b.iter(|| {
                let mut hasher = BodyHasher::new(form, None);
                for piece in black_box(body.as_bytes()).chunks(16 << 10) {
                    hasher.feed(piece);
                }
                hasher.finish()
            });
        });
    }
    group.finish();
}

fn signatures(c: &mut Criterion) {
    let header = Header::parse(HEADER.into());
    let mut hasher = BodyHasher::new(Form::Relaxed, None);
    hasher.feed(b"Hello.\r\n");
    let hash = hasher.finish();
    for algorithm in Algorithm::ALL {
        let (key, _) = SigningKey::generate(algorithm, RsaBits::default()).unwrap();
        let signer = Signer {
            domain: "example.org".to_owned(),
            selector: "r202612".to_owned(),
            key: Arc::new(key),
            canonicalization: Canonicalization::RELAXED,
            fields: Arc::default(),
            expires: None,
        };
        c.bench_function(&format!("sign with {algorithm}"), |b| {
            b.iter(|| signer.sign(black_box(&header), &hash, Timestamp::UNIX_EPOCH));
        });
    }
}

criterion_group!(benches, bodies, signatures);
criterion_main!(benches);
