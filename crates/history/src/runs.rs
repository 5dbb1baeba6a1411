//! Sorted runs of postings on disk, read in order.

use rusqlite::{Connection, OptionalExtension as _};

use crate::index::{self, Posting};

/// Numbers and levels of the runs of a file.
pub(crate) fn runs(connection: &Connection) -> rusqlite::Result<Vec<(u64, i64)>> {
    let mut query = connection.prepare_cached("SELECT id, level FROM run")?;
    query
        .query_map([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))?
        .collect()
}

/// The position in a run that is read block by block.
struct Cursor {
    next: i64,
    last: i64,
    postings: Vec<Posting>,
    at: usize,
}

impl Cursor {
    fn new(run: u64) -> Self {
        let (next, last) = index::rows_of(run);
        Self {
            next,
            last,
            postings: Vec::new(),
            at: 0,
        }
    }

    fn peek(&mut self, connection: &Connection) -> rusqlite::Result<Option<Posting>> {
        while self.at >= self.postings.len() {
            let block: Option<(i64, Vec<u8>)> = connection
                .prepare_cached("SELECT id, body FROM block WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1")?
                .query_row([self.next, self.last], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((row, body)) = block else { return Ok(None) };
            self.postings.clear();
            self.at = 0;
            index::read(row, &body, &mut self.postings);
            self.next = row + 1;
        }
        Ok(self.postings.get(self.at).copied())
    }
}

/// Visits the postings of several runs in order, each once.
pub(crate) fn merge(
    connection: &Connection,
    runs: &[u64],
    mut show: impl FnMut(Posting) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut cursors: Vec<Cursor> = runs.iter().map(|run| Cursor::new(*run)).collect();
    let mut heap = std::collections::BinaryHeap::new();
    for (index, cursor) in cursors.iter_mut().enumerate() {
        if let Some(posting) = cursor.peek(connection)? {
            heap.push(std::cmp::Reverse((posting, index)));
        }
    }
    while let Some(std::cmp::Reverse((posting, index))) = heap.pop() {
        show(posting)?;
        let cursor = &mut cursors[index];
        cursor.at += 1;
        if let Some(next) = cursor.peek(connection)? {
            heap.push(std::cmp::Reverse((next, index)));
        }
    }
    Ok(())
}
