//! Why the queue does not take a message, and what the client is told.

use std::fmt;

use postern_mail::Status;

use crate::rule::{Rule, Told, Verdict};

/// How the queue is, as far as a client can be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QueueTrouble {
    /// Its disk is full.
    Full,
    /// It cannot be written now.
    Unavailable,
    /// The server stops.
    Closed,
    /// What no client can have caused.
    Error,
}

/// The queue does not take a message. The client always keeps it: what it could not have caused is never answered with a refusal for
/// good.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueueRefusal {
    /// How the queue is.
    pub trouble: QueueTrouble,
    /// In words, for administrators alone.
    pub reason: String,
}

impl Verdict for QueueRefusal {
    fn rule(&self) -> Rule {
        match self.trouble {
            QueueTrouble::Full => Rule::SpoolFull,
            QueueTrouble::Unavailable => Rule::SpoolUnavailable,
            QueueTrouble::Closed => Rule::SpoolClosed,
            QueueTrouble::Error => Rule::SpoolError,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        &self.reason
    }

    fn reply(&self) -> Option<Told> {
        Some(self.trouble.told())
    }
}

impl QueueTrouble {
    /// Reply code, status and words for the peer.
    #[must_use]
    pub const fn told(self) -> Told {
        match self {
            Self::Full => (452, Status(4, 3, 1), "Insufficient disk space, try again later"),
            Self::Unavailable => (451, Status(4, 3, 0), "Queue not available, try again later"),
            Self::Closed => (421, Status(4, 3, 0), "Queue not available, closing connection"),
            Self::Error => (451, Status(4, 3, 0), "Local error, try again later"),
        }
    }
}
