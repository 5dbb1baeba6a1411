//! Sets of host names and of addresses, as conditions of rules name them.

use std::collections::HashSet;

use postern_mail::{Domain, Mailbox, ParseOptions};

/// Host names: exact (`mx.example.org`), all below one (`.example.org` or `*.example.org`), or any (`*`). Names compared with
/// them are in lower case.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NameSet {
    exact: Texts,
    below: Texts,
    all: bool,
}

/// Addresses: one (`ann@example.org`), a local part in any domain (`postmaster@`), all of a domain (`@example.org` or
/// `example.org`), all below one (`.example.org`, `@*.example.org`), no address at all (`<>`), or any (`*`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddressSet {
    addresses: Texts,
    locals: Texts,
    domains: NameSet,
    null: bool,
}

/// Texts that are looked up as they are. A few are compared one by one, which takes less time than hashing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Texts {
    /// Sorted; empty if there are many.
    few: Vec<Box<str>>,
    many: HashSet<Box<str>>,
}

/// An entry that is not a host name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not a host name; write one such as \"mx.example.org\", \".example.org\" for all below it, or \"*\""
)]
pub struct BadNamePattern(String);

/// An entry that is not an address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not an address; write one, \"name@\" for a name in any domain, \"@example.org\" for a domain, \".example.org\" for all below it, or \"<>\""
)]
pub struct BadAddressPattern(String);

/// An address in the form for look-ups, made once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddressKey {
    /// Local part and domain in lower case, the local part without quotes.
    whole: String,
    /// The position of the `@`.
    at: usize,
    /// The same without the detail of a tagged address.
    untagged: Option<Box<str>>,
}

fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}

impl Texts {
    const FEW: usize = 8;

    fn insert(&mut self, text: Box<str>) {
        if !self.many.is_empty() {
            self.many.insert(text);
        } else if let Err(place) = self.few.binary_search(&text) {
            self.few.insert(place, text);
            if self.few.len() > Self::FEW {
                self.many.extend(self.few.drain(..));
            }
        }
    }

    fn contains(&self, text: &str) -> bool {
        // Most differ in length, so that nothing else is compared.
        self.few.iter().any(|known| **known == *text) || self.many.contains(text)
    }

    fn is_empty(&self) -> bool {
        self.few.is_empty() && self.many.is_empty()
    }
}

impl NameSet {
    /// Adds an entry.
    ///
    /// # Errors
    ///
    /// [`BadNamePattern`].
    pub fn insert(&mut self, pattern: &str) -> Result<(), BadNamePattern> {
        let bad = || BadNamePattern(shortened(pattern));
        if pattern == "*" {
            self.all = true;
            return Ok(());
        }
        let below = pattern.strip_prefix("*.").or_else(|| pattern.strip_prefix('.'));
        let domain = Domain::parse(below.unwrap_or(pattern), true).map_err(|_| bad())?;
        match (below, domain) {
            (Some(_), Domain::Name(name)) => self.below.insert(name),
            (None, Domain::Name(name)) => self.exact.insert(name),
            (None, literal @ Domain::Literal(_)) => {
                self.exact.insert(literal.to_string().to_ascii_lowercase().into());
            }
            (Some(_), Domain::Literal(_)) => return Err(bad()),
        };
        Ok(())
    }

    /// Whether a name, in lower case, is in the set.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        if self.all || self.exact.contains(name) {
            return true;
        }
        if self.below.is_empty() {
            return false;
        }
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            if self.below.contains(parent) {
                return true;
            }
            rest = parent;
        }
        false
    }
}

impl AddressSet {
    /// Adds an entry.
    ///
    /// # Errors
    ///
    /// [`BadAddressPattern`].
    pub fn insert(&mut self, pattern: &str) -> Result<(), BadAddressPattern> {
        let bad = || BadAddressPattern(shortened(pattern));
        if pattern == "<>" {
            self.null = true;
        } else if let Some(domain) = pattern.strip_prefix('@') {
            self.domains.insert(domain).map_err(|_| bad())?;
        } else if let Some(local) = pattern.strip_suffix('@') {
            let mailbox = Mailbox::parse(&format!("{local}@localhost"), &OPTIONS).map_err(|_| bad())?;
            self.locals.insert(AddressKey::new(&mailbox, None).local().into());
        } else if pattern.contains('@') {
            let mailbox = Mailbox::parse(pattern, &OPTIONS).map_err(|_| bad())?;
            self.addresses.insert(mailbox.key().into());
        } else {
            self.domains.insert(pattern).map_err(|_| bad())?;
        }
        Ok(())
    }

    /// Whether an address is in the set, as it is or without its detail; `None` asks for `<>`.
    #[must_use]
    pub fn contains(&self, address: Option<&AddressKey>) -> bool {
        let Some(address) = address else {
            return self.null || self.domains.all;
        };
        let has = |whole: &str, local: &str| self.addresses.contains(whole) || self.locals.contains(local);
        has(address.whole(), address.local())
            || address
                .untagged()
                .is_some_and(|untagged| has(untagged, local_of(untagged)))
            || self.domains.contains(address.domain())
    }
}

