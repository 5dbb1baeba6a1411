//! What is due, read from the index by domain and time without looking at what is not.

use std::collections::HashSet;

use jiff::Timestamp;
use postern_mail::QueueId;
use rusqlite::{Connection, OptionalExtension, params};

use super::codec::{self, ReadError};
use crate::engine::{DueDomain, DuePage, DueWork, MessageOrigin};

const NEXT_DOMAIN: &str = "SELECT domain, due_at FROM recipient INDEXED BY recipient_due
    WHERE state = 1 AND domain > ?1 ORDER BY domain, due_at LIMIT 1";

const DUE_IDS: &str = "SELECT due_at, message_id, idx FROM recipient INDEXED BY recipient_due
    WHERE state = 1 AND domain = ?1 AND due_at <= ?2 AND (due_at, message_id, idx) > (?3, ?4, ?5)
    ORDER BY due_at, message_id, idx LIMIT ?6";

/// The plus signs keep SQLite from walking through all of the domain in the index for the sake of one message.
const DUE_RECIPIENTS: &str = "FROM recipient
    WHERE message_id = ?1 AND domain = ?2 AND +state = 1 AND +due_at <= ?3 ORDER BY idx";

const LATER_IN_DOMAIN: &str = "SELECT domain, due_at, message_id, idx FROM recipient INDEXED BY recipient_due
    WHERE state = 1 AND domain = ?1 AND (due_at, message_id, idx) > (max(?2, ?5), ?3, ?4)
    ORDER BY due_at, message_id, idx LIMIT ?6";

/// Of one domain, what is due already can be skipped; of all domains it has to be walked through.
const LATER: &str = "SELECT domain, due_at, message_id, idx FROM recipient INDEXED BY recipient_due
    WHERE state = 1 AND due_at > ?5 AND (domain, due_at, message_id, idx) > (?1, ?2, ?3, ?4)
    ORDER BY domain, due_at, message_id, idx LIMIT ?6";

/// Domains looked at for each one asked for, so that a call ends soon although few are due.
const DOMAINS_LOOKED_AT: usize = 20;

/// A loose index scan: one look-up a domain, from each to the next.
pub(super) fn domains(
    connection: &Connection,
    after: Option<String>,
    now: Timestamp,
    limit: usize,
) -> Result<DuePage, ReadError> {
    let now = now.as_millisecond();
    let mut page = DuePage::default();
    let mut last = after.unwrap_or_default();
    let mut query = connection.prepare_cached(NEXT_DOMAIN)?;
    for _ in 0..limit.saturating_mul(DOMAINS_LOOKED_AT) {
        let next = query.query_row([&last], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        });
        let Some((domain, due_at)) = next.optional()? else {
            return Ok(page);
        };
        last.clone_from(&domain);
        let next_due = codec::time(due_at);
        if due_at <= now {
            page.domains.push(DueDomain { domain, next_due });
            if page.domains.len() >= limit {
                break;
            }
        } else {
            page.next_due = Some(page.next_due.map_or(next_due, |earliest| earliest.min(next_due)));
        }
    }
    page.resume = Some(last);
    Ok(page)
}

/// Where a walk through one domain's due recipients stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    due_at: i64,
    id: i64,
    index: i64,
}

impl Place {
    pub(super) const START: Self = Self {
        due_at: i64::MIN,
        id: i64::MIN,
        index: -1,
    };
}

/// Ids of due messages from `place` on, a page of rows, each id once; and where to go on, unless that was the end.
pub(super) fn ids(
    connection: &Connection,
    domain: &str,
    now: Timestamp,
    mut place: Place,
    rows: usize,
) -> Result<(Vec<QueueId>, Option<Place>), ReadError> {
    let mut query = connection.prepare_cached(DUE_IDS)?;
    let bounds = params![
        domain,
        now.as_millisecond(),
        place.due_at,
        place.id,
        place.index,
        rows as i64
    ];
    let mut found = query.query(bounds)?;
    let (mut seen, mut ids, mut known) = (0, Vec::new(), HashSet::new());
    while let Some(row) = found.next()? {
        seen += 1;
        place = Place {
            due_at: row.get(0)?,
            id: row.get(1)?,
            index: row.get(2)?,
        };
        if known.insert(place.id) {
            ids.push(codec::id(place.id));
        }
    }
    Ok((ids, (seen == rows).then_some(place)))
}

