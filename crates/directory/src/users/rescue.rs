//! A damaged file of own users: what can be read goes into a new one, and the damaged one is kept.
//!
//! The new file records that users may be missing: unknown users get a temporary failure (`454`, `451`), not a refusal, until an
//! administrator declares the file complete. Nothing is guessed: rows are taken from the tables in the schema, not from orphaned
//! pages, which may hold revoked data.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use postern_salvage::{Pages, Row, Value};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params_from_iter};

use super::error::UserError;
use super::layout;
use super::store::UserStore;

/// Tables with their columns, referenced ones first.
const TABLES: [(&str, usize); 7] = [
    ("users", 5),
    ("addresses", 2),
    ("app_passwords", 10),
    ("keys", 3),
    ("memberships", 2),
    ("delegates", 2),
    ("app_password_keys", 3),
];

/// The outcome of rescuing a damaged file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rescued {
    /// Users that could be read.
    pub users: usize,
    /// Rows of any kind that were read but do not fit together: their user is missing.
    pub left_out: usize,
    /// Where the damaged file is kept.
    pub aside: PathBuf,
}

impl UserStore {
    /// Checks the file before a server uses it. A damaged one is moved aside, and what can be read becomes the new file; `None`
    /// if it is sound or missing, or if no user can be read: then it is left unchanged. Blocking; reads the whole file.
    ///
    /// # Errors
    ///
    /// [`UserError`]; the damaged file is then still in its place.
    pub fn rescue(path: &Path) -> Result<Option<Rescued>, UserError> {
        let ready = beside(path, ".salvaged");
        if ready.exists() {
            // Left over from a crash during this.
            put_in_place(path, &ready)?;
        }
        if !path.exists() || is_sound(path)? {
            return Ok(None);
        }
        let new = beside(path, ".salvaging");
        remove(&new)?;
        let (users, left_out) = copy(path, &new).inspect_err(|_| drop(remove(&new)))?;
        if users == 0 {
            remove(&new)?;
            return Ok(None);
        }
        let aside = keep(path)?;
        rename(&new, &ready)?;
        put_in_place(path, &ready)?;
        Ok(Some(Rescued {
            users,
            left_out,
            aside,
        }))
    }

    /// Since when users may be missing from the file: it was made from a damaged one.
    ///
    /// # Errors
    ///
    /// Failures of the database.
    pub fn incomplete_since(&self) -> Result<Option<Timestamp>, UserError> {
        let connection = self.lock();
        let there: bool = connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'salvaged')",
            )?
            .query_row([], |row| row.get(0))?;
        if !there {
            return Ok(None);
        }
        let at: Option<i64> = connection
            .query_row("SELECT at FROM salvaged", [], |row| row.get(0))
            .optional()?;
        Ok(Some(
            at.and_then(|at| Timestamp::from_second(at).ok())
                .unwrap_or(Timestamp::UNIX_EPOCH),
        ))
    }

    /// From now on, a user who is not in the file does not exist.
    ///
    /// # Errors
    ///
    /// Failures of the database.
    pub fn declare_complete(&self) -> Result<(), UserError> {
        self.change(|transaction| Ok(transaction.execute_batch("DROP TABLE IF EXISTS salvaged")?))
    }

    /// The result for a user who was not found: an error if the file may be incomplete.
    pub(super) fn nobody(&self) -> Result<(), UserError> {
        match self.incomplete_since()? {
            Some(since) => Err(UserError::Incomplete(since)),
            None => Ok(()),
        }
    }
}

fn is_sound(path: &Path) -> Result<bool, UserError> {
    let damaged = |error: &rusqlite::Error| {
        matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        )
    };
    let check = || {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(super::store::BUSY)?;
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
    };
    match check() {
        Ok(verdict) => Ok(verdict == "ok"),
        Err(error) if damaged(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Creates a file from what can be read; returns how many users are in it, and how many rows had to be left out.
fn copy(damaged: &Path, new: &Path) -> Result<(usize, usize), UserError> {
    let failed = |source| UserError::Io {
        path: damaged.to_owned(),
        source,
    };
    let pages = Pages::open(damaged, &beside(damaged, "-wal")).map_err(failed)?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(new)
        .map_err(failed)?;
    let mut connection = Connection::open_with_flags(new, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    layout::bring_up(&mut connection, new)?;
    let transaction = connection.transaction()?;
    let (mut users, mut left_out, mut fault) = (0, 0, None);
    for (table, columns) in TABLES {
        let sql = format!(
            "INSERT OR IGNORE INTO {table} VALUES ({})",
            vec!["?"; columns].join(", ")
        );
        let mut insert = transaction.prepare(&sql)?;
        pages.rows_of(table, |row| {
            let Some(values) = columns_of(row, table, columns) else {
                left_out += 1;
                return;
            };
            match insert.execute(params_from_iter(&values)) {
                Ok(1) if table == "users" => users += 1,
                Ok(_) => {}
                // Its user is missing, or a value is not valid for its column.
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                    left_out += 1
                }
                Err(error) => fault = fault.take().or(Some(error)),
            }
        });
    }
    if let Some(error) = fault {
        return Err(error.into());
    }
    transaction.execute_batch("CREATE TABLE salvaged (at INTEGER NOT NULL) STRICT")?;
    transaction.execute("INSERT INTO salvaged VALUES (?1)", [Timestamp::now().as_second()])?;
    transaction.commit()?;
    Ok((users, left_out))
}

/// The columns of a row, if it fits the table.
fn columns_of(row: Row, table: &str, columns: usize) -> Option<Vec<Value>> {
    let Row { number, mut values } = row;
    if table == "app_passwords" && values.len() + 1 == columns {
        // Of before scopes.
        values.push(Value::Text(Vec::new()));
    }
    if values.len() != columns {
        return None;
    }
    if table == "app_passwords" {
        values[0] = Value::Integer(number?);
    }
    let is_text = |value: &Value| value.text().is_some_and(|text| !text.is_empty());
    (table != "users" || values[..2].iter().all(is_text)).then_some(values)
}

/// Keeps a copy of the damaged file and its log.
fn keep(path: &Path) -> Result<PathBuf, UserError> {
    let failed = |source| UserError::Io {
        path: path.to_owned(),
        source,
    };
    let folder = beside(path, &format!(".damaged-{}", Timestamp::now().as_second()));
    let made = DirBuilder::new().mode(0o700).create(&folder);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    for file in [path.to_owned(), beside(path, "-wal")] {
        let Some(name) = file.file_name() else { continue };
        match fs::copy(&file, folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            copied => {
                copied.map_err(failed)?;
                File::open(folder.join(name))
                    .and_then(|copy| copy.sync_all())
                    .map_err(failed)?;
            }
        }
    }
    sync_folder(&folder)?;
    Ok(folder)
}

/// Replaces the damaged file with the new one; the old log must not be applied to it.
fn put_in_place(path: &Path, new: &Path) -> Result<(), UserError> {
    remove(&beside(path, "-wal"))?;
    remove(&beside(path, "-shm"))?;
    rename(new, path)
}

fn rename(from: &Path, to: &Path) -> Result<(), UserError> {
    fs::rename(from, to).map_err(|source| UserError::Io {
        path: to.to_owned(),
        source,
    })?;
    sync_folder(to.parent().unwrap_or_else(|| Path::new(".")))
}

fn sync_folder(folder: &Path) -> Result<(), UserError> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| UserError::Io {
            path: folder.to_owned(),
            source,
        })
}

fn remove(path: &Path) -> Result<(), UserError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(UserError::Io {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// A name next to the file's own.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
