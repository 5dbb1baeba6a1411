//! Copies rows from damaged files into a queue.
//!
//! Rows in the database's trees are taken as they are; messages are compared with their seals when they are used, as always. Rows
//! in no tree, or in a log after its damage, may be outdated: they are imported held, for an administrator to check, and only if
//! the queue does not know the message.

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path};

use postern_events::{Observers, notice, shown};
use postern_mail::QueueId;
use postern_salvage::{Pages, Row, Value};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::aside;

/// Numbers of columns of the tables, and of their first version.
const MESSAGE: usize = 24;
const MESSAGE_FIRST: usize = 17;
const RECIPIENT: usize = 18;
const RECIPIENT_FIRST: usize = 16;
const BODY: usize = 3;

/// Indexes of columns.
const HOLD: usize = 6;
const STATE: usize = 2;
const OUTCOME: usize = 13;

/// Rows written in one transaction.
const STEP: usize = 2_000;

/// Why messages that may be outdated are held.
const HELD: &str = "recovered from a damaged file: look whether it was delivered, then release or remove it";

/// A message found in files set aside that the queue does not know.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovered {
    /// Its id, which it keeps in the queue.
    pub id: QueueId,
    /// Sender without angle brackets; empty for `<>`, and if it cannot be read.
    pub sender: String,
    /// Recipients without an outcome.
    pub recipients: Vec<String>,
    /// Size in octets.
    pub size: u64,
    /// The find that it was in.
    pub found_in: String,
}

/// Everything that was read of one message.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    message: Option<Vec<Value>>,
    pub(crate) body: Option<[Value; 2]>,
    recipients: BTreeMap<i64, Vec<Value>>,
}

enum Kind {
    Message(i64, Vec<Value>),
    Body(i64, [Value; 2]),
    Recipient(i64, i64, Vec<Value>),
    Totals(Vec<Value>),
}

/// The kind of a row, by its shape.
fn kind(row: Row) -> Option<Kind> {
    let Row { number, mut values } = row;
    match (number, values.len()) {
        (Some(id), MESSAGE_FIRST..=MESSAGE) if id >= 0 && values[0] == Value::Null => {
            values[0] = Value::Integer(id);
            values.resize(MESSAGE, Value::Null);
            Some(Kind::Message(id, values))
        }
        (Some(id), BODY) if id >= 0 && values[0] == Value::Null => {
            let mut parts = values.into_iter().skip(1);
            Some(Kind::Body(id, [parts.next()?, parts.next()?]))
        }
        (None, RECIPIENT_FIRST..=RECIPIENT) => {
            values.resize(RECIPIENT, Value::Null);
            let (id, index) = (values[0].integer()?, values[1].integer()?);
            (id >= 0 && index >= 0).then_some(Kind::Recipient(id, index, values))
        }
        (Some(1), 10 | 12) => Some(Kind::Totals(values)),
        _ => None,
    }
}

/// Copies what can be read of a pending find into the database, to which nothing else writes. Returns how many messages that
/// were.
pub(crate) fn take_in(
    directory: &Path,
    find: &Path,
    connection: &Connection,
    observers: &Observers,
) -> rusqlite::Result<u64> {
    let unreadable = |error: std::io::Error| {
        notice!(
            observers,
            Spool Error "files that were put aside cannot be read",
            Aside = shown(&find.display()),
            Error = shown(&error),
        );
    };
    let before = messages(connection)?;
    let whole = find.join("queue.db").exists();
    let loose = match open(directory, find) {
        Ok(pages) if whole => copy_trees(&pages, connection)?,
        // Only the log: its pages are parts of a database that is elsewhere or gone.
        Ok(pages) => {
            apply_outcomes(&pages, connection)?;
            sift(|visit| pages.rows_of_log(visit))
        }
        Err(error) => {
            unreadable(error);
            return Ok(0);
        }
    };
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let mut ids = Vec::new();
    for (id, parts) in loose {
        if import(connection, id, &parts)? {
            ids.push(id);
        }
    }
    let wanted: HashSet<i64> = ids.iter().copied().collect();
    let mut failed = None;
    each_body(directory, find, |id, body| {
        if wanted.contains(&id) {
            let stored = insert(connection, &Kind::Body(id, body), "OR IGNORE");
            failed = failed.take().or_else(|| stored.err());
        }
    });
    if let Some(error) = failed {
        connection.execute_batch("ROLLBACK")?;
        return Err(error);
    }
    settle_down(connection)?;
    connection.execute_batch("COMMIT")?;
    give_bodies_back(directory, connection, observers)?;
    let all = connection
        .prepare("SELECT id FROM message")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    ids.extend(all);
    if let Err(error) = aside::note_imported(find, &ids).and_then(|()| aside::set_pending(find, false)) {
        unreadable(error);
    }
    Ok(messages(connection)?.saturating_sub(before))
}

