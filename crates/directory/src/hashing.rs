//! Checking stored passwords of any scheme, in a bounded number of blocking threads, with a short-lived cache of what
//! was verified.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::background;
use crate::schemes::{SchemeRules, Stored};
use crate::time::now;
use crate::verdict::Outage;
use crate::verified::VerifiedCache;
use crate::workers::{Asker, Workers};

pub(crate) struct Hashing {
    workers: Arc<Workers>,
    verified: Mutex<VerifiedCache>,
    /// The last stored password seen; it is verified for an unknown login so that this costs the same as for a known
    /// one.
    sample: Mutex<Option<Arc<StoredText>>>,
}

/// What is verified instead before the first known login, with the parameters of own users.
const FIRST_SAMPLE: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A stored password as parsed and as it is in the database.
struct StoredText {
    text: Zeroizing<String>,
    stored: Stored,
}

impl Hashing {
    /// At most `workers` at a time, which is at least 1.
    pub(crate) fn new(workers: usize, cache_ttl: Duration) -> Self {
        Self {
            workers: Workers::new(workers),
            verified: Mutex::new(VerifiedCache::new(cache_ttl)),
            sample: Mutex::new(first_sample()),
        }
    }

    /// Whether this is the password. A recently verified one is not computed again; `may_log_in` says whether to
    /// remember it.
    pub(crate) async fn verify(
        &self,
        text: Zeroizing<String>,
        stored: Stored,
        password: &SecretString,
        may_log_in: bool,
        asker: &Asker,
    ) -> Result<bool, Outage> {
        if may_log_in && self.verified.lock().holds(&text, password, now()) {
            return Ok(true);
        }
        let stored = Arc::new(StoredText { text, stored });
        *self.sample.lock() = Some(Arc::clone(&stored));
        let right = self.compute(Arc::clone(&stored), password, asker).await?;
        if right && may_log_in {
            self.verified.lock().note(&stored.text, password, now());
        }
        Ok(right)
    }

    /// Spends the time of [`Self::verify`], for a login that does not exist.
    pub(crate) async fn spend(&self, password: &SecretString, asker: &Asker) -> Result<(), Outage> {
        let sample = self.sample.lock().clone();
        match sample {
            Some(stored) => self.compute(stored, password, asker).await.map(drop),
            None => Ok(()),
        }
    }

    async fn compute(
        &self,
        stored: Arc<StoredText>,
        password: &SecretString,
        asker: &Asker,
    ) -> Result<bool, Outage> {
        let worker = self.workers.turn(asker).await?;
        let password = password.clone();
        let computed = tokio::task::spawn_blocking(move || {
            // The worker's place becomes free when the computation ends, even if nobody waits for it any more.
            let _worker = worker;
            background::compute(|| stored.stored.verify(&password))
        });
        match computed.await {
            Ok(Ok(Ok(right))) => Ok(right),
            Ok(Ok(Err(error))) => Err(Outage::of_entry(format!("stored password: {error}"))),
            Ok(Err(error)) => Err(Outage::new(error.to_string())),
            Err(error) => Err(Outage::new(error.to_string())),
        }
    }
}

fn first_sample() -> Option<Arc<StoredText>> {
    let text = Zeroizing::new(FIRST_SAMPLE.to_owned());
    let stored = Stored::parse(&text, &SchemeRules::default()).ok()?;
    Some(Arc::new(StoredText { text, stored }))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn unknown_logins_cost_time_from_the_start() {
        let hashing = Hashing::new(1, Duration::ZERO);
        let start = Instant::now();
        hashing
            .spend(&SecretString::from("x"), &Asker::default())
            .await
            .unwrap();
        assert!(
            start.elapsed() > Duration::from_millis(2),
            "{:?}",
            start.elapsed()
        );
    }
}
