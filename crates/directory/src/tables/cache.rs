//! Recent answers of databases.

use std::time::Duration;

use parking_lot::Mutex;
use postern_policy::TtlCache;

use super::settings::CacheRules;
use crate::time;

/// Answers by key.
pub(super) struct Cache {
    rules: CacheRules,
    entries: Mutex<TtlCache<String, Option<String>>>,
}

impl Cache {
    pub(super) fn new(rules: CacheRules) -> Self {
        Self {
            rules,
            entries: Mutex::new(TtlCache::new(rules.entries)),
        }
    }

    /// For how long all answers are kept, those that there is no value too.
    pub(super) fn keeps_for(&self) -> Duration {
        if self.rules.entries == 0 {
            return Duration::ZERO;
        }
        self.rules.time.min(self.rules.time_without)
    }

    /// The cached answer for a key: none, or that there is no value, or the value.
    pub(super) fn get(&self, key: &String) -> Option<Option<String>> {
        if self.rules.entries == 0 {
            return None;
        }
        self.entries.lock().get(key, time::now()).cloned()
    }

    /// Caches an answer; a negative one for a shorter time.
    pub(super) fn insert(&self, key: String, value: Option<String>) {
        let time = match value {
            Some(_) => self.rules.time,
            None => self.rules.time_without,
        };
        if self.rules.entries > 0 && !time.is_zero() {
            let now = time::now();
            self.entries.lock().insert(key, value, now + time, now);
        }
    }
}
