//! The message as the helper keeps it: an unnamed file, which each delivery reads from its beginning.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// A message in a file.
#[derive(Clone, Debug)]
pub struct Content {
    file: Arc<File>,
    /// Where it begins in the file.
    start: u64,
}

impl Content {
    /// The part of a file from `start` to its end.
    #[must_use]
    pub fn new(file: File, start: u64) -> Self {
        Self {
            file: Arc::new(file),
            start,
        }
    }

    /// Its size in octets, by the file system.
    ///
    /// # Errors
    ///
    /// Errors of the system.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len().saturating_sub(self.start))
    }

    /// The message from its beginning.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            file: &self.file,
            at: self.start,
        }
    }
}

/// Reads a message; there may be several at once.
#[derive(Debug)]
pub struct Reader<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
