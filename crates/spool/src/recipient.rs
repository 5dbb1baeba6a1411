//! Recipients as the queue keeps them.

use std::sync::Arc;

use jiff::Timestamp;
use postern_mail::{FailureFact, Recipient, Status};
use serde::Serialize;

/// A recipient as the queue keeps it.
#[derive(Clone, Debug)]
pub struct QueuedRecipient {
    /// Its index in the envelope.
    pub index: u32,
    /// Address and report requests.
    pub recipient: Recipient,
    /// Whether it waits, is held, or is finished.
    pub state: RecipientState,
    /// When it is next due, in queue time. Meaningless once finished.
    pub due_at: Timestamp,
    /// Attempts that ended in a deferral so far.
    pub attempts: u32,
    /// Whether a report of its delay was sent.
    pub warned: bool,
    /// The last attempt, if there was one.
    pub last: Option<Arc<Attempt>>,
}

/// The state of a recipient.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecipientState {
    /// In delivery's memory since it was received.
    Fresh,
    /// Waits in the database for its time.
    Queued,
    /// Waits for an administrator.
    Held,
    /// Has its outcome.
    Done,
}

/// The end of one attempt.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Attempt {
    /// The host that was tried, as shown in log and report; empty if none was reached.
    pub relay: String,
    /// Enhanced status code, if there is one.
    #[serde(serialize_with = "status_text")]
    pub status: Option<Status>,
    /// The host's reply, or our own text.
    pub reply: String,
    /// The kind of failure; `None` for a success, and for attempts by earlier versions.
    #[serde(flatten)]
    pub failure: Option<FailureFact>,
}

fn status_text<S: serde::Serializer>(status: &Option<Status>, to: S) -> Result<S::Ok, S::Error> {
    match status {
        Some(status) => to.collect_str(status),
        None => to.serialize_none(),
    }
}
