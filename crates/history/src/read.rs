//! Queries of one file, by its writer and by searches.

use std::collections::HashMap;
use std::path::Path;

use postern_events::{Key, PastEvent};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use crate::chunk::{self, About, Texts};
use crate::error::PartError;
use crate::index;
use crate::runs::runs;
use crate::schema::{BUSY_WAIT, VERSION};

/// A file open for reading, even while its writer writes.
pub(crate) struct Reader {
    pub(crate) connection: Connection,
    known: Known,
}

/// The meaning of numbers in the file, as far as looked up.
#[derive(Default)]
pub(crate) struct Known {
    texts: HashMap<u64, Option<String>>,
    keys: HashMap<u64, Option<Key>>,
}

/// Most texts remembered while a file is read.
const TEXTS_MAX: usize = 100_000;

/// A story as stored in a file.
pub(crate) struct Story {
    pub(crate) about: About,
    pub(crate) events: Vec<PastEvent>,
}

impl Reader {
    /// Opens an existing file. Creates and changes nothing.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, PartError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_WAIT)?;
        match connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))? {
            // Created, but not written to yet.
            0 => Ok(None),
            VERSION => Ok(Some(Self {
                connection,
                known: Known::default(),
            })),
            _ => Err(PartError::TooNew),
        }
    }

    /// The stories that a term's hash may stand for, oldest first.
    pub(crate) fn postings(&self, hashes: &[u64]) -> Result<Vec<u32>, PartError> {
        postings(&self.connection, hashes)
    }

    /// Reads a story; `None` if there is none, or it is invalid.
    pub(crate) fn story(&mut self, begin: i64, story: u32) -> Result<Option<Story>, PartError> {
        let mut query = self.connection.prepare_cached(
            "SELECT at, body FROM chunk WHERE id = ?1 AND story IS NULL
             UNION ALL SELECT at, body FROM (SELECT at, body FROM chunk WHERE story = ?1 ORDER BY id)",
        )?;
        let mut rows = query.query([story])?;
        let mut events = Vec::new();
        let mut about = None;
        while let Some(row) = rows.next()? {
            let at = begin + row.get::<_, i64>(0)?;
            let body = row.get_ref(1)?.as_blob().unwrap_or_default();
            let mut body = body;
            if about.is_none() {
                about = chunk::about(&mut body);
                if about.is_none() {
                    return Ok(None);
                }
            }
            let mut texts = Asking::new(&self.connection, &mut self.known);
            chunk::events(body, at, &mut texts, &mut events);
        }
        Ok(about.map(|about| Story { about, events }))
    }

    /// The number of the first row not before a time, which counts from the beginning of the day.
    pub(crate) fn row_at(&self, at: i64) -> Result<i64, PartError> {
        let (mut low, mut high) = self.bounds()?;
        high += 1;
        let mut query = self
            .connection
            .prepare_cached("SELECT id, at FROM chunk WHERE id >= ?1 ORDER BY id LIMIT 1")?;
        while low < high {
            let middle = low + (high - low) / 2;
            let found: Option<(i64, i64)> = query
                .query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            match found {
                Some((id, found)) if found < at => low = id + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The numbers of the first and the last row.
    pub(crate) fn bounds(&self) -> Result<(i64, i64), PartError> {
        let bounds = self.connection.query_row(
            "SELECT coalesce((SELECT min(id) FROM chunk), 1), coalesce((SELECT max(id) FROM chunk), 0)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        );
        Ok(bounds?)
    }

    /// How much older than its row an event may be, in milliseconds.
    pub(crate) fn back(&self) -> Result<i64, PartError> {
        Ok(self
            .connection
            .query_row("SELECT back FROM clock", [], |row| row.get(0))?)
    }

    /// The last row of a story.
    pub(crate) fn last_row(&self, story: u32) -> Result<i64, PartError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT coalesce(max(id), ?1) FROM chunk WHERE story = ?1")?;
        Ok(query.query_row([story], |row| row.get(0))?)
    }

    /// The stories that began earlier and continue between two rows, oldest first.
    pub(crate) fn going_on(&self, first: i64, end: i64) -> Result<Vec<u32>, PartError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT story FROM chunk WHERE id >= ?1 AND id < ?2 AND story < ?1")?;
        let mut stories = query
            .query_map([first, end], |row| row.get(0))?
            .collect::<Result<Vec<u32>, _>>()?;
        stories.sort_unstable();
        stories.dedup();
        Ok(stories)
    }

    /// What a story is about.
    pub(crate) fn about(&self, story: u32) -> Result<Option<About>, PartError> {
        about(&self.connection, story)
    }

    /// How many stories there are, roughly: rows that begin one.
    pub(crate) fn count(&self) -> Result<u64, PartError> {
        let count: i64 = self.connection.query_row(
            "SELECT coalesce((SELECT max(id) FROM chunk), 0) - (SELECT count(*) FROM chunk WHERE story IS NOT NULL)",
            [],
            |row| row.get(0),
        )?;
        Ok(count.max(0) as u64)
    }

    /// The next stories after a row, oldest first.
    pub(crate) fn after(&self, row: i64, many: usize) -> Result<Vec<u32>, PartError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT id FROM chunk WHERE id > ?1 AND story IS NULL ORDER BY id LIMIT ?2")?;
        let found = query.query_map([row, many as i64], |row| row.get(0))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The next stories before a row, newest first.
    pub(crate) fn before(&self, row: i64, many: usize) -> Result<Vec<u32>, PartError> {
        let mut query = self.connection.prepare_cached(
            "SELECT id FROM chunk WHERE id < ?1 AND story IS NULL ORDER BY id DESC LIMIT ?2",
        )?;
        let found = query.query_map([row, many as i64], |row| row.get(0))?;
        Ok(found.collect::<Result<_, _>>()?)
    }
}

/// The stories that a term's hash may stand for, oldest first.
pub(crate) fn postings(connection: &Connection, hashes: &[u64]) -> Result<Vec<u32>, PartError> {
    let mut stories = Vec::new();
    let mut query = connection
        .prepare_cached("SELECT id, body FROM block WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC")?;
    for (run, _) in runs(connection)? {
        for hash in hashes {
            let first = index::rows_of(run).0;
            let mut rows = query.query([first, index::last_of(run, *hash)])?;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
                index::find(
                    id,
                    row.get_ref(1)?.as_blob().unwrap_or_default(),
                    *hash,
                    &mut stories,
                );
                if index::first_of(id) < *hash {
                    break;
                }
            }
        }
    }
    stories.sort_unstable();
    stories.dedup();
    Ok(stories)
}

