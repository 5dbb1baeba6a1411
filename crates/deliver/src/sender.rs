//! The sender of an outgoing message: its own, or a rewritten one for recipients to whom an alias forwards it.

use jiff::Timestamp;
use postern_events::{Observers, Reworked};
use postern_mail::{Recipient, ReversePath};
use postern_policy::rule::Rule;
use postern_policy::srs::{Leaving, Srs};
use postern_spool::{Message, Origin};

use crate::settings::Settings;
use crate::work::Due;

/// The rewritten sender for this recipient; `None` for the message's own.
pub(crate) fn rewritten(
    settings: &Settings,
    message: &Message,
    recipient: &Recipient,
) -> Option<ReversePath> {
    let srs = settings.srs.as_ref()?;
    let orcpt = recipient.orcpt.as_deref();
    srs.sender(leaving(message), &recipient.address, orcpt, Timestamp::now())
        .map(ReversePath::Mailbox)
}

/// Reports the rewritten sender of a message, so that what others say about it can be traced.
pub(crate) fn tell_rewritten(message: &Message, sender: &ReversePath, observers: &Observers) {
    observers.tell(Reworked {
        queue: &message.id,
        session: message.session.as_deref(),
        rule: Rule::SrsRewritten,
        reason: &format_args!("sender {} becomes {sender}", message.envelope.sender),
    });
}

/// Splits off recipients that can share a transaction: up to `most` with the same sender as the first.
pub(crate) fn batch(
    settings: &Settings,
    message: &Message,
    mut left: Vec<Due>,
    most: usize,
) -> (Vec<Due>, Vec<Due>) {
    let Some(srs) = settings.srs.as_ref().filter(|_| left.len() > 1) else {
        let rest = left.split_off(left.len().min(most));
        return (left, rest);
    };
    let forwarded = |due: &Due| forwards(srs, message, due);
    let of_first = left.first().is_some_and(forwarded);
    let (mut batch, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|due| forwarded(due) == of_first);
    let mut rest = batch.split_off(batch.len().min(most));
    rest.extend(others);
    (batch, rest)
}

fn forwards(srs: &Srs, message: &Message, due: &Due) -> bool {
    let recipient = message.envelope.recipients.get(due.index as usize);
    recipient.is_some_and(|recipient| {
        srs.forwards(leaving(message), &recipient.address, recipient.orcpt.as_deref())
    })
}

fn leaving(message: &Message) -> Leaving<'_> {
    Leaving {
        sender: &message.envelope.sender,
        from_stranger: message.origin == Origin::Stranger,
    }
}
