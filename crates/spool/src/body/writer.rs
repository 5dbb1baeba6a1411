//! Takes a body as it arrives.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use crc32fast::Hasher;
use postern_mail::QueueId;
use tokio::task::JoinHandle;

use super::PIECE;
use super::bodies::NewBody;
use super::store::{BodyFile, BodyStore, Guard};
use crate::error::SpoolError;
use crate::message::Body;

/// Takes a body as it arrives: in memory up to [`inline_max`](crate::SpoolSettings::inline_max), then in a file.
///
/// Holds at most two pieces of 128 KiB, one being filled while the other is written by another thread; or, once
/// [`save_memory`](Self::save_memory) was called, nothing between two writes. Dropped without [`finish`](Self::finish) it leaves
/// nothing behind.
#[derive(Debug)]
pub struct BodyWriter {
    store: Arc<BodyStore>,
    id: QueueId,
    /// Its number, if it replaces the first one.
    replacement: Option<u64>,
    len: u64,
    /// The checksum of what is written to a file, to be read back later. For bodies in memory it is computed at the put.
    sum: Hasher,
    state: State,
    /// Whether nothing is buffered in memory.
    thrifty: bool,
}

#[derive(Debug)]
enum State {
    Memory(BytesMut),
    File(Spill),
    Failed(SpoolError),
}

/// A body that has outgrown memory.
#[derive(Debug)]
struct Spill {
    guard: Arc<Guard>,
    piece: Vec<u8>,
    disk: Disk,
}

/// Who has the file now.
#[derive(Debug)]
enum Disk {
    /// It was not created yet.
    Absent,
    /// A thread is writing.
    Busy(JoinHandle<io::Result<Box<dyn NewBody>>>),
}

/// Initial buffer for a body in memory; doubles as it fills.
const FIRST_ROOM: usize = 8 * 1024;

/// The buffer size of a body in memory with `more` octets.
fn room_for(room: &BytesMut, more: usize, most: usize) -> usize {
    let wanted = room.len() + more;
    let doubled = wanted.next_power_of_two().clamp(FIRST_ROOM, most.max(FIRST_ROOM));
    doubled.max(room.capacity())
}

impl BodyWriter {
    pub(crate) fn new(store: Arc<BodyStore>, id: QueueId) -> Self {
        Self {
            store,
            id,
            replacement: None,
            len: 0,
            sum: Hasher::new(),
            state: State::Memory(BytesMut::new()),
            thrifty: false,
        }
    }

    /// For a body that replaces the message's first one, which may be read meanwhile.
    pub(crate) fn another(store: Arc<BodyStore>, id: QueueId) -> Self {
        let replacement = Some(store.next_replacement());
        Self {
            replacement,
            ..Self::new(store, id)
        }
    }

    /// Most octets of memory that a body in a file holds.
    pub const FILE_MEMORY: usize = 2 * PIECE;

    /// Octets of memory that the body uses once `more` octets are written; `None` if it is then in a file.
    #[must_use]
    pub fn memory_after(&self, more: usize) -> Option<usize> {
        match &self.state {
            State::Memory(room) if !self.thrifty && room.len() + more <= self.store.inline_max => {
                Some(room_for(room, more, self.store.inline_max))
            }
            _ => None,
        }
    }

    /// From the next write on, the body is in a file and nothing is buffered in memory: slower, for when memory is short.
    pub fn save_memory(&mut self) {
        self.thrifty = true;
    }

    /// Whether it was told to save memory.
    #[must_use]
    pub fn saves_memory(&self) -> bool {
        self.thrifty
    }

    /// Octets written so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Allocates memory for a body of this size at once, as announced with `SIZE=` (RFC 1870); never more than it may use.
    pub fn expect(&mut self, octets: u64) {
        if let State::Memory(room) = &mut self.state {
            let most = self.store.inline_max;
            room.reserve(usize::try_from(octets).map_or(most, |octets| octets.min(most)));
        }
    }

