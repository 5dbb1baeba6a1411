//! Queue operations for an administrator, inside the server and without one.

use jiff::Timestamp;
use postern_mail::{Domain, FailureFact, QueueId};
use postern_spool::{
    BodyReader, Filter, HistoryEntry, MessageDetail, Page, QueuedRecipient, RecipientState, Recovered,
    Selection, Spool, SpoolError, Summary,
};
use serde::Serialize;
use serde_json::Value;

use super::protocol::{
    Listing, MessageLine, MessageView, Operation, QueueChanged, RecipientView, RecoveredLine, Totals, Which,
};

/// Most messages in one page of a listing.
const PAGE_MAX: u32 = 1_000;

/// Why an operation has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperationError {
    /// No such message, or an invalid id.
    #[error("{0}")]
    NotFound(String),
    /// The spool failed.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// A result that cannot be converted to JSON.
    #[error("cannot answer: {0}")]
    Json(#[from] serde_json::Error),
}

/// Does everything except [`Operation::Content`], for which there is [`content`]. `by` is the
/// administrator's name.
///
/// # Errors
///
/// See [`OperationError`].
pub(crate) async fn perform(
    spool: &dyn Spool,
    operation: &Operation,
    by: &str,
) -> Result<Value, OperationError> {
    match operation {
        Operation::List { filter, after, limit } => {
            let after = after.as_deref().map(parse_id).transpose()?;
            value(&list(spool, filter, after, *limit).await?)
        }
        Operation::Show { id } | Operation::Content { id } => value(&show(spool, parse_id(id)?).await?),
        Operation::Hold(which) => changed(spool.hold(selection(which)?, by, "by hand").await?),
        Operation::Release(which) => {
            let kept = sandboxed(spool, which).await?;
            changed_but(spool.release(selection(which)?, by).await?, kept)
        }
        Operation::Retry(which) => {
            let kept = sandboxed(spool, which).await?;
            changed_but(spool.retry_now(selection(which)?, by).await?, kept)
        }
        Operation::Remove(which) => changed(spool.remove(selection(which)?, by).await?),
        Operation::Recover { import } => {
            let found = spool.recover(*import, by).await?;
            value(&found.into_iter().map(recovered).collect::<Vec<_>>())
        }
        Operation::Flush { domain } => {
            let meant = Which {
                domain: domain.clone(),
                ..Which::default()
            };
            let kept = sandboxed(spool, &meant).await?;
            let domain = domain.as_deref().map(known_domain).transpose()?;
            changed_but(spool.flush(domain.as_deref(), by).await?, kept)
        }
    }
}

/// Opens the content of a message.
///
/// # Errors
///
/// See [`OperationError`].
pub(crate) async fn content(spool: &dyn Spool, id: &str) -> Result<BodyReader, OperationError> {
    let id = parse_id(id)?;
    let message = spool.load(id).await?.ok_or_else(|| missing(id))?;
    Ok(spool.open_body(&message))
}

/// A domain in the form used in the queue.
fn known_domain(text: &str) -> Result<String, OperationError> {
    Domain::parse(text, true)
        .map(|domain| domain.to_string().to_lowercase())
        .map_err(|error| OperationError::NotFound(format!("{text:?} is not a domain: {error}")))
}

fn value<T: Serialize>(result: &T) -> Result<Value, OperationError> {
    Ok(serde_json::to_value(result)?)
}

fn changed(changed: u64) -> Result<Value, OperationError> {
    changed_but(changed, 0)
}

fn changed_but(changed: u64, sandboxed: u64) -> Result<Value, OperationError> {
    value(&QueueChanged { changed, sandboxed })
}

/// How many of these messages are in the sandbox, and so are never delivered.
async fn sandboxed(spool: &dyn Spool, which: &Which) -> Result<u64, OperationError> {
    if spool.counts().sandboxed == 0 {
        return Ok(0);
    }
    let mut found = 0;
    if !which.ids.is_empty() {
        for id in &which.ids {
            let detail = spool.show(parse_id(id)?).await?;
            found += u64::from(detail.is_some_and(|detail| detail.summary.is_sandboxed()));
        }
        return Ok(found);
    }
    let wanted = Filter {
        sandboxed: Some(true),
        ..filter(which)?
    };
    let mut after = None;
    loop {
        let page = Page {
            after,
            limit: PAGE_MAX as usize,
        };
        let listed = spool.list(&wanted, page).await?;
        found += listed.messages.len() as u64;
        after = listed.messages.last().map(|last| last.id);
        if !listed.more || after.is_none() {
            return Ok(found);
        }
    }
}

fn parse_id(text: &str) -> Result<QueueId, OperationError> {
    text.parse()
        .map_err(|error: postern_mail::queue_id::BadQueueId| OperationError::NotFound(error.to_string()))
}

