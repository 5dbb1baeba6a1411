//! Whether an account that a directory has granted a login would be granted it again.

use std::net::IpAddr;

use jiff::Timestamp;
use postern_sasl::StoredKey;

use super::Directories;
use crate::keys::{KeyKind, KeyVerdict};
use crate::mark::Mark;
use crate::time::now;
use crate::users::OwnProof;
use crate::verdict::{Account, DenyReason, Finding, PasswordVerdict};

/// By what a directory granted a login, so that it can be asked about it again. There is no secret in it.
///
/// It tells how an account was come by, not which one it is: as parts of accounts, any two are equal.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    by: By,
}

/// What has proved a login in a directory of somebody else's, as far as it can be recognised.
#[derive(Clone, Debug, Default)]
enum Evidence {
    /// A certificate, a ticket, a token; or a password of which nothing can be read.
    #[default]
    Unseen,
    /// The password.
    Password(Mark),
    /// A key.
    Key(KeyKind, Mark),
}

/// What is known of a login in LDAP or SQL.
#[derive(Clone, Debug, Default)]
struct Foreign {
    /// The name to ask about; `None` for one that cannot be asked about.
    login: Option<Box<str>>,
    evidence: Evidence,
}

#[derive(Clone, Debug, Default)]
enum By {
    /// A directory that says nothing without a password: saslauthd, PAM, Dovecot, LDAP without a search.
    #[default]
    Silent,
    /// LDAP or SQL.
    Foreign(Box<Foreign>),
    /// Own users.
    Own(Box<OwnProof>),
}

impl PartialEq for Proof {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Proof {}

/// What becomes of a login that was granted earlier.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Standing {
    /// It would be granted again, and this is the account now.
    Holds(Box<Account>),
    /// It would not.
    Gone(DenyReason),
    /// The directory cannot be asked about it, or does not answer.
    Unknown,
}

impl Proof {
    /// Of one of the own users.
    pub(crate) fn own(proof: OwnProof) -> Self {
        Self {
            by: By::Own(Box::new(proof)),
        }
    }

    /// Of a password with this mark, if there is one.
    pub(crate) fn of_password(mark: Option<Mark>) -> Self {
        Self::of(Foreign {
            login: None,
            evidence: mark.map_or(Evidence::Unseen, Evidence::Password),
        })
    }

    /// The same of a directory that can be asked about this login again.
    pub(super) fn asked_about(self, login: &str) -> Self {
        Self::of(Foreign {
            login: Some(login.into()),
            ..self.foreign()
        })
    }

    /// The same, proved by a key.
    pub(super) fn by_key(self, kind: &KeyKind, key: &StoredKey) -> Self {
        Self::of(Foreign {
            evidence: Evidence::Key(kind.clone(), mark_of(key)),
            ..self.foreign()
        })
    }

    /// The same, proved by no password and by no key. Own users have said so themselves.
    pub(super) fn otherwise(self) -> Self {
        match self.by {
            By::Foreign(foreign) => Self::of(Foreign {
                evidence: Evidence::Unseen,
                ..*foreign
            }),
            by => Self { by },
        }
    }

    fn of(foreign: Foreign) -> Self {
        Self {
            by: By::Foreign(Box::new(foreign)),
        }
    }

    fn foreign(self) -> Foreign {
        match self.by {
            By::Foreign(foreign) => *foreign,
            By::Silent | By::Own(_) => Foreign::default(),
        }
    }

    /// The mark of the password that has proved it, if there is one.
    fn password(&self) -> Option<&Mark> {
        match &self.by {
            By::Foreign(foreign) => match &foreign.evidence {
                Evidence::Password(mark) => Some(mark),
                Evidence::Key(..) | Evidence::Unseen => None,
            },
            By::Silent | By::Own(_) => None,
        }
    }

    /// Whether the password of an account is another one now. Where nothing can be read any more, nothing is known.
    fn differs(&self, now: &Self) -> bool {
        matches!((self.password(), now.password()), (Some(then), Some(now)) if then != now)
    }

    /// Whether it is about an own user.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        matches!(self.by, By::Own(_))
    }

    /// When it ends by itself: the expiry of an app password.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        match &self.by {
            By::Own(proof) => proof.ends(),
            By::Silent | By::Foreign(_) => None,
        }
    }
}

/// The mark of a key.
fn mark_of(key: &StoredKey) -> Mark {
    let text = key.to_text();
    Mark::of([text.as_bytes()])
}

impl Directories {
    /// Finds out whether a login would be granted again to a client at `peer`, as far as that can be told without its password.
    pub async fn standing(&self, proof: &Proof, peer: Option<IpAddr>) -> Standing {
        match &proof.by {
            By::Silent => Standing::Unknown,
            By::Foreign(foreign) => match &foreign.login {
                Some(login) => {
                    self.standing_of_foreign(proof, login, &foreign.evidence, peer)
                        .await
                }
                None => Standing::Unknown,
            },
            By::Own(proof) => self.standing_of_own(proof, peer).await,
        }
    }

    async fn standing_of_foreign(
        &self,
        proof: &Proof,
        login: &str,
        evidence: &Evidence,
        peer: Option<IpAddr>,
    ) -> Standing {
        let account = match self.find_marked(login).await {
            PasswordVerdict::Granted(account) => account,
            PasswordVerdict::Denied(reason) => return Standing::Gone(reason),
            PasswordVerdict::Unavailable { .. } => return Standing::Unknown,
        };
        if proof.differs(&account.proof) {
            return Standing::Gone(DenyReason::PasswordChanged);
        }
        if let Evidence::Key(kind, then) = evidence {
            match self.lookup_key_from(login, kind, peer).await {
                KeyVerdict::Found { key, .. } if mark_of(&key) == *then => {}
                KeyVerdict::Found { .. } => return Standing::Gone(DenyReason::PasswordChanged),
                KeyVerdict::Denied(reason) => return Standing::Gone(reason),
                KeyVerdict::Unavailable { .. } => return Standing::Unknown,
            }
        }
        Standing::Holds(Box::new(Account {
            // What it was at the login, so that two changes are two changes.
            proof: proof.clone(),
            ..account
        }))
    }

    async fn standing_of_own(&self, proof: &OwnProof, peer: Option<IpAddr>) -> Standing {
        let (mut reason, mut outage) = (DenyReason::UnknownUser, false);
        for directory in &self.list {
            let Some(users) = directory.source.own_users() else {
                continue;
            };
            let begun = now();
            match directory.watch(users.standing(proof, peer).await, begun) {
                Ok(Finding::Granted(account)) => return Standing::Holds(Box::new(account)),
                Ok(Finding::Denied(denied) | Finding::DeniedTo(_, denied)) => reason = reason.max(denied),
                Err(_) => outage = true,
            }
        }
        if outage {
            Standing::Unknown
        } else {
            Standing::Gone(reason)
        }
    }

    /// A number that is another one after each change of own users by another process; `None` when it cannot be had without
    /// waiting. It costs a look at the file's state, no read.
    #[must_use]
    pub fn users_state(&self) -> Option<u64> {
        let mut state = 0_u64;
        for directory in &self.list {
            if let Some(users) = directory.source.own_users() {
                // Multiplied, so that two files cannot change places.
                state = state
                    .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                    .wrapping_add(users.state()?);
            }
        }
        Some(state)
    }
}
