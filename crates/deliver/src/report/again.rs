//! The second form of mail about which nobody can be told: if it was refused for its content, it is sent once more, plainer.

use postern_events::{notice, shown};
use postern_mail::report::reduced;
use postern_mail::{BodyKind, Envelope, ReversePath, Status};
use postern_spool::{Assembly, Message, Parts};

use super::note::Note;
use crate::Deps;
use crate::outcome::Notice;

/// Most octets of a message that are read for its second form. A report of this server is never that large.
const READ_MAX: usize = 4 << 20;

/// The same message in the next form, for the recipients whose hosts may accept that; and the notes of all others.
pub(super) async fn plainer<'a>(
    deps: &Deps,
    message: &Message,
    notes: &'a [Note],
) -> (Option<Assembly>, Vec<&'a Note>) {
    let envelope = &message.envelope;
    let (again, others): (Vec<&Note>, Vec<&Note>) = notes.iter().partition(|note| {
        envelope.sender == ReversePath::Null
            && note.notice == Notice::Failed
            && !note.expired
            && may_be_the_form(note.status)
    });
    if again.is_empty() {
        return (None, others);
    }
    let Some(content) = read(deps, message).await.and_then(|content| reduced(&content)) else {
        return (None, notes.iter().collect());
    };
    let recipients: Vec<_> = again
        .iter()
        .filter_map(|note| envelope.recipients.get(note.index as usize).cloned())
        .collect();
    let id = deps.spool.next_id();
    notice!(
        deps.observers,
        Outcome Info "sent again in a plainer form",
        Queue = shown(&message.id),
        Again = shown(&id),
        Recipients = recipients.len(),
        Status = shown(&again[0].status),
    );
    let smtputf8 = recipients.iter().any(|recipient| !recipient.address.is_ascii());
    let envelope = Envelope {
        recipients,
        body: BodyKind::SevenBit,
        smtputf8,
        ..envelope.clone()
    };
    // It keeps its age.
    let received_at = message.received_at;
    let mut plainer = Assembly::new(id, envelope, received_at, message.origin, Parts::of(content));
    plainer.login.clone_from(&message.login);
    plainer.session.clone_from(&message.session);
    (Some(plainer), others)
}

/// Whether a refusal may have been for the form of the content: not if it is about address, mailbox or routing.
fn may_be_the_form(status: Status) -> bool {
    match (status.1, status.2) {
        (2, 3) => true,
        (1 | 2 | 4, _) => false,
        _ => true,
    }
}

async fn read(deps: &Deps, message: &Message) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut reader = deps.spool.open_body(message);
    loop {
        match reader.piece().await {
            Ok(Some(piece)) if content.len() + piece.len() <= READ_MAX => content.extend_from_slice(&piece),
            Ok(Some(_)) => return None,
            Ok(None) => return Some(content),
            Err(error) => {
                notice!(
                    deps.observers,
                    Outcome Warning "no plainer form: cannot read the message",
                    Queue = shown(&message.id),
                    Error = shown(&error),
                );
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_for_the_form() {
        #[rustfmt::skip]
        let cases = [
            ("8-bit content",        Status(5, 6, 3), true),
            ("too large",            Status(5, 3, 4), true),
            ("too large for a box",  Status(5, 2, 3), true),
            ("the content",          Status(5, 7, 1), true),
            ("nothing said",         Status(5, 0, 0), true),
            ("no such user",         Status(5, 1, 1), false),
            ("mailbox full",         Status(5, 2, 2), false),
            ("no way",               Status(5, 4, 4), false),
        ];
        for (shows, status, may) in cases {
            assert_eq!(may_be_the_form(status), may, "{shows}");
        }
    }
}