/// The pages of a find. A log without a database belongs to the one that it was next to.
fn open(directory: &Path, find: &Path) -> std::io::Result<Pages> {
    let own = find.join("queue.db");
    let database = if own.exists() {
        own
    } else {
        directory.join("queue.db")
    };
    Pages::open(&database, &find.join("queue.db-wal"))
}

fn messages(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM message", [], |row| {
        row.get::<_, i64>(0).map(i64::unsigned_abs)
    })
}

/// Applies outcomes after the damage in a log: what was delivered must not be delivered again.
fn apply_outcomes(pages: &Pages, connection: &Connection) -> rusqlite::Result<()> {
    let mut done = Vec::new();
    pages.rows_of_log(|row| {
        if let Some(Kind::Recipient(id, _, values)) = kind(row)
            && values[STATE] == Value::Integer(3)
            && values[OUTCOME] != Value::Null
        {
            done.push((id, values));
        }
    });
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for (id, values) in done {
        let changed = connection
            .prepare_cached(
                "UPDATE recipient SET state = 3, attempts = ?4, relay = ?5, status = ?6, reply = ?7, outcome = ?8,
                     settled_at = ?9, removed_by = ?10, failure = ?11, stage = ?12
                 WHERE message_id = ?1 AND idx = ?2 AND state IS NOT 3 AND address = ?3",
            )?
            .execute(params_from_iter([0, 1, 7, 4, 10, 11, 12, 13, 14, 15, 16, 17].map(|column| &values[column])))?;
        if changed > 0 {
            connection.execute(
                "UPDATE message SET unfinished =
                     (SELECT count(*) FROM recipient WHERE message_id = ?1 AND state IS NOT 3) WHERE id = ?1",
                [id],
            )?;
            connection.execute(
                "DELETE FROM body WHERE message_id = ?1 AND EXISTS (SELECT 1 FROM message WHERE id = ?1 AND unfinished = 0)",
                [id],
            )?;
            connection.execute("DELETE FROM message WHERE id = ?1 AND unfinished = 0", [id])?;
        }
    }
    connection.execute_batch("COMMIT")
}

/// Copies rows in trees; returns rows in no tree.
fn copy_trees(pages: &Pages, connection: &Connection) -> rusqlite::Result<BTreeMap<i64, Parts>> {
    let mut loose = BTreeMap::new();
    let (mut failed, mut count) = (None, 0_usize);
    connection.execute_batch("BEGIN IMMEDIATE")?;
    pages.rows(|in_tree, row| {
        let Some(kind) = kind(row) else { return };
        if !in_tree {
            return gather(&mut loose, kind);
        }
        count += 1;
        let stored = insert(connection, &kind, "OR IGNORE").and_then(|_| {
            if count.is_multiple_of(STEP) {
                connection.execute_batch("COMMIT; BEGIN IMMEDIATE")
            } else {
                Ok(())
            }
        });
        failed = failed.take().or_else(|| stored.err());
    });
    match failed {
        Some(error) => {
            connection.execute_batch("ROLLBACK")?;
            Err(error)
        }
        None => {
            connection.execute_batch("COMMIT")?;
            Ok(loose)
        }
    }
}

