//! What the server's side of the protocol costs without a socket: commands, a transaction, bodies.

#![expect(
    missing_docs,
    reason = "the macro that gathers the benchmarks makes a public function"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use postern_mail::{ForwardPath, Recipient};
use postern_smtp::body::{BodyRules, DataDecoder};
use postern_smtp::command::Command;
use postern_smtp::server::{AuthRules, CommandRules, Dialogue, Extensions, Ground, Limits, Rules, Step};

fn commands(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("command");
    for line in [
        "NOOP",
        "MAIL FROM:<a@a.example> SIZE=4096 BODY=8BITMIME",
        "RCPT TO:<b@b.example>",
    ] {
        let verb = &line[..4];
        group.bench_function(verb, |bencher| {
            bencher.iter(|| Command::parse(black_box(line.as_bytes())).is_ok())
        });
    }
    group.finish();
}

/// `MAIL`, `RCPT` and `DATA` of one message, with their replies written out.
fn transaction(criterion: &mut Criterion) {
    let rules = Arc::new(Rules {
        hostname: "mx.example".to_owned(),
        qualify: None,
        qualify_recipients: None,
        limits: Limits::default(),
        body: BodyRules::default(),
        extensions: Extensions::default(),
        starttls: false,
        auth: AuthRules::default(),
        commands: CommandRules::default(),
    });
    let mut dialogue = Dialogue::new(rules, "client.example [192.0.2.1]", false);
    let mut out = Vec::with_capacity(1_024);
    criterion.bench_function("transaction", |bencher| {
        bencher.iter(|| {
            out.clear();
            for line in [
                "MAIL FROM:<a@a.example> SIZE=4096",
                "RCPT TO:<b@b.example>",
                "DATA",
            ] {
                match dialogue.step(black_box(line.as_bytes())) {
                    Step::Sender(ask) => ask.accept().write_to(&mut out),
                    Step::Recipient(ask) => {
                        let recipient = match ask.path() {
                            ForwardPath::Mailbox { mailbox, .. } => Some(Recipient::new(mailbox.clone())),
                            ForwardPath::Postmaster => None,
                        };
                        ask.accept(Ground::Here, recipient).write_to(&mut out);
                    }
                    Step::Data(ask) => drop(ask.start()),
                    step => panic!("{step:?}"),
                }
            }
            out.len()
        });
    });
}

fn bodies(criterion: &mut Criterion) {
    let line = format!("{}\r\n", "x".repeat(70));
    let mut group = criterion.benchmark_group("body");
    for octets in [4_096, 1_048_576] {
        let mut body = line.repeat(octets / line.len());
        body.push_str(".\r\n");
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(octets.to_string(), |bencher| {
            bencher.iter(|| {
                let mut decoder = DataDecoder::new(BodyRules::default());
                let mut kept = 0;
                // In pieces, as from a socket.
                for piece in body.as_bytes().chunks(65_536) {
                    let mut rest = piece;
                    while !rest.is_empty() {
                        let decoded = decoder.decode(black_box(rest));
                        kept += decoded.text.len();
                        rest = &rest[decoded.consumed..];
                    }
                }
                kept
            });
        });
    }
    group.finish();
}

criterion_group!(benches, commands, transaction, bodies);
criterion_main!(benches);
