//! Opens the store: after a clean end, after a crash, and after a failure in use.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use postern_mail::QueueId;
use rusqlite::Connection;

use super::reserve::Reserve;
use super::shared::Shared;
use super::store::{Doubtful, Store};
use super::transaction::{Statements, Totals, totals_row};
use super::{connection, probe};
use crate::clock::{QueueClock, Seen};
use crate::error::SpoolError;
use crate::rescue::{self, Readable, aside, salvage};
use crate::settings::SpoolSettings;
use postern_events::{Observers, notice, shown};

/// How often, and with which pauses, a database is read at a start before it counts as damaged.
const START_TRIES: usize = 3;
const START_PAUSE: Duration = Duration::from_secs(1);

/// How long a few pages may stay unreadable before the queue goes on without them.
const SPOT_WAIT: Duration = Duration::from_secs(60);

/// The store at the start of the program.
pub(super) struct Opened {
    pub(super) store: Store,
    /// The last id that may have been given out.
    pub(super) last_id: QueueId,
    pub(super) clock: QueueClock,
}

/// Opens the store at the start of the program.
pub(super) fn open(settings: &SpoolSettings) -> Result<Opened, SpoolError> {
    match try_open(settings) {
        Err(SpoolError::Full(_)) => {
            Reserve::new(settings).release();
            try_open(settings)
        }
        opened => opened,
    }
}

fn try_open(settings: &SpoolSettings) -> Result<Opened, SpoolError> {
    let connection = open_or_replace(&settings.directory, &settings.observers)?;
    let requeued = requeue_fresh(&connection)?;
    let store = store(connection, settings.node)?;
    let highest = highest(&store.connection)?;
    let now = QueueId::first(Timestamp::now().as_millisecond(), settings.node);
    let (size, count) = (store.size(), |number: i64| u64::try_from(number).unwrap_or(0));
    notice!(
        settings.observers,
        Spool Info "queue open",
        Messages = count(size.messages),
        Recipients = count(size.recipients),
        Requeued = requeued as u64,
    );
    let seen = clocks_seen(&store)?;
    Ok(Opened {
        last_id: now.max(QueueId::from_i64(highest)),
        clock: QueueClock::resume(settings.clock.clone(), seen, settings.downtime_max),
        store,
    })
}

/// Opens the database. An unusable one is set aside, and what can be read of it is copied to a new one.
fn open_or_replace(directory: &Path, observers: &Observers) -> Result<Connection, SpoolError> {
    let opened = match open_usable(directory) {
        // It may have been a brief problem of the disk.
        Err(SpoolError::Corrupt(_)) => be_sure(directory).and_then(|()| open_usable(directory)),
        opened => opened,
    };
    let connection = match opened {
        Err(SpoolError::Corrupt(why)) => {
            let failed = |error| SpoolError::from_io("cannot put the damaged queue aside", &error);
            rescue::set_aside(directory, &why, observers).map_err(failed)?;
            connection::make_database(directory).map_err(failed)?;
            open_usable(directory)?
        }
        opened => opened?,
    };
    for find in aside::finds(directory)
        .iter()
        .filter(|find| aside::is_pending(find))
    {
        let messages = salvage::take_in(directory, find, &connection, observers)?;
        notice!(
            observers,
            Spool Warning "messages recovered from damaged files",
            Messages = messages,
            Aside = shown(&find.display()),
        );
    }
    Ok(connection)
}

/// Before a database is set aside at the start: a disk that is briefly unreadable is not damage, but SQLite reports both the same
/// way.
fn be_sure(directory: &Path) -> Result<(), SpoolError> {
    let mut found = Readable::default();
    for _ in 0..START_TRIES {
        found = Readable::look(directory);
        if found.bad == 0 {
            return Ok(());
        }
        std::thread::sleep(START_PAUSE);
    }
    match is_spot(found) {
        true => Ok(()),
        false => Err(unreadable(found)),
    }
}

