//! The file of own users: opening, reading, changing. Its content is handled elsewhere (`accounts`, `identity`, `keys`).

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use postern_mail::address::ParseOptions;
use postern_mail::{Mailbox, normal_login};
use postern_sasl::StoredKey;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};
use secrecy::{ExposeSecret, SecretString};

use super::error::UserError;
use super::key_policy::KeyPolicy;
use super::layout;
use crate::foreign;

/// Longest login, in octets.
const LOGIN_MAX: usize = 255;

/// Longest password, in octets; the same as the mechanisms' limit, so that each can be used.
const PASSWORD_MAX: usize = 1_024;

/// How long to wait while another process writes.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// The file of own users. Blocking: use it from a command line or a blocking thread.
///
/// Several processes may have it open (SQLite in WAL mode); each change is one transaction, and on disk when the call returns.
#[derive(Debug)]
pub struct UserStore {
    path: PathBuf,
    /// Device and inode of the open file.
    identity: (u64, u64),
    pub(super) connection: Mutex<Connection>,
    pub(super) keys: KeyPolicy,
}

impl UserStore {
    /// Opens the file, or creates it if missing, readable only by its owner.
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

    /// Opens the file, which must exist.
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
        // Hashes are in this file only, and the server can write to no other.
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

    /// From now on, stores these keys for each password that is set. Before that, none are stored.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyPolicy) -> Self {
        self.keys = keys;
        self
    }

    /// The keys that the hash itself contains, as with SCRAM.
    pub(super) fn keys_in(&self, hash: &str) -> Vec<StoredKey> {
        let kinds = self.keys.kinds.iter();
        kinds.filter_map(|kind| foreign::key_in(kind, hash)).collect()
    }

    /// The keys that are stored for a password.
    pub(super) fn derive_keys(&self, login: &str, password: &SecretString) -> Vec<StoredKey> {
        self.keys.derive(login, password)
    }

    /// A number that changes whenever others change the file.
    pub(crate) fn version(&self) -> Result<i64, UserError> {
        version_of(&self.connection.lock())
    }

    /// The same, if it can be read without waiting.
    pub(crate) fn try_version(&self) -> Option<i64> {
        version_of(&*self.connection.try_lock()?).ok()
    }

    /// Device and inode of the open file.
    pub(crate) const fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Whether the open file is still the one at its path, and has not been replaced (by a restored copy).
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

/// SQLite creates its log and the files that go with it with the permissions that the file has at that moment, and never changes
/// them. If they cannot be changed, opening fails and says so.
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

/// The form in which a login is stored and looked up: its normal one. A name without one matches no user, and stays as it is.
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

fn version_of(connection: &Connection) -> Result<i64, UserError> {
    let mut statement = connection.prepare_cached("PRAGMA data_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}
