//! Own users as a directory: hashing in a bounded number of blocking threads, and a short memory of what was verified.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use postern_mail::{Domain, Mailbox};
use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::cache::VerifiedCache;
use super::store::{Record, UserError, UserStore};
use super::{UsersSettings, hash};
use crate::directories::SetUpError;
use crate::verdict::{Account, DenyReason, Finding, Outage};

pub(crate) struct Users {
    pub(super) shared: Arc<Shared>,
    workers: Arc<Semaphore>,
}

/// What the blocking threads use too.
pub(super) struct Shared {
    pub(super) settings: UsersSettings,
    store: RwLock<Arc<UserStore>>,
    verified: Mutex<VerifiedCache>,
}

/// What a look-up alone could tell.
enum Known {
    Settled(Finding),
    ToHash(Option<Record>),
}

impl Users {
    /// Opens the file. Blocking.
    pub(crate) fn new(settings: UsersSettings) -> Result<Self, SetUpError> {
        if settings.workers == 0 || settings.workers > Semaphore::MAX_PERMITS {
            return Err(SetUpError::setting("workers", "must be at least 1"));
        }
        let store = RwLock::new(Arc::new(
            UserStore::open(&settings.database).map_err(SetUpError::Users)?,
        ));
        let verified = Mutex::new(VerifiedCache::new(settings.cache_ttl));
        let workers = Arc::new(Semaphore::new(settings.workers));
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                store,
                verified,
            }),
            workers,
        })
    }

    /// Whether this is the login's password. The row is read each time, so a change made by another process counts at
    /// once; what the cache saves is the hashing.
    pub(crate) async fn check_password(
        &self,
        login: &str,
        password: &SecretString,
    ) -> Result<Finding, Outage> {
        let timeout = self.shared.settings.timeout;
        tokio::time::timeout(timeout, self.check(login, password))
            .await
            .unwrap_or_else(|_| {
                Err(Outage::new(format!(
                    "no time to hash within {} ms",
                    timeout.as_millis()
                )))
            })
    }

    async fn check(&self, login: &str, password: &SecretString) -> Result<Finding, Outage> {
        let (shared, login, given) = (Arc::clone(&self.shared), login.to_owned(), password.clone());
        let known = blocking(move || shared.look_up(&login, &given)).await?;
        let record = match known {
            Known::Settled(finding) => return Ok(finding),
            Known::ToHash(record) => record,
        };
        let gone = |_| Outage::new("shutting down");
        let worker = Arc::clone(&self.workers).acquire_owned().await.map_err(gone)?;
        let (shared, given) = (Arc::clone(&self.shared), password.clone());
        blocking(move || {
            // The worker's place is free when the hashing ends, even if nobody waits for it any more.
            let _worker = worker;
            shared.hash(record, &given)
        })
        .await
    }

    /// Whether an account has this address.
    pub(crate) async fn recipient_exists(&self, address: &Mailbox) -> Result<bool, Outage> {
        let (shared, address) = (Arc::clone(&self.shared), address.clone());
        let timeout = self.shared.settings.timeout;
        tokio::time::timeout(timeout, blocking(move || shared.has_address(&address)))
            .await
            .unwrap_or_else(|_| {
                Err(Outage::new(format!(
                    "no answer within {} ms",
                    timeout.as_millis()
                )))
            })
    }
}

impl Shared {
    /// The file, opened again when another was put in its place.
    pub(super) fn store(&self) -> Result<Arc<UserStore>, UserError> {
        let store = Arc::clone(&self.store.read());
        if store.is_current() {
            return Ok(store);
        }
        let fresh = Arc::new(UserStore::open_existing(&self.settings.database)?);
        *self.store.write() = Arc::clone(&fresh);
        Ok(fresh)
    }

    fn look_up(&self, login: &str, password: &SecretString) -> Result<Known, UserError> {
        let Some(record) = self.store()?.record(login)? else {
            return Ok(Known::ToHash(None));
        };
        if record.enabled && self.verified.lock().holds(&record.hash, password, Instant::now()) {
            return Ok(Known::Settled(Finding::Granted(self.account(record))));
        }
        Ok(Known::ToHash(Some(record)))
    }

    /// Hashes, whether or not there is something to compare with.
    fn hash(&self, record: Option<Record>, password: &SecretString) -> Result<Finding, UserError> {
        let Some(record) = record else {
            hash::spend(password).map_err(UserError::Hash)?;
            return Ok(Finding::Denied(DenyReason::UnknownUser));
        };
        let right = hash::verify(&record.hash, password).map_err(UserError::Hash)?;
        if !right {
            return Ok(Finding::Denied(DenyReason::WrongPassword));
        }
        if !record.enabled {
            return Ok(Finding::Denied(DenyReason::Disabled));
        }
        self.upgrade(&record, password);
        self.verified.lock().note(&record.hash, password, Instant::now());
        Ok(Finding::Granted(self.account(record)))
    }

    pub(super) fn account(&self, record: Record) -> Account {
        let Record {
            login,
            addresses: further,
            ..
        } = record;
        let mut addresses = Vec::with_capacity(further.len() + 1);
        if login.contains('@') {
            addresses.push(login.clone());
        } else {
            addresses.extend(
                self.settings
                    .domains
                    .iter()
                    .map(|domain| format!("{login}@{domain}")),
            );
        }
        addresses.extend(further);
        Account { login, addresses }
    }

    fn has_address(&self, address: &Mailbox) -> Result<bool, UserError> {
        let store = self.store()?;
        if store.has_address(&address.key())? {
            return Ok(true);
        }
        let local = address.unquoted_local();
        match address.domain() {
            // A local part with an `@` inside is nobody's bare login.
            Domain::Name(domain)
                if !local.contains('@') && self.settings.domains.iter().any(|own| **own == **domain) =>
            {
                Ok(store.record(&local)?.is_some())
            }
            _ => Ok(false),
        }
    }
}

/// Runs what may wait for disk or processor on a thread where that harms nobody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UserError> + Send + 'static,
) -> Result<T, Outage> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(error)) => Err(Outage::new(error.to_string())),
        Err(error) => Err(Outage::new(error.to_string())),
    }
}
