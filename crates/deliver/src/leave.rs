//! A message as it leaves: with the changes by rules for outgoing mail.

use bytes::Bytes;
use postern_events::Reworked;
use postern_mail::{Mailbox, ReversePath, Status};
use postern_smtp::client::Protocol;
use postern_spool::Message;

use crate::Deps;
use crate::failure::{Cause, Failure};
use crate::outward::Leaving;
use crate::relay::Relay;
use crate::sender;
use crate::session::Session;
use crate::settings::Settings;
use crate::work::Due;

/// The message as it leaves for these recipients; `None` if nothing changes.
pub(crate) async fn changed(
    session: &Session,
    settings: &Settings,
    deps: &Deps,
    message: &Message,
    batch: &[Due],
) -> Result<Option<Message>, Failure> {
    let Some(outward) = settings
        .outward
        .as_ref()
        .filter(|_| session.protocol == Protocol::Smtp)
    else {
        return Ok(None);
    };
    let places: Vec<usize> = batch.iter().map(|due| due.index as usize).collect();
    let known = |place: &usize| message.envelope.recipients.get(*place);
    let recipients: Vec<&Mailbox> = places.iter().filter_map(known).map(|one| &one.address).collect();
    // All of them have the same sender.
    let forwarded = places.first().and_then(known);
    let forwarded = forwarded.and_then(|first| sender::rewritten(settings, message, first));
    let sender = forwarded.as_ref().unwrap_or(&message.envelope.sender);
    let (header, separator) = parts(&message.prefix);
    let leaving = Leaving {
        header,
        sender,
        recipients: &recipients,
    };
    let change = outward.change(leaving).await.map_err(|reason| {
        Failure::temporary(Status(4, 3, 0), &Relay::Nowhere, Cause::Local(reason.into()))
    })?;
    let Some(change) = change else {
        return Ok(None);
    };
    if let Some(sender) = &forwarded {
        sender::tell_rewritten(message, sender, &deps.observers);
    }
    for (rule, reason) in &change.told {
        deps.observers.tell(Reworked {
            queue: &message.id,
            session: message.session.as_deref(),
            rule: *rule,
            reason,
        });
    }
    let mut envelope = message.envelope.clone();
    envelope.sender = match change.sender {
        Some(sender) => ReversePath::Mailbox(sender),
        None => sender.clone(),
    };
    let known: Vec<usize> = places
        .into_iter()
        .filter(|place| *place < envelope.recipients.len())
        .collect();
    for (place, to) in known.into_iter().zip(change.recipients) {
        if let Some(to) = to {
            envelope.recipients[place].address = to;
        }
    }
    let addresses = envelope.recipients.iter().map(|one| &one.address);
    let all = addresses.chain(envelope.sender.mailbox());
    envelope.smtputf8 |= !all.into_iter().all(Mailbox::is_ascii);
    let prefix = change
        .header
        .map(|header| Bytes::from([&header, separator].concat()));
    Ok(Some(message.leaving(envelope, prefix)))
}

/// Splits a prefix into the header and the empty line after it. Mail queued by an earlier version, whose header continues in the
/// body, has no empty line here: it stays as it is.
fn parts(prefix: &[u8]) -> (&[u8], &[u8]) {
    match prefix.strip_suffix(b"\r\n") {
        Some(header) if header.is_empty() || header.ends_with(b"\n") => (header, b"\r\n"),
        _ => (b"", prefix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_what_is_behind_them() {
        #[rustfmt::skip]
        let cases: [(&[u8], &[u8], &[u8]); 4] = [
            (b"A: b\r\n\r\n",  b"A: b\r\n",  b"\r\n"),
            (b"\r\n",          b"",          b"\r\n"),
            (b"A: b\r\n",      b"",          b"A: b\r\n"),
            (b"",              b"",          b""),
        ];
        for (prefix, header, rest) in cases {
            assert_eq!(parts(prefix), (header, rest));
        }
    }
}
