//! The cost of emitting a counted event, compared with no observer and with metrics switched off.

#![expect(
    missing_docs,
    reason = "the macro that gathers the benchmarks makes a public function"
)]

#[path = "../../events/benches/common/mod.rs"]
mod common;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use postern_events::Observers;
use postern_metrics::{ConfiguredNames, Metrics};

fn accepted(observers: &Observers) {
    observers.tell(common::accepted("6b030415-2"));
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
