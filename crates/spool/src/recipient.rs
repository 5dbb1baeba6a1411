//! Recipients as the queue keeps them.

use std::sync::Arc;

use jiff::Timestamp;
use postern_mail::{FailureFact, Recipient, Status};
use serde::Serialize;

/// A recipient as the queue keeps it.
#[derive(Clone, Debug)]
pub struct QueuedRecipient {
    /// Its place in the envelope.
    pub index: u32,
    /// Address and report requests.
    pub recipient: Recipient,
    /// Whether it waits, is held, or is finished.
    pub state: RecipientState,
    /// When it is due next, in queue time. Meaningless once finished.
    pub due_at: Timestamp,
    /// Attempts that ended in a deferral so far.
    pub attempts: u32,
    /// Whether a report of its delay was sent.
    pub warned: bool,
    /// The last attempt, if there was one.
    pub last: Option<Arc<Attempt>>,
}

/// Where a recipient stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecipientState {
    /// In delivery's memory since its put.
    Fresh,
    /// Waits in the database for its time.
    Queued,
    /// Waits for an administrator.
    Held,
    /// Has its outcome.
    Done,
}

/// One try, as it ended.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Attempt {
    /// The host that was tried, as it goes into log and report; empty when none was reached.
    pub relay: String,
    /// Enhanced status code, where there is one.
    #[serde(serialize_with = "status_text")]
    pub status: Option<Status>,
    /// The host's reply, or our own words.
    pub reply: String,
    /// What kind of failure it was; `None` for a success, and for attempts of earlier versions.
    #[serde(flatten)]
    pub failure: Option<FailureFact>,
}

fn status_text<S: serde::Serializer>(status: &Option<Status>, to: S) -> Result<S::Ok, S::Error> {
    match status {
        Some(status) => to.collect_str(status),
        None => to.serialize_none(),
    }
}
