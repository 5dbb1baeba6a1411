//! Keeps the state of the login throttle in a store across restarts: otherwise a restart would make legitimate users look like
//! strangers during a flood, and would forget all failures of those who guess.

pub(crate) mod budgets;
pub(crate) mod usage;

use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postern_policy::throttle::{KeptFailures, KnownLogin, LoginThrottle, Source};
use postern_store::{Change, Record, Space, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::receiver::Receiver;
use crate::time;

/// Source and user name, as the key of a record.
#[derive(Deserialize, Serialize)]
struct About(Option<From>, Option<String>);

/// Where a login comes from, as part of a key.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum From {
    Network(IpAddr),
    Place { place: String },
}

/// A known user name, as the value of a record.
#[derive(Deserialize, Serialize)]
struct Known {
    at: Timestamp,
}

/// Failures, as the value of a record. `until` is the end of a lockout.
#[derive(Deserialize, Serialize)]
struct Failures {
    halves: u32,
    since: Timestamp,
    last: Timestamp,
    #[serde(alias = "bars")]
    lockouts: u32,
    until: Option<Timestamp>,
}

impl Receiver {
    /// Restores the state at the end of the last run: the networks from which logins succeeded, failures, and lockouts. Returns
    /// the number of known user names and of lockouts.
    ///
    /// # Errors
    ///
    /// The store cannot be read; then no user name is known, as at the first start.
    pub async fn restore_logins(&self, store: &dyn Store) -> Result<(usize, usize), StoreError> {
        let (known, failures) = (
            store.all(Space::KnownLogins).await?,
            store.all(Space::LoginFailures).await?,
        );
        let now = Timestamp::now();
        // Malformed records are ignored.
        let known: Vec<_> = known.iter().filter_map(|record| known_of(record, now)).collect();
        let failures: Vec<_> = failures
            .iter()
            .filter_map(|record| failures_of(record, now))
            .collect();
        let locked_out = failures.iter().filter(|failures| failures.left.is_some()).count();
        let counts = (known.len(), locked_out);
        let mut throttle = self.shared().throttle.lock();
        throttle.restore_known(known, time::now());
        throttle.restore_failures(failures, time::now());
        Ok(counts)
    }

    /// Writes the networks from which logins succeeded within the last `within`.
    ///
    /// # Errors
    ///
    /// The store cannot be written: its content stays as it was.
    pub async fn keep_known_logins(&self, store: &dyn Store, within: Duration) -> Result<(), StoreError> {
        let known = self.shared().throttle.lock().known_logins(within, time::now());
        let now = Timestamp::now();
        let known: Vec<Change> = known
            .into_iter()
            .filter_map(|known| of_known(known, now))
            .collect();
        match known.is_empty() {
            true => Ok(()),
            false => store.apply(Space::KnownLogins, known).await,
        }
    }

    /// A number that changes whenever [`keep_failures`](Self::keep_failures) has something new to write.
    #[must_use]
    pub fn failures_changed(&self) -> u64 {
        self.shared().throttle.lock().changes()
    }

    /// Writes failures and lockouts, replacing what was written before.
    ///
    /// # Errors
    ///
    /// The store cannot be written: its content stays as it was.
    pub async fn keep_failures(&self, store: &dyn Store) -> Result<(), StoreError> {
        let kept = self.shared().throttle.lock().kept_failures(time::now());
        let now = Timestamp::now();
        let kept = kept.into_iter().filter_map(|failures| of_failures(failures, now));
        // A lockout that was lifted must not come back.
        let changes = std::iter::once(Change::Clear).chain(kept).collect();
        store.apply(Space::LoginFailures, changes).await
    }
}

fn known_of(record: &Record, now: Timestamp) -> Option<KnownLogin> {
    let About(from, login) = serde_json::from_str(&record.key).ok()?;
    let Known { at } = serde_json::from_str(&record.value).ok()?;
    let From::Network(network) = from? else {
        return None;
    };
    Some(KnownLogin {
        network,
        login: login?,
        ago: since(at, now),
    })
}

fn of_known(known: KnownLogin, now: Timestamp) -> Option<Change> {
    let at = before(now, known.ago);
    put(
        &About(Some(From::Network(known.network)), Some(known.login)),
        &Known { at },
        after(at, LoginThrottle::KNOWN_FOR),
    )
}

