//! Logins that a directory granted a short time ago, so that a client that logs in for each mail does not cost the
//! directory a bind or a question each time.
//!
//! An entry is found by an HMAC of the login and holds an HMAC of login and password, both with a random key of this
//! process: it gives the password away to nobody who has not read the whole memory. There is one entry a login, so that a
//! new password takes the place of the old one. What the directory changes meanwhile (a locked account, another password)
//! is seen when the time is over, and that is why it is off unless the administrator gives it a time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::verdict::Account;

/// Most entries. Beyond it the old ones go, and after them all.
const ENTRIES_MAX: usize = 50_000;

type Tag = [u8; 32];

/// The logins granted of late by one directory.
pub(crate) struct RecentLogins {
    key: Zeroizing<[u8; 64]>,
    ttl: Duration,
    entries: Mutex<HashMap<Tag, Entry>>,
}

struct Entry {
    password: Tag,
    account: Account,
    expiry: Instant,
}

impl RecentLogins {
    /// Keeps each for `ttl`; zero keeps none.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            key: Zeroizing::new(rand::random()),
            ttl,
            entries: Mutex::default(),
        }
    }

    /// The account, if this login was granted with this password of late.
    pub(crate) fn find(&self, login: &str, password: &SecretString, now: Instant) -> Option<Account> {
        if self.ttl.is_zero() {
            return None;
        }
        let (found, given) = (self.tag(login, None), self.tag(login, Some(password)));
        let entries = self.entries.lock();
        let entry = entries.get(&found).filter(|entry| now < entry.expiry)?;
        bool::from(entry.password.ct_eq(&given)).then(|| entry.account.clone())
    }

    /// Remembers that it was.
    pub(crate) fn note(&self, login: &str, password: &SecretString, account: &Account, now: Instant) {
        if self.ttl.is_zero() {
            return;
        }
        let (place, password) = (self.tag(login, None), self.tag(login, Some(password)));
        let mut entries = self.entries.lock();
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, entry| now < entry.expiry);
        }
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        let entry = Entry {
            password,
            account: account.clone(),
            expiry: now + self.ttl,
        };
        entries.insert(place, entry);
    }

    fn tag(&self, login: &str, password: Option<&SecretString>) -> Tag {
        let mut mac = Hmac::<Sha256>::new((&*self.key).into());
        // The length keeps login and password apart.
        mac.update(&(login.len() as u64).to_be_bytes());
        mac.update(login.as_bytes());
        if let Some(password) = password {
            mac.update(b"\0password\0");
            mac.update(password.expose_secret().as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(login: &str) -> Account {
        Account {
            login: login.into(),
            ..Account::default()
        }
    }

    #[test]
    fn only_the_same_login_and_password_within_the_time() {
        let (start, ttl) = (Instant::now(), Duration::from_secs(30));
        let secret = |text: &str| SecretString::from(text);
        let recent = RecentLogins::new(ttl);
        assert_eq!(recent.find("ann", &secret("right"), start), None, "nothing yet");
        recent.note("ann", &secret("right"), &account("Ann"), start);
        let cases = [
            ("the same", "ann", "right", Duration::ZERO, true),
            (
                "just within the time",
                "ann",
                "right",
                ttl - Duration::from_millis(1),
                true,
            ),
            ("after it", "ann", "right", ttl, false),
            ("another password", "ann", "wrong", Duration::ZERO, false),
            ("another login", "bob", "right", Duration::ZERO, false),
            ("the border moved", "an", "nright", Duration::ZERO, false),
        ];
        for (shows, login, password, after, want) in cases {
            let found = recent.find(login, &secret(password), start + after);
            assert_eq!(found, want.then(|| account("Ann")), "{shows}");
        }
        recent.note("ann", &secret("new"), &account("Ann"), start);
        assert_eq!(
            recent.find("ann", &secret("right"), start),
            None,
            "the new one replaces it"
        );
        assert!(recent.find("ann", &secret("new"), start).is_some());
    }

    #[test]
    fn switched_off_and_bounded() {
        let (now, password) = (Instant::now(), SecretString::from("x"));
        let off = RecentLogins::new(Duration::ZERO);
        off.note("ann", &password, &account("ann"), now);
        assert_eq!(off.find("ann", &password, now), None);

        let recent = RecentLogins::new(Duration::from_secs(60));
        for number in 0..=ENTRIES_MAX {
            recent.note(&number.to_string(), &password, &account("x"), now);
        }
        assert!(recent.entries.lock().len() <= ENTRIES_MAX);
        let newest = recent.find(&ENTRIES_MAX.to_string(), &password, now);
        assert!(newest.is_some(), "the newest is there");
    }
}
