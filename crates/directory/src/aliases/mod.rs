//! The aliases file, in sendmail's format.
//!
//! ```text
//! # comment
//! postmaster: root
//! root:       acaird, "jane doe"@outside.example,
//!             :include:/etc/postern/operators
//! "joe smith": jsmith
//! jsmith:     \jsmith, jsmith@outside.example
//! owner-list: acaird
//! ```
//!
//! A line that starts with whitespace continues the previous one; empty lines and comments in between do not matter. A name is a
//! local part, compared case-insensitively. `\name`, or an alias that names itself, is the mailbox of that name. Files
//! (`/var/mail/x`) and programs (`|program`), which sendmail would write to and run, are skipped with a warning: a relay runs no
//! program for a message. `/dev/null` discards mail, and `lisa@new.example.REDIRECT` tells senders where she has moved to. The
//! mail of a list `x` is sent with the envelope sender `owner-x` if there is such an alias.
//!
//! The whole file is checked when it is read, so that no message ever runs into a loop: all mistakes are reported at once, each
//! with file and line.

mod files;
mod graph;
mod parse;
mod target;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use postern_mail::Domain;

use crate::addresses::AddressAliases;
use graph::Graph;

pub use self::target::{AliasMistake, DEPTH_MAX, End, TARGETS_MAX, Target};

/// Most broken targets that are logged.
const TOLD_MAX: usize = 1_000;

/// Which envelope sender the mail of a list with an owner (an alias `owner-list`) gets: the address that receives bounces.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ListSender {
    /// The owner's alias, as with Postfix.
    #[default]
    OwnerAlias,
    /// The address that the owner alias leads to if that is a single one, as with sendmail; otherwise the owner alias.
    Owner,
    /// The original sender.
    Unchanged,
}

/// The aliases, checked whole: every one leads somewhere, within [`DEPTH_MAX`] and [`TARGETS_MAX`].
///
/// The default has none.
#[derive(Clone, Debug, Default)]
pub struct Aliases {
    graph: Graph,
    /// The aliases by address and domain.
    addresses: AddressAliases,
    list_sender: ListSender,
    unknown_users: Option<Arc<str>>,
    /// What was skipped in the file.
    warnings: Vec<AliasMistake>,
    /// What has been logged.
    told: Arc<Mutex<HashSet<String>>>,
}

impl Aliases {
    /// Reads the file and what it includes. Blocking.
    ///
    /// `is_local` says whether an address in a domain is looked up among the aliases again; a name without a domain always is.
    ///
    /// # Errors
    ///
    /// All mistakes at once, in the order of the files: what cannot be read, is writable by others, or is malformed; names given
    /// twice; loops; chains and lists over their limits.
    pub fn load(path: &Path, is_local: &dyn Fn(&Domain) -> bool) -> Result<Self, Vec<AliasMistake>> {
        let (mut mistakes, mut warnings) = (Vec::new(), Vec::new());
        let entries = files::read(path, &mut mistakes, &mut warnings);
        let graph = Graph::build(path, entries, is_local, &mut mistakes);
        if mistakes.is_empty() {
            Ok(Self {
                graph,
                warnings,
                ..Self::default()
            })
        } else {
            Err(mistakes)
        }
    }

    /// Where this local part finally leads, each target once and none to be looked up again; `None` if it is not an alias. The
    /// name is unquoted (see [`Mailbox::unquoted_local`]).
    #[must_use]
    pub fn lookup(&self, local: &str) -> Option<Vec<Target>> {
        let ends = self.ends(local)?;
        Some(ends.into_iter().map(|end| end.target).collect())
    }

    /// The same, each with the owner of the list that contains it.
    #[must_use]
    pub fn ends(&self, local: &str) -> Option<Vec<End>> {
        self.graph.ends(local)
    }

    /// The file and the line where an alias is defined, `aliases:12`; `None` if it is not an alias.
    #[must_use]
    pub fn place(&self, local: &str) -> Option<String> {
        self.graph.place(local)
    }

    /// Adds the aliases by address and domain.
    #[must_use]
    pub fn with_addresses(mut self, addresses: AddressAliases) -> Self {
        self.addresses = addresses;
        self
    }

    /// Sets which envelope sender the mail of lists gets.
    #[must_use]
    pub fn with_list_sender(mut self, list_sender: ListSender) -> Self {
        self.list_sender = list_sender;
        self
    }

    /// Sets where mail for unknown users goes: an address, or `@host` for the same name there.
    #[must_use]
    pub fn with_unknown_users(mut self, to: Option<&str>) -> Self {
        self.unknown_users = to.map(Into::into);
        self
    }

    /// The aliases by address and domain.
    #[must_use]
    pub fn addresses(&self) -> &AddressAliases {
        &self.addresses
    }

    /// Which envelope sender the mail of lists gets.
    #[must_use]
    pub fn list_sender(&self) -> ListSender {
        self.list_sender
    }

    /// Where mail for unknown users goes.
    #[must_use]
    pub fn unknown_users(&self) -> Option<&str> {
        self.unknown_users.as_deref()
    }

    /// What was skipped in the file: programs and files.
    #[must_use]
    pub fn warnings(&self) -> &[AliasMistake] {
        &self.warnings
    }

    /// Whether there is an alias of this name, unquoted.
    #[must_use]
    pub fn contains(&self, local: &str) -> bool {
        self.graph.contains(local)
    }

    /// Whether this is logged for the first time since the aliases were read. The texts come from the file, which bounds how many
    /// there are.
    pub(crate) fn is_news(&self, what: &str) -> bool {
        let mut told = self.told.lock();
        told.len() < TOLD_MAX && told.insert(what.to_owned())
    }

    /// The names of all aliases, in lower case, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.graph.names_of_all()
    }

    /// How many aliases there are in the file.
    #[must_use]
    pub fn len(&self) -> usize {
        self.graph.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.graph.len() == 0
    }
}
