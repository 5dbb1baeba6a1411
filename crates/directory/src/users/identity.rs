//! What a user may have besides the login: further addresses, groups, and delegates.

use rusqlite::{Connection, Transaction, params};

use super::error::UserError;
use super::store::{UserStore, addresses_of, canonical, check_address, login_exists, owner_of, texts};
use crate::verdict::Owner;

/// Longest name of a group, in characters.
const GROUP_MAX: usize = 255;

impl UserStore {
    /// Gives an account a further address.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], [`UserError::BadAddress`], [`UserError::AddressTaken`] also if the account already
    /// has it, and failures of the database.
    pub fn add_address(&self, login: &str, address: &str) -> Result<(), UserError> {
        let (login, address) = (canonical(login), check_address(address)?);
        self.change(|transaction| {
            must_exist(transaction, &login)?;
            if owner_of(transaction, &address)?.is_some() {
                return Err(UserError::AddressTaken(address.clone()));
            }
            transaction.execute(
                "INSERT INTO addresses (address, login) VALUES (?1, ?2)",
                params![address, login],
            )?;
            Ok(())
        })
    }

    /// Removes a further address.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], [`UserError::NotTheirs`], and failures of the database.
    pub fn remove_address(&self, login: &str, address: &str) -> Result<(), UserError> {
        let (login, address) = (canonical(login), check_address(address)?);
        let sql = "DELETE FROM addresses WHERE login = ?1 AND address = ?2";
        self.take(sql, &login, &address, "further address")
    }

    /// Adds an account to a group. A group exists as long as it has members.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], [`UserError::BadGroup`], and failures of the database.
    pub fn add_group(&self, login: &str, group: &str) -> Result<(), UserError> {
        let (login, group) = (canonical(login), check_group(group)?);
        self.change(|transaction| {
            must_exist(transaction, &login)?;
            put_into_group(transaction, &login, &group)
        })
    }

    /// Removes an account from a group.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], [`UserError::NotTheirs`], and failures of the database.
    pub fn remove_group(&self, login: &str, group: &str) -> Result<(), UserError> {
        let (login, group) = (canonical(login), check_group(group)?);
        let sql = "DELETE FROM memberships WHERE login = ?1 AND name = ?2";
        self.take(sql, &login, &group, "group")
    }

    /// Lets `delegate` send on behalf of `owner`, and act as it.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`] for either, [`UserError::OwnDelegate`], and failures of the database.
    pub fn add_delegate(&self, owner: &str, delegate: &str) -> Result<(), UserError> {
        let (owner, delegate) = (canonical(owner), canonical(delegate));
        if owner == delegate {
            return Err(UserError::OwnDelegate(owner));
        }
        self.change(|transaction| {
            must_exist(transaction, &owner)?;
            must_exist(transaction, &delegate)?;
            transaction.execute(
                "INSERT OR IGNORE INTO delegates (owner, delegate) VALUES (?1, ?2)",
                params![owner, delegate],
            )?;
            Ok(())
        })
    }

    /// No longer lets `delegate` send on behalf of `owner`.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], [`UserError::NotTheirs`], and failures of the database.
    pub fn remove_delegate(&self, owner: &str, delegate: &str) -> Result<(), UserError> {
        let (owner, delegate) = (canonical(owner), canonical(delegate));
        let sql = "DELETE FROM delegates WHERE owner = ?1 AND delegate = ?2";
        self.take(sql, &owner, &delegate, "delegate")
    }

    fn take(&self, sql: &str, login: &str, what: &str, kind: &'static str) -> Result<(), UserError> {
        self.change(|transaction| {
            must_exist(transaction, login)?;
            match transaction.execute(sql, params![login, what])? {
                0 => Err(UserError::NotTheirs {
                    login: login.to_owned(),
                    kind,
                    what: what.to_owned(),
                }),
                _ => Ok(()),
            }
        })
    }
}

/// The name of a group in the form in which it is stored.
pub(super) fn check_group(name: &str) -> Result<String, UserError> {
    let group = name.trim().to_lowercase();
    if group.is_empty() || group.chars().count() > GROUP_MAX || group.chars().any(char::is_control) {
        return Err(UserError::BadGroup(name.to_owned()));
    }
    Ok(group)
}

pub(super) fn put_into_group(
    transaction: &Transaction<'_>,
    login: &str,
    group: &str,
) -> Result<(), UserError> {
    transaction.execute(
        "INSERT OR IGNORE INTO memberships (login, name) VALUES (?1, ?2)",
        params![login, group],
    )?;
    Ok(())
}

fn must_exist(transaction: &Transaction<'_>, login: &str) -> Result<(), UserError> {
    if login_exists(transaction, login)? {
        Ok(())
    } else {
        Err(UserError::NoSuchUser(login.to_owned()))
    }
}

pub(super) fn groups_of(connection: &Connection, login: &str) -> Result<Vec<String>, UserError> {
    texts(
        connection,
        "SELECT name FROM memberships WHERE login = ?1 ORDER BY name",
        login,
    )
}

/// Who may send on behalf of this account.
pub(super) fn delegates_of(connection: &Connection, login: &str) -> Result<Vec<String>, UserError> {
    texts(
        connection,
        "SELECT delegate FROM delegates WHERE owner = ?1 ORDER BY delegate",
        login,
    )
}

/// On whose behalf this account may send, with their further addresses. Nobody may act for a disabled account.
pub(super) fn owners_of(connection: &Connection, login: &str) -> Result<Vec<Owner>, UserError> {
    let sql = "SELECT d.owner FROM delegates d JOIN users u ON u.login = d.owner
               WHERE d.delegate = ?1 AND u.enabled = 1 ORDER BY d.owner";
    texts(connection, sql, login)?
        .into_iter()
        .map(|owner| {
            Ok(Owner {
                addresses: addresses_of(connection, &owner)?,
                login: owner,
            })
        })
        .collect()
}
