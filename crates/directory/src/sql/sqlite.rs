//! An SQLite file, opened for reading.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use tracing::debug;

use super::query::Query;
use super::rows::{Cell, ROWS_MAX, Rows};
use crate::failover::Fault;
use crate::pool::Pool;

/// Each connection is used by one thread at a time.
const READ_ONLY: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// The file.
pub(crate) struct Sqlite {
    path: PathBuf,
    pool: Pool<Connection>,
}

/// Stops a query that nobody waits for any more, so that its thread is free again.
struct StopOnDrop(InterruptHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        // After the query's end this does nothing.
        self.0.interrupt();
    }
}

impl Sqlite {
    pub(super) fn new(path: &Path, pool_size: usize) -> Self {
        Self {
            path: path.to_owned(),
            pool: Pool::new(path.display().to_string(), pool_size),
        }
    }

    pub(super) async fn ask(&self, query: &Query, whole: &str, deadline: Instant) -> Result<Rows, Fault> {
        let mut lease = self.pool.lease(deadline, |_| true).await?;
        if let Some(connection) = lease.left_over.take() {
            match ask_on(connection, query, whole).await {
                Ok((connection, rows)) => {
                    lease.give_back(connection);
                    return Ok(rows);
                }
                Err(fault) => debug!(target: "postern::directory", ?fault, "connection was stale"),
            }
        }
        let path = self.path.clone();
        let patience = deadline.saturating_duration_since(Instant::now());
        match blocking(move || open(&path, patience)).await? {
            Opened::Shared(connection) => {
                let (connection, rows) = ask_on(connection, query, whole).await?;
                lease.give_back(connection);
                Ok(rows)
            }
            // Not kept: the next query may find an active writer.
            Opened::Alone(connection, before) => {
                let (_, rows) = ask_on(connection, query, whole).await?;
                let path = self.path.clone();
                let after = blocking(move || Stamp::of(&path)).await?;
                if after == before {
                    Ok(rows)
                } else {
                    Err(Fault::Server("the file changed while it was read".into()))
                }
            }
        }
    }
}

/// A file opened for reading.
enum Opened {
    /// Shared with others, who may write meanwhile.
    Shared(Connection),
    /// In WAL mode, in a folder where nothing can be written, and without an active writer: SQLite cannot create the index
    /// that readers share with writers, and without a writer does not need it. What was read is valid while the stamp
    /// stays the same.
    Alone(Connection, Stamp),
}

/// Shows whether the file has changed.
#[derive(Debug, PartialEq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
    /// Whether there is a non-empty write-ahead log beside the file.
    log: bool,
}

impl Stamp {
    fn of(path: &Path) -> Result<Self, Fault> {
        let metadata = std::fs::metadata(path).map_err(|error| Fault::Server(error.to_string()))?;
        let log = std::fs::metadata(beside(path, "-wal"));
        Ok(Self {
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
            log: log.is_ok_and(|log| log.size() > 0),
        })
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn open(path: &Path, patience: Duration) -> Result<Opened, Fault> {
    let failed = |error: rusqlite::Error| Fault::Server(super::text::one_line(&error.to_string()));
    let connection = Connection::open_with_flags(path, READ_ONLY).map_err(failed)?;
    connection.busy_timeout(patience).map_err(failed)?;
    // The server has no folder for temporary files.
    connection
        .pragma_update(None, "temp_store", "MEMORY")
        .map_err(failed)?;
    // The first read shows whether there is a way to read at all.
    match connection.query_row("PRAGMA schema_version", [], |_| Ok(())) {
        Ok(()) => Ok(Opened::Shared(connection)),
        Err(error) if lacks_index(&error) => open_alone(path),
        Err(error) => Err(failed(error)),
    }
}

fn open_alone(path: &Path) -> Result<Opened, Fault> {
    let before = Stamp::of(path)?;
    if before.log {
        return Err(Fault::Server(format!(
            "{0} is in WAL mode with changes in {0}-wal, and nothing can be written beside it: let the user that Postern runs \
             as write into the folder, or end WAL mode (PRAGMA journal_mode = DELETE)",
            path.display()
        )));
    }
    let failed = |error: rusqlite::Error| Fault::Server(super::text::one_line(&error.to_string()));
    let address = url::Url::from_file_path(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
        .map_err(|()| Fault::Server(format!("{} makes no address", path.display())))?;
    let flags = READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(format!("{address}?immutable=1"), flags).map_err(failed)?;
    Ok(Opened::Alone(connection, before))
}

/// Whether SQLite could not create the index of a write-ahead log.
fn lacks_index(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly)
    )
}

async fn ask_on(connection: Connection, query: &Query, whole: &str) -> Result<(Connection, Rows), Fault> {
    let stop = StopOnDrop(connection.get_interrupt_handle());
    let (query, whole) = (query.clone(), whole.to_owned());
    let answer = blocking(move || {
        let rows = rows(&connection, &query, &whole)?;
        Ok((connection, rows))
    })
    .await;
    drop(stop);
    answer
}

fn rows(connection: &Connection, query: &Query, whole: &str) -> Result<Rows, Fault> {
    let mut statement = connection.prepare_cached(&query.sql).map_err(of_query)?;
    if statement.parameter_count() != query.count() {
        return Err(Fault::Question(
            "the query has parameters besides the named ones".into(),
        ));
    }
    let columns: Vec<String> = statement
        .column_names()
        .into_iter()
        .map(str::to_lowercase)
        .collect();
    let values = query.values(whole);
    let mut found = statement
        .query(rusqlite::params_from_iter(values))
        .map_err(of_query)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(of_query)? {
        if rows.len() == ROWS_MAX {
            return Err(Fault::Question(format!(
                "the query gives more than {ROWS_MAX} rows"
            )));
        }
        let cells = (0..columns.len()).map(|index| row.get_ref(index).map(cell));
        rows.push(cells.collect::<Result<Vec<_>, _>>().map_err(of_query)?);
    }
    Ok(Rows { columns, rows })
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Number(number),
        ValueRef::Real(_) => Cell::Other("a number with a fraction".into()),
        ValueRef::Text(octets) | ValueRef::Blob(octets) => Cell::octets(octets.to_vec()),
    }
}

fn of_query(error: rusqlite::Error) -> Fault {
    let told = super::text::one_line(&error.to_string());
    match error.sqlite_error_code() {
        // What SQLITE_ERROR stands for: no such table, a mistake in the SQL.
        Some(rusqlite::ErrorCode::Unknown) | None => Fault::Question(told),
        Some(_) => Fault::Server(told),
    }
}

/// Runs work that waits for the disk on a thread where that does no harm.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Fault::Server(error.to_string())))
}
