//! Listings for administrators.

use postern_mail::QueueId;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codec::{self, ReadError};
use crate::admin::{Filter, Summary};

/// Messages looked at in one read; between reads the log may start anew.
const STEP: usize = 5000;

/// Columns that [`message_columns`] reads, and conditions of a filter; a condition that is NULL matches all.
const MATCHING: &str = "
    SELECT m.id FROM (SELECT * FROM message WHERE id > ?1 ORDER BY id LIMIT ?2) m
    WHERE (?3 IS NULL OR lower(m.sender) = ?3)
      AND (?4 IS NULL OR m.login = ?4)
      AND (?5 IS NULL OR (m.hold IS NOT NULL) = ?5)
      AND (?6 IS NULL OR m.received_at >= ?6)
      AND (?7 IS NULL OR m.received_at < ?7)
      AND (?8 IS NULL OR EXISTS (SELECT 1 FROM recipient r
            WHERE r.message_id = m.id AND r.state < 3 AND lower(r.address) = ?8))
      AND (?9 IS NULL OR EXISTS (SELECT 1 FROM recipient r
            WHERE r.message_id = m.id AND r.state < 3 AND r.domain = ?9))
    ORDER BY m.id LIMIT ?10";

/// What one step of a walk through the queue found.
pub(super) struct Found {
    pub(super) ids: Vec<QueueId>,
    /// Where to go on; `None` at the end of the queue.
    pub(super) resume: Option<QueueId>,
}

/// Ids of matching messages after `after`: at most `limit`, among the next few thousand.
pub(super) fn matching(
    connection: &Connection,
    filter: &Filter,
    after: Option<QueueId>,
    limit: usize,
) -> Result<Found, ReadError> {
    let transaction = connection.unchecked_transaction()?;
    let after = after.map_or(-1, QueueId::as_i64);
    let mut query = transaction.prepare_cached(MATCHING)?;
    let mut rows = query.query(params![
        after,
        STEP as i64,
        filter.sender.as_deref().map(str::to_lowercase),
        filter.login,
        filter.held,
        filter.received_from.map(|time| time.as_millisecond()),
        filter.received_before.map(|time| time.as_millisecond()),
        filter.recipient.as_deref().map(str::to_lowercase),
        filter.domain.as_deref().map(str::to_lowercase),
        limit as i64,
    ])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(codec::id(row.get(0)?));
    }
    let resume = if ids.len() >= limit {
        ids.last().copied()
    } else {
        last_of_step(&transaction, after)?.map(codec::id)
    };
    Ok(Found { ids, resume })
}

/// The last message that a step looked at, if it was a full one.
fn last_of_step(connection: &Connection, after: i64) -> Result<Option<i64>, ReadError> {
    let mut query =
        connection.prepare_cached("SELECT id FROM message WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2")?;
    Ok(query
        .query_row([after, STEP as i64 - 1], |row| row.get(0))
        .optional()?)
}

/// One message's line; `None` when it is not queued.
pub(super) fn summary(connection: &Connection, id: QueueId) -> Result<Option<Summary>, ReadError> {
    let mut query = connection.prepare_cached(
        "SELECT m.sender, m.received_at, m.size, m.recipients, m.unfinished, m.hold, m.login, m.origin,
                r.address, r.reply,
                (SELECT min(due_at) FROM recipient WHERE message_id = m.id AND state < 3),
                (SELECT max(attempts) FROM recipient WHERE message_id = m.id AND state < 3)
         FROM message m LEFT JOIN recipient r ON r.message_id = m.id
             AND r.idx = (SELECT min(idx) FROM recipient WHERE message_id = m.id AND state < 3)
         WHERE m.id = ?1",
    )?;
    let found = query
        .query_row([id.as_i64()], |row| Ok(read_summary(row, id)))
        .optional()?;
    found.transpose()
}

fn read_summary(row: &Row<'_>, id: QueueId) -> Result<Summary, ReadError> {
    Ok(Summary {
        id,
        sender: row.get(0)?,
        received_at: codec::time(row.get(1)?),
        size: row.get::<_, i64>(2)?.max(0) as u64,
        recipients: row.get(3)?,
        open: row.get(4)?,
        first_recipient: row.get::<_, Option<String>>(8)?.unwrap_or_default(),
        next_due: codec::time(row.get::<_, Option<i64>>(10)?.unwrap_or(0)),
        attempts: row.get::<_, Option<u32>>(11)?.unwrap_or(0),
        last_reply: row.get::<_, Option<String>>(9)?.unwrap_or_default(),
        hold: row.get(5)?,
        login: row.get(6)?,
        origin: codec::origin(row.get(7)?)?,
    })
}

/// The lines of these messages; those finished meanwhile are left out.
pub(super) fn summaries(connection: &Connection, ids: &[QueueId]) -> Result<Vec<Summary>, ReadError> {
    let transaction = connection.unchecked_transaction()?;
    ids.iter()
        .filter_map(|id| summary(&transaction, *id).transpose())
        .collect()
}
