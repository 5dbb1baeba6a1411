//! Bodies being written and read: guards that remove those that no message names, and buffers that are reused.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use postern_mail::QueueId;

use super::PIECE;
use super::bodies::Bodies;

/// Buffers kept for the next message instead of being returned to the allocator.
const SPARE_PIECES: usize = 32;

/// A body in a file, below `bodies/` in the queue's folder.
///
/// Until a message that names it is put, dropping the last handle removes the file.
#[derive(Clone, Debug)]
pub struct BodyFile {
    name: Arc<str>,
    len: u64,
    /// Its checksum, from the writer; a stored message has the checksum of all its content instead.
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

/// Removes a file that no message names.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) name: Arc<str>,
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

/// Called for messages whose body turned out to be damaged when it was read.
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

/// The storage of bodies, and what belongs to it.
#[derive(Debug)]
pub(crate) struct BodyStore {
    bodies: Box<dyn Bodies>,
    discard: Discard,
    damaged: Damaged,
    spare: Mutex<Vec<Vec<u8>>>,
    /// Numbers replacement bodies. Ids are never reused, so it may start again with each process.
    replacements: AtomicU64,
    /// Largest body kept in memory.
    pub(super) inline_max: usize,
}

impl BodyStore {
    pub(crate) fn new(
        bodies: Box<dyn Bodies>,
        inline_max: usize,
        discard: Discard,
        damaged: Damaged,
    ) -> Self {
        Self {
            bodies,
            discard,
            damaged,
            spare: Mutex::default(),
            replacements: AtomicU64::new(1),
            inline_max,
        }
    }

    /// Their storage.
    pub(crate) fn bodies(&self) -> &dyn Bodies {
        &*self.bodies
    }

    /// Reports that the body of a message is damaged.
    pub(super) fn report(&self, id: QueueId, reason: &str) {
        (self.damaged.0)(id, reason);
    }

    pub(crate) fn discard(&self) -> &Discard {
        &self.discard
    }

    /// The number of the next replacement body.
    pub(super) fn next_replacement(&self) -> u64 {
        self.replacements.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn guard(&self, id: QueueId, replacement: Option<u64>) -> Arc<Guard> {
        Arc::new(Guard {
            name: self.bodies.name(id, replacement).into(),
            kept: AtomicBool::new(false),
            discard: self.discard.clone(),
        })
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
}
