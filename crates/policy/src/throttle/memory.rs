//! Failures by key, bounded: the key untouched for longest is the first to be forgotten.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// What one key has done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failures {
    /// Failures since [`since`](Self::since), in halves.
    pub(super) halves: u32,
    /// The time of the first of them.
    pub(super) since: Instant,
    /// The time of the last of them.
    pub(super) last: Instant,
    /// How often it was locked out without a long pause.
    pub(super) lockouts: u32,
    pub(super) locked_out_until: Option<Instant>,
    /// The key's position in the order of age.
    pub(super) turn: u64,
}

/// How long things are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// How long a failure counts.
    pub(super) window: Duration,
    /// How long a lockout is remembered, so that the next one is longer.
    pub(super) lockouts: Duration,
}

/// Failures by key.
#[derive(Debug)]
pub(super) struct Memory<K> {
    entries: HashMap<K, Failures>,
    by_age: BTreeMap<u64, K>,
    turn: u64,
}

impl Failures {
    /// No failures: `last` is when the key was last touched.
    pub(super) fn none(last: Instant) -> Self {
        Self {
            halves: 0,
            since: last,
            last,
            lockouts: 0,
            locked_out_until: None,
            turn: 0,
        }
    }

    /// What counts now, in halves.
    pub(super) fn halves_at(&self, now: Instant, window: Duration) -> u32 {
        match now.saturating_duration_since(self.since) < window {
            true => self.halves,
            false => 0,
        }
    }

    /// How much longer it is locked out.
    pub(super) fn locked_out_for(&self, now: Instant) -> Option<Duration> {
        let left = self.locked_out_until?.checked_duration_since(now)?;
        (!left.is_zero()).then_some(left)
    }
}

impl<K: Clone + Eq + Hash> Memory<K> {
    pub(super) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            by_age: BTreeMap::new(),
            turn: 0,
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&Failures> {
        self.entries.get(key)
    }

    /// The failures of a key that count now, in halves.
    pub(super) fn halves(&self, key: &K, now: Instant, window: Duration) -> u32 {
        self.get(key)
            .map_or(0, |failures| failures.halves_at(now, window))
    }

    /// How much longer a key is locked out.
    pub(super) fn locked_out_for(&self, key: &K, now: Instant) -> Option<Duration> {
        self.get(key)?.locked_out_for(now)
    }

    /// Adds this many half failures, and forgets the oldest keys if there are more than `most`.
    pub(super) fn add(
        &mut self,
        key: K,
        halves: u32,
        now: Instant,
        span: Span,
        most: usize,
    ) -> &mut Failures {
        while self.entries.len() >= most.max(1) && !self.entries.contains_key(&key) {
            let Some((_, oldest)) = self.by_age.pop_first() else {
                break;
            };
            self.entries.remove(&oldest);
        }
        self.turn += 1;
        let turn = self.turn;
        let fresh = Failures {
            turn,
            ..Failures::none(now)
        };
        let failures = self.entries.entry(key.clone()).or_insert(fresh);
        self.by_age.remove(&failures.turn);
        self.by_age.insert(turn, key);
        if now.saturating_duration_since(failures.since) >= span.window {
            (failures.halves, failures.since) = (0, now);
        }
        if now.saturating_duration_since(failures.last) >= span.lockouts {
            failures.lockouts = 0;
        }
        failures.turn = turn;
        failures.last = now;
        failures.halves = failures.halves.saturating_add(halves);
        failures
    }

    /// Restores an entry from before a restart, unless the key already exists or the limit is reached.
    pub(super) fn restore(&mut self, key: K, failures: Failures, most: usize) {
        if self.entries.contains_key(&key) || self.entries.len() >= most {
            return;
        }
        self.turn += 1;
        let turn = self.turn;
        self.by_age.insert(turn, key.clone());
        self.entries.insert(key, Failures { turn, ..failures });
    }

    pub(super) fn forget(&mut self, key: &K) {
        if let Some(failures) = self.entries.remove(key) {
            self.by_age.remove(&failures.turn);
            self.turn += 1;
        }
    }

    /// A number that grows with each change.
    pub(super) fn changes(&self) -> u64 {
        self.turn
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Failures)> {
        self.entries.iter()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        debug_assert_eq!(self.entries.len(), self.by_age.len());
        self.entries.len()
    }
}
