//! Entries in the configuration itself.

use std::collections::HashMap;

use futures_util::future::{BoxFuture, ready};
use postern_mail::{Domain, Mailbox, ParseOptions};

use super::{Found, Table};

/// Entries by left-hand side.
#[derive(Clone, Debug, Default)]
pub struct Inline {
    entries: HashMap<Box<str>, Found>,
}

/// An invalid left-hand side.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not a valid address for an alias; write an address, \"user+*@example.org\" for any detail, or \"@example.org\" for a whole domain"
)]
pub struct BadPattern(String);

impl Inline {
    /// Adds an entry; if there already is one, returns that instead.
    ///
    /// # Errors
    ///
    /// [`BadPattern`].
    pub fn insert(&mut self, pattern: &str, found: Found) -> Result<Option<&Found>, BadPattern> {
        let key = key_of(pattern)?;
        if self.entries.contains_key(&*key) {
            return Ok(self.entries.get(&*key));
        }
        self.entries.insert(key.into(), found);
        Ok(None)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A left-hand side as look-ups use it.
///
/// # Errors
///
/// [`BadPattern`].
pub fn key_of(pattern: &str) -> Result<String, BadPattern> {
    let bad = || BadPattern(pattern.chars().take(300).collect());
    let (local, domain) = pattern.rsplit_once('@').ok_or_else(bad)?;
    let parsed = Domain::parse(domain, true).map_err(|_| bad())?;
    if local.is_empty() {
        // A catch-all makes no sense for an address literal.
        let name = parsed.name().ok_or_else(bad)?;
        return Ok(format!("@{name}"));
    }
    // RFC 5321 allows `*` in a local part, so these are addresses too.
    let options = ParseOptions {
        utf8: true,
        ..ParseOptions::default()
    };
    Mailbox::parse(pattern, &options)
        .map(|mailbox| mailbox.key())
        .map_err(|_| bad())
}

impl Table for Inline {
    fn find<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Found>, String>> {
        Box::pin(ready(Ok(self.entries.get(key).cloned())))
    }

    fn name(&self) -> String {
        "[[alias]]".into()
    }

    fn entries(&self) -> Vec<(String, Found)> {
        let mut all: Vec<_> = self
            .entries
            .iter()
            .map(|(key, found)| (key.to_string(), found.clone()))
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}
