//! What the administrator grants in addition to what directories say.

use postern_mail::{Mailbox, ParseOptions};

use super::{Basis, Identity};
use crate::DomainSet;

/// A permission for some users, by name or by group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Grant {
    /// Its name in the log.
    pub name: String,
    /// Users that it is for.
    pub logins: Vec<LoginPattern>,
    /// Groups whose members it is for, compared ignoring ASCII case.
    pub groups: Vec<String>,
    /// Addresses that they may send with.
    pub addresses: Vec<AddressPattern>,
    /// Users that they may act as.
    pub act_as: Vec<LoginPattern>,
}

/// A pattern for user names: one, `*@domain` or `@domain` for all of a domain, or `*` for all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoginPattern(Pattern);

/// A pattern for addresses: one, `*@example.org` or `@example.org` for all of a domain, `*@*.example.org` for all of those below
/// it, or `*` for all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddressPattern(Pattern);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Pattern {
    All,
    Domain(DomainSet),
    /// A user name in lower case, or the key of an address.
    One(String),
}

/// A text that is not a pattern.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} cannot be read")]
pub struct BadPattern(String);

impl Grant {
    /// Why it applies to this account, if it does.
    pub(super) fn basis<'a>(&'a self, identity: &'a Identity) -> Option<Basis<'a>> {
        if self.logins.iter().any(|pattern| pattern.holds(&identity.login)) {
            return Some(Basis::Grant { grant: &self.name });
        }
        let is_in = |group: &&String| {
            identity
                .groups
                .iter()
                .any(|of_account| of_account.eq_ignore_ascii_case(group))
        };
        self.groups.iter().find(is_in).map(|group| Basis::Group {
            grant: &self.name,
            group,
        })
    }
}

impl LoginPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`BadPattern`] for an empty text, blanks, control characters, and an asterisk anywhere else.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        Pattern::of_domain(text)
            .or_else(|| {
                let bad = |c: char| c.is_whitespace() || c.is_control() || c == '*';
                (!text.is_empty() && !text.contains(bad)).then(|| Pattern::One(text.to_lowercase()))
            })
            .map(Self)
            .ok_or_else(|| BadPattern(text.to_owned()))
    }

    /// Whether it matches this user name. Case does not matter.
    #[must_use]
    pub fn holds(&self, login: &str) -> bool {
        match &self.0 {
            Pattern::All => true,
            Pattern::Domain(set) => mailbox(login).is_some_and(|login| set.contains(login.domain())),
            Pattern::One(one) => *one == login.to_lowercase(),
        }
    }
}

impl AddressPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`BadPattern`] for what is not an address, and an asterisk anywhere else.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        Pattern::of_domain(text)
            .or_else(|| {
                let one = mailbox(text).filter(|_| !text.contains('*'))?;
                Some(Pattern::One(one.key()))
            })
            .map(Self)
            .ok_or_else(|| BadPattern(text.to_owned()))
    }

    /// Whether it matches this address.
    #[must_use]
    pub fn holds(&self, mailbox: &Mailbox) -> bool {
        match &self.0 {
            Pattern::All => true,
            Pattern::Domain(set) => set.contains(mailbox.domain()),
            Pattern::One(key) => *key == mailbox.key(),
        }
    }
}

impl Pattern {
    fn of_domain(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let behind = text.strip_prefix('*').unwrap_or(text);
        let domain = behind.strip_prefix('@').filter(|domain| *domain != "*")?;
        DomainSet::new([domain]).ok().map(Self::Domain)
    }
}

fn mailbox(text: &str) -> Option<Mailbox> {
    let options = ParseOptions {
        utf8: true,
        ..ParseOptions::default()
    };
    text.contains('@')
        .then(|| Mailbox::parse(text, &options).ok())
        .flatten()
}
