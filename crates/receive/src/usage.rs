//! Who logs in with which mechanism: what an administrator must know before switching one off.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use jiff::Timestamp;

/// Most pairs of user name and mechanism that are counted separately. Beyond that, logins are counted together.
pub const USAGE_MAX: usize = 50_000;

/// The name under which logins beyond [`USAGE_MAX`] are counted.
pub const OTHERS: &str = "(others)";

/// The logins of one account with one mechanism.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoginCount {
    /// The account.
    pub login: String,
    /// The mechanism's name.
    pub mechanism: String,
    /// The number of logins.
    pub count: u64,
    /// The time of the first.
    pub first_at: Timestamp,
    /// The time of the last.
    pub last_at: Timestamp,
    /// The client's address at the last; `None` if unknown, as with saslauthd's protocol.
    pub last_peer: Option<IpAddr>,
}

/// All counts.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// By mechanism, then by user name, so that a look-up needs no copy.
    counts: HashMap<String, HashMap<String, LoginCount>>,
    entries: usize,
    /// Mechanisms and user names whose current counts have not been written.
    changed: HashSet<(String, String)>,
}

impl Usage {
    /// Counts a login.
    pub(crate) fn count(&mut self, login: &str, mechanism: &str, peer: Option<IpAddr>, now: Timestamp) {
        let known = self
            .counts
            .get(mechanism)
            .is_some_and(|by_login| by_login.contains_key(login));
        let login = if known || self.entries < USAGE_MAX {
            login
        } else {
            OTHERS
        };
        let by_login = match self.counts.get_mut(mechanism) {
            Some(by_login) => by_login,
            None => self.counts.entry(mechanism.to_owned()).or_default(),
        };
        self.changed.insert((mechanism.to_owned(), login.to_owned()));
        if let Some(entry) = by_login.get_mut(login) {
            entry.count += 1;
            entry.last_at = now;
            entry.last_peer = peer;
            return;
        }
        self.add(LoginCount {
            login: login.to_owned(),
            mechanism: mechanism.to_owned(),
            count: 1,
            first_at: now,
            last_at: now,
            last_peer: peer,
        });
    }

    /// Takes over earlier counts that are in the store.
    pub(crate) fn restore(&mut self, counts: Vec<LoginCount>) {
        counts.into_iter().for_each(|count| self.add(count));
    }

    /// Takes over earlier counts that are not in the store.
    pub(crate) fn take_over(&mut self, counts: Vec<LoginCount>) {
        for count in counts {
            self.changed
                .insert((count.mechanism.clone(), count.login.clone()));
            self.add(count);
        }
    }

    /// The counts that have changed since the last call, by mechanism and user name.
    pub(crate) fn take_changed(&mut self) -> Vec<LoginCount> {
        let changed = std::mem::take(&mut self.changed);
        let count = |(mechanism, login): &(String, String)| self.counts.get(mechanism)?.get(login).cloned();
        let mut counts: Vec<LoginCount> = changed.iter().filter_map(count).collect();
        counts.sort_by(by_mechanism);
        counts
    }

    /// The counts taken could not be written.
    pub(crate) fn changed_still(&mut self, counts: &[LoginCount]) {
        let keys = counts
            .iter()
            .map(|count| (count.mechanism.clone(), count.login.clone()));
        self.changed.extend(keys);
    }

    fn add(&mut self, count: LoginCount) {
        let by_login = self.counts.entry(count.mechanism.clone()).or_default();
        match by_login.get_mut(&count.login) {
            Some(entry) => {
                entry.count += count.count;
                entry.first_at = entry.first_at.min(count.first_at);
                if count.last_at > entry.last_at {
                    (entry.last_at, entry.last_peer) = (count.last_at, count.last_peer);
                }
            }
            None => {
                by_login.insert(count.login.clone(), count);
                self.entries += 1;
            }
        }
    }

    /// All counts, by mechanism and user name.
    pub(crate) fn all(&self) -> Vec<LoginCount> {
        let mut all: Vec<LoginCount> = self.counts.values().flat_map(HashMap::values).cloned().collect();
        all.sort_by(by_mechanism);
        all
    }
}

fn by_mechanism(one: &LoginCount, other: &LoginCount) -> std::cmp::Ordering {
    (&one.mechanism, &one.login).cmp(&(&other.mechanism, &other.login))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_login_and_mechanism() {
        let peer: Option<IpAddr> = "192.0.2.1".parse().ok();
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut usage = Usage::default();
        usage.count("b", "PLAIN", peer, at(10));
        usage.count("a", "PLAIN", peer, at(11));
        usage.count("a", "NTLM", peer, at(12));
        usage.count("a", "PLAIN", "192.0.2.2".parse().ok(), at(13));
        let before = usage.all();
        assert_eq!(
            before
                .iter()
                .map(|entry| (&*entry.mechanism, &*entry.login, entry.count))
                .collect::<Vec<_>>(),
            [("NTLM", "a", 1), ("PLAIN", "a", 2), ("PLAIN", "b", 1)]
        );
        assert_eq!((before[1].first_at, before[1].last_at), (at(11), at(13)));
        assert_eq!(before[1].last_peer, "192.0.2.2".parse().ok());
        // After a restart.
        let mut again = Usage::default();
        again.count("a", "NTLM", peer, at(20));
        again.restore(before);
        let ntlm = &again.all()[0];
        assert_eq!((ntlm.count, ntlm.first_at, ntlm.last_at), (2, at(12), at(20)));
    }

    #[test]
    fn only_what_has_changed_is_written() {
        let count = |login: &str| LoginCount {
            login: login.into(),
            mechanism: "PLAIN".into(),
            count: 5,
            first_at: Timestamp::UNIX_EPOCH,
            last_at: Timestamp::UNIX_EPOCH,
            last_peer: None,
        };
        let mut usage = Usage::default();
        usage.restore(vec![count("ann"), count("bob")]);
        assert_eq!(usage.take_changed(), [], "all of it is written already");
        usage.take_over(vec![count("cat")]);
        usage.count("bob", "PLAIN", None, Timestamp::UNIX_EPOCH);
        let of = |changed: &[LoginCount]| -> Vec<(String, u64)> {
            let changed = changed.iter();
            changed.map(|count| (count.login.clone(), count.count)).collect()
        };
        let changed = usage.take_changed();
        assert_eq!(of(&changed), [("bob".into(), 6), ("cat".into(), 5)]);
        assert_eq!(usage.take_changed(), [], "once");
        usage.count("cat", "PLAIN", None, Timestamp::UNIX_EPOCH);
        usage.changed_still(&changed);
        let again = usage.take_changed();
        assert_eq!(
            of(&again),
            [("bob".into(), 6), ("cat".into(), 6)],
            "what could not be written comes again, as it is now"
        );
    }

    #[test]
    fn bounded() {
        let peer: Option<IpAddr> = "192.0.2.1".parse().ok();
        let mut usage = Usage::default();
        for number in 0..USAGE_MAX + 10 {
            usage.count(&number.to_string(), "PLAIN", peer, Timestamp::UNIX_EPOCH);
        }
        usage.count("7", "PLAIN", peer, Timestamp::UNIX_EPOCH);
        let all = usage.all();
        assert_eq!(all.len(), USAGE_MAX + 1);
        let of = |login: &str| all.iter().find(|entry| entry.login == login).unwrap().count;
        assert_eq!((of(OTHERS), of("7")), (10, 2));
    }
}
