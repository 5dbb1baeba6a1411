//! Checks the whole queue for damage that would otherwise go unnoticed: a recipient that an index has lost, one marked as done
//! without an outcome, a message whose row is gone. A bit flipped on disk must not make mail vanish silently.
//!
//! It reads envelopes, not bodies; those are compared with their checksums when they are delivered.

use postern_mail::QueueId;
use rusqlite::{Connection, params};

use super::codec::{self, FRESH, HELD, QUEUED, ReadError};
use super::due::Strangers;
use super::load;

/// Messages examined in one read.
pub(super) const STEP: usize = 200;

/// Pages of the largest database whose trees are checked (256 MiB).
const TREES_MAX: i64 = 65_536;

/// The position of a check of the queue.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// At the start: the trees of the database.
    Trees,
    /// After this message.
    Messages(i64),
    /// After this recipient: searching for those without a message.
    Recipients(i64, i64),
}

impl Place {
    pub(super) const START: Self = Self::Trees;
}

/// The findings of a step.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Invalid messages.
    pub(super) strange: Strangers,
    /// Messages that claim to be in delivery's memory.
    pub(super) fresh: Vec<QueueId>,
    /// Whether the index of what is due lacks entries.
    pub(super) index_lacks: bool,
    /// What is wrong with the database as a whole: it must be replaced.
    pub(super) broken: Option<String>,
    /// Where to continue; `None` at the end.
    pub(super) next: Option<Place>,
}

/// Checks the next few.
pub(super) fn step(connection: &Connection, place: Place) -> Result<Seen, ReadError> {
    match place {
        Place::Trees => trees(connection),
        Place::Messages(after) => messages(connection, after),
        Place::Recipients(id, index) => recipients(connection, id, index),
    }
}

/// Has SQLite check its trees, if that only takes a moment: the log cannot start again meanwhile.
fn trees(connection: &Connection) -> Result<Seen, ReadError> {
    let mut seen = Seen {
        next: Some(Place::Messages(i64::MIN)),
        ..Seen::default()
    };
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    if pages > TREES_MAX {
        return Ok(seen);
    }
    let mut query = connection.prepare("PRAGMA integrity_check(100)")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let said: String = row.get(0)?;
        let of_index = ["missing from index", "entries in index", "entry in index"];
        if of_index.iter().any(|what| said.contains(what)) {
            seen.index_lacks = true;
        // A value of another type only concerns its row, and an unused page nothing.
        } else if said != "ok" && !said.contains(" value in ") && !said.contains("never used") {
            seen.broken.get_or_insert(said);
        }
    }
    Ok(seen)
}

fn messages(connection: &Connection, after: i64) -> Result<Seen, ReadError> {
    let transaction = connection.unchecked_transaction()?;
    let mut query = transaction
        .prepare_cached("SELECT id, damaged IS NOT NULL FROM message WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let mut rows = query.query(params![after, STEP as i64])?;
    let mut seen = Seen::default();
    let mut next = Place::Recipients(i64::MIN, -1);
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let number: i64 = row.get(0)?;
        if count == STEP {
            next = Place::Messages(number);
        }
        let known: bool = row.get(1)?;
        if known {
            continue;
        }
        match look(&transaction, number, &mut seen) {
            Ok(()) => {}
            Err(ReadError::Strange(strange)) => seen.strange.push((codec::id(number), strange.0)),
            Err(error) => return Err(error),
        }
    }
    seen.next = Some(next);
    Ok(seen)
}

/// Checks one message: its envelope, and whether its changing parts are consistent.
fn look(connection: &Connection, number: i64, seen: &mut Seen) -> Result<(), ReadError> {
    let id = codec::id(number);
    if id.as_i64() != number || load::envelope(connection, id)?.is_none() {
        return Err(codec::Strange("its id is not valid".into()).into());
    }
    let mut query = connection.prepare_cached(
        "SELECT m.unfinished = count(*) FILTER (WHERE r.state < 3),
                m.size = coalesce(m.body_size, 0) + coalesce(length(b.prefix), 0) + coalesce(length(b.content), 0)
                    AND b.message_id IS NOT NULL,
                m.hold IS NULL, count(*) FILTER (WHERE r.state = ?2), count(*) FILTER (WHERE r.state = ?3),
                count(*) FILTER (WHERE r.state = ?4)
         FROM message m JOIN recipient r ON r.message_id = m.id LEFT JOIN body b ON b.message_id = m.id
         WHERE m.id = ?1",
    )?;
    let (counted, sized, free, fresh, queued, held): (bool, bool, bool, i64, i64, i64) =
        query.query_row(params![number, FRESH, QUEUED, HELD], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
            ))
        })?;
    let strange = |what: &str| Err(codec::Strange(what.into()).into());
    if !counted {
        return strange("its count of recipients is wrong");
    }
    if !sized {
        return strange("its content is missing or cut short");
    }
    if free && held > 0 {
        return strange("its recipients are held, and it is not");
    }
    if !free && fresh + queued > 0 {
        return strange("it is held, and its recipients are not");
    }
    if fresh > 0 {
        seen.fresh.push(id);
    }
    let mut indexed = connection.prepare_cached(
        "SELECT count(*) FROM recipient r WHERE r.message_id = ?1 AND +r.state = 1 AND EXISTS
             (SELECT 1 FROM recipient i INDEXED BY recipient_due
              WHERE i.state = 1 AND i.domain = r.domain AND i.due_at = r.due_at
                    AND i.message_id = r.message_id AND i.idx = r.idx)",
    )?;
    let indexed: i64 = indexed.query_row([number], |row| row.get(0))?;
    seen.index_lacks |= indexed != queued;
    Ok(())
}

/// Recipients that are not done and have no message.
fn recipients(connection: &Connection, id: i64, index: i64) -> Result<Seen, ReadError> {
    let transaction = connection.unchecked_transaction()?;
    let mut query = transaction.prepare_cached(
        "SELECT r.message_id, r.idx,
                r.state IS NOT 3 AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = r.message_id)
         FROM recipient r WHERE (r.message_id, r.idx) > (?1, ?2) ORDER BY r.message_id, r.idx LIMIT ?3",
    )?;
    let rows = STEP * 10;
    let mut found = query.query(params![id, index, rows as i64])?;
    let (mut seen, mut count) = (Seen::default(), 0);
    while let Some(row) = found.next()? {
        count += 1;
        let (Ok(id), Ok(index)) = (row.get(0), row.get(1)) else {
            continue;
        };
        if count == rows {
            seen.next = Some(Place::Recipients(id, index));
        }
        if row.get(2)? {
            let id = codec::id(id);
            if seen.strange.last().is_none_or(|(last, _)| *last != id) {
                seen.strange
                    .push((id, "it has recipients and nothing else".into()));
            }
        }
    }
    Ok(seen)
}
