//! One transaction of the writer: the statements it uses, and what follows once it is committed.

use std::sync::Arc;

use postern_events::Observers;
use postern_mail::QueueId;
use postern_policy::rule::Rule;
use rusqlite::{Connection, ErrorCode, Statement, params};

use super::codec::{self, FRESH, HELD, QUEUED};
use super::inbox::NewRow;
use super::notes;
use crate::clock::QueueClock;
use crate::error::SpoolError;
use crate::fresh::{Board, Change, Event};
use crate::message::{Body, Message};

/// The writer's statements, prepared once for its connection.
pub(super) struct Statements<'c> {
    pub(super) begin: Statement<'c>,
    pub(super) commit: Statement<'c>,
    pub(super) insert_message: Statement<'c>,
    pub(super) insert_body: Statement<'c>,
    pub(super) insert_recipient: Statement<'c>,
    pub(super) finish_recipient: Statement<'c>,
    pub(super) defer_recipient: Statement<'c>,
    pub(super) first_outcome: Statement<'c>,
    pub(super) finish_message: Statement<'c>,
    pub(super) count_down: Statement<'c>,
    pub(super) delete_body: Statement<'c>,
    pub(super) save_totals: Statement<'c>,
}

impl<'c> Statements<'c> {
    pub(super) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        let prepare = |sql| connection.prepare(sql);
        Ok(Self {
            begin: prepare("BEGIN IMMEDIATE")?,
            commit: prepare("COMMIT")?,
            insert_message: prepare(
                "INSERT INTO message (id, sender, received_at, size, recipients, unfinished, hold, body_kind,
                     smtputf8, ret, envid, auth, login, session, origin, body_file, body_size, queued_at, content_sum, seal,
                     hold_rule, hold_milter, detour)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
            )?,
            insert_body: prepare("INSERT INTO body (message_id, prefix, content) VALUES (?1, ?2, ?3)")?,
            insert_recipient: prepare(
                "INSERT INTO recipient (message_id, idx, state, due_at, attempts, warned, domain, address, notify, orcpt)
                 VALUES (?1, ?2, ?3, ?4, 0, 0, ?5, ?6, ?7, ?8)",
            )?,
            finish_recipient: prepare(
                "UPDATE recipient SET state = 3, outcome = ?5, settled_at = ?6, attempts = attempts + ?7,
                     relay = ?8, status = ?9, reply = ?10, removed_by = ?11, failure = ?12, stage = ?13
                 WHERE message_id = ?1 AND idx = ?2 AND state BETWEEN ?3 AND ?4",
            )?,
            defer_recipient: prepare(
                "UPDATE recipient SET state = CASE state WHEN 2 THEN 2 ELSE 1 END, due_at = ?5,
                     warned = CASE WHEN ?6 = 1 THEN 1 ELSE warned END, attempts = attempts + ?7,
                     relay = coalesce(?8, relay), status = CASE WHEN ?10 IS NULL THEN status ELSE ?9 END,
                     reply = coalesce(?10, reply), failure = CASE WHEN ?10 IS NULL THEN failure ELSE ?11 END,
                     stage = CASE WHEN ?10 IS NULL THEN stage ELSE ?12 END
                 WHERE message_id = ?1 AND idx = ?2 AND state BETWEEN ?3 AND ?4",
            )?,
            first_outcome: prepare("SELECT outcome FROM recipient WHERE message_id = ?1 AND idx = ?2")?,
            finish_message: prepare(
                "DELETE FROM message WHERE id = ?1 AND unfinished = ?2
                 RETURNING size, hold IS NOT NULL, body_file, damaged IS NOT NULL, hold_rule IS 'sandbox.kept'",
            )?,
            count_down: prepare("UPDATE message SET unfinished = unfinished - ?2 WHERE id = ?1")?,
            delete_body: prepare("DELETE FROM body WHERE message_id = ?1")?,
            save_totals: prepare(
                "UPDATE totals SET messages = ?1, recipients = ?2, held = ?3, bytes = ?4, fresh_from = ?5, damaged = ?6,
                     outcomes = ?7, queue_clock = ?8, wall_clock = ?9, sandboxed = ?11, sandboxed_bytes = ?12 WHERE id = ?10",
            )?,
        })
    }
}

/// The row of `totals` that a machine changes.
pub(super) fn totals_row(node: u8) -> i64 {
    i64::from(node) + 1
}

