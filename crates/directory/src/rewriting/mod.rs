//! Rewrites addresses: applies the rules of [`postern_policy::rewrite`] and queries the tables that they name.
//!
//! A table that cannot be queried, a value that is not an address and a loop are all [`Trouble`]: the message is deferred and
//! never sent half rewritten.

mod header;

use std::sync::Arc;

use postern_mail::address_list::Written;
use postern_mail::{Domain, Mailbox};
use postern_policy::DomainSet;
use postern_policy::header_check::Texts;
use postern_policy::rewrite::{
    BadTarget, Class, Client, REPEATS_MAX, Rule, Tables as LookUp, Way, When, target,
};
use postern_table::{Address, Plan, Subject, fill};

pub use self::header::{Changed, is_signed};
use crate::tables::{DomainTable, Down, Lookup, find_in};

/// All rules, with the tables that they name.
#[derive(Clone, Debug)]
pub struct Rewriting {
    /// The rules in order.
    pub rules: Vec<Rule>,
    /// The tables, by the numbers in [`LookUp::number`]; in each list, the first that has a key decides.
    pub tables: Vec<Vec<Lookup>>,
    /// The domain added to names without one in a table's values.
    pub origin: Domain,
    /// Domains in which keys without a domain match.
    pub local: DomainSet,
    /// The separator between user name and detail; `None` if details are not used.
    pub separator: Option<char>,
    /// Tables of domains to which rules are limited and that must be queried.
    pub domain_tables: Vec<Arc<DomainTable>>,
}

/// The rules for one message.
#[derive(Clone, Debug)]
pub struct Chosen<'a> {
    all: &'a Rewriting,
    rules: Vec<&'a Rule>,
    /// Whether the mail comes from inside.
    inside: bool,
}

/// An address that was rewritten.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rewritten {
    /// The new address.
    pub to: Mailbox,
    /// The names of the rules that changed it, in order.
    pub rules: Vec<Box<str>>,
}

impl Rewritten {
    /// For the log: the rules, where the address occurs, and the new address.
    #[must_use]
    pub fn told(&self, place: &str, from: &str) -> String {
        format!("{}: {place} {from} becomes {}", self.rules.join(" + "), self.to)
    }
}

/// An address cannot be rewritten now.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// A table cannot be queried.
    #[error(transparent)]
    Down(#[from] Down),
    /// A table's value is not an address.
    #[error("rule {rule:?}: what {table} has for {key} {error}")]
    Value {
        /// The rule.
        rule: Box<str>,
        /// The table.
        table: String,
        /// The key that was found.
        key: String,
        /// What is wrong.
        error: BadTarget,
    },
    /// A header has so many different addresses that not all of them are looked up.
    #[error("a header has more than {0} different addresses to be rewritten")]
    TooMany(usize),
    /// The new addresses would make the header too long.
    #[error("rewritten addresses make a header longer by more than {0} octets")]
    Grown(usize),
    /// The address leads back to itself.
    #[error("rule {rule:?}: {address} leads back to itself, or through more than {REPEATS_MAX} entries")]
    Circle {
        /// The rule.
        rule: Box<str>,
        /// The address.
        address: Mailbox,
    },
}

impl Rewriting {
    /// The rules for mail of this client at this listener; `None` if there are none.
    #[must_use]
    pub fn coming_in(&self, client: &Client, listener: &str) -> Option<Chosen<'_>> {
        let is_meant = |rule: &&Rule| rule.when == When::In && rule.is_for(client, listener);
        self.chosen(is_meant, client.is_inside())
    }

    /// The rules for mail that leaves by SMTP; `None` if there are none.
    #[must_use]
    pub fn going_out(&self) -> Option<Chosen<'_>> {
        // Any signature would break, our own included.
        self.chosen(|rule| rule.when == When::Out, false)
    }

    fn chosen<'a>(&'a self, is_meant: impl FnMut(&&'a Rule) -> bool, inside: bool) -> Option<Chosen<'a>> {
        let rules: Vec<&Rule> = self.rules.iter().filter(is_meant).collect();
        (!rules.is_empty()).then_some(Chosen {
            all: self,
            rules,
            inside,
        })
    }

    /// What one rule's tables turn an address into; `None` if they have no entry.
    ///
    /// # Errors
    ///
    /// [`Trouble`].
    pub async fn by_tables(
        &self,
        rule: &Rule,
        look_up: LookUp,
        address: &Mailbox,
    ) -> Result<Option<Mailbox>, Trouble> {
        let tables = self.tables.get(look_up.number).map_or(&[][..], Vec::as_slice);
        let separator = self.separator.map(String::from).unwrap_or_default();
        let mut made = address.clone();
        for round in 0.. {
            let (local, domain) = (made.unquoted_local().into_owned(), made.domain().to_string());
            let parts = Address {
                local: &local,
                domain: &domain,
                separators: &separator,
                is_local: *made.domain() == self.origin || self.local.contains(made.domain()),
            };
            let plan = if look_up.sendmail {
                Plan::Generics
            } else {
                Plan::Address
            };
            let Some(hit) = find_in(tables, &plan.keys(&Subject::Address(parts))).await? else {
                break;
            };
            if round >= REPEATS_MAX {
                return Err(Trouble::Circle {
                    rule: rule.name.clone(),
                    address: address.clone(),
                });
            }
            let value = match look_up.sendmail {
                true => fill(&hit.answer.value, &hit.key),
                false => hit.answer.value,
            };
            let keeps = look_up.keep_detail && hit.key.is_without_detail;
            let detail = parts.detail().map(|(_, detail)| detail).filter(|_| keeps);
            let next = target(&value, &made, detail, &self.origin).map_err(|error| Trouble::Value {
                rule: rule.name.clone(),
                table: hit.table,
                key: hit.key.text,
                error,
            })?;
            let ends = next.key() == made.key() || !look_up.repeat;
            made = next;
            if ends {
                break;
            }
        }
        Ok((made != *address).then_some(made))
    }
}

