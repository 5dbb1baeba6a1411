//! Logins at the page. They are only kept in memory, by the hash of their id: a restart ends them all.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postern_directory::Proof;

use super::hash::hashed;
use super::role::{Role, Who};

/// Most sessions at once; the one unused for longest makes room for another.
const SESSIONS_MAX: usize = 2_000;

/// Most sessions of one login at once, so that nobody displaces others.
const SESSIONS_OF_ONE_MAX: usize = 20;

/// How long somebody may take for the second factor.
const PENDING: SignedDuration = SignedDuration::from_mins(5);

/// Codes that may be tried before the password is required again.
const PENDING_TRIES: u32 = 5;

/// A login at the page.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) who: Who,
    /// The secret that forms must include.
    pub(crate) csrf: String,
    /// When it ends even if it is in use.
    pub(crate) ends_at: Timestamp,
    /// Whether only the set-up of a second factor is allowed so far.
    pub(crate) must_enrol: bool,
    /// How the directory granted it; `None` if it was opened by a link.
    pub(crate) proof: Option<Proof>,
    used_at: Timestamp,
    /// The last known state of its account: that of Postern's own users, and when it was checked.
    pub(crate) seen: (Option<u64>, Timestamp),
}

/// A login that still needs its second factor.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) who: Who,
    pub(crate) proof: Proof,
    ends_at: Timestamp,
    tries: u32,
}

/// A new session.
#[derive(Clone, Debug)]
pub(crate) struct NewSession {
    /// The value of the cookie.
    pub(crate) id: String,
}

/// All sessions. Times and secrets are arguments.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: HashMap<String, Session>,
    pending: HashMap<String, Pending>,
}

/// The initial data of a session.
pub(crate) struct Begins {
    pub(crate) who: Who,
    pub(crate) proof: Option<Proof>,
    pub(crate) must_enrol: bool,
}

impl Sessions {
    /// Creates a session with the given id and form secret.
    pub(crate) fn open(
        &mut self,
        begins: Begins,
        (id, csrf): (String, String),
        longest: Duration,
        now: Timestamp,
    ) -> NewSession {
        let Begins {
            who,
            proof,
            must_enrol,
        } = begins;
        self.make_room(&who);
        let ends_at = after(now, longest);
        let made = NewSession { id: id.clone() };
        self.open.insert(
            hashed(&id),
            Session {
                who,
                csrf,
                ends_at,
                must_enrol,
                proof,
                used_at: now,
                seen: (None, now),
            },
        );
        made
    }

    fn make_room(&mut self, who: &Who) {
        let theirs = |session: &Session| session.who.name == who.name;
        if self.open.values().filter(|session| theirs(session)).count() >= SESSIONS_OF_ONE_MAX {
            self.drop_oldest(theirs);
        }
        if self.open.len() >= SESSIONS_MAX {
            // Users who only see their own mail make room first.
            let least = |session: &Session| session.who.role == Role::Own;
            match self.open.values().any(least) {
                true => self.drop_oldest(least),
                false => self.drop_oldest(|_| true),
            }
        }
    }

    fn drop_oldest(&mut self, which: impl Fn(&Session) -> bool) {
        let oldest = self.open.iter().filter(|(_, session)| which(session));
        let oldest = oldest.min_by_key(|(_, session)| session.used_at);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.open.remove(&key);
        }
    }

    /// The session with this id, if it has not ended. `uses` says whether this counts as use: what a page does on its own does not.
    pub(crate) fn find(&mut self, id: &str, idle: Duration, now: Timestamp, uses: bool) -> Option<Session> {
        let key = hashed(id);
        let session = self.open.get_mut(&key)?;
        if session.ends_at <= now || after(session.used_at, idle) <= now {
            self.open.remove(&key);
            return None;
        }
        if uses {
            session.used_at = now;
        }
        Some(session.clone())
    }

    /// Changes a session if it still exists.
    pub(crate) fn change(&mut self, id: &str, change: impl FnOnce(&mut Session)) {
        if let Some(session) = self.open.get_mut(&hashed(id)) {
            change(session);
        }
    }

    /// Ends a session; returns whether it existed.
    pub(crate) fn close(&mut self, id: &str) -> bool {
        self.open.remove(&hashed(id)).is_some()
    }

    /// Ends all sessions for which this holds; returns their number.
    pub(crate) fn close_where(&mut self, ends: impl Fn(&Session) -> bool) -> usize {
        let before = self.open.len();
        self.open.retain(|_, session| !ends(session));
        before - self.open.len()
    }

    /// Keeps a login that still needs its second factor, by a secret.
    pub(crate) fn wait(&mut self, secret: &str, who: Who, proof: Proof, now: Timestamp) {
        self.pending.retain(|_, pending| pending.ends_at > now);
        if self.pending.len() >= SESSIONS_MAX {
            let soonest = self.pending.iter().min_by_key(|(_, pending)| pending.ends_at);
            if let Some(key) = soonest.map(|(key, _)| key.clone()) {
                self.pending.remove(&key);
            }
        }
        self.pending.insert(
            hashed(secret),
            Pending {
                who,
                proof,
                ends_at: now.saturating_add(PENDING).unwrap_or(Timestamp::MAX),
                tries: 0,
            },
        );
    }

    /// The login that waits by that secret, for one more code.
    pub(crate) fn waiting(&mut self, secret: &str, now: Timestamp) -> Option<Pending> {
        let key = hashed(secret);
        let pending = self.pending.get_mut(&key)?;
        pending.tries += 1;
        if pending.ends_at <= now || pending.tries > PENDING_TRIES {
            self.pending.remove(&key);
            return None;
        }
        Some(pending.clone())
    }

    /// Removes a login that no longer waits.
    pub(crate) fn settle(&mut self, secret: &str) {
        self.pending.remove(&hashed(secret));
    }
}

