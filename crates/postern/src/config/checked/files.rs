//! Files that the configuration names: they exist, can be read, and secrets are not accessible to
//! others.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use postern_trust::secret;

use crate::config::problem::Problems;
use crate::config::read::At;
use crate::rights::{Account, Steps};

/// Checks that a file can be read. True if it can.
pub(super) fn readable(file: &At<PathBuf>, what: &str, problems: &mut Problems) -> bool {
    if let Some(owner) = planted(&file.value) {
        problems.error(
            file.span.clone(),
            format!(
                "{what} {} leads by a link of {owner}'s to a file that is not {owner}'s",
                file.display()
            ),
            "root does not follow it",
            "name the file itself, or have root make the link",
        );
        return false;
    }
    match std::fs::File::open(&file.value).and_then(|open| open.metadata()) {
        Ok(metadata) if metadata.is_file() => true,
        Ok(_) => {
            problems.error(
                file.span.clone(),
                format!("{what} {} is not a file", file.display()),
                "a folder or device",
                "name the file itself",
            );
            false
        }
        Err(error) => {
            let (label, remedy) = explain(&error, &file.value);
            problems.error(
                file.span.clone(),
                format!("cannot read {what} {}", file.display()),
                label,
                remedy,
            );
            false
        }
    }
}

/// Who, other than root, has placed a link to somebody else's file: root does not read such a file for
/// anyone.
fn planted(path: &Path) -> Option<Account> {
    let is_root = nix::unistd::geteuid().is_root();
    is_root.then(|| Steps::walk(path).ok()?.is_planted()).flatten()
}

/// The remedy if a file has no usable secret.
pub(super) const SECRET_REMEDY: &str = "write the secret alone into it, on one line";

/// Checks a file that holds a key or a password: readable, and only by its owner.
pub(super) fn secret(file: &At<PathBuf>, what: &str, problems: &mut Problems) -> bool {
    if !readable(file, what, problems) {
        return false;
    }
    let Ok(metadata) = std::fs::metadata(&file.value) else {
        return true;
    };
    if secret::is_private(&metadata) {
        return true;
    }
    let mode = metadata.permissions().mode();
    problems.error(
        file.span.clone(),
        format!(
            "{what} {} is open to others (mode {:03o})",
            file.display(),
            mode & 0o777
        ),
        "a secret that others may read",
        format!("chmod 600 {}", file.display()),
    );
    false
}

/// The system's error, and the remedy.
fn explain(error: &io::Error, path: &Path) -> (String, String) {
    match error.kind() {
        io::ErrorKind::NotFound => match nearest_missing(path) {
            Some(folder) => (
                "not found".into(),
                format!(
                    "the folder {} does not exist; relative paths start at the configuration file",
                    folder.display()
                ),
            ),
            None => (
                "not found".into(),
                "make the file, or correct the path; relative ones start at the configuration file".into(),
            ),
        },
        io::ErrorKind::PermissionDenied => (
            "permission denied".into(),
            format!(
                "let the user that Postern runs as own it: chown postern {}",
                path.display()
            ),
        ),
        _ => (error.to_string(), "correct the path".into()),
    }
}

/// The outermost folder of the path that does not exist.
fn nearest_missing(path: &Path) -> Option<&Path> {
    let folders: Vec<&Path> = path.ancestors().skip(1).collect();
    folders
        .into_iter()
        .rev()
        .find(|folder| !folder.as_os_str().is_empty() && !folder.exists())
}
