//! Checking stored passwords of any scheme, in a bounded number of blocking threads, with a short memory of what was
//! verified.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::schemes::Stored;
use crate::verdict::Outage;
use crate::verified::VerifiedCache;

pub(crate) struct Hashing {
    workers: Arc<Semaphore>,
    verified: Mutex<VerifiedCache>,
    /// A stored password met of late, on which the time for an unknown login is spent.
    sample: Mutex<Option<Arc<StoredText>>>,
}

/// A stored password as read and as it stands in the database.
struct StoredText {
    text: Zeroizing<String>,
    stored: Stored,
}

impl Hashing {
    /// At most `workers` at a time, which is at least 1.
    pub(crate) fn new(workers: usize, cache_ttl: Duration) -> Self {
        Self {
            workers: Arc::new(Semaphore::new(workers.clamp(1, Semaphore::MAX_PERMITS))),
            verified: Mutex::new(VerifiedCache::new(cache_ttl)),
            sample: Mutex::new(None),
        }
    }

    /// Whether this is the password. What was verified of late is not computed again; `may_log_in` says whether to
    /// remember it.
    pub(crate) async fn verify(
        &self,
        text: Zeroizing<String>,
        stored: Stored,
        password: &SecretString,
        may_log_in: bool,
    ) -> Result<bool, Outage> {
        if may_log_in && self.verified.lock().holds(&text, password, Instant::now()) {
            return Ok(true);
        }
        let stored = Arc::new(StoredText { text, stored });
        *self.sample.lock() = Some(Arc::clone(&stored));
        let right = self.compute(Arc::clone(&stored), password).await?;
        if right && may_log_in {
            self.verified.lock().note(&stored.text, password, Instant::now());
        }
        Ok(right)
    }

    /// Spends the time of [`Self::verify`], for a login that does not exist.
    pub(crate) async fn spend(&self, password: &SecretString) -> Result<(), Outage> {
        let sample = self.sample.lock().clone();
        match sample {
            Some(stored) => self.compute(stored, password).await.map(drop),
            None => Ok(()),
        }
    }

    async fn compute(&self, stored: Arc<StoredText>, password: &SecretString) -> Result<bool, Outage> {
        let gone = |_| Outage::new("shutting down");
        let worker = Arc::clone(&self.workers).acquire_owned().await.map_err(gone)?;
        let password = password.clone();
        let computed = tokio::task::spawn_blocking(move || {
            // The worker's place is free when the computing ends, even if nobody waits for it any more.
            let _worker = worker;
            stored.stored.verify(&password)
        });
        match computed.await {
            Ok(Ok(right)) => Ok(right),
            Ok(Err(error)) => Err(Outage::new(format!("stored password: {error}"))),
            Err(error) => Err(Outage::new(error.to_string())),
        }
    }
}
