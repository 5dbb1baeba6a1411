//! Which deferred mail is in memory, so that the spool, which still has it as due, does not hand it out twice.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use postern_mail::QueueId;

const SHARDS: usize = 16;

/// A message and (the hash of) a domain: what one look at the spool hands out as one piece of work.
type Key = (QueueId, u64);

/// All claims.
pub(crate) struct Claims {
    shards: [Mutex<HashSet<Key>>; SHARDS],
    hasher: RandomState,
    count: AtomicUsize,
}

impl Claims {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            shards: Default::default(),
            hasher: RandomState::new(),
            count: AtomicUsize::new(0),
        })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The hash under which claims for `domain` are kept. Two domains with the same one wait for each other, no more.
    pub(crate) fn hash(&self, domain: &str) -> u64 {
        self.hasher.hash_one(domain)
    }

    /// Whether somebody holds the claim.
    pub(crate) fn is_held(&self, id: QueueId, hash: u64) -> bool {
        self.shard(id).lock().contains(&(id, hash))
    }

    /// Takes the claim, unless somebody holds it.
    pub(crate) fn take(self: &Arc<Self>, id: QueueId, hash: u64) -> Option<Claim> {
        if !self.shard(id).lock().insert((id, hash)) {
            return None;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        Some(Claim {
            claims: self.clone(),
            id,
            hash,
        })
    }

    fn shard(&self, id: QueueId) -> &Mutex<HashSet<Key>> {
        // The low bits tell messages of one millisecond apart, the ones above them milliseconds.
        let bits = id.as_i64().unsigned_abs();
        &self.shards[((bits ^ (bits >> 21)) as usize) % SHARDS]
    }
}

/// Mail of one message for one domain is in memory. Given back on drop.
pub(crate) struct Claim {
    claims: Arc<Claims>,
    id: QueueId,
    hash: u64,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.shard(self.id).lock().remove(&(self.id, self.hash));
        self.claims.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_held_once() {
        let claims = Claims::new();
        let id = QueueId::new(1_795_000_000_000, 1);
        let (a, b) = (claims.hash("a.example"), claims.hash("b.example"));
        let first = claims.take(id, a).expect("free");
        assert!(claims.take(id, a).is_none(), "held");
        let other = claims
            .take(id, b)
            .expect("another domain of the same message is apart");
        assert_eq!(claims.count(), 2);
        assert!(claims.is_held(id, a));
        drop((first, other));
        assert_eq!(claims.count(), 0);
        assert!(!claims.is_held(id, a));
    }
}
