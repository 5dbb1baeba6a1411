//! Room for incoming messages: reserved on disk and in memory before octets are read, and released when a message is queued or
//! given up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use parking_lot::Mutex;
use postern_policy::room::{self, NoRoom, RoomSettings, Taken};
use postern_spool::{BodyRoom, BodyWriter, Refusal, Spool};
use tokio::time::Instant;

use crate::io::{BODY_ROOM, COMMAND_ROOM};

/// Disk space reserved with the first octets of a message: what a small one takes in the queue.
const DISK_FIRST: u64 = 64 * 1024;

/// Disk space that is reserved at a time.
const DISK_STEP: u64 = 256 * 1024;

/// The most reserved for `SIZE=` before octets come (RFC 1870).
const DECLARED_MAX: u64 = 1024 * 1024;

/// Octets of a header that a message need not reserve: a small one is accepted even when memory is short.
const HEADER_FREE: u64 = 32 * 1024;

/// How long room counts as scarce after a stranger was refused for lack of it.
const SCARCE_FOR: Duration = Duration::from_secs(60);

/// What all incoming messages have reserved.
#[derive(Debug)]
pub(crate) struct Room {
    ledger: Mutex<Ledger>,
    start: Instant,
    /// When a stranger was last refused, in milliseconds after `start`; 0 for never.
    refused_at: AtomicU64,
}

#[derive(Debug, Default)]
struct Ledger {
    taken: Taken,
    /// Bodies in files, by owner.
    bodies: HashMap<Owner, u32>,
}

/// The owner of an incoming message.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Owner {
    /// A stranger in this wide network.
    Stranger(IpNet),
    /// A user, or a host that may relay.
    Known(Box<str>),
}

/// What one message, or its recipients, have reserved; released when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    room: Arc<Room>,
    settings: RoomSettings,
    owner: Owner,
    disk: u64,
    written: u64,
    memory: u64,
    /// Octets of memory for large reads.
    reading: u64,
    /// Octets of the header, which stays in memory.
    header: u64,
    in_file: bool,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            ledger: Mutex::default(),
            start: Instant::now(),
            refused_at: AtomicU64::new(0),
        }
    }
}

impl Room {
    /// Whether strangers were recently refused because other strangers have all the room. Slow ones then get less time.
    pub(crate) fn is_scarce(&self) -> bool {
        let refused_at = self.refused_at.load(Ordering::Relaxed);
        refused_at > 0 && self.now() - refused_at.min(self.now()) < SCARCE_FOR.as_millis() as u64
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64 + 1
    }

    /// Whether there is room for a message of this size now. Nothing is reserved.
    pub(crate) fn would_fit(
        &self,
        size: u64,
        owner: &Owner,
        free: Option<u64>,
        settings: &RoomSettings,
    ) -> Result<(), NoRoom> {
        let wanted = size.max(DISK_FIRST);
        let taken = self.ledger.lock().taken;
        self.noted(
            owner,
            room::disk(wanted, owner.is_stranger(), free, &taken, settings),
        )
    }

    /// Remembers if a stranger was refused.
    fn noted<T>(&self, owner: &Owner, verdict: Result<T, NoRoom>) -> Result<T, NoRoom> {
        if owner.is_stranger()
            && verdict
                .as_ref()
                .is_err_and(|refusal| !matches!(refusal, NoRoom::Network { .. }))
        {
            self.refused_at.store(self.now(), Ordering::Relaxed);
        }
        verdict
    }

    /// Begins with nothing reserved.
    pub(crate) fn hold(self: &Arc<Self>, owner: Owner, settings: RoomSettings) -> Held {
        Held {
            room: Arc::clone(self),
            settings,
            owner,
            disk: 0,
            written: 0,
            memory: 0,
            reading: 0,
            header: 0,
            in_file: false,
        }
    }
}

impl Owner {
    fn is_stranger(&self) -> bool {
        matches!(self, Self::Stranger(_))
    }
}

impl Held {
    /// Reserves room for a new message of the declared size.
    pub(crate) fn begin(&mut self, declared: u64, spool: &dyn Spool) -> Result<(), NoRoom> {
        self.disk_to(declared.clamp(DISK_FIRST, DECLARED_MAX), spool)
    }

    /// Reserves memory for a header of this many octets, which stays there until the message is queued.
    pub(crate) fn header_to(&mut self, octets: u64, spool: &dyn Spool) -> Result<(), NoRoom> {
        self.header = octets;
        self.memory_to(octets.saturating_sub(HEADER_FREE) + self.reading)?;
        self.disk_to(octets, spool)
    }

    /// Reserves room for `more` octets of a body, in memory or in a file. The writer is told to save memory when that is short.
    pub(crate) fn make_room(
        &mut self,
        more: usize,
        writer: &mut BodyWriter,
        spool: &dyn Spool,
    ) -> Result<(), NoRoom> {
        let arrived = self.header + writer.len() + more as u64;
        if let Some(memory) = writer.memory_after(more) {
            let memory = memory as u64 + self.header + self.reading;
            if self.memory_to(memory).is_ok() {
                return self.disk_to(arrived, spool);
            }
            writer.save_memory();
        }
        if !self.in_file {
            self.move_to_file()?;
            self.give_back_memory();
            let memory = (BodyWriter::FILE_MEMORY + BODY_ROOM) as u64;
            if self.memory_to(memory + self.header).is_err() {
                writer.save_memory();
                self.memory_to(self.header.saturating_sub(HEADER_FREE))?;
            }
        }
        // Some of what has arrived is still in memory.
        let waiting = if writer.saves_memory() {
            2 * BODY_ROOM
        } else {
            BodyWriter::FILE_MEMORY
        } as u64;
        self.disk_to(arrived + waiting, spool)?;
        self.wrote((arrived - self.header).saturating_sub(waiting));
        Ok(())
    }

