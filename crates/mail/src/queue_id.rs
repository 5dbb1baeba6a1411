//! The id of a queued message, as given with `250`.

use std::fmt;
use std::str::FromStr;

/// Identifies one queued message for its whole life, and is never reused.
///
/// A 63-bit number that grows with time: 42 bits of milliseconds since 2020, 8 bits for the machine that accepted the message, 13
/// bits to distinguish its messages of one millisecond. Shown as 13 characters of Crockford's base 32 (no I, L, O, U), so that
/// ids sort by age, fit in a log column, and can be read over the telephone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct QueueId(i64);

/// A text that is not a queue id.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a queue id: expected 13 characters such as 01HJ3K8Q2M7XA")]
pub struct BadQueueId(String);

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 13;
const EPOCH_2020_MS: i64 = 1_577_836_800_000;
const NODE_BITS: u32 = 8;
const NUMBER_BITS: u32 = 13;
const SEQUENCE_BITS: u32 = NODE_BITS + NUMBER_BITS;

impl QueueId {
    /// Builds the id for the `sequence`-th message of a millisecond (Unix time).
    ///
    /// Only the low 21 bits of `sequence` count, of which the upper 8 are the machine; the caller keeps them unique within one
    /// millisecond.
    #[must_use]
    pub fn new(unix_ms: i64, sequence: u32) -> Self {
        let ms = (unix_ms - EPOCH_2020_MS).clamp(0, (1 << 42) - 1);
        Self((ms << SEQUENCE_BITS) | i64::from(sequence & ((1 << SEQUENCE_BITS) - 1)))
    }

    /// The lowest id of a machine in a millisecond (Unix time).
    #[must_use]
    pub fn first(unix_ms: i64, node: u8) -> Self {
        Self::new(unix_ms, u32::from(node) << NUMBER_BITS)
    }

    /// The next id of a machine: the lowest that is higher than this one, which may be another machine's.
    #[must_use]
    pub fn next_of(self, node: u8) -> Self {
        let next = Self(self.0 + 1);
        if next.node() == node {
            return next;
        }
        let ms = self.0 >> SEQUENCE_BITS;
        let later = i64::from(self.node() >= node);
        Self(((ms + later) << SEQUENCE_BITS) | (i64::from(node) << NUMBER_BITS))
    }

    /// The machine that accepted the message.
    #[must_use]
    pub fn node(self) -> u8 {
        ((self.0 >> NUMBER_BITS) & ((1 << NODE_BITS) - 1)) as u8
    }

    /// When it was issued, by the clock at that time: milliseconds since 1970.
    #[must_use]
    pub fn unix_ms(self) -> i64 {
        (self.0 >> SEQUENCE_BITS) + EPOCH_2020_MS
    }

    /// The id as the integer that the database keeps. Never negative.
    #[must_use]
    pub fn as_i64(self) -> i64 {
        self.0
    }

    /// The id stored as this integer.
    #[must_use]
    pub fn from_i64(value: i64) -> Self {
        Self(value & i64::MAX)
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0_u8; LENGTH];
        let mut rest = self.0;
        for place in text.iter_mut().rev() {
            *place = ALPHABET[(rest & 31) as usize];
            rest >>= 5;
        }
        f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for QueueId {
    type Err = BadQueueId;

    fn from_str(text: &str) -> Result<Self, BadQueueId> {
        let bad = || BadQueueId(text.chars().take(40).collect());
        if text.len() != LENGTH {
            return Err(bad());
        }
        let mut value: i64 = 0;
        for octet in text.bytes() {
            let digit = ALPHABET
                .iter()
                .position(|&c| c == octet.to_ascii_uppercase())
                .ok_or_else(bad)?;
            // The first of 13 characters holds three bits; more would not fit 63.
            if value >> 58 != 0 {
                return Err(bad());
            }
            value = (value << 5) | digit as i64;
        }
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_and_sort_by_age() {
        let early = QueueId::new(1_795_000_000_000, 7);
        let late = QueueId::new(1_795_000_000_001, 0);
        assert!(early < late && early.to_string() < late.to_string());
        for id in [early, late, QueueId::from_i64(i64::MAX), QueueId::from_i64(0)] {
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.to_string().to_lowercase().parse(), Ok(id));
            assert_eq!(QueueId::from_i64(id.as_i64()), id);
        }
        let first = QueueId::first(1_795_000_000_000, 3);
        assert_eq!((first.node(), first.unix_ms()), (3, 1_795_000_000_000));
        for wrong in ["", "0", "01HJ3K8Q2M7X!", "01HJ3K8Q2M7XAA", "ZZZZZZZZZZZZZ"] {
            assert!(wrong.parse::<QueueId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn machines_have_ids_of_their_own() {
        const MS: i64 = 1_795_000_000_000;
        let of = |ms, node: u32, number| QueueId::new(ms, node << 13 | number);
        #[rustfmt::skip]
        let cases = [
            // what the case shows                 after             of  is
            ("the next of the same machine",       of(MS, 3, 7),     3,  of(MS, 3, 8)),
            ("its millisecond is full",            of(MS, 3, 8191),  3,  of(MS + 1, 3, 0)),
            ("that of the last machine is full",   of(MS, 255, 8191), 255, of(MS + 1, 255, 0)),
            ("after one of a lower machine",       of(MS, 3, 7),     4,  of(MS, 4, 0)),
            ("after the last of a lower machine",  of(MS, 3, 8191),  4,  of(MS, 4, 0)),
            ("after one of a higher machine",      of(MS, 4, 7),     3,  of(MS + 1, 3, 0)),
            ("after all of a millisecond",         of(MS, 255, 8191), 0,  of(MS + 1, 0, 0)),
        ];
        for (shows, before, node, next) in cases {
            let found = before.next_of(node);
            assert_eq!((found, found.node()), (next, node), "{shows}");
            assert!(found > before, "{shows}");
        }
    }
}
