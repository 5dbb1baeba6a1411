//! Aliases by address and domain: where they are kept, and where one finally leads.
//!
//! Each recipient address is looked up in all sources, the closest key first ([`postern_policy::alias::keys`]), and the result of
//! an entry is looked up again, until nothing is found. An entry that leads to its own address ends there. What remains is
//! handled like any other address: as a mailbox, through the aliases file, or as a remote address.

mod expand;
mod inline;
mod looked;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use postern_mail::{Domain, Mailbox};
use postern_policy::DomainSet;
use postern_policy::alias::{BadGoal, Form, Goal, Key, RefusalText, goals, keys};

pub use self::expand::{Expansion, Step};
pub use self::inline::{BadPattern, Inline, key_of};
pub use self::looked::Looked;

/// Most entries in a chain, from an address to its final destination.
pub const CHAIN_MAX: usize = 20;

/// Most addresses that one address leads to: Postfix's `virtual_alias_expansion_limit`.
pub const EXPANSION_MAX: usize = 1_000;

/// A place where entries are looked up.
pub trait Table: Send + Sync + fmt::Debug {
    /// The right-hand side for a key, which is in lower case.
    ///
    /// # Errors
    ///
    /// The table cannot be queried now; the text says why.
    fn find<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Found>, String>>;

    /// Whether its left-hand sides are patterns, which are matched only against whole addresses.
    fn has_patterns(&self) -> bool {
        false
    }

    /// Its name, for log and listings.
    fn name(&self) -> String;

    /// Its entries, if they can be listed.
    fn entries(&self) -> Vec<(String, Found)> {
        Vec::new()
    }
}

/// An entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Its right-hand side, as written.
    pub value: String,
    /// Where it is written: file and line, if known.
    pub place: String,
}

/// The meaning of a source's right-hand sides.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Gives {
    /// Where mail goes.
    #[default]
    Targets,
    /// The new address of a user who has moved: Postfix's relocated(5).
    NewAddress,
}

/// One source of entries.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where they are.
    pub table: Arc<dyn Table>,
    /// How they are written.
    pub form: Form,
    /// The meaning of their right-hand sides.
    pub gives: Gives,
    /// Whether a detail (`+detail`) missing on the left-hand side is carried over.
    pub keep_detail: bool,
}

/// All aliases by address. The default has none, and costs nothing.
#[derive(Clone, Debug, Default)]
pub struct AddressAliases {
    /// The sources, in the order in which they are searched.
    pub sources: Vec<Source>,
    /// Domains that have only such aliases: Postfix's `virtual_alias_domains`.
    pub domains: DomainSet,
    /// The separator between name and detail.
    pub separator: Option<char>,
}

/// What was found for one address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Match {
    /// Where it leads.
    pub goals: Vec<Goal>,
    /// The key under which it was found.
    pub key: String,
    /// The entry.
    pub found: Found,
}

/// Why it cannot be determined where an address leads. Mail for it is deferred; the entry is never skipped.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// A table cannot be queried.
    #[error("the table {0} cannot be asked: {1}")]
    Down(String, String),
    /// An invalid entry.
    #[error("the entry {key} in {place}: {error}")]
    Entry {
        /// Its left-hand side.
        key: String,
        /// Where it is written.
        place: String,
        /// What is wrong.
        error: BadGoal,
    },
    /// The chain is too long, or is a loop.
    #[error("the aliases of {0} lead back to it, or through more than {CHAIN_MAX} entries")]
    Circle(Mailbox),
    /// It leads to too many.
    #[error("the aliases of {0} lead to over {EXPANSION_MAX} addresses")]
    TooMany(Mailbox),
}

impl AddressAliases {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.domains.is_empty()
    }

    /// Whether a domain has only aliases.
    #[must_use]
    pub fn is_alias_domain(&self, domain: &Domain) -> bool {
        self.domains.contains_by_name(domain)
    }

    /// The entry for an address, a single step.
    ///
    /// # Errors
    ///
    /// [`Trouble::Down`], [`Trouble::Entry`].
    pub async fn lookup(&self, address: &Mailbox, is_local: bool) -> Result<Option<Match>, Trouble> {
        let wanted = |source: &&Source| source.gives == Gives::Targets;
        let Some((source, key, found)) = self.find(address, is_local, wanted).await? else {
            return Ok(None);
        };
        let read = goals(
            &found.value,
            &key,
            address,
            source.form,
            self.separator,
            source.keep_detail,
        );
        match read {
            Ok(goals) => Ok(Some(Match {
                goals,
                key: key.text,
                found,
            })),
            Err(error) => Err(Trouble::Entry {
                key: key.text,
                place: found.place,
                error,
            }),
        }
    }

    /// The reply to senders if the user of this address has moved; `None` if not.
    ///
    /// # Errors
    ///
    /// [`Trouble::Down`].
    pub async fn moved(&self, address: &Mailbox, is_local: bool) -> Result<Option<RefusalText>, Trouble> {
        let wanted = |source: &&Source| source.gives == Gives::NewAddress;
        let found = self.find(address, is_local, wanted).await?;
        Ok(found.map(|(_, _, found)| moved_to(&found.value)))
    }

    /// The first entry: the most specific key in all sources before the next key.
    async fn find(
        &self,
        address: &Mailbox,
        is_local: bool,
        wanted: impl Fn(&&Source) -> bool,
    ) -> Result<Option<(&Source, Key, Found)>, Trouble> {
        let mut asked: Vec<(&Source, Key)> = Vec::new();
        for source in self.sources.iter().filter(wanted) {
            let keys = keys(address, source.form, self.separator, is_local).into_iter();
            let patterns = source.table.has_patterns();
            asked.extend(
                keys.filter(|key| !patterns || key.is_whole())
                    .map(|key| (source, key)),
            );
        }
        // A stable sort: sources of the same rank keep their order.
        asked.sort_by_key(|(_, key)| key.rank);
        for (source, key) in asked {
            let answer = source.table.find(&key.text).await;
            let down = |reason| Trouble::Down(source.table.name(), reason);
            if let Some(found) = answer.map_err(down)? {
                return Ok(Some((source, key, found)));
            }
        }
        Ok(None)
    }
}

/// `551 5.1.6 User has moved; please try <new>` (RFC 5321 section 3.4).
#[must_use]
pub fn moved_to(new: &str) -> RefusalText {
    let new: String = new.trim().chars().filter(|c| !c.is_control()).take(300).collect();
    let text = if new.contains('@') && !new.contains([' ', '<']) {
        format!("User has moved; please try <{new}>")
    } else {
        format!("User has moved; please try {new}")
    };
    RefusalText {
        code: 551,
        status: postern_mail::Status(5, 1, 6),
        text: text.into(),
    }
}
