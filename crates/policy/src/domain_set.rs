//! A list of domains with wildcards.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use postern_mail::Domain;

/// Domains in an external table that must be asked for each, such as a database. Answers are remembered, and those count here;
/// the caller has asked before it decides.
pub trait AskedDomains: fmt::Debug + Send + Sync {
    /// Whether the domain with this lower-case name is one of them; `None` if it was not asked.
    fn is_listed(&self, name: &str) -> Option<bool>;
}

/// Domains by exact name (`example.org`), by wildcard for everything below a name (`*.example.org`), or all (`*`).
///
/// Names are compared as lower-case A-labels. A look-up costs one hash for each label of the name asked for.
#[derive(Clone, Debug, Default)]
pub struct DomainSet {
    exact: HashSet<Box<str>>,
    below: HashSet<Box<str>>,
    all: bool,
    asked: Vec<Arc<dyn AskedDomains>>,
}

impl PartialEq for DomainSet {
    /// Whether they have the same entries and ask the same tables.
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, two): (&Arc<dyn AskedDomains>, &Arc<dyn AskedDomains>)| Arc::ptr_eq(one, two);
        self.exact == other.exact
            && self.below == other.below
            && self.all == other.all
            && self.asked.len() == other.asked.len()
            && self.asked.iter().zip(&other.asked).all(same)
    }
}

impl Eq for DomainSet {}

/// How specifically a domain matched.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Match {
    /// Only by `*`.
    All,
    /// By a wildcard; more labels are more specific.
    Below(usize),
    /// It is listed itself.
    Exact,
}

/// An entry that is not a domain.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not a domain; write a name such as \"example.org\", \"*.example.org\" for all names below it, or \"*\" for all"
)]
pub struct BadDomainPattern(String);

impl DomainSet {
    /// Builds the set.
    ///
    /// # Errors
    ///
    /// [`BadDomainPattern`] for the first entry that is not a domain.
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
    /// [`BadDomainPattern`] if it is not a domain.
    pub fn insert(&mut self, pattern: &str) -> Result<(), BadDomainPattern> {
        let bad = || BadDomainPattern(pattern.chars().take(300).collect());
        if pattern == "*" {
            self.all = true;
            return Ok(());
        }
        let (names, name) = match pattern.strip_prefix("*.") {
            Some(name) => (&mut self.below, name),
            None => (&mut self.exact, pattern),
        };
        let domain = Domain::parse(name, true).map_err(|_| bad())?;
        names.insert(domain.name().ok_or_else(bad)?.into());
        Ok(())
    }

    /// Adds all entries of another one.
    pub fn extend(&mut self, other: &Self) {
        self.exact.extend(other.exact.iter().cloned());
        self.below.extend(other.below.iter().cloned());
        self.all |= other.all;
        self.asked.extend(other.asked.iter().cloned());
    }

    /// Adds domains of an external table. They count as exact entries.
    pub fn ask(&mut self, domains: Arc<dyn AskedDomains>) {
        self.asked.push(domains);
    }

    /// Whether `domain` is in the set. An address literal only matches `*`.
    #[must_use]
    pub fn contains(&self, domain: &Domain) -> bool {
        self.find(domain).is_some()
    }

    /// Whether `domain` is in the set by a name or a wildcard below a name, and not merely by `*`.
    #[must_use]
    pub fn contains_by_name(&self, domain: &Domain) -> bool {
        self.find(domain).is_some_and(|closeness| closeness != Match::All)
    }

    /// Whether a lower-case name is an exact entry, whatever wildcards match.
    #[must_use]
    pub fn names_exactly(&self, name: &str) -> bool {
        self.exact.contains(name) || self.asked.iter().any(|asked| asked.is_listed(name) == Some(true))
    }

