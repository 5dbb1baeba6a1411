//! Keeps login counts in a store across restarts.

use std::net::IpAddr;

use jiff::Timestamp;
use postern_store::{Change, Record, Space, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::receiver::Receiver;
use crate::usage::LoginCount;

/// Mechanism and user name, as the key of a record.
#[derive(Deserialize, Serialize)]
struct About<T>(T, T);

/// A count, as the value of a record.
#[derive(Deserialize, Serialize)]
struct Counted {
    count: u64,
    first_at: Timestamp,
    last_at: Timestamp,
    last_peer: Option<IpAddr>,
}

/// The login counts in a store, by mechanism and user name. Malformed records are left out.
///
/// # Errors
///
/// The store cannot be read.
pub async fn login_counts(store: &dyn Store) -> Result<Vec<LoginCount>, StoreError> {
    let records = store.all(Space::LoginCounts).await?;
    Ok(records.iter().filter_map(count_of).collect())
}

impl Receiver {
    /// Adds the counts at the end of the last run.
    ///
    /// # Errors
    ///
    /// The store cannot be read; then the counts begin at zero.
    pub async fn restore_usage(&self, store: &dyn Store) -> Result<(), StoreError> {
        let counts = login_counts(store).await?;
        self.shared().usage.lock().restore(counts);
        Ok(())
    }

    /// Writes the counts that have changed since they were last written.
    ///
    /// # Errors
    ///
    /// The store cannot be written: its content stays as it was, and the same counts are written next time.
    pub async fn keep_usage(&self, store: &dyn Store) -> Result<(), StoreError> {
        let changed = self.shared().usage.lock().take_changed();
        if changed.is_empty() {
            return Ok(());
        }
        let changes = changed.iter().filter_map(of_count).collect();
        let kept = store.apply(Space::LoginCounts, changes).await;
        if kept.is_err() {
            self.shared().usage.lock().changed_still(&changed);
        }
        kept
    }
}

fn count_of(record: &Record) -> Option<LoginCount> {
    let About(mechanism, login) = serde_json::from_str::<About<String>>(&record.key).ok()?;
    let counted: Counted = serde_json::from_str(&record.value).ok()?;
    Some(LoginCount {
        login,
        mechanism,
        count: counted.count,
        first_at: counted.first_at,
        last_at: counted.last_at,
        last_peer: counted.last_peer,
    })
}

fn of_count(count: &LoginCount) -> Option<Change> {
    let value = Counted {
        count: count.count,
        first_at: count.first_at,
        last_at: count.last_at,
        last_peer: count.last_peer,
    };
    Some(Change::Put(Record {
        key: serde_json::to_string(&About(&count.mechanism, &count.login)).ok()?,
        value: serde_json::to_string(&value).ok()?,
        expires_at: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for last_peer in ["2001:db8::1".parse().ok(), None] {
            let count = LoginCount {
                login: "ann \"the\" admin".into(),
                mechanism: "PLAIN".into(),
                count: 7,
                first_at: "2026-11-22T09:32:35Z".parse().unwrap(),
                last_at: "2026-12-01T01:09:04Z".parse().unwrap(),
                last_peer,
            };
            let Some(Change::Put(record)) = of_count(&count) else {
                panic!("no record");
            };
            assert_eq!(count_of(&record), Some(count));
        }
    }
}
