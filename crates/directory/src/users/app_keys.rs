//! Keys of app passwords, as rows of the file.

use postern_sasl::StoredKey;
use rusqlite::{Connection, Transaction, params};

use super::error::UserError;
use crate::keys::KeyKind;

/// The names of the mechanisms that an app password has keys for.
pub(super) fn mechanisms_of(connection: &Connection, id: i64) -> Result<Vec<String>, UserError> {
    let sql = "SELECT mechanism FROM app_password_keys WHERE app_password = ?1 ORDER BY mechanism";
    let mut statement = connection.prepare_cached(sql)?;
    let names = statement.query_map([id], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Adds keys of an app password.
pub(super) fn insert(transaction: &Transaction<'_>, id: i64, keys: &[StoredKey]) -> rusqlite::Result<()> {
    for key in keys {
        transaction.execute(
            "INSERT OR REPLACE INTO app_password_keys (app_password, mechanism, value) VALUES (?1, ?2, ?3)",
            params![id, KeyKind::of(key).name(), key.to_text().as_str()],
        )?;
    }
    Ok(())
}
