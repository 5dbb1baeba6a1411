//! Local users who submit mail: who they are, who they may send as, and how much is accepted at once.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use postern_mail::{Domain, Mailbox, Status};

use crate::allowance::Allowance;
use crate::identity::{Identity, IdentityRules};
use crate::rule::{Rule, Told, Verdict};

/// The rules for local users.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalRules {
    /// Names of accounts that may use any sender address.
    pub trusted: Vec<String>,
    /// Who the others may send as.
    pub identity: IdentityRules,
    /// Concurrent sessions of one user. Default 20.
    pub sessions: u32,
    /// Messages of one user per minute; as many at once. Zero means no limit. Default 600.
    pub messages_per_minute: u32,
}

impl Default for LocalRules {
    fn default() -> Self {
        Self {
            trusted: vec!["root".to_owned()],
            identity: IdentityRules::default(),
            sessions: 20,
            messages_per_minute: 600,
        }
    }
}

impl LocalRules {
    fn allowance(&self) -> Allowance {
        Allowance {
            most: self.messages_per_minute,
            refill: Duration::from_secs(60),
        }
    }
}

/// A local user, as identified by the kernel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalUser {
    /// The user id.
    pub uid: u32,
    /// Its name; `uid-1234` if the system has no name for the id.
    pub name: String,
    /// Name and id, as in the log and in listings: `anna (uid 1000)`. No user can log in with such a name.
    pub label: String,
    /// Whether it may use any sender address.
    pub trusted: bool,
    /// Its addresses.
    pub identity: Identity,
}

impl LocalUser {
    /// The account with this id and name; its addresses are its name in each of `domains`.
    ///
    /// A name that is not a valid local part, or has blanks or control characters, as one from a foreign directory may, is
    /// replaced by the id.
    #[must_use]
    pub fn new<'d>(
        uid: u32,
        name: Option<&str>,
        domains: impl IntoIterator<Item = &'d Domain>,
        rules: &LocalRules,
    ) -> Self {
        let known = name.filter(|name| is_plain(name));
        let name = known.map_or_else(|| format!("uid-{uid}"), str::to_owned);
        let label = label(uid, known);
        let addresses = domains
            .into_iter()
            .filter_map(|domain| Mailbox::new(&name, domain.clone()).ok())
            .map(|mailbox| mailbox.to_string());
        Self {
            uid,
            trusted: known.is_some_and(|known| rules.trusted.iter().any(|trusted| trusted == known)),
            // Grants are for users who authenticate, who may be different from local users with the same name.
            identity: Identity::new(&label, addresses),
            name,
            label,
        }
    }
}

/// Name and id of an account, as in [`LocalUser::label`].
#[must_use]
pub fn label(uid: u32, name: Option<&str>) -> String {
    match name.filter(|name| is_plain(name)) {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid-{uid} (uid {uid})"),
    }
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && c != '@';
    !name.is_empty() && name.len() <= 64 && name.chars().all(plain)
}

/// Most users that are remembered at once. One who can create user namespaces can appear as many.
const USERS_MAX: usize = 10_000;

/// Open sessions and recent messages of users.
#[derive(Debug, Default)]
pub struct LocalUsers {
    users: HashMap<u32, Spent>,
}

#[derive(Clone, Copy, Debug)]
struct Spent {
    sessions: u32,
    /// When the full allowance is available again.
    full_at: Instant,
}

impl LocalUsers {
    /// Counts a session, if there may be one more.
    ///
    /// # Errors
    ///
    /// [`LocalRefusal::Sessions`], [`LocalRefusal::Users`].
    pub fn enter(&mut self, uid: u32, rules: &LocalRules, now: Instant) -> Result<(), LocalRefusal> {
        let spent = self.of(uid, now)?;
        if spent.sessions >= rules.sessions {
            return Err(LocalRefusal::Sessions(rules.sessions));
        }
        spent.sessions += 1;
        Ok(())
    }

    /// Ends a session.
    pub fn leave(&mut self, uid: u32) {
        if let Some(spent) = self.users.get_mut(&uid) {
            spent.sessions = spent.sessions.saturating_sub(1);
        }
    }

    /// Counts a message, if there may be one more.
    ///
    /// # Errors
    ///
    /// [`LocalRefusal::Messages`], [`LocalRefusal::Users`].
    pub fn message(&mut self, uid: u32, rules: &LocalRules, now: Instant) -> Result<(), LocalRefusal> {
        let allowance = rules.allowance();
        let Some(one) = allowance.refill.checked_div(allowance.most) else {
            return Ok(());
        };
        let spent = self.of(uid, now)?;
        let full_at = spent.full_at.max(now) + one;
        if full_at > now + allowance.refill {
            return Err(LocalRefusal::Messages(allowance.most));
        }
        spent.full_at = full_at;
        Ok(())
    }

    fn of(&mut self, uid: u32, now: Instant) -> Result<&mut Spent, LocalRefusal> {
        if self.users.len() >= USERS_MAX && !self.users.contains_key(&uid) {
            self.users
                .retain(|_, spent| spent.sessions > 0 || spent.full_at > now);
            if self.users.len() >= USERS_MAX {
                return Err(LocalRefusal::Users);
            }
        }
        Ok(self.users.entry(uid).or_insert(Spent {
            sessions: 0,
            full_at: now,
        }))
    }
}

