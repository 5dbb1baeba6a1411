//! Files that are either written whole or not at all.

use std::io;
use std::path::Path;

/// What to do when the file is there already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Existing {
    /// Put the new one in its place, in one step.
    Replace,
    /// Leave it alone and fail with [`io::ErrorKind::AlreadyExists`].
    Keep,
}

/// Writes a file that only its owner can read (mode 0600), for keys and passwords.
///
/// Afterwards the file and its name are on stable storage. A reader sees the old content or the new, never a part.
///
/// # Errors
///
/// What the operating system says; nothing is left behind then.
pub fn write_private(path: &Path, content: &[u8], existing: Existing) -> io::Result<()> {
    let _ = (path, content, existing);
    todo!()
}

/// Writes a file that everybody can read (mode 0644), likewise.
///
/// # Errors
///
/// As [`write_private`].
pub fn write_public(path: &Path, content: &[u8], existing: Existing) -> io::Result<()> {
    let _ = (path, content, existing);
    todo!()
}
