//! What was set aside: damaged files, and bodies without a message. Nothing of it is needed for service; it is kept for some days
//! so that it can be examined and recovered.
//!
//! `aside/20261130T185300Z/` has a database or log as found, with a line in `reason`; `aside/bodies/` has bodies.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The folder, below the queue's.
pub(crate) const FOLDER: &str = "aside";

/// How long files set aside are kept.
pub(crate) const KEPT: Duration = Duration::from_secs(14 * 24 * 3600);

/// Most finds that are kept; the oldest is removed first.
const FINDS_MAX: usize = 8;

const REASON: &str = "reason";
const PENDING: &str = "pending";
const IMPORTED: &str = "imported";

/// Files that were set aside on one occasion.
#[derive(Clone, Debug)]
pub struct Find {
    /// The folder that they are in.
    pub folder: PathBuf,
    /// Why they are there.
    pub reason: String,
    /// Their total size in octets.
    pub bytes: u64,
}

/// What was set aside in a queue's folder: finds by age, and bodies without a message.
#[derive(Clone, Debug, Default)]
pub struct Aside {
    /// Damaged files, oldest first.
    pub finds: Vec<Find>,
    /// How many bodies without a message.
    pub bodies: u64,
    /// Their size in octets.
    pub body_bytes: u64,
}

impl Aside {
    /// Reads what there is. A folder that cannot be read counts as empty.
    #[must_use]
    pub fn of(directory: &Path) -> Self {
        let mut aside = Self::default();
        for folder in finds(directory) {
            let reason = fs::read_to_string(folder.join(REASON)).unwrap_or_default();
            let (_, bytes) = count(&folder);
            aside.finds.push(Find {
                reason: reason.trim().to_owned(),
                folder,
                bytes,
            });
        }
        (aside.bodies, aside.body_bytes) = count(&bodies(directory));
        aside
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.finds.is_empty() && self.bodies == 0
    }
}

/// Folders of finds, oldest first.
pub(crate) fn finds(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory.join(FOLDER))
        .into_iter()
        .flatten()
        .flatten();
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.join(REASON).is_file())
        .collect();
    folders.sort();
    folders
}

fn bodies(directory: &Path) -> PathBuf {
    directory.join(FOLDER).join("bodies")
}

fn count(folder: &Path) -> (u64, u64) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries
        .filter_map(|entry| entry.metadata().ok())
        .filter(|data| data.is_file());
    sizes.fold((0, 0), |(count, bytes), data| (count + 1, bytes + data.len()))
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Begins a find: its folder, with the reason in it.
pub(crate) fn begin(directory: &Path, reason: &str) -> io::Result<PathBuf> {
    let now = Timestamp::now()
        .to_zoned(TimeZone::UTC)
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string();
    let root = directory.join(FOLDER);
    make_folder(&root)?;
    let mut name = now.clone();
    let mut number = 1;
    while root.join(&name).exists() {
        number += 1;
        name = format!("{now}-{number}");
    }
    let folder = root.join(name);
    make_folder(&folder)?;
    write(&folder.join(REASON), &format!("{reason}\n"))?;
    Ok(folder)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Copies a file into a find.
pub(crate) fn copy(find: &Path, file: &Path) -> io::Result<()> {
    let Some(name) = file.file_name() else {
        return Ok(());
    };
    let to = find.join(name);
    fs::copy(file, &to)?;
    File::open(&to)?.sync_all()
}

/// Moves a file into a find; a missing one is fine.
pub(crate) fn take(find: &Path, file: &Path) -> io::Result<()> {
    let Some(name) = file.file_name() else {
        return Ok(());
    };
    match fs::rename(file, find.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        moved => moved,
    }
}

/// Notes that a find's messages must still be imported into the queue, or that this is done.
pub(crate) fn set_pending(find: &Path, pending: bool) -> io::Result<()> {
    let path = find.join(PENDING);
    if pending {
        return write(&path, "");
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

pub(crate) fn is_pending(find: &Path) -> bool {
    find.join(PENDING).exists()
}

/// Ids of messages already imported from finds, so that none is imported twice.
pub(crate) fn imported(find: &Path) -> std::collections::HashSet<i64> {
    let text = fs::read_to_string(find.join(IMPORTED)).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

pub(crate) fn note_imported(find: &Path, ids: &[i64]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(find.join(IMPORTED))?;
    let text: String = ids.iter().map(|id| format!("{id}\n")).collect();
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Sets a body aside; its age counts from now on.
pub(crate) fn take_body(directory: &Path, body: &Path) -> io::Result<()> {
    let folder = bodies(directory);
    make_folder(&folder)?;
    let Some(name) = body.file_name() else {
        return Ok(());
    };
    let to = folder.join(name);
    fs::rename(body, &to)?;
    File::options()
        .write(true)
        .open(&to)?
        .set_modified(SystemTime::now())
}

/// Moves a body that was set aside back, if there is one and none in its place.
pub(crate) fn give_body_back(directory: &Path, to: &Path) -> io::Result<bool> {
    let Some(name) = to.file_name() else {
        return Ok(false);
    };
    let from = bodies(directory).join(name);
    if to.exists() || !from.exists() {
        return Ok(false);
    }
    fs::rename(from, to)?;
    Ok(true)
}

/// Removes what is too old; returns how many bodies and finds that were.
pub(crate) fn tidy(directory: &Path) -> io::Result<usize> {
    let old = |path: &Path| {
        let modified = path.metadata().and_then(|data| data.modified());
        modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > KEPT))
    };
    let mut removed = 0;
    for entry in fs::read_dir(bodies(directory)).into_iter().flatten().flatten() {
        if old(&entry.path()) {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    let finds = finds(directory);
    let spare = finds.len().saturating_sub(FINDS_MAX);
    for (place, find) in finds.iter().enumerate() {
        if !is_pending(find) && (place < spare || old(&find.join(REASON))) {
            fs::remove_dir_all(find)?;
            removed += 1;
        }
    }
    Ok(removed)
}
