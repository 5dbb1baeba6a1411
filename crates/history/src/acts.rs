//! What administrators did: who, what, on what, why, when, from where. In a separate file, which no flood of mail can displace.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Row, params};
use serde::{Deserialize, Serialize};

use crate::schema::BUSY_WAIT;

/// The name of the file in the folder of the history.
pub const ACTS: &str = "acts.sqlite";

const SCHEMA: &str = "CREATE TABLE act (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,   -- milliseconds since 1970, UTC
    by      TEXT    NOT NULL,   -- the account of the system
    uid     INTEGER NOT NULL,   -- -1 where there is none
    told    TEXT,               -- who it says to be behind that: SUDO_USER
    act     TEXT    NOT NULL,
    what    TEXT,
    reason  TEXT,
    source  TEXT    NOT NULL,   -- the way that it came
    changed INTEGER
);
CREATE INDEX act_at ON act (at);
PRAGMA user_version = 1;";

/// An administrator's action.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Act {
    /// When.
    pub at: Timestamp,
    /// The system account whose rights were used; for a request over HTTP, the login or token.
    pub by: String,
    /// The account's number; `None` for a login or token.
    pub uid: Option<u32>,
    /// The user on whose behalf the account acted, as it says (`SUDO_USER`); anybody with that account can claim anything here.
    pub told: Option<String>,
    /// What was done, as typed: `queue hold`.
    #[serde(rename = "event")]
    pub act: String,
    /// On what.
    pub what: Option<String>,
    /// Why, in the administrator's words.
    pub reason: Option<String>,
    /// How the request was made: `control socket`, `command`, `API token`, `API socket` or `web session`.
    pub source: String,
    /// How many messages, recipients, sessions or users it was about.
    pub changed: Option<u64>,
}

/// Why actions cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path}: {text}")]
pub struct ActsError {
    path: PathBuf,
    text: String,
}

/// The file of actions. Any process that may write to it can have it open.
#[derive(Debug)]
pub struct Acts {
    connection: Connection,
    path: PathBuf,
}

impl Acts {
    /// Opens the file in the folder of the history, creating both, readable only by their owner, if missing. Blocks.
    ///
    /// # Errors
    ///
    /// Those of disk and database.
    pub fn open(folder: &Path) -> Result<Self, ActsError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = folder.join(ACTS);
        let failed = |text: String| ActsError {
            path: path.clone(),
            text,
        };
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder);
        made.map_err(|error| failed(error.to_string()))?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        file.map_err(|error| failed(error.to_string()))?;
        let connection = open(&path).map_err(|error| failed(error.to_string()))?;
        Ok(Self { connection, path })
    }

    /// Opens the file to read from it; `None` if there is none. Blocks.
    ///
    /// # Errors
    ///
    /// Those of disk and database.
    pub fn read(folder: &Path) -> Result<Option<Self>, ActsError> {
        let path = folder.join(ACTS);
        if !path.exists() {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&path, flags).and_then(|connection| {
            connection.busy_timeout(BUSY_WAIT)?;
            let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            Ok((connection, version))
        });
        match opened {
            Ok((_, 0)) => Ok(None),
            Ok((connection, _)) => Ok(Some(Self { connection, path })),
            Err(error) => Err(ActsError {
                path,
                text: error.to_string(),
            }),
        }
    }

    /// Writes an action, on stable storage when it returns, and removes those older than `keep`.
    ///
    /// # Errors
    ///
    /// Those of disk and database.
    pub fn record(&self, act: &Act, keep: Duration) -> Result<(), ActsError> {
        let done = || -> rusqlite::Result<()> {
            let at = act.at.as_millisecond();
            let oldest = at.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
            self.connection
                .execute("DELETE FROM act WHERE at < ?1", [oldest])?;
            self.connection.execute(
                "INSERT INTO act (at, by, uid, told, act, what, reason, source, changed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    at,
                    act.by,
                    act.uid.map_or(-1, i64::from),
                    act.told,
                    act.act,
                    act.what,
                    act.reason,
                    act.source,
                    act.changed.and_then(|changed| i64::try_from(changed).ok()),
                ],
            )?;
            Ok(())
        };
        done().map_err(|error| self.failed(&error))
    }

    /// The actions between two times, newest first, limited in number.
    ///
    /// # Errors
    ///
    /// Those of disk and database.
    pub fn between(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Act>, ActsError> {
        let read = || -> rusqlite::Result<Vec<Act>> {
            let mut query = self.connection.prepare(
                "SELECT at, by, uid, told, act, what, reason, source, changed FROM act
                 WHERE at BETWEEN ?1 AND ?2 ORDER BY at DESC, id DESC LIMIT ?3",
            )?;
            let since = since.map_or(i64::MIN, Timestamp::as_millisecond);
            let until = until.map_or(i64::MAX, Timestamp::as_millisecond);
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            query.query_map(params![since, until, limit], act)?.collect()
        };
        read().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> ActsError {
        ActsError {
            path: self.path.clone(),
            text: error.to_string(),
        }
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -256; PRAGMA trusted_schema = OFF;",
    )?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(SCHEMA)?;
    }
    transaction.commit()?;
    Ok(connection)
}

fn act(row: &Row<'_>) -> rusqlite::Result<Act> {
    Ok(Act {
        at: Timestamp::from_millisecond(row.get(0)?).unwrap_or_default(),
        by: row.get(1)?,
        uid: u32::try_from(row.get::<_, i64>(2)?).ok(),
        told: row.get(3)?,
        act: row.get(4)?,
        what: row.get(5)?,
        reason: row.get(6)?,
        source: row.get(7)?,
        changed: row
            .get::<_, Option<i64>>(8)?
            .and_then(|changed| u64::try_from(changed).ok()),
    })
}
