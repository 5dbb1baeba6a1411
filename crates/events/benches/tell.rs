//! The cost of emitting an event: without observers, with one that only looks at its kind, and with one that writes all of it.

#![expect(
    missing_docs,
    reason = "the macro that gathers the benchmarks makes a public function"
)]

mod common;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use postern_events::{Connected, Disconnected, Event, History, Observer, Observers, Value};

/// Counts one kind of event, as metrics would.
struct Counts;

impl Observer for Counts {
    fn observe(&self, event: &Event<'_>) {
        if let Event::Accepted(accepted) = event {
            black_box(accepted.size);
        }
    }
}

/// Writes all fields into a reused buffer.
struct Writes;

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Observer for Writes {
    fn observe(&self, event: &Event<'_>) {
        LINE.with_borrow_mut(|line| {
            line.clear();
            line.push_str(event.word());
            event.fields(&mut |key, value| {
                let _ = match value {
                    Value::Absent => Ok(()),
                    Value::Text(text) => write!(line, " {key}={text}"),
                    other => write!(line, " {key}={other:?}"),
                };
            });
            black_box(line.len());
        });
    }
}

/// Remembers sessions, as the server does.
#[derive(Default)]
struct Remembers(History);

impl Observer for Remembers {
    fn observe(&self, event: &Event<'_>) {
        self.0.note(event, || 1_795_000_000_000);
    }
}

fn accepted(observers: &Observers, session: &str) {
    observers.tell(common::accepted(session));
}

fn tell(criterion: &mut Criterion) {
    let cases: [(&str, Observers); 3] = [
        ("nobody", Observers::nobody()),
        ("one who counts", Observers::new(vec![Box::new(Counts)])),
        ("one who writes", Observers::new(vec![Box::new(Writes)])),
    ];
    for (name, observers) in cases {
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| accepted(black_box(&observers), "6b030415-2"))
        });
    }
}

/// A session of three events when memory is full, so that each new session evicts an old one.
fn remember(criterion: &mut Criterion) {
    let observers = Observers::new(vec![Box::new(Remembers::default())]);
    let names: Vec<String> = (0..50_000).map(|number| format!("6b030415-{number}")).collect();
    let mut next = names.iter().cycle();
    let peer = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    criterion.bench_function("a session that is remembered", |bencher| {
        bencher.iter(|| {
            let Some(session) = next.next() else { return };
            observers.tell(Connected {
                session,
                listener: "mx",
                peer,
            });
            accepted(&observers, session);
            observers.tell(Disconnected {
                session,
                peer,
                reason: &"QUIT",
                seconds: 1,
            });
        });
    });
}

criterion_group!(benches, tell, remember);
criterion_main!(benches);