fn missing(id: QueueId) -> OperationError {
    OperationError::NotFound(format!("no message {id} in the queue"))
}

fn selection(which: &Which) -> Result<Selection, OperationError> {
    if which.ids.is_empty() {
        return Ok(Selection::Filter(filter(which)?));
    }
    let ids: Result<_, _> = which.ids.iter().map(|id| parse_id(id)).collect();
    Ok(Selection::Ids(ids?))
}

fn filter(which: &Which) -> Result<Filter, OperationError> {
    Ok(Filter {
        sender: which.sender.as_ref().map(|sender| {
            sender
                .trim()
                .trim_start_matches('<')
                .trim_end_matches('>')
                .to_owned()
        }),
        domain: which.domain.as_deref().map(known_domain).transpose()?,
        login: which.login.clone(),
        held: which.held.then_some(true),
        sandboxed: which.sandboxed.then_some(true),
        ..Filter::default()
    })
}

async fn list(
    spool: &dyn Spool,
    which: &Which,
    after: Option<QueueId>,
    limit: u32,
) -> Result<Listing, OperationError> {
    let page = Page {
        after,
        limit: limit.clamp(1, PAGE_MAX) as usize,
    };
    let found = spool.list(&filter(which)?, page).await?;
    Ok(Listing {
        messages: found.messages.into_iter().map(line).collect(),
        more: found.more,
        totals: totals(spool),
    })
}

/// The size of the queue.
pub(crate) fn totals(spool: &dyn Spool) -> Totals {
    let counts = spool.counts();
    Totals {
        messages: counts.messages,
        recipients: counts.recipients,
        held: counts.held,
        damaged: counts.damaged,
        sandboxed: counts.sandboxed,
        unreadable: counts.unreadable,
        size: counts.bytes,
    }
}

fn recovered(found: Recovered) -> RecoveredLine {
    RecoveredLine {
        id: found.id.to_string(),
        sender: found.sender,
        recipients: found.recipients,
        size: found.size,
        found_in: found.found_in,
    }
}

fn line(summary: Summary) -> MessageLine {
    MessageLine {
        id: summary.id.to_string(),
        sender: summary.sender,
        received_at: summary.received_at,
        size: summary.size,
        recipients: summary.recipients,
        open: summary.open,
        first_recipient: summary.first_recipient,
        next_due: summary.next_due,
        attempts: summary.attempts,
        last_reply: summary.last_reply,
        failure: summary.last_failure.map(|failure| failure.kind.to_string()),
        stage: stage(summary.last_failure),
        hold: summary.hold,
        hold_rule: summary.hold_rule,
        hold_milter: summary.hold_milter,
        damaged: summary.damaged,
        login: summary.login,
    }
}

async fn show(spool: &dyn Spool, id: QueueId) -> Result<MessageView, OperationError> {
    let detail = spool.show(id).await?.ok_or_else(|| missing(id))?;
    let MessageDetail {
        summary,
        envid,
        session,
        prefix,
        recipients,
        history,
    } = detail;
    Ok(MessageView {
        line: line(summary),
        envid,
        session,
        prefix,
        all_recipients: recipients
            .iter()
            .map(|recipient| recipient_view(recipient, &history))
            .collect(),
    })
}

fn recipient_view(queued: &QueuedRecipient, history: &[HistoryEntry]) -> RecipientView {
    let outcome = history.iter().find(|entry| entry.index == queued.index);
    let last = outcome.map(|entry| &entry.attempt).or(queued.last.as_deref());
    let failure = last.and_then(|attempt| attempt.failure);
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    RecipientView {
        address: queued.recipient.address.to_string(),
        state: match (outcome, queued.state) {
            (Some(entry), _) => word(&entry.kind),
            (None, state) => word(&state),
        },
        due_at: (queued.state != RecipientState::Done)
            .then_some(queued.due_at)
            .map(whole_second),
        attempts: outcome.map_or(queued.attempts, |entry| entry.attempts),
        relay: last.and_then(|attempt| text(&attempt.relay)),
        status: last
            .and_then(|attempt| attempt.status)
            .map(|status| status.to_string()),
        reply: last.and_then(|attempt| text(&attempt.reply)),
        failure: failure.map(|failure| failure.kind.to_string()),
        stage: stage(failure),
        by: outcome.and_then(|entry| entry.by.clone()),
    }
}

fn stage(failure: Option<FailureFact>) -> Option<String> {
    failure?.stage.map(|stage| stage.to_string())
}

/// The JSON word for a state or kind.
fn word(of: &impl Serialize) -> String {
    serde_json::to_value(of)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
