//! Own users as a directory: hashing in a bounded number of blocking threads, and a short-lived cache of what was
//! verified.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use postern_events::{Observers, notice, shown};
use postern_mail::{Domain, Mailbox};
use secrecy::SecretString;

use super::app_password::{FoundAppPassword, Used, is_app_password};
use super::error::UserError;
use super::label;
use super::proof::OwnProof;
use super::recent::Recent;
use super::record::Record;
use super::store::UserStore;
use super::{UsersSettings, hash};
use crate::error::SetUpError;
use crate::proof::Proof;
use crate::time;
use crate::verdict::{Account, DenyReason, Finding, Outage, Owner};
use crate::verified::VerifiedCache;
use crate::workers::{Asker, Workers};

pub(crate) struct Users {
    pub(super) shared: Arc<Shared>,
    workers: Arc<Workers>,
}

/// What the blocking threads share.
pub(super) struct Shared {
    pub(super) settings: UsersSettings,
    pub(super) observers: Observers,
    /// None while the file is damaged: logins get a temporary failure, not a refusal.
    store: RwLock<Option<Arc<UserStore>>>,
    verified: Mutex<VerifiedCache>,
    recent: Mutex<Recent>,
}

/// What a look-up alone could determine.
enum Known {
    Settled(Finding),
    /// Granted by an app password, whose use may have to be recorded.
    AppPassword(Finding, Used, (i64, String)),
    ToHash(Option<Record>),
}

impl Users {
    /// Opens the file. Blocking.
    pub(crate) fn new(settings: UsersSettings, observers: &Observers) -> Result<Self, SetUpError> {
        if settings.workers == 0 {
            return Err(SetUpError::setting("workers", "must be at least 1"));
        }
        let store = match UserStore::open(&settings.database) {
            Err(damage) if damage.is_damage() => {
                notice!(
                    observers,
                    Directory Error "the file of own users is damaged: logins of own users are told to try again; put a backup \
                        in its place",
                    File = shown(&settings.database.display()),
                    Error = shown(&damage),
                );
                None
            }
            store => Some(Arc::new(store.map_err(SetUpError::Users)?)),
        };
        let store = RwLock::new(store);
        let verified = Mutex::new(VerifiedCache::new(settings.cache_ttl));
        let workers = Workers::new(settings.workers);
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                observers: observers.clone(),
                store,
                verified,
                recent: Mutex::default(),
            }),
            workers,
        })
    }

    pub(super) async fn check(
        &self,
        login: &str,
        password: &SecretString,
        asker: &Asker,
    ) -> Result<Finding, Outage> {
        let peer = asker.peer;
        let (shared, login, given) = (Arc::clone(&self.shared), login.to_owned(), password.clone());
        let known = blocking(move || shared.look_up(&login, &given, peer)).await?;
        let record = match known {
            Known::Settled(finding) => return Ok(finding),
            Known::AppPassword(finding, used, (id, label)) => {
                let (shared, given) = (Arc::clone(&self.shared), password.clone());
                let login = match &finding {
                    Finding::Granted(account) => account.login.clone(),
                    Finding::Denied(_) | Finding::DeniedTo(..) => String::new(),
                };
                tokio::task::spawn_blocking(move || {
                    let is_news = used.is_news;
                    shared.note_use(used);
                    // Not at each login: after the first one, the keys exist.
                    if is_news && shared.settings.upgrade_keys && !shared.settings.keys.kinds.is_empty() {
                        shared.upgrade_app_password(&login, (id, &label), &given);
                    }
                });
                return Ok(finding);
            }
            Known::ToHash(record) => record,
        };
        let worker = self.workers.turn(asker).await?;
        let (shared, given) = (Arc::clone(&self.shared), password.clone());
        let old = record.as_ref().map(|record| record.hash.clone());
        let (finding, worker) = blocking(move || {
            // The worker's place becomes free when the hashing ends, even if nobody waits for it any more.
            let finding = shared.hash(record, &given)?;
            Ok((finding, worker))
        })
        .await?;
        if let (Finding::Granted(account), Some(old)) = (&finding, old)
            && self.shared.settings.upgrade_hashes
            && !hash::is_current(&old)
        {
            let (shared, login, given) = (Arc::clone(&self.shared), account.login.clone(), password.clone());
            tokio::task::spawn_blocking(move || {
                let _worker = worker;
                shared.upgrade(&login, &old, &given);
            });
        }
        Ok(finding)
    }
}

