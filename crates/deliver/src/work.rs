//! What a worker does next: one message for one next hop.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use jiff::Timestamp;
use postern_mail::QueueId;
use postern_policy::concurrency::Class;
use postern_spool::{Message, QueuedRecipient};

use crate::claims::Claim;

/// Recipients of one message that share a next hop.
pub(crate) struct Work {
    pub(crate) id: QueueId,
    /// When it was accepted, in queue time.
    pub(crate) queued_at: Timestamp,
    /// The message, if still in memory since it was received. Deferred ones are read when their turn comes.
    pub(crate) message: Option<Arc<Message>>,
    pub(crate) recipients: Vec<Due>,
    /// The class of mail.
    pub(crate) class: Class,
    /// Identifies the user who submitted it; the same for all mail without authentication.
    pub(crate) submitter: u64,
    /// Kept until the outcomes are settled.
    pub(crate) claims: Vec<Claim>,
}

/// One recipient that is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Due {
    /// Its index in the envelope.
    pub(crate) index: u32,
    /// Attempts so far.
    pub(crate) attempts: u32,
    /// Whether its delay was reported.
    pub(crate) warned: bool,
}

impl Due {
    /// A recipient of a message that was just received.
    pub(crate) fn fresh(index: usize) -> Self {
        Self {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            attempts: 0,
            warned: false,
        }
    }
}

/// The submitter of a message, as in [`Work::submitter`]. A user name with the same hash as another gains nothing: they share a
/// turn.
pub(crate) fn submitter(login: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    login.hash(&mut hasher);
    hasher.finish()
}

impl From<&QueuedRecipient> for Due {
    fn from(queued: &QueuedRecipient) -> Self {
        Self {
            index: queued.index,
            attempts: queued.attempts,
            warned: queued.warned,
        }
    }
}

impl Work {
    /// Whether the message was just received and not tried yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.message.is_some()
    }

    /// Whether no recipient was tried before.
    pub(crate) fn is_untried(&self) -> bool {
        self.recipients.iter().all(|due| due.attempts == 0)
    }
}

#[cfg(test)]
impl Work {
    /// Plain deferred work of users.
    pub(crate) fn for_tests(id: i64) -> Self {
        Self {
            id: QueueId::from_i64(id),
            queued_at: Timestamp::UNIX_EPOCH,
            message: None,
            recipients: vec![Due::fresh(0)],
            class: Class::Users,
            submitter: 0,
            claims: Vec::new(),
        }
    }
}