fn gather(loose: &mut BTreeMap<i64, Parts>, kind: Kind) {
    match kind {
        Kind::Message(id, values) => loose.entry(id).or_default().message = Some(values),
        // Bodies are read once it is known which are needed: all of them would not fit in memory.
        Kind::Body(..) | Kind::Totals(_) => {}
        Kind::Recipient(id, index, values) => {
            loose.entry(id).or_default().recipients.insert(index, values);
        }
    }
}

fn sift(rows: impl FnOnce(&mut dyn FnMut(Row))) -> BTreeMap<i64, Parts> {
    let mut loose = BTreeMap::new();
    rows(&mut |row| {
        if let Some(kind) = kind(row) {
            gather(&mut loose, kind);
        }
    });
    loose
}

fn insert(connection: &Connection, kind: &Kind, or: &str) -> rusqlite::Result<usize> {
    let places = |count: usize| vec!["?"; count].join(", ");
    match kind {
        Kind::Message(_, values) => connection
            .prepare_cached(&format!("INSERT {or} INTO message VALUES ({})", places(MESSAGE)))?
            .execute(params_from_iter(values)),
        Kind::Body(id, [prefix, content]) => connection
            .prepare_cached(&format!("INSERT {or} INTO body VALUES (?, ?, ?)"))?
            .execute(params![id, prefix, content]),
        Kind::Recipient(_, _, values) => connection
            .prepare_cached(&format!(
                "INSERT {or} INTO recipient VALUES ({})",
                places(RECIPIENT)
            ))?
            .execute(params_from_iter(values)),
        // Waits continue by the clock with which they were written.
        Kind::Totals(values) => connection.execute(
            "UPDATE totals SET queue_clock = ?1, wall_clock = ?2 WHERE id = 1 AND queue_clock = 0",
            params![values[6], values[7]],
        ),
    }
}

impl Parts {
    /// Recipients that are open, according to what was read.
    fn open(&self) -> impl Iterator<Item = &Vec<Value>> {
        self.recipients
            .values()
            .filter(|values| values[STATE] != Value::Integer(3))
    }

    fn shown(&self, id: i64, find: &Path) -> Recovered {
        let message = self.message.as_deref().unwrap_or_default();
        let text = |place: usize| message.get(place).and_then(Value::text).unwrap_or_default();
        Recovered {
            id: QueueId::from_i64(id),
            sender: text(1).to_owned(),
            recipients: self
                .open()
                .map(|values| values[7].text().unwrap_or_default().to_owned())
                .collect(),
            size: message.get(3).and_then(Value::integer).unwrap_or_default().max(0) as u64,
            found_in: find
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        }
    }
}

/// Whether the queue knows a message, or has its outcomes in the history.
pub(crate) fn is_known(connection: &Connection, id: i64) -> rusqlite::Result<bool> {
    let mut query = connection.prepare_cached(
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM message WHERE id = ?1)
             OR EXISTS (SELECT 1 FROM recipient WHERE message_id = ?1)",
    )?;
    Ok(query.query_row([id], |_| Ok(())).optional()?.is_some())
}

/// Adds one message to the queue, held, within a transaction, unless the queue knows it or nothing is left to be done.
pub(crate) fn import(connection: &Connection, id: i64, parts: &Parts) -> rusqlite::Result<bool> {
    let Some(message) = &parts.message else {
        return Ok(false);
    };
    if parts.open().next().is_none() || is_known(connection, id)? {
        return Ok(false);
    }
    let mut message = message.clone();
    message[HOLD] = Value::Text(HELD.into());
    let mut stored = insert(connection, &Kind::Message(id, message), "OR IGNORE")?;
    for (index, values) in &parts.recipients {
        let mut values = values.clone();
        if values[STATE] != Value::Integer(3) {
            values[STATE] = Value::Integer(2);
        }
        stored += insert(connection, &Kind::Recipient(id, *index, values), "OR IGNORE")?;
    }
    if let Some(body) = &parts.body {
        insert(connection, &Kind::Body(id, body.clone()), "OR IGNORE")?;
    }
    connection.execute(
        "UPDATE message SET unfinished =
             (SELECT count(*) FROM recipient WHERE message_id = ?1 AND state IS NOT 3) WHERE id = ?1",
        [id],
    )?;
    Ok(stored > 0)
}

