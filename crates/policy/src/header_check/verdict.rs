//! What a check says.

use std::sync::Arc;

use postern_mail::{Mailbox, Status};

use crate::access::Words;
use crate::route::Detour;

/// What becomes of a field or line, or of the message that it stands in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It stays, and no other check looks at it.
    Keep,
    /// It stays; the log says so, with a reason.
    Note(Box<str>),
    /// It goes.
    Remove,
    /// This stands in its place.
    Replace(Box<str>),
    /// This comes before it.
    Prepend(Box<str>),
    /// The message is refused.
    Refuse(Words),
    /// The message is taken and thrown away.
    Discard(Box<str>),
    /// The message is held until an administrator releases it.
    Hold(Box<str>),
    /// The message goes to this address in place of all of its recipients.
    Redirect(Mailbox),
    /// The message goes to this address, too.
    Copy(Mailbox),
    /// The message goes this way, whoever it is for; of several the last one counts.
    Detour(Arc<Detour>),
}

impl Verdict {
    /// What a client hears where nobody has chosen words: those of Postfix.
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

    /// Whether it can be done when a message leaves: the content changes, or nothing does.
    #[must_use]
    pub const fn fits_out(&self) -> bool {
        self.edits() || matches!(self, Self::Keep | Self::Note(_))
    }
}
