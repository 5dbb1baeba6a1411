//! The file of own users, for the program's command line and for the directory.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use postern_mail::address::ParseOptions;
use postern_mail::{Mailbox, normal_login};
use postern_sasl::StoredKey;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};
use secrecy::{ExposeSecret, SecretString};

use super::identity::{check_group, delegates_of, groups_of, owners_of, put_into_group};
use super::keys::{self, KeyPolicy};
use super::{hash, layout};
use crate::foreign;
use crate::keys::KeyKind;
use crate::verdict::Owner;

/// Longest login, in octets.
const LOGIN_MAX: usize = 255;

/// Longest password, in octets; the same as that of the mechanisms, so that each can be used.
const PASSWORD_MAX: usize = 1_024;

/// How long to wait while another process writes.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// One account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// Its login, lower case.
    pub login: String,
    /// Further addresses that it owns and receives mail at, lower case, in order. The login itself, where it is an
    /// address, is not repeated.
    pub addresses: Vec<String>,
    /// The groups that it is in, lower case, in order.
    pub groups: Vec<String>,
    /// Logins of those who may send in its name, in order.
    pub delegates: Vec<String>,
    /// Logins of those, none switched off, in whose name it may send, in order.
    pub acts_for: Vec<String>,
    /// Whether it may log in.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its password was set last.
    pub password_set_at: Timestamp,
    /// For which mechanisms a key is stored.
    pub keys: Vec<KeyKind>,
    /// The scheme of its stored password: `ARGON2ID`, or another until its first login after an import.
    pub scheme: &'static str,
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
    /// The login is empty, too long, or has blanks or characters that no name can have (RFC 8265).
    #[error("{0:?} cannot be a login: 1 to 255 octets of letters, digits and ASCII signs, without blanks")]
    BadLogin(String),
    /// An address is none.
    #[error("{0:?} is not an address")]
    BadAddress(String),
    /// The name of a group is empty, too long, or has control characters.
    #[error("{0:?} cannot be a group: 1 to 255 characters without control characters")]
    BadGroup(String),
    /// Nobody is a delegate of himself.
    #[error("{0} sends in its own name without being its own delegate")]
    OwnDelegate(String),
    /// The user does not have what was to be taken away.
    #[error("{login} has no {kind} {what}")]
    NotTheirs {
        /// The user.
        login: String,
        /// What kind of thing.
        kind: &'static str,
        /// Which.
        what: String,
    },
    /// The password is empty, over 1,024 octets, or has a NUL.
    #[error("a password has 1 to 1,024 octets and no NUL")]
    BadPassword,
    /// A label is empty, too long, or has control characters.
    #[error("{0:?} cannot be a label: 1 to 64 characters without control characters")]
    BadLabel(String),
    /// The user has an app password of this label.
    #[error("{login} has an app password {label:?} already")]
    LabelTaken {
        /// The user.
        login: String,
        /// The label.
        label: String,
    },
    /// The user has no app password of this label.
    #[error("{login} has no app password {label:?}")]
    NoSuchAppPassword {
        /// The user.
        login: String,
        /// The label.
        label: String,
    },
    /// The user has as many app passwords as it may have.
    #[error("{login} has {most} app passwords, and may have no more: revoke one")]
    TooManyAppPasswords {
        /// The user.
        login: String,
        /// How many it may have.
        most: u32,
    },
    /// An app password would have expired before its first use.
    #[error("an expiry in the past")]
    ExpiryPast,
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
        source: io::Error,
    },
    /// The database fails.
    #[error("user database: {0}")]
    Database(#[from] rusqlite::Error),
    /// Nobody was found in a file that may lack somebody.
    #[error(
        "the file of own users was damaged at {0}, and who is not in what could be read of it may have been in the rest: \
         add who is missing, then run `postern user complete`"
    )]
    Incomplete(Timestamp),
    /// Hashing fails, for want of memory or because the stored hash is damaged.
    #[error("password hash: {0}")]
    Hash(String),
}

impl UserError {
    /// Whether the file is damaged: what it has cannot be told from what it had.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        let Self::Database(error) = self else { return false };
        matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        )
    }
}

/// The file of own users. Blocking: use it from a command line or a blocking thread.
///
/// Several processes may have it open (SQLite in WAL mode); each change is one transaction, and is on the disk when the
/// call returns.
#[derive(Debug)]
pub struct UserStore {
    path: PathBuf,
    /// Device and inode of the file that is open.
    identity: (u64, u64),
    pub(super) connection: Mutex<Connection>,
    keys: KeyPolicy,
}

/// What a login needs to know of an account.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) login: String,
    pub(crate) hash: String,
    pub(crate) password_set_at: i64,
    pub(crate) enabled: bool,
    pub(crate) addresses: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) acts_for: Vec<Owner>,
}

impl UserStore {
    /// Opens the file, and makes it when it is missing, readable by its owner alone.
    ///
    /// # Errors
    ///
    /// [`UserError::OpenToOthers`], [`UserError::LaterLayout`], and failures of disk and database.
    pub fn open(path: &Path) -> Result<Self, UserError> {
        match fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
        {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => {
                return Err(UserError::Io {
                    path: path.to_owned(),
                    source,
                });
            }
        }
        Self::open_existing(path)
    }

