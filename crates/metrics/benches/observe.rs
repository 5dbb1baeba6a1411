//! The cost of emitting a counted event, compared with no observer and with metrics switched off.

#![expect(
    missing_docs,
    reason = "the macro that gathers the benchmarks makes a public function"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use postern_events::{Accepted, Observers};
use postern_metrics::{ConfiguredNames, Metrics};
use postern_policy::Rule;

fn accepted(observers: &Observers) {
    observers.tell(Accepted {
        session: "6b030415-2",
        queue: &"0CN5C1SH20000",
        listener: "submission",
        peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        login: None,
        acts_as: None,
        rule: Rule::LocalRecipient,
        reason: None,
        sender_rule: None,
        from: &"<ann@example.org>",
        recipients: 1,
        size: 4_096,
        message_id: Some("<1@example.org>"),
        milter: None,
        took: Some(Duration::from_millis(7)),
    });
}

fn metrics(on: bool) -> Observers {
    let metrics = Metrics::default();
    metrics.switch(on);
    metrics.expect(&ConfiguredNames {
        listeners: ["mx", "submission", "submissions", "local"]
            .map(str::to_owned)
            .to_vec(),
        ..ConfiguredNames::default()
    });
    Observers::new(vec![Box::new(metrics)])
}

fn observe(criterion: &mut Criterion) {
    for (name, observers) in [
        ("nobody", Observers::nobody()),
        ("switched off", metrics(false)),
        ("counted", metrics(true)),
    ] {
        criterion.bench_function(name, |bencher| bencher.iter(|| accepted(black_box(&observers))));
    }
}

criterion_group!(benches, observe);
criterion_main!(benches);