/// The size of the queue, or what one machine has added to and removed from it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Totals {
    pub(super) messages: i64,
    pub(super) recipients: i64,
    pub(super) held: i64,
    pub(super) bytes: i64,
    /// Messages held as damaged.
    pub(super) damaged: i64,
    /// Recipients with an outcome, kept as history.
    pub(super) outcomes: i64,
    /// Messages in the sandbox; `held` counts them, too.
    pub(super) sandboxed: i64,
    /// Their octets.
    pub(super) sandboxed_bytes: i64,
}

/// A row of a message that has gone.
pub(super) struct Gone {
    pub(super) size: i64,
    pub(super) held: bool,
    pub(super) body_file: Option<String>,
    pub(super) damaged: bool,
    pub(super) sandboxed: bool,
}

impl std::ops::Add for Totals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            messages: self.messages + other.messages,
            recipients: self.recipients + other.recipients,
            held: self.held + other.held,
            bytes: self.bytes + other.bytes,
            damaged: self.damaged + other.damaged,
            outcomes: self.outcomes + other.outcomes,
            sandboxed: self.sandboxed + other.sandboxed,
            sandboxed_bytes: self.sandboxed_bytes + other.sandboxed_bytes,
        }
    }
}

/// What to do once the transaction is committed, and only then.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) events: Vec<Event>,
    /// Recipients whose rows no longer say "fresh".
    pub(super) left_fresh: Vec<(QueueId, u32)>,
    /// Body files of finished messages.
    pub(super) discard: Vec<Arc<str>>,
    /// Whether the database has due work about which delivery was not told.
    pub(super) backlog: bool,
    /// What an administrator did to which messages.
    pub(super) administered: Vec<Administration>,
}

/// What an administrator did to one message.
pub(super) struct Administration {
    pub(super) act: Act,
    pub(super) id: QueueId,
    /// The session in which the message was received.
    pub(super) session: Option<String>,
    pub(super) by: Arc<str>,
}

/// What an administrator does to a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Act {
    Held,
    Released,
    Retried,
    Flushed,
    Removed,
}

impl Act {
    /// The word of its event.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Released => "released",
            Self::Retried => "retried",
            Self::Flushed => "flushed",
            Self::Removed => "removed",
        }
    }
}

impl Effects {
    /// Keeps what was done to a message, to be reported once it is on disk.
    pub(super) fn administered(&mut self, act: Act, id: QueueId, session: Option<String>, by: &Arc<str>) {
        let by = Arc::clone(by);
        self.administered.push(Administration { act, id, session, by });
    }

    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.left_fresh.clear();
        self.discard.clear();
        self.backlog = false;
        self.administered.clear();
    }

    pub(super) fn changed(&mut self, change: impl FnOnce(Arc<[QueueId]>) -> Change, ids: &[QueueId]) {
        if !ids.is_empty() {
            self.events.push(Event::Changed(change(ids.into())));
        }
    }

    /// A message was put: delivery gets it in memory, or finds it in the database.
    pub(super) fn put(&mut self, message: Arc<Message>, queue_only: bool, held: bool) {
        if message.is_fresh() {
            self.events.push(Event::Fresh(message));
        } else if !queue_only && !held {
            self.backlog = true;
        }
    }
}

/// The current transaction.
pub(super) struct Transaction<'t, 'c> {
    pub(super) connection: &'c Connection,
    pub(super) statements: &'t mut Statements<'c>,
    pub(super) board: &'t Board,
    pub(super) clock: &'t QueueClock,
    /// The number of this machine.
    pub(super) node: u8,
    /// What this machine has added and removed.
    pub(super) totals: Totals,
    pub(super) effects: &'t mut Effects,
    pub(super) observers: &'t Observers,
}

