//! The folder of body files: names, guards, syncing, and removal of files that no message names.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use postern_mail::QueueId;

use super::PIECE;

/// Folders below `bodies/`, named by the last character of a queue id, so that none grows without need.
const SHARDS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Pieces kept for the next message instead of being given back to the allocator.
const SPARE_PIECES: usize = 32;

/// A body in a file, below `bodies/` in the queue's folder.
///
/// As long as no message that names it was put, dropping the last handle removes the file.
#[derive(Clone, Debug)]
pub struct BodyFile {
    name: Arc<str>,
    len: u64,
    /// What its octets sum up to; the writer knows, a stored message has the sum of all its content instead.
    sum: Option<u32>,
    guard: Option<Arc<Guard>>,
}

impl BodyFile {
    pub(super) fn new(guard: Arc<Guard>, len: u64, sum: u32) -> Self {
        Self {
            name: guard.name.clone(),
            len,
            sum: Some(sum),
            guard: Some(guard),
        }
    }

    /// A file that a stored message names.
    pub(crate) fn stored(name: &str, len: u64) -> Self {
        Self {
            name: name.into(),
            len,
            sum: None,
            guard: None,
        }
    }

    pub(crate) fn sum(&self) -> Option<u32> {
        self.sum
    }

    /// Its path below `bodies/`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its size in octets.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no octets at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the file outlives its handles: a message that names it may be on disk.
    pub(crate) fn keep(&self, keep: bool) {
        if let Some(guard) = &self.guard {
            guard.kept.store(keep, Ordering::Release);
        }
    }
}

/// Removes a file that no message came to name.
#[derive(Debug)]
pub(super) struct Guard {
    name: Arc<str>,
    kept: AtomicBool,
    discard: Discard,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !*self.kept.get_mut() {
            self.discard.file(self.name.clone());
        }
    }
}

/// Where files that are no longer needed are sent; another thread removes them.
#[derive(Clone)]
pub(crate) struct Discard(pub(crate) Arc<dyn Fn(Arc<str>) + Send + Sync>);

impl Discard {
    pub(crate) fn file(&self, name: Arc<str>) {
        (self.0)(name);
    }
}

/// Who is told of messages whose body turned out to be damaged as it was read.
#[derive(Clone)]
pub(crate) struct Damaged(pub(crate) Arc<Tell>);

/// Takes the message and what is wrong with it.
type Tell = dyn Fn(QueueId, &str) + Send + Sync;

impl fmt::Debug for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Damaged")
    }
}

impl fmt::Debug for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Discard")
    }
}

/// The folder `bodies/`.
#[derive(Debug)]
pub(crate) struct BodyStore {
    root: PathBuf,
    discard: Discard,
    damaged: Damaged,
    spare: Mutex<Vec<Vec<u8>>>,
    /// Largest body kept in memory.
    pub(super) inline_max: usize,
}

impl BodyStore {
    /// Opens the folder, making what is missing of it.
    pub(crate) fn open(
        directory: &Path,
        inline_max: usize,
        discard: Discard,
        damaged: Damaged,
    ) -> io::Result<Self> {
        let root = directory.join("bodies");
        make_folder(&root)?;
        for shard in SHARDS {
            make_folder(&root.join(char::from(*shard).to_string()))?;
        }
        sync_folder(&root)?;
        sync_folder(directory)?;
        Ok(Self {
            root,
            discard,
            damaged,
            spare: Mutex::default(),
            inline_max,
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Says that the body of a message is damaged.
    pub(super) fn report(&self, id: QueueId, reason: &str) {
        (self.damaged.0)(id, reason);
    }

    pub(crate) fn discard(&self) -> &Discard {
        &self.discard
    }

    /// Makes the file of a message. It must not exist: ids are never used twice.
    pub(super) fn create(&self, guard: &Guard) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path(&guard.name))
    }

    pub(super) fn guard(&self, id: QueueId) -> Arc<Guard> {
        Arc::new(Guard {
            name: file_name(id),
            kept: AtomicBool::new(false),
            discard: self.discard.clone(),
        })
    }

    /// Makes the file's content and its name in the folder durable.
    pub(super) fn sync(&self, file: &File, guard: &Guard) -> io::Result<()> {
        file.sync_data()?;
        let path = self.path(&guard.name);
        sync_folder(path.parent().unwrap_or(&self.root))
    }

    pub(super) fn take_piece(&self) -> Vec<u8> {
        self.spare
            .lock()
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(PIECE))
    }

    pub(super) fn give_piece(&self, mut piece: Vec<u8>) {
        let mut spare = self.spare.lock();
        if spare.len() < SPARE_PIECES && piece.capacity() >= PIECE {
            piece.clear();
            spare.push(piece);
        }
    }

    /// Removes a file; one that is gone already is fine.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Calls `visit` with the name and id of every body file, one folder at a time. Files with other names are not ours.
    pub(crate) fn each_file(&self, mut visit: impl FnMut(&str, QueueId)) -> io::Result<()> {
        for shard in SHARDS {
            for entry in fs::read_dir(self.root.join(char::from(*shard).to_string()))? {
                let file = entry?.file_name();
                if let Some(id) = file.to_str().and_then(|text| text.parse().ok()) {
                    visit(&file_name(id), id);
                }
            }
        }
        Ok(())
    }
}

fn file_name(id: QueueId) -> Arc<str> {
    let text = id.to_string();
    format!("{}/{text}", &text[text.len() - 1..]).into()
}

fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
