//! Where something was written.

use std::fmt;
use std::sync::Arc;

/// The lines of a file from which something was read.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Origin {
    /// The file, by the path that the old configuration uses.
    pub file: Arc<str>,
    /// The first line, counted from 1.
    pub first: u32,
    /// The last line; the same as the first, unless it continues over several.
    pub last: u32,
}

impl Origin {
    /// One line of a file.
    #[must_use]
    pub fn line(file: &Arc<str>, line: u32) -> Self {
        Self {
            file: Arc::clone(file),
            first: line,
            last: line,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.first)?;
        if self.last > self.first {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}

/// The file's name without its folder, and the line.
pub(crate) fn short(at: &Origin) -> String {
    let name = at.file.rsplit('/').next().unwrap_or(&at.file);
    format!("{name}:{}", at.first)
}

/// Something with the lines from which it was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Located<T> {
    /// Where it was written.
    pub at: Origin,
    /// The thing itself.
    pub what: T,
}

/// The files of the old server, below the given folder.
pub trait Files {
    /// The text of a file. `path` is absolute, as in the old configuration. Invalid UTF-8 is replaced.
    ///
    /// # Errors
    ///
    /// It does not exist, or cannot be read.
    fn read(&self, path: &str) -> Result<String, FileError>;

    /// The text of a file that may belong to a user, who could replace it with a link to any other file: links are not followed.
    ///
    /// # Errors
    ///
    /// It does not exist, is a link, or cannot be read.
    fn read_unlinked(&self, path: &str) -> Result<String, FileError> {
        self.read(path)
    }

    /// Whether the file exists and is not world-readable.
    fn is_private(&self, _path: &str) -> bool {
        false
    }
}

/// Why a file was not read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FileError {
    /// There is no such file.
    #[error("no such file")]
    Missing,
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

#[cfg(test)]
pub(crate) mod testing {
    use std::collections::HashMap;
    use std::path::PathBuf;

    use super::{FileError, Files};

    /// Files below a folder.
    pub(crate) struct Disk(pub(crate) PathBuf);

    impl Files for Disk {
        fn read(&self, path: &str) -> Result<String, FileError> {
            std::fs::read_to_string(self.0.join(path.trim_start_matches('/'))).map_err(|_| FileError::Missing)
        }
    }

    /// Files in memory.
    #[derive(Default)]
    pub(crate) struct Folder(pub(crate) HashMap<&'static str, &'static str>);

    impl Files for Folder {
        fn read(&self, path: &str) -> Result<String, FileError> {
            self.0
                .get(path)
                .map(|text| (*text).to_owned())
                .ok_or(FileError::Missing)
        }
    }
}
