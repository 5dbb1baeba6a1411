//! Whether a login that a directory has granted would be granted again.

use std::net::IpAddr;

use super::Directories;
use crate::proof::{By, Evidence, Proof, mark_of};
use crate::time::now;
use crate::users::OwnProof;
use crate::verdict::{Account, DenyReason, Finding, KeyVerdict, PasswordVerdict};

/// The state of a login that was granted earlier.
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
            // Compared with the state at login, so that two changes count as two.
            proof: proof.clone(),
            ..account
        }))
    }

    async fn standing_of_own(&self, proof: &OwnProof, peer: Option<IpAddr>) -> Standing {
        let (mut reason, mut outage) = (DenyReason::UnknownUser, false);
        for directory in &self.list {
            let Some(users) = directory.own_users.as_deref() else {
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

    /// A number that changes with each change of own users by another process; `None` if it cannot be read without waiting.
    /// Costs one check of the file's state, no read.
    #[must_use]
    pub fn users_state(&self) -> Option<u64> {
        let mut state = 0_u64;
        for directory in &self.list {
            if let Some(users) = directory.own_users.as_deref() {
                // Multiplied, so that swapping two files is noticed.
                state = state
                    .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                    .wrapping_add(users.state()?);
            }
        }
        Some(state)
    }
}