/// Corrects what follows from the rows: counts, and that nothing is in memory.
fn settle_down(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "UPDATE recipient SET state = 1 WHERE state = 0;
         UPDATE totals SET (messages, recipients, held, bytes, damaged, sandboxed, sandboxed_bytes) =
             (SELECT count(*), CAST(total(unfinished) AS INTEGER), count(hold), CAST(total(size) AS INTEGER), count(damaged),
                     count(*) FILTER (WHERE hold_rule IS 'sandbox.kept'),
                     CAST(total(size) FILTER (WHERE hold_rule IS 'sandbox.kept') AS INTEGER)
              FROM message),
             outcomes = (SELECT count(*) FROM recipient WHERE state = 3), fresh_from = 0 WHERE id = 1;
         UPDATE totals SET messages = 0, recipients = 0, held = 0, bytes = 0, damaged = 0, outcomes = 0, fresh_from = 0,
             sandboxed = 0, sandboxed_bytes = 0
             WHERE id <> 1;",
    )
}

/// Returns bodies that were set aside to the messages that name them.
pub(crate) fn give_bodies_back(
    directory: &Path,
    connection: &Connection,
    observers: &Observers,
) -> rusqlite::Result<()> {
    let mut query = connection.prepare("SELECT id, body_file FROM message WHERE body_file IS NOT NULL")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (Ok(id), Ok(name)) = (row.get(0), row.get::<_, String>(1)) else {
            continue;
        };
        let id = QueueId::from_i64(id);
        // The name comes from a damaged file, and must not lead outside the folder.
        if !Path::new(&name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            notice!(
                observers,
                Spool Error "the name of its body would lead out of the folder of bodies",
                Queue = shown(&id),
            );
            continue;
        }
        if let Err(error) = aside::give_body_back(directory, &directory.join("bodies").join(name)) {
            notice!(
                observers,
                Spool Error "its body was put aside and cannot be moved back",
                Queue = shown(&id),
                Error = shown(&error),
            );
        }
    }
    Ok(())
}

/// A find's messages that were not imported yet, and may be new to the queue.
pub(crate) fn candidates(directory: &Path, find: &Path) -> std::io::Result<Vec<(i64, Parts, Recovered)>> {
    let pages = open(directory, find)?;
    let whole = find.join("queue.db").exists();
    let done: HashSet<i64> = aside::imported(find);
    let parts = sift(|visit| {
        if whole {
            pages.rows(|_, row| visit(row));
        } else {
            pages.rows_of_log(visit);
        }
    });
    let new = parts
        .into_iter()
        .filter(|(id, parts)| !done.contains(id) && parts.message.is_some() && parts.open().next().is_some());
    Ok(new
        .map(|(id, parts)| {
            let shown = parts.shown(id, find);
            (id, parts, shown)
        })
        .collect())
}

/// Calls `visit` with each row of bodies in a find.
pub(crate) fn each_body(directory: &Path, find: &Path, mut visit: impl FnMut(i64, [Value; 2])) {
    let Ok(pages) = open(directory, find) else {
        return;
    };
    let mut each = |row| {
        if let Some(Kind::Body(id, body)) = kind(row) {
            visit(id, body);
        }
    };
    if find.join("queue.db").exists() {
        pages.rows(|_, row| each(row));
    } else {
        pages.rows_of_log(each);
    }
}