impl Transaction<'_, '_> {
    /// Inserts a message with its body and recipients.
    ///
    /// # Errors
    ///
    /// [`SpoolError::DuplicateId`] leaves the transaction as it was; anything else makes it unusable.
    pub(super) fn insert(&mut self, row: &NewRow) -> Result<(), SpoolError> {
        let message = &*row.message;
        let id = message.id.as_i64();
        match self.insert_rows(row, id) {
            Ok(()) => {}
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                return Err(SpoolError::DuplicateId(message.id));
            }
            Err(error) => return Err(error.into()),
        }
        if let Body::File(file) = &message.body {
            file.keep(true);
        }
        if message.is_fresh() && row.hold.is_none() {
            self.board.room().enter(message.id, row.addresses.len() as u32);
        }
        self.totals.messages += 1;
        self.totals.recipients += row.addresses.len() as i64;
        self.totals.held += i64::from(row.hold.is_some());
        self.totals.bytes += message.size() as i64;
        if row.hold.as_ref().is_some_and(|hold| hold.is_sandbox()) {
            self.totals.sandboxed += 1;
            self.totals.sandboxed_bytes += message.size() as i64;
        }
        Ok(())
    }

    fn insert_rows(&mut self, row: &NewRow, id: i64) -> rusqlite::Result<()> {
        let message = &*row.message;
        let (content, file, file_size) = match &message.body {
            Body::Inline(bytes) => (Some(&bytes[..]), None, None),
            Body::File(file) => (None, Some(file.name()), Some(file.len() as i64)),
        };
        let envelope = &message.envelope;
        // The recipients first: this also detects ids of finished messages, whose recipients remain as history.
        self.insert_recipients(row, id)?;
        self.statements.insert_message.execute(params![
            id,
            row.sender,
            message.received_at.as_millisecond(),
            message.size() as i64,
            row.addresses.len() as i64,
            row.hold.as_ref().map(|hold| hold.reason.as_str()),
            codec::body_kind_number(envelope.body),
            i64::from(envelope.smtputf8),
            envelope.ret.map(codec::ret_number),
            envelope.envid,
            envelope.auth,
            message.login,
            message.session,
            codec::origin_number(message.origin),
            file,
            file_size,
            message.queued_at.as_millisecond(),
            message.content_sum.map(i64::from),
            i64::from(row.seal),
            row.hold.as_ref().and_then(|hold| hold.rule).map(Rule::name),
            row.hold.as_ref().and_then(|hold| hold.milter.as_deref()),
            message.detour.as_ref().map(|detour| detour.text()),
        ])?;
        self.statements
            .insert_body
            .execute(params![id, &message.prefix[..], content])?;
        if let Some(note) = &row.note {
            notes::insert(self.connection, self.node, note)?;
        }
        Ok(())
    }

    fn insert_recipients(&mut self, row: &NewRow, id: i64) -> rusqlite::Result<()> {
        let message = &*row.message;
        let state = match (&row.hold, message.is_fresh()) {
            (Some(_), _) => HELD,
            (None, true) => FRESH,
            (None, false) => QUEUED,
        };
        let due_at = message.queued_at.as_millisecond();
        for (index, (address, recipient)) in
            row.addresses.iter().zip(&message.envelope.recipients).enumerate()
        {
            self.statements.insert_recipient.execute(params![
                id,
                index as i64,
                state,
                due_at,
                codec::domain_of(address),
                address,
                codec::notify_number(recipient.notify),
                recipient.orcpt,
            ])?;
        }
        Ok(())
    }

    /// Writes the totals and the lowest id that may be fresh.
    pub(super) fn save_totals(&mut self) -> rusqlite::Result<()> {
        let totals = self.totals;
        let seen = self.clock.seen();
        let fresh_from = self.board.room().lowest().map_or(0, QueueId::as_i64);
        self.statements.save_totals.execute(params![
            totals.messages,
            totals.recipients,
            totals.held,
            totals.bytes,
            fresh_from,
            totals.damaged,
            totals.outcomes,
            seen.queue,
            seen.wall,
            totals_row(self.node),
            totals.sandboxed,
            totals.sandboxed_bytes,
        ])?;
        Ok(())
    }

    /// A message's last recipient is done: its row is gone, and now the rest of it goes.
    pub(super) fn message_finished(&mut self, id: i64, gone: Gone) -> rusqlite::Result<()> {
        self.statements.delete_body.execute([id])?;
        self.totals.messages -= 1;
        self.totals.bytes -= gone.size;
        self.totals.held -= i64::from(gone.held);
        self.totals.damaged -= i64::from(gone.damaged);
        if gone.sandboxed {
            self.totals.sandboxed -= 1;
            self.totals.sandboxed_bytes -= gone.size;
        }
        self.effects.discard.extend(gone.body_file.map(Arc::from));
        Ok(())
    }
}
