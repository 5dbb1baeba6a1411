//! When the queue's files are not as they were left: nothing is thrown away, what can be read is kept in use, and everything is
//! reported.
//!
//! | Module | What it does |
//! | --- | --- |
//! | `postern_salvage` | checks the log before SQLite does, and repairs what it can; reads rows from pages that SQLite refuses |
//! | `salvage` | copies rows from damaged files into a queue |
//! | `aside` | where damaged files and bodies without a message are kept |

pub(crate) mod aside;
pub(crate) mod salvage;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use postern_events::{Observers, notice, shown};
use postern_salvage::{Verdict, Wal};

const PAGE: usize = 4096;

/// Octets read at a time, while there are no errors.
const PIECE: usize = 256 * PAGE;

/// SQLite's files: the database, its log, and the shared-memory index of the log.
pub(crate) fn files(directory: &Path) -> [PathBuf; 3] {
    ["queue.db", "queue.db-wal", "queue.db-shm"].map(|name| directory.join(name))
}

/// Checks the files before SQLite opens them.
///
/// # Errors
///
/// Disk errors; then nothing was thrown away.
pub(crate) fn before_open(directory: &Path, observers: &Observers) -> io::Result<()> {
    let [database, log, shared] = files(directory);
    for path in [&database, &log, &shared] {
        mend_mode(path, observers)?;
    }
    let length = |path: &Path| path.metadata().map_or(0, |data| data.len());
    let wal = Wal::read(&log)?;
    if length(&database) == 0 {
        if wal.is_some() {
            let find = aside::begin(directory, "the database was gone, its log was there")?;
            aside::take(&find, &log)?;
            remove(&shared)?;
            aside::set_pending(&find, true)?;
            tell("queue.db is gone, but its log is there", &find, observers);
        } else if has_bodies(directory) {
            notice!(
                observers,
                Spool Error "queue.db is gone, but bodies are there: the queue starts empty, the bodies are kept in aside/bodies; \
                    stop the server and put queue.db back if you have it",
                File = shown(&database.display()),
            );
        }
        return Ok(());
    }
    let Some(wal) = wal else { return Ok(()) };
    let verdict = wal.verdict();
    match verdict {
        Verdict::Sound => {}
        Verdict::Mendable(bad) => {
            let find = aside::begin(directory, "the log was damaged, and could be repaired")?;
            aside::copy(&find, &log)?;
            wal.write_mended(&log)?;
            remove(&shared)?;
            notice!(
                observers,
                Spool Error "queue.db-wal was damaged and has been repaired, nothing is lost: look at the disk",
                Bad = bad,
                Copy = shown(&find.display()),
            );
        }
        Verdict::Lost(bad) => {
            let find = aside::begin(
                directory,
                "the log was damaged, what follows the damage is not in the queue",
            )?;
            aside::copy(&find, &log)?;
            aside::set_pending(&find, true)?;
            notice!(observers, Spool Error "queue.db-wal is damaged and cannot be repaired", Bad = bad);
            tell("queue.db-wal is damaged", &find, observers);
        }
    }
    Ok(())
}

fn has_bodies(directory: &Path) -> bool {
    let shards = fs::read_dir(directory.join("bodies"))
        .into_iter()
        .flatten()
        .flatten();
    shards
        .flat_map(|shard| fs::read_dir(shard.path()).into_iter().flatten().flatten())
        .next()
        .is_some()
}

/// Sets aside an unusable database, with its log.
pub(crate) fn set_aside(directory: &Path, why: &str, observers: &Observers) -> io::Result<PathBuf> {
    let [database, log, shared] = files(directory);
    let find = aside::begin(directory, &format!("the database was damaged: {why}"))?;
    aside::set_pending(&find, true)?;
    aside::take(&find, &database)?;
    aside::take(&find, &log)?;
    remove(&shared)?;
    crate::body::sync_folder(directory)?;
    tell(
        "queue.db is damaged and was put aside; the server starts with an empty queue",
        &find,
        observers,
    );
    Ok(find)
}

/// How much of the database and its log is readable.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Readable {
    /// Approximate number of pages.
    pub(crate) all: u64,
    /// Pages that cannot be read from disk.
    pub(crate) bad: u64,
}

impl Readable {
    /// Reads the files once.
    pub(crate) fn look(directory: &Path) -> Self {
        let [database, log, _] = files(directory);
        let mut found = Self::default();
        for path in [database, log] {
            if let Ok(file) = fs::File::open(path) {
                found.count(&file);
            }
        }
        found
    }

    fn count(&mut self, file: &fs::File) {
        let length = file.metadata().map_or(0, |data| data.len());
        let mut piece = vec![0; PIECE];
        let mut at = 0;
        while at < length {
            let pages = (length - at).min(PIECE as u64).div_ceil(PAGE as u64);
            self.all += pages;
            if file.read_at(&mut piece, at).is_err() {
                let bad = |page: &u64| file.read_at(&mut piece[..PAGE], at + page * PAGE as u64).is_err();
                self.bad += (0..pages).filter(bad).count() as u64;
            }
            at += PIECE as u64;
        }
    }
}

fn tell(what: &str, find: &Path, observers: &Observers) {
    notice!(
        observers,
        Spool Error "damaged: what can be read is taken into the queue; see `postern queue recover`, and look at the disk",
        What = what,
        Aside = shown(&find.display()),
    );
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Gives the owner of a file read and write permission: SQLite creates its shared-memory file with the permissions that the
/// database has at that moment, and never changes them.
fn mend_mode(path: &Path, observers: &Observers) -> io::Result<()> {
    let Ok(data) = path.symlink_metadata() else {
        return Ok(());
    };
    if !data.is_file() || data.mode() & 0o600 == 0o600 {
        return Ok(());
    }
    let mode = data.mode() & 0o777;
    fs::set_permissions(path, Permissions::from_mode(mode | 0o600)).map_err(|error| {
        let text = format!(
            "{} has mode {mode:03o} and belongs to somebody else ({error}): chmod 600 and chown it to the server's user",
            path.display()
        );
        io::Error::new(error.kind(), text)
    })?;
    notice!(
        observers,
        Spool Warning "made readable and writable for its owner",
        File = shown(&path.display()),
        Mode = shown(&format_args!("{mode:03o}")),
    );
    Ok(())
}
