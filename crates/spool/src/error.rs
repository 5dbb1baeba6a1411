//! What can go wrong with the queue, by what the caller can do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use postern_mail::QueueId;
use postern_policy::queue::QueueTrouble;

/// Why the queue could not do what was asked.
///
/// Cloned for every message that shared the failed commit, so causes are kept as text.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// The disk or the quota is full. Answer `452 4.3.1`; the client may try again later.
    #[error("no space left for the queue: {0}")]
    Full(Arc<str>),

    /// The store cannot be written or read now; it is being opened again. Answer `451 4.3.0` (or `421 4.3.0`).
    #[error("the queue is not available: {0}")]
    Unavailable(Arc<str>),

    /// The database is damaged. It is set aside, and what can be read of it is copied to a new one. Answer as for
    /// [`Unavailable`](Self::Unavailable).
    #[error("the queue's database is damaged: {0}")]
    Corrupt(Arc<str>),

    /// Another process owns the directory. Raised by opening only.
    #[error("{} is in use by process {}", directory.display(), pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string()))]
    Locked {
        /// The directory of the queue.
        directory: PathBuf,
        /// The process that wrote the lock file, if that could be read.
        pid: Option<u32>,
    },

    /// The database was written by a newer version. Raised by opening only.
    #[error("the queue has schema version {found}, this program knows versions up to {known}")]
    SchemaTooNew {
        /// Version in the database.
        found: i64,
        /// Newest version this program can work with.
        known: i64,
    },

    /// A message with this id is already queued. The id must come from [`next_id`](crate::Spool::next_id).
    #[error("a message {0} is queued already")]
    DuplicateId(QueueId),

    /// A message without recipients, or with more than 2^31.
    #[error("a message needs at least one recipient")]
    NoRecipients,

    /// A stored message cannot be read back: its row or its body file is damaged or gone.
    #[error("message {id} is damaged: {reason}")]
    Damaged {
        /// The message.
        id: QueueId,
        /// What is wrong with it.
        reason: Arc<str>,
    },

    /// The queue is being closed.
    #[error("the queue is closed")]
    Closed,
}

impl SpoolError {
    /// Whether the same call may succeed later without the message being changed.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Full(_) | Self::Unavailable(_) | Self::Corrupt(_) | Self::Locked { .. } | Self::Closed => {
                true
            }
            Self::SchemaTooNew { .. } | Self::DuplicateId(_) | Self::NoRecipients | Self::Damaged { .. } => {
                false
            }
        }
    }
}

impl SpoolError {
    /// What a client can be told about it.
    #[must_use]
    pub fn trouble(&self) -> QueueTrouble {
        match self {
            Self::Full(_) => QueueTrouble::Full,
            Self::Unavailable(_) => QueueTrouble::Unavailable,
            Self::Closed => QueueTrouble::Closed,
            // Mistakes of the caller, and errors that only occur on opening.
            _ => QueueTrouble::Error,
        }
    }

    /// Classifies an error of the operating system as "full" or other.
    pub(crate) fn from_io(doing: &str, error: &io::Error) -> Self {
        let text: Arc<str> = format!("{doing}: {error}").into();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full(text)
            }
            _ => Self::Unavailable(text),
        }
    }
}
