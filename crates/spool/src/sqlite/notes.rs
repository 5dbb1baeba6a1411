//! Notes that are committed together with messages.

use rusqlite::{Connection, params};

use super::codec::ReadError;
use crate::error::SpoolError;
use crate::message::Note;

/// Writes a note, replacing one with the same number.
pub(super) fn insert(connection: &Connection, node: u8, note: &Note) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO note (node, number, text) VALUES (?1, ?2, ?3)")?
        .execute(params![node, note.number, note.text])?;
    Ok(())
}

/// This machine's notes, in order.
pub(super) fn all(connection: &Connection, node: u8) -> Result<Vec<Note>, ReadError> {
    let mut statement =
        connection.prepare_cached("SELECT number, text FROM note WHERE node = ?1 ORDER BY number")?;
    let rows = statement.query_map([node], |row| {
        Ok(Note {
            number: row.get(0)?,
            text: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes this machine's notes up to a number; returns how many there were.
pub(super) fn forget(connection: &Connection, node: u8, up_to: i64) -> Result<u64, SpoolError> {
    let gone = connection
        .prepare_cached("DELETE FROM note WHERE node = ?1 AND number <= ?2")?
        .execute(params![node, up_to])?;
    Ok(gone as u64)
}