impl Shared {
    /// The file, reopened if it was replaced.
    pub(super) fn store(&self) -> Result<Arc<UserStore>, UserError> {
        let store = self.store.read().clone();
        if let Some(store) = store.filter(|store| store.is_current()) {
            return Ok(store);
        }
        let fresh = Arc::new(UserStore::open_existing(&self.settings.database)?);
        *self.store.write() = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// Grants from the cache alone: the account was read, its password verified, and the file has not changed since.
    /// Never waits.
    pub(super) fn remembered(&self, login: &str, password: &SecretString) -> Option<Finding> {
        if is_app_password(password) {
            return None;
        }
        let store = self.store.try_read()?.clone()?;
        let version = store.is_current().then(|| store.try_version()).flatten()?;
        let record = self.recent.lock().get(&store, version, login)?;
        let verified = self.verified.lock().holds(&record.hash, password, time::now());
        verified.then(|| Finding::Granted(self.account_by_password(Record::clone(&record))))
    }

    fn look_up(
        &self,
        login: &str,
        password: &SecretString,
        peer: Option<IpAddr>,
    ) -> Result<Known, UserError> {
        let store = self.store()?;
        let version = store.version()?;
        let Some(record) = store.record(login)? else {
            let Some((owner, label)) = label::split(login) else {
                store.nobody()?;
                return Ok(Known::ToHash(None));
            };
            let Some(record) = store.record(owner)? else {
                store.nobody()?;
                return Ok(Known::ToHash(None));
            };
            let found = store.find_app_password(&record.login, password)?;
            let found = found.filter(|found| found.label.eq_ignore_ascii_case(label));
            return Ok(match found {
                Some(found) => self.with_app_password(record, &found, peer),
                None => {
                    store.nobody()?;
                    Known::ToHash(None)
                }
            });
        };
        if let Some(found) = store.find_app_password(&record.login, password)? {
            return Ok(self.with_app_password(record, &found, peer));
        }
        if is_app_password(password) {
            // It may have been in the lost part.
            store.nobody()?;
        }
        if record.enabled && self.verified.lock().holds(&record.hash, password, time::now()) {
            let kept = Arc::new(record.clone());
            self.recent.lock().keep(&store, version, login.to_owned(), kept);
            return Ok(Known::Settled(Finding::Granted(self.account_by_password(record))));
        }
        Ok(Known::ToHash(Some(record)))
    }

    fn with_app_password(&self, record: Record, found: &FoundAppPassword, peer: Option<IpAddr>) -> Known {
        let now = Timestamp::now();
        let proof = OwnProof::app_password(&record, found);
        match found.refusal(record.enabled, now, peer) {
            Some(reason) => Known::Settled(Finding::DeniedTo(record.login, reason)),
            None => Known::AppPassword(
                Finding::Granted(self.account(record, proof)),
                found.used(now, peer),
                (found.id, found.label.clone()),
            ),
        }
    }

    /// Computes a hash whether or not there is one to compare with.
    fn hash(&self, record: Option<Record>, password: &SecretString) -> Result<Finding, UserError> {
        let Some(record) = record else {
            hash::spend(password).map_err(UserError::Hash)?;
            return Ok(Finding::Denied(DenyReason::UnknownUser));
        };
        let right = hash::verify(&record.hash, password).map_err(UserError::Hash)?;
        if !right {
            return Ok(Finding::DeniedTo(record.login, DenyReason::WrongPassword));
        }
        if !record.enabled {
            return Ok(Finding::DeniedTo(record.login, DenyReason::Disabled));
        }
        self.upgrade_keys(&record, password);
        self.verified.lock().note(&record.hash, password, time::now());
        Ok(Finding::Granted(self.account_by_password(record)))
    }

    /// Replaces the hash of an older scheme. A failure does not affect this login: the next one tries again.
    fn upgrade(&self, login: &str, old: &str, password: &SecretString) {
        let upgraded = hash::make(password).map_err(UserError::Hash).and_then(|new| {
            // A connection of its own: logins must not wait for this one's turn to write.
            UserStore::open_existing(&self.settings.database)?.upgrade_hash(login, old, &new)
        });
        match upgraded {
            Ok(true) => {
                notice!(
                    self.observers,
                    Directory Info "password hash upgraded",
                    Login = login,
                    Scheme = hash::scheme(old),
                );
            }
            Ok(false) => {}
            Err(error) => {
                notice!(
                    self.observers,
                    Directory Warning "password hash not upgraded",
                    Login = login,
                    Reason = shown(&error),
                );
            }
        }
    }

    pub(super) fn note_use(&self, used: Used) {
        if !used.is_news {
            return;
        }
        let noted = UserStore::open_existing(&self.settings.database).and_then(|store| store.note_use(&used));
        if let Err(error) = noted {
            self.use_not_noted(&error);
        }
    }

    pub(super) fn use_not_noted(&self, error: &UserError) {
        notice!(self.observers, Directory Warning "use of an app password not noted", Reason = shown(error));
    }

    pub(super) fn keys_not_upgraded(&self, login: &str, label: Option<&str>, error: &UserError) {
        notice!(
            self.observers,
            Directory Warning "keys not upgraded",
            Login = login,
            Label = label,
            Reason = shown(error),
        );
    }

    /// A number for the state of the file, if it can be read without waiting.
    pub(super) fn state(&self) -> Option<u64> {
        let store = self.store.try_read()?.clone()?;
        let version = store.is_current().then(|| store.try_version()).flatten()?;
        let (device, inode) = store.identity();
        // If versions start again, the file is a different one.
        Some(device.rotate_left(48) ^ inode.rotate_left(24) ^ version.cast_unsigned())
    }

    pub(super) fn account_by_password(&self, record: Record) -> Account {
        let proof = OwnProof::password(&record);
        self.account(record, proof)
    }

    pub(super) fn account(&self, record: Record, proof: OwnProof) -> Account {
        let owner = |owner: Owner| Owner {
            addresses: self.addresses(&owner.login, owner.addresses),
            login: owner.login,
        };
        Account {
            addresses: self.addresses(&record.login, record.addresses),
            login: record.login,
            groups: record.groups,
            acts_for: record.acts_for.into_iter().map(owner).collect(),
            proof: Proof::own(proof),
            directory: None,
        }
    }

    /// All addresses of an account, from its login and its further addresses.
    fn addresses(&self, login: &str, further: Vec<String>) -> Vec<String> {
        let mut addresses = Vec::with_capacity(further.len() + 1);
        if login.contains('@') {
            addresses.push(login.to_owned());
        } else {
            let domains = self.settings.domains.iter();
            addresses.extend(domains.map(|domain| format!("{login}@{domain}")));
        }
        addresses.extend(further);
        addresses
    }

    pub(super) fn has_address(&self, address: &Mailbox) -> Result<bool, UserError> {
        let store = self.store()?;
        if store.has_address(&address.key())? {
            return Ok(true);
        }
        let local = address.unquoted_local();
        let found = match address.domain() {
            // A local part containing `@` is never a bare login.
            Domain::Name(domain)
                if !local.contains('@') && self.settings.domains.iter().any(|own| **own == **domain) =>
            {
                store.record(&local)?.is_some()
            }
            _ => false,
        };
        if !found {
            store.nobody()?;
        }
        Ok(found)
    }
}

/// Runs work that may wait for disk or processor on a thread where that does no harm.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UserError> + Send + 'static,
) -> Result<T, Outage> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(error)) => Err(Outage::new(error.to_string())),
        Err(error) => Err(Outage::new(error.to_string())),
    }
}
