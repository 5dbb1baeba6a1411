//! Rewriting of addresses: masquerading, canonical and generic addresses, domains for bare names; in the envelope and in header
//! fields.
//!
//! Rules are ordered. Each is applied to an address once, and sees the result of the rules before it. A rule says which addresses
//! it applies to ([`Class`], domains, exceptions), whose mail ([`Whose`]), when ([`When`]) and how it rewrites them ([`Way`]).
//! Tables are looked up by the caller; their results are read by [`target`].

mod class;
mod target;
mod way;
mod whose;

use postern_mail::{Domain, Mailbox};

use crate::DomainSet;
use crate::access::names::{AddressKey, AddressSet};

pub use self::class::{Class, Classes};
pub use self::target::{BadTarget, target};
pub use self::way::{Append, MasqueradeList, Tables, Way};
pub use self::whose::{Client, Whose};

/// Most times that a repeating rule is applied to its own result.
pub const REPEATS_MAX: usize = 10;

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, in the log and in `postern explain`.
    pub name: Box<str>,
    /// When it is applied.
    pub when: When,
    /// Which addresses it applies to.
    pub classes: Classes,
    /// Whose incoming mail it applies to.
    pub whose: Whose,
    /// The listeners whose mail it applies to; empty for all.
    pub listeners: Vec<Box<str>>,
    /// The domains of the addresses; `None` for all.
    pub domains: Option<DomainSet>,
    /// Addresses that it leaves alone.
    pub exceptions: AddressSet,
    /// How it rewrites.
    pub way: Way,
    /// Whether it changes header fields of mail that is signed by others.
    pub signed: bool,
}

/// When a rule is applied.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum When {
    /// When a message is received.
    #[default]
    In,
    /// When it is sent to another server over SMTP.
    Out,
}

impl Rule {
    /// Whether it may change an address: one in its domains that is not an exception.
    #[must_use]
    pub fn is_about(&self, address: &Mailbox, separator: Option<char>) -> bool {
        let in_domains = self
            .domains
            .as_ref()
            .is_none_or(|set| set.contains(address.domain()));
        in_domains
            && !self
                .exceptions
                .contains(Some(&AddressKey::new(address, separator)))
    }

    /// Whether it applies to mail from this client at this listener.
    #[must_use]
    pub fn is_for(&self, client: &Client, listener: &str) -> bool {
        self.whose.holds(client)
            && (self.listeners.is_empty() || self.listeners.iter().any(|one| **one == *listener))
    }

    /// The rewritten address, if no table is needed; `None` if it stays the same, or a table must be asked.
    #[must_use]
    pub fn at_once(&self, address: &Mailbox) -> Option<Mailbox> {
        match &self.way {
            Way::Tables(_) => None,
            Way::Masquerade(list) => list.apply(address),
            Way::MasqueradeAs(domain) => moved(address, domain),
            Way::Append(append) => append.to_host(address),
        }
    }
}

/// The same user in another domain; `None` if that is the same domain.
fn moved(address: &Mailbox, domain: &Domain) -> Option<Mailbox> {
    if address.domain() == domain {
        return None;
    }
    Mailbox::new(&address.unquoted_local(), domain.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(way: Way) -> Rule {
        Rule {
            name: "r".into(),
            when: When::In,
            classes: Classes::default(),
            whose: Whose::default(),
            listeners: Vec::new(),
            domains: None,
            exceptions: AddressSet::default(),
            way,
            signed: false,
        }
    }

    #[test]
    fn which_addresses_a_rule_is_about() {
        let mut exceptions = AddressSet::default();
        exceptions.insert("root@").unwrap();
        exceptions.insert(".lab.oak.example").unwrap();
        let rule = Rule {
            domains: Some(DomainSet::new(["gate.oak.example", "*.oak.example"]).unwrap()),
            exceptions,
            ..rule(Way::MasqueradeAs("oak.example".parse().unwrap()))
        };
        #[rustfmt::skip]
        let cases = [
            ("a@gate.oak.example",      true),
            ("a@pc.oak.example",        true),
            ("a@oak.example",           false),
            ("root@gate.oak.example",   false),
            ("Root+x@gate.oak.example", false),
            ("a@x.lab.oak.example",     false),
            ("a@elsewhere.example",     false),
        ];
        for (address, expected) in cases {
            assert_eq!(
                rule.is_about(&address.parse().unwrap(), Some('+')),
                expected,
                "{address}"
            );
        }
    }

    #[test]
    fn masquerading_keeps_the_user() {
        let rule = rule(Way::MasqueradeAs("oak.example".parse().unwrap()));
        let made = |address: &str| {
            rule.at_once(&address.parse().unwrap())
                .map(|made| made.to_string())
        };
        assert_eq!(
            made("Anna+x@gate.oak.example").as_deref(),
            Some("Anna+x@oak.example")
        );
        assert_eq!(
            made("\"a b\"@gate.oak.example").as_deref(),
            Some("\"a b\"@oak.example")
        );
        assert_eq!(made("anna@oak.example"), None);
    }
}
