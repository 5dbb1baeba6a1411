//! What is logged, how, and where to.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tracing::Level;

/// The format of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// `2026-11-22T09:30:20.123Z accepted session=… queue=…`
    Readable,
    /// One JSON object per line.
    Json,
}

/// Where lines go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// Standard error, which systemd passes to the journal.
    Stderr,
    /// Standard output, where containers keep their log.
    Stdout,
    /// Appended to a file; opened again at every reload, so that it can be rotated.
    File(PathBuf),
}

impl Target {
    /// Whether it is connected to systemd's journal, according to `$JOURNAL_STREAM`: device and inode of the stream
    /// (`systemd.exec(5)`).
    pub(super) fn is_journal(&self) -> bool {
        let stream = match self {
            Self::Stderr => "/proc/self/fd/2",
            Self::Stdout => "/proc/self/fd/1",
            Self::File(_) => return false,
        };
        std::env::var("JOURNAL_STREAM").is_ok_and(|named| is_stream(&named, Path::new(stream)))
    }
}

/// Whether a file is the one given by `DEVICE:INODE`.
fn is_stream(named: &str, file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| named == format!("{}:{}", found.dev(), found.ino()))
}

/// What is logged, how, and where to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LogSettings {
    pub(crate) format: Format,
    pub(crate) level: Level,
    pub(crate) target: Target,
    /// Average lines per second about refused clients and handshakes.
    pub(crate) refusals_per_second: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_told_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let found = file.as_file().metadata().unwrap();
        let named = format!("{}:{}", found.dev(), found.ino());
        assert!(is_stream(&named, file.path()));
        for (shows, named) in [
            ("nothing", ""),
            ("another file", "1:1"),
            ("half of it", &named[1..]),
        ] {
            assert!(!is_stream(named, file.path()), "{shows}");
        }
        assert!(!is_stream(&named, Path::new("/proc/self/fd/none")));
    }
}
