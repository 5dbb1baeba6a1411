//! What became of recipients.

use std::sync::Arc;

use jiff::Timestamp;
use postern_mail::QueueId;
use serde::Serialize;

use crate::message::{Message, NewMessage};
use crate::recipient::Attempt;

/// Outcomes of one message, and the reports they cause, recorded in one transaction.
#[derive(Debug)]
pub struct Settlement {
    /// The message.
    pub id: QueueId,
    /// When the attempt ended, by the system's clock. Kept to the millisecond.
    pub at: Timestamp,
    /// One entry a recipient; more than one for the same recipient is as settling it twice.
    pub outcomes: Vec<RecipientOutcome>,
    /// Reports to queue with them. They are dropped when not one of the outcomes counted (all were duplicates).
    pub reports: Vec<NewMessage>,
}

/// What became of one recipient.
#[derive(Clone, Debug)]
pub struct RecipientOutcome {
    /// Its place in the envelope.
    pub index: u32,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a recipient in one attempt. All but [`Deferred`](Self::Deferred) are final.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Handed to the next hop, or to a mailbox.
    Delivered(Attempt),
    /// To be tried again.
    Deferred {
        /// Until when, in queue time.
        until: Timestamp,
        /// What came of this attempt; `None` when there was none (the server stops, a limit was reached): then the count of
        /// attempts stays.
        attempt: Option<Attempt>,
        /// Whether a report of the delay is among the reports of this settlement. Once set it stays.
        warned: bool,
    },
    /// Failed for good.
    Bounced(Attempt),
    /// Not delivered in time.
    Expired(Attempt),
    /// Removed by an administrator.
    Removed {
        /// Name of the administrator.
        by: String,
    },
}

/// The names of outcomes, as they are kept and shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeKind {
    /// Handed on.
    Delivered,
    /// Failed for good.
    Bounced,
    /// Not delivered in time.
    Expired,
    /// Removed by an administrator.
    Removed,
}

/// A final outcome as the history keeps it.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryEntry {
    /// The message.
    #[serde(serialize_with = "id_text")]
    pub id: QueueId,
    /// Place of the recipient in the envelope.
    pub index: u32,
    /// The recipient.
    pub address: String,
    /// When the outcome was recorded.
    pub at: Timestamp,
    /// Which outcome.
    pub kind: OutcomeKind,
    /// Attempts in all, the last one included.
    pub attempts: u32,
    /// The attempt that decided; empty for a removal.
    pub attempt: Attempt,
    /// Who removed it.
    pub by: Option<String>,
}

pub(crate) fn id_text<S: serde::Serializer>(id: &QueueId, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(id)
}

/// What a settlement came to.
#[derive(Debug, Default)]
pub struct Settled {
    /// Outcomes that did not count, because their recipient had a final one before.
    pub duplicates: Vec<Duplicate>,
    /// Whether this finished the message: no recipient is left, and its body is gone.
    pub finished: bool,
    /// The reports, as they were queued.
    pub reports: Vec<Arc<Message>>,
}

/// An outcome that came too late.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Duplicate {
    /// Place of the recipient in the envelope.
    pub index: u32,
    /// What was recorded first; `None` when that is no longer in the history, or there never was such a recipient.
    pub first: Option<OutcomeKind>,
}
