//! The aliases file, of sendmail's form.
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
//! A line that starts with a blank goes on with the one before it; empty lines and comments in between do not matter. A
//! name stands for a local part, compared without regard to case. `\name`, or an alias that names itself, is the
//! mailbox of that name. Files (`/var/mail/x`) and programs (`|program`), which sendmail would write to and run, are left out with a
//! warning: a relay runs nothing for a message. `/dev/null` throws mail away, and `lisa@new.example.REDIRECT` tells who writes where
//! she has moved to. The mail of a list `x` goes under the sender `owner-x`, where there is such an alias.
//!
//! The whole file is checked when it is read, so that no message ever meets a loop: all mistakes are told at once, each
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

/// Broken targets that the log is told of; it has heard enough then.
const TOLD_MAX: usize = 1_000;

/// Under which sender the mail of a list goes that has an owner, an alias `owner-list`: who hears of mail that cannot be delivered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ListSender {
    /// The owner's alias, as with Postfix.
    #[default]
    OwnerAlias,
    /// What the owner's alias leads to where that is one address, as with sendmail; its alias otherwise.
    Owner,
    /// The sender that the mail has.
    Unchanged,
}

/// The aliases, checked whole: every one leads somewhere, within [`DEPTH_MAX`] and [`TARGETS_MAX`].
///
/// The default has none.
#[derive(Clone, Debug, Default)]
pub struct Aliases {
    graph: Graph,
    /// Those by address and domain.
    addresses: AddressAliases,
    list_sender: ListSender,
    unknown_users: Option<Arc<str>>,
    /// What was left out of the file.
    warnings: Vec<AliasMistake>,
    /// What the log was told of.
    told: Arc<Mutex<HashSet<String>>>,
}

impl Aliases {
    /// Reads the file and what it includes. Blocking.
    ///
    /// `is_local` says whether an address at a domain is looked up among the aliases again; a name without a domain
    /// always is.
    ///
    /// # Errors
    ///
    /// All mistakes at once, in the order of the files: what cannot be read, is writable by others, or follows no rule;
    /// names given twice; loops, and chains and lists over their bounds.
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

    /// Where this local part leads in the end, each target once and none to be looked up again; `None` when it is no alias. The name is unquoted (see
    /// [`Mailbox::unquoted_local`]).
    #[must_use]
    pub fn lookup(&self, local: &str) -> Option<Vec<Target>> {
        let ends = self.ends(local)?;
        Some(ends.into_iter().map(|end| end.target).collect())
    }

    /// The same, each with the owner of the list on which it stands.
    #[must_use]
    pub fn ends(&self, local: &str) -> Option<Vec<End>> {
        self.graph.ends(local)
    }

    /// The file and the line at which an alias stands, `aliases:12`; `None` when it is none.
    #[must_use]
    pub fn place(&self, local: &str) -> Option<String> {
        self.graph.place(local)
    }

    /// Adds those by address and domain.
    #[must_use]
    pub fn with_addresses(mut self, addresses: AddressAliases) -> Self {
        self.addresses = addresses;
        self
    }

    /// Says under which sender the mail of lists goes.
    #[must_use]
    pub fn with_list_sender(mut self, list_sender: ListSender) -> Self {
        self.list_sender = list_sender;
        self
    }

    /// Says where mail goes for users whom nobody here knows: an address, or `@host` for the same name there.
    #[must_use]
    pub fn with_unknown_users(mut self, to: Option<&str>) -> Self {
        self.unknown_users = to.map(Into::into);
        self
    }

    /// Those by address and domain.
    #[must_use]
    pub fn addresses(&self) -> &AddressAliases {
        &self.addresses
    }

    /// Under which sender the mail of lists goes.
    #[must_use]
    pub fn list_sender(&self) -> ListSender {
        self.list_sender
    }

    /// Where mail goes for users whom nobody here knows.
    #[must_use]
    pub fn unknown_users(&self) -> Option<&str> {
        self.unknown_users.as_deref()
    }

    /// What was left out of the file: programs and files.
    #[must_use]
    pub fn warnings(&self) -> &[AliasMistake] {
        &self.warnings
    }

    /// Whether there is an alias of this name, unquoted.
    #[must_use]
    pub fn contains(&self, local: &str) -> bool {
        self.graph.contains(local)
    }

    /// Whether this is said for the first time since the aliases were read. What is said is made of what stands in the file, which
    /// bounds how much of it there is.
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
