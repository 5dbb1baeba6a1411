//! Remembers for a while hosts that announce what they cannot do, so that not every connection has to find out again.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postern_policy::TtlCache;

use crate::relay::Relay;

/// How long a host's quirk is remembered. It may be fixed at any time, and finding out costs one connection.
const REMEMBERED_FOR: Duration = Duration::from_secs(1_800);

/// Most hosts that are remembered. One more replaces another.
const HOSTS_MAX: usize = 10_000;

/// What a host announces but fails with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub(crate) enum Quirk {
    /// `STARTTLS`: mail that may be sent in cleartext is.
    Tls,
    /// `CHUNKING`: mail is sent with `DATA`.
    Bdat,
}

/// The quirks of all hosts.
pub(crate) struct Quirks {
    noted: Mutex<TtlCache<(Quirk, Relay), ()>>,
}

impl Quirks {
    /// Whether a host is known to have this quirk.
    pub(crate) fn has(&self, relay: &Relay, quirk: Quirk, now: Instant) -> bool {
        let noted = self.noted.lock();
        // The usual case needs no copy of the name.
        !noted.is_empty() && noted.get(&(quirk, relay.clone()), now).is_some()
    }

    /// Notes it.
    pub(crate) fn note(&self, relay: &Relay, quirk: Quirk, now: Instant) {
        self.noted
            .lock()
            .insert((quirk, relay.clone()), (), now + REMEMBERED_FOR, now);
    }
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            noted: Mutex::new(TtlCache::new(HOSTS_MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirks_are_of_one_host_and_one_kind_and_pass() {
        let quirks = Quirks::default();
        let now = Instant::now();
        quirks.note(&Relay::named("mx1"), Quirk::Tls, now);
        let second = Duration::from_secs(1);
        #[rustfmt::skip]
        let cases = [
            ("just noted",    "mx1", Quirk::Tls,  now,                           true),
            ("another kind",  "mx1", Quirk::Bdat, now,                           false),
            ("another host",  "mx2", Quirk::Tls,  now,                           false),
            ("not yet over",  "mx1", Quirk::Tls,  now + REMEMBERED_FOR - second, true),
            ("over",          "mx1", Quirk::Tls,  now + REMEMBERED_FOR,          false),
        ];
        for (shows, relay, quirk, at, expected) in cases {
            assert_eq!(quirks.has(&Relay::named(relay), quirk, at), expected, "{shows}");
        }
    }

    #[test]
    fn memory_is_bounded_and_the_newest_has_a_place() {
        let quirks = Quirks::default();
        let now = Instant::now();
        for host in 0..HOSTS_MAX + 100 {
            quirks.note(&Relay::named(&format!("mx{host}")), Quirk::Bdat, now);
        }
        assert_eq!(quirks.noted.lock().len(), HOSTS_MAX);
        assert!(quirks.has(&Relay::named(&format!("mx{}", HOSTS_MAX + 99)), Quirk::Bdat, now));
    }
}
