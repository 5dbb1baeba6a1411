//! Why the queue does not accept a message, and what the client is told.

use std::fmt;

use postern_mail::Status;

use crate::rule::{Rule, Told, Verdict};

/// What is wrong with the queue, as far as clients are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QueueTrouble {
    /// Its disk is full.
    Full,
    /// It cannot be written now.
    Unavailable,
    /// The server is stopping.
    Closed,
    /// Something that no client can have caused.
    Error,
}

/// The queue does not accept a message. The client always keeps it: what it cannot have caused never gets a permanent refusal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueueRefusal {
    /// What is wrong.
    pub trouble: QueueTrouble,
    /// The details, for administrators only.
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
    /// Reply code, status and text for the peer.
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
