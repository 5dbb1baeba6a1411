//! Tables in files: read with care, since anyone who can write to one decides where mail goes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use postern_table::{Format, Mistake, Parsed, TEXT_MAX, parse};

/// A mistake in the file of a table, or something that its author should know.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}{}: {message}", file.display(), if *line > 0 { format!(":{line}") } else { String::new() })]
pub struct TableMistake {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong, with the remedy.
    pub message: String,
}

impl TableMistake {
    pub(crate) fn new(file: impl AsRef<Path>, mistake: Mistake) -> Self {
        Self {
            file: file.as_ref().to_owned(),
            line: mistake.line,
            message: mistake.message,
        }
    }
}

/// Reads the text of a table from a file. Blocking.
///
/// # Errors
///
/// A file that cannot be read or is writable by everybody; all mistakes in the text.
pub fn read_file(path: &Path, format: Format) -> Result<Parsed, Vec<TableMistake>> {
    let whole = |message: String| vec![TableMistake::new(path, Mistake { line: 0, message })];
    let text = read_text(path, TEXT_MAX).map_err(whole)?;
    parse(&text, format).map_err(|mistakes| {
        let place = |mistake| TableMistake::new(path, mistake);
        mistakes.into_iter().map(place).collect()
    })
}

/// The octets of a file that only its owner and group can have written.
pub(super) fn read_text(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "does not exist: correct the path, or make the file".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    // Checked before it is opened, since opening a FIFO would wait for its other end; and again afterwards, in case it was
    // replaced.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err("is not a regular file".into());
    }
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.mode() & 0o002 != 0 {
        return Err(format!("is writable by everybody: chmod o-w {}", path.display()));
    }
    let mut text = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0).min(most));
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut text).map_err(failed)?;
    if text.len() > most {
        return Err(format!("is larger than {most} octets"));
    }
    Ok(text)
}
