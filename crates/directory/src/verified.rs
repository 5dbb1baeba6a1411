//! Recently verified passwords, so that a client that logs in for each message costs one hash a minute.
//!
//! An entry is an HMAC, keyed with a random key of this process, over the stored hash and the password. So it reveals
//! the password only to someone who has read the whole memory, and a new password, with its new salt, matches no entry:
//! entries never have to be invalidated.

use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use postern_policy::TtlCache;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Most entries.
const ENTRIES_MAX: usize = 50_000;

type Tag = [u8; 32];

pub(crate) struct VerifiedCache {
    /// As long as a block of the hash, so that it is used unchanged.
    key: Zeroizing<[u8; 64]>,
    ttl: Duration,
    verified: TtlCache<Tag, ()>,
}

impl VerifiedCache {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            key: Zeroizing::new(rand::random()),
            ttl,
            verified: TtlCache::new(ENTRIES_MAX),
        }
    }

    /// Whether this password was verified against this stored hash recently.
    pub(crate) fn holds(&self, stored: &str, password: &SecretString, now: Instant) -> bool {
        !self.verified.is_empty() && self.verified.get(&self.tag(stored, password), now).is_some()
    }

    /// Remembers that it was.
    pub(crate) fn note(&mut self, stored: &str, password: &SecretString, now: Instant) {
        if self.ttl.is_zero() {
            return;
        }
        let tag = self.tag(stored, password);
        self.verified.insert(tag, (), now + self.ttl, now);
    }

    fn tag(&self, stored: &str, password: &SecretString) -> Tag {
        let mut mac = Hmac::<Sha256>::new((&*self.key).into());
        // The length separates hash and password.
        mac.update(&(stored.len() as u64).to_be_bytes());
        mac.update(stored.as_bytes());
        mac.update(password.expose_secret().as_bytes());
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_password_of_the_same_hash_within_the_time() {
        let start = Instant::now();
        let ttl = Duration::from_secs(60);
        let right = SecretString::from("right");
        let mut cache = VerifiedCache::new(ttl);
        assert!(!cache.holds("hash 1", &right, start), "nothing yet");
        cache.note("hash 1", &right, start);
        let cases = [
            ("the same", "hash 1", "right", Duration::ZERO, true),
            (
                "just within the time",
                "hash 1",
                "right",
                ttl - Duration::from_millis(1),
                true,
            ),
            ("after it", "hash 1", "right", ttl, false),
            ("another password", "hash 1", "wrong", Duration::ZERO, false),
            (
                "a new hash, as after a change",
                "hash 2",
                "right",
                Duration::ZERO,
                false,
            ),
            ("the border moved", "hash ", "1right", Duration::ZERO, false),
        ];
        for (shows, stored, password, after, want) in cases {
            assert_eq!(
                cache.holds(stored, &SecretString::from(password), start + after),
                want,
                "{shows}"
            );
        }
    }

    #[test]
    fn switched_off_and_bounded() {
        let now = Instant::now();
        let password = SecretString::from("x");
        let mut off = VerifiedCache::new(Duration::ZERO);
        off.note("hash", &password, now);
        assert!(!off.holds("hash", &password, now));

        let mut cache = VerifiedCache::new(Duration::from_secs(60));
        for number in 0..=ENTRIES_MAX {
            cache.note(&number.to_string(), &password, now);
        }
        assert!(cache.verified.len() <= ENTRIES_MAX);
        assert!(
            cache.holds(&ENTRIES_MAX.to_string(), &password, now),
            "the newest is there"
        );
    }

    #[test]
    fn two_processes_have_two_keys() {
        let password = SecretString::from("x");
        let (one, two) = (
            VerifiedCache::new(Duration::ZERO),
            VerifiedCache::new(Duration::ZERO),
        );
        assert_ne!(one.tag("hash", &password), two.tag("hash", &password));
    }
}
