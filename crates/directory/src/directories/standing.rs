//! Whether an account that a directory has granted a login would be granted it again.

use std::net::IpAddr;
use std::time::Instant;

use jiff::Timestamp;

use super::{Directories, Kind};
use crate::users::OwnProof;
use crate::verdict::{Account, DenyReason, Finding, PasswordVerdict};

/// By what a directory granted a login, so that it can be asked about it again. There is no secret in it.
///
/// It tells how an account was come by, not which one it is: as parts of accounts, any two are equal.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    by: By,
}

#[derive(Clone, Debug, Default)]
enum By {
    /// A directory that says nothing without a password: saslauthd, PAM, Dovecot, LDAP without a search.
    #[default]
    Silent,
    /// LDAP or SQL, by this name.
    Foreign(Box<str>),
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

    /// Of a directory that can be asked about this login again.
    pub(crate) fn foreign(login: &str) -> Self {
        Self {
            by: By::Foreign(login.into()),
        }
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

impl Directories {
    /// Finds out whether a login would be granted again to a client at `peer`, as far as that can be told without its password.
    pub async fn standing(&self, proof: &Proof, peer: Option<IpAddr>) -> Standing {
        match &proof.by {
            By::Silent => Standing::Unknown,
            By::Foreign(login) => match self.find_account(login).await {
                PasswordVerdict::Granted(account) => Standing::Holds(Box::new(account)),
                PasswordVerdict::Denied(reason) => Standing::Gone(reason),
                PasswordVerdict::Unavailable { .. } => Standing::Unknown,
            },
            By::Own(proof) => self.standing_of_own(proof, peer).await,
        }
    }

    async fn standing_of_own(&self, proof: &OwnProof, peer: Option<IpAddr>) -> Standing {
        let (mut reason, mut outage) = (DenyReason::UnknownUser, false);
        for directory in &self.list {
            let Kind::Users(users) = &directory.kind else {
                continue;
            };
            let begun = Instant::now();
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
            if let Kind::Users(users) = &directory.kind {
                // Multiplied, so that two files cannot change places.
                state = state
                    .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                    .wrapping_add(users.state()?);
            }
        }
        Some(state)
    }
}
