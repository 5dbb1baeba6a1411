//! The leases of the one process that has the queue open: in memory, since they end with it.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use postern_mail::QueueId;

use crate::lease::{Lease, LeaseBook, LeaseKey, LeaseOwner};

const SHARDS: usize = 16;

/// All leases.
pub(super) struct Leases {
    book: Arc<Book>,
    owner: Arc<LeaseOwner>,
}

#[derive(Default)]
struct Book {
    shards: [Mutex<HashSet<LeaseKey>>; SHARDS],
}

impl Leases {
    pub(super) fn new(owner: LeaseOwner) -> Self {
        Self {
            book: Arc::default(),
            owner: Arc::new(owner),
        }
    }

    /// A lease on a message's work for a domain, unless it is already leased.
    pub(super) fn take(&self, id: QueueId, domain: &Arc<str>) -> Option<Lease> {
        let key = LeaseKey {
            id,
            domain: domain.clone(),
        };
        let free = self.book.shard(id).lock().insert(key.clone());
        free.then(|| Lease::new(self.book.clone(), key, self.owner.clone(), None))
    }
}

impl Book {
    fn shard(&self, id: QueueId) -> &Mutex<HashSet<LeaseKey>> {
        // The low bits distinguish messages of one millisecond, the higher ones milliseconds.
        let bits = id.as_i64().unsigned_abs();
        &self.shards[((bits ^ (bits >> 21)) as usize) % SHARDS]
    }
}

impl LeaseBook for Book {
    fn give_back(&self, key: &LeaseKey) {
        self.shard(key.id).lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn work_is_leased_once() {
        let owner = LeaseOwner {
            node: 7,
            since: Timestamp::UNIX_EPOCH,
        };
        let leases = Leases::new(owner.clone());
        let id = QueueId::new(1_795_000_000_000, 1);
        let (a, b): (Arc<str>, Arc<str>) = ("a.example".into(), "b.example".into());
        let first = leases.take(id, &a).expect("free");
        assert_eq!((first.owner(), first.ends_at()), (&owner, None));
        assert!(leases.take(id, &a).is_none(), "held");
        let _other = leases
            .take(id, &b)
            .expect("another domain of the same message is apart");
        drop(first);
        assert!(leases.take(id, &a).is_some());
    }
}
