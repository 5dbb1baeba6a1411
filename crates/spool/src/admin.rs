//! What administrators see and request.

use jiff::Timestamp;
use postern_mail::{FailureFact, QueueId};
use postern_policy::rule::Rule;
use serde::Serialize;

use crate::message::Origin;
use crate::outcome::{HistoryEntry, id_text};
use crate::recipient::QueuedRecipient;

/// Selects messages. Every field that is set must match; the default matches all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Sender address without angle brackets, in any case; the empty text is `<>`.
    pub sender: Option<String>,
    /// A recipient without a final outcome has this address, ignoring case.
    pub recipient: Option<String>,
    /// A recipient without a final outcome is in this domain.
    pub domain: Option<String>,
    /// The authenticated user who submitted it.
    pub login: Option<String>,
    /// Whether it is held until an administrator releases it; what is in the sandbox is not.
    pub held: Option<bool>,
    /// Whether it is in the sandbox.
    pub sandboxed: Option<bool>,
    /// Accepted at this time or later.
    pub received_from: Option<Timestamp>,
    /// Accepted before this time.
    pub received_before: Option<Timestamp>,
}

/// How old the queue is, without what is in the sandbox: that is to stay.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ages {
    /// How many messages were accepted before each of the times given.
    pub older: Vec<u64>,
    /// When the oldest was accepted, in queue time; `None` for an empty queue.
    pub oldest: Option<Timestamp>,
}

/// A piece of a listing, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Only messages after this one.
    pub after: Option<QueueId>,
    /// Most messages, 1 to 10,000 (a larger number counts as that).
    pub limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            after: None,
            limit: 1000,
        }
    }
}

/// The messages an administrator selects.
#[derive(Clone, Debug)]
pub enum Selection {
    /// These; ids that are not queued are ignored.
    Ids(Vec<QueueId>),
    /// All that match.
    Filter(Filter),
}

/// One line of a listing.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The message.
    #[serde(serialize_with = "id_text")]
    pub id: QueueId,
    /// Sender without angle brackets; empty for `<>`.
    pub sender: String,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// Octets, prefix and body.
    pub size: u64,
    /// Recipients in all.
    pub recipients: u32,
    /// Recipients without a final outcome.
    pub open: u32,
    /// Address of the first recipient without a final outcome.
    pub first_recipient: String,
    /// When the next recipient is due, by the system clock.
    pub next_due: Timestamp,
    /// Most attempts of a recipient so far.
    pub attempts: u32,
    /// Last reply of that first recipient's host, or why it is deferred; empty if there was no attempt.
    pub last_reply: String,
    /// The kind of that failure.
    pub last_failure: Option<FailureFact>,
    /// Why it is held, and by whom.
    pub hold: Option<String>,
    /// The name of the rule by which it is held; `None` if an administrator holds it, or if it is damaged.
    pub hold_rule: Option<String>,
    /// The mail filter that had it held, or whose failure did.
    pub hold_milter: Option<String>,
    /// What is wrong with it, if it is damaged; fields that cannot be read are then empty.
    pub damaged: Option<String>,
    /// The authenticated user who submitted it.
    pub login: Option<String>,
    /// Where it came from.
    pub origin: Origin,
}

impl Summary {
    /// Whether it is in the sandbox: nobody releases it, and nothing of it is ever delivered.
    #[must_use]
    pub fn is_sandboxed(&self) -> bool {
        self.hold_rule.as_deref() == Some(Rule::SandboxKept.name())
    }
}

/// A piece of a listing.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SummaryPage {
    /// The messages, oldest first.
    pub messages: Vec<Summary>,
    /// Whether there may be more after the last one.
    pub more: bool,
}

/// Everything about one queued message except its body.
#[derive(Clone, Debug)]
pub struct MessageDetail {
    /// Its line in the listing.
    pub summary: Summary,
    /// `ENVID=`.
    pub envid: Option<String>,
    /// The session in which it was received.
    pub session: Option<String>,
    /// The first 64 KiB of the header; for mail queued by an earlier version, the fields that this server added on top.
    pub prefix: String,
    /// All recipients, including finished ones; due times by the system clock.
    pub recipients: Vec<QueuedRecipient>,
    /// Outcomes so far.
    pub history: Vec<HistoryEntry>,
}

/// The size of the queue. Kept up to date, so asking costs nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// Messages queued, including held ones.
    pub messages: u64,
    /// Recipients without a final outcome.
    pub recipients: u64,
    /// Messages held, damaged ones among them, without those in the sandbox.
    pub held: u64,
    /// Messages in the sandbox, which are never delivered.
    pub sandboxed: u64,
    /// Octets of those in the sandbox.
    pub sandboxed_bytes: u64,
    /// Messages held because they are damaged.
    pub damaged: u64,
    /// How often the database could not be read since the start: a disk that fails, or a damaged file.
    pub unreadable: u64,
    /// Octets of all messages, prefixes and bodies.
    pub bytes: u64,
    /// Messages in delivery's memory.
    pub fresh: u64,
}
