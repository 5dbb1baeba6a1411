//! Where aliases lead, their limits, and their possible errors.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use postern_mail::Mailbox;
use postern_policy::alias::RefusalText;

/// Most aliases in a chain. sendmail's `MaxAliasRecursion` is 10.
pub const DEPTH_MAX: usize = 10;

/// Most final targets of one alias.
pub const TARGETS_MAX: usize = 10_000;

/// Where an alias finally leads.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub enum Target {
    /// A local name that is not an alias, unquoted and as written: a mailbox of this host.
    Local(String),
    /// An address with its domain, remote, or in a local domain that has no alias for its local part.
    Address(Mailbox),
    /// Discarded.
    Discard,
    /// Refused, with a reason for the client.
    Refused(RefusalText),
}

/// For display.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(name) => f.write_str(name),
            Self::Address(mailbox) => mailbox.fmt(f),
            Self::Discard => f.write_str("/dev/null"),
            Self::Refused(text) => write!(f, "refused: {text}"),
        }
    }
}

/// One final target of an alias.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct End {
    /// Where it leads.
    pub target: Target,
    /// The alias that names the owner of the list that contains it: `owner-list`. For nested lists, that of the innermost one.
    pub owner: Option<Arc<str>>,
}

/// One mistake in the aliases file or a file it includes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}:{line}: {message}", file.display())]
pub struct AliasMistake {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong, with the remedy.
    pub message: String,
}
