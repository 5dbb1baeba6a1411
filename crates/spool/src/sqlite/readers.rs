//! Connections that read in parallel with the writer.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postern_events::{Observers, notice, shown};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::codec::ReadError;
use super::connection;
use super::inbox::{Chore, Inbox, Task};
use crate::error::SpoolError;
use crate::settings::SpoolSettings;

/// A few connections, opened when first needed. A read runs on a blocking thread and is kept short, since the log cannot start
/// again meanwhile.
pub(super) struct Readers {
    pool: Arc<Pool>,
    turn: Arc<Semaphore>,
}

struct Pool {
    directory: PathBuf,
    /// How often reading failed.
    failures: AtomicU64,
    /// Connections in use now.
    in_use: AtomicUsize,
    /// Where damage of the database is reported.
    inbox: Arc<Inbox>,
    observers: Observers,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    connections: Vec<Connection>,
    /// Incremented when the store has failed: earlier connections are not reused.
    generation: u64,
}

impl Readers {
    pub(super) fn new(settings: &SpoolSettings, inbox: Arc<Inbox>) -> Self {
        let pool = Pool {
            directory: settings.directory.clone(),
            failures: AtomicU64::new(0),
            in_use: AtomicUsize::new(0),
            inbox,
            observers: settings.observers.clone(),
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

    /// Changes each time the store is opened.
    pub(super) fn generation(&self) -> u64 {
        self.pool.idle.lock().generation
    }

    /// Drops all idle connections, and those in use once they are done.
    pub(super) fn renew(&self) {
        let mut idle = self.pool.idle.lock();
        idle.generation += 1;
        idle.connections.clear();
    }

    /// Drops all connections, and waits a moment for those in use.
    pub(super) fn end(&self) {
        self.renew();
        let until = Instant::now() + END_WAIT;
        while self.pool.in_use.load(Ordering::Acquire) > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends all reading.
    pub(super) fn close(&self) {
        self.turn.close();
        self.renew();
    }
}

/// Longest wait for readers when the store is reopened.
const END_WAIT: Duration = Duration::from_secs(10);

/// A connection in use.
struct Used<'u>(&'u AtomicUsize);

impl Drop for Used<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
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
        self.in_use.fetch_add(1, Ordering::AcqRel);
        let _used = Used(&self.in_use);
        let connection = match connection {
            Some(connection) => connection,
            None => connection::open_reader(&self.directory).inspect_err(|error| {
                self.count_failure(error, generation);
            })?,
        };
        let result = query(&connection);
        if let Err(ReadError::Database(error)) = result {
            let error = SpoolError::from(error);
            self.count_failure(&error, generation);
            return Err(error);
        }
        let mut idle = self.idle.lock();
        if idle.generation == generation {
            idle.connections.push(connection);
        }
        Ok(result)
    }
    fn count_failure(&self, error: &SpoolError, generation: u64) {
        // Logged once: each failure is reported by its caller.
        if self.failures.fetch_add(1, Ordering::Relaxed) == 0 {
            notice!(self.observers, Spool Error "the queue's database cannot be read everywhere", Error = shown(error));
        }
        if let SpoolError::Corrupt(why) = error {
            // The writer sets it aside and starts again.
            let _ = self.inbox.chore(Chore {
                task: Task::Replace {
                    why: why.to_string(),
                    generation,
                },
                reply: None,
            });
        }
    }
}
