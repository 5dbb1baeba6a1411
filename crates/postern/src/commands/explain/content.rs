//! What this server itself changes about a message: checks, rewritten addresses, copies, on acceptance and on delivery.

use std::sync::Arc;

use postern_deliver::Leaving;
use postern_directory::Member;
use postern_mail::{BodyKind, Envelope, Header, Mailbox, Recipient, ReversePath};
use postern_policy::access::names::AddressKey;
use postern_policy::recipient::RecipientRefusal;
use postern_policy::rewrite::Client;
use postern_policy::rule::{Rule, Ruling};
use postern_receive::judge::Judge;
use postern_receive::{Content, Copy};
use postern_spool::Refusal;

use super::Course;
use super::message::Given;
use crate::args::ExplainSessionArgs;

/// Who the client is, for rules that say whose mail they are for.
pub(super) fn client(judge: &Judge<'_>) -> Client {
    let login = judge.identity.is_some();
    Client {
        local: judge.local_user.is_some() || judge.peer.is_loopback(),
        login,
        relays: !login && judge.relay_reason().is_some(),
        address: judge.local_user.is_none().then_some(judge.peer),
    }
}

/// What a recipient becomes; `None` after an error.
pub(super) async fn recipient(
    course: &mut Course<'_>,
    judge: &Judge<'_>,
    command: &str,
    mailbox: Mailbox,
) -> Option<Mailbox> {
    let Some(content) = judge
        .settings
        .content
        .as_ref()
        .filter(|_| !judge.listener.filtered)
    else {
        return Some(mailbox);
    };
    match content
        .recipient(&client(judge), &judge.listener.name, &mailbox)
        .await
    {
        Ok(None) => Some(mailbox),
        Ok(Some(made)) => {
            let reason = made.told("envelope_recipient", &mailbox.to_string());
            let ruling = Ruling {
                rule: Rule::RewriteChanged,
                reason: &reason,
            };
            course.add_named(command, &ruling, made.rules.last().map(|name| &**name));
            Some(made.to)
        }
        Err(trouble) => {
            course.add(command, &RecipientRefusal::Table(trouble.to_string()));
            None
        }
    }
}

/// What happens to the message itself, for these recipients: as given, and as resolved.
pub(super) async fn message(
    course: &mut Course<'_>,
    judge: &Judge<'_>,
    given: &Given,
    taken: &[(&Mailbox, Member)],
    args: &ExplainSessionArgs,
) -> ReversePath {
    let mut envelope = Envelope {
        sender: args.from.clone(),
        recipients: taken
            .iter()
            .map(|(_, to)| Recipient::new(to.address.clone()))
            .collect(),
        ret: None,
        envid: None,
        body: BodyKind::SevenBit,
        smtputf8: false,
        auth: None,
    };
    let settings = judge
        .settings
        .content
        .as_ref()
        .filter(|_| !judge.listener.filtered);
    let size_max = judge.settings.admission.message_size;
    let content = settings.and_then(|settings| {
        Content::new(
            Arc::clone(settings),
            client(judge),
            &judge.listener.name,
            size_max,
        )
    });
    let mut header = given.header(args);
    if let Some(mut content) = content {
        match changed(&mut content, judge, given, (taken, &mut envelope), header.clone()).await {
            Ok(made) => header = made,
            Err(refusal) => {
                let ruling = Ruling {
                    rule: refusal.rule,
                    reason: &refusal,
                };
                // The reason of a check is its name.
                let name = (refusal.rule == Rule::CheckRefused).then_some(&*refusal.reason);
                match name {
                    Some(name) => course.add_named("end of DATA", &ruling, Some(name)),
                    None => course.add("end of DATA", &ruling),
                }
                course.with_code(refusal.code);
            }
        }
        course.detour = content.detour().or_else(|| course.detour.take());
        if let Some(reason) = content.discarded() {
            let ruling = Ruling {
                rule: Rule::CheckDiscarded,
                reason: &reason,
            };
            course.add("end of DATA", &ruling);
        }
        for (rule, reason) in content.told() {
            course.add(
                "end of DATA",
                &Ruling {
                    rule,
                    reason: &reason,
                },
            );
        }
    }
    leaves(course, &header, &envelope).await;
    envelope.sender
}

/// Does the same as reception, in the same order.
async fn changed(
    content: &mut Content,
    judge: &Judge<'_>,
    given: &Given,
    (taken, envelope): (&[(&Mailbox, Member)], &mut Envelope),
    header: Vec<u8>,
) -> Result<Vec<u8>, Refusal> {
    let header = content.header(header).await?;
    content.senders(envelope).await?;
    if content.discarded().is_none() {
        content.body_in_memory(&header, given.body())?;
    }
    if content.discarded().is_some() {
        return Ok(header);
    }
    let mut copies: Vec<Copy> = Vec::new();
    let mut seen: Vec<&Mailbox> = Vec::new();
    for (named, _) in taken {
        if seen.contains(named) {
            continue;
        }
        seen.push(named);
        if let Some(settings) = &judge.settings.content {
            let key = AddressKey::new(named, judge.settings.identity.tag_separator);
            let listener = &judge.listener.name;
            copies.extend(settings.copies_of(&client(judge), listener, &key, named).await?);
        }
    }
    content.conclude(envelope, copies).await?;
    Ok(header)
}

/// What changes as it leaves.
async fn leaves(course: &mut Course<'_>, header: &[u8], envelope: &Envelope) {
    let Some(outward) = &course.config.deliver.outward else {
        return;
    };
    let recipients: Vec<&Mailbox> = envelope.recipients.iter().map(|one| &one.address).collect();
    let leaving = Leaving {
        header,
        sender: &envelope.sender,
        recipients: &recipients,
    };
    match outward.change(leaving).await {
        Ok(change) => {
            for (rule, reason) in change.into_iter().flat_map(|change| change.told) {
                course.add(
                    "leaves by SMTP",
                    &Ruling {
                        rule,
                        reason: &reason,
                    },
                );
            }
        }
        Err(reason) => {
            let reason = format!("the message waits: {reason}");
            let ruling = Ruling {
                rule: Rule::RewriteUnsure,
                reason: &reason,
            };
            course.add_judged("leaves by SMTP", &ruling, true);
        }
    }
}

impl Given {
    /// The header of the message, or one with the given author instead.
    pub(super) fn header(&self, args: &ExplainSessionArgs) -> Vec<u8> {
        match self.content() {
            Some(content) => Header::split(content).0.to_vec(),
            None => {
                let from = self.authors(args).first().map(|from| format!("From: {from}\r\n"));
                let sender = || args.from.mailbox().map(|sender| format!("From: {sender}\r\n"));
                from.or_else(sender).unwrap_or_default().into_bytes()
            }
        }
    }

    /// Its body.
    fn body(&self) -> &[u8] {
        self.content()
            .map_or(&[], |content| &content[Header::split(content).1..])
    }
}
