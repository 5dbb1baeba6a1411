//! One file of the history, for its only writer.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use postern_events::Lines;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use crate::chunk::{self, About};
use crate::error::PartError;
use crate::index::{self, Blocks, Posting, RUNS_MAX};
use crate::name::Name;
use crate::read::{Asking, Known};
use crate::row_terms;
use crate::runs::{merge, runs};
use crate::schema::{BUSY_WAIT, SCHEMA, VERSION};
use crate::texts::TextNumbers;

/// Runs of a level that are merged into one of the next.
const FAN: usize = 8;

/// Most rows of a file: story numbers have 32 bits, and so do the block numbers of one term.
pub(crate) const ROWS_MAX: i64 = 4_000_000;

/// A file open for writing. Data counts once [`Part::commit`] is called; after an error, drop and reopen it.
pub(crate) struct Part {
    connection: Connection,
    numbers: TextNumbers,
    next: i64,
    /// The time of the last row, since the beginning of the day.
    last_at: i64,
    back: i64,
    body: Vec<u8>,
    postings: Vec<Posting>,
    /// Numbers and levels of runs.
    runs: Vec<(u64, i64)>,
    begun: bool,
}

impl Part {
    /// Opens a file, or creates it, readable only by its owner.
    pub(crate) fn open(folder: &Path, name: Name) -> Result<Self, PartError> {
        let path = name.path(folder);
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)?;
        connection.busy_timeout(BUSY_WAIT)?;
        // No sync for a commit, one for a checkpoint: a machine crash may lose the latest data, but damages nothing.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL;
             PRAGMA cache_size = -1024;
             PRAGMA wal_autocheckpoint = 2000;
             PRAGMA journal_size_limit = 16777216;
             PRAGMA trusted_schema = OFF;",
        )?;
        match connection.query_row("PRAGMA user_version", [], |row| row.get(0))? {
            0 => {
                let transaction = connection.unchecked_transaction()?;
                transaction.execute_batch(SCHEMA)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
                transaction.commit()?;
            }
            VERSION => {}
            _ => return Err(PartError::TooNew),
        }
        let last: Option<(i64, i64)> = connection
            .query_row("SELECT id, at FROM chunk ORDER BY id DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let (last, last_at) = last.unwrap_or((0, 0));
        Ok(Self {
            numbers: TextNumbers::read(&connection)?,
            next: last + 1,
            last_at,
            back: connection.query_row("SELECT back FROM clock", [], |row| row.get(0))?,
            body: Vec::new(),
            postings: Vec::new(),
            runs: runs(&connection)?,
            begun: false,
            connection,
        })
    }

    /// Adds a row: the first of a story, which has no number yet, or a further one. The row's time is that of its last event, or
    /// of the previous row if the clock was set back since. Returns the number of the story.
    pub(crate) fn add(
        &mut self,
        begin: i64,
        about: &About,
        story: Option<u32>,
        lines: &[u8],
    ) -> Result<u32, PartError> {
        self.begin()?;
        let times = Lines::of(lines).map(|line| line.at - begin);
        let (first, last) = times.fold((i64::MAX, 0), |(first, last), at| (at.min(first), at.max(last)));
        let at = last.max(self.last_at);
        let back = at.saturating_sub(first).max(0);
        if back > self.back {
            self.back = back;
            self.connection.execute("UPDATE clock SET back = ?1", [back])?;
        }
        let id = self.next;
        let number = story.unwrap_or_else(|| u32::try_from(id).unwrap_or(u32::MAX));
        let postings = &mut self.postings;
        chunk::encode(
            (about, story.is_none()),
            begin + at,
            lines,
            &mut self.numbers,
            &mut self.body,
            |term| {
                postings.push((term, number));
            },
        )?;
        self.connection
            .prepare_cached("INSERT INTO chunk (id, story, at, body) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![id, story, at, self.body])?;
        (self.next, self.last_at) = (id + 1, at);
        Ok(number)
    }

    /// Fills an empty file with rows of another one, and rebuilds their terms. Returns how many stories there are.
    pub(crate) fn refill(
        &mut self,
        copy: impl FnOnce(&Connection) -> Result<(), PartError>,
    ) -> Result<u64, PartError> {
        self.begin()?;
        copy(&self.connection)?;
        let mut known = Known::default();
        let mut texts = Asking::new(&self.connection, &mut known);
        let mut stories = 0;
        let mut query = self
            .connection
            .prepare("SELECT id, story, body FROM chunk ORDER BY id")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let (id, story): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
            let number = u32::try_from(story.unwrap_or(id)).unwrap_or(u32::MAX);
            let postings = &mut self.postings;
            let body = row.get_ref(2)?.as_blob().unwrap_or_default();
            // Invalid rows get no terms.
            let _ = row_terms::terms(body, story.is_none(), &mut texts, |term| {
                postings.push((term, number))
            });
            stories += u64::from(story.is_none());
        }
        drop(rows);
        drop(query);
        self.commit()?;
        Ok(stories)
    }

    /// Whether no more stories may begin in it.
    pub(crate) fn is_full(&self) -> bool {
        self.next > ROWS_MAX
    }

    /// For look-ups, including uncommitted data.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Commits what was added, with its index.
    pub(crate) fn commit(&mut self) -> Result<(), PartError> {
        if !self.begun {
            return Ok(());
        }
        self.numbers.write(&self.connection)?;
        self.write_run()?;
        self.connection.execute_batch("COMMIT")?;
        self.begun = false;
        self.merge_levels()
    }

    /// Merges all runs into one: the file is complete, except for late arrivals.
    pub(crate) fn seal(&mut self) -> Result<(), PartError> {
        if self.runs.len() > 1 {
            let all: Vec<u64> = self.runs.iter().map(|(run, _)| *run).collect();
            let level = self.runs.iter().map(|(_, level)| *level).max().unwrap_or(0) + 1;
            self.merge(&all, level)?;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), PartError> {
        if !self.begun {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            self.begun = true;
        }
        Ok(())
    }

    fn write_run(&mut self) -> Result<(), PartError> {
        if self.postings.is_empty() {
            return Ok(());
        }
        self.postings.sort_unstable();
        let run = self.free_run();
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO block (id, body) VALUES (?1, ?2)")?;
        let mut blocks = Blocks::new(run, |row, body: &[u8]| {
            insert.execute(params![row, body]).map(drop)
        });
        for posting in self.postings.drain(..) {
            blocks.push(posting)?;
        }
        let size = blocks.finish()?;
        drop(insert);
        // Memory used in a brief flood is released.
        self.postings.shrink_to(1 << 16);
        self.note_run(run, 0, size)
    }

    fn note_run(&mut self, run: u64, level: i64, size: u64) -> Result<(), PartError> {
        self.connection
            .prepare_cached("INSERT INTO run (id, level, size) VALUES (?1, ?2, ?3)")?
            .execute(params![run as i64, level, size as i64])?;
        self.runs.push((run, level));
        Ok(())
    }

    /// The lowest number that no run has.
    fn free_run(&self) -> u64 {
        let taken = |run: &u64| !self.runs.iter().any(|(one, _)| one == run);
        (0..RUNS_MAX).find(taken).unwrap_or(0)
    }

    fn merge_levels(&mut self) -> Result<(), PartError> {
        let mut level = 0;
        loop {
            let of_level: Vec<u64> = self
                .runs
                .iter()
                .filter(|run| run.1 == level)
                .map(|run| run.0)
                .collect();
            if of_level.len() < FAN {
                if self.runs.iter().all(|run| run.1 <= level) {
                    return Ok(());
                }
            } else {
                self.merge(&of_level, level + 1)?;
            }
            level += 1;
        }
    }

    /// Merges several runs into one, in its own transaction.
    fn merge(&mut self, runs: &[u64], level: i64) -> Result<(), PartError> {
        self.begin()?;
        let run = self.free_run();
        let size = {
            let mut insert = self
                .connection
                .prepare_cached("INSERT INTO block (id, body) VALUES (?1, ?2)")?;
            let mut blocks = Blocks::new(run, |row, body: &[u8]| {
                insert.execute(params![row, body]).map(drop)
            });
            merge(&self.connection, runs, |posting| blocks.push(posting))?;
            blocks.finish()?
        };
        for old in runs {
            let (first, last) = index::rows_of(*old);
            self.connection
                .prepare_cached("DELETE FROM block WHERE id BETWEEN ?1 AND ?2")?
                .execute([first, last])?;
            self.connection
                .prepare_cached("DELETE FROM run WHERE id = ?1")?
                .execute([*old as i64])?;
        }
        self.runs.retain(|(one, _)| !runs.contains(one));
        self.note_run(run, level, size)?;
        self.connection.execute_batch("COMMIT")?;
        self.begun = false;
        Ok(())
    }
}

/// The paths of a database: itself, its log, and its shared-memory file.
pub(crate) fn files_of(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|end| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    })
}
