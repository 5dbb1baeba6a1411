//! Verdicts of checks.

use std::sync::Arc;

use postern_mail::{Mailbox, Status};

use crate::access::Words;
use crate::route::Detour;

/// What to do with a field or line, or with its message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Keep it, and run no other check on it.
    Keep,
    /// Keep it, and log it with a reason.
    Note(Box<str>),
    /// Remove it.
    Remove,
    /// Replace it with this.
    Replace(Box<str>),
    /// Insert this before it.
    Prepend(Box<str>),
    /// The message is refused.
    Refuse(Words),
    /// The message is accepted and discarded.
    Discard(Box<str>),
    /// The message is held until an administrator releases it.
    Hold(Box<str>),
    /// The message is redirected to this address, instead of all its recipients.
    Redirect(Mailbox),
    /// A copy of the message goes to this address.
    Copy(Mailbox),
    /// The message takes this route, whatever its recipients; the last of several counts.
    Detour(Arc<Detour>),
}

impl Verdict {
    /// The default reply: Postfix's.
    pub const USUAL: (u16, Status, &'static str) = (550, Status(5, 7, 1), "message content rejected");

    /// Its word in the configuration and the log.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Note(_) => "note",
            Self::Remove => "remove",
            Self::Replace(_) => "replace",
            Self::Prepend(_) => "prepend",
            Self::Refuse(_) => "refuse",
            Self::Discard(_) => "discard",
            Self::Hold(_) => "hold",
            Self::Redirect(_) => "redirect",
            Self::Copy(_) => "copy",
            Self::Detour(_) => "detour",
        }
    }

    /// Whether it changes the content.
    #[must_use]
    pub const fn edits(&self) -> bool {
        matches!(self, Self::Remove | Self::Replace(_) | Self::Prepend(_))
    }

    /// Whether it can be applied to outgoing messages: whether it changes at most the content.
    #[must_use]
    pub const fn fits_out(&self) -> bool {
        self.edits() || matches!(self, Self::Keep | Self::Note(_))
    }
}
