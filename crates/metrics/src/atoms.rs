//! Numbers that many threads add to.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A fixed set of numbers, one for each value of a label.
#[derive(Debug)]
pub(crate) struct Counters<const N: usize>(Box<[Counter; N]>);

impl<const N: usize> Default for Counters<N> {
    fn default() -> Self {
        Self(Box::new(array::from_fn(|_| Counter::default())))
    }
}

impl<const N: usize> Counters<N> {
    /// The one at this position. A position beyond the end, which our types rule out, counts as the last one.
    pub(crate) fn at(&self, place: usize) -> &Counter {
        &self.0[place.min(N - 1)]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Counter> {
        self.0.iter()
    }
}

/// Most buckets of a histogram, including the one for all larger values.
const BUCKETS_MAX: usize = 16;

/// A histogram of durations.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// Upper bounds of all buckets except the last, ascending.
    bounds: &'static [Duration],
    buckets: [Counter; BUCKETS_MAX],
    /// The sum in microseconds.
    sum: Counter,
}

impl Histogram {
    /// An empty histogram with these upper bounds, at most 15.
    pub(crate) fn new(bounds: &'static [Duration]) -> Self {
        debug_assert!(bounds.len() < BUCKETS_MAX && bounds.is_sorted());
        Self {
            bounds,
            buckets: array::from_fn(|_| Counter::default()),
            sum: Counter::default(),
        }
    }

    pub(crate) fn note(&self, took: Duration) {
        let place = self.bounds.iter().position(|bound| took <= *bound);
        self.buckets[place.unwrap_or(self.bounds.len())].one();
        self.sum.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Sum in seconds, count, and the buckets with their upper bounds in seconds, each with only its own values.
    pub(crate) fn read(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let bounds = self.bounds.iter().map(Duration::as_secs_f64).chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.buckets.iter().map(Counter::get)).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let seconds = Duration::from_micros(self.sum.get()).as_secs_f64();
        (seconds, count, buckets)
    }
}

const fn us<const N: usize>(bounds: [u64; N]) -> [Duration; N] {
    let mut out = [Duration::ZERO; N];
    let mut at = 0;
    while at < N {
        out[at] = Duration::from_micros(bounds[at]);
        at += 1;
    }
    out
}

/// For a disk sync: from 0.1 ms to 1 s.
pub(crate) static SYNC: &[Duration] = &us([
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
]);

/// For an answer over a network: from 1 ms to 60 s.
pub(crate) static ANSWER: &[Duration] = &us([
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000, 60_000_000,
]);

/// For a message's time in the queue: from 0.1 s to 5 days.
pub(crate) static DELAY: &[Duration] = &us([
    100_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    900_000_000,
    3_600_000_000,
    14_400_000_000,
    86_400_000_000,
    259_200_000_000,
    432_000_000_000,
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_the_first_bucket_that_holds_them() {
        let histogram = Histogram::new(SYNC);
        for micros in [0, 100, 101, 2_000_000] {
            histogram.note(Duration::from_micros(micros));
        }
        let (sum, count, buckets) = histogram.read();
        assert_eq!(count, 4);
        assert!((sum - 2.000_201).abs() < 1e-9, "{sum}");
        assert_eq!(buckets[0], (0.0001, 2), "a bound belongs to its bucket");
        assert_eq!(buckets[1], (0.00025, 1));
        assert_eq!(buckets.last(), Some(&(f64::MAX, 1)));
        assert!(
            [SYNC, ANSWER, DELAY]
                .iter()
                .all(|bounds| bounds.len() < BUCKETS_MAX && bounds.is_sorted())
        );
    }
}
