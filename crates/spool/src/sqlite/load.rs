//! Reads messages back, and verifies that they are what was accepted.

use std::sync::Arc;

use bytes::Bytes;
use postern_mail::{Envelope, QueueId};
use rusqlite::{Connection, OptionalExtension, Row};

use super::codec::{self, ReadError, Strange};
use crate::message::{Body, BodyFile, Message};
use crate::outcome::HistoryEntry;
use crate::recipient::QueuedRecipient;
use crate::sums::{self, Constant, Seal};

/// A message with its body, unless that is in a file. Envelope, and content in the database, are verified by checksum.
pub(super) fn message(connection: &Connection, id: QueueId) -> Result<Option<Arc<Message>>, ReadError> {
    let Some((mut message, stored)) = read(connection, id, "b.prefix, b.content")? else {
        return Ok(None);
    };
    stored.check_content(&message)?;
    message.content_sum = stored.content_sum;
    Ok(Some(Arc::new(message)))
}

/// A message whose envelope is intact, whatever the state of its content, which is left out.
pub(super) fn envelope(connection: &Connection, id: QueueId) -> Result<Option<Arc<Message>>, ReadError> {
    let found = read(connection, id, "NULL, NULL")?;
    Ok(found.map(|(mut message, _)| {
        message.body = Body::Inline(Bytes::new());
        Arc::new(message)
    }))
}

/// A message with an intact envelope, and what is needed to verify its content.
fn read(connection: &Connection, id: QueueId, content: &str) -> Result<Option<(Message, Stored)>, ReadError> {
    // One transaction, so that a message that is finished meanwhile is there completely or not at all; unless one is already
    // open.
    let own = connection
        .is_autocommit()
        .then(|| connection.unchecked_transaction());
    let _own = own.transpose()?;
    let mut query = connection.prepare_cached(&format!(
        "SELECT m.sender, m.received_at, m.body_kind, m.smtputf8, m.ret, m.envid, m.auth, m.login, m.session,
                m.origin, m.body_file, m.body_size, {content}, m.size, m.recipients,
                m.queued_at, m.content_sum, m.seal, m.detour
         FROM message m LEFT JOIN body b ON b.message_id = m.id WHERE m.id = ?1"
    ))?;
    let found = query
        .query_row([id.as_i64()], |row| Ok(Stored::read(row)))
        .optional()?;
    let Some(mut stored) = found.transpose()? else {
        return Ok(None);
    };
    let mut seal = Seal::begin(&stored.constant(id));
    let mut recipients = Vec::new();
    each_recipient(connection, id, |row| {
        let queued = codec::recipient(row)?;
        if queued.index as usize != recipients.len() {
            return Err(Strange(format!("recipient {} is missing", recipients.len())).into());
        }
        let text = |column| row.get_ref(column).and_then(|value| Ok(value.as_str_or_null()?));
        seal.recipient(text(5)?.unwrap_or_default(), row.get(6)?, text(7)?);
        recipients.push(queued.recipient);
        Ok(())
    })?;
    if recipients.len() as i64 != stored.recipients {
        return Err(Strange(format!(
            "it has {} of {} recipients",
            recipients.len(),
            stored.recipients
        ))
        .into());
    }
    if stored.seal.is_some_and(|stored| stored != seal.finish()) {
        return Err(Strange("its envelope has changed since it was accepted (checksum)".into()).into());
    }
    let mut message = stored.message(id)?;
    message.envelope.recipients = recipients;
    Ok(Some((message, stored)))
}

/// A row of `message`, with its row of bodies.
struct Stored {
    sender: String,
    received_at: i64,
    queued_at: Option<i64>,
    body_kind: i64,
    smtputf8: i64,
    ret: Option<i64>,
    envid: Option<String>,
    auth: Option<String>,
    login: Option<String>,
    session: Option<String>,
    origin: i64,
    body_file: Option<String>,
    body_size: Option<i64>,
    prefix: Option<Vec<u8>>,
    content: Option<Vec<u8>>,
    size: i64,
    recipients: i64,
    content_sum: Option<u32>,
    seal: Option<u32>,
    detour: Option<String>,
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Self, ReadError> {
        let stored = Self {
            sender: row.get(0)?,
            received_at: row.get(1)?,
            body_kind: row.get(2)?,
            smtputf8: row.get(3)?,
            ret: row.get(4)?,
            envid: row.get(5)?,
            auth: row.get(6)?,
            login: row.get(7)?,
            session: row.get(8)?,
            origin: row.get(9)?,
            body_file: row.get(10)?,
            body_size: row.get(11)?,
            prefix: row.get(12)?,
            content: row.get(13)?,
            size: row.get(14)?,
            recipients: row.get(15)?,
            queued_at: row.get(16)?,
            content_sum: row.get(17)?,
            seal: row.get(18)?,
            detour: row.get(19)?,
        };
        // Mail queued by an earlier version has neither checksum.
        if stored.content_sum.is_some() != stored.seal.is_some() {
            return Err(Strange("one of its checksums is missing".into()).into());
        }
        Ok(stored)
    }

