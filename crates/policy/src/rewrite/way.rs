//! How a rule rewrites an address.

use postern_mail::{Domain, Mailbox};

/// How a rule rewrites.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Way {
    /// By table.
    Tables(Tables),
    /// Subdomains of a domain in the list are removed.
    Masquerade(MasqueradeList),
    /// The address moves to this domain.
    MasqueradeAs(Domain),
    /// An address without a domain, or with one without a dot, gets one.
    Append(Append),
}

/// How tables are looked up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tables {
    /// The number of the tables, for the caller.
    pub number: usize,
    /// Whether keys are those of sendmail's genericstable.
    pub sendmail: bool,
    /// Whether a detail that the key lacks is kept.
    pub keep_detail: bool,
    /// Whether the result is looked up again.
    pub repeat: bool,
}

/// Postfix's `masquerade_domains`: the first entry that an address is in or below decides.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MasqueradeList(Vec<(Domain, bool)>);

/// An entry that is not a domain.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not a domain; write one such as \"example.org\", or \"!lab.example.org\" for what is to be left alone"
)]
pub struct BadMasquerade(String);

/// What is appended to bare names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Append {
    /// The domain of an address without one.
    pub origin: Option<Domain>,
    /// The parent domain appended to a domain without a dot.
    pub domain: Option<Domain>,
}

impl MasqueradeList {
    /// Adds an entry: `example.org`, or `!lab.example.org`.
    ///
    /// # Errors
    ///
    /// [`BadMasquerade`].
    pub fn push(&mut self, entry: &str) -> Result<(), BadMasquerade> {
        let excluded = entry.starts_with('!');
        let bare = entry.trim_start_matches('!');
        match Domain::parse(bare, true) {
            Ok(domain @ Domain::Name(_)) => self.0.push((domain, !excluded)),
            _ => return Err(BadMasquerade(entry.chars().take(300).collect())),
        }
        Ok(())
    }

    /// Its entries, and whether each is masqueraded.
    pub fn entries(&self) -> impl Iterator<Item = (&Domain, bool)> {
        self.0.iter().map(|(domain, masked)| (domain, *masked))
    }

    /// The address moved to the first domain that it is below; `None` if it stays as it is.
    #[must_use]
    pub fn apply(&self, address: &Mailbox) -> Option<Mailbox> {
        let name = address.domain().name()?;
        for (domain, masked) in &self.0 {
            let parent = domain.name()?;
            if name == parent {
                return None;
            }
            if name.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')) {
                return masked.then(|| super::moved(address, domain)).flatten();
            }
        }
        None
    }
}

impl Append {
    /// An address whose domain has no dot, with the parent domain; `None` if it stays as it is.
    #[must_use]
    pub fn to_host(&self, address: &Mailbox) -> Option<Mailbox> {
        let (host, domain) = (address.domain().name()?, self.domain.as_ref()?.name()?);
        if host.contains('.') {
            return None;
        }
        let whole = Domain::parse(&format!("{host}.{domain}"), true).ok()?;
        super::moved(address, &whole)
    }

    /// A local part, with its quotes, completed with the domain.
    #[must_use]
    pub fn to_bare(&self, local: &str) -> Option<Mailbox> {
        let options = postern_mail::ParseOptions {
            utf8: true,
            default_domain: self.origin.as_ref(),
            limits: postern_mail::AddressLimits::STORED,
        };
        self.origin.as_ref()?;
        Mailbox::parse(local, &options).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masquerade_lists() {
        let list = |entries: &[&str]| {
            let mut list = MasqueradeList::default();
            entries.iter().for_each(|entry| list.push(entry).unwrap());
            list
        };
        let office = list(&["!lab.havelock.example", "havelock.example"]);
        let nested = list(&["foo.example.com", "example.com"]);
        #[rustfmt::skip]
        let cases = [
            (&office, "vera@pc12.havelock.example",       Some("vera@havelock.example")),
            (&office, "vera@a.b.havelock.example",        Some("vera@havelock.example")),
            (&office, "vera@havelock.example",            None),
            (&office, "anna@bench.lab.havelock.example",  None),
            (&office, "anna@lab.havelock.example",        None),
            (&office, "joe@notmyhavelock.example",        None),
            (&office, "joe@elsewhere.example",            None),
            (&office, "joe@[192.0.2.1]",                  None),
            (&nested, "a@x.foo.example.com",              Some("a@foo.example.com")),
            (&nested, "a@foo.example.com",                None),
            (&nested, "a@x.example.com",                  Some("a@example.com")),
        ];
        for (list, address, expected) in cases {
            let made = list.apply(&address.parse().unwrap()).map(|made| made.to_string());
            assert_eq!(made.as_deref(), expected, "{address}");
        }
        for bad in ["", "!", "[192.0.2.1]", "a b"] {
            assert!(MasqueradeList::default().push(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_appended() {
        let append = Append {
            origin: Some("origin.example".parse().unwrap()),
            domain: Some("example.org".parse().unwrap()),
        };
        let host = |address: &str| {
            append
                .to_host(&address.parse().unwrap())
                .map(|made| made.to_string())
        };
        assert_eq!(host("a@pc12").as_deref(), Some("a@pc12.example.org"));
        assert_eq!(host("a@pc12.example.net"), None);
        let bare = |local: &str| append.to_bare(local).map(|made| made.to_string());
        assert_eq!(bare("cron").as_deref(), Some("cron@origin.example"));
        assert_eq!(bare("\"a b\"").as_deref(), Some("\"a b\"@origin.example"));
        assert_eq!(Append::default().to_bare("cron"), None);
    }
}
