//! Who logs in by which mechanism: what an administrator has to know before switching one off.

use std::collections::HashMap;
use std::net::IpAddr;

use jiff::Timestamp;

/// Most pairs of login and mechanism that are counted apart. Past them, logins are counted together.
pub const USAGE_MAX: usize = 50_000;

/// The name under which logins past [`USAGE_MAX`] are counted.
pub const OTHERS: &str = "(others)";

/// The logins of one account by one mechanism.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoginCount {
    /// The account.
    pub login: String,
    /// The mechanism's name.
    pub mechanism: String,
    /// How often it was.
    pub count: u64,
    /// When it was first.
    pub first_at: Timestamp,
    /// When it was last.
    pub last_at: Timestamp,
    /// From where it was last; `None` where nobody told, as with saslauthd's protocol.
    pub last_peer: Option<IpAddr>,
}

/// All counts.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// By mechanism, then by login: looking one up costs no copy.
    counts: HashMap<String, HashMap<String, LoginCount>>,
    entries: usize,
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

    /// Takes over what was counted before.
    pub(crate) fn add(&mut self, count: LoginCount) {
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

    /// All counts, by mechanism and login.
    pub(crate) fn all(&self) -> Vec<LoginCount> {
        let mut all: Vec<LoginCount> = self.counts.values().flat_map(HashMap::values).cloned().collect();
        all.sort_by(|one, other| (&one.mechanism, &one.login).cmp(&(&other.mechanism, &other.login)));
        all
    }
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
        before.into_iter().for_each(|count| again.add(count));
        let ntlm = &again.all()[0];
        assert_eq!((ntlm.count, ntlm.first_at, ntlm.last_at), (2, at(12), at(20)));
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
