//! Which deferred mail is in memory, so that the spool, which still has it as due, does not hand it out twice.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;
use postern_mail::QueueId;
use postern_policy::concurrency::{Class, Shares, Usage};

const SHARDS: usize = 16;

/// A message and (the hash of) a domain: what one look at the spool hands out as one piece of work.
type Key = (QueueId, u64);

/// All claims.
pub(crate) struct Claims {
    shards: [Mutex<HashSet<Key>>; SHARDS],
    hasher: RandomState,
    memory: Mutex<Memory>,
}

/// How many there may be, and are.
struct Memory {
    shares: Shares,
    usage: Usage,
}

impl Claims {
    /// At most `total`, shared out by class.
    pub(crate) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self {
            shards: Default::default(),
            hasher: RandomState::new(),
            memory: Mutex::new(Memory {
                shares: Shares::of(total),
                usage: Usage::default(),
            }),
        })
    }

    /// Follows a new bound. Claims stay.
    pub(crate) fn follow(&self, total: usize) {
        self.memory.lock().shares = Shares::of(total);
    }

    /// How many more there may be of a class; `proven` is whether they are for a host that has taken mail of late.
    pub(crate) fn room(&self, class: Class, proven: bool) -> usize {
        let memory = self.memory.lock();
        memory.shares.room(&memory.usage, class, proven)
    }

    /// Whether half of what a class may always have is free.
    pub(crate) fn is_half_empty(&self, class: Class, proven: bool) -> bool {
        let Memory { shares, usage } = &*self.memory.lock();
        let most = match (proven, shares.reserved(class)) {
            (false, _) | (true, 0) => shares.unproven(class),
            (true, reserved) => reserved,
        };
        shares.room(usage, class, proven) >= most.div_ceil(2)
    }

    /// The hash under which claims for `domain` are kept. Two domains with the same one wait for each other, no more.
    pub(crate) fn hash(&self, domain: &str) -> u64 {
        self.hasher.hash_one(domain)
    }

    /// Whether somebody holds the claim.
    pub(crate) fn is_held(&self, id: QueueId, hash: u64) -> bool {
        self.shard(id).lock().contains(&(id, hash))
    }

    /// Takes the claim, unless somebody holds it. Whether there is room for it is to be asked before.
    pub(crate) fn take(
        self: &Arc<Self>,
        id: QueueId,
        hash: u64,
        class: Class,
        proven: bool,
    ) -> Option<Claim> {
        if !self.shard(id).lock().insert((id, hash)) {
            return None;
        }
        self.memory.lock().usage.take(class, proven, 1);
        Some(Claim {
            claims: self.clone(),
            id,
            hash,
            class,
            proven,
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
    class: Class,
    proven: bool,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.shard(self.id).lock().remove(&(self.id, self.hash));
        self.claims
            .memory
            .lock()
            .usage
            .give_back(self.class, self.proven, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_held_once() {
        let claims = Claims::new(10);
        let take = |id, hash| claims.take(id, hash, Class::Users, true);
        let id = QueueId::new(1_795_000_000_000, 1);
        let (a, b) = (claims.hash("a.example"), claims.hash("b.example"));
        let first = take(id, a).expect("free");
        assert!(take(id, a).is_none(), "held");
        let other = take(id, b).expect("another domain of the same message is apart");
        let room = || claims.room(Class::Users, true);
        assert_eq!(room(), 5, "of ten, three are kept for others");
        assert!(claims.is_held(id, a));
        drop((first, other));
        assert_eq!(room(), 7);
        assert!(!claims.is_held(id, a));
    }
}