/// Why a local user has to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LocalRefusal {
    /// This many sessions are open: rule `local.sessions`, `421 4.3.2`.
    Sessions(u32),
    /// This many messages came within a minute: rule `local.messages`, `450 4.7.1`.
    Messages(u32),
    /// Too many users submit mail: rule `local.sessions`, `421 4.3.2`.
    Users,
}

impl fmt::Display for LocalRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sessions(limit) => write!(f, "{limit} sessions of this user are open already"),
            Self::Messages(limit) => write!(f, "{limit} messages of this user came within a minute"),
            Self::Users => f.write_str("too many users hand mail in"),
        }
    }
}

impl Verdict for LocalRefusal {
    fn rule(&self) -> Rule {
        match self {
            Self::Sessions(_) | Self::Users => Rule::LocalSessions,
            Self::Messages(_) => Rule::LocalMessages,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some(self.told())
    }
}

impl LocalRefusal {
    /// The reply to the program, which keeps the message for later.
    #[must_use]
    pub fn told(self) -> Told {
        match self {
            Self::Sessions(_) | Self::Users => (421, Status(4, 3, 2), "Too many sessions for this user"),
            Self::Messages(_) => (
                450,
                Status(4, 7, 1),
                "Too many messages from this user, try again later",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        let domains: Vec<Domain> = ["h.example", "x.example"]
            .map(|name| Domain::Name(name.into()))
            .to_vec();
        let rules = LocalRules {
            trusted: vec!["root".into(), "www-data".into()],
            ..LocalRules::default()
        };
        #[rustfmt::skip]
        let cases = [
            // uid   name                label                 trusted  addresses
            (1000,   Some("anna"),       "anna (uid 1000)",    false,   vec!["anna@h.example", "anna@x.example"]),
            (33,     Some("www-data"),   "www-data (uid 33)",  true,    vec!["www-data@h.example", "www-data@x.example"]),
            (0,      Some("root"),       "root (uid 0)",       true,    vec!["root@h.example", "root@x.example"]),
            (5,      None,               "uid-5 (uid 5)",      false,   vec!["uid-5@h.example", "uid-5@x.example"]),
            (6,      Some("a b"),        "uid-6 (uid 6)",      false,   vec!["uid-6@h.example", "uid-6@x.example"]),
            (7,      Some("root\n"),     "uid-7 (uid 7)",      false,   vec!["uid-7@h.example", "uid-7@x.example"]),
            (8,      Some(""),           "uid-8 (uid 8)",      false,   vec!["uid-8@h.example", "uid-8@x.example"]),
        ];
        for (uid, name, label, trusted, addresses) in cases {
            let user = LocalUser::new(uid, name, &domains, &rules);
            assert_eq!((user.label.as_str(), user.trusted), (label, trusted));
            assert_eq!(user.identity.own_addresses(), addresses);
        }
        let rules = LocalRules {
            trusted: vec!["uid-5".into()],
            ..rules
        };
        assert!(
            !LocalUser::new(5, None, &domains, &rules).trusted,
            "a number is no name"
        );
    }

    #[test]
    fn a_user_has_so_much_and_others_have_theirs() {
        let rules = LocalRules {
            sessions: 2,
            messages_per_minute: 3,
            ..LocalRules::default()
        };
        let mut users = LocalUsers::default();
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        assert_eq!(users.enter(1, &rules, start), Ok(()));
        assert_eq!(users.enter(1, &rules, start), Ok(()));
        assert_eq!(users.enter(1, &rules, start), Err(LocalRefusal::Sessions(2)));
        assert_eq!(users.enter(2, &rules, start), Ok(()), "another user");
        users.leave(1);
        assert_eq!(users.enter(1, &rules, start), Ok(()));
        for _ in 0..3 {
            assert_eq!(users.message(1, &rules, start), Ok(()));
        }
        assert_eq!(users.message(1, &rules, at(19)), Err(LocalRefusal::Messages(3)));
        assert_eq!(users.message(2, &rules, at(19)), Ok(()), "another user");
        assert_eq!(
            users.message(1, &rules, at(20)),
            Ok(()),
            "a third of a minute later"
        );
        assert_eq!(users.message(1, &rules, at(20)), Err(LocalRefusal::Messages(3)));
        let endless = LocalRules {
            messages_per_minute: 0,
            ..rules
        };
        assert_eq!(users.message(1, &endless, at(20)), Ok(()));
    }

    #[test]
    fn many_users_are_not_remembered_for_ever() {
        let rules = LocalRules::default();
        let mut users = LocalUsers::default();
        let start = Instant::now();
        for uid in 0..USERS_MAX as u32 {
            users.message(uid, &rules, start).unwrap();
        }
        assert_eq!(users.message(1_000_000, &rules, start), Err(LocalRefusal::Users));
        assert_eq!(users.message(5, &rules, start), Ok(()), "who is known goes on");
        let later = start + Duration::from_secs(60);
        assert_eq!(users.message(1_000_000, &rules, later), Ok(()));
        assert!(users.users.len() < 10);
    }
}