const OPTIONS: ParseOptions<'static> = ParseOptions {
    utf8: true,
    default_domain: None,
    limits: postern_mail::AddressLimits::STORED,
};

fn local_of(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(local, _)| local)
}

impl AddressKey {
    /// For an address; `separator` is between name and detail, if there are details.
    #[must_use]
    pub fn new(mailbox: &Mailbox, separator: Option<char>) -> Self {
        let whole = mailbox.key();
        let at = whole.rfind('@').unwrap_or(whole.len());
        let untagged = separator
            .and_then(|separator| whole[..at].find(separator))
            .filter(|end| *end > 0)
            .map(|end| format!("{}{}", &whole[..end], &whole[at..]).into());
        Self { whole, at, untagged }
    }

    /// The address.
    #[must_use]
    pub fn whole(&self) -> &str {
        &self.whole
    }

    /// The address without its detail, if it has one.
    #[must_use]
    pub fn untagged(&self) -> Option<&str> {
        self.untagged.as_deref()
    }

    /// Its local part.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.whole[..self.at]
    }

    /// Its domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.whole.get(self.at + 1..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str) -> AddressKey {
        AddressKey::new(&Mailbox::parse(address, &OPTIONS).unwrap(), Some('+'))
    }

    #[test]
    fn few_and_many() {
        for count in [0, 1, Texts::FEW, Texts::FEW + 1, 100] {
            let (mut set, mut reversed) = (Texts::default(), Texts::default());
            let text = |number: usize| format!("{number}.example").into();
            (0..count)
                .chain(0..count)
                .for_each(|number| set.insert(text(number)));
            (0..count).rev().for_each(|number| reversed.insert(text(number)));
            assert_eq!(set, reversed);
            assert_eq!(set.is_empty(), count == 0);
            for number in 0..count {
                assert!(set.contains(&format!("{number}.example")), "{number} of {count}");
            }
            assert!(!set.contains("x.example") && !set.contains(""));
        }
    }

    #[test]
    fn names() {
        let mut set = NameSet::default();
        for pattern in [
            "MX.example.org",
            ".dialin.example",
            "*.pool.example",
            "[192.0.2.1]",
        ] {
            set.insert(pattern).unwrap();
        }
        #[rustfmt::skip]
        let cases = [
            ("mx.example.org", true), ("a.mx.example.org", false), ("x.dialin.example", true), ("a.b.dialin.example", true),
            ("dialin.example", false), ("xdialin.example", false), ("a.pool.example", true), ("[192.0.2.1]", true), ("", false),
        ];
        for (name, found) in cases {
            assert_eq!(set.contains(name), found, "{name}");
        }
        set.insert("*").unwrap();
        assert!(set.contains("anything"));
        for bad in ["", ".", "a b", ".[192.0.2.1]", "a@b"] {
            assert!(set.insert(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses() {
        let mut set = AddressSet::default();
        for pattern in [
            "Ann@Example.org",
            "postmaster@",
            "@all.example",
            ".below.example",
            "bare.example",
            "@*.star.example",
        ] {
            set.insert(pattern).unwrap();
        }
        #[rustfmt::skip]
        let cases = [
            // what the case shows          address                     found
            ("in any case",                 "ANN@example.ORG",          true),
            ("with a detail",               "ann+shop@example.org",     true),
            ("another name",                "bob@example.org",          false),
            ("a name in any domain",        "Postmaster@x.example",     true),
            ("the same with a detail",      "postmaster+x@x.example",   true),
            ("a domain",                    "x@all.example",            true),
            ("not below it",                "x@a.all.example",          false),
            ("below one",                   "x@a.below.example",        true),
            ("not the one itself",          "x@below.example",          false),
            ("a domain without @",          "x@bare.example",           true),
            ("a wildcard",                  "x@a.star.example",         true),
            ("a quoted local part",         "\"ann\"@example.org",      true),
        ];
        for (shows, address, found) in cases {
            assert_eq!(set.contains(Some(&key(address))), found, "{shows}");
        }
        assert!(!set.contains(None));
        set.insert("<>").unwrap();
        assert!(set.contains(None));
        for bad in ["", "@", "a b@c.example", "a@b@", "@a b"] {
            assert!(set.insert(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parts_of_addresses() {
        let tagged = key("Ann+Shop@Example.org");
        assert_eq!(
            (tagged.whole(), tagged.untagged(), tagged.local(), tagged.domain()),
            (
                "ann+shop@example.org",
                Some("ann@example.org"),
                "ann+shop",
                "example.org"
            )
        );
        assert_eq!(key("+x@example.org").untagged(), None);
        assert_eq!(key("ann@[192.0.2.1]").domain(), "[192.0.2.1]");
    }
}
