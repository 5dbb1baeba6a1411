//! MX records in the order in which their hosts are tried.

use postern_mail::Domain;

/// One MX record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MxRecord {
    /// Lower is tried first.
    pub preference: u16,
    /// The host, with or without a trailing dot; `.` in a null MX.
    pub exchange: String,
}

/// The meaning of a domain's MX records.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MxVerdict {
    /// Try these hosts in this order.
    Hosts(Vec<Box<str>>),
    /// There are no records: the domain itself is the host (RFC 5321 section 5.1).
    Implicit,
    /// The domain accepts no mail (RFC 7505): bounce with `5.1.10`.
    NullMx,
    /// This server is the best host, but the domain is not configured here: bounce with `5.4.6`.
    Loop,
    /// There are records, but none names a host: defer with `4.4.4`.
    Unusable,
}

/// Most hosts of one domain that are tried; further ones are ignored.
pub const MX_HOSTS_MAX: usize = 20;

/// Sorts MX hosts by preference, equals in an order determined by `seed`, without this server and all less preferred ones.
#[must_use]
pub fn mx_hosts(records: &[MxRecord], own_names: &[impl AsRef<str>], seed: u64) -> MxVerdict {
    if records.is_empty() {
        return MxVerdict::Implicit;
    }
    if records
        .iter()
        .all(|record| record.exchange == "." || record.exchange.is_empty())
    {
        return MxVerdict::NullMx;
    }
    let mut hosts: Vec<(u16, u64, Box<str>)> = Vec::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        // An address in place of a name is not valid (RFC 5321 section 5.1).
        if let Ok(Domain::Name(name)) = Domain::parse(&record.exchange, false) {
            hosts.push((record.preference, scatter(seed, index as u64), name));
        }
    }
    if hosts.is_empty() {
        return MxVerdict::Unusable;
    }
    let ours = |name: &str| {
        own_names
            .iter()
            .any(|own| own.as_ref().trim_end_matches('.').eq_ignore_ascii_case(name))
    };
    let own_preference = hosts
        .iter()
        .filter(|(_, _, name)| ours(name))
        .map(|(preference, ..)| *preference)
        .min();
    if let Some(own) = own_preference {
        hosts.retain(|(preference, ..)| *preference < own);
        if hosts.is_empty() {
            return MxVerdict::Loop;
        }
    }
    hosts.sort();
    let mut ordered: Vec<Box<str>> = Vec::with_capacity(hosts.len().min(MX_HOSTS_MAX));
    for (_, _, name) in hosts {
        if ordered.len() < MX_HOSTS_MAX && !ordered.contains(&name) {
            ordered.push(name);
        }
    }
    MxVerdict::Hosts(ordered)
}

/// A pseudo-random number from seed and index (SplitMix64).
fn scatter(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
