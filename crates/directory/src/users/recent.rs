//! Recently read accounts, valid until the file changes: logins with recently verified passwords then neither read the
//! database nor change threads.

use std::collections::HashMap;
use std::sync::Arc;

use super::record::Record;
use super::store::UserStore;

/// Most accounts kept. Beyond that, all are dropped: those in use return at once.
const ACCOUNTS_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Recent {
    /// The file they were read from, and its state at that time.
    read_from: Option<(Arc<UserStore>, i64)>,
    accounts: HashMap<String, Arc<Record>>,
}

impl Recent {
    /// The account of a login as the client types it, if the file has not changed.
    pub(super) fn get(&self, store: &Arc<UserStore>, version: i64, login: &str) -> Option<Arc<Record>> {
        self.holds(store, version)
            .then(|| self.accounts.get(login).cloned())
            .flatten()
    }

    /// Keeps an account that was read after the file was in the state `version`.
    pub(super) fn keep(&mut self, store: &Arc<UserStore>, version: i64, login: String, record: Arc<Record>) {
        if !self.holds(store, version) || self.accounts.len() >= ACCOUNTS_MAX {
            self.accounts.clear();
            self.read_from = Some((Arc::clone(store), version));
        }
        self.accounts.insert(login, record);
    }

    fn holds(&self, store: &Arc<UserStore>, version: i64) -> bool {
        self.read_from
            .as_ref()
            .is_some_and(|(read, then)| Arc::ptr_eq(read, store) && *then == version)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn any_change_of_the_file_forgets_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let ours = Arc::new(UserStore::open(&path).unwrap());
        let password = SecretString::from("pass word");
        ours.add("one", &password, &[]).unwrap();
        let mut recent = Recent::default();
        let version = ours.version().unwrap();
        let record = Arc::new(ours.record("one").unwrap().unwrap());
        recent.keep(&ours, version, "one".into(), record);
        assert_eq!(ours.try_version(), Some(version), "nothing has changed");
        assert!(recent.get(&ours, version, "one").is_some());
        assert!(recent.get(&ours, version, "two").is_none());

        let theirs = UserStore::open_existing(&path).unwrap();
        theirs.add("two", &password, &[]).unwrap();
        let later = ours.try_version().unwrap();
        assert_ne!(later, version, "another process has written");
        assert!(recent.get(&ours, later, "one").is_none());

        let record = Arc::new(ours.record("two").unwrap().unwrap());
        recent.keep(&ours, later, "two".into(), record);
        assert!(recent.get(&ours, later, "one").is_none(), "what is older went");
        let reopened = Arc::new(UserStore::open_existing(&path).unwrap());
        assert!(recent.get(&reopened, later, "two").is_none(), "another file");
    }

    #[test]
    fn bounded() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(UserStore::open(&folder.path().join("users.db")).unwrap());
        store.add("one", &SecretString::from("pass word"), &[]).unwrap();
        let record = Arc::new(store.record("one").unwrap().unwrap());
        let mut recent = Recent::default();
        for number in 0..=ACCOUNTS_MAX {
            recent.keep(&store, 1, number.to_string(), Arc::clone(&record));
        }
        assert!(recent.accounts.len() <= ACCOUNTS_MAX);
        assert!(recent.get(&store, 1, &ACCOUNTS_MAX.to_string()).is_some());
    }
}
