//! The aliases file, of sendmail's form.

use std::path::{Path, PathBuf};

use postern_mail::{Domain, Mailbox};

/// Where an alias leads in the end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// A local name that is no alias, unquoted: a mailbox of this host.
    Local(String),
    /// An address elsewhere.
    Address(Mailbox),
}

/// One mistake in the aliases file or a file it includes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}:{line}: {message}", file.display())]
pub struct AliasMistake {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, with the remedy.
    pub message: String,
}

/// The aliases, checked whole: every name resolves, within bounds.
#[derive(Clone, Debug, Default)]
pub struct Aliases {}

impl Aliases {
    /// Reads the file and what it includes.
    ///
    /// `is_local` says whether an address at a domain is looked up here again; a name without domain always is.
    ///
    /// # Errors
    ///
    /// All mistakes at once.
    pub fn load(_path: &Path, _is_local: &dyn Fn(&Domain) -> bool) -> Result<Self, Vec<AliasMistake>> {
        todo!()
    }

    /// Where this local part leads, in the end, without duplicates; `None` when it is no alias. The name is unquoted and
    /// compared without regard to case.
    #[must_use]
    pub fn lookup(&self, _local: &str) -> Option<Vec<Target>> {
        todo!()
    }
}
