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
    /// The message, while it is in memory since it was put. Deferred ones are read when their turn comes.
    pub(crate) message: Option<Arc<Message>>,
    pub(crate) recipients: Vec<Due>,
    /// Whose mail it is.
    pub(crate) class: Class,
    /// Stands for the login it was submitted with; the same for all without one.
    pub(crate) submitter: u64,
    /// Kept until the outcomes are settled.
    pub(crate) claims: Vec<Claim>,
}

/// One recipient whose time has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Due {
    /// Its place in the envelope.
    pub(crate) index: u32,
    /// Attempts so far.
    pub(crate) attempts: u32,
    /// Whether its delay was reported.
    pub(crate) warned: bool,
}

impl Due {
    /// A recipient of a message that was just put.
    pub(crate) fn fresh(index: usize) -> Self {
        Self {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            attempts: 0,
            warned: false,
        }
    }
}

/// Who submitted a message, as [`Work::submitter`] has it. Nobody gains by a name with the hash of another's: they share a turn.
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
    /// Whether the message was just put and not tried yet.
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
    /// Deferred work of users, with nothing to it.
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
