//! The numbers of texts and field names in a file: each is written once.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use postern_events::Key;
use rusqlite::{Connection, params};

use crate::chunk::Numbers;
use crate::error::PartError;

/// Most texts whose numbers are remembered; beyond that all are forgotten, and texts get new ones.
const TEXTS_MAX: usize = 1 << 15;

/// The file's numbers for texts and field names. New ones wait to be written.
pub(crate) struct TextNumbers {
    hasher: RandomState,
    texts: HashMap<u64, u32>,
    next: u32,
    keys: Vec<Option<u64>>,
    next_key: u64,
    new_texts: Vec<(u32, String)>,
    new_keys: Vec<(u64, &'static str)>,
}

impl Numbers for TextNumbers {
    type Error = PartError;

    fn text(&mut self, text: &str) -> Result<u64, PartError> {
        if self.texts.len() >= TEXTS_MAX {
            self.texts.clear();
        }
        let number = *self.texts.entry(self.hasher.hash_one(text)).or_insert_with(|| {
            let number = self.next;
            self.next += 1;
            self.new_texts.push((number, text.to_owned()));
            number
        });
        Ok(u64::from(number))
    }

    fn key(&mut self, key: Key) -> Result<u64, PartError> {
        let place = &mut self.keys[key as usize];
        Ok(*place.get_or_insert_with(|| {
            let number = self.next_key;
            self.next_key += 1;
            self.new_keys.push((number, key.name()));
            number
        }))
    }
}

impl TextNumbers {
    pub(crate) fn read(connection: &Connection) -> Result<Self, PartError> {
        let max = |table: &str| {
            connection.query_row(&format!("SELECT coalesce(max(id), 0) FROM {table}"), [], |row| {
                row.get::<_, i64>(0)
            })
        };
        let mut keys = vec![None; Key::ALL.len()];
        let mut query = connection.prepare("SELECT id, name FROM key")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(key) = Key::from_name(&row.get::<_, String>(1)?) {
                keys[key as usize] = Some(row.get::<_, i64>(0)? as u64);
            }
        }
        Ok(Self {
            hasher: RandomState::new(),
            texts: HashMap::new(),
            next: u32::try_from(max("text")?).unwrap_or(u32::MAX / 2) + 1,
            keys,
            next_key: max("key")? as u64 + 1,
            new_texts: Vec::new(),
            new_keys: Vec::new(),
        })
    }

    pub(crate) fn write(&mut self, connection: &Connection) -> Result<(), PartError> {
        let mut insert = connection.prepare_cached("INSERT INTO text (id, text) VALUES (?1, ?2)")?;
        for (number, text) in self.new_texts.drain(..) {
            insert.execute(params![number, text])?;
        }
        for (number, name) in self.new_keys.drain(..) {
            connection.execute(
                "INSERT INTO key (id, name) VALUES (?1, ?2)",
                params![number as i64, name],
            )?;
        }
        Ok(())
    }
}
