//! Answers kept in memory, bounded in octets.
//!
//! hickory bounds its cache by the number of answers, and an answer can have 64 KiB. Some are asked for on behalf of strangers
//! (the name of every address that connects), so here only the parts of an answer that are used are kept, and the bound is on
//! their size.

use super::error::ResolveError;
use super::name::host_text;
use super::records::{MxRecord, SrvRecord, TlsaRecord};
use hickory_resolver::proto::rr::{RData, RecordType};
use moka::sync::Cache;
use postern_mail::Proof;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time that an answer is kept, whatever its server allows.
const TTL_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Longest time that a negative answer is kept.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(900);

/// What an entry takes besides its texts and records: key, counters, links.
const ENTRY_OVERHEAD: usize = 256;

/// The parts of a record that are used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Datum {
    /// Of an MX record.
    Exchange(MxRecord),
    /// Of an SRV record.
    Service(SrvRecord),
    /// Of an A or AAAA record.
    Address(IpAddr),
    /// Of a PTR record.
    Name(String),
    /// Of a TXT record, its strings joined.
    Text(Box<[u8]>),
    /// Of a TLSA record.
    Tlsa(TlsaRecord),
}

impl Datum {
    /// Reads a record of the kind asked for. Others, such as aliases on the way, are not used here.
    pub(super) fn from_record(data: &RData) -> Option<Self> {
        match data {
            RData::MX(mx) => Some(Self::Exchange(MxRecord {
                preference: mx.preference,
                exchange: host_text(&mx.exchange),
            })),
            RData::SRV(srv) => Some(Self::Service(SrvRecord {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: host_text(&srv.target),
            })),
            RData::A(address) => Some(Self::Address(IpAddr::V4(address.0))),
            // An IPv4-mapped IPv6 address counts as the IPv4 address, here as everywhere.
            RData::AAAA(address) => Some(Self::Address(IpAddr::V6(address.0).to_canonical())),
            RData::PTR(name) => Some(Self::Name(host_text(name))),
            RData::TXT(text) => Some(Self::Text(text.txt_data.concat().into())),
            RData::TLSA(tlsa) => Some(Self::Tlsa(TlsaRecord {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            })),
            _ => None,
        }
    }

    fn size(&self) -> usize {
        let text = match self {
            Self::Exchange(mx) => mx.exchange.len(),
            Self::Service(srv) => srv.target.len(),
            Self::Address(_) => 0,
            Self::Name(name) => name.len(),
            Self::Text(text) => text.len(),
            Self::Tlsa(tlsa) => tlsa.data.len(),
        };
        size_of::<Self>() + text
    }
}

/// The records of one look-up, or the reason why there are none.
pub(super) type Answer = Result<Arc<[Datum]>, ResolveError>;

/// An answer, and how far it is proven.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Found {
    pub(super) answer: Answer,
    pub(super) proof: Proof,
    /// The name at the end of the aliases, if there are any and they were followed.
    pub(super) canonical: Option<Box<str>>,
}

impl Found {
    /// An answer that was not examined.
    pub(super) fn unproven(answer: Answer) -> Self {
        Self {
            answer,
            proof: Proof::Indeterminate,
            canonical: None,
        }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    found: Found,
    until: Instant,
}

/// The cache. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    entries: Cache<(Box<str>, RecordType), Entry>,
}

impl Answers {
    /// A cache of at most `size` octets, by estimate.
    pub(super) fn new(size: u64) -> Self {
        let entries = Cache::builder()
            .max_capacity(size)
            .weigher(|(name, _): &(Box<str>, RecordType), entry: &Entry| {
                let found = &entry.found;
                let records = found
                    .answer
                    .iter()
                    .flat_map(|records| records.iter())
                    .map(Datum::size);
                let alias = found.canonical.as_ref().map_or(0, |name| name.len());
                let size = ENTRY_OVERHEAD + 2 * name.len() + alias + records.sum::<usize>();
                u32::try_from(size).unwrap_or(u32::MAX)
            })
            .build();
        Self { entries }
    }

    /// The answer to an earlier look-up, if it still holds.
    pub(super) fn get(&self, name: &str, kind: RecordType, now: Instant) -> Option<Found> {
        let entry = self.entries.get(&(name.into(), kind))?;
        (now < entry.until).then_some(entry.found)
    }

    /// Keeps an answer as long as its server allows.
    pub(super) fn put(&self, name: &str, kind: RecordType, found: Found, ttl: Duration, now: Instant) {
        let longest = if found.answer.is_ok() {
            TTL_MAX
        } else {
            NEGATIVE_TTL_MAX
        };
        if !ttl.is_zero() {
            let entry = Entry {
                found,
                until: now + ttl.min(longest),
            };
            self.entries.insert((name.into(), kind), entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(count: usize) -> Found {
        let records = vec![Datum::Address(IpAddr::from([192, 0, 2, 1])); count];
        Found {
            proof: Proof::Secure,
            ..Found::unproven(Ok(records.into()))
        }
    }

    #[test]
    fn answers_hold_for_their_time() {
        let denial = Found::unproven(Err(ResolveError::NoData("a.test".into())));
        let day = Duration::from_secs(86_400);
        let second = Duration::from_secs(1);
        #[rustfmt::skip]
        let cases = [
            // what the case shows               answer          allowed       later                      kept
            ("fresh",                            addresses(1),   second * 60,  second * 59,               true),
            ("just over",                        addresses(1),   second * 60,  second * 60,               false),
            ("not to be kept at all",            addresses(1),   Duration::ZERO, Duration::ZERO,           false),
            ("a week is cut to a day",           addresses(1),   day * 7,      day + second,              false),
            ("a denial",                         denial.clone(), second * 60,  second * 59,               true),
            ("a denial of a day is cut",         denial,         day,          NEGATIVE_TTL_MAX + second, false),
        ];
        for (shows, answer, ttl, later, kept) in cases {
            let cache = Answers::new(1 << 20);
            let now = Instant::now();
            cache.put("a.test", RecordType::A, answer.clone(), ttl, now);
            let found = cache.get("a.test", RecordType::A, now + later);
            assert_eq!(found, kept.then_some(answer), "{shows}");
            assert_eq!(
                cache.get("a.test", RecordType::AAAA, now),
                None,
                "{shows}: another kind"
            );
            assert_eq!(
                cache.get("b.test", RecordType::A, now),
                None,
                "{shows}: another name"
            );
        }
    }

    #[test]
    fn size_is_bounded_whatever_is_put_in() {
        let cache = Answers::new(100_000);
        let now = Instant::now();
        for number in 0..2_000 {
            let records = 1 + number % 200;
            cache.put(
                &format!("host-{number}.test"),
                RecordType::A,
                addresses(records),
                TTL_MAX,
                now,
            );
        }
        cache.entries.run_pending_tasks();
        assert!(
            cache.entries.weighted_size() <= 100_000,
            "{}",
            cache.entries.weighted_size()
        );
        assert!(cache.entries.entry_count() > 0);
    }
}
