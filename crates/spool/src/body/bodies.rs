//! Where bodies lie that are too large for the queue's rows.

use std::fmt;
use std::io::{self, Read, Write};

use postern_mail::QueueId;

/// Bodies by name. All calls block, and are made from threads that may.
pub(crate) trait Bodies: fmt::Debug + Send + Sync {
    /// The name of a message's body; `replacement` tells those apart that take the place of the first one, counted by the process.
    fn name(&self, id: QueueId, replacement: Option<u64>) -> String;

    /// Makes the body of a message. It must not exist: ids are never used twice.
    ///
    /// # Errors
    ///
    /// What the place says.
    fn create(&self, name: &str) -> io::Result<Box<dyn NewBody>>;

    /// Opens a body to be read from its beginning.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] when there is none, and what else the place says.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>>;

    /// Removes a body; one that is gone already is fine.
    ///
    /// # Errors
    ///
    /// What the place says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Calls `visit` with the name and message of every body. What has another name is not ours.
    ///
    /// # Errors
    ///
    /// What the place says; some may have been visited.
    fn each(&self, visit: &mut dyn FnMut(&str, QueueId)) -> io::Result<()>;

    /// Takes a body out that no message names, and keeps it elsewhere for a while.
    ///
    /// # Errors
    ///
    /// What the place says; it stays where it is then.
    fn put_aside(&self, name: &str) -> io::Result<()>;
}

/// A body that is being written.
pub(crate) trait NewBody: Write + Send {
    /// Puts all that was written on stable storage, and the name too.
    ///
    /// # Errors
    ///
    /// What the place says.
    fn sync(&mut self) -> io::Result<()>;
}

impl fmt::Debug for dyn NewBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewBody")
    }
}
