//! What to look for in the spool, and when: domains to look at now, and times at which deferred mail comes due.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// How far ahead times are kept. What is due later is found by a later scan of the spool.
pub(crate) const HORIZON: Duration = Duration::from_secs(60);

/// Times are rounded up to this, so that mail of one domain that is due at about the same time is read together.
const GRAIN_MS: i64 = 50;

/// Most domains noted, and most times kept. The next scan finds what was left out.
const ENTRIES_MAX: usize = 50_000;

/// Shared between the tasks that defer mail or run short of it, and the reader of the spool.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    entries: Mutex<Entries>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Entries {
    domains: HashSet<Arc<str>>,
    all: bool,
    times: BTreeSet<(Timestamp, Arc<str>)>,
}

impl Agenda {
    /// Asks to look at one domain at once.
    pub(crate) fn look(&self, domain: Arc<str>) {
        let mut entries = self.entries.lock();
        if entries.domains.len() >= ENTRIES_MAX {
            entries.all = true;
        } else if !entries.domains.insert(domain) {
            return;
        }
        drop(entries);
        self.changed.notify_one();
    }

    /// Asks to look at all domains at once.
    pub(crate) fn look_everywhere(&self) {
        self.entries.lock().all = true;
        self.changed.notify_one();
    }

    /// Notes that mail for a domain is due at a time.
    pub(crate) fn at(&self, now: Timestamp, time: Timestamp, domain: &Arc<str>) {
        if time > now + HORIZON {
            return;
        }
        let rounded = (time.as_millisecond() + GRAIN_MS - 1).div_euclid(GRAIN_MS) * GRAIN_MS;
        let time = Timestamp::from_millisecond(rounded).unwrap_or(time);
        let mut entries = self.entries.lock();
        if entries.times.len() >= ENTRIES_MAX {
            return;
        }
        let earliest = entries.times.first().is_none_or(|(first, _)| time < *first);
        entries.times.insert((time, domain.clone()));
        drop(entries);
        if earliest {
            self.changed.notify_one();
        }
    }

    /// Takes the domains to look at now.
    pub(crate) fn take_domains(&self, now: Timestamp) -> Vec<Arc<str>> {
        let mut entries = self.entries.lock();
        while let Some((time, _)) = entries.times.first() {
            if *time > now {
                break;
            }
            if let Some((_, domain)) = entries.times.pop_first() {
                entries.domains.insert(domain);
            }
        }
        entries.domains.drain().collect()
    }

    /// Whether to look at all domains; asking resets this.
    pub(crate) fn take_everywhere(&self) -> bool {
        std::mem::take(&mut self.entries.lock().all)
    }

    /// The next time noted.
    pub(crate) fn next_time(&self) -> Option<Timestamp> {
        self.entries.lock().times.first().map(|(time, _)| *time)
    }

    /// Resolves when an addition changes what to do next.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_due_in_order_and_once() {
        let agenda = Agenda::default();
        let at = |ms: i64| Timestamp::from_millisecond(1_795_000_000_000 + ms).unwrap();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        agenda.at(at(0), at(2_000), &a);
        agenda.at(at(0), at(1_990), &a);
        agenda.at(at(0), at(900), &b);
        agenda.at(at(0), at(120_000), &b);
        assert_eq!(agenda.next_time(), Some(at(900)));
        assert!(agenda.take_domains(at(899)).is_empty(), "not early");
        assert_eq!(agenda.take_domains(at(900)), [b]);
        assert_eq!(agenda.next_time(), Some(at(2_000)), "1,990 is rounded up");
        assert_eq!(agenda.take_domains(at(2_001)), [a]);
        assert_eq!(agenda.next_time(), None, "beyond the horizon a scan finds it");
    }

    #[test]
    fn wishes_are_taken_once() {
        let agenda = Agenda::default();
        let now = Timestamp::UNIX_EPOCH;
        agenda.look("a".into());
        agenda.look("a".into());
        agenda.look_everywhere();
        assert_eq!(agenda.take_domains(now).len(), 1);
        assert!(agenda.take_domains(now).is_empty());
        assert!(agenda.take_everywhere());
        assert!(!agenda.take_everywhere());
    }
}