impl Chosen<'_> {
    /// Whether a rule is about addresses of this class.
    #[must_use]
    pub fn is_about(&self, class: Class) -> bool {
        self.rules.iter().any(|rule| rule.classes.has(class))
    }

    /// Whether a rule is about addresses in the header.
    #[must_use]
    pub fn is_about_header(&self) -> bool {
        self.rules.iter().any(|rule| rule.classes.in_header())
    }

    /// Whether an address can be rewritten without queries: all tables of the rules are in memory.
    fn is_at_hand(&self) -> bool {
        let is_at_hand = |rule: &&Rule| match rule.way {
            Way::Tables(look_up) => {
                let tables = self.all.tables.get(look_up.number);
                tables.is_none_or(|tables| tables.iter().all(Lookup::is_at_hand))
            }
            _ => true,
        };
        let asks_domains =
            !self.all.domain_tables.is_empty() && self.rules.iter().any(|rule| rule.domains.is_some());
        !asks_domains && self.rules.iter().all(is_at_hand)
    }

    /// What an address of the envelope becomes; `None` if it stays the same.
    ///
    /// # Errors
    ///
    /// [`Trouble`].
    pub async fn envelope(&self, class: Class, address: &Mailbox) -> Result<Option<Rewritten>, Trouble> {
        self.address(class, &Written::Full(address.clone()), false).await
    }

    /// What an address becomes; `None` if it stays the same. `signed` says that it is in the header of a message signed by
    /// others.
    async fn address(
        &self,
        class: Class,
        written: &Written,
        signed: bool,
    ) -> Result<Option<Rewritten>, Trouble> {
        let mut now = match written {
            Written::Full(address) => Some(address.clone()),
            Written::Bare(_) => None,
        };
        let mut rules = Vec::new();
        for rule in &self.rules {
            if !rule.classes.has(class) || (signed && !rule.signed) {
                continue;
            }
            let made = match (&now, written) {
                (None, Written::Bare(local)) => match &rule.way {
                    Way::Append(append) => append.to_bare(local),
                    _ => None,
                },
                (Some(address), _) => self.by_rule(rule, address).await?,
                (None, Written::Full(_)) => None,
            };
            if made.is_some() {
                now = made;
                rules.push(rule.name.clone());
            }
        }
        let to = now.filter(|_| !rules.is_empty());
        Ok(to.map(|to| Rewritten { to, rules }))
    }

    async fn by_rule(&self, rule: &Rule, address: &Mailbox) -> Result<Option<Mailbox>, Trouble> {
        if rule.domains.is_some() {
            for table in &self.all.domain_tables {
                table.learn(address.domain()).await?;
            }
        }
        if !rule.is_about(address, self.all.separator) {
            return Ok(None);
        }
        match rule.way {
            Way::Tables(look_up) => self.all.by_tables(rule, look_up, address).await,
            _ => Ok(rule.at_once(address)),
        }
    }
}

/// A table in memory, as header checks use it.
#[derive(Clone, Debug)]
pub struct TableTexts(pub Lookup);

impl Texts for TableTexts {
    fn find(&self, text: &str) -> Option<String> {
        let answer = self.0.get_now(text)??;
        Some(answer.value)
    }
}

#[cfg(test)]
mod tests;
