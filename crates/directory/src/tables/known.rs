//! Answers of tables, for rules that use them without waiting.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long an answer stays fresh at most: long enough for one decision. For longer times, tables have caches with times of their own.
pub(super) const FRESH_MAX: Duration = Duration::from_secs(1);

/// Answers by key, with the time of each. An old one still counts if the table cannot be queried again.
#[derive(Debug)]
pub(super) struct Known<V> {
    most: usize,
    fresh: Duration,
    answers: Mutex<HashMap<Box<str>, (V, Instant)>>,
}

/// How usable a stored answer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Worth {
    /// There is none.
    Nothing,
    /// It should be looked up again.
    Old,
    /// It can be used.
    Fresh,
}

impl<V: Clone> Known<V> {
    /// With room for that many answers, each fresh for that long.
    pub(super) fn new(most: usize, fresh: Duration) -> Self {
        Self {
            most,
            fresh,
            answers: Mutex::default(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<V> {
        self.answers.lock().get(key).map(|(value, _)| value.clone())
    }

    pub(super) fn worth(&self, key: &str, now: Instant) -> Worth {
        match self.answers.lock().get(key) {
            None => Worth::Nothing,
            Some((_, since)) if now.saturating_duration_since(*since) < self.fresh => Worth::Fresh,
            Some(_) => Worth::Old,
        }
    }

    /// Stores an answer. When there are too many, the older half is dropped: answers needed now were stored a moment ago.
    pub(super) fn note(&self, key: &str, value: V, now: Instant) {
        let mut answers = self.answers.lock();
        if answers.len() >= self.most && !answers.contains_key(key) {
            let mut times: Vec<Instant> = answers.values().map(|(_, since)| *since).collect();
            let place = times.len() / 2;
            let (_, middle, _) = times.select_nth_unstable(place);
            let middle = *middle;
            answers.retain(|_, (_, since)| *since > middle);
        }
        answers.insert(key.into(), (value, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_half_makes_room() {
        let known = Known::new(100, FRESH_MAX);
        let start = Instant::now();
        let at = |number: u64| start + Duration::from_millis(number);
        for number in 0..=100 {
            known.note(&number.to_string(), number, at(number));
        }
        assert_eq!(
            (known.get("100"), known.get("99"), known.get("0")),
            (Some(100), Some(99), None)
        );
        assert!(known.answers.lock().len() <= 100);
    }

    #[test]
    fn an_answer_grows_old() {
        let known = Known::new(10, FRESH_MAX);
        let start = Instant::now();
        known.note("a", true, start);
        assert_eq!(known.worth("b", start), Worth::Nothing);
        assert_eq!(known.worth("a", start + FRESH_MAX / 2), Worth::Fresh);
        assert_eq!(known.worth("a", start + FRESH_MAX), Worth::Old);
        assert_eq!(known.get("a"), Some(true), "and goes on to count");
        let unkept = Known::new(10, Duration::ZERO);
        unkept.note("a", true, start);
        assert_eq!(
            unkept.worth("a", start),
            Worth::Old,
            "where nothing is kept all is asked again"
        );
        assert_eq!(unkept.get("a"), Some(true));
    }
}
