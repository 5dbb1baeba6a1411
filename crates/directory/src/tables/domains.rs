//! Tables of domains that must be queried for each domain: answers are remembered, so that rules can use them without waiting.

use postern_mail::Domain;
use postern_policy::AskedDomains;
use postern_table::{Plan, Subject};

use super::known::{Known, Worth};
use super::{Down, Lookup};
use crate::time;

/// Most domains that are remembered. A name has at most 255 octets.
const KNOWN_MAX: usize = 50_000;

/// A table of domains.
#[derive(Debug)]
pub struct DomainTable {
    table: Lookup,
    /// The known answers: whether a domain is listed.
    known: Known<bool>,
}

impl DomainTable {
    /// From a table whose keys are domains. Values do not matter.
    #[must_use]
    pub fn new(table: Lookup) -> Self {
        let fresh = table.fresh_for();
        Self {
            table,
            known: Known::new(KNOWN_MAX, fresh),
        }
    }

    /// Looks up a domain, unless that was done recently. From then on, [`AskedDomains::is_listed`] knows it, as long as it is
    /// among the most recent ones. A table may list the domain, or a parent domain with a leading dot.
    ///
    /// # Errors
    ///
    /// [`Down`] if it cannot be queried and has no earlier answer; otherwise the earlier answer still counts.
    pub async fn learn(&self, domain: &Domain) -> Result<(), Down> {
        let Some(name) = domain.name() else {
            return Ok(());
        };
        let now = time::now();
        let before = self.known.worth(name, now);
        if before == Worth::Fresh {
            return Ok(());
        }
        let keys = Plan::Subdomain.keys(&Subject::Name(name));
        match self.table.find(&keys).await {
            Ok(found) => self.known.note(name, found.is_some(), now),
            Err(down) if before == Worth::Nothing => return Err(down),
            Err(_) => {}
        }
        Ok(())
    }
}

impl AskedDomains for DomainTable {
    fn is_listed(&self, name: &str) -> Option<bool> {
        self.known.get(name)
    }
}

#[cfg(test)]
mod tests {
    use postern_table::{Format, parse};

    use super::*;

    #[tokio::test]
    async fn what_was_asked_is_known() {
        let text = "one.example x\n.below.example x\n";
        let table = parse(text.as_bytes(), Format::Postfix).unwrap().table;
        let domains = DomainTable::new(Lookup::of_table("t", table, None));
        for (domain, listed) in [
            ("one.example", true),
            ("a.one.example", false),
            ("a.b.below.example", true),
            ("below.example", false),
            ("other.example", false),
        ] {
            assert_eq!(domains.is_listed(domain), None, "{domain} was not asked for");
            domains.learn(&domain.parse().unwrap()).await.unwrap();
            assert_eq!(domains.is_listed(domain), Some(listed), "{domain}");
        }
    }
}
