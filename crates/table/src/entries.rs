//! Keys with values, in little memory: one text, and an index of offsets in it.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use hashbrown::HashTable;

use crate::text::fold;

/// Minimum octets assumed per line: limits the room reserved for a text of empty lines.
const SHORTEST: usize = 8;

/// Keys with values. Each key occurs once: the first counts.
///
/// An entry costs its octets and about ten more. It is stored as the lengths of its key and value, its line, and then the two: a
/// look-up touches the index once and the text once.
#[derive(Debug, Default)]
pub struct Entries {
    text: Vec<u8>,
    index: HashTable<u32>,
}

/// An entry as stored in the text.
struct Entry<'t> {
    key: &'t [u8],
    value: &'t [u8],
    line: u32,
    /// Where the next one begins.
    end: usize,
}

/// An entry that could not be added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotAdded {
    /// The key already exists, from this line.
    Twice(usize),
    /// No more room: over 4 GiB of text.
    Full,
}

impl Entries {
    /// With room for one entry per line of a usual text: reserving it first avoids hashing keys twice.
    pub(crate) fn with_room_for(text: &[u8]) -> Self {
        let lines = memchr::memchr_iter(b'\n', text).count();
        let entries = lines.min(text.len() / SHORTEST);
        Self {
            text: Vec::with_capacity(text.len() + 4 * entries),
            index: HashTable::with_capacity(entries),
        }
    }

    /// Adds an entry.
    pub(crate) fn insert(&mut self, key: &str, value: &str, line: usize) -> Result<(), NotAdded> {
        let key = fold(key);
        let hash = hash(key.as_bytes());
        if let Some(entry) = self.find(key.as_bytes(), hash) {
            return Err(NotAdded::Twice(entry.line as usize));
        }
        let short = |number: usize| u32::try_from(number).map_err(|_| NotAdded::Full);
        let start = short(self.text.len())?;
        let numbers = [short(key.len())?, short(value.len())?, short(line)?];
        for number in numbers {
            push_number(number, &mut self.text);
        }
        self.text.extend_from_slice(key.as_bytes());
        self.text.extend_from_slice(value.as_bytes());
        let Self { text, index } = self;
        index.insert_unique(hash, start, |&start| self::hash(entry_at(text, start).key));
        Ok(())
    }

    /// Ends reading: releases spare memory.
    pub(crate) fn close(mut self) -> Self {
        self.text.shrink_to_fit();
        self
    }

    fn find(&self, folded: &[u8], hash: u64) -> Option<Entry<'_>> {
        let start = self
            .index
            .find(hash, |&start| entry_at(&self.text, start).key == folded)?;
        Some(entry_at(&self.text, *start))
    }

    /// The value of a key, and its line.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<(&str, usize)> {
        let key = fold(key);
        let entry = self.find(key.as_bytes(), hash(key.as_bytes()))?;
        Some((text_of(entry.value), entry.line as usize))
    }

    /// All keys with their values and lines, in the order written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = u32::try_from(at).ok().filter(|_| at < self.text.len())?;
            let entry = entry_at(&self.text, start);
            at = entry.end;
            Some((text_of(entry.key), text_of(entry.value), entry.line as usize))
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}

fn entry_at(text: &[u8], start: u32) -> Entry<'_> {
    let mut at = start as usize;
    let key = number_at(text, &mut at) as usize;
    let value = number_at(text, &mut at) as usize;
    let line = number_at(text, &mut at);
    let (middle, end) = (at + key, at + key + value);
    Entry {
        key: &text[at..middle],
        value: &text[middle..end],
        line,
        end,
    }
}

/// A part that was text when it was added.
fn text_of(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap_or_default()
}

/// Seven bits per octet, lowest first; the high bit says that more follow.
fn push_number(mut number: u32, text: &mut Vec<u8>) {
    while number >= 0x80 {
        text.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    text.push(number.to_le_bytes()[0]);
}

fn number_at(text: &[u8], at: &mut usize) -> u32 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let octet = text[*at];
        *at += 1;
        number |= u32::from(octet & 0x7f) << shift;
        if octet < 0x80 {
            return number;
        }
        shift += 7;
    }
}

/// Clients do not control the table's content, so the hash need not be secret.
fn hash(key: &[u8]) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_of_two_counts() {
        let mut entries = Entries::default();
        assert_eq!(entries.insert("A@b", "one", 1), Ok(()));
        assert_eq!(entries.insert("a@B", "two", 7), Err(NotAdded::Twice(1)));
        assert_eq!(entries.insert("ÄRGER", "", 8), Ok(()));
        let entries = entries.close();
        assert_eq!(entries.get("a@b"), Some(("one", 1)));
        assert_eq!(entries.get("ärger"), Some(("", 8)));
        assert_eq!(entries.get("a@"), None);
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn long_and_far() {
        let (key, value) = ("k".repeat(200), "v".repeat(70_000));
        let mut entries = Entries::default();
        for line in [1, 127, 128, 16_384, u32::MAX as usize] {
            assert_eq!(entries.insert(&format!("{key}{line}"), &value, line), Ok(()));
        }
        assert_eq!(entries.insert("x", "", 1 << 32), Err(NotAdded::Full));
        let entries = entries.close();
        let lines: Vec<usize> = entries.iter().map(|(_, _, line)| line).collect();
        assert_eq!(lines, [1, 127, 128, 16_384, u32::MAX as usize]);
        assert_eq!(
            entries.get(&format!("{key}16384")),
            Some((value.as_str(), 16_384))
        );
    }

    proptest! {
        /// It behaves like a standard library map.
        #[test]
        fn like_a_map(pairs in prop::collection::vec(("[a-cA-C]{0,3}", "[a-z]{0,3}"), 0..60)) {
            let mut entries = Entries::with_room_for(b"a b\n");
            let mut map = std::collections::HashMap::new();
            for (line, (key, value)) in pairs.iter().enumerate() {
                let added = entries.insert(key, value, line);
                let is_new = !map.contains_key(&key.to_lowercase());
                prop_assert_eq!(added.is_ok(), is_new);
                map.entry(key.to_lowercase()).or_insert_with(|| (value.clone(), line));
            }
            for (key, (value, line)) in &map {
                prop_assert_eq!(entries.get(key), Some((value.as_str(), *line)));
            }
            prop_assert_eq!(entries.len(), map.len());
            prop_assert!(entries.get("d").is_none());
        }
    }
}
