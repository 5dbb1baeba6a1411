//! A list of domains with wildcards.

use std::collections::HashSet;

use postern_mail::Domain;

/// Domains by exact name (`example.org`), by wildcard for everything below a name (`*.example.org`), or all (`*`).
///
/// Names are compared as lower-case A-labels. A look-up costs one hash for each label of the name asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DomainSet {
    exact: HashSet<Box<str>>,
    below: HashSet<Box<str>>,
    all: bool,
}

/// How closely a domain matched.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Match {
    /// Only `*` holds it.
    All,
    /// A wildcard holds it; more labels match more closely.
    Below(usize),
    /// It is listed itself.
    Exact,
}

/// An entry that is no domain.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is no domain; write a name such as \"example.org\", \"*.example.org\" for all names below it, or \"*\" for all"
)]
pub struct BadDomainPattern(String);

impl DomainSet {
    /// Builds the set.
    ///
    /// # Errors
    ///
    /// [`BadDomainPattern`] for the first entry that is no domain.
    pub fn new<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self, BadDomainPattern> {
        let mut set = Self::default();
        for pattern in patterns {
            set.insert(pattern.as_ref())?;
        }
        Ok(set)
    }

    /// Adds one entry.
    ///
    /// # Errors
    ///
    /// [`BadDomainPattern`] if it is no domain.
    pub fn insert(&mut self, pattern: &str) -> Result<(), BadDomainPattern> {
        todo!("{pattern}")
    }

    /// Whether `domain` is in the set. An address literal is held by `*` only.
    #[must_use]
    pub fn contains(&self, domain: &Domain) -> bool {
        self.find(domain).is_some()
    }

    /// How closely `domain` matches, if it does.
    #[must_use]
    pub fn find(&self, domain: &Domain) -> Option<Match> {
        todo!("{domain}")
    }

    /// Whether `*` is an entry.
    #[must_use]
    pub fn holds_all(&self) -> bool {
        self.all
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && self.exact.is_empty() && self.below.is_empty()
    }
}
