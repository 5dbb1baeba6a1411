//! What the writer thread, its files and those who ask share.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use postern_events::{Inlet, Observers};
use serde::{Deserialize, Serialize};

/// The settings of the history.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The folder of its files; created, readable only by its owner, if missing.
    pub folder: PathBuf,
    /// How long it is kept: whole days, plus the current one.
    pub keep: Duration,
    /// Most octets of all files; `None` for 2 GiB, or a tenth of the disk if that is less.
    pub max_size: Option<u64>,
    /// Stories per second that strangers may cause on average; fifty times as many in a burst.
    pub strangers_per_second: u32,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// Stories that were begun.
    pub stories: u64,
    /// Events dropped for lack of memory: the disk was too slow.
    pub dropped: u64,
    /// Stories of strangers beyond their rate or their space.
    pub dropped_strangers: u64,
    /// Pieces of stories that could not be written: the disk was full, or failed.
    pub dropped_failed: u64,
    /// Events dropped from stories that are too long.
    pub left_out: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) stories: AtomicU64,
    pub(crate) strangers: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) left_out: AtomicU64,
}

pub(crate) struct Shared {
    pub(crate) inlet: Arc<Inlet>,
    pub(crate) settings: Mutex<Settings>,
    pub(crate) counters: Counters,
    pub(crate) observers: OnceLock<Observers>,
    /// The number of flush requests that are done.
    pub(crate) written: Mutex<u64>,
    pub(crate) done: Condvar,
}
