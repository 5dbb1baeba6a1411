//! Tells observers about the outcomes of recipients.

use std::fmt::{self, Display};

use jiff::Timestamp;
use postern_events::{self as events, Word};
use postern_mail::{QueueId, Recipient};
use postern_spool::{Message, Outcome, RecipientOutcome};

use crate::Deps;

/// What is reported about an outcome besides the outcome itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Telling {
    /// Attempts before this one.
    pub(crate) attempts: u32,
    /// Whether the reason is a peer's reply.
    pub(crate) replied: bool,
    /// When it was decided, in queue time.
    pub(crate) now: Timestamp,
}

impl Telling {
    /// Reports an outcome; `report` is the report message about it, if one was made.
    pub(crate) fn tell(
        self,
        deps: &Deps,
        message: &Message,
        RecipientOutcome { index, outcome }: &RecipientOutcome,
        report: Option<QueueId>,
    ) {
        let Some(recipient) = message.envelope.recipients.get(*index as usize) else {
            return;
        };
        let until = match outcome {
            Outcome::Deferred { until, .. } => Some(Milliseconds(deps.spool.shown_time(*until))),
            _ => None,
        };
        let (word, attempt) = match outcome {
            Outcome::Delivered(attempt) => ("delivered", attempt),
            Outcome::Bounced(attempt) => ("bounced", attempt),
            Outcome::Expired(attempt) => ("expired", attempt),
            Outcome::Deferred {
                attempt: Some(attempt),
                ..
            } => ("deferred", attempt),
            Outcome::Deferred { attempt: None, .. } | Outcome::Removed { .. } => return,
        };
        let failed = matches!(outcome, Outcome::Bounced(_) | Outcome::Expired(_));
        let delay_ms = self.now.as_millisecond() - message.queued_at.as_millisecond();
        let words: &dyn Display = &attempt.reply;
        let report: Option<&dyn Display> = match &report {
            Some(id) => Some(id),
            None if failed => Some(&"no"),
            None => None,
        };
        deps.observers.tell(events::Outcome {
            queue: &message.id,
            session: message.session.as_deref(),
            login: message.login.as_deref(),
            from: &message.envelope.sender,
            to: &recipient.address,
            original: original(recipient),
            relay: &attempt.relay,
            status: attempt.status.as_ref().map(|status| status as &dyn Display),
            failure: attempt.failure.map(|failure| failure.kind),
            stage: attempt
                .failure
                .and_then(|failure| failure.stage)
                .map(|stage| stage.name()),
            reply: self.replied.then_some(words),
            reason: (!self.replied).then_some(words),
            delay_ms: u64::try_from(delay_ms).unwrap_or(0),
            attempts: until.is_some().then_some(self.attempts + 1),
            until: until.as_ref().map(|until| until as &dyn Display),
            report,
            word: Word(word),
        });
    }
}

/// A time to the millisecond.
struct Milliseconds(Timestamp);

impl Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

/// The recipient as it was originally named (RFC 3461 section 4.2), if that is another address: an alias.
fn original(recipient: &Recipient) -> Option<&str> {
    let (_, named) = recipient.orcpt.as_deref()?.split_once(';')?;
    (!named.eq_ignore_ascii_case(&recipient.address.to_string())).then_some(named)
}
