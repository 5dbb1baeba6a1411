//! Queries without a password: for the key of a login, and for the account of a login proved by other means.

use std::net::IpAddr;
use std::sync::Arc;

use postern_mail::normal_login;
use postern_sasl::StoredKey;

use super::spelling::is_other_spelling;
use super::{Directories, Directory, TEXT_MAX};
use crate::keys::KeyKind;
use crate::proof::Proof;
use crate::time::now;
use crate::verdict::{Account, DenyReason, Finding, KeyFinding, KeyVerdict, Outage, PasswordVerdict};
use crate::workers::Asker;

impl Directories {
    /// Whether any directory keeps keys of this kind, so that a mechanism that needs them can be offered.
    #[must_use]
    pub fn keeps(&self, kind: &KeyKind) -> bool {
        self.list.iter().any(|directory| directory.keeps(kind))
    }

    /// Finds the key of a login.
    ///
    /// As with passwords, the first directory that knows the login decides, and one that cannot be asked is skipped. But all are
    /// asked in every case: nothing has been proved yet, and a stranger who could see which one answered would learn who exists.
    pub async fn lookup_key(&self, login: &str, kind: &KeyKind) -> KeyVerdict {
        self.lookup_key_from(login, kind, None).await
    }

    /// The same for a client at `peer`: the key of an app password, `LOGIN#LABEL`, may be limited to certain networks.
    pub async fn lookup_key_from(&self, login: &str, kind: &KeyKind, peer: Option<IpAddr>) -> KeyVerdict {
        self.find_key(login, kind, &Asker::at(peer)).await
    }

    /// The same for an asker that may need a worker's turn, where keys are derived on the fly. The directories are asked in the
    /// login's normal form, and an account with a different spelling does not count: see [`DenyReason::OtherSpelling`].
    pub async fn find_key(&self, login: &str, kind: &KeyKind, asker: &Asker) -> KeyVerdict {
        let Some(login) = normal(login) else {
            return KeyVerdict::Denied(DenyReason::Malformed);
        };
        let (mut found, mut denied, mut outage, mut decided) = (None, None, None, false);
        for directory in self.list.iter().filter(|directory| directory.keeps(kind)) {
            let finding = match directory.may_be_asked() {
                Ok(()) => directory.lookup_key(&login, kind, asker).await,
                Err(down) => Err(down),
            };
            match finding {
                Ok(KeyFinding::Found { account, .. }) if is_other_spelling(&login, &account) => {
                    denied = denied.max(Some(DenyReason::OtherSpelling));
                }
                Ok(KeyFinding::Found { account, key }) => {
                    if let StoredKey::Scram(keys) = &key {
                        self.shapes.note(keys.hash(), keys.shape());
                    }
                    if !decided {
                        (found, decided) = (Some((account, key)), true);
                    }
                }
                Ok(KeyFinding::Denied(_)) if decided => {}
                Ok(KeyFinding::Denied(reason)) => {
                    denied = denied.max(Some(reason));
                    decided = reason.decides();
                }
                Err(error) => outage = outage.or(Some(error.reason)),
            }
        }
        match (found, outage) {
            (Some((account, key)), outage) => KeyVerdict::Found { account, key, outage },
            (None, Some(reason)) => KeyVerdict::Unavailable {
                reason,
                answered: denied.is_some(),
            },
            (None, None) => KeyVerdict::Denied(denied.unwrap_or(DenyReason::UnknownUser)),
        }
    }

    /// Records a login that was proved by a key, with the name as the client typed it: the use of an app password is recorded.
    pub async fn note_key_login(&self, login: &str, peer: Option<IpAddr>) {
        for directory in &self.list {
            if let Some(users) = &directory.own_users {
                let login = normal(login).unwrap_or_default();
                users.note_key_login(&login, peer).await;
            }
        }
    }

    /// Finds the account of a login that was proved by other means than a password, such as a certificate.
    ///
    /// Own users, LDAP and SQL support this, saslauthd and Dovecot do not. Whether an LDAP account is locked is read from its
    /// entry, as far as the entry shows it.
    pub async fn find_account(&self, login: &str) -> PasswordVerdict {
        match self.find_marked(login).await {
            PasswordVerdict::Granted(account) => PasswordVerdict::Granted(Account {
                proof: account.proof.clone().otherwise(),
                ..account
            }),
            verdict => verdict,
        }
    }

