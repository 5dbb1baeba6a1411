//! Deferred mail in memory: the lease on it, and its share of the available memory.

use std::sync::Arc;

use parking_lot::Mutex;
use postern_policy::concurrency::{Class, Shares, Usage};
use postern_spool::Lease;

/// All claims.
pub(crate) struct Claims {
    memory: Mutex<Memory>,
}

/// How many are allowed, and in use.
struct Memory {
    shares: Shares,
    usage: Usage,
}

impl Claims {
    /// At most `total`, shared out by class.
    pub(crate) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self {
            memory: Mutex::new(Memory {
                shares: Shares::of(total),
                usage: Usage::default(),
            }),
        })
    }

    /// Follows a new limit. Existing claims stay.
    pub(crate) fn follow(&self, total: usize) {
        self.memory.lock().shares = Shares::of(total);
    }

    /// How many more a class may have; `proven` says that they are for a host that has accepted mail recently.
    pub(crate) fn room(&self, class: Class, proven: bool) -> usize {
        let memory = self.memory.lock();
        memory.shares.room(&memory.usage, class, proven)
    }

    /// Whether half of the reserved share of a class is free.
    pub(crate) fn is_half_empty(&self, class: Class, proven: bool) -> bool {
        let Memory { shares, usage } = &*self.memory.lock();
        let most = match (proven, shares.reserved(class)) {
            (false, _) | (true, 0) => shares.unproven(class),
            (true, reserved) => reserved,
        };
        shares.room(usage, class, proven) >= most.div_ceil(2)
    }

    /// Takes leased work into memory. Ask first whether there is room for it.
    pub(crate) fn take(self: &Arc<Self>, lease: Lease, class: Class, proven: bool) -> Claim {
        self.memory.lock().usage.take(class, proven, 1);
        Claim {
            _lease: lease,
            claims: self.clone(),
            class,
            proven,
        }
    }
}

/// One message's mail for one domain in memory. Released on drop.
pub(crate) struct Claim {
    _lease: Lease,
    claims: Arc<Claims>,
    class: Class,
    proven: bool,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims
            .memory
            .lock()
            .usage
            .give_back(self.class, self.proven, 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use jiff::Timestamp;
    use postern_mail::QueueId;
    use postern_spool::{LeaseBook, LeaseKey, LeaseOwner};

    use super::*;

    #[derive(Default)]
    struct Returned(AtomicUsize);

    impl LeaseBook for Returned {
        fn give_back(&self, _: &LeaseKey) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_claim_takes_room_and_holds_its_lease() {
        let claims = Claims::new(10);
        let book = Arc::new(Returned::default());
        let owner = Arc::new(LeaseOwner {
            node: 0,
            since: Timestamp::UNIX_EPOCH,
        });
        let take = |domain: &str| {
            let key = LeaseKey {
                id: QueueId::new(1_795_000_000_000, 1),
                domain: domain.into(),
            };
            let lease = Lease::new(book.clone(), key, owner.clone(), None);
            claims.take(lease, Class::Users, true)
        };
        let taken = (take("a.example"), take("b.example"));
        let room = || claims.room(Class::Users, true);
        assert_eq!(room(), 5, "of ten, three are kept for others");
        assert_eq!(book.0.load(Ordering::Relaxed), 0);
        drop(taken);
        assert_eq!(room(), 7);
        assert_eq!(book.0.load(Ordering::Relaxed), 2);
    }
}
