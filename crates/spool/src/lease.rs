//! Leases: who is working on which queued work, so that nobody else gets it.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use postern_mail::QueueId;
use postern_policy::route::Detour;

use crate::message::Origin;
use crate::recipient::QueuedRecipient;

/// What a lease is on: the work of one message for one domain.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct LeaseKey {
    /// The message.
    pub id: QueueId,
    /// The domain of the recipients, as given to [`Spool::lease`](crate::Spool::lease).
    pub domain: Arc<str>,
}

/// The owner of a lease: a machine, in one run of the program.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct LeaseOwner {
    /// The machine, by its number [`SpoolSettings::node`](crate::SpoolSettings::node).
    pub node: u8,
    /// When its run of the program began: a restarted one has none of its earlier leases.
    pub since: Timestamp,
}

/// Where an engine keeps leases.
pub trait LeaseBook: Send + Sync {
    /// Ends a lease. What was settled meanwhile is no longer due, the rest can be leased again at once.
    fn give_back(&self, key: &LeaseKey);
}

/// The right to work on one message for one domain. It lasts until it is dropped, and an engine for several machines renews it
/// until then; to be kept until the outcomes are settled.
pub struct Lease {
    book: Arc<dyn LeaseBook>,
    key: LeaseKey,
    owner: Arc<LeaseOwner>,
    ends_at: Option<Timestamp>,
}

/// Work with the lease on it.
#[derive(Debug)]
pub struct Leased {
    /// The work.
    pub work: DueWork,
    /// Nobody else gets it while this exists.
    pub lease: Lease,
}

impl Lease {
    /// A lease that is in the book. `ends_at` is when it ends, in queue time, if its owner is not heard from again; `None` if it
    /// always ends with its owner.
    #[must_use]
    pub fn new(
        book: Arc<dyn LeaseBook>,
        key: LeaseKey,
        owner: Arc<LeaseOwner>,
        ends_at: Option<Timestamp>,
    ) -> Self {
        Self {
            book,
            key,
            owner,
            ends_at,
        }
    }

    /// The work that it is on.
    #[must_use]
    pub fn key(&self) -> &LeaseKey {
        &self.key
    }

    /// Its owner.
    #[must_use]
    pub fn owner(&self) -> &LeaseOwner {
        &self.owner
    }

    /// When it ends, in queue time, if its owner is not heard from again; `None` if it always ends with its owner, as in an
    /// engine for one machine.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.book.give_back(&self.key);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("key", &self.key)
            .field("owner", &self.owner)
            .field("ends_at", &self.ends_at)
            .finish_non_exhaustive()
    }
}

/// One message's work for one domain.
#[derive(Clone, Debug)]
pub struct DueWork {
    /// The message.
    pub id: QueueId,
    /// Its size in octets, prefix and body.
    pub size: u64,
    /// When it was accepted, in queue time.
    pub queued_at: Timestamp,
    /// Where it came from.
    pub origin: Origin,
    /// The login it was submitted with.
    pub login: Option<String>,
    /// The route of all its recipients, if a rule has set one for it.
    pub detour: Option<Arc<Detour>>,
    /// Its due recipients in that domain, in the order of their index.
    pub recipients: Vec<QueuedRecipient>,
}
