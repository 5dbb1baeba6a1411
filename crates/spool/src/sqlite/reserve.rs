//! Disk space reserved for emergencies.
//!
//! Removing mail from the queue also writes: the log grows, and its pages are moved into the database. On a disk that the queue
//! itself has filled, nothing could be delivered any more. So a file reserves some space only to be released then; no mail is
//! accepted until it is back.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use postern_events::{Observers, notice, shown};

use super::probe;
use crate::error::SpoolError;
use crate::settings::SpoolSettings;

#[derive(Debug)]
pub(super) struct Reserve {
    directory: PathBuf,
    bytes: u64,
    observers: Observers,
}

impl Reserve {
    pub(super) fn new(settings: &SpoolSettings) -> Self {
        Self {
            directory: settings.directory.clone(),
            bytes: settings.reserve_bytes,
            observers: settings.observers.clone(),
        }
    }

    /// Reserves the space, unless it is reserved, and makes sure that there is more beyond it.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Full`]; then nothing is reserved.
    pub(super) fn take(&self) -> Result<(), SpoolError> {
        let taken = self.allocate().and_then(|()| probe::room(&self.directory));
        if taken.is_err() {
            self.release();
        }
        taken
    }

    /// Releases the space.
    pub(super) fn release(&self) {
        // If even that fails, outcomes wait until an administrator makes room.
        if let Err(error) = self.open().and_then(|file| file.set_len(0)) {
            notice!(self.observers, Spool Error "reserve not given up", Error = shown(&error));
        }
    }

    fn allocate(&self) -> Result<(), SpoolError> {
        let failed = |error| SpoolError::from_io("cannot set room aside on the queue's disk", &error);
        let file = self.open().map_err(failed)?;
        if self.bytes == 0 || file.metadata().map_err(failed)?.len() >= self.bytes {
            return Ok(());
        }
        let bytes = i64::try_from(self.bytes).unwrap_or(i64::MAX);
        nix::fcntl::posix_fallocate(&file, 0, bytes).map_err(|error| failed(error.into()))
    }

    fn open(&self) -> std::io::Result<File> {
        let path: &Path = &self.directory;
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("spool.reserve"))
    }
}