    /// The exact entries, in order.
    #[must_use]
    pub fn exact_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.exact.iter().map(|name| &**name).collect();
        names.sort_unstable();
        names
    }

    /// How specifically `domain` matches, if it does.
    #[must_use]
    pub fn find(&self, domain: &Domain) -> Option<Match> {
        let all = self.all.then_some(Match::All);
        let Some(name) = domain.name() else {
            return all;
        };
        if self.names_exactly(name) {
            return Some(Match::Exact);
        }
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            if self.below.contains(parent) {
                return Some(Match::Below(parent.split('.').count()));
            }
            rest = parent;
        }
        all
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && self.exact.is_empty() && self.below.is_empty() && self.asked.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups() {
        let set = DomainSet::new([
            "Example.ORG",
            "*.below.example",
            "*.deep.below.example",
            "bücher.example.",
        ])
        .unwrap();
        #[rustfmt::skip]
        let cases = [
            // what the case shows              domain                      found
            ("exact, in any case",              "EXAMPLE.org",              Some(Match::Exact)),
            ("trailing dot",                    "example.org.",             Some(Match::Exact)),
            ("a name below an exact one",       "a.example.org",            None),
            ("a name that ends alike",          "anexample.org",            None),
            ("the name above",                  "org",                      None),
            ("below a wildcard",                "a.below.example",          Some(Match::Below(2))),
            ("far below a wildcard",            "a.b.c.below.example",      Some(Match::Below(2))),
            ("the closest wildcard counts",     "a.deep.below.example",     Some(Match::Below(3))),
            ("a wildcard does not hold itself", "below.example",            None),
            ("nor a name that ends alike",      "a.notbelow.example",       None),
            ("internationalised",               "BÜCHER.example",           Some(Match::Exact)),
            ("the same as A-labels",            "xn--bcher-kva.example",    Some(Match::Exact)),
            ("an address literal",              "[192.0.2.1]",              None),
        ];
        for (shows, domain, found) in cases {
            let domain: Domain = domain.parse().unwrap();
            assert_eq!(set.find(&domain), found, "{shows}");
            assert_eq!(set.contains(&domain), found.is_some(), "{shows}");
        }
    }

    #[derive(Debug)]
    struct Known(&'static str);

    impl AskedDomains for Known {
        fn is_listed(&self, name: &str) -> Option<bool> {
            (name != "unasked.example").then_some(name == self.0)
        }
    }

    #[test]
    fn domains_that_somebody_else_keeps() {
        let mut set = DomainSet::new(["*.below.example"]).unwrap();
        let written = set.clone();
        set.ask(Arc::new(Known("kept.example")));
        let mut both = DomainSet::new(["example.org"]).unwrap();
        both.extend(&set);
        for (domain, found) in [
            ("kept.example", Some(Match::Exact)),
            ("a.kept.example", None),
            ("unasked.example", None),
            ("a.below.example", Some(Match::Below(2))),
        ] {
            let parsed: Domain = domain.parse().unwrap();
            assert_eq!(set.find(&parsed), found, "{domain}");
            assert_eq!(both.find(&parsed), found, "{domain}");
        }
        assert!(both.names_exactly("example.org") && both.names_exactly("kept.example"));
        assert!(set == set.clone() && set != written && !set.is_empty());
    }

    #[test]
    fn all_domains() {
        let set = DomainSet::new(["*", "example.org"]).unwrap();
        for (domain, found, by_name) in [
            ("a.example", Match::All, false),
            ("example.org", Match::Exact, true),
            ("[192.0.2.1]", Match::All, false),
        ] {
            let domain: Domain = domain.parse().unwrap();
            assert_eq!(set.find(&domain), Some(found));
            assert_eq!(set.contains_by_name(&domain), by_name);
        }
        assert!(!set.is_empty());
        assert!(DomainSet::default().is_empty());
    }

    #[test]
    fn bad_patterns() {
        for pattern in [
            "",
            "*.",
            "*.*",
            "a.*",
            "*a.example",
            ".example",
            "a b",
            "[192.0.2.1]",
            "192.0.2.1",
            "a@b.example",
        ] {
            let error = DomainSet::new([pattern]).unwrap_err();
            assert!(
                error.to_string().contains("write a name such as"),
                "{pattern}: {error}"
            );
        }
    }
}
