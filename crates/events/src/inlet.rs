//! Where events wait for a thread that writes them: a bounded piece of memory, filled under a short lock by whoever tells of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::Lane;

/// Octets that wait. What they say is between who puts them in and who takes them.
#[derive(Debug)]
pub struct Inlet {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    /// Most octets that wait; strangers' events may have half of them.
    most: usize,
    /// Octets at which the thread is woken before its time.
    many: usize,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    octets: Vec<u8>,
    /// How often somebody has asked for all that came before.
    flush: u64,
    closed: bool,
}

/// What the thread is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Taken {
    /// How often somebody has asked for all that came before.
    pub flush: u64,
    /// Nothing more will come.
    pub closed: bool,
}

impl Inlet {
    /// One in which up to `most` octets wait, and whose thread is woken at `many`.
    #[must_use]
    pub fn new(most: usize, many: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            wake: Condvar::new(),
            most,
            many,
            dropped: AtomicU64::new(0),
        }
    }

    /// Has `write` append so many octets, or counts an event where there is no room. Never waits for a disk.
    pub fn put(&self, lane: Lane, octets: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let most = match lane {
            Lane::Matters => self.most,
            Lane::Strangers => self.most / 2,
        };
        let mut waiting = self.waiting.lock();
        let before = waiting.octets.len();
        if waiting.closed || before + octets > most {
            drop(waiting);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        write(&mut waiting.octets);
        let woken = before < self.many && waiting.octets.len() >= self.many;
        drop(waiting);
        if woken {
            self.wake.notify_one();
        }
    }

    /// Waits until there is much, somebody asks more often than `done`, or the time is over; what has come is then in `into`.
    pub fn take(&self, wait: Duration, done: u64, into: &mut Vec<u8>) -> Taken {
        into.clear();
        let mut waiting = self.waiting.lock();
        if !waiting.closed && waiting.flush == done && waiting.octets.len() < self.many {
            self.wake.wait_for(&mut waiting, wait);
        }
        std::mem::swap(&mut waiting.octets, into);
        Taken {
            flush: waiting.flush,
            closed: waiting.closed,
        }
    }

    /// Octets that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.lock().octets.len()
    }

    /// Events that had no room since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Has the thread write now; returns how often that was asked for.
    pub fn flush(&self) -> u64 {
        let mut waiting = self.waiting.lock();
        waiting.flush += 1;
        let asked = waiting.flush;
        drop(waiting);
        self.wake.notify_one();
        asked
    }

    /// Takes nothing more, and has the thread end.
    pub fn close(&self) {
        self.waiting.lock().closed = true;
        self.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_have_half_of_the_room_and_what_has_none_is_counted() {
        let inlet = Inlet::new(8, 4);
        let put = |lane| inlet.put(lane, 3, |octets| octets.extend_from_slice(b"abc"));
        for (lane, waiting, dropped) in [
            (Lane::Strangers, 3, 0),
            (Lane::Strangers, 3, 1),
            (Lane::Matters, 6, 1),
            (Lane::Matters, 6, 2),
        ] {
            put(lane);
            assert_eq!((inlet.waiting(), inlet.dropped()), (waiting, dropped));
        }
        let mut octets = Vec::new();
        let taken = inlet.take(Duration::from_secs(600), 0, &mut octets);
        assert_eq!((octets.as_slice(), taken.closed), (&b"abcabc"[..], false));
        assert_eq!(inlet.flush(), 1);
        assert_eq!(inlet.take(Duration::from_secs(600), 0, &mut octets).flush, 1);
        inlet.close();
        put(Lane::Matters);
        assert!(inlet.take(Duration::from_secs(600), 1, &mut octets).closed);
        assert_eq!((octets.len(), inlet.dropped()), (0, 3));
    }
}
