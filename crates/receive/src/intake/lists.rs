//! Splits a message for mailing lists: members of a list get it with the list's owner as the sender, who gets the bounces.

use postern_mail::{Mailbox, Recipient, ReversePath};
use postern_spool::{Assembly, Body, NewBodies, Refusal};

/// Moves recipients with another sender out of a message, into a new message for each such sender. If all have one, the message
/// itself becomes the first of those.
///
/// A report (`<>`) is not split: nobody must be told that it could not be delivered.
///
/// # Errors
///
/// There is no room for another body.
pub(super) async fn part(
    assembly: &mut Assembly,
    bodies: &mut NewBodies<'_>,
) -> Result<Vec<Assembly>, Refusal> {
    let all = &mut assembly.envelope.recipients;
    if all.iter().all(|recipient| recipient.sender.is_none()) {
        return Ok(Vec::new());
    }
    if assembly.envelope.sender == ReversePath::Null {
        all.iter_mut().for_each(|recipient| recipient.sender = None);
        return Ok(Vec::new());
    }
    let mut groups = grouped(std::mem::take(all)).into_iter();
    if let Some(group) = groups.next() {
        assign(assembly, group);
    }
    let mut others = Vec::new();
    for group in groups {
        let mut other = assembly.clone();
        other.id = bodies.spool().next_id();
        if let Body::File(_) = other.body() {
            let body = copy(assembly, &other, bodies).await?;
            other.replace_body(body);
        }
        assign(&mut other, group);
        others.push(other);
    }
    Ok(others)
}

type Group = (Option<Mailbox>, Vec<Recipient>);

/// Recipients grouped by sender, those without one of their own first.
fn grouped(recipients: Vec<Recipient>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for mut recipient in recipients {
        let sender = recipient.sender.take();
        match groups.iter_mut().find(|(known, _)| *known == sender) {
            Some((_, group)) => group.push(recipient),
            None => groups.push((sender, vec![recipient])),
        }
    }
    groups.sort_by_key(|(sender, _)| sender.is_some());
    groups
}

fn assign(assembly: &mut Assembly, (sender, recipients): Group) {
    if let Some(sender) = sender {
        assembly.envelope.smtputf8 |= !sender.is_ascii();
        assembly.envelope.sender = ReversePath::Mailbox(sender);
    }
    assembly.envelope.recipients = recipients;
}

/// A copy of the body, in a file of its own.
async fn copy(from: &Assembly, to: &Assembly, bodies: &mut NewBodies<'_>) -> Result<Body, Refusal> {
    let mut reader = from.read_body(bodies.spool());
    let mut body = bodies.begin(to.id);
    while let Some(piece) = reader.piece().await.map_err(|error| Refusal::of_spool(&error))? {
        body.write(&piece).await?;
    }
    body.finish().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_grouped_by_their_senders() {
        let on = |address: &str, sender: Option<&str>| Recipient {
            sender: sender.map(|sender| sender.parse().unwrap()),
            ..Recipient::new(address.parse().unwrap())
        };
        let owner = Some("owner-l@a.test");
        let groups = grouped(vec![
            on("a@a.test", owner),
            on("b@a.test", None),
            on("c@a.test", Some("owner-m@a.test")),
            on("d@a.test", owner),
        ]);
        let shown: Vec<String> = groups
            .iter()
            .map(|(sender, group)| {
                let group: Vec<String> = group.iter().map(|one| one.address.to_string()).collect();
                let sender = sender
                    .as_ref()
                    .map_or_else(|| "-".to_owned(), ToString::to_string);
                format!("{sender}: {}", group.join(" "))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "-: b@a.test",
                "owner-l@a.test: a@a.test d@a.test",
                "owner-m@a.test: c@a.test"
            ]
        );
        assert!(
            groups
                .iter()
                .flat_map(|(_, group)| group)
                .all(|one| one.sender.is_none())
        );
    }
}
