//! Questions without a password: for the key of a login, and for the account of a login that was proved otherwise.

use std::net::IpAddr;

use postern_sasl::StoredKey;

use super::{Directories, Directory, Kind, TEXT_MAX};
use crate::keys::{KeyFinding, KeyKind, KeyVerdict};
use crate::verdict::{DenyReason, Finding, Outage, PasswordVerdict};

impl Directories {
    /// Whether any directory keeps keys of this kind, so that a mechanism that needs them can be offered.
    #[must_use]
    pub fn keeps(&self, kind: &KeyKind) -> bool {
        self.list.iter().any(|directory| directory.keeps(kind))
    }

    /// Finds the key of a login.
    ///
    /// As with passwords, the first directory that knows the login decides, and one that cannot be asked is passed over.
    /// But each is asked in any case: here nothing has been proved yet, and a stranger who could see which one
    /// answered would learn who exists.
    pub async fn lookup_key(&self, login: &str, kind: &KeyKind) -> KeyVerdict {
        self.lookup_key_from(login, kind, None).await
    }

    /// The same for a client at `peer`: the key of an app password, `LOGIN#LABEL`, may be for certain networks alone.
    pub async fn lookup_key_from(&self, login: &str, kind: &KeyKind, peer: Option<IpAddr>) -> KeyVerdict {
        if !is_login(login) {
            return KeyVerdict::Denied(DenyReason::Malformed);
        }
        let (mut found, mut denied, mut outage, mut decided) = (None, None, None, false);
        for directory in self.list.iter().filter(|directory| directory.keeps(kind)) {
            match directory.lookup_key(login, kind, peer).await {
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

    /// Takes note of a login that a key has proved, as the client typed its name: the use of an app password is written down.
    pub async fn note_key_login(&self, login: &str, peer: Option<IpAddr>) {
        for directory in &self.list {
            if let Kind::Users(users) = &directory.kind {
                users.note_key_login(login, peer).await;
            }
        }
    }

    /// Finds the account of a login that proved itself by other means than a password, such as a certificate.
    ///
    /// Own users, LDAP and SQL can be asked that, saslauthd and Dovecot cannot. Whether an account of LDAP is locked is read
    /// from its entry, as far as the entry tells.
    pub async fn find_account(&self, login: &str) -> PasswordVerdict {
        if !is_login(login) {
            return PasswordVerdict::Denied(DenyReason::Malformed);
        }
        let (mut denied, mut outage) = (DenyReason::UnknownUser, None);
        for directory in &self.list {
            match directory.find_account(login).await {
                Ok(Finding::Granted(account)) => return PasswordVerdict::Granted(account),
                Ok(Finding::Denied(reason)) if reason.decides() => {
                    return PasswordVerdict::Denied(reason);
                }
                Ok(Finding::Denied(reason)) => denied = denied.max(reason),
                Err(error) => outage = outage.or(Some(error.reason)),
            }
        }
        // Nothing was guessed at.
        let unavailable = |reason| PasswordVerdict::Unavailable { reason, wrong: false };
        outage.map_or(PasswordVerdict::Denied(denied), unavailable)
    }
}

impl Directory {
    fn keeps(&self, kind: &KeyKind) -> bool {
        match &self.kind {
            Kind::Users(users) => users.keeps(kind),
            Kind::Ldap(ldap) => ldap.keeps(kind),
            Kind::Sql(sql) => sql.keeps(kind),
            _ => false,
        }
    }

    async fn lookup_key(
        &self,
        login: &str,
        kind: &KeyKind,
        peer: Option<IpAddr>,
    ) -> Result<KeyFinding, Outage> {
        let found = match &self.kind {
            Kind::Users(users) => users.lookup_key(login, kind, peer).await,
            Kind::Ldap(ldap) => ldap.lookup_key(login, kind).await,
            Kind::Sql(sql) => sql.lookup_key(login, kind).await,
            _ => Ok(KeyFinding::Denied(DenyReason::UnknownUser)),
        };
        self.watch(found)
    }

    pub(super) async fn find_account(&self, login: &str) -> Result<Finding, Outage> {
        let found = match &self.kind {
            Kind::Users(users) => users.find_account(login).await,
            Kind::Ldap(ldap) => ldap.find_account(login).await,
            Kind::Sql(sql) => sql.find_account(login).await,
            _ => return Ok(Finding::Denied(DenyReason::UnknownUser)),
        };
        self.watch(found)
    }
}

/// Whether a directory can be asked about this text.
fn is_login(login: &str) -> bool {
    !login.is_empty() && login.len() <= TEXT_MAX && !login.chars().any(char::is_control)
}
