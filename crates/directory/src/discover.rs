//! Servers that a domain names in DNS (RFC 2782), and the order in which to ask them.

use std::cmp::Reverse;
use std::pin::Pin;

/// The future result of a look-up.
pub type FoundServers<'a> = Pin<Box<dyn Future<Output = Result<Vec<ServiceRecord>, String>> + Send + 'a>>;

/// Looks up services. The resolver is the program's; this crate does not know it.
pub trait FindServers: Send + Sync {
    /// The SRV records for a name such as `_ldap._tcp.example.org`, at least one. The error is for the log.
    fn services<'a>(&'a self, name: &'a str) -> FoundServers<'a>;
}

/// One server of a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceRecord {
    /// Lower comes first.
    pub priority: u16,
    /// Share of the load among records of the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host, lower-case and without a trailing dot; empty where there is no such service.
    pub host: String,
}

/// Whether a discovered host may be asked about the domain: it is the domain itself or lies in it.
///
/// DNS without DNSSEC cannot be trusted: an attacker who forges an answer names a host of theirs, for which they have a
/// certificate (RFC 6125 section 6.2.1, RFC 4513 section 3.1.3). They have none for a host in the domain.
pub(crate) fn is_within(host: &str, domain: &str) -> bool {
    let inside = host.strip_suffix(domain);
    inside.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Sorts records into the order in which to ask: by priority, and at random by weight within one priority (RFC 2782).
/// `chance` returns a number from 0 up to, but not including, its argument.
pub(crate) fn in_order(records: &[ServiceRecord], mut chance: impl FnMut(u64) -> u64) -> Vec<ServiceRecord> {
    let mut rest: Vec<ServiceRecord> = records.to_vec();
    // Those with weight 0 come first, so that they are not always last.
    rest.sort_by_key(|record| (Reverse(record.priority), Reverse(record.weight == 0)));
    let mut order = Vec::with_capacity(rest.len());
    while let Some(priority) = rest.iter().map(|record| record.priority).min() {
        let same: Vec<usize> = (0..rest.len())
            .filter(|&index| rest[index].priority == priority)
            .collect();
        let total: u64 = same.iter().map(|&index| u64::from(rest[index].weight)).sum();
        let mut left = chance(total + 1);
        let chosen = same.iter().copied().find(|&index| {
            let weight = u64::from(rest[index].weight);
            let here = left <= weight;
            left = left.saturating_sub(weight);
            here
        });
        order.push(rest.remove(chosen.unwrap_or(same[0])));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16, host: &str) -> ServiceRecord {
        ServiceRecord {
            priority,
            weight,
            port: 389,
            host: host.into(),
        }
    }

    #[test]
    fn hosts_of_a_domain() {
        let cases = [
            ("example.org", true, "the domain itself"),
            ("ldap1.example.org", true, "a host in it"),
            ("a.b.example.org", true, "deeper"),
            ("example.org.evil.test", false, "it only begins so"),
            ("notexample.org", false, "it only ends so"),
            ("ldap.example.net", false, "another domain"),
            ("", false, "no host"),
        ];
        for (host, want, shows) in cases {
            assert_eq!(is_within(host, "example.org"), want, "{shows}");
        }
    }

    #[test]
    fn by_priority_and_weight() {
        let records = [
            record(20, 0, "last"),
            record(10, 1, "light"),
            record(10, 3, "heavy"),
            record(10, 0, "nothing"),
        ];
        let hosts = |chance: u64| -> Vec<String> {
            let order = in_order(&records, |below| chance.min(below - 1));
            order.into_iter().map(|record| record.host).collect()
        };
        assert_eq!(hosts(0), ["nothing", "light", "heavy", "last"]);
        assert_eq!(hosts(1), ["light", "heavy", "nothing", "last"]);
        assert_eq!(hosts(u64::MAX), ["heavy", "light", "nothing", "last"]);
        let mut first = 0;
        for step in 0..5 {
            first += usize::from(in_order(&records, |below| step % below)[0].host == "heavy");
        }
        assert_eq!(first, 3, "three of five, as its weight and the zero say");
    }
}
