//! Messages as they are put and as they are handed out.

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use postern_mail::{Envelope, QueueId};
use postern_policy::concurrency::Class;
use postern_policy::route::Detour;
use postern_policy::rule::Rule;
use serde::Serialize;

pub use crate::body::BodyFile;
use crate::ticket::Ticket;

/// A message to be queued.
#[derive(Debug)]
pub struct NewMessage {
    /// Its id, from [`next_id`](crate::Spool::next_id).
    pub id: QueueId,
    /// Sender and recipients; at least one recipient.
    pub envelope: Envelope,
    /// When it was accepted, by the system clock, to the millisecond.
    pub received_at: Timestamp,
    /// The header with the empty line after it, from [`Assembly`](crate::Assembly).
    pub prefix: Bytes,
    /// The body, from [`BodyWriter::finish`](crate::BodyWriter::finish), or built in memory.
    pub body: Body,
    /// The authenticated user who submitted it.
    pub login: Option<String>,
    /// The session in which it was received, for the log.
    pub session: Option<String>,
    /// Why it is held until an administrator releases it; `None` for mail to be delivered.
    pub hold: Option<Hold>,
    /// Where it came from.
    pub origin: Origin,
    /// The route of all its recipients, if a rule has set one for it.
    pub detour: Option<Arc<Detour>>,
    /// Leave it to the next queue run: it is not handed over fresh, and the scheduler is not told about it.
    pub queue_only: bool,
    /// A note committed together with it.
    pub note: Option<Note>,
}

/// A note committed together with a message, which stays when that is gone, until [`forget_notes`](crate::Spool::forget_notes).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// Its number among those of this machine. A note replaces one with the same number.
    pub number: i64,
    /// Its text, which only its writer interprets.
    pub text: String,
}

/// Why a message is held, and by whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hold {
    /// The reason, as text for listings.
    pub reason: String,
    /// The rule that decided.
    pub rule: Option<Rule>,
    /// The name of the mail filter that decided, or whose failure did.
    pub milter: Option<String>,
}

impl Hold {
    /// By a rule, whose name is put in front of the reason.
    #[must_use]
    pub fn by_rule(rule: Rule, reason: impl Display) -> Self {
        Self {
            reason: format!("{rule}: {reason}"),
            rule: Some(rule),
            milter: None,
        }
    }

    /// Whether the message is in the sandbox: nobody releases it, and nothing of it is ever delivered.
    #[must_use]
    pub fn is_sandbox(&self) -> bool {
        self.rule == Some(Rule::SandboxKept)
    }

    /// The reason without the name of the rule in front of it.
    #[must_use]
    pub fn words(&self) -> &str {
        let bare = |rule: Rule| self.reason.strip_prefix(rule.name())?.strip_prefix(": ");
        self.rule.and_then(bare).unwrap_or(&self.reason)
    }

    /// By a mail filter, or by its failure.
    #[must_use]
    pub fn by_milter(name: &str, rule: Rule, reason: impl Display) -> Self {
        Self {
            reason: format!("milter: {reason}"),
            rule: Some(rule),
            milter: Some(name.to_owned()),
        }
    }
}

/// Where a message came from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Received over SMTP from a client that may relay.
    #[default]
    Smtp,
    /// A delivery status report of this server.
    Report,
    /// Made on this machine by other means.
    Local,
    /// Received over SMTP from a client that may not relay, for domains of this server.
    Stranger,
    /// Handed back by an after-queue filter, to be delivered.
    Filtered,
}

impl Origin {
    /// The class whose share of memory and connections it uses.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Smtp | Self::Local => Class::Users,
            // Strangers' mail comes back from the filter as well.
            Self::Stranger | Self::Filtered => Class::Strangers,
            Self::Report => Class::Reports,
        }
    }
}

/// The body of a message, dots already unstuffed.
#[derive(Clone, Debug)]
pub enum Body {
    /// In memory, and in the database once put.
    Inline(Bytes),
    /// In a file below the queue's folder.
    File(BodyFile),
}

impl Body {
    /// Its size in octets.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::File(file) => file.len(),
        }
    }

    /// Whether it has no octets at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A queued message. Shared, never changed: the state of its recipients is in the database.
///
/// Its content is `prefix` followed by `body`; [`open_body`](crate::Spool::open_body) reads both.
#[derive(Debug)]
pub struct Message {
    /// Its id.
    pub id: QueueId,
    /// Sender and recipients. The position of a recipient in the list is its index everywhere; those with an outcome keep it
    /// until the whole message is finished.
    pub envelope: Envelope,
    /// When it was accepted, by the system clock.
    pub received_at: Timestamp,
    /// The same in queue time; its age counts from here.
    pub queued_at: Timestamp,
    /// The header with the empty line after it. For mail queued by an earlier version: only the fields that this server added on
    /// top.
    pub prefix: Bytes,
    /// The body.
    pub body: Body,
    /// The authenticated user who submitted it.
    pub login: Option<String>,
    /// The session in which it was received.
    pub session: Option<String>,
    /// Where it came from.
    pub origin: Origin,
    /// The route of all its recipients, if a rule has set one for it.
    pub detour: Option<Arc<Detour>>,
    /// The checksum of prefix and body; unknown for mail queued by an earlier version.
    pub(crate) content_sum: Option<u32>,
    /// What is sent in place of `prefix`, for a message as it leaves.
    pub(crate) sent: Option<Bytes>,
    /// Its share of the limit on fresh messages; released when the last handle is dropped.
    pub(crate) ticket: Option<Ticket>,
}

impl Message {
    /// Its size in octets, as it is sent: prefix and body.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.sent_prefix().len() as u64 + self.body.len()
    }

    /// What is sent before the body: `prefix`, or its replacement as the message leaves.
    #[must_use]
    pub fn sent_prefix(&self) -> &Bytes {
        self.sent.as_ref().unwrap_or(&self.prefix)
    }

    /// The message as it leaves: with another envelope, whose recipients have the same indexes, and with `prefix` in place of its
    /// own if there is one. The queue keeps the original, which is what the checksum is for.
    #[must_use]
    pub fn leaving(&self, envelope: Envelope, prefix: Option<Bytes>) -> Self {
        Self {
            id: self.id,
            envelope,
            received_at: self.received_at,
            queued_at: self.queued_at,
            prefix: self.prefix.clone(),
            body: self.body.clone(),
            login: self.login.clone(),
            session: self.session.clone(),
            origin: self.origin,
            detour: self.detour.clone(),
            content_sum: self.content_sum,
            sent: prefix.or_else(|| self.sent.clone()),
            ticket: None,
        }
    }

    /// Whether it was handed over in memory, right after its put.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.ticket.is_some()
    }
}

/// Approximate memory of each recipient of a message.
const RECIPIENT_MEMORY: usize = 200;

impl Message {
    /// Its approximate memory: prefix, body unless in a file, and recipients.
    pub(crate) fn memory(&self) -> usize {
        let body = match &self.body {
            Body::Inline(bytes) => bytes.len(),
            Body::File(_) => 0,
        };
        self.prefix.len() + body + self.envelope.recipients.len() * RECIPIENT_MEMORY
    }
}