fn failures_of(record: &Record, now: Timestamp) -> Option<KeptFailures> {
    let About(from, login) = serde_json::from_str(&record.key).ok()?;
    let failures: Failures = serde_json::from_str(&record.value).ok()?;
    let left = |until: Timestamp| since(now, until);
    Some(KeptFailures {
        source: from.map(|from| match from {
            From::Network(network) => Source::Peer(network),
            From::Place { place } => Source::Place(place.into()),
        }),
        login,
        halves: failures.halves,
        since: since(failures.since, now),
        last: since(failures.last, now),
        lockouts: failures.lockouts,
        left: failures.until.map(left).filter(|left| !left.is_zero()),
    })
}

fn of_failures(failures: KeptFailures, now: Timestamp) -> Option<Change> {
    let value = Failures {
        halves: failures.halves,
        since: before(now, failures.since),
        last: before(now, failures.last),
        lockouts: failures.lockouts,
        until: failures.left.map(|left| after(now, left)),
    };
    let from = failures.source.map(|source| match source {
        Source::Peer(network) => From::Network(network),
        Source::Place(place) => From::Place {
            place: place.to_string(),
        },
    });
    // At least as long as any lockout; the reader applies its own settings.
    let expires_at = after(now, LoginThrottle::KNOWN_FOR);
    put(&About(from, failures.login), &value, expires_at)
}

fn put(key: &About, value: &impl Serialize, expires_at: Timestamp) -> Option<Change> {
    Some(Change::Put(Record {
        key: serde_json::to_string(key).ok()?,
        value: serde_json::to_string(value).ok()?,
        expires_at: Some(expires_at),
    }))
}

/// The time from one to the other; zero if the clock was set back in between.
fn since(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

fn before(now: Timestamp, ago: Duration) -> Timestamp {
    let ago = SignedDuration::try_from(ago).unwrap_or(SignedDuration::MAX);
    now.checked_sub(ago).unwrap_or(Timestamp::MIN)
}

fn after(now: Timestamp, left: Duration) -> Timestamp {
    let left = SignedDuration::try_from(left).unwrap_or(SignedDuration::MAX);
    now.checked_add(left).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(change: Option<Change>) -> Record {
        match change {
            Some(Change::Put(record)) => record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let now: Timestamp = "2026-11-22T09:32:35Z".parse().unwrap();
        let minute = Duration::from_secs(60);
        let known = KnownLogin {
            network: "2001:db8:1::".parse().unwrap(),
            login: "ann \"the\" admin".into(),
            ago: minute,
        };
        let read = known_of(&record(of_known(known.clone(), now)), after(now, minute));
        assert_eq!(
            read,
            Some(KnownLogin {
                ago: minute * 2,
                ..known
            })
        );
        let network = || Some(Source::Peer("192.0.2.0".parse().unwrap()));
        let place = || Some(Source::Place("/run/saslauthd/mux".into()));
        let ann = || Some("ann".to_owned());
        #[rustfmt::skip]
        let cases = [
            // what the case shows         source     login   lockouts   left
            ("a pair that is locked out",  network(), ann(),  2,         Some(minute * 10)),
            ("a pair with failures",       network(), ann(),  0,         None),
            ("a network",                  network(), None,   1,         None),
            ("a login over all networks",  None,      ann(),  0,         None),
            ("a login in a place",         place(),   ann(),  0,         None),
        ];
        for (shows, source, login, lockouts, left) in cases {
            let failures = KeptFailures {
                source,
                login,
                halves: 20,
                since: minute * 3,
                last: minute,
                lockouts,
                left,
            };
            let read = failures_of(&record(of_failures(failures.clone(), now)), now);
            assert_eq!(read, Some(failures.clone()), "{shows}");
            let later = failures_of(&record(of_failures(failures, now)), after(now, minute * 10)).unwrap();
            assert_eq!(
                (later.last, later.left),
                (minute * 11, None),
                "{shows}: it is over"
            );
        }
        let of_before = Record {
            key: r#"["192.0.2.0","ann"]"#.into(),
            value: r#"{"halves":20,"since":"2026-11-22T09:29:35Z","last":"2026-11-22T09:31:35Z","bars":1,"until":null}"#
                .into(),
            expires_at: None,
        };
        let read = failures_of(&of_before, now).unwrap();
        assert_eq!((read.source, read.login, read.lockouts), (network(), ann(), 1));
        let strange = Record {
            key: "[1]".into(),
            value: "{}".into(),
            expires_at: None,
        };
        assert!(known_of(&strange, now).is_none() && failures_of(&strange, now).is_none());
    }
}
