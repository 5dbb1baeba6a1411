//! Finds out whether the disk accepts data.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::SpoolError;

/// As much as a few messages need.
const PROBE_BYTES: usize = 512 * 1024;

/// Writes, syncs and removes a file.
pub(super) fn room(directory: &Path) -> Result<(), SpoolError> {
    let path = directory.join("spool.probe");
    let result = write(&path);
    // Whatever is left of it is overwritten next time.
    let _ = fs::remove_file(&path);
    result.map_err(|error| SpoolError::from_io("cannot write to the queue's disk", &error))
}

fn write(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(&vec![0; PROBE_BYTES])?;
    file.sync_data()
}

/// SQLite distinguishes a full disk from a broken one, but does not recognise an exhausted quota. The operating system does.
pub(super) fn refine(directory: &Path, error: &SpoolError) -> SpoolError {
    match (error, room(directory)) {
        (SpoolError::Unavailable(_), Err(full @ SpoolError::Full(_))) => full,
        _ => error.clone(),
    }
}
