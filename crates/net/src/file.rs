//! Files that are either written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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
/// Afterwards the file and its name are on stable storage. A reader sees either the old content or the new, never part of it.
///
/// # Errors
///
/// What the operating system says; no partial file is left behind.
pub fn write_private(path: &Path, content: &[u8], existing: Existing) -> io::Result<()> {
    write(path, content, 0o600, existing)
}

/// The same for a file that everybody can read (mode 0644).
///
/// # Errors
///
/// As [`write_private`].
pub fn write_public(path: &Path, content: &[u8], existing: Existing) -> io::Result<()> {
    write(path, content, 0o644, existing)
}

fn write(path: &Path, content: &[u8], mode: u32, existing: Existing) -> io::Result<()> {
    let draft = draft_path(path)?;
    let written = write_draft(&draft, content, mode).and_then(|()| match existing {
        Existing::Replace => fs::rename(&draft, path),
        // A hard link fails if the name is taken, where a rename would replace the old file.
        Existing::Keep => fs::hard_link(&draft, path),
    });
    if written.is_err() || existing == Existing::Keep {
        // If the draft cannot be removed, nothing more can be done, and the outcome does not depend on it.
        let _ = fs::remove_file(&draft);
    }
    written?;
    File::open(folder(path))?.sync_all()
}

fn write_draft(draft: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(draft)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A hidden name in the same folder that nothing else uses.
fn draft_path(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("no random numbers"))?;
    let mut draft = std::ffi::OsString::from(".");
    draft.push(name);
    draft.push(format!(".{:016x}", u64::from_ne_bytes(random)));
    Ok(path.with_file_name(draft))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names_in(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("host.key");

        write_private(&key, b"first", Existing::Keep).unwrap();
        assert_eq!(fs::read(&key).unwrap(), b"first");
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);

        let refused = write_private(&key, b"second", Existing::Keep).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&key).unwrap(), b"first", "the old file is untouched");

        write_private(&key, b"third", Existing::Replace).unwrap();
        assert_eq!(fs::read(&key).unwrap(), b"third");

        let certificate = folder.path().join("host.crt");
        write_public(&certificate, b"public", Existing::Replace).unwrap();
        assert_eq!(
            fs::metadata(&certificate).unwrap().permissions().mode() & 0o077,
            0o044
        );

        let nowhere = folder.path().join("missing/host.key");
        assert!(write_private(&nowhere, b"x", Existing::Replace).is_err());
        assert_eq!(
            names_in(folder.path()),
            ["host.crt", "host.key"],
            "no drafts are left"
        );
    }
}
