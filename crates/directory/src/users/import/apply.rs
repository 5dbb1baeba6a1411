//! Imports entries into the file of own users.

use jiff::Timestamp;
use postern_sasl::StoredKey;
use rusqlite::{Transaction, params};

use super::Imported;
use super::line::{Entry, Password};
use crate::users::error::UserError;
use crate::users::store::{UserStore, canonical, check_login, login_exists, owner_of};
use crate::users::{hash, keys};

impl UserStore {
    /// Imports accounts, all in one transaction. Cleartext passwords are hashed first, on all processors, and also yield the
    /// keys of the enabled mechanisms.
    ///
    /// An existing account is kept, or gets the password and state of the entry if `replace` says so; its addresses and app
    /// passwords stay.
    ///
    /// # Errors
    ///
    /// Failures of the database, after which nothing of this call is imported. What is wrong with one entry is in its own
    /// result: [`UserError::AddressTaken`] if the login is another account's address.
    pub fn import(
        &self,
        entries: &[Entry],
        replace: bool,
    ) -> Result<Vec<Result<Imported, UserError>>, UserError> {
        let hashes = self.hash_all(entries);
        let now = Timestamp::now().as_second();
        let mut results = Vec::with_capacity(entries.len());
        self.change(|transaction| {
            for (entry, hash) in entries.iter().zip(hashes) {
                results.push(match hash {
                    Ok(made) => import_one(transaction, entry, &made, replace, now),
                    Err(error) => Err(UserError::Hash(error)),
                });
                if let Some(Err(UserError::Database(_))) = results.last()
                    && let Some(Err(error)) = results.pop()
                {
                    return Err(error);
                }
            }
            Ok(())
        })?;
        Ok(results)
    }

    /// The hash and the keys of each entry, made if its password is in cleartext.
    fn hash_all(&self, entries: &[Entry]) -> Vec<Result<Made, String>> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let share = entries.len().div_ceil(threads).max(1);
        let one = |entry: &Entry| match &entry.password {
            Password::Hash(hash) => Ok(Made {
                hash: hash.clone(),
                keys: self.keys_in(hash),
            }),
            Password::Clear(clear) => Ok(Made {
                hash: hash::make(clear)?,
                keys: self.derive_keys(&canonical(&entry.login), clear),
            }),
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = entries
                .chunks(share)
                .map(|chunk| {
                    (
                        chunk.len(),
                        scope.spawn(move || chunk.iter().map(one).collect::<Vec<_>>()),
                    )
                })
                .collect();
            let join = |(len, worker): (usize, std::thread::ScopedJoinHandle<'_, Vec<_>>)| {
                worker
                    .join()
                    .unwrap_or_else(|_| (0..len).map(|_| Err("hashing failed".to_owned())).collect())
            };
            workers.into_iter().flat_map(join).collect()
        })
    }
}

/// What is stored for a password.
struct Made {
    hash: String,
    keys: Vec<StoredKey>,
}

fn import_one(
    transaction: &Transaction<'_>,
    entry: &Entry,
    made: &Made,
    replace: bool,
    now: i64,
) -> Result<Imported, UserError> {
    let login = check_login(&entry.login)?;
    if login_exists(transaction, &login)? {
        if !replace {
            return Ok(Imported::Kept);
        }
        let sql = "UPDATE users SET password = ?2, enabled = ?3, password_set_at = ?4 WHERE login = ?1";
        transaction.execute(sql, params![login, made.hash, entry.enabled, now])?;
        // Keys of the previous password must not outlive it; if there are no new ones, the next login makes them.
        keys::replace(transaction, &login, &made.keys)?;
        return Ok(Imported::Replaced);
    }
    if owner_of(transaction, &login)?.is_some() {
        return Err(UserError::AddressTaken(login));
    }
    let sql = "INSERT INTO users (login, password, enabled, created_at, password_set_at) VALUES (?1, ?2, ?3, ?4, ?4)";
    transaction.execute(sql, params![login, made.hash, entry.enabled, now])?;
    keys::replace(transaction, &login, &made.keys)?;
    Ok(Imported::Added)
}
