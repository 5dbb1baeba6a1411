//! Stores which hosts have accepted mail recently across restarts: otherwise all of them would look like the silent hosts that
//! strangers send to, just when the queue is read from its beginning.
//!
//! Hosts are kept as hashes, as in memory. The seed of the hashes is stored too; without it, or after an update that changes the
//! hash, no host is known, as at the first start.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postern_policy::concurrency::Class;
use postern_store::{Change, Record, Space, Store, StoreError};
use tokio::time::Instant;

use super::Places;

/// The record with the seed.
const SEED: &str = "seed";

impl Places {
    /// Restores what was known when the last run ended. Returns the number of hosts. To be called before anything is delivered.
    ///
    /// # Errors
    ///
    /// The store cannot be read or written; then no host is known.
    pub(crate) async fn restore(&self, store: &dyn Store) -> Result<usize, StoreError> {
        let records = store.all(Space::ProvenHosts).await?;
        let seed = records.iter().find(|record| record.key == SEED);
        let Some(seed) = seed.and_then(|record| record.value.parse().ok()) else {
            let seed = Record {
                key: SEED.into(),
                value: self.seed.load(Ordering::Relaxed).to_string(),
                expires_at: None,
            };
            store
                .apply(Space::ProvenHosts, vec![Change::Clear, Change::Put(seed)])
                .await?;
            return Ok(0);
        };
        self.seed.store(seed, Ordering::Relaxed);
        let (now, clock) = (Instant::now(), Timestamp::now());
        let mut state = self.state.lock();
        let mut restored = 0;
        for record in &records {
            let left = record
                .expires_at
                .and_then(|at| Duration::try_from(at.duration_since(clock)).ok());
            if let (Some((class, host)), Some(left)) = (host_of(&record.key), left) {
                state.proven[class.index()].restore(host, left, now);
                restored += 1;
            }
        }
        Ok(restored)
    }

    /// Writes which hosts have accepted mail within the last `within`.
    ///
    /// # Errors
    ///
    /// The store cannot be written: its content stays as it was.
    pub(crate) async fn keep(&self, store: &dyn Store, within: Duration) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        {
            let (now, clock) = (Instant::now(), Timestamp::now());
            let mut state = self.state.lock();
            for class in Class::ALL {
                let proven = &mut state.proven[class.index()];
                let gone = proven.take_forgotten().into_iter();
                changes.extend(gone.map(|host| Change::Remove(key(class, host))));
                let known = proven.lately(within, now).into_iter();
                changes.extend(known.map(|(host, left)| {
                    let left = SignedDuration::try_from(left).unwrap_or(SignedDuration::ZERO);
                    Change::Put(Record {
                        key: key(class, host),
                        value: "true".into(),
                        expires_at: clock.checked_add(left).ok(),
                    })
                }));
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        store.apply(Space::ProvenHosts, changes).await
    }
}

fn key(class: Class, host: u64) -> String {
    format!("{}/{host:016x}", class.index())
}

fn host_of(key: &str) -> Option<(Class, u64)> {
    let (index, host) = key.split_once('/')?;
    let class = *Class::ALL.get(index.parse::<usize>().ok()?)?;
    Some((class, u64::from_str_radix(host, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use postern_policy::route::TlsLevel;
    use postern_store::SqliteStore;

    use super::*;
    use crate::destination::Destination;
    use crate::hop::{HopKind, NextHop};

    fn destination(name: &str) -> Arc<Destination> {
        let hop = NextHop {
            kind: HopKind::Mx(name.into()),
            tls: TlsLevel::Opportunistic,
            verify: false,
            login: None,
            lane: postern_policy::route::Lane::default(),
        };
        Arc::new(Destination::new(hop.name(), hop))
    }

    #[tokio::test]
    async fn hosts_that_have_taken_mail_are_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let start = async || {
            let (store, _) = SqliteStore::open(&path).unwrap();
            let places = Places::new(100, Duration::from_secs(8));
            let restored = places.restore(&store).await.unwrap();
            (store, places, restored)
        };
        let hosts = ["good.test", "silent.test", "later.test"].map(destination);
        let (store, places, restored) = start().await;
        assert_eq!(restored, 0);
        for host in &hosts[..2] {
            places.take(Class::Users, host).unwrap().prove();
        }
        places.keep(&store, Duration::MAX).await.unwrap();
        // One has timed out since, and another has accepted mail.
        places.take(Class::Users, &hosts[1]).unwrap().doubt();
        places.take(Class::Reports, &hosts[2]).unwrap().prove();
        places.keep(&store, Duration::from_secs(60)).await.unwrap();
        drop((store, places));

        let (_store, places, restored) = start().await;
        assert_eq!(restored, 2);
        let proven = |class, host: usize| places.is_proven(class, &hosts[host]);
        assert!(proven(Class::Users, 0) && proven(Class::Reports, 2));
        assert!(!proven(Class::Users, 1), "it is doubted");
        assert!(!proven(Class::Strangers, 0), "each kind of mail by itself");
    }
}
