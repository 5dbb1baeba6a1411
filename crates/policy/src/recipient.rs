//! Why a recipient in a domain of this server is refused.

use std::fmt;

use postern_mail::Status;

use crate::alias::RefusalText;
use crate::rule::{Rule, Told, Verdict};

/// Why a recipient in a domain of this server is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecipientRefusal {
    /// There is no such user.
    #[error("{0}")]
    Unknown(String),
    /// It is an alias, none of whose targets exists.
    #[error("{0}")]
    Alias(String),
    /// An alias or a route refuses it, or the user has moved: what the client is told.
    #[error("{0}")]
    Told(RefusalText),
    /// A directory cannot be asked, for this reason.
    #[error("{0}")]
    Directory(String),
    /// It is in a relay domain whose recipients are listed, but not among them.
    #[error("{0}")]
    Unlisted(String),
    /// The next hop, asked about it, refuses it: the recipient and the reply.
    #[error("{0}")]
    NextHop(String),
    /// The next hop cannot be asked about it now, for this reason.
    #[error("{0}")]
    NextHopDown(String),
    /// A table of domains or recipients cannot be asked, for this reason.
    #[error("{0}")]
    Table(String),
}

impl Verdict for RecipientRefusal {
    fn rule(&self) -> Rule {
        match self {
            Self::Unknown(_) => Rule::RecipientUnknown,
            Self::Alias(_) => Rule::RecipientAlias,
            Self::Told(_) => Rule::RecipientRefused,
            Self::Directory(_) => Rule::RecipientDirectory,
            Self::Unlisted(_) => Rule::RecipientUnlisted,
            Self::NextHop(_) => Rule::RecipientNextHop,
            Self::NextHopDown(_) => Rule::RecipientNextHopDown,
            Self::Table(_) => Rule::RecipientTable,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some(self.told())
    }
}

impl RecipientRefusal {
    /// Reply code, status and text for the peer, unless an administrator has configured a text, which [`words`](Self::words)
    /// returns.
    #[must_use]
    pub const fn told(&self) -> Told {
        match self {
            Self::Told(text) => (text.code, text.status, "Address refused"),
            Self::Unknown(_) | Self::Unlisted(_) | Self::NextHop(_) => (550, Status(5, 1, 1), "User unknown"),
            Self::NextHopDown(_) => (
                451,
                Status(4, 4, 1),
                "Recipient cannot be checked now, try again later",
            ),
            Self::Alias(_) => (550, Status(5, 1, 1), "Alias has no valid target"),
            Self::Directory(_) => (451, Status(4, 4, 3), "Directory not available, try again later"),
            Self::Table(_) => (451, Status(4, 4, 3), "Table not available, try again later"),
        }
    }

    /// The text for the peer.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Told(text) => &text.text,
            other => other.told().2,
        }
    }
}
