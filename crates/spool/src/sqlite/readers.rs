//! Connections that read beside the writer.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::codec::ReadError;
use super::connection;
use crate::error::SpoolError;
use crate::settings::SpoolSettings;

/// A few connections, opened when first needed. A read runs on a blocking thread and is kept short, for as long as it
/// lasts the log cannot start anew.
pub(super) struct Readers {
    pool: Arc<Pool>,
    turn: Arc<Semaphore>,
}

struct Pool {
    directory: PathBuf,
    /// How often reading failed.
    failures: AtomicU64,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    connections: Vec<Connection>,
    /// Raised when the store failed: connections from before are not used again.
    generation: u64,
}

impl Readers {
    pub(super) fn new(settings: &SpoolSettings) -> Self {
        let pool = Pool {
            directory: settings.directory.clone(),
            failures: AtomicU64::new(0),
            idle: Mutex::default(),
        };
        Self {
            pool: Arc::new(pool),
            turn: Arc::new(Semaphore::new(settings.readers.max(1))),
        }
    }

    /// Runs `query` on a blocking thread.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<Result<T, ReadError>, SpoolError> {
        let Ok(turn) = self.turn.clone().acquire_owned().await else {
            return Err(SpoolError::Closed);
        };
        let pool = self.pool.clone();
        let task = tokio::task::spawn_blocking(move || {
            let result = pool.read(query);
            drop(turn);
            result
        });
        task.await
            .unwrap_or_else(|gone| Err(SpoolError::Unavailable(gone.to_string().into())))
    }

    /// Runs `query` on this thread, which may block.
    pub(super) fn read_here<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, ReadError>,
    ) -> Result<Result<T, ReadError>, SpoolError> {
        self.pool.read(query)
    }

    /// How often reading has failed since the start.
    pub(super) fn failures(&self) -> u64 {
        self.pool.failures.load(Ordering::Relaxed)
    }

    /// Drops all idle connections, and those in use once they are done.
    pub(super) fn renew(&self) {
        let mut idle = self.pool.idle.lock();
        idle.generation += 1;
        idle.connections.clear();
    }

    /// Ends all reading.
    pub(super) fn close(&self) {
        self.turn.close();
        self.renew();
    }
}

impl Pool {
    fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, ReadError>,
    ) -> Result<Result<T, ReadError>, SpoolError> {
        let (connection, generation) = {
            let mut idle = self.idle.lock();
            (idle.connections.pop(), idle.generation)
        };
        let connection = match connection {
            Some(connection) => connection,
            None => connection::open_reader(&self.directory)?,
        };
        let result = query(&connection);
        if let Err(ReadError::Database(error)) = &result {
            // Once: whoever asked tells of each.
            if self.failures.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::error!(target: "postern::spool", %error, "the queue's database cannot be read everywhere");
            }
            return Ok(result);
        }
        let mut idle = self.idle.lock();
        if idle.generation == generation {
            idle.connections.push(connection);
        }
        Ok(result)
    }
}