/// Whether a database that SQLite reported as damaged while in use really is, and must be replaced. It stays if it was only
/// briefly unreadable, or is fine when checked again.
fn is_beyond_use(shared: &Shared) -> Result<bool, SpoolError> {
    let directory = &shared.settings.directory;
    let found = Readable::look(directory);
    let mut since = shared.unreadable_since.lock();
    if found.bad > 0 {
        let begun = *since.get_or_insert_with(Instant::now);
        return match is_spot(found) && begun.elapsed() >= SPOT_WAIT {
            true => Ok(true),
            false => Err(unreadable(found)),
        };
    }
    *since = None;
    drop(since);
    let sound = connection::open_reader(directory).and_then(|connection| {
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        Ok(verdict == "ok")
    });
    match sound {
        Ok(sound) => Ok(!sound),
        Err(SpoolError::Corrupt(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether only a few sectors went bad, not the whole disk.
fn is_spot(found: Readable) -> bool {
    found.bad * 10 < found.all
}

fn unreadable(found: Readable) -> SpoolError {
    SpoolError::Unavailable(format!("{} of {} pages cannot be read", found.bad, found.all).into())
}

/// Opens the database, and checks that it has everything that the writer needs.
fn open_usable(directory: &Path) -> Result<Connection, SpoolError> {
    let connection = connection::open_writer(directory).map_err(damage)?;
    let usable = Statements::prepare(&connection)
        .map_err(SpoolError::from)
        .and_then(|_| totals(&connection))
        .and_then(|_| highest(&connection));
    usable.map_err(damage)?;
    Ok(connection)
}

/// Maps errors that SQLite only returns for a database whose schema is damaged.
fn damage(error: SpoolError) -> SpoolError {
    let odd = [
        "no such",
        "already exists",
        "malformed",
        "returned no rows",
        "Invalid column",
    ];
    match error {
        SpoolError::Unavailable(text) if odd.iter().any(|odd| text.contains(odd)) => {
            SpoolError::Corrupt(text)
        }
        error => error,
    }
}

/// The highest id of any row. Those of finished messages count too: they are in the log, and in the history.
fn highest(connection: &Connection) -> Result<i64, SpoolError> {
    let sql = "SELECT coalesce(max(message_id), 0) FROM recipient WHERE typeof(message_id) = 'integer'";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// What the clocks showed at the last commit; irrelevant if nothing is queued.
fn clocks_seen(store: &Store) -> Result<Option<Seen>, SpoolError> {
    let seen = store.connection.query_row(
        "SELECT queue_clock, wall_clock FROM totals ORDER BY queue_clock DESC LIMIT 1",
        [],
        |row| {
            Ok(Seen {
                queue: row.get(0)?,
                wall: row.get(1)?,
            })
        },
    )?;
    Ok(Some(seen).filter(|seen| *seen != Seen::default() && store.size().messages > 0))
}

/// Opens and verifies the store after a failure. Every step must work, including a sync of data and of the database.
///
/// After a failed sync the log on disk may be shorter than the log in the page cache, although it reads well. So its content is
/// moved into the database, which is synced, and the log is emptied; only then is there a commit.
pub(super) fn reopen(
    shared: &Shared,
    doubtful: &mut Vec<Doubtful>,
    why: &SpoolError,
) -> Result<Store, SpoolError> {
    // SQLite keeps its state of locks while any connection of the process is open.
    shared.readers.end();
    drop(shared.checkpointer.lock().take());
    if let Err(error) = probe::room(&shared.settings.directory) {
        if matches!(error, SpoolError::Full(_)) {
            shared.reserve.release();
        }
        return Err(error);
    }
    let SpoolSettings {
        directory, observers, ..
    } = &shared.settings;
    let failed = |error| SpoolError::from_io("cannot open the queue", &error);
    let replaced = matches!(why, SpoolError::Corrupt(_)) && is_beyond_use(shared)?;
    if replaced {
        rescue::set_aside(directory, &why.to_string(), observers).map_err(failed)?;
    }
    connection::make_database(directory).map_err(failed)?;
    let connection = open_or_replace(directory, observers)?;
    if replaced {
        // A connection opened meanwhile reads the old file.
        shared.readers.renew();
        remember_fresh(shared, &connection)?;
    }
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy != 0 {
        return Err(SpoolError::Unavailable(
            "the log cannot be emptied while it is read".into(),
        ));
    }
    resolve_doubts(shared, &connection, doubtful)?;
    store(connection, shared.settings.node)
}

/// An open store, with a row for what this machine adds and removes.
fn store(connection: Connection, node: u8) -> Result<Store, SpoolError> {
    let row = totals_row(node);
    connection.execute(
        "INSERT INTO totals (id, messages, recipients, held, bytes, fresh_from) VALUES (?1, 0, 0, 0, 0, 0)
         ON CONFLICT DO NOTHING",
        [row],
    )?;
    let (own, others): (Vec<_>, Vec<_>) = totals(&connection)?.into_iter().partition(|(id, _)| *id == row);
    let sum = |rows: Vec<(i64, Totals)>| {
        rows.into_iter()
            .fold(Totals::default(), |sum, (_, totals)| sum + totals)
    };
    Ok(Store {
        totals: sum(own),
        others: sum(others),
        connection,
    })
}

/// Marks again what is in delivery's memory, after rows were copied from a damaged database.
fn remember_fresh(shared: &Shared, connection: &Connection) -> Result<(), SpoolError> {
    let transaction = connection.unchecked_transaction()?;
    for id in shared.board.room().live() {
        transaction.execute(
            "UPDATE recipient SET state = 0 WHERE message_id = ?1 AND state = 1",
            [id.as_i64()],
        )?;
    }
    Ok(transaction.commit()?)
}

/// Returns to the database what was in delivery's memory when the last run ended, whatever the machine's number was then: nobody
/// else has the queue open. Returns how many recipients that were.
fn requeue_fresh(connection: &Connection) -> Result<usize, SpoolError> {
    let transaction = connection.unchecked_transaction()?;
    let sql = "SELECT coalesce(min(fresh_from), 0) FROM totals WHERE fresh_from > 0";
    let from: i64 = transaction.query_row(sql, [], |row| row.get(0))?;
    if from == 0 {
        return Ok(0);
    }
    let requeued = transaction.execute(
        "UPDATE recipient SET state = 1 WHERE message_id >= ?1 AND state = 0",
        [from],
    )?;
    transaction.execute("UPDATE totals SET fresh_from = 0", [])?;
    transaction.commit()?;
    Ok(requeued)
}

/// What each machine has added and removed, by its row. There is at least one for the first machine.
fn totals(connection: &Connection) -> Result<Vec<(i64, Totals)>, SpoolError> {
    let mut query = connection
        .prepare("SELECT id, messages, recipients, held, bytes, damaged, outcomes, sandboxed, sandboxed_bytes FROM totals ORDER BY id")?;
    let rows = query.query_map([], |row| {
        let totals = Totals {
            messages: row.get(1)?,
            recipients: row.get(2)?,
            held: row.get(3)?,
            bytes: row.get(4)?,
            damaged: row.get(5)?,
            outcomes: row.get(6)?,
            sandboxed: row.get(7)?,
            sandboxed_bytes: row.get(8)?,
        };
        Ok((row.get(0)?, totals))
    })?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    if rows.first().is_none_or(|(id, _)| *id != totals_row(0)) {
        return Err(rusqlite::Error::QueryReturnedNoRows.into());
    }
    Ok(rows)
}

/// Removes messages that are queued although their clients were told that they are not; they will be sent again. A report that is
/// there stays, since its settlement is there too.
fn resolve_doubts(
    shared: &Shared,
    connection: &Connection,
    doubtful: &mut Vec<Doubtful>,
) -> Result<(), SpoolError> {
    let transaction = connection.unchecked_transaction()?;
    for doubt in doubtful.iter() {
        let id = doubt.id.as_i64();
        if doubt.report {
            transaction.execute(
                "UPDATE recipient SET state = 1 WHERE message_id = ?1 AND state = 0",
                [id],
            )?;
            continue;
        }
        let found = transaction.execute(
            "UPDATE totals SET messages = messages - 1,
                 bytes = bytes - (SELECT size FROM message WHERE id = ?1),
                 held = held - (SELECT hold IS NOT NULL FROM message WHERE id = ?1),
                 sandboxed = sandboxed - (SELECT hold_rule IS 'sandbox.kept' FROM message WHERE id = ?1),
                 sandboxed_bytes = sandboxed_bytes
                     - (SELECT CASE WHEN hold_rule IS 'sandbox.kept' THEN size ELSE 0 END FROM message WHERE id = ?1),
                 recipients = recipients - (SELECT unfinished FROM message WHERE id = ?1)
             WHERE id = ?2 AND EXISTS (SELECT 1 FROM message WHERE id = ?1)",
            [id, totals_row(shared.settings.node)],
        )?;
        if found > 0 {
            transaction.execute("DELETE FROM message WHERE id = ?1", [id])?;
            transaction.execute("DELETE FROM body WHERE message_id = ?1", [id])?;
            transaction.execute("DELETE FROM recipient WHERE message_id = ?1", [id])?;
        }
    }
    // A change even if nothing is doubtful: only a successful commit shows that the store works.
    transaction.execute("UPDATE totals SET id = 1 WHERE id = 1", [])?;
    transaction.commit()?;
    for doubt in doubtful.drain(..) {
        if let (Some(name), false) = (doubt.body_file, doubt.report) {
            shared.bodies.discard().file(name);
        }
    }
    shared.board.tell_backlog();
    Ok(())
}
