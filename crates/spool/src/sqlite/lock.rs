//! The lock file: a queue has one owner.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::SpoolError;

/// Held while the queue is open; the kernel releases it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    pub(super) fn take(directory: &Path) -> Result<Self, SpoolError> {
        let failed = |error: std::io::Error| SpoolError::from_io("cannot lock the queue", &error);
        let path = directory.join("spool.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The owner may be writing its process id right now; then it stays unknown.
                let _ = file.take(20).read_to_string(&mut text);
                return Err(SpoolError::Locked {
                    directory: directory.to_owned(),
                    pid: text.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self { file })
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing alone is not enough: a child process that is being started has a copy until it runs its program.
        let _ = self.file.unlock();
    }
}
