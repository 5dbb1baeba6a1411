//! Listings for administrators.

use std::cell::Cell;

use jiff::Timestamp;
use postern_mail::QueueId;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codec::{self, ReadError};
use crate::admin::{Ages, Filter, Summary};
use crate::lease::DueWork;
use crate::message::Origin;
use crate::recipient::RecipientState;

/// Messages examined in one read; between reads the log may start again.
const STEP: usize = 5000;

/// Columns that [`message_columns`] reads, and conditions of a filter; a NULL condition matches all.
const MATCHING: &str = "
    SELECT m.id FROM (SELECT * FROM message WHERE id > ?1 ORDER BY id LIMIT ?2) m
    WHERE (?3 IS NULL OR lower(m.sender) = ?3)
      AND (?4 IS NULL OR m.login = ?4 COLLATE NOCASE)
      AND (?5 IS NULL OR (m.hold IS NOT NULL AND m.hold_rule IS NOT 'sandbox.kept') = ?5)
      AND (?11 IS NULL OR (m.hold_rule IS 'sandbox.kept') = ?11)
      AND (?6 IS NULL OR m.received_at >= ?6)
      AND (?7 IS NULL OR m.received_at < ?7)
      AND (?8 IS NULL OR EXISTS (SELECT 1 FROM recipient r
            WHERE r.message_id = m.id AND r.state < 3 AND lower(r.address) = ?8))
      AND (?9 IS NULL OR EXISTS (SELECT 1 FROM recipient r
            WHERE r.message_id = m.id AND r.state < 3 AND r.domain = ?9))
    ORDER BY m.id LIMIT ?10";

