//! Storage for bodies that are too large for the queue's rows.

use std::fmt;
use std::io::{self, Read, Write};

use postern_mail::QueueId;

/// Bodies by name. All calls block, and are made from threads that may block.
pub(crate) trait Bodies: fmt::Debug + Send + Sync {
    /// The name of a message's body; `replacement` distinguishes those that replace the first one, numbered by the process.
    fn name(&self, id: QueueId, replacement: Option<u64>) -> String;

    /// Creates the body of a message. It must not exist: ids are never reused.
    ///
    /// # Errors
    ///
    /// Errors of the storage.
    fn create(&self, name: &str) -> io::Result<Box<dyn NewBody>>;

    /// Opens a body to be read from its beginning.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if there is none, and other errors of the storage.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>>;

    /// Removes a body; one that is already gone is fine.
    ///
    /// # Errors
    ///
    /// Errors of the storage.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Calls `visit` with the name and message of every body. Files with other names are ignored.
    ///
    /// # Errors
    ///
    /// Errors of the storage; some may have been visited.
    fn each(&self, visit: &mut dyn FnMut(&str, QueueId)) -> io::Result<()>;

    /// Sets aside a body that no message names, and keeps it elsewhere for a while.
    ///
    /// # Errors
    ///
    /// Errors of the storage; then it stays where it is.
    fn put_aside(&self, name: &str) -> io::Result<()>;
}

/// A body that is being written.
pub(crate) trait NewBody: Write + Send {
    /// Syncs everything written to stable storage, and the name too.
    ///
    /// # Errors
    ///
    /// Errors of the storage.
    fn sync(&mut self) -> io::Result<()>;
}

impl fmt::Debug for dyn NewBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewBody")
    }
}
