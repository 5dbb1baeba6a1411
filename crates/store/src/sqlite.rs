//! The engine for one machine: a database in one file.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};

use crate::{Change, Record, Space, Store, StoreError, StoreFuture};

/// Schema versions, oldest first. A change of the schema is a new step at the end; earlier steps are never changed.
const MIGRATIONS: &[&str] = &[
    "CREATE TABLE record (
    space      TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    expires_at INTEGER,               -- milliseconds since 1970, UTC; NULL for never
    PRIMARY KEY (space, key)
) WITHOUT ROWID",
    "UPDATE record SET space = 'login-failures' WHERE space = 'login-bars'",
];

/// How long a connection waits for another one's short lock.
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// A store in one file on one machine. Clones share it.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    connection: Arc<Mutex<Connection>>,
}

impl SqliteStore {
    /// Opens the file, or creates it, readable only by its owner. A damaged one is renamed, with `.damaged` appended, and
    /// replaced by a new one; the path of the old one is then returned for the log.
    ///
    /// Blocks: call it before serving, or from a blocking thread.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<(Self, Option<PathBuf>), StoreError> {
        match open(path) {
            Ok(connection) => Ok((Self::of(connection), None)),
            Err(error) if is_damage(&error) => {
                let aside = put_aside(path).map_err(|error| unavailable(&error))?;
                Ok((Self::of(open(path)?), Some(aside)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the file for reading, even while a server writes to it; `None` if there is no file. Creates and changes nothing.
    ///
    /// Blocks: call it before serving, or from a blocking thread.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also if the file is damaged.
    pub fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        if !path.try_exists().map_err(|error| unavailable(&error))? {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_WAIT)?;
        let found = version(&connection)?;
        let known = MIGRATIONS.len() as i64;
        match found {
            // Created, but not written to yet.
            0 => Ok(None),
            _ if found > known => Err(StoreError::TooNew { found, known }),
            _ => Ok(Some(Self::of(connection))),
        }
    }

    fn of(connection: Connection) -> Self {
        Self {
            connection: Arc::new(Mutex::new(connection)),
        }
    }

    /// Runs something with the connection on a blocking thread.
    fn with<'a, T: Send + 'static>(
        &'a self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> StoreFuture<'a, T> {
        let connection = self.connection.clone();
        let task = tokio::task::spawn_blocking(move || work(&connection.lock()));
        async move {
            match task.await {
                Ok(done) => Ok(done?),
                Err(gone) => Err(unavailable(&gone)),
            }
        }
        .boxed()
    }
}

/// Why opening failed.
enum OpenError {
    Database(rusqlite::Error),
    File(io::Error),
    TooNew { found: i64, known: i64 },
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Database(error) => error.into(),
            OpenError::File(error) => unavailable(&error),
            OpenError::TooNew { found, known } => Self::TooNew { found, known },
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        unavailable(&error)
    }
}

fn unavailable(error: &dyn std::error::Error) -> StoreError {
    StoreError::Unavailable(error.to_string().into())
}

fn is_damage(error: &OpenError) -> bool {
    let OpenError::Database(error) = error else {
        return false;
    };
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

fn open(path: &Path) -> Result<Connection, OpenError> {
    let made = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    made.map_err(OpenError::File)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA cache_size = -1024;
         PRAGMA trusted_schema = OFF;",
    )?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(code, Some(verdict)).into());
    }
    migrate(&connection)?;
    Ok(connection)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings the schema to the newest version.
fn migrate(connection: &Connection) -> Result<(), OpenError> {
    let found = version(connection)?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(OpenError::TooNew { found, known });
    }
    for (version, step) in (1..).zip(MIGRATIONS).skip_while(|(version, _)| *version <= found) {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Renames a damaged database; together with its log.
fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let with = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    for end in ["-wal", "-shm", ""] {
        let renamed = std::fs::rename(with(end), with(&format!(".damaged{end}")));
        match renamed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(with(".damaged"))
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let expires_at: Option<i64> = row.get(2)?;
    Ok(Record {
        key: row.get(0)?,
        value: row.get(1)?,
        expires_at: expires_at.and_then(|at| Timestamp::from_millisecond(at).ok()),
    })
}

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

impl Store for SqliteStore {
    fn all(&self, space: Space) -> StoreFuture<'_, Vec<Record>> {
        self.with(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT key, value, expires_at FROM record
                 WHERE space = ?1 AND (expires_at IS NULL OR expires_at > ?2) ORDER BY key",
            )?;
            query.query_map(params![space.name(), now()], record)?.collect()
        })
    }

    fn get<'a>(&'a self, space: Space, key: &'a str) -> StoreFuture<'a, Option<Record>> {
        let key = key.to_owned();
        self.with(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT key, value, expires_at FROM record
                 WHERE space = ?1 AND key = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
            )?;
            query
                .query_row(params![space.name(), key, now()], record)
                .optional()
        })
    }

    fn apply(&self, space: Space, changes: Vec<Change>) -> StoreFuture<'_, ()> {
        self.with(move |connection| {
            let transaction = connection.unchecked_transaction()?;
            let mut put = transaction.prepare_cached(
                "INSERT INTO record (space, key, value, expires_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (space, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
            )?;
            let name = space.name();
            for change in changes {
                match change {
                    Change::Put(record) => {
                        let expires_at = record.expires_at.map(Timestamp::as_millisecond);
                        put.execute(params![name, record.key, record.value, expires_at])?;
                    }
                    Change::Remove(key) => {
                        transaction.execute("DELETE FROM record WHERE space = ?1 AND key = ?2", params![name, key])?;
                    }
                    Change::Clear => {
                        transaction.execute("DELETE FROM record WHERE space = ?1", [name])?;
                    }
                }
            }
            drop(put);
            transaction.commit()
        })
    }

    fn tidy(&self) -> StoreFuture<'_, u64> {
        self.with(|connection| {
            let removed = connection.execute("DELETE FROM record WHERE expires_at <= ?1", [now()])?;
            Ok(removed as u64)
        })
    }
}