/// The due recipients of these messages in one domain. Messages without any, or finished meanwhile, are left out.
pub(super) fn work(
    connection: &Connection,
    domain: &str,
    now: Timestamp,
    ids: &[QueueId],
) -> Result<Vec<DueWork>, ReadError> {
    let mut message =
        connection.prepare_cached("SELECT size, received_at, origin, login FROM message WHERE id = ?1")?;
    let mut recipients =
        connection.prepare_cached(&format!("SELECT {} {DUE_RECIPIENTS}", codec::RECIPIENT_COLUMNS))?;
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        let row = message.query_row([id.as_i64()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        });
        let Some((size, received_at, origin, login)) = row.optional()? else {
            continue;
        };
        let mut rows = recipients.query(params![id.as_i64(), domain, now.as_millisecond()])?;
        let mut due = Vec::new();
        while let Some(row) = rows.next()? {
            due.push(codec::recipient(row)?);
        }
        if !due.is_empty() {
            let received_at = codec::time(received_at);
            all.push(DueWork {
                id: *id,
                size: size.max(0) as u64,
                received_at,
                // One that is not known is complained of when its message is read.
                origin: codec::origin(origin).unwrap_or_default(),
                login,
                recipients: due,
            });
        }
    }
    Ok(all)
}

/// Whom these messages are from.
pub(super) fn origins(connection: &Connection, ids: &[QueueId]) -> Result<Vec<MessageOrigin>, ReadError> {
    let mut query = connection.prepare_cached("SELECT sender, login FROM message WHERE id = ?1")?;
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        let row = query.query_row([id.as_i64()], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)));
        let Some((sender, login)) = row.optional()? else {
            continue;
        };
        // One that cannot be read is left out here, and complained of when its message is.
        if let Ok(sender) = codec::sender(&sender) {
            all.push(MessageOrigin {
                id: *id,
                sender,
                login,
            });
        }
    }
    Ok(all)
}

/// Recipients by message and index.
pub(super) type Recipients = Vec<(QueueId, u32)>;

/// A place in the whole index.
#[derive(Clone)]
pub(super) struct IndexPlace {
    pub(super) domain: String,
    place: Place,
}

impl IndexPlace {
    /// Before the first recipient of this domain, or of all.
    pub(super) fn before(domain: Option<&str>) -> Self {
        Self {
            domain: domain.unwrap_or_default().to_owned(),
            place: Place::START,
        }
    }
}

/// Recipients that are queued for later than `now`, a page of them, of one domain or of all; and where to go on.
pub(super) fn deferred(
    connection: &Connection,
    only: bool,
    from: IndexPlace,
    now: Timestamp,
    rows: usize,
) -> Result<(Recipients, Option<IndexPlace>), ReadError> {
    let mut query = connection.prepare_cached(if only { LATER_IN_DOMAIN } else { LATER })?;
    let Place { due_at, id, index } = from.place;
    let mut found = query.query(params![
        from.domain,
        due_at,
        id,
        index,
        now.as_millisecond(),
        rows as i64
    ])?;
    let (mut later, mut next) = (Vec::new(), None);
    while let Some(row) = found.next()? {
        let place = Place {
            due_at: row.get(1)?,
            id: row.get(2)?,
            index: row.get(3)?,
        };
        later.push((codec::id(place.id), place.index as u32));
        next = Some(IndexPlace {
            domain: row.get(0)?,
            place,
        });
    }
    Ok((later, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_goes_by_an_index() {
        let folder = tempfile::tempdir().unwrap();
        super::super::connection::make_directory(folder.path()).unwrap();
        let connection = super::super::connection::open_writer(folder.path()).unwrap();
        let recipients = format!("SELECT idx {DUE_RECIPIENTS}");
        #[rustfmt::skip]
        let cases = [
            // what it reads              query                  how
            ("the next domain",           NEXT_DOMAIN,           "SEARCH recipient USING COVERING INDEX recipient_due (domain>?)"),
            ("due messages of a domain",  DUE_IDS,               "SEARCH recipient USING COVERING INDEX recipient_due (domain=? AND (due_at,message_id,idx)>(?,?,?) AND due_at<?)"),
            ("recipients of a message",   &*recipients,          "SEARCH recipient USING PRIMARY KEY (message_id=?)"),
            ("deferred of a domain",      LATER_IN_DOMAIN,       "SEARCH recipient USING COVERING INDEX recipient_due (domain=? AND (due_at,message_id,idx)>(?,?,?))"),
            ("all deferred",              LATER,                 "SEARCH recipient USING COVERING INDEX recipient_due ((domain,due_at,message_id,idx)>(?,?,?,?))"),
        ];
        for (reads, query, how) in cases {
            let mut statement = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {query}"))
                .unwrap();
            // The values do not matter for the plan.
            let steps: Vec<String> = statement
                .raw_query()
                .mapped(|row| row.get(3))
                .collect::<Result<_, _>>()
                .unwrap();
            assert_eq!(steps, [how], "{reads}");
        }
    }
}