    fn constant(&self, id: QueueId) -> Constant<'_> {
        Constant {
            id: id.as_i64(),
            sender: &self.sender,
            received_at: self.received_at,
            queued_at: self.queued_at.unwrap_or(self.received_at),
            size: self.size,
            recipients: self.recipients,
            body_kind: self.body_kind,
            smtputf8: self.smtputf8,
            ret: self.ret,
            envid: self.envid.as_deref(),
            auth: self.auth.as_deref(),
            login: self.login.as_deref(),
            session: self.session.as_deref(),
            origin: self.origin,
            body_file: self.body_file.as_deref(),
            body_size: self.body_size,
            content_sum: self.content_sum.unwrap_or_default(),
            detour: self.detour.as_deref(),
        }
    }

    /// The message, without recipients. Moves out prefix and content, which may be missing.
    fn message(&mut self, id: QueueId) -> Result<Message, ReadError> {
        let body = match &self.body_file {
            Some(name) => Body::File(BodyFile::stored(name, self.body_size.unwrap_or(0).max(0) as u64)),
            None => Body::Inline(self.content.take().unwrap_or_default().into()),
        };
        Ok(Message {
            id,
            envelope: Envelope {
                sender: codec::sender(&self.sender)?,
                recipients: Vec::new(),
                ret: self.ret.map(codec::ret).transpose()?,
                envid: self.envid.clone(),
                body: codec::body_kind(self.body_kind)?,
                smtputf8: self.smtputf8 != 0,
                auth: self.auth.clone(),
            },
            received_at: codec::time(self.received_at),
            queued_at: codec::time(self.queued_at.unwrap_or(self.received_at)),
            prefix: self.prefix.clone().unwrap_or_default().into(),
            body,
            content_sum: None,
            login: self.login.clone(),
            session: self.session.clone(),
            origin: codec::origin(self.origin)?,
            detour: codec::detour(self.detour.clone())?,
            sent: None,
            ticket: None,
        })
    }

    /// A body in a file is verified as it is read.
    fn check_content(&self, message: &Message) -> Result<(), Strange> {
        let strange = |what: &str| Err(Strange(what.into()));
        if self.prefix.is_none() {
            return strange("its body is missing");
        }
        match (&message.body, self.content_sum) {
            (Body::File(_), _) => Ok(()),
            (Body::Inline(body), _) if (message.prefix.len() + body.len()) as i64 != self.size => {
                strange("its content is missing or cut short")
            }
            (Body::Inline(body), Some(sum))
                if sums::of_content(&message.prefix, crc32fast::hash(body), body.len() as u64) != sum =>
            {
                strange("its content has changed since it was accepted (checksum)")
            }
            (Body::Inline(_), _) => Ok(()),
        }
    }
}

fn each_recipient(
    connection: &Connection,
    id: QueueId,
    mut each: impl FnMut(&Row<'_>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {} FROM recipient WHERE message_id = ?1 ORDER BY idx",
        codec::RECIPIENT_COLUMNS
    ))?;
    let mut rows = query.query([id.as_i64()])?;
    while let Some(row) = rows.next()? {
        each(row)?;
    }
    Ok(())
}

/// All recipients of a message, including finished ones; invalid ones are left out.
pub(super) fn recipients(connection: &Connection, id: QueueId) -> Result<Vec<QueuedRecipient>, ReadError> {
    let mut recipients = Vec::new();
    each_recipient(connection, id, |row| {
        match codec::recipient(row) {
            Ok(recipient) => recipients.push(recipient),
            Err(ReadError::Strange(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    })?;
    Ok(recipients)
}

/// Final outcomes of a message, whether or not it is still queued. Invalid rows are left out.
pub(super) fn history(connection: &Connection, id: QueueId) -> Result<Vec<HistoryEntry>, ReadError> {
    let mut query = connection.prepare_cached(
        "SELECT idx, address, settled_at, outcome, attempts, relay, status, reply, failure, stage, removed_by
         FROM recipient WHERE message_id = ?1 AND state = 3 ORDER BY idx",
    )?;
    let mut rows = query.query([id.as_i64()])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        match history_entry(row, id) {
            Ok(entry) => entries.push(entry),
            Err(ReadError::Strange(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(entries)
}

fn history_entry(row: &Row<'_>, id: QueueId) -> Result<HistoryEntry, ReadError> {
    Ok(HistoryEntry {
        id,
        index: row.get(0)?,
        address: row.get(1)?,
        at: codec::time(row.get(2)?),
        kind: codec::outcome(&row.get::<_, String>(3)?)?,
        attempts: row.get(4)?,
        attempt: codec::attempt(row, 5)?.unwrap_or_default(),
        by: row.get(10)?,
    })
}
