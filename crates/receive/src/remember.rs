//! What the login throttle knows goes into a store and comes back at the next start: without it, whoever floods a server could
//! make honest users look like strangers by a restart alone.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use postern_policy::throttle::{KeptBar, KnownLogin, LoginThrottle};
use postern_store::{Change, Record, Space, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::receiver::Receiver;

/// Network and login, as the key of a record.
#[derive(Deserialize, Serialize)]
struct About(IpAddr, Option<String>);

/// A known login, as the value of a record.
#[derive(Deserialize, Serialize)]
struct Known {
    at: Timestamp,
}

/// A bar, as the value of a record.
#[derive(Deserialize, Serialize)]
struct Bar {
    halves: u32,
    since: Timestamp,
    last: Timestamp,
    bars: u32,
    until: Option<Timestamp>,
}

impl Receiver {
    /// Takes back what was known when the last run ended: from which networks logins have succeeded, and who is barred. Gives how
    /// many of each.
    ///
    /// # Errors
    ///
    /// The store cannot be read; then nobody is known, as at the first start.
    pub async fn restore_logins(&self, store: &dyn Store) -> Result<(usize, usize), StoreError> {
        let (known, bars) = (
            store.all(Space::KnownLogins).await?,
            store.all(Space::LoginBars).await?,
        );
        let now = Timestamp::now();
        // What makes no sense is as good as forgotten.
        let known: Vec<_> = known.iter().filter_map(|record| known_of(record, now)).collect();
        let bars: Vec<_> = bars.iter().filter_map(|record| bar_of(record, now)).collect();
        let counts = (known.len(), bars.len());
        let mut throttle = self.shared().throttle.lock();
        throttle.restore_known(known, Instant::now());
        throttle.restore_bars(bars, Instant::now());
        Ok(counts)
    }

    /// Writes down from which networks logins have succeeded within the last `within`, and all bars.
    ///
    /// # Errors
    ///
    /// The store cannot be written: what it has stays as it was.
    pub async fn keep_logins(&self, store: &dyn Store, within: Duration) -> Result<(), StoreError> {
        let (known, bars) = {
            let throttle = self.shared().throttle.lock();
            let now = Instant::now();
            (throttle.known_logins(within, now), throttle.kept_bars(now))
        };
        let now = Timestamp::now();
        let known: Vec<Change> = known
            .into_iter()
            .filter_map(|known| of_known(known, now))
            .collect();
        if !known.is_empty() {
            store.apply(Space::KnownLogins, known).await?;
        }
        let bars = bars.into_iter().filter_map(|bar| of_bar(bar, now));
        // One that was lifted must not come back.
        store
            .apply(
                Space::LoginBars,
                std::iter::once(Change::Clear).chain(bars).collect(),
            )
            .await
    }
}

fn known_of(record: &Record, now: Timestamp) -> Option<KnownLogin> {
    let About(network, login) = serde_json::from_str(&record.key).ok()?;
    let Known { at } = serde_json::from_str(&record.value).ok()?;
    Some(KnownLogin {
        network,
        login: login?,
        ago: since(at, now),
    })
}

fn of_known(known: KnownLogin, now: Timestamp) -> Option<Change> {
    let at = before(now, known.ago);
    put(
        &About(known.network, Some(known.login)),
        &Known { at },
        after(at, LoginThrottle::KNOWN_FOR),
    )
}

fn bar_of(record: &Record, now: Timestamp) -> Option<KeptBar> {
    let About(network, login) = serde_json::from_str(&record.key).ok()?;
    let bar: Bar = serde_json::from_str(&record.value).ok()?;
    let left = |until: Timestamp| since(now, until);
    Some(KeptBar {
        network,
        login,
        halves: bar.halves,
        since: since(bar.since, now),
        last: since(bar.last, now),
        bars: bar.bars,
        left: bar.until.map(left).filter(|left| !left.is_zero()),
    })
}

fn of_bar(bar: KeptBar, now: Timestamp) -> Option<Change> {
    let value = Bar {
        halves: bar.halves,
        since: before(now, bar.since),
        last: before(now, bar.last),
        bars: bar.bars,
        until: bar.left.map(|left| after(now, left)),
    };
    // Longer than any bar is remembered; who reads it judges by its own settings.
    let expires_at = after(now, LoginThrottle::KNOWN_FOR);
    put(&About(bar.network, bar.login), &value, expires_at)
}

fn put(key: &About, value: &impl Serialize, expires_at: Timestamp) -> Option<Change> {
    Some(Change::Put(Record {
        key: serde_json::to_string(key).ok()?,
        value: serde_json::to_string(value).ok()?,
        expires_at: Some(expires_at),
    }))
}

/// The time from one to the other; none where the clock was set back between.
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
        for (login, left) in [(Some("ann".to_owned()), Some(minute * 10)), (None, None)] {
            let bar = KeptBar {
                network: "192.0.2.0".parse().unwrap(),
                login,
                halves: 20,
                since: minute * 3,
                last: minute,
                bars: 2,
                left,
            };
            let read = bar_of(&record(of_bar(bar.clone(), now)), now);
            assert_eq!(read, Some(bar.clone()));
            let later = bar_of(&record(of_bar(bar, now)), after(now, minute * 10)).unwrap();
            assert_eq!((later.last, later.left), (minute * 11, None), "it is over");
        }
        let strange = Record {
            key: "[1]".into(),
            value: "{}".into(),
            expires_at: None,
        };
        assert!(known_of(&strange, now).is_none() && bar_of(&strange, now).is_none());
    }
}