    /// Whether there is a user of this name, whatever becomes of a login; `None` where a directory cannot tell, or does not answer.
    pub async fn login_exists(&self, login: &str) -> Option<bool> {
        match self.find_marked(login).await {
            PasswordVerdict::Denied(DenyReason::UnknownUser | DenyReason::Malformed) => {
                let all_tell = self.list.iter().all(|one| one.source.finds_accounts());
                all_tell.then_some(false)
            }
            PasswordVerdict::Granted(_) | PasswordVerdict::Denied(_) => Some(true),
            PasswordVerdict::Unavailable { .. } => None,
        }
    }

    /// The same, with the mark of its password where the directory shows anything of it.
    pub(super) async fn find_marked(&self, login: &str) -> PasswordVerdict {
        let Some(login) = normal(login) else {
            return PasswordVerdict::Denied(DenyReason::Malformed);
        };
        let (mut denied, mut outage) = (DenyReason::UnknownUser, None);
        for directory in &self.list {
            let finding = match directory.may_be_asked() {
                Ok(()) => directory.find_account(&login).await,
                Err(down) => Err(down),
            };
            match finding {
                Ok(Finding::Granted(account)) => return PasswordVerdict::Granted(account),
                Ok(Finding::Denied(reason) | Finding::DeniedTo(_, reason)) if reason.decides() => {
                    return PasswordVerdict::Denied(reason);
                }
                Ok(Finding::Denied(reason) | Finding::DeniedTo(_, reason)) => denied = denied.max(reason),
                Err(error) => outage = outage.or(Some(error.reason)),
            }
        }
        // This is no password guess.
        let unavailable = |reason| PasswordVerdict::Unavailable { reason, wrong: false };
        outage.map_or(PasswordVerdict::Denied(denied), unavailable)
    }
}

impl Directory {
    fn keeps(&self, kind: &KeyKind) -> bool {
        self.source.keeps(kind)
    }

    async fn lookup_key(&self, login: &str, kind: &KeyKind, asker: &Asker) -> Result<KeyFinding, Outage> {
        let begun = now();
        let found = self.source.lookup_key(login, kind, asker).await;
        let found = found.map(|finding| match finding {
            KeyFinding::Found { account, key } => {
                let account = self.with_proof(account, login);
                let proof = match self.own_users {
                    Some(_) => account.proof.clone(),
                    None => account.proof.clone().by_key(kind, &key),
                };
                KeyFinding::Found {
                    account: Account { proof, ..account },
                    key,
                }
            }
            denied => denied,
        });
        self.watch(found, begun)
    }

    pub(super) async fn find_account(&self, login: &str) -> Result<Finding, Outage> {
        if !self.source.finds_accounts() {
            return Ok(Finding::Denied(DenyReason::UnknownUser));
        }
        let begun = now();
        let found = self.source.find_account(login).await;
        self.watch(self.proved(found, login), begun)
    }

    /// Records how a login was proved.
    pub(super) fn proved(&self, found: Result<Finding, Outage>, login: &str) -> Result<Finding, Outage> {
        found.map(|finding| match finding {
            Finding::Granted(account) => Finding::Granted(self.with_proof(account, login)),
            denied => denied,
        })
    }

    /// Own users have set it themselves.
    fn with_proof(&self, account: Account, login: &str) -> Account {
        let directory = Some(Arc::new(self.name.clone()));
        if self.own_users.is_some() {
            return Account { directory, ..account };
        }
        let proof = if self.source.finds_accounts() {
            account.proof.clone().asked_about(login)
        } else {
            Proof::default()
        };
        Account {
            proof,
            directory,
            ..account
        }
    }
}

/// The form in which directories are asked; `None` for a text that cannot be looked up.
fn normal(login: &str) -> Option<String> {
    let is_sound = login.len() <= TEXT_MAX && !login.chars().any(char::is_control);
    is_sound.then(|| normal_login(login).ok()).flatten()
}
