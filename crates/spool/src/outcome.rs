//! Outcomes of recipients.

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
    /// When the attempt ended, by the system clock, to the millisecond.
    pub at: Timestamp,
    /// One entry per recipient; more than one for the same recipient is like settling it twice.
    pub outcomes: Vec<RecipientOutcome>,
    /// Reports to queue with them. They are dropped if none of the outcomes counted (all were duplicates).
    pub reports: Vec<NewMessage>,
}

/// The outcome of one recipient.
#[derive(Clone, Debug)]
pub struct RecipientOutcome {
    /// Its index in the envelope.
    pub index: u32,
    /// Its outcome.
    pub outcome: Outcome,
}

/// The outcome of one attempt for a recipient. All but [`Deferred`](Self::Deferred) are final.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Handed to the next hop, or to a mailbox.
    Delivered(Attempt),
    /// To be tried again.
    Deferred {
        /// Until when, in queue time.
        until: Timestamp,
        /// The result of this attempt; `None` if there was none (the server is stopping, a limit was reached): then the count of
        /// attempts stays.
        attempt: Option<Attempt>,
        /// Whether a report of the delay is among the reports of this settlement. Once set, it stays.
        warned: bool,
    },
    /// Failed permanently.
    Bounced(Attempt),
    /// Not delivered in time.
    Expired(Attempt),
    /// Removed by an administrator.
    Removed {
        /// Name of the administrator.
        by: String,
    },
}

/// The names of outcomes, as stored and shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeKind {
    /// Handed over.
    Delivered,
    /// Failed permanently.
    Bounced,
    /// Not delivered in time.
    Expired,
    /// Removed by an administrator.
    Removed,
}

/// A final outcome in the history.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryEntry {
    /// The message.
    #[serde(serialize_with = "id_text")]
    pub id: QueueId,
    /// Index of the recipient in the envelope.
    pub index: u32,
    /// The recipient.
    pub address: String,
    /// When the outcome was recorded.
    pub at: Timestamp,
    /// Which outcome.
    pub kind: OutcomeKind,
    /// Attempts in all, including the last one.
    pub attempts: u32,
    /// The attempt that decided; empty for a removal.
    pub attempt: Attempt,
    /// Who removed it.
    pub by: Option<String>,
}

pub(crate) fn id_text<S: serde::Serializer>(id: &QueueId, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(id)
}

/// The result of a settlement.
#[derive(Debug, Default)]
pub struct Settled {
    /// Outcomes that did not count, because their recipient already had a final one.
    pub duplicates: Vec<Duplicate>,
    /// Whether this finished the message: no recipient is left, and its body is gone.
    pub finished: bool,
    /// The reports, as they were queued.
    pub reports: Vec<Arc<Message>>,
}

/// An outcome that came too late.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Duplicate {
    /// Index of the recipient in the envelope.
    pub index: u32,
    /// What was recorded first; `None` if that is no longer in the history, or there never was such a recipient.
    pub first: Option<OutcomeKind>,
}
