//! Opens the database: settings of each connection, schema versions.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::SpoolError;

/// Schema versions, oldest first. A change of the schema is a new file at the end; earlier ones never change.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001_queue.sql"),
    include_str!("schema/0002_own_time_and_sums.sql"),
    include_str!("schema/0003_nodes.sql"),
    include_str!("schema/0004_failures.sql"),
    include_str!("schema/0005_hold.sql"),
    include_str!("schema/0006_notes.sql"),
    include_str!("schema/0007_detour.sql"),
    include_str!("schema/0008_sandbox.sql"),
];

const DATABASE: &str = "queue.db";

/// How long a connection waits for a short lock of another one.
const BUSY_WAIT: Duration = Duration::from_secs(10);

impl From<rusqlite::Error> for SpoolError {
    fn from(error: rusqlite::Error) -> Self {
        let text = format!("database: {error}").into();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(text),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(text),
            _ => Self::Unavailable(text),
        }
    }
}

/// Creates the folder of the queue, readable by the owner only.
pub(super) fn make_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Creates an empty database file if there is none, readable by the owner only.
pub(super) fn make_database(directory: &Path) -> io::Result<()> {
    let path = directory.join(DATABASE);
    if !path.exists() {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        crate::body::sync_folder(directory)?;
    }
    Ok(())
}

/// The one connection that writes.
///
/// `synchronous=FULL` syncs the log at each commit. Checkpoints are done separately: they must not stall a put.
pub(super) fn open_writer(directory: &Path) -> Result<Connection, SpoolError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(directory.join(DATABASE), flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.execute_batch(
        "PRAGMA page_size = 4096;
         PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -16384;
         PRAGMA temp_store = MEMORY;
         PRAGMA foreign_keys = OFF;
         PRAGMA trusted_schema = OFF;",
    )?;
    migrate(&connection)?;
    Ok(connection)
}

/// A connection that moves log pages into the database, and changes nothing else.
pub(super) fn open_checkpointer(directory: &Path) -> Result<Connection, SpoolError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(directory.join(DATABASE), flags)?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -256;",
    )?;
    Ok(connection)
}

/// A connection that reads in parallel with the writer.
pub(super) fn open_reader(directory: &Path) -> Result<Connection, SpoolError> {
    // Not opened read-only: such a connection could not create the log's shared memory if it is the first.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(directory.join(DATABASE), flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.execute_batch(
        "PRAGMA query_only = ON;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA cache_size = -2048;
         PRAGMA temp_store = MEMORY;",
    )?;
    Ok(connection)
}

/// Brings the schema to the newest version, each step in a transaction of its own.
fn migrate(connection: &Connection) -> Result<(), SpoolError> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL)",
    )?;
    let found: i64 = connection.query_row(
        "SELECT coalesce(max(version), 0) FROM schema_version",
        [],
        |row| row.get(0),
    )?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(SpoolError::SchemaTooNew { found, known });
    }
    for (version, step) in (1..).zip(MIGRATIONS).skip_while(|(version, _)| *version <= found) {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch(step)?;
        transaction.execute(
            "INSERT INTO schema_version (version, applied_at) VALUES (?1, ?2)",
            (version, Timestamp::now().as_millisecond()),
        )?;
        transaction.commit()?;
    }
    Ok(())
}
