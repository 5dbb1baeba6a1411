//! Logins with one app password: `ann@relay.test#phone`.
//!
//! A mechanism that never shows the password must know which one is meant before anything is proved. The label after `#`
//! says so. Such a login works with the app password only: the user's own password is not accepted, so that nobody gets
//! more tries at it by inventing labels.

use std::net::IpAddr;

use jiff::Timestamp;
use postern_sasl::StoredKey;
use rusqlite::{OptionalExtension, params};
use secrecy::SecretString;

use super::app_keys::{insert, mechanisms_of};
use super::app_password::{FoundAppPassword, as_shown};
use super::directory::{Shared, Users};
use super::error::UserError;
use super::label::{join, split};
use super::proof::OwnProof;
use super::record::Record;
use super::store::UserStore;
use crate::keys::KeyKind;
use crate::verdict::{DenyReason, KeyFinding};

impl UserStore {
    fn app_password_key(&self, id: i64, kind: &KeyKind) -> Result<Option<StoredKey>, UserError> {
        let connection = self.lock();
        let sql = "SELECT value FROM app_password_keys WHERE app_password = ?1 AND mechanism = ?2";
        let mut statement = connection.prepare_cached(sql)?;
        let text: Option<String> = statement
            .query_row(params![id, kind.name()], |row| row.get(0))
            .optional()?;
        let key = text.and_then(|text| StoredKey::from_text(&text).ok());
        Ok(key.filter(|key| KeyKind::of(key) == *kind))
    }

    /// The user and app password of a login with a label.
    fn labelled(&self, login: &str) -> Result<Option<(Record, FoundAppPassword)>, UserError> {
        let Some((owner, label)) = split(login) else {
            return Ok(None);
        };
        let Some(record) = self.record(owner)? else {
            return Ok(None);
        };
        let found = self.app_password_of_label(&record.login, label)?;
        Ok(found.map(|found| (record, found)))
    }
}

impl Shared {
    /// The key of a login with a label.
    pub(super) fn labelled_key(
        &self,
        store: &UserStore,
        login: &str,
        kind: &KeyKind,
        peer: Option<IpAddr>,
    ) -> Result<KeyFinding, UserError> {
        let Some((record, found)) = store.labelled(login)? else {
            store.nobody()?;
            return Ok(KeyFinding::Denied(DenyReason::UnknownUser));
        };
        if let Some(reason) = found.refusal(record.enabled, Timestamp::now(), peer) {
            return Ok(KeyFinding::Denied(reason));
        }
        let proof = OwnProof::app_password(&record, &found);
        Ok(match store.app_password_key(found.id, kind)? {
            Some(key) => KeyFinding::Found {
                account: self.account(record, proof),
                key,
            },
            None => KeyFinding::Denied(DenyReason::NoKey),
        })
    }

    /// Derives the missing keys of an app password that was shown. A failure does not affect this login.
    pub(super) fn upgrade_app_password(&self, login: &str, found: (i64, &str), password: &SecretString) {
        let (id, label) = found;
        let upgraded = UserStore::open_existing(&self.settings.database).and_then(|store| {
            let there = mechanisms_of(&store.lock(), id)?;
            let lacking = |kind: &&KeyKind| !there.iter().any(|name| name == kind.name());
            let kinds: Vec<KeyKind> = self.settings.keys.kinds.iter().filter(lacking).cloned().collect();
            let Some(shown) = as_shown(password) else {
                return Ok(());
            };
            let keys = self
                .settings
                .keys
                .derive_kinds(&kinds, &join(login, label), &shown);
            if keys.is_empty() {
                return Ok(());
            }
            store.change(|transaction| Ok(insert(transaction, id, &keys)?))
        });
        if let Err(error) = upgraded {
            self.keys_not_upgraded(login, Some(label), &error);
        }
    }
}

impl Users {
    /// Records the use of an app password, if a login by key was made with one.
    pub(crate) async fn note_key_login(&self, login: &str, peer: Option<IpAddr>) {
        if split(login).is_none() {
            return;
        }
        let (shared, login) = (self.shared.clone(), login.to_owned());
        let noted = tokio::task::spawn_blocking(move || {
            let store = shared.store()?;
            // If a user has this very login, it is not an app password.
            if store.record(&login)?.is_none()
                && let Some((_, found)) = store.labelled(&login)?
            {
                shared.note_use(found.used(Timestamp::now(), peer));
            }
            Ok::<_, UserError>(())
        });
        if let Ok(Err(error)) = noted.await {
            self.shared.use_not_noted(&error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_with_labels() {
        let cases = [
            (
                "ann@relay.test#phone",
                Some(("ann@relay.test", "phone")),
                "as it is meant",
            ),
            (
                "ann#my phone",
                Some(("ann", "my phone")),
                "a bare login, a blank in the label",
            ),
            ("a#b#c", Some(("a#b", "c")), "split at the last one"),
            ("ann@relay.test", None, "no label"),
            ("ann#", None, "an empty one"),
            ("#phone", None, "nobody's"),
        ];
        for (login, want, shows) in cases {
            assert_eq!(split(login), want, "{shows}");
        }
    }
}
