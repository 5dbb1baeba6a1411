//! Who a message is from, and sets of senders and user names in rules.

use std::collections::HashSet;

use postern_mail::{Domain, Mailbox, ParseOptions, ReversePath};

use crate::domain_set::{DomainSet, Match};
use crate::route::Detour;

/// Who a message is from, as far as its route may depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The envelope's sender.
    pub sender: &'a ReversePath,
    /// The authenticated user who submitted it, if any.
    pub login: Option<&'a str>,
    /// Whether the after-queue filter has seen it, or need not see it, as with a report of this server.
    pub filtered: bool,
    /// The route that a rule has given the message, whatever its recipients.
    pub detour: Option<&'a Detour>,
}

/// Senders: addresses (`acaird@example.org`), all of a domain (`@example.org`), of all names below one
/// (`@*.example.org`), and `<>`, which only matches this entry.
///
/// Addresses are compared by [`Mailbox::key`](postern_mail::Mailbox::key), which ignores case.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SenderSet {
    addresses: HashSet<Box<str>>,
    domains: DomainSet,
    null: bool,
}

/// How specifically a sender matched.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum SenderMatch {
    /// The rule does not depend on the sender.
    Unasked,
    /// An entry for its domain.
    Domain(Match),
    /// An entry of its own.
    Itself,
}

/// User names: single ones (`acaird`), all in a domain (`@example.org`, `@*.example.org`), or any (`*`).
///
/// Compared ignoring ASCII case, as in directories.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LoginSet {
    names: HashSet<Box<str>>,
    domains: DomainSet,
    all: bool,
}

/// How specifically a user name matched.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum LoginMatch {
    /// The rule does not depend on the user name.
    Unasked,
    /// Any user name matches.
    All,
    /// An entry for its domain.
    Domain(Match),
    /// An entry of its own.
    Itself,
}

/// An entry that is not a sender.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not a sender; write an address, \"@example.org\" for a domain, \"@*.example.org\" for all names below it, or \"<>\""
)]
pub struct BadSenderPattern(String);

/// An entry that is not a user name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not a user name; write one, \"@example.org\" for all that end in it, or \"*\" for everybody who has authenticated"
)]
pub struct BadLoginPattern(String);

impl SenderSet {
    /// Builds the set.
    ///
    /// # Errors
    ///
    /// [`BadSenderPattern`] for the first entry that is not a sender.
    pub fn new<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self, BadSenderPattern> {
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
    /// [`BadSenderPattern`] if it is not a sender.
    pub fn insert(&mut self, pattern: &str) -> Result<(), BadSenderPattern> {
        let bad = || BadSenderPattern(pattern.chars().take(300).collect());
        if pattern == "<>" {
            self.null = true;
        } else if let Some(domain) = pattern.strip_prefix('@') {
            insert_domain(&mut self.domains, domain).ok_or_else(bad)?;
        } else {
            let options = ParseOptions {
                utf8: true,
                ..ParseOptions::default()
            };
            let mailbox = Mailbox::parse(pattern, &options).map_err(|_| bad())?;
            self.addresses.insert(mailbox.key().into());
        }
        Ok(())
    }

    /// Whether there is no entry: then every sender matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.null && self.addresses.is_empty() && self.domains.is_empty()
    }

    /// How specifically `sender` matches, if it does.
    #[must_use]
    pub fn find(&self, sender: &ReversePath) -> Option<SenderMatch> {
        if self.is_empty() {
            return Some(SenderMatch::Unasked);
        }
        let Some(mailbox) = sender.mailbox() else {
            return self.null.then_some(SenderMatch::Itself);
        };
        self.find_address(mailbox)
    }

    /// The same for an address; without entries there is no match.
    #[must_use]
    pub fn find_address(&self, mailbox: &Mailbox) -> Option<SenderMatch> {
        if self.names(mailbox) {
            return Some(SenderMatch::Itself);
        }
        self.domains.find(mailbox.domain()).map(SenderMatch::Domain)
    }

    /// Whether an address has an entry of its own.
    #[must_use]
    pub fn names(&self, mailbox: &Mailbox) -> bool {
        !self.addresses.is_empty() && self.addresses.contains(mailbox.key().as_str())
    }

    /// The domains of the addresses that have entries of their own.
    pub fn address_domains(&self) -> impl Iterator<Item = &str> {
        self.addresses
            .iter()
            .filter_map(|key| Some(key.rsplit_once('@')?.1))
    }
}