/// The result of one step of a scan of the queue.
pub(super) struct Found {
    pub(super) ids: Vec<QueueId>,
    /// Where to continue; `None` at the end of the queue.
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
        filter.sandboxed,
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

/// The last message that a step examined, if it was a full step.
fn last_of_step(connection: &Connection, after: i64) -> Result<Option<i64>, ReadError> {
    let mut query =
        connection.prepare_cached("SELECT id FROM message WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2")?;
    Ok(query
        .query_row([after, STEP as i64 - 1], |row| row.get(0))
        .optional()?)
}

/// One message's line; `None` if it is not queued. For a damaged one, what can be read.
pub(super) fn summary(connection: &Connection, id: QueueId) -> Result<Option<Summary>, ReadError> {
    let mut query = connection.prepare_cached(
        "SELECT m.sender, m.received_at, m.size, m.recipients, m.unfinished, m.hold, m.login, m.origin, m.damaged,
                r.address, r.reply, r.failure, r.stage,
                (SELECT min(due_at) FROM recipient WHERE message_id = m.id AND state < 3),
                (SELECT max(attempts) FROM recipient WHERE message_id = m.id AND state < 3),
                m.hold_rule, m.hold_milter
         FROM message m LEFT JOIN recipient r ON r.message_id = m.id
             AND r.idx = (SELECT min(idx) FROM recipient WHERE message_id = m.id AND state < 3)
         WHERE m.id = ?1",
    )?;
    Ok(query
        .query_row([id.as_i64()], |row| Ok(read_summary(row, id)))
        .optional()?)
}

/// How many messages were accepted before each of these times, and when the oldest was, leaving out what is in the sandbox. What makes no sense is passed over.
pub(super) fn ages(connection: &Connection, before: &[Timestamp]) -> Result<Ages, ReadError> {
    let mut ages = Ages {
        older: vec![0; before.len()],
        oldest: None,
    };
    let mut query = connection.prepare_cached(
        "SELECT coalesce(queued_at, received_at) FROM message WHERE hold_rule IS NOT 'sandbox.kept'",
    )?;
    let mut rows = query.query([])?;
    let mut oldest = i64::MAX;
    while let Some(row) = rows.next()? {
        let Ok(queued_at) = row.get::<_, i64>(0) else {
            continue;
        };
        oldest = oldest.min(queued_at);
        for (time, count) in before.iter().zip(&mut ages.older) {
            *count += u64::from(queued_at < time.as_millisecond());
        }
    }
    ages.oldest = Timestamp::from_millisecond(oldest).ok();
    Ok(ages)
}

/// A value of the wrong type is left empty, and marks the message as damaged.
fn read_summary(row: &Row<'_>, id: QueueId) -> Summary {
    let strange = Cell::new(false);
    let text = |column: usize| {
        let text = row.get::<_, Option<String>>(column);
        text.inspect_err(|_| strange.set(true)).unwrap_or_default()
    };
    let number = |column: usize| {
        let number = row.get::<_, Option<i64>>(column);
        let number = number.inspect_err(|_| strange.set(true));
        number.unwrap_or_default().unwrap_or_default()
    };
    let small = |column: usize| u32::try_from(number(column).max(0)).unwrap_or(u32::MAX);
    let mut summary = Summary {
        id,
        sender: text(0).unwrap_or_default(),
        received_at: codec::time(number(1)),
        size: number(2).max(0) as u64,
        recipients: small(3),
        open: small(4),
        first_recipient: text(9).unwrap_or_default(),
        next_due: codec::time(number(13)),
        attempts: small(14),
        last_reply: text(10).unwrap_or_default(),
        last_failure: codec::failure(row, 11),
        hold: text(5),
        hold_rule: text(15),
        hold_milter: text(16),
        damaged: text(8),
        login: text(6),
        origin: codec::origin(number(7)).unwrap_or_else(|_| {
            strange.set(true);
            Origin::Local
        }),
    };
    if strange.get() && summary.damaged.is_none() {
        summary.damaged = Some("its row cannot be understood".into());
    }
    summary
}

/// The lines of these messages; those finished meanwhile are left out.
pub(super) fn summaries(connection: &Connection, ids: &[QueueId]) -> Result<Vec<Summary>, ReadError> {
    let transaction = connection.unchecked_transaction()?;
    ids.iter()
        .filter_map(|id| summary(&transaction, *id).transpose())
        .collect()
}

/// Messages in the sandbox that were queued before a time.
pub(super) fn sandboxed_before(
    connection: &Connection,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<QueueId>, ReadError> {
    let mut query = connection.prepare_cached(
        "SELECT id FROM message WHERE hold_rule = 'sandbox.kept' AND queued_at < ?1 ORDER BY queued_at LIMIT ?2",
    )?;
    let ids = query.query_map(params![before.as_millisecond(), limit as i64], |row| row.get(0))?;
    Ok(ids.map(|id| id.map(codec::id)).collect::<rusqlite::Result<_>>()?)
}

/// Messages held as damaged that were queued before a time, with their valid open recipients.
pub(super) fn damaged_before(
    connection: &Connection,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<DueWork>, ReadError> {
    let transaction = connection.unchecked_transaction()?;
    let any: i64 = transaction.query_row("SELECT total(damaged) <> 0 FROM totals", [], |row| row.get(0))?;
    if any == 0 {
        return Ok(Vec::new());
    }
    let mut query = transaction.prepare_cached(
        "SELECT id, size, coalesce(queued_at, received_at), origin, login FROM message
         WHERE damaged IS NOT NULL AND hold_rule IS NOT 'sandbox.kept' AND coalesce(queued_at, received_at) < ?1
         ORDER BY id LIMIT ?2",
    )?;
    let mut rows = query.query(params![before.as_millisecond(), limit as i64])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let id = codec::id(row.get(0)?);
        let recipients = super::load::recipients(&transaction, id)?;
        all.push(DueWork {
            id,
            size: row.get::<_, i64>(1).unwrap_or_default().max(0) as u64,
            queued_at: codec::time(row.get(2).unwrap_or_default()),
            origin: codec::origin(row.get(3).unwrap_or_default()).unwrap_or_default(),
            login: row.get(4).unwrap_or_default(),
            // Nothing of it is delivered.
            detour: None,
            recipients: recipients
                .into_iter()
                .filter(|recipient| recipient.state != RecipientState::Done)
                .collect(),
        });
    }
    Ok(all)
}
