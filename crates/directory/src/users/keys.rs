//! Stored keys of own users: derived when a password is set, and afterwards at a login that shows it.

use postern_events::notice;
use postern_sasl::StoredKey;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use secrecy::SecretString;

use super::directory::{Shared, Users};
use super::error::UserError;
use super::record::Record;
use super::store::UserStore;
use crate::keys::KeyKind;
use crate::verdict::Outage;

/// Replaces all the account's keys with these: the old password is gone.
pub(super) fn replace(
    transaction: &Transaction<'_>,
    login: &str,
    keys: &[StoredKey],
) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM keys WHERE login = ?1", [login])?;
    insert(transaction, login, keys)
}

fn insert(transaction: &Transaction<'_>, login: &str, keys: &[StoredKey]) -> rusqlite::Result<()> {
    for key in keys {
        transaction.execute(
            "INSERT OR REPLACE INTO keys (login, mechanism, value) VALUES (?1, ?2, ?3)",
            params![login, KeyKind::of(key).name(), key.to_text().as_str()],
        )?;
    }
    Ok(())
}

/// The kinds of keys that an account has.
pub(super) fn kinds_of(connection: &Connection, login: &str) -> Result<Vec<KeyKind>, UserError> {
    Ok(all_of(connection, login)?.iter().map(KeyKind::of).collect())
}

/// A key that cannot be read counts as missing: the next upgrade repairs it.
fn all_of(connection: &Connection, login: &str) -> Result<Vec<StoredKey>, UserError> {
    let mut statement =
        connection.prepare_cached("SELECT value FROM keys WHERE login = ?1 ORDER BY mechanism")?;
    let texts = statement.query_map([login], |row| row.get::<_, String>(0))?;
    let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
    Ok(texts
        .iter()
        .filter_map(|text| StoredKey::from_text(text).ok())
        .collect())
}

impl UserStore {
    /// One key of an account.
    pub(super) fn key(&self, login: &str, kind: &KeyKind) -> Result<Option<StoredKey>, UserError> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT value FROM keys WHERE login = ?1 AND mechanism = ?2")?;
        let text: Option<String> = statement
            .query_row([login, kind.name()], |row| row.get(0))
            .optional()?;
        let key = text.and_then(|text| StoredKey::from_text(&text).ok());
        Ok(key.filter(|key| KeyKind::of(key) == *kind))
    }

    /// Adds keys of a password, unless it was changed since `hash` was read.
    fn add_keys(&self, login: &str, hash: &str, keys: &[StoredKey]) -> Result<(), UserError> {
        self.change(|transaction| {
            let sql = "SELECT EXISTS (SELECT 1 FROM users WHERE login = ?1 AND password = ?2)";
            if transaction.query_row(sql, [login, hash], |row| row.get(0))? {
                insert(transaction, login, keys)?;
            }
            Ok(())
        })
    }
}

impl Users {
    pub(super) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Outage>>,
    ) -> Result<T, Outage> {
        let timeout = self.shared.settings.timeout;
        tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| {
            Err(Outage::new(format!(
                "no answer within {} ms",
                timeout.as_millis()
            )))
        })
    }
}

impl Shared {
    /// Derives the keys that an account lacks from a password that was verified. If they cannot be written, the next
    /// login tries again: this one has succeeded.
    pub(super) fn upgrade_keys(&self, record: &Record, password: &SecretString) {
        let policy = &self.settings.keys;
        if !self.settings.upgrade_keys || policy.kinds.is_empty() {
            return;
        }
        if let Err(error) = self.try_upgrade_keys(record, password) {
            self.keys_not_upgraded(&record.login, None, &error);
        }
    }

    fn try_upgrade_keys(&self, record: &Record, password: &SecretString) -> Result<(), UserError> {
        let policy = &self.settings.keys;
        let store = self.store()?;
        let lacking = policy.lacking(&all_of(&store.lock(), &record.login)?);
        let keys = policy.derive_kinds(&lacking, &record.login, password);
        if keys.is_empty() {
            return Ok(());
        }
        store.add_keys(&record.login, &record.hash, &keys)?;
        let names: Vec<&str> = lacking.iter().map(KeyKind::name).collect();
        notice!(
            self.observers,
            Directory Info "keys upgraded",
            Login = record.login,
            Keys = names.join(" "),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use postern_sasl::ScramHash;

    use super::super::key_policy::KeyPolicy;
    use super::*;

    #[test]
    fn what_is_lacking() {
        let digest = |realm: &str| KeyKind::Digest { realm: realm.into() };
        let policy = KeyPolicy {
            kinds: vec![
                KeyKind::Cram,
                digest("a.example"),
                KeyKind::Scram(ScramHash::Sha256),
            ],
            iterations: 5_000,
        };
        let password = SecretString::from("pencil");
        let made = |kind: &KeyKind, iterations| kind.derive("u", &password, iterations).unwrap();
        let all: Vec<StoredKey> = policy.derive("u", &password);
        assert_eq!(all.len(), 3);
        assert_eq!(policy.lacking(&all), [], "all there");
        assert_eq!(policy.lacking(&[]), policy.kinds, "nothing there");
        let old = [
            made(&KeyKind::Cram, 0),
            made(&digest("b.example"), 0),
            made(&policy.kinds[2], 4_096),
        ];
        assert_eq!(
            policy.lacking(&old),
            policy.kinds[1..],
            "another realm, and fewer iterations"
        );
    }

    #[test]
    fn a_password_that_saslprep_refuses_has_no_scram_keys() {
        let policy = KeyPolicy {
            kinds: vec![KeyKind::Cram, KeyKind::Scram(ScramHash::Sha1)],
            ..KeyPolicy::default()
        };
        let keys = policy.derive("u", &SecretString::from("bell\u{7}"));
        assert_eq!(keys.iter().map(KeyKind::of).collect::<Vec<_>>(), [KeyKind::Cram]);
    }
}
