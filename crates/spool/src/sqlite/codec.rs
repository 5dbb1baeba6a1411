//! The numbers and texts that represent our types in the database.

use std::sync::Arc;

use jiff::Timestamp;
use postern_mail::{
    AddressLimits, BodyKind, FailureFact, FailureKind, Mailbox, Notify, ParseOptions, QueueId, Recipient,
    Ret, ReversePath, Stage,
};
use postern_policy::route::Detour;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::error::SpoolError;
use crate::message::Origin;
use crate::outcome::OutcomeKind;
use crate::recipient::{Attempt, QueuedRecipient, RecipientState};

/// A stored value that this program would not have written.
#[derive(Debug)]
pub(super) struct Strange(pub(super) String);

/// Either the database cannot be read, or its content is invalid.
#[derive(Debug)]
pub(super) enum ReadError {
    Database(rusqlite::Error),
    Strange(Strange),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::IntegralValueOutOfRange(..) => Self::Strange(Strange(error.to_string())),
            error => Self::Database(error),
        }
    }
}

impl From<Strange> for ReadError {
    fn from(strange: Strange) -> Self {
        Self::Strange(strange)
    }
}

pub(super) const FRESH: i64 = 0;
pub(super) const QUEUED: i64 = 1;
pub(super) const HELD: i64 = 2;
pub(super) const DONE: i64 = 3;

pub(super) fn state(number: i64) -> Result<RecipientState, Strange> {
    match number {
        FRESH => Ok(RecipientState::Fresh),
        QUEUED => Ok(RecipientState::Queued),
        HELD => Ok(RecipientState::Held),
        DONE => Ok(RecipientState::Done),
        other => Err(Strange(format!("state {other}"))),
    }
}

/// Times outside the calendar's range are clamped.
pub(super) fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(if milliseconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

pub(super) fn sender_text(sender: &ReversePath) -> String {
    sender.mailbox().map(ToString::to_string).unwrap_or_default()
}

pub(super) fn sender(text: &str) -> Result<ReversePath, Strange> {
    if text.is_empty() {
        return Ok(ReversePath::Null);
    }
    mailbox(text).map(ReversePath::Mailbox)
}

pub(super) fn mailbox(text: &str) -> Result<Mailbox, Strange> {
    // Whatever the limits are now, it was accepted once.
    let options = ParseOptions {
        utf8: true,
        limits: AddressLimits::STORED,
        ..ParseOptions::default()
    };
    Mailbox::parse(text, &options).map_err(|error| Strange(format!("address {text:?}: {error}")))
}

/// The domain of an address as text: what follows the last `@`, also when the local part is quoted and holds another.
pub(super) fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(_, domain)| domain)
}

pub(super) fn body_kind_number(kind: BodyKind) -> i64 {
    match kind {
        BodyKind::SevenBit => 0,
        BodyKind::EightBitMime => 1,
        BodyKind::BinaryMime => 2,
    }
}

pub(super) fn body_kind(number: i64) -> Result<BodyKind, Strange> {
    match number {
        0 => Ok(BodyKind::SevenBit),
        1 => Ok(BodyKind::EightBitMime),
        2 => Ok(BodyKind::BinaryMime),
        other => Err(Strange(format!("body kind {other}"))),
    }
}

pub(super) fn ret_number(ret: Ret) -> i64 {
    match ret {
        Ret::Headers => 0,
        Ret::Full => 1,
    }
}

pub(super) fn ret(number: i64) -> Result<Ret, Strange> {
    match number {
        0 => Ok(Ret::Headers),
        1 => Ok(Ret::Full),
        other => Err(Strange(format!("RET {other}"))),
    }
}

pub(super) fn origin_number(origin: Origin) -> i64 {
    match origin {
        Origin::Smtp => 0,
        Origin::Report => 1,
        Origin::Local => 2,
        Origin::Stranger => 3,
        Origin::Filtered => 4,
    }
}

pub(super) fn origin(number: i64) -> Result<Origin, Strange> {
    match number {
        0 => Ok(Origin::Smtp),
        1 => Ok(Origin::Report),
        2 => Ok(Origin::Local),
        3 => Ok(Origin::Stranger),
        4 => Ok(Origin::Filtered),
        other => Err(Strange(format!("origin {other}"))),
    }
}

pub(super) fn detour(text: Option<String>) -> Result<Option<Arc<Detour>>, Strange> {
    let read =
        |text: String| Detour::parse(&text).map_err(|error| Strange(format!("its way of its own: {error}")));
    Ok(text.map(read).transpose()?.map(Arc::new))
}

pub(super) fn notify_number(notify: Notify) -> i64 {
    match notify {
        Notify::Unspecified => 0,
        Notify::Never => 1,
        Notify::FailureAlone => 16,
        Notify::On {
            success,
            failure,
            delay,
        } => i64::from(success) * 2 + i64::from(failure) * 4 + i64::from(delay) * 8,
    }
}