    /// Appends to the body. Waits only when the disk is slower than the peer.
    ///
    /// # Errors
    ///
    /// If the file cannot be created or written, [`SpoolError::Full`] or [`SpoolError::Unavailable`]; from then on every call
    /// fails at once with the same, so that the rest of the transfer can be read and dropped.
    pub async fn write(&mut self, octets: &[u8]) -> Result<(), SpoolError> {
        self.len += octets.len() as u64;
        match &mut self.state {
            State::Memory(room) if !self.thrifty && room.len() + octets.len() <= self.store.inline_max => {
                let wanted = room_for(room, octets.len(), self.store.inline_max);
                room.reserve(wanted - room.len());
                room.extend_from_slice(octets);
                return Ok(());
            }
            State::Memory(room) => {
                let mut piece = if self.thrifty {
                    Vec::with_capacity(room.len() + octets.len())
                } else {
                    self.store.take_piece()
                };
                piece.extend_from_slice(room);
                self.sum.update(room);
                let guard = self.store.guard(self.id, self.replacement);
                self.state = State::File(Spill {
                    guard,
                    piece,
                    disk: Disk::Absent,
                });
            }
            State::File(_) => {}
            State::Failed(error) => return Err(error.clone()),
        }
        self.sum.update(octets);
        let written = self.append(octets).await;
        written.map_err(|error| self.fail(&error))
    }

    /// Ends the body. One in a file is then on stable storage, including its name in the folder.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    pub async fn finish(self) -> Result<Body, SpoolError> {
        match self.state {
            State::Memory(room) => Ok(Body::Inline(room.freeze())),
            State::Failed(error) => Err(error),
            State::File(mut spill) => {
                let result = async {
                    let file = spill.hand_over(&self.store, true).await?;
                    join(file).await
                };
                result
                    .await
                    .map_err(|error| SpoolError::from_io("cannot write a body", &error))?;
                Ok(Body::File(BodyFile::new(
                    spill.guard,
                    self.len,
                    self.sum.finalize(),
                )))
            }
        }
    }

    async fn append(&mut self, mut octets: &[u8]) -> io::Result<()> {
        let State::File(spill) = &mut self.state else {
            return Ok(());
        };
        if self.thrifty {
            spill.piece.extend_from_slice(octets);
            let busy = spill.hand_over(&self.store, false).await?;
            spill.disk = Disk::Busy(busy);
            return Ok(());
        }
        while !octets.is_empty() {
            // The body that outgrew memory may be larger than a piece, depending on the settings.
            let room = PIECE.saturating_sub(spill.piece.len());
            let (now, later) = octets.split_at(octets.len().min(room));
            spill.piece.extend_from_slice(now);
            octets = later;
            if spill.piece.len() >= PIECE {
                let busy = spill.hand_over(&self.store, false).await?;
                spill.disk = Disk::Busy(busy);
                spill.piece = self.store.take_piece();
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: &io::Error) -> SpoolError {
        let error = SpoolError::from_io("cannot write a body", error);
        self.state = State::Failed(error.clone());
        error
    }
}

impl Spill {
    /// Waits for the previous piece, then has the current one written, and with `last` everything synced.
    async fn hand_over(
        &mut self,
        store: &Arc<BodyStore>,
        last: bool,
    ) -> io::Result<JoinHandle<io::Result<Box<dyn NewBody>>>> {
        let before = match std::mem::replace(&mut self.disk, Disk::Absent) {
            Disk::Absent => None,
            Disk::Busy(task) => Some(join(task).await?),
        };
        let piece = std::mem::take(&mut self.piece);
        let (store, guard) = (store.clone(), self.guard.clone());
        // The guard is moved along: the file of an abandoned body is removed after this, not during it.
        Ok(tokio::task::spawn_blocking(move || {
            let mut file = match before {
                Some(file) => file,
                None => store.bodies().create(&guard.name)?,
            };
            file.write_all(&piece)?;
            store.give_piece(piece);
            if last {
                file.sync()?;
            }
            Ok(file)
        }))
    }
}

async fn join<T>(task: JoinHandle<io::Result<T>>) -> io::Result<T> {
    task.await.unwrap_or_else(|gone| Err(io::Error::other(gone)))
}