fn after(at: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    at.checked_add(time).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::role::By;

    const IDLE: Duration = Duration::from_secs(600);
    const LONGEST: Duration = Duration::from_secs(3_600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn who(name: &str, role: Role) -> Who {
        Who {
            name: name.into(),
            role,
            by: By::Session,
            login: Some(name.into()),
            uid: None,
            scope: None,
        }
    }

    fn open(sessions: &mut Sessions, id: &str, who: Who, now: Timestamp) {
        let begins = Begins {
            who,
            proof: None,
            must_enrol: false,
        };
        let _ = sessions.open(begins, (id.to_owned(), "csrf".to_owned()), LONGEST, now);
    }

    #[test]
    fn when_a_session_ends() {
        #[rustfmt::skip]
        let cases: [(&str, &[i64], bool); 5] = [
            // what the case shows                 used at               there at the last
            ("just now",                           &[1],                 true),
            ("used now and then",                  &[500, 1_000, 1_500], true),
            ("idle",                               &[601],               false),
            ("its time is over",                   &[500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500, 3_601], false),
            ("to the last second",                 &[500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_599], true),
        ];
        for (shows, used, there) in cases {
            let mut sessions = Sessions::default();
            open(&mut sessions, "id", who("anna", Role::Own), at(0));
            let last = used
                .iter()
                .map(|used| sessions.find("id", IDLE, at(*used), true).is_some());
            assert_eq!(last.last(), Some(there), "{shows}");
        }
    }

    #[test]
    fn a_page_that_asks_on_its_own_keeps_nobody_logged_in() {
        let mut sessions = Sessions::default();
        open(&mut sessions, "id", who("anna", Role::Own), at(0));
        assert!(sessions.find("id", IDLE, at(300), false).is_some());
        assert!(sessions.find("id", IDLE, at(599), false).is_some());
        assert!(sessions.find("id", IDLE, at(600), false).is_none());
    }

    #[test]
    fn nobody_takes_the_place_of_others() {
        let mut sessions = Sessions::default();
        open(&mut sessions, "admin", who("root", Role::Administer), at(0));
        for number in 0..100 {
            open(
                &mut sessions,
                &format!("anna {number}"),
                who("anna", Role::Own),
                at(number),
            );
        }
        assert_eq!(sessions.open.len(), SESSIONS_OF_ONE_MAX + 1);
        assert!(sessions.find("anna 99", IDLE, at(100), true).is_some());
        for number in 0..3_000 {
            open(
                &mut sessions,
                &format!("u {number}"),
                who(&format!("u{number}"), Role::Own),
                at(200 + number),
            );
        }
        assert_eq!(sessions.open.len(), SESSIONS_MAX);
        assert!(
            sessions.open.contains_key(&hashed("admin")),
            "who administers stays"
        );
    }

    #[test]
    fn an_end_is_an_end() {
        let mut sessions = Sessions::default();
        open(&mut sessions, "one", who("anna", Role::Own), at(0));
        open(&mut sessions, "two", who("anna", Role::Own), at(0));
        assert!(sessions.close("one"));
        assert!(sessions.find("one", IDLE, at(1), true).is_none());
        assert_eq!(sessions.close_where(|session| session.who.is("Anna")), 1);
        assert!(sessions.find("two", IDLE, at(1), true).is_none());
    }

    #[test]
    fn a_login_waits_for_its_second_factor_five_times_and_five_minutes() {
        let mut sessions = Sessions::default();
        let wait = |sessions: &mut Sessions| {
            sessions.wait("secret", who("anna", Role::Own), Proof::default(), at(0))
        };
        wait(&mut sessions);
        for _ in 0..PENDING_TRIES {
            assert!(sessions.waiting("secret", at(1)).is_some());
        }
        assert!(sessions.waiting("secret", at(1)).is_none(), "five codes");
        wait(&mut sessions);
        assert!(sessions.waiting("other", at(1)).is_none());
        assert!(sessions.waiting("secret", at(299)).is_some());
        assert!(sessions.waiting("secret", at(300)).is_none(), "five minutes");
    }
}