pub(super) fn notify(number: i64) -> Result<Notify, Strange> {
    match number {
        0 => Ok(Notify::Unspecified),
        1 => Ok(Notify::Never),
        16 => Ok(Notify::FailureAlone),
        2..=14 if number % 2 == 0 => Ok(Notify::On {
            success: number & 2 != 0,
            failure: number & 4 != 0,
            delay: number & 8 != 0,
        }),
        other => Err(Strange(format!("NOTIFY {other}"))),
    }
}

pub(super) fn outcome_text(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Delivered => "delivered",
        OutcomeKind::Bounced => "bounced",
        OutcomeKind::Expired => "expired",
        OutcomeKind::Removed => "removed",
    }
}

pub(super) fn outcome(text: &str) -> Result<OutcomeKind, Strange> {
    match text {
        "delivered" => Ok(OutcomeKind::Delivered),
        "bounced" => Ok(OutcomeKind::Bounced),
        "expired" => Ok(OutcomeKind::Expired),
        "removed" => Ok(OutcomeKind::Removed),
        other => Err(Strange(format!("outcome {other:?}"))),
    }
}

/// The columns that [`recipient`] reads, in order.
pub(super) const RECIPIENT_COLUMNS: &str = "idx, state, due_at, attempts, warned, address, notify, orcpt, relay, status, reply, failure, stage, domain, outcome";

pub(super) fn recipient(row: &Row<'_>) -> Result<QueuedRecipient, ReadError> {
    let text = |column| {
        let value = row.get_ref(column)?;
        value
            .as_str()
            .map_err(|_| ReadError::from(Strange("a text is not valid".into())))
    };
    let address = text(5)?;
    // The recipient is found by its domain, so the two must agree.
    if text(13)? != domain_of(address) {
        return Err(Strange(format!("{address:?} is kept under another domain")).into());
    }
    let state = state(row.get(1)?)?;
    if (state == RecipientState::Done) != (row.get_ref(14)? != ValueRef::Null) {
        return Err(Strange(format!(
            "{address:?} is done without an outcome, or not done with one"
        ))
        .into());
    }
    Ok(QueuedRecipient {
        index: row.get(0)?,
        recipient: Recipient {
            address: mailbox(address)?,
            notify: notify(row.get(6)?)?,
            orcpt: row.get(7)?,
            sender: None,
        },
        state,
        due_at: time(row.get(2)?),
        attempts: row.get(3)?,
        warned: row.get::<_, i64>(4)? != 0,
        last: attempt(row, 8)?.map(Arc::new),
    })
}

/// The attempt in five columns from `first` on; `None` if there was none.
pub(super) fn attempt(row: &Row<'_>, first: usize) -> Result<Option<Attempt>, ReadError> {
    let Some(reply) = row.get::<_, Option<String>>(first + 2)? else {
        return Ok(None);
    };
    let status: Option<String> = row.get(first + 1)?;
    let status = status
        .map(|text| text.parse().map_err(|_| Strange(format!("status {text:?}"))))
        .transpose()?;
    let relay = row.get::<_, Option<String>>(first)?.unwrap_or_default();
    Ok(Some(Attempt {
        relay,
        status,
        reply,
        failure: failure(row, first + 3),
    }))
}

/// The kind of a failure and its stage, in two columns from `first` on. It is only for display: an invalid value is ignored, so
/// that no mail is held because of it.
pub(super) fn failure(row: &Row<'_>, first: usize) -> Option<FailureFact> {
    let text = |column| row.get_ref(column).ok().and_then(|value| value.as_str().ok());
    Some(FailureFact {
        kind: FailureKind::from_name(text(first)?)?,
        stage: text(first + 1).and_then(Stage::from_name),
    })
}

pub(super) fn id(number: i64) -> QueueId {
    QueueId::from_i64(number)
}

impl From<Strange> for SpoolError {
    fn from(strange: Strange) -> Self {
        Self::Unavailable(format!("a row cannot be understood: {}", strange.0).into())
    }
}

impl From<ReadError> for SpoolError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Database(error) => error.into(),
            ReadError::Strange(strange) => strange.into(),
        }
    }
}

impl ReadError {
    /// The error for reading a particular message.
    pub(super) fn of(self, id: QueueId) -> SpoolError {
        match self {
            Self::Database(error) => error.into(),
            Self::Strange(strange) => SpoolError::Damaged {
                id,
                reason: strange.0.into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was accepted with generous limits is read back whole, whatever the limits are by then.
    #[test]
    fn long_addresses_come_back() {
        for octets in [1, 64, 65, 255, 1_024] {
            let local = "a".repeat(octets);
            let written = Mailbox::new(&local, "away.example".parse().unwrap()).unwrap();
            let text = written.to_string();
            assert_eq!(mailbox(&text).unwrap(), written, "{octets} octets");
            let path = ReversePath::Mailbox(written);
            assert_eq!(sender(&sender_text(&path)).unwrap(), path, "{octets} octets");
        }
        assert!(mailbox(&format!("{}@away.example", "a".repeat(1_025))).is_err());
        assert_eq!(sender("").unwrap(), ReversePath::Null);
    }
}
