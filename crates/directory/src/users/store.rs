//! The file of own users, for the program's command line and for the directory.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use secrecy::SecretString;

/// One account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// Its login, lower case.
    pub login: String,
    /// Further addresses that it owns and receives mail at, lower case. The login itself, where it is an address, is not repeated.
    pub addresses: Vec<String>,
    /// Whether it may log in.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its password was set last.
    pub password_set_at: Timestamp,
}

/// Why something cannot be done to the file of own users.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The login is taken.
    #[error("there is a user {0} already")]
    Exists(String),
    /// An address is another account's.
    #[error("the address {0} belongs to another user")]
    AddressTaken(String),
    /// There is no such login.
    #[error("there is no user {0}")]
    NoSuchUser(String),
    /// The login is empty, too long, or has blanks or control characters.
    #[error("{0:?} cannot be a login: 1 to 255 octets without blanks and control characters")]
    BadLogin(String),
    /// An address is none.
    #[error("{0:?} is not an address")]
    BadAddress(String),
    /// The password is empty, over 1,024 octets, or has a NUL.
    #[error("a password has 1 to 1,024 octets and no NUL")]
    BadPassword,
    /// The file is open to others.
    #[error("{path} is readable or writable by others (mode {mode:03o}): chmod 600 {path}")]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is one of a later version.
    #[error("{path} was written by a later version (layout {found}, this version knows {known})")]
    LaterLayout {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: i64,
        /// The last layout that this version knows.
        known: i64,
    },
    /// The file system fails.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database fails.
    #[error("user database: {0}")]
    Database(#[from] rusqlite::Error),
    /// Hashing fails, for want of memory.
    #[error("cannot hash the password: {0}")]
    Hash(String),
}

/// The file of own users. Blocking: use it from a command line or a blocking thread.
///
/// Several processes may have it open; each change is one transaction, and is on the disk when the call returns.
#[derive(Debug)]
pub struct UserStore {}

impl UserStore {
    /// Opens the file, and makes it when it is missing, readable by its owner alone.
    ///
    /// # Errors
    ///
    /// [`UserError::OpenToOthers`], [`UserError::LaterLayout`], and failures of disk and database.
    pub fn open(_path: &Path) -> Result<Self, UserError> {
        todo!()
    }

    /// Makes an account with these further addresses.
    ///
    /// # Errors
    ///
    /// [`UserError::Exists`], [`UserError::AddressTaken`], the texts that cannot be, and failures of the database.
    pub fn add(
        &self,
        _login: &str,
        _password: &SecretString,
        _addresses: &[String],
    ) -> Result<(), UserError> {
        todo!()
    }

    /// Sets an account's password. Logins with the old one end at once.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], [`UserError::BadPassword`], and failures of the database.
    pub fn set_password(&self, _login: &str, _password: &SecretString) -> Result<(), UserError> {
        todo!()
    }

    /// Switches an account off: it keeps its mail and may not log in.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], and failures of the database.
    pub fn disable(&self, _login: &str) -> Result<(), UserError> {
        todo!()
    }

    /// Switches an account on again.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], and failures of the database.
    pub fn enable(&self, _login: &str) -> Result<(), UserError> {
        todo!()
    }

    /// Removes an account and its addresses.
    ///
    /// # Errors
    ///
    /// [`UserError::NoSuchUser`], and failures of the database.
    pub fn remove(&self, _login: &str) -> Result<(), UserError> {
        todo!()
    }

    /// All accounts, by login.
    ///
    /// # Errors
    ///
    /// Failures of the database.
    pub fn list(&self) -> Result<Vec<User>, UserError> {
        todo!()
    }

    /// One account.
    ///
    /// # Errors
    ///
    /// Failures of the database.
    pub fn get(&self, _login: &str) -> Result<Option<User>, UserError> {
        todo!()
    }

    /// Whether this is the account's password; `false` too for an account that is off or missing. Takes the same time
    /// in every case.
    ///
    /// # Errors
    ///
    /// Failures of the database.
    pub fn verify(&self, _login: &str, _password: &SecretString) -> Result<bool, UserError> {
        todo!()
    }
}
