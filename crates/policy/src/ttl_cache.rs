//! A cache of entries that expire, limited in number. The time comes in as an argument.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

/// Values by key, each until it expires.
///
/// When it is full, expired entries are dropped first; if there are none, one of the others. So memory is bounded, and there is
/// always room for the newest entry.
#[derive(Debug)]
pub struct TtlCache<K, V> {
    most: usize,
    entries: HashMap<K, (V, Instant)>,
}

impl<K: Clone + Eq + Hash, V> TtlCache<K, V> {
    /// An empty one for `most` entries, at least one.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            entries: HashMap::new(),
        }
    }

    /// The value of a key, unless it has expired.
    pub fn get(&self, key: &K, now: Instant) -> Option<&V> {
        let (value, end) = self.entries.get(key)?;
        (now < *end).then_some(value)
    }

    /// Keeps a value until `end`, in place of an earlier one.
    pub fn insert(&mut self, key: K, value: V, end: Instant, now: Instant) {
        if self.entries.len() >= self.most && !self.entries.contains_key(&key) {
            self.entries.retain(|_, (_, end)| now < *end);
        }
        if self.entries.len() >= self.most
            && !self.entries.contains_key(&key)
            && let Some(other) = self.entries.keys().next().cloned()
        {
            self.entries.remove(&other);
        }
        self.entries.insert(key, (value, end));
    }

    /// The number of entries in memory, including expired ones.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_entry_counts_until_its_end() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut cache = TtlCache::new(10);
        cache.insert("a", 1, at(60), start);
        for (shows, key, second, want) in [
            ("at once", "a", 0, Some(&1)),
            ("just before the end", "a", 59, Some(&1)),
            ("at the end", "a", 60, None),
            ("another key", "b", 0, None),
        ] {
            assert_eq!(cache.get(&key, at(second)), want, "{shows}");
        }
        cache.insert("a", 2, at(90), at(30));
        assert_eq!(cache.get(&"a", at(60)), Some(&2), "the later one counts");
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn it_is_bounded_and_the_newest_has_a_place() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut cache = TtlCache::new(3);
        for number in 0..10 {
            cache.insert(number, number, at(60), start);
            assert_eq!(cache.get(&number, start), Some(&number));
            assert!(cache.len() <= 3);
        }
        cache.insert(10, 10, at(120), at(61));
        assert_eq!(cache.len(), 1, "those that are over go first");
        cache.insert(11, 11, at(120), at(61));
        cache.insert(12, 12, at(120), at(61));
        cache.insert(12, 13, at(130), at(62));
        assert_eq!(cache.len(), 3, "an entry that is replaced makes no room");
        assert_eq!(cache.get(&10, at(62)), Some(&10));
    }
}
