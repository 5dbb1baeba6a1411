//! Whether a login of an own user still holds: the account is enabled, and what proved it still
//! exists.

use std::net::IpAddr;

use jiff::Timestamp;
use rusqlite::OptionalExtension;
use sha2::{Digest, Sha256};

use super::app_password::FoundAppPassword;
use super::directory::{Shared, Users, blocking};
use super::error::UserError;
use super::hash;
use super::proof::{By, Mark, OwnProof};
use super::record::Record;
use super::store::UserStore;
use crate::verdict::{DenyReason, Finding, Outage};

impl Mark {
    fn of(record: &Record) -> Self {
        Self {
            set_at: record.password_set_at,
            digest: Sha256::digest(&record.hash).into(),
            may_be_upgraded: !hash::is_current(&record.hash),
        }
    }

    /// Whether the account still has the same password.
    fn holds(&self, now: &Self) -> bool {
        self.set_at == now.set_at && (self.digest == now.digest || self.may_be_upgraded)
    }
}

impl OwnProof {
    pub(super) fn password(record: &Record) -> Self {
        Self {
            login: record.login.as_str().into(),
            by: By::Password(Mark::of(record)),
        }
    }

    pub(super) fn app_password(record: &Record, found: &FoundAppPassword) -> Self {
        let ends = found.expires_at.and_then(|at| Timestamp::from_second(at).ok());
        Self {
            login: record.login.as_str().into(),
            by: By::AppPassword {
                id: found.id,
                ends,
                scope: found.scope(),
            },
        }
    }

    pub(super) fn otherwise(record: &Record) -> Self {
        Self {
            login: record.login.as_str().into(),
            by: By::Otherwise,
        }
    }
}

impl Users {
    /// Whether the login would be granted again.
    pub(crate) async fn standing(&self, proof: &OwnProof, peer: Option<IpAddr>) -> Result<Finding, Outage> {
        let (shared, proof) = (self.shared.clone(), proof.clone());
        self.in_time(blocking(move || shared.stands(&proof, peer))).await
    }

    /// A number for the state of the file, if it can be read without waiting.
    pub(crate) fn state(&self) -> Option<u64> {
        self.shared.state()
    }
}

impl Shared {
    fn stands(&self, proof: &OwnProof, peer: Option<IpAddr>) -> Result<Finding, UserError> {
        let store = self.store()?;
        let Some(record) = store.record(&proof.login)? else {
            store.nobody()?;
            return Ok(Finding::Denied(DenyReason::UnknownUser));
        };
        let mut now = None;
        let refusal = match &proof.by {
            _ if !record.enabled => Some(DenyReason::Disabled),
            By::Otherwise => None,
            By::Password(mark) => (!mark.holds(&Mark::of(&record))).then_some(DenyReason::PasswordChanged),
            By::AppPassword { id, .. } => match store.app_password_of_id(&record.login, *id)? {
                Some(found) => {
                    now = Some(OwnProof::app_password(&record, &found));
                    found.refusal(true, Timestamp::now(), peer)
                }
                None => {
                    store.nobody()?;
                    Some(DenyReason::AppPasswordRevoked)
                }
            },
        };
        if let Some(reason) = refusal {
            return Ok(Finding::Denied(reason));
        }
        let by = match &proof.by {
            By::Password(_) => OwnProof::password(&record),
            By::Otherwise | By::AppPassword { .. } => now.unwrap_or_else(|| proof.clone()),
        };
        Ok(Finding::Granted(self.account(record, by)))
    }
}

impl UserStore {
    /// An app password of a login, in its stored form.
    fn app_password_of_id(&self, login: &str, id: i64) -> Result<Option<FoundAppPassword>, UserError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, label, expires_at, networks, last_used_at, last_used_from, scope FROM app_passwords \
             WHERE login = ?1 AND id = ?2",
        )?;
        let found = statement.query_row((login, id), FoundAppPassword::from_row);
        Ok(found.optional()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_hash_is_of_the_same_password() {
        let mark = |set_at, hash: &str| {
            Mark::of(&Record {
                login: "ann".into(),
                hash: hash.into(),
                password_set_at: set_at,
                enabled: true,
                addresses: Vec::new(),
                groups: Vec::new(),
                acts_for: Vec::new(),
            })
        };
        let argon2 = |salt: &str| format!("$argon2id$v=19$m=19456,t=2,p=1${salt}$c2FsdHNhbHRzYWx0c2FsdA");
        let (one, two) = (argon2("c2FsdHNhbHQ"), argon2("c2FsdHNhbHU"));
        #[rustfmt::skip]
        let cases = [
            ("unchanged",                             mark(1, &one),           mark(1, &one), true),
            ("set anew within the same second",       mark(1, &one),           mark(1, &two), false),
            ("set anew later",                        mark(1, &one),           mark(2, &two), false),
            ("a weak hash was replaced at its login", mark(1, "{SSHA}AAAA"),   mark(1, &one), true),
            ("it was set anew instead",               mark(1, "{SSHA}AAAA"),   mark(2, &one), false),
            ("a strong hash became a weak one",       mark(1, &one),           mark(1, "{SSHA}AAAA"), false),
        ];
        for (shows, then, now, want) in cases {
            assert_eq!(then.holds(&now), want, "{shows}");
        }
    }
}