impl LoginSet {
    /// Builds the set.
    ///
    /// # Errors
    ///
    /// [`BadLoginPattern`] for the first entry that is not a user name.
    pub fn new<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self, BadLoginPattern> {
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
    /// [`BadLoginPattern`] if it is not a user name.
    pub fn insert(&mut self, pattern: &str) -> Result<(), BadLoginPattern> {
        let bad = || BadLoginPattern(pattern.chars().take(300).collect());
        if pattern == "*" {
            self.all = true;
        } else if let Some(domain) = pattern.strip_prefix('@') {
            insert_domain(&mut self.domains, domain).ok_or_else(bad)?;
        } else if pattern.is_empty() || pattern.chars().any(char::is_control) {
            return Err(bad());
        } else {
            self.names.insert(pattern.to_ascii_lowercase().into());
        }
        Ok(())
    }

    /// Whether there is no entry: then all mail matches, with or without authentication.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && self.names.is_empty() && self.domains.is_empty()
    }

    /// How specifically `login` matches, if it does.
    #[must_use]
    pub fn find(&self, login: Option<&str>) -> Option<LoginMatch> {
        if self.is_empty() {
            return Some(LoginMatch::Unasked);
        }
        let login = login?;
        if self.names.contains(login.to_ascii_lowercase().as_str()) {
            return Some(LoginMatch::Itself);
        }
        let domain = login
            .rsplit_once('@')
            .map(|(_, domain)| Domain::parse(domain, true));
        if let Some(Ok(domain)) = domain
            && let Some(found) = self.domains.find(&domain)
        {
            return Some(LoginMatch::Domain(found));
        }
        self.all.then_some(LoginMatch::All)
    }
}

/// `@*` is refused: it would match nearly everybody while looking as if it matched all.
fn insert_domain(domains: &mut DomainSet, domain: &str) -> Option<()> {
    (domain != "*").then_some(())?;
    domains.insert(domain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders() {
        let set = SenderSet::new(["ACaird@Example.org", "@lab.example", "@*.lab.example"]).unwrap();
        let with_null = SenderSet::new(["<>"]).unwrap();
        #[rustfmt::skip]
        let cases = [
            // what the case shows            set                    sender                       found
            ("an address, in any case",       &set,                  "<acaird@EXAMPLE.org>",      Some(SenderMatch::Itself)),
            ("in needless quotes",            &set,                  "<\"acaird\"@example.org>",  Some(SenderMatch::Itself)),
            ("a domain",                      &set,                  "<x@lab.example>",           Some(SenderMatch::Domain(Match::Exact))),
            ("below a domain",                &set,                  "<x@a.lab.example>",         Some(SenderMatch::Domain(Match::Below(2)))),
            ("another one",                   &set,                  "<x@example.org>",           None),
            ("the null sender is not an address", &set,                  "<>",                        None),
            ("unless it is named",            &with_null,            "<>",                        Some(SenderMatch::Itself)),
            ("where it alone is",             &with_null,            "<x@lab.example>",           None),
            ("no condition",                  &SenderSet::default(), "<>",                        Some(SenderMatch::Unasked)),
        ];
        for (shows, set, sender, found) in cases {
            let sender = ReversePath::parse(sender, &ParseOptions::default()).unwrap();
            assert_eq!(set.find(&sender), found, "{shows}");
        }
        for bad in ["", "acaird", "@", "@*", "@a b", "*"] {
            assert!(SenderSet::new([bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn logins() {
        let set = LoginSet::new(["ACaird", "@example.org"]).unwrap();
        let all = LoginSet::new(["*", "acaird"]).unwrap();
        #[rustfmt::skip]
        let cases = [
            // what the case shows          set                   login                      found
            ("a name, in any case",         &set,                 Some("acairD"),            Some(LoginMatch::Itself)),
            ("a domain",                    &set,                 Some("x@Example.org"),     Some(LoginMatch::Domain(Match::Exact))),
            ("another one",                 &set,                 Some("boss"),              None),
            ("mail without a login",        &set,                 None,                      None),
            ("any login",                   &all,                 Some("boss"),              Some(LoginMatch::All)),
            ("but not none",                &all,                 None,                      None),
            ("a name goes before any",      &all,                 Some("acaird"),            Some(LoginMatch::Itself)),
            ("no condition",                &LoginSet::default(), None,                      Some(LoginMatch::Unasked)),
        ];
        for (shows, set, login, found) in cases {
            assert_eq!(set.find(login), found, "{shows}");
        }
        for bad in ["", "@", "@*", "a\u{7}"] {
            assert!(LoginSet::new([bad]).is_err(), "{bad:?}");
        }
    }
}
