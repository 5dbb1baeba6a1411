//! Accounts in the file of own users, for the program's command line and for the directory.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use secrecy::SecretString;

use super::error::UserError;
use super::hash;
use super::identity::{check_group, delegates_of, groups_of, owners_of, put_into_group};
use super::keys;
use super::record::{Record, User};
use super::store::{
    UserStore, addresses_of, canonical, check_address, check_login, check_password, login_exists, owner_of,
};

impl UserStore {
    /// Makes an account with these further addresses.
    ///
    /// # Errors
    ///
    /// [`UserError::Exists`], [`UserError::AddressTaken`], the errors for invalid texts, and failures of the database.
    pub fn add(&self, login: &str, password: &SecretString, addresses: &[String]) -> Result<(), UserError> {
        self.add_in_groups(login, password, addresses, &[])
    }

    /// Makes an account with these further addresses, in these groups.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add), and [`UserError::BadGroup`].
    pub fn add_in_groups(
        &self,
        login: &str,
        password: &SecretString,
        addresses: &[String],
        groups: &[String],
    ) -> Result<(), UserError> {
        let login = check_login(login)?;
        let groups = groups
            .iter()
            .map(|group| check_group(group))
            .collect::<Result<Vec<_>, _>>()?;
        let addresses = addresses
            .iter()
            .map(|text| check_address(text))
            .collect::<Result<Vec<_>, _>>()?;
        check_password(password)?;
        let hash = hash::make(password).map_err(UserError::Hash)?;
        let keys = self.keys.derive(&login, password);
        let now = Timestamp::now().as_second();
        self.change(|transaction| {
            if login_exists(transaction, &login)? {
                return Err(UserError::Exists(login.clone()));
            }
            if owner_of(transaction, &login)?.is_some() {
                return Err(UserError::AddressTaken(login.clone()));
            }
            transaction.execute(
                "INSERT INTO users (login, password, enabled, created_at, password_set_at) VALUES (?1, ?2, 1, ?3, ?3)",
                params![login, hash, now],
            )?;
            keys::replace(transaction, &login, &keys)?;
            for address in addresses.iter().filter(|&address| *address != login) {
                match owner_of(transaction, address)? {
                    Some(owner) if owner == login => continue,
                    Some(_) => return Err(UserError::AddressTaken(address.clone())),
                    None => {}
                }
                transaction
                    .execute("INSERT INTO addresses (address, login) VALUES (?1, ?2)", params![address, login])?;
            }
            groups
                .iter()
                .try_for_each(|group| put_into_group(transaction, &login, group))
        })
    }

    /// Sets an account's password. Sessions logged in with the old one end at once.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], [`UserError::BadPassword`], and failures of the database.
    pub fn set_password(&self, login: &str, password: &SecretString) -> Result<(), UserError> {
        check_password(password)?;
        let hash = hash::make(password).map_err(UserError::Hash)?;
        let now = Timestamp::now().as_second();
        let sql = "UPDATE users SET password = ?2, password_set_at = ?3 WHERE login = ?1";
        let keys = self.keys.derive(&canonical(login), password);
        self.change_one(login, |transaction, login| {
            let changed = transaction.execute(sql, params![login, hash, now])?;
            if changed > 0 {
                keys::replace(transaction, login, &keys)?;
            }
            Ok(changed)
        })
    }

    /// Switches an account off: it keeps its mail and may not log in.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], and failures of the database.
    pub fn disable(&self, login: &str) -> Result<(), UserError> {
        let sql = "UPDATE users SET enabled = 0 WHERE login = ?1";
        self.change_one(login, |transaction, login| transaction.execute(sql, [login]))
    }

    /// Switches an account on again.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], and failures of the database.
    pub fn enable(&self, login: &str) -> Result<(), UserError> {
        let sql = "UPDATE users SET enabled = 1 WHERE login = ?1";
        self.change_one(login, |transaction, login| transaction.execute(sql, [login]))
    }

    /// Removes an account and its addresses.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], and failures of the database.
    pub fn remove(&self, login: &str) -> Result<(), UserError> {
        let sql = "DELETE FROM users WHERE login = ?1";
        self.change_one(login, |transaction, login| transaction.execute(sql, [login]))
    }

