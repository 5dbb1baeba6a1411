//! Keys with values, in little memory: one text, and an index of places in it.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use hashbrown::HashTable;

use crate::fold;

/// Octets of a usual line, at the least: a text of empty lines is given no room for more entries than that.
const SHORTEST: usize = 8;

/// Where an entry stands in the text: its key, and right behind that its value.
#[derive(Clone, Copy, Debug)]
struct Row {
    start: u32,
    key: u32,
    value: u32,
    line: u32,
}

/// Keys with values. A key is there once: the first counts.
///
/// An entry costs its octets and about 25 more.
#[derive(Debug, Default)]
pub struct Entries {
    text: String,
    rows: Vec<Row>,
    index: HashTable<u32>,
}

/// An entry that could not be added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotAdded {
    /// The key is there already, from this line.
    Twice(usize),
    /// There is no more room: over 4 GiB of text.
    Full,
}

impl Entries {
    /// For what a text of the usual kind has, an entry a line: with room made beforehand, no key is hashed twice.
    pub(crate) fn with_room_for(text: &[u8]) -> Self {
        let lines = memchr::memchr_iter(b'\n', text).count();
        let entries = lines.min(text.len() / SHORTEST);
        Self {
            text: String::with_capacity(text.len()),
            rows: Vec::with_capacity(entries),
            index: HashTable::with_capacity(entries),
        }
    }

    /// Adds an entry.
    pub(crate) fn insert(&mut self, key: &str, value: &str, line: usize) -> Result<(), NotAdded> {
        let key = fold(key);
        let hash = hash(&key);
        if let Some(&row) = self.place(&key, hash) {
            return Err(NotAdded::Twice(self.rows[row as usize].line as usize));
        }
        let short = |number: usize| u32::try_from(number).map_err(|_| NotAdded::Full);
        let row = short(self.rows.len())?;
        short(self.text.len() + key.len() + value.len())?;
        self.rows.push(Row {
            start: short(self.text.len())?,
            key: short(key.len())?,
            value: short(value.len())?,
            line: short(line)?,
        });
        self.text.push_str(&key);
        self.text.push_str(value);
        let Self { text, rows, index } = self;
        index.insert_unique(hash, row, |&row| self::hash(key_of(text, rows[row as usize])));
        Ok(())
    }

    /// The end of reading: what was kept for more is given back.
    pub(crate) fn close(mut self) -> Self {
        self.text.shrink_to_fit();
        self.rows.shrink_to_fit();
        self
    }

    fn place(&self, folded: &str, hash: u64) -> Option<&u32> {
        self.index
            .find(hash, |&row| key_of(&self.text, self.rows[row as usize]) == folded)
    }

    /// The value of a key, and its line.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<(&str, usize)> {
        let key = fold(key);
        let row = *self.place(&key, hash(&key))?;
        let row = self.rows[row as usize];
        Some((value_of(&self.text, row), row.line as usize))
    }

    /// All keys with their values and lines, in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        let entry = |&row: &Row| {
            (
                key_of(&self.text, row),
                value_of(&self.text, row),
                row.line as usize,
            )
        };
        self.rows.iter().map(entry)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

fn key_of(text: &str, row: Row) -> &str {
    let start = row.start as usize;
    &text[start..start + row.key as usize]
}

fn value_of(text: &str, row: Row) -> &str {
    let start = row.start as usize + row.key as usize;
    &text[start..start + row.value as usize]
}

/// Who asks has no part in what stands in the table, so the hash need not be secret.
fn hash(key: &str) -> u64 {
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

    proptest! {
        /// It answers as a map of the standard library does.
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