/// What a story is about.
pub(crate) fn about(connection: &Connection, story: u32) -> Result<Option<About>, PartError> {
    let body: Option<Vec<u8>> = connection
        .prepare_cached("SELECT body FROM chunk WHERE id = ?1 AND story IS NULL")?
        .query_row([story], |row| row.get(0))
        .optional()?;
    Ok(body.and_then(|body| chunk::about(&mut &body[..])))
}

/// Looks up unknown numbers in the file.
pub(crate) struct Asking<'r> {
    connection: &'r Connection,
    known: &'r mut Known,
}

impl<'r> Asking<'r> {
    pub(crate) fn new(connection: &'r Connection, known: &'r mut Known) -> Self {
        Self { connection, known }
    }

    fn ask(&self, sql: &str, number: u64) -> Option<String> {
        let mut query = self.connection.prepare_cached(sql).ok()?;
        query.query_row([number as i64], |row| row.get(0)).ok()
    }
}

impl Texts for Asking<'_> {
    fn text(&mut self, number: u64) -> Option<String> {
        if let Some(text) = self.known.texts.get(&number) {
            return text.clone();
        }
        if self.known.texts.len() >= TEXTS_MAX {
            self.known.texts.clear();
        }
        let text = self.ask("SELECT text FROM text WHERE id = ?1", number);
        self.known.texts.insert(number, text.clone());
        text
    }

    fn key(&mut self, number: u64) -> Option<Key> {
        if let Some(key) = self.known.keys.get(&number) {
            return *key;
        }
        let name = self.ask("SELECT name FROM key WHERE id = ?1", number);
        let key = name.and_then(|name| Key::from_name(&name));
        self.known.keys.insert(number, key);
        key
    }
}
