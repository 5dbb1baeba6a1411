//! Recently granted logins, so that a client that logs in for each message does not cost the directory a bind or a query
//! each time.
//!
//! An entry is found by an HMAC of the login and holds an HMAC of login and password, both with a random key of this
//! process: it reveals the password only to someone who has read the whole memory. If the directory also decides by the
//! client's address, that is part of the latter. There is one entry per login, so that a new password replaces the old
//! one. Changes in the directory (a locked account, another password) are only noticed when the entry expires, so the
//! cache is off unless the administrator sets a time.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use postern_policy::TtlCache;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::verdict::Account;

/// Most entries.
const ENTRIES_MAX: usize = 50_000;

type Tag = [u8; 32];

/// The logins that one directory granted recently.
pub(crate) struct RecentLogins {
    key: Zeroizing<[u8; 64]>,
    ttl: Duration,
    entries: Mutex<TtlCache<Tag, Entry>>,
}

struct Entry {
    password: Tag,
    account: Account,
}

impl RecentLogins {
    /// Keeps each for `ttl`; zero keeps none.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            key: Zeroizing::new(rand::random()),
            ttl,
            entries: Mutex::new(TtlCache::new(ENTRIES_MAX)),
        }
    }

    /// The account, if this login was granted with this password recently, for a client at the same place.
    pub(crate) fn find(
        &self,
        login: &str,
        password: &SecretString,
        place: Option<IpAddr>,
        now: Instant,
    ) -> Option<Account> {
        if self.ttl.is_zero() {
            return None;
        }
        let (found, given) = (self.tag(login, None), self.tag(login, Some((password, place))));
        let entries = self.entries.lock();
        let entry = entries.get(&found, now)?;
        bool::from(entry.password.ct_eq(&given)).then(|| entry.account.clone())
    }

    /// Remembers that it was.
    pub(crate) fn note(
        &self,
        login: &str,
        password: &SecretString,
        place: Option<IpAddr>,
        account: &Account,
        now: Instant,
    ) {
        if self.ttl.is_zero() {
            return;
        }
        let (found, password) = (self.tag(login, None), self.tag(login, Some((password, place))));
        let entry = Entry {
            password,
            account: account.clone(),
        };
        self.entries.lock().insert(found, entry, now + self.ttl, now);
    }

    fn tag(&self, login: &str, proof: Option<(&SecretString, Option<IpAddr>)>) -> Tag {
        let mut mac = Hmac::<Sha256>::new((&*self.key).into());
        // The length separates login and password.
        mac.update(&(login.len() as u64).to_be_bytes());
        mac.update(login.as_bytes());
        if let Some((password, place)) = proof {
            mac.update(b"\0password\0");
            // The same number of octets for every address, so that it is clear where the password begins.
            let octets = place.map(|place| match place {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                IpAddr::V6(v6) => v6.octets(),
            });
            mac.update(&[u8::from(octets.is_some())]);
            mac.update(&octets.unwrap_or_default());
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
        assert_eq!(
            recent.find("ann", &secret("right"), None, start),
            None,
            "nothing yet"
        );
        recent.note("ann", &secret("right"), None, &account("Ann"), start);
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
            let found = recent.find(login, &secret(password), None, start + after);
            assert_eq!(found, want.then(|| account("Ann")), "{shows}");
        }
        recent.note("ann", &secret("new"), None, &account("Ann"), start);
        assert_eq!(
            recent.find("ann", &secret("right"), None, start),
            None,
            "the new one replaces it"
        );
        assert!(recent.find("ann", &secret("new"), None, start).is_some());
    }

    #[test]
    fn elsewhere_it_is_another_login() {
        let (now, password) = (Instant::now(), SecretString::from("x"));
        let place = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        let recent = RecentLogins::new(Duration::from_secs(30));
        recent.note("ann", &password, place("192.0.2.1"), &account("Ann"), now);
        #[rustfmt::skip]
        let cases = [
            ("the same host",             place("192.0.2.1"),        true),
            ("the same in another form",  place("::ffff:192.0.2.1"), true),
            ("its neighbour",             place("192.0.2.2"),        false),
            ("by IPv6",                   place("2001:db8::1"),      false),
            ("from nobody knows where",   None,                      false),
        ];
        for (shows, from, want) in cases {
            assert_eq!(
                recent.find("ann", &password, from, now).is_some(),
                want,
                "{shows}"
            );
        }
    }

    #[test]
    fn switched_off_and_bounded() {
        let (now, password) = (Instant::now(), SecretString::from("x"));
        let off = RecentLogins::new(Duration::ZERO);
        off.note("ann", &password, None, &account("ann"), now);
        assert_eq!(off.find("ann", &password, None, now), None);

        let recent = RecentLogins::new(Duration::from_secs(60));
        for number in 0..=ENTRIES_MAX {
            recent.note(&number.to_string(), &password, None, &account("x"), now);
        }
        assert!(recent.entries.lock().len() <= ENTRIES_MAX);
        let newest = recent.find(&ENTRIES_MAX.to_string(), &password, None, now);
        assert!(newest.is_some(), "the newest is there");
    }
}
