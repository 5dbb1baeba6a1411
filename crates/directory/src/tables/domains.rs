//! Tables of domains that have to be asked for each: what they said is remembered, so that rules can go by it without waiting.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postern_mail::Domain;
use postern_policy::AskedDomains;
use postern_table::{Plan, Subject};

use super::{Down, Lookup};

/// For how long an answer is not asked for again.
const FRESH: Duration = Duration::from_secs(60);

/// Most domains that are remembered. A name takes 255 octets at most.
const KNOWN_MAX: usize = 50_000;

/// A table of domains.
#[derive(Debug)]
pub struct DomainTable {
    table: Lookup,
    /// Whether a domain is listed, and when the table said so.
    known: Mutex<HashMap<Box<str>, (bool, Instant)>>,
}

impl DomainTable {
    /// Of a table whose keys are domains. Values do not matter.
    #[must_use]
    pub fn new(table: Lookup) -> Self {
        Self {
            table,
            known: Mutex::default(),
        }
    }

    /// Asks about a domain, unless that was done lately. From then on [`AskedDomains::is_listed`] knows it, as long as it is among the
    /// last ones that were asked for. A table may have the domain, or with a dot in front one above it.
    ///
    /// # Errors
    ///
    /// [`Down`] where it cannot be asked and never was; else what it said before goes on to count.
    pub async fn learn(&self, domain: &Domain) -> Result<(), Down> {
        let Some(name) = domain.name() else {
            return Ok(());
        };
        let now = Instant::now();
        let before = self.known.lock().get(name).copied();
        if before.is_some_and(|(_, since)| now.saturating_duration_since(since) < FRESH) {
            return Ok(());
        }
        let keys = Plan::Subdomain.keys(&Subject::Name(name));
        match self.table.find(&keys).await {
            Ok(found) => self.note(name, found.is_some(), now),
            Err(down) if before.is_none() => return Err(down),
            Err(_) => {}
        }
        Ok(())
    }

    fn note(&self, name: &str, listed: bool, now: Instant) {
        let mut known = self.known.lock();
        if known.len() >= KNOWN_MAX && !known.contains_key(name) {
            // Half of them go, the oldest: what is being decided now was asked for a moment ago.
            let mut times: Vec<Instant> = known.values().map(|(_, since)| *since).collect();
            let (_, middle, _) = times.select_nth_unstable(KNOWN_MAX / 2);
            let middle = *middle;
            known.retain(|_, (_, since)| *since > middle);
        }
        known.insert(name.into(), (listed, now));
    }
}

impl AskedDomains for DomainTable {
    fn is_listed(&self, name: &str) -> Option<bool> {
        self.known.lock().get(name).map(|(listed, _)| *listed)
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

    #[test]
    fn memory_is_bounded() {
        let table = parse(b"", Format::List).unwrap().table;
        let domains = DomainTable::new(Lookup::of_table("t", table, None));
        let now = Instant::now();
        for number in 0..=KNOWN_MAX as u64 {
            domains.note(
                &format!("d{number}.example"),
                true,
                now + Duration::from_millis(number),
            );
        }
        assert!(domains.known.lock().len() <= KNOWN_MAX);
        assert_eq!(
            domains.is_listed(&format!("d{KNOWN_MAX}.example")),
            Some(true),
            "the newest is there"
        );
        assert_eq!(domains.is_listed("d0.example"), None, "the oldest went");
    }
}
