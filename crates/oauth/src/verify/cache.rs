//! Recent answers of a provider.
//!
//! An entry's key is an HMAC of the token under a random key of this process, so it does not reveal the token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use postern_policy::TtlCache;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::claims::Claims;

/// Most entries.
const ENTRIES_MAX: usize = 10_000;

/// Longest time that "not active" is cached for a token.
const INACTIVE_MAX: Duration = Duration::from_secs(10);

type Tag = [u8; 32];

/// What is known about a token: its claims, or that it is not active.
pub(super) type Known = Option<Arc<Claims>>;

pub(super) struct AnswerCache {
    /// As long as a block of the hash, so that it is used unchanged.
    key: Zeroizing<[u8; 64]>,
    ttl: Duration,
    entries: Mutex<TtlCache<Tag, Known>>,
}

impl AnswerCache {
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            key: Zeroizing::new(rand::random()),
            ttl,
            entries: Mutex::new(TtlCache::new(ENTRIES_MAX)),
        }
    }

    pub(super) fn get(&self, token: &str, now: Instant) -> Option<Known> {
        self.entries.lock().get(&self.tag(token), now).cloned()
    }

    /// Remembers an answer. `left` is the time until the token expires, if the provider tells.
    pub(super) fn note(&self, token: &str, known: Known, left: Option<Duration>, now: Instant) {
        let ttl = match (&known, left) {
            (None, _) => self.ttl.min(INACTIVE_MAX),
            (Some(_), Some(left)) => self.ttl.min(left),
            (Some(_), None) => self.ttl,
        };
        if ttl.is_zero() {
            return;
        }
        self.entries.lock().insert(self.tag(token), known, now + ttl, now);
    }

    fn tag(&self, token: &str) -> Tag {
        let mut mac = Hmac::<Sha256>::new((&*self.key).into());
        mac.update(token.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_an_answer_counts() {
        let start = Instant::now();
        let seconds = Duration::from_secs;
        let active = || Some(Arc::new(Claims::new()));
        #[rustfmt::skip]
        let cases = [
            // what the case shows            cached  answer    left               after  known
            ("within the time",               60,     active(), None,              59,    true),
            ("after it",                      60,     active(), None,              60,    false),
            ("the token ends before",         60,     active(), Some(seconds(20)), 20,    false),
            ("and until then it counts",      60,     active(), Some(seconds(20)), 19,    true),
            ("it has ended already",          60,     active(), Some(seconds(0)),  0,     false),
            ("not active, for a short time",  60,     None,     None,              9,     true),
            ("and no longer",                 60,     None,     None,              10,    false),
            ("switched off",                  0,      active(), None,              0,     false),
            ("switched off, not active",      0,      None,     None,              0,     false),
        ];
        for (shows, ttl, answer, left, after, want) in cases {
            let cache = AnswerCache::new(seconds(ttl));
            cache.note("token", answer.clone(), left, start);
            let known = cache.get("token", start + seconds(after));
            assert_eq!(known, want.then_some(answer), "{shows}");
            assert_eq!(cache.get("tokem", start), None, "{shows}: another token");
        }
    }

    #[test]
    fn bounded() {
        let now = Instant::now();
        let cache = AnswerCache::new(Duration::from_secs(60));
        for number in 0..=ENTRIES_MAX {
            cache.note(&number.to_string(), None, None, now);
        }
        assert!(cache.entries.lock().len() <= ENTRIES_MAX);
        assert_eq!(
            cache.get(&ENTRIES_MAX.to_string(), now),
            Some(None),
            "the newest is there"
        );
    }
}
