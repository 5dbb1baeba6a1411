//! Applies access rules that depend on a message's content, once it is complete.

use postern_mail::header::HeaderScan;
use postern_mail::{Envelope, Mailbox, QueueId, mailbox_list};
use postern_policy::access::names::AddressKey;
use postern_policy::access::{Outcome, Scope, Stage};
use postern_policy::rule::Rule;
use postern_smtp::server::Answer;

use super::stages::refused;
use super::state::{Accessing, Matter};
use super::{facts, noted};
use crate::session::{About, Session};

/// Most author addresses that are checked.
const AUTHORS_MAX: usize = 100;

/// Judges the recipients whose rules were waiting for the message. Recipients whose mail is discarded are removed from the
/// envelope, and redirected ones are replaced.
///
/// # Errors
///
/// The reply to a refused message.
pub(crate) async fn end(
    access: &mut Accessing,
    envelope: &mut Envelope,
    (queue, scan, size): (QueueId, &HeaderScan, u64),
    session: &Session,
) -> Result<(), Answer> {
    let open = std::mem::take(&mut access.open);
    if open.is_empty() {
        return Ok(());
    }
    let authors = authors(scan, session);
    let queue = queue.to_string();
    let recipients = envelope.recipients.len();
    let before = std::mem::take(&mut access.answers);
    for recipient in open {
        // A filter may have removed it.
        let is_there = |address: &Mailbox| envelope.recipients.iter().any(|one| one.address == *address);
        if !recipient.goes.iter().any(is_there) {
            continue;
        }
        access.ruled_out.forget(Scope::Recipient);
        access.answers = recipient.answers;
        let matter = Matter {
            stage: Stage::Data,
            now: facts::now(session),
            recipient: Some((&recipient.key, recipient.destination)),
            authors: &authors,
            size,
            recipients,
            queue: &queue,
        };
        let _ = access.settle(&matter, None, session).await;
        let about = About {
            from: Some(&envelope.sender),
            to: Some(&recipient.named),
            recipients: Some(recipients),
            milter: None,
        };
        if let Some(reply) = refused(access, &matter, None, &about, session) {
            access.answers = before;
            return Err(if reply.code == 421 {
                Answer::close(reply)
            } else {
                Answer::stay(reply)
            });
        }
        done(
            access,
            &matter,
            &recipient.named,
            &recipient.goes,
            envelope,
            session,
        );
    }
    access.answers = before;
    Ok(())
}

/// Applies the rules' actions to a recipient that none of them refuses.
fn done(
    access: &mut Accessing,
    matter: &Matter<'_>,
    named: &Mailbox,
    goes: &[Mailbox],
    envelope: &mut Envelope,
    session: &Session,
) {
    let mut notes = std::mem::take(&mut access.notes);
    let mut redirect = None;
    match access.outcome(matter, session) {
        Outcome::Passed(noted) | Outcome::Accepted { noted, .. } => {
            notes.add(&noted);
            redirect = noted.redirect.map(|(rule, to)| (rule.to_string(), to.clone()));
        }
        Outcome::Discarded { rule, .. } => {
            noted::tell(Rule::AccessDiscarded, rule, None, None, Some(named), session);
            envelope
                .recipients
                .retain(|recipient| !goes.contains(&recipient.address));
        }
        Outcome::Exempt
        | Outcome::NotYet
        | Outcome::Refused { .. }
        | Outcome::Ask(_)
        | Outcome::Unsure { .. } => {}
    }
    if let Some((rule, to)) = redirect {
        let reason = format!("{rule}: to {to}");
        noted::tell(Rule::AccessRedirected, &reason, None, None, Some(named), session);
        lead_elsewhere(envelope, named, goes, &to);
    }
    access.notes = notes;
}

/// Replaces the addresses that a recipient led to with another one.
fn lead_elsewhere(envelope: &mut Envelope, named: &Mailbox, goes: &[Mailbox], to: &Mailbox) {
    let mut first = None;
    envelope.recipients.retain(|recipient| {
        let is_meant = goes.contains(&recipient.address);
        if is_meant && first.is_none() {
            first = Some(recipient.clone());
        }
        !is_meant
    });
    let is_there = envelope
        .recipients
        .iter()
        .any(|recipient| recipient.address == *to);
    if let (Some(mut recipient), false) = (first, is_there) {
        recipient.address = to.clone();
        recipient.orcpt.get_or_insert_with(|| format!("rfc822;{named}"));
        envelope.smtputf8 |= !to.is_ascii();
        envelope.recipients.push(recipient);
    }
}

/// The addresses in `From`; none if it is not a plain list of addresses.
fn authors(scan: &HeaderScan, session: &Session) -> Vec<AddressKey> {
    let separator = session.profile.settings.identity.tag_separator;
    scan.from_values()
        .filter_map(mailbox_list)
        .flatten()
        .take(AUTHORS_MAX)
        .map(|mailbox| AddressKey::new(&mailbox, separator))
        .collect()
}
