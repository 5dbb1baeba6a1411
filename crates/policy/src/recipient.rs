//! Why a recipient in a domain of this server is refused.

use std::fmt;

use postern_mail::Status;

use crate::rule::{Rule, Told, Verdict};

/// Why a recipient in a domain of this server is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecipientRefusal {
    /// Nobody has that name.
    #[error("{0}")]
    Unknown(String),
    /// It is an alias, and nobody has any of its targets.
    #[error("{0}")]
    Alias(String),
    /// A directory cannot be asked, and why.
    #[error("{0}")]
    Directory(String),
}

impl Verdict for RecipientRefusal {
    fn rule(&self) -> Rule {
        match self {
            Self::Unknown(_) => Rule::RecipientUnknown,
            Self::Alias(_) => Rule::RecipientAlias,
            Self::Directory(_) => Rule::RecipientDirectory,
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
    /// Reply code, status and words for the peer.
    #[must_use]
    pub const fn told(&self) -> Told {
        match self {
            Self::Unknown(_) => (550, Status(5, 1, 1), "User unknown"),
            Self::Alias(_) => (550, Status(5, 1, 1), "Alias leads to nobody"),
            Self::Directory(_) => (451, Status(4, 4, 3), "Directory not available, try again later"),
        }
    }
}
