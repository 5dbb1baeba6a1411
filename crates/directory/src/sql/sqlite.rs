//! An SQLite file, opened for reading.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use tracing::debug;

use super::pool::Pool;
use super::query::Query;
use super::rows::{Cell, ROWS_MAX, Rows};
use crate::failover::Fault;

/// The file.
pub(super) struct Sqlite {
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
            pool: Pool::new(pool_size),
        }
    }

    pub(super) async fn ask(&self, query: &Query, whole: &str, deadline: Instant) -> Result<Rows, Fault> {
        let mut lease = self.pool.lease(deadline).await?;
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
        let connection = blocking(move || open(&path, patience)).await?;
        let (connection, rows) = ask_on(connection, query, whole).await?;
        lease.give_back(connection);
        Ok(rows)
    }
}

fn open(path: &Path, patience: Duration) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error: rusqlite::Error| Fault::Server(super::ask::one_line(&error.to_string()));
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(patience).map_err(failed)?;
    Ok(connection)
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
    let told = super::ask::one_line(&error.to_string());
    match error.sqlite_error_code() {
        // What SQLITE_ERROR stands for: no such table, a mistake in the SQL.
        Some(rusqlite::ErrorCode::Unknown) | None => Fault::Question(told),
        Some(_) => Fault::Server(told),
    }
}

/// Runs what waits for the disk on a thread where that harms nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Fault::Server(error.to_string())))
}
