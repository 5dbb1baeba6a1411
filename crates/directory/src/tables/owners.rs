//! Tables of the owners of sender addresses: which logins may send with which address.

use futures_util::future::FutureExt as _;
use postern_mail::Mailbox;
use postern_policy::identity::AskedOwners;
use postern_table::{Address, Key, Plan, Subject};

use super::known::{FRESH_MAX, Known, Worth};
use super::{Down, Lookup, find_in};
use crate::time;

/// Most addresses that are remembered.
const KNOWN_MAX: usize = 10_000;

/// Tables whose keys are sender addresses, and whose values are the logins that own them, separated by commas or blanks:
/// Postfix's `smtpd_sender_login_maps`.
#[derive(Debug)]
pub struct OwnerTables {
    tables: Vec<Lookup>,
    separators: String,
    /// The owners of addresses looked up so far.
    known: Known<Vec<String>>,
}

impl OwnerTables {
    /// From these tables, searched in order. `separator` separates user name and detail.
    #[must_use]
    pub fn new(tables: Vec<Lookup>, separator: Option<char>) -> Self {
        let fresh = tables.iter().map(Lookup::fresh_for).min().unwrap_or(FRESH_MAX);
        Self {
            tables,
            separators: separator.map(String::from).unwrap_or_default(),
            known: Known::new(KNOWN_MAX, fresh),
        }
    }

    /// Looks up an address, unless all tables are in memory or that was done recently.
    ///
    /// # Errors
    ///
    /// [`Down`] if a table cannot be queried and there is no earlier answer for this address.
    pub async fn learn(&self, address: &Mailbox) -> Result<(), Down> {
        if self.tables.iter().all(Lookup::is_at_hand) {
            return Ok(());
        }
        let (key, now) = (address.key(), time::now());
        let before = self.known.worth(&key, now);
        if before == Worth::Fresh {
            return Ok(());
        }
        match find_in(&self.tables, &self.keys(address)).await {
            Ok(found) => {
                let owners = found.map(|hit| logins(&hit.answer.value)).unwrap_or_default();
                self.known.note(&key, owners, now);
                Ok(())
            }
            Err(down) if before == Worth::Nothing => Err(down),
            Err(_) => Ok(()),
        }
    }

    fn keys(&self, address: &Mailbox) -> Vec<Key> {
        let (local, domain) = (address.unquoted_local(), address.domain().to_string());
        Plan::Address.keys(&Subject::Address(Address {
            local: &local,
            domain: &domain,
            separators: &self.separators,
            is_local: false,
        }))
    }

    fn owners(&self, address: &Mailbox) -> Vec<String> {
        if self.tables.iter().all(Lookup::is_at_hand) {
            let found = find_in(&self.tables, &self.keys(address)).now_or_never();
            let hit = found.and_then(Result::ok).flatten();
            return hit.map(|hit| logins(&hit.answer.value)).unwrap_or_default();
        }
        self.known.get(&address.key()).unwrap_or_default()
    }
}

impl AskedOwners for OwnerTables {
    fn owns(&self, login: &str, address: &Mailbox) -> bool {
        let is_it = |owner: &String| owner.eq_ignore_ascii_case(login);
        self.owners(address).iter().any(is_it)
    }

    fn is_owned(&self, address: &Mailbox) -> bool {
        !self.owners(address).is_empty()
    }
}

/// The logins in a value.
fn logins(value: &str) -> Vec<String> {
    let parts = value.split(|c: char| c == ',' || c.is_whitespace());
    parts
        .filter(|login| !login.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use postern_mail::address::ParseOptions;
    use postern_table::{Format, parse};

    use super::*;

    #[test]
    fn owners_by_address_and_domain() {
        let text = "sales@x.org rosa, Hugo@x.org\n@y.org boss\n";
        let table = parse(text.as_bytes(), Format::Postfix).unwrap().table;
        let tables = OwnerTables::new(vec![Lookup::of_table("owners", table, None)], Some('+'));
        #[rustfmt::skip]
        let cases = [
            ("sales@x.org",     "rosa",       true,  true),
            ("sales+a@X.org",   "hugo@x.org", true,  true),
            ("sales@x.org",     "boss",       false, true),
            ("any@y.org",       "boss",       true,  true),
            ("other@x.org",     "rosa",       false, false),
        ];
        for (address, login, owns, is_owned) in cases {
            let address = Mailbox::parse(address, &ParseOptions::default()).unwrap();
            assert_eq!(tables.owns(login, &address), owns, "{address} {login}");
            assert_eq!(tables.is_owned(&address), is_owned, "{address}");
        }
    }
}
