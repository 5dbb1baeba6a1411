//! Reads what is due from the index by domain and time, without touching what is not due.

use std::collections::HashSet;

use jiff::Timestamp;
use postern_mail::QueueId;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::codec::{self, ReadError};
use crate::engine::{DueDomain, DuePage, MessageOrigin};
use crate::lease::DueWork;

const NEXT_DOMAIN: &str = "SELECT domain, due_at FROM recipient INDEXED BY recipient_due
    WHERE state = 1 AND domain > ?1 ORDER BY domain, due_at LIMIT 1";

const DUE_IDS: &str = "SELECT due_at, message_id, idx FROM recipient INDEXED BY recipient_due
    WHERE state = 1 AND domain = ?1 AND due_at <= ?2 AND (due_at, message_id, idx) > (?3, ?4, ?5)
    ORDER BY due_at, message_id, idx LIMIT ?6";

/// The plus signs keep SQLite from scanning the whole domain in the index for a single message.
const DUE_RECIPIENTS: &str = "FROM recipient
    WHERE message_id = ?1 AND domain = ?2 AND +state = 1 AND +due_at <= ?3 ORDER BY idx";

const LATER_IN_DOMAIN: &str = "SELECT domain, due_at, message_id, idx FROM recipient INDEXED BY recipient_due
    WHERE state = 1 AND domain = ?1 AND (due_at, message_id, idx) > (max(?2, ?5), ?3, ?4)
    ORDER BY due_at, message_id, idx LIMIT ?6";

/// For one domain, what is already due can be skipped; for all domains it must be scanned.
const LATER: &str = "SELECT domain, due_at, message_id, idx FROM recipient INDEXED BY recipient_due
    WHERE state = 1 AND due_at > ?5 AND (domain, due_at, message_id, idx) > (?1, ?2, ?3, ?4)
    ORDER BY domain, due_at, message_id, idx LIMIT ?6";

/// Domains examined for each one requested, so that a call ends soon even if few are due.
const DOMAINS_LOOKED_AT: usize = 20;

/// The result of a scan of the domains.
#[derive(Default)]
pub(super) struct Domains {
    pub(super) page: DuePage,
    /// Domains whose first recipient waits longer than the longest wait.
    pub(super) far: Vec<String>,
    /// Messages under an invalid domain.
    pub(super) strange: Vec<(QueueId, String)>,
}

/// A loose index scan: one look-up per domain, from each to the next.
pub(super) fn domains(
    connection: &Connection,
    after: Option<String>,
    now: Timestamp,
    far: Option<Timestamp>,
    limit: usize,
) -> Result<Domains, ReadError> {
    let now = now.as_millisecond();
    let mut found = Domains::default();
    let mut last = after.unwrap_or_default().into_bytes();
    let mut query = connection.prepare_cached(NEXT_DOMAIN)?;
    for _ in 0..limit.saturating_mul(DOMAINS_LOOKED_AT) {
        let next = query.query_row([Octets(&last)], |row| {
            let domain = match row.get_ref(0)? {
                ValueRef::Text(octets) => Some(octets.to_vec()),
                _ => None,
            };
            Ok((domain, row.get::<_, i64>(1).unwrap_or(i64::MIN)))
        });
        // Values that are not text come last in the index. Their messages are found by other checks.
        let Some((Some(octets), due_at)) = next.optional()? else {
            return Ok(found);
        };
        last.clone_from(&octets);
        let Ok(domain) = String::from_utf8(octets) else {
            found.strange.extend(of_no_domain(connection, &last)?);
            continue;
        };
        let next_due = codec::time(due_at);
        if far.is_some_and(|far| next_due > far) {
            found.far.push(domain);
            continue;
        }
        let page = &mut found.page;
        if due_at <= now {
            page.domains.push(DueDomain { domain, next_due });
            if page.domains.len() >= limit {
                break;
            }
        } else {
            page.next_due = Some(page.next_due.map_or(next_due, |earliest| earliest.min(next_due)));
        }
    }
    found.page.resume = String::from_utf8(last).ok();
    Ok(found)
}

/// Octets in place of a text.
struct Octets<'o>(&'o [u8]);

