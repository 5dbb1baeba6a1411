//! One message, as `postern queue show` shows it.

use postern_mail::QueueId;
use rusqlite::Connection;

use super::codec::ReadError;
use super::list::summary;
use super::load::{history, recipients};
use crate::admin::MessageDetail;

/// Most octets of a header that are shown to an administrator.
const SHOWN_MAX: usize = 64 << 10;

/// Everything about a queued message except its body. For a damaged one, what can be read.
pub(super) fn detail(connection: &Connection, id: QueueId) -> Result<Option<MessageDetail>, ReadError> {
    let transaction = connection.unchecked_transaction()?;
    let Some(summary) = summary(&transaction, id)? else {
        return Ok(None);
    };
    let mut query = transaction.prepare_cached(
        "SELECT m.envid, m.session, b.prefix FROM message m LEFT JOIN body b ON b.message_id = m.id WHERE m.id = ?1",
    )?;
    let (envid, session, prefix) = query.query_row([id.as_i64()], |row| {
        Ok((
            row.get(0).unwrap_or_default(),
            row.get(1).unwrap_or_default(),
            row.get::<_, Option<Vec<u8>>>(2)
                .unwrap_or_default()
                .unwrap_or_default(),
        ))
    })?;
    Ok(Some(MessageDetail {
        summary,
        envid,
        session,
        prefix: String::from_utf8_lossy(&prefix[..prefix.len().min(SHOWN_MAX)]).into_owned(),
        recipients: recipients(&transaction, id)?,
        history: history(&transaction, id)?,
    }))
}