    /// Reserves memory for large reads, if there is enough.
    pub(crate) fn read_more(&mut self) {
        let reading = BODY_ROOM as u64;
        if self.reading == 0 && !self.in_file && self.memory_to(self.memory + reading).is_ok() {
            self.reading = reading;
        }
    }

    /// Octets to read at a time.
    pub(crate) fn read_room(&self) -> usize {
        if self.reading > 0 { BODY_ROOM } else { COMMAND_ROOM }
    }

    /// Reserves memory up to this many octets in all.
    pub(crate) fn memory_to(&mut self, octets: u64) -> Result<(), NoRoom> {
        let Some(more) = octets.checked_sub(self.memory).filter(|more| *more > 0) else {
            return Ok(());
        };
        let stranger = self.owner.is_stranger();
        let mut ledger = self.room.ledger.lock();
        room::memory(more, stranger, &ledger.taken, &self.settings)?;
        ledger.taken.memory += more;
        if stranger {
            ledger.taken.memory_of_strangers += more;
        }
        self.memory = octets;
        Ok(())
    }

    /// Releases all its memory.
    pub(crate) fn give_back_memory(&mut self) {
        if self.memory == 0 {
            return;
        }
        let taken = &mut self.room.ledger.lock().taken;
        taken.memory -= self.memory;
        if self.owner.is_stranger() {
            taken.memory_of_strangers -= self.memory;
        }
        (self.memory, self.reading) = (0, 0);
    }

    /// Reserves disk space up to this many octets in all, in steps if possible.
    fn disk_to(&mut self, octets: u64, spool: &dyn Spool) -> Result<(), NoRoom> {
        if octets <= self.disk {
            return Ok(());
        }
        let stepped = if octets <= DISK_FIRST {
            DISK_FIRST
        } else {
            octets.next_multiple_of(DISK_STEP)
        };
        let free = spool.free_bytes();
        let stranger = self.owner.is_stranger();
        let mut ledger = self.room.ledger.lock();
        let fits = |to: u64| room::disk(to - self.disk, stranger, free, &ledger.taken, &self.settings);
        let to = match fits(stepped) {
            Ok(()) => stepped,
            Err(_) => self.room.noted(&self.owner, fits(octets).map(|()| octets))?,
        };
        ledger.taken.disk += to - self.disk;
        if stranger {
            ledger.taken.disk_of_strangers += to - self.disk;
        }
        self.disk = to;
        Ok(())
    }

    /// This many of the reserved octets are now on disk.
    fn wrote(&mut self, octets: u64) {
        if octets > self.written {
            self.room.ledger.lock().taken.written += octets - self.written;
            self.written = octets;
        }
    }

    fn move_to_file(&mut self) -> Result<(), NoRoom> {
        let stranger = self.owner.is_stranger();
        let mut ledger = self.room.ledger.lock();
        let of_network = ledger.bodies.get(&self.owner).copied().unwrap_or(0);
        let verdict = room::body(stranger, of_network, &ledger.taken, &self.settings);
        self.room.noted(&self.owner, verdict)?;
        ledger.taken.bodies += 1;
        if stranger {
            ledger.taken.bodies_of_strangers += 1;
        }
        ledger.bodies.insert(self.owner.clone(), of_network + 1);
        self.in_file = true;
        Ok(())
    }
}

/// Room for bodies that replace the received one: each may be as large as that could have been.
pub(crate) struct Rework<'a> {
    room: Arc<Room>,
    owner: Owner,
    settings: RoomSettings,
    spool: &'a dyn Spool,
    /// One for each body, released when the message is queued or given up.
    held: Vec<Held>,
}

impl<'a> Rework<'a> {
    pub(crate) fn new(room: Arc<Room>, owner: Owner, settings: RoomSettings, spool: &'a dyn Spool) -> Self {
        Self {
            room,
            owner,
            settings,
            spool,
            held: Vec::new(),
        }
    }
}

impl BodyRoom for Rework<'_> {
    fn begin(&mut self) {
        let held = self.room.hold(self.owner.clone(), self.settings);
        self.held.push(held);
    }

    fn make_room(&mut self, more: usize, writer: &mut BodyWriter) -> Result<(), Refusal> {
        let Some(held) = self.held.last_mut() else {
            return Ok(());
        };
        held.make_room(more, writer, self.spool)
            .map_err(|refusal| Refusal::of(&refusal, refusal.told()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.give_back_memory();
        if self.disk == 0 && !self.in_file {
            return;
        }
        let stranger = self.owner.is_stranger();
        let mut ledger = self.room.ledger.lock();
        ledger.taken.disk -= self.disk;
        ledger.taken.written -= self.written;
        if stranger {
            ledger.taken.disk_of_strangers -= self.disk;
        }
        if self.in_file {
            ledger.taken.bodies -= 1;
            if stranger {
                ledger.taken.bodies_of_strangers -= 1;
            }
            if let Some(count) = ledger.bodies.get_mut(&self.owner) {
                *count -= 1;
                if *count == 0 {
                    ledger.bodies.remove(&self.owner);
                }
            }
        }
    }
}