impl ToSql for Octets<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// Messages under a domain that is not text.
fn of_no_domain(connection: &Connection, domain: &[u8]) -> Result<Vec<(QueueId, String)>, ReadError> {
    let mut query = connection.prepare_cached(
        "SELECT DISTINCT message_id FROM recipient INDEXED BY recipient_due WHERE state = 1 AND domain = ?1 LIMIT 1000",
    )?;
    let ids = query.query_map([Octets(domain)], |row| row.get(0))?;
    ids.map(|id| Ok((codec::id(id?), "a domain is not text".to_owned())))
        .collect()
}

/// The position of a scan of one domain's due recipients.
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

/// Ids of due messages from `place` on, a page of rows, each id once; and where to continue, unless that was the end.
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
        // Such a row has no valid id; the check of the whole queue reports it.
        let (Ok(due_at), Ok(id), Ok(index)) = (row.get(0), row.get(1), row.get(2)) else {
            continue;
        };
        place = Place { due_at, id, index };
        if known.insert(place.id) {
            ids.push(codec::id(place.id));
        }
    }
    Ok((ids, (seen == rows).then_some(place)))
}

/// Invalid messages, each with the reason.
pub(super) type Strangers = Vec<(QueueId, String)>;

/// The due recipients of these messages in one domain. Messages without any, or finished meanwhile, are left out, and invalid
/// ones are returned separately.
pub(super) fn work(
    connection: &Connection,
    domain: &str,
    now: Timestamp,
    ids: &[QueueId],
) -> Result<(Vec<DueWork>, Strangers), ReadError> {
    let transaction = connection.unchecked_transaction()?;
    let mut message = connection.prepare_cached(
        "SELECT size, coalesce(queued_at, received_at), origin, login, detour FROM message WHERE id = ?1",
    )?;
    let mut recipients =
        connection.prepare_cached(&format!("SELECT {} {DUE_RECIPIENTS}", codec::RECIPIENT_COLUMNS))?;
    let (mut all, mut strange) = (Vec::with_capacity(ids.len()), Strangers::new());
    for id in ids {
        let row = message.query_row([id.as_i64()], |row| {
            Ok((
                row.get::<_, i64>(0),
                row.get(1),
                row.get(2),
                row.get(3),
                row.get(4),
            ))
        });
        let row = row.optional()?;
        let mut rows = recipients.query(params![id.as_i64(), domain, now.as_millisecond()])?;
        let mut due = Ok(Vec::new());
        while let (Some(row), Ok(recipients)) = (rows.next()?, &mut due) {
            match codec::recipient(row) {
                Ok(recipient) => recipients.push(recipient),
                Err(ReadError::Strange(reason)) => due = Err(reason.0),
                Err(error) => return Err(error),
            }
        }
        match (row, due) {
            (_, Ok(due)) if due.is_empty() => {}
            (Some((Ok(size), Ok(queued_at), Ok(origin), Ok(login), Ok(detour))), Ok(recipients)) => {
                all.push(DueWork {
                    id: *id,
                    size: size.max(0) as u64,
                    queued_at: codec::time(queued_at),
                    origin: codec::origin(origin).unwrap_or_default(),
                    login,
                    // An invalid one is reported when its message is loaded.
                    detour: codec::detour(detour).unwrap_or_default(),
                    recipients,
                })
            }
            (_, Err(reason)) => strange.push((*id, reason)),
            (Some(_), Ok(_)) => strange.push((*id, "its row cannot be understood".into())),
            (None, Ok(_)) => strange.push((*id, "it has recipients and nothing else".into())),
        }
    }
    drop((message, recipients));
    drop(transaction);
    Ok((all, strange))
}

/// Who these messages are from.
pub(super) fn origins(connection: &Connection, ids: &[QueueId]) -> Result<Vec<MessageOrigin>, ReadError> {
    let mut query = connection.prepare_cached("SELECT sender, login FROM message WHERE id = ?1")?;
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        let row = query.query_row([id.as_i64()], |row| Ok((row.get::<_, String>(0), row.get(1))));
        // One that cannot be read is left out here, and reported when its message is loaded.
        if let Some((Ok(sender), Ok(login))) = row.optional()?
            && let Ok(sender) = codec::sender(&sender)
        {
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

/// A position in the whole index.
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

/// A page of recipients queued for later than `now`, of one domain or of all; and where to continue.
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
        super::super::connection::make_database(folder.path()).unwrap();
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
