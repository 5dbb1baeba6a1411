//! The cost of reading and searching a table of a million rows, compared with a standard library map.

#![expect(
    missing_docs,
    reason = "the macro that gathers the benchmarks makes a public function"
)]

use std::collections::HashMap;
use std::hint::black_box;
use std::net::Ipv4Addr;

use criterion::{Criterion, criterion_group, criterion_main};
use postern_table::{Address, Format, Plan, Subject, parse};

const ROWS: u32 = 1_000_000;

fn text() -> String {
    (0..ROWS)
        .map(|number| {
            format!(
                "user{number}@domain{}.example\tmailbox{number}@store.example\n",
                number % 1_000
            )
        })
        .collect()
}

fn read(criterion: &mut Criterion) {
    let text = text();
    let mut group = criterion.benchmark_group("read a million rows");
    group.sample_size(10);
    group.bench_function("table", |bencher| {
        bencher.iter(|| parse(black_box(text.as_bytes()), Format::Postfix).is_ok());
    });
    group.bench_function("map of the standard library", |bencher| {
        bencher.iter(|| {
            let rows = black_box(&text).lines().filter_map(|line| line.split_once('\t'));
            rows.map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect::<HashMap<_, _>>()
        });
    });
    group.finish();
}

fn look_up(criterion: &mut Criterion) {
    let text = text();
    let table = parse(text.as_bytes(), Format::Postfix).map(|parsed| parsed.table);
    let Ok(table) = table else { return };
    let rows = text.lines().filter_map(|line| line.split_once('\t'));
    let map: HashMap<String, String> = rows
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    // In neither order of storage, which the processor would prefetch.
    let order = (0..100_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) % ROWS) as usize);
    let all: Vec<&str> = text.lines().filter_map(|line| line.split('\t').next()).collect();
    let keys: Vec<&str> = order.map(|number| all[number]).collect();
    let mut group = criterion.benchmark_group("look up among a million rows");
    let mut at = 0;
    let mut next = || {
        at = (at + 1) % keys.len();
        keys[at]
    };
    group.bench_function("table", |bencher| {
        bencher.iter(|| table.get(black_box(next())).is_some())
    });
    group.bench_function("map of the standard library", |bencher| {
        bencher.iter(|| map.contains_key(black_box(next())));
    });
    group.bench_function("table, by the keys of an address", |bencher| {
        bencher.iter(|| {
            let address = Address::of(black_box("user17+shop@domain17.example"), "+");
            let keys = Plan::Address.keys(&address.map_or(Subject::Name(""), Subject::Address));
            keys.iter().find_map(|key| table.get(&key.text)).is_some()
        });
    });
    group.finish();
}

fn networks(criterion: &mut Criterion) {
    let text: String = (0..10_000_u32)
        .map(|number| format!("{}/24 REJECT\n", Ipv4Addr::from(number << 8)))
        .collect();
    let Ok(parsed) = parse(text.as_bytes(), Format::Cidr) else {
        return;
    };
    criterion.bench_function("look up among 10,000 networks", |bencher| {
        bencher.iter(|| parsed.table.get(black_box("0.30.7.9")).is_some());
    });
}

fn patterns(criterion: &mut Criterion) {
    let text: String = (0..50)
        .map(|number| format!("/^user{number}[0-9]+@.*\\.example$/ value\n"))
        .collect();
    let Ok(parsed) = parse(text.as_bytes(), Format::Pcre) else {
        return;
    };
    criterion.bench_function("look up among 50 patterns, in vain", |bencher| {
        bencher.iter(|| parsed.table.get(black_box("somebody@domain.example")).is_some());
    });
}

criterion_group!(all, read, look_up, networks, patterns);
criterion_main!(all);
