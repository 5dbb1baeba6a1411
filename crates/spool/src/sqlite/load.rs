//! Reading messages back.

use std::sync::Arc;

use bytes::Bytes;
use postern_mail::{Envelope, QueueId};
use rusqlite::{Connection, OptionalExtension, Row};

use super::codec::{self, ReadError, Strange};
use crate::admin::MessageDetail;
use crate::message::{Body, BodyFile, Message, QueuedRecipient};
use crate::outcome::HistoryEntry;

/// A message with its body, unless that lies in a file.
pub(super) fn message(connection: &Connection, id: QueueId) -> Result<Option<Arc<Message>>, ReadError> {
    // One transaction, so that a message that is finished meanwhile is there whole or not at all.
    let transaction = connection.unchecked_transaction()?;
    let mut query = transaction.prepare_cached(
        "SELECT m.sender, m.received_at, m.body_kind, m.smtputf8, m.ret, m.envid, m.auth, m.login, m.session,
                m.origin, m.body_file, m.body_size, b.prefix, b.content
         FROM message m LEFT JOIN body b ON b.message_id = m.id WHERE m.id = ?1",
    )?;
    let found = query
        .query_row([id.as_i64()], |row| Ok(read_message(row, id)))
        .optional()?;
    let Some(mut message) = found.transpose()? else {
        return Ok(None);
    };
    for (place, queued) in recipients(&transaction, id)?.into_iter().enumerate() {
        if queued.index as usize != place {
            return Err(Strange(format!("recipient {place} is missing")).into());
        }
        message.envelope.recipients.push(queued.recipient);
    }
    Ok(Some(Arc::new(message)))
}

fn read_message(row: &Row<'_>, id: QueueId) -> Result<Message, ReadError> {
    let prefix: Option<Vec<u8>> = row.get(12)?;
    let prefix = prefix.ok_or_else(|| Strange("its body is missing".into()))?;
    let file: Option<String> = row.get(10)?;
    let body = match file {
        Some(name) => Body::File(BodyFile::stored(&name, row.get::<_, i64>(11)?.max(0) as u64)),
        None => {
            let content: Option<Vec<u8>> = row.get(13)?;
            Body::Inline(
                content
                    .ok_or_else(|| Strange("its content is missing".into()))?
                    .into(),
            )
        }
    };
    let envelope = Envelope {
        sender: codec::sender(&row.get::<_, String>(0)?)?,
        recipients: Vec::new(),
        ret: row.get::<_, Option<i64>>(4)?.map(codec::ret).transpose()?,
        envid: row.get(5)?,
        body: codec::body_kind(row.get(2)?)?,
        smtputf8: row.get::<_, i64>(3)? != 0,
        auth: row.get(6)?,
    };
    Ok(Message {
        id,
        envelope,
        received_at: codec::time(row.get(1)?),
        prefix: Bytes::from(prefix),
        body,
        login: row.get(7)?,
        session: row.get(8)?,
        origin: codec::origin(row.get(9)?)?,
        ticket: None,
    })
}

/// All recipients of a message, finished ones too.
pub(super) fn recipients(connection: &Connection, id: QueueId) -> Result<Vec<QueuedRecipient>, ReadError> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {} FROM recipient WHERE message_id = ?1 ORDER BY idx",
        codec::RECIPIENT_COLUMNS
    ))?;
    let mut rows = query.query([id.as_i64()])?;
    let mut recipients = Vec::new();
    while let Some(row) = rows.next()? {
        recipients.push(codec::recipient(row)?);
    }
    Ok(recipients)
}

/// Final outcomes of a message, whether it is queued still or not.
pub(super) fn history(connection: &Connection, id: QueueId) -> Result<Vec<HistoryEntry>, ReadError> {
    let mut query = connection.prepare_cached(
        "SELECT idx, address, settled_at, outcome, attempts, relay, status, reply, removed_by
         FROM recipient WHERE message_id = ?1 AND state = 3 ORDER BY idx",
    )?;
    let mut rows = query.query([id.as_i64()])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(HistoryEntry {
            id,
            index: row.get(0)?,
            address: row.get(1)?,
            at: codec::time(row.get(2)?),
            kind: codec::outcome(&row.get::<_, String>(3)?)?,
            attempts: row.get(4)?,
            attempt: codec::attempt(row, 5)?.unwrap_or_default(),
            by: row.get(8)?,
        });
    }
    Ok(entries)
}

/// All about a queued message but its body.
pub(super) fn detail(connection: &Connection, id: QueueId) -> Result<Option<MessageDetail>, ReadError> {
    let transaction = connection.unchecked_transaction()?;
    let Some(summary) = super::list::summary(&transaction, id)? else {
        return Ok(None);
    };
    let mut query = transaction.prepare_cached(
        "SELECT m.envid, m.session, b.prefix FROM message m LEFT JOIN body b ON b.message_id = m.id WHERE m.id = ?1",
    )?;
    let (envid, session, prefix) = query.query_row([id.as_i64()], |row| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get::<_, Option<Vec<u8>>>(2)?.unwrap_or_default(),
        ))
    })?;
    Ok(Some(MessageDetail {
        summary,
        envid,
        session,
        prefix: String::from_utf8_lossy(&prefix).into_owned(),
        recipients: recipients(&transaction, id)?,
        history: history(&transaction, id)?,
    }))
}