    /// All accounts, by login.
    ///
    /// # Errors
    ///
    /// Failures of the database.
    pub fn list(&self) -> Result<Vec<User>, UserError> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached(
            "SELECT login, enabled, created_at, password_set_at, password FROM users ORDER BY login",
        )?;
        let users = statement
            .query_map([], user_from_row)?
            .collect::<Result<Vec<_>, _>>()?;
        users
            .into_iter()
            .map(|user| with_the_rest(&connection, user))
            .collect()
    }

    /// One account.
    ///
    /// # Errors
    ///
    /// Failures of the database.
    pub fn get(&self, login: &str) -> Result<Option<User>, UserError> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached(
            "SELECT login, enabled, created_at, password_set_at, password FROM users WHERE login = ?1",
        )?;
        let user = statement
            .query_row([canonical(login)], user_from_row)
            .optional()?;
        user.map(|user| with_the_rest(&connection, user)).transpose()
    }

    /// Whether this is the account's password; also `false` for an account that is disabled or missing. Takes the same
    /// time in every case.
    ///
    /// # Errors
    ///
    /// Failures of the database.
    pub fn verify(&self, login: &str, password: &SecretString) -> Result<bool, UserError> {
        match self.record(login)? {
            Some(record) => {
                let right = hash::verify(&record.hash, password).map_err(UserError::Hash)?;
                Ok(right && record.enabled)
            }
            None => hash::spend(password).map(|()| false).map_err(UserError::Hash),
        }
    }

    /// What a login needs to know of an account.
    pub(crate) fn record(&self, login: &str) -> Result<Option<Record>, UserError> {
        let connection = self.connection.lock();
        let mut statement = connection
            .prepare_cached("SELECT login, password, enabled, password_set_at FROM users WHERE login = ?1")?;
        let record = statement.query_row([canonical(login)], |row| {
            Ok(Record {
                login: row.get(0)?,
                hash: row.get(1)?,
                enabled: row.get(2)?,
                password_set_at: row.get(3)?,
                addresses: Vec::new(),
                groups: Vec::new(),
                acts_for: Vec::new(),
            })
        });
        let Some(mut record) = record.optional()? else {
            return Ok(None);
        };
        record.addresses = addresses_of(&connection, &record.login)?;
        record.groups = groups_of(&connection, &record.login)?;
        record.acts_for = owners_of(&connection, &record.login)?;
        Ok(Some(record))
    }

    /// Replaces `old` with a stronger hash of the same password, unless it was changed meanwhile. Returns whether it did.
    pub(crate) fn upgrade_hash(&self, login: &str, old: &str, new: &str) -> Result<bool, UserError> {
        let sql = "UPDATE users SET password = ?3 WHERE login = ?1 AND password = ?2";
        let mut changed = 0;
        self.change(|transaction| {
            changed = transaction.execute(sql, params![login, old, new])?;
            Ok(())
        })?;
        Ok(changed == 1)
    }

    /// Whether a login or further address is this one.
    pub(crate) fn has_address(&self, address: &str) -> Result<bool, UserError> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM users WHERE login = ?1) OR EXISTS (SELECT 1 FROM addresses WHERE address = ?1)",
        )?;
        Ok(statement.query_row([address], |row| row.get(0))?)
    }
}

fn with_the_rest(connection: &Connection, user: User) -> Result<User, UserError> {
    let owners = owners_of(connection, &user.login)?;
    Ok(User {
        addresses: addresses_of(connection, &user.login)?,
        groups: groups_of(connection, &user.login)?,
        delegates: delegates_of(connection, &user.login)?,
        acts_for: owners.into_iter().map(|owner| owner.login).collect(),
        keys: keys::kinds_of(connection, &user.login)?,
        ..user
    })
}

fn user_from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<User> {
    let time = |index| {
        Ok::<_, rusqlite::Error>(Timestamp::from_second(row.get(index)?).unwrap_or(Timestamp::UNIX_EPOCH))
    };
    Ok(User {
        login: row.get(0)?,
        addresses: Vec::new(),
        groups: Vec::new(),
        delegates: Vec::new(),
        acts_for: Vec::new(),
        enabled: row.get(1)?,
        created_at: time(2)?,
        password_set_at: time(3)?,
        keys: Vec::new(),
        scheme: hash::scheme(row.get_ref(4)?.as_str()?),
    })
}