    /// Opens the file, which must be there.
    pub(crate) fn open_existing(path: &Path) -> Result<Self, UserError> {
        let metadata = fs::metadata(path).map_err(|source| UserError::Io {
            path: path.to_owned(),
            source,
        })?;
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(UserError::OpenToOthers {
                path: path.to_owned(),
                mode,
            });
        }
        mend_modes(path);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Hashes are in no file but this one, and the server can write to no other.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        // Old hashes are overwritten, not just unlinked.
        connection.pragma_update(None, "secure_delete", true)?;
        layout::bring_up(&mut connection, path)?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self {
            path: path.to_owned(),
            identity,
            connection: Mutex::new(connection),
            keys: KeyPolicy::default(),
        })
    }

    /// From now on, keeps these keys of each password that is set. Before that none are kept.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyPolicy) -> Self {
        self.keys = keys;
        self
    }

    /// The keys that a hash is itself, as SCRAM's are.
    pub(super) fn keys_in(&self, hash: &str) -> Vec<StoredKey> {
        let kinds = self.keys.kinds.iter();
        kinds.filter_map(|kind| foreign::key_in(kind, hash)).collect()
    }

    /// The keys that are kept of a password.
    pub(super) fn derive_keys(&self, login: &str, password: &SecretString) -> Vec<StoredKey> {
        self.keys.derive(login, password)
    }

    /// Makes an account with these further addresses.
    ///
    /// # Errors
    ///
    /// [`UserError::Exists`], [`UserError::AddressTaken`], the texts that cannot be, and failures of the database.
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

    /// Sets an account's password. Logins with the old one end at once.
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

    /// Whether this is the account's password; `false` too for an account that is off or missing. Takes the same time
    /// in every case.
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

    /// A number that changes with each change that others make to the file.
    pub(crate) fn version(&self) -> Result<i64, UserError> {
        version_of(&self.connection.lock())
    }

    /// The same, if it can be had without waiting.
    pub(crate) fn try_version(&self) -> Option<i64> {
        version_of(&*self.connection.try_lock()?).ok()
    }

    /// Puts a stronger hash of the same password in the place of `old`, unless that was changed meanwhile. Returns whether
    /// it did.
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

    /// Device and inode of the file that is open.
    pub(crate) const fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Whether the file that is open is still the one at its path, and not replaced by another (a restored copy).
    pub(crate) fn is_current(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity)
    }

    pub(super) fn change_one(
        &self,
        login: &str,
        change: impl FnOnce(&Transaction<'_>, &str) -> rusqlite::Result<usize>,
    ) -> Result<(), UserError> {
        let login = canonical(login);
        self.change(|transaction| match change(transaction, &login)? {
            0 => Err(UserError::NoSuchUser(login.clone())),
            _ => Ok(()),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock()
    }

    pub(super) fn change(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<(), UserError>,
    ) -> Result<(), UserError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change(&transaction)?;
        Ok(transaction.commit()?)
    }
}

/// SQLite makes its log and what goes with it with the rights that the file has at that moment, and never changes them. Where they
/// cannot be changed, opening fails and says so.
fn mend_modes(path: &Path) {
    for end in ["-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        if let Ok(metadata) = fs::symlink_metadata(&name)
            && metadata.is_file()
            && metadata.mode() & 0o600 != 0o600
        {
            let mode = fs::Permissions::from_mode(metadata.mode() & 0o777 | 0o600);
            let _ = fs::set_permissions(&name, mode);
        }
    }
}

/// The form in which a login is stored and looked up: its normal one. What has none is nobody's, and stays as it is.
pub(crate) fn canonical(login: &str) -> String {
    normal_login(login).unwrap_or_else(|_| login.to_lowercase())
}

pub(super) fn check_login(login: &str) -> Result<String, UserError> {
    let canonical = normal_login(login).map_err(|_| UserError::BadLogin(login.to_owned()))?;
    let bad = |c: char| c.is_whitespace() || c.is_control();
    if canonical.is_empty() || canonical.len() > LOGIN_MAX || canonical.chars().any(bad) {
        return Err(UserError::BadLogin(login.to_owned()));
    }
    Ok(canonical)
}

pub(super) fn check_address(text: &str) -> Result<String, UserError> {
    let options = ParseOptions {
        utf8: true,
        ..ParseOptions::default()
    };
    let mailbox = Mailbox::parse(text, &options).map_err(|_| UserError::BadAddress(text.to_owned()))?;
    Ok(mailbox.key())
}

pub(super) fn check_password(password: &SecretString) -> Result<(), UserError> {
    let password = password.expose_secret();
    if password.is_empty() || password.len() > PASSWORD_MAX || password.contains('\0') {
        return Err(UserError::BadPassword);
    }
    Ok(())
}

pub(super) fn login_exists(transaction: &Transaction<'_>, login: &str) -> Result<bool, UserError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM users WHERE login = ?1)";
    Ok(transaction.query_row(sql, [login], |row| row.get(0))?)
}

/// The login that an address belongs to, as login or as further address.
pub(super) fn owner_of(transaction: &Transaction<'_>, address: &str) -> Result<Option<String>, UserError> {
    let sql = "SELECT login FROM users WHERE login = ?1 UNION SELECT login FROM addresses WHERE address = ?1";
    Ok(transaction
        .query_row(sql, [address], |row| row.get(0))
        .optional()?)
}

pub(super) fn addresses_of(connection: &Connection, login: &str) -> Result<Vec<String>, UserError> {
    texts(
        connection,
        "SELECT address FROM addresses WHERE login = ?1 ORDER BY address",
        login,
    )
}

/// The texts that a query of one column finds for a login.
pub(super) fn texts(connection: &Connection, sql: &str, login: &str) -> Result<Vec<String>, UserError> {
    let mut statement = connection.prepare_cached(sql)?;
    let texts = statement.query_map([login], |row| row.get(0))?;
    Ok(texts.collect::<Result<_, _>>()?)
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

fn version_of(connection: &Connection) -> Result<i64, UserError> {
    let mut statement = connection.prepare_cached("PRAGMA data_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}
