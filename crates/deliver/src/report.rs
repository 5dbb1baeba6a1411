//! Reports to the sender (RFC 3461, RFC 3464), made here and queued with the outcomes they are about.

mod again;
mod note;
mod words;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use postern_events::{Reported, notice, shown};
use postern_mail::report::{Action, Original, Report, ReportKind, ReportRecipient};
use postern_mail::{Domain, Envelope, Mailbox, QueueId, Recipient, ReversePath};
use postern_policy::DomainSet;
use postern_spool::{Assembly, Body, Message, NewMessage, NoLimit, Origin, Parts};

pub(crate) use self::note::Note;
use crate::Deps;
use crate::outcome::Notice;
use crate::settings::Settings;

/// The reports of one settlement.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    pub(crate) messages: Vec<NewMessage>,
    /// Which of them is about which recipient, by index in the envelope.
    tells: Vec<(u32, QueueId)>,
}

impl Reports {
    /// The report about this recipient.
    pub(crate) fn about(&self, index: u32) -> Option<QueueId> {
        let found = self.tells.iter().find(|(told, _)| *told == index);
        found.map(|(_, id)| *id)
    }
}

/// Makes the reports, at most one of each kind. None for a message that is a report itself, to prevent loops between servers: it
/// is sent once more in a form that any host accepts. If that fails too, a postmaster is told, if configured.
pub(crate) async fn make(
    deps: &Deps,
    settings: &Settings,
    message: &Message,
    notes: &[Note],
    now: Timestamp,
) -> Reports {
    let spool = deps.spool.as_ref();
    let mut reports = Reports::default();
    if notes.is_empty() {
        return reports;
    }
    let Some(from) = daemon(&settings.hostname) else {
        let observers = &deps.observers;
        notice!(observers, Outcome Error "no report: the host name is not a domain", Queue = shown(&message.id));
        return reports;
    };
    let (plainer, notes) = again::plainer(deps, message, notes).await;
    if let Some(plainer) = plainer {
        reports.messages.push(inspected(deps, plainer).await);
    }
    let head = read_head(deps, message, settings.reports.return_size_max).await;
    for kind in [ReportKind::Failure, ReportKind::Delay, ReportKind::Success] {
        let notes: Vec<&Note> = notes
            .iter()
            .copied()
            .filter(|note| kind_of(note.notice) == kind)
            .collect();
        if notes.is_empty() {
            continue;
        }
        let to = match &message.envelope.sender {
            ReversePath::Mailbox(sender) => sender,
            ReversePath::Null if kind == ReportKind::Failure => match &settings.reports.double_bounce_to {
                // A report to the postmaster that fails is not reported to the postmaster.
                Some(postmaster) if !is_for(message, postmaster) => postmaster,
                _ => {
                    if message.origin == Origin::Report {
                        undeliverable(deps, message, &notes);
                    }
                    continue;
                }
            },
            ReversePath::Null => continue,
        };
        let readers = deps.mailboxes.readers(to).await;
        if readers.is_empty() {
            notice!(
                deps.observers,
                Outcome Warning "undeliverable report: unknown recipient",
                Queue = shown(&message.id),
                To = shown(to),
            );
            continue;
        }
        let page = Page {
            settings,
            message,
            from: &from,
            head: &head,
            now,
        };
        let mut report = page.report(spool.next_id(), kind, to, &notes);
        lead_to(&mut report.envelope, readers);
        deps.observers.tell(Reported {
            queue: &report.id,
            about: &message.id,
            to,
        });
        reports
            .tells
            .extend(notes.iter().map(|note| (note.index, report.id)));
        reports.messages.push(inspected(deps, report).await);
    }
    reports
}

/// Shows a report to the inspectors. One that they refuse is queued unchanged, since somebody is waiting for it.
async fn inspected(deps: &Deps, report: Assembly) -> NewMessage {
    let inspectors = deps.inspectors.load_full();
    if inspectors.is_empty() {
        return report.into_message();
    }
    let mut assembly = report.clone();
    let inspected = inspectors
        .inspect(&mut assembly, deps.spool.as_ref(), &mut NoLimit)
        .await;
    match inspected {
        Ok(()) => assembly.into_message(),
        Err(error) => {
            let observers = &deps.observers;
            notice!(observers, Outcome Warning "report queued unchanged", Queue = shown(&report.id), Reason = shown(&error));
            report.into_message()
        }
    }
}

/// Addresses a report to its readers.
fn lead_to(envelope: &mut Envelope, readers: Vec<Mailbox>) {
    if let Some(recipient) = envelope.recipients.pop() {
        envelope.recipients = readers
            .into_iter()
            .map(|address| Recipient {
                address,
                ..recipient.clone()
            })
            .collect();
    }
}

/// The end of a failed report: nobody is told that it failed.
fn undeliverable(deps: &Deps, message: &Message, notes: &[&Note]) {
    for note in notes {
        let recipient = message.envelope.recipients.get(note.index as usize);
        let words = &note.text;
        notice!(
            deps.observers,
            Outcome Warning "undeliverable report",
            Queue = shown(&message.id),
            To = recipient.map(|recipient| shown(&recipient.address)),
            Reply = note.replied.then_some(words),
            Reason = (!note.replied).then_some(words),
        );
    }
}

/// What all reports of one settlement have in common.
struct Page<'a> {
    settings: &'a Settings,
    message: &'a Message,
    from: &'a Mailbox,
    head: &'a [Bytes; 2],
    now: Timestamp,
}

impl Page<'_> {
    fn report(&self, id: QueueId, kind: ReportKind, to: &Mailbox, notes: &[&Note]) -> Assembly {
        let envelope = &self.message.envelope;
        let lines: Vec<Line<'_>> = notes.iter().filter_map(|note| self.line(note)).collect();
        let recipients = lines
            .iter()
            .map(|line| ReportRecipient {
                address: &line.address,
                orcpt: line.recipient.orcpt.as_deref(),
                action: action_of(line.note.notice),
                status: line.note.status,
                remote_mta: Some(&*line.host).filter(|host| line.note.replied && !host.is_empty()),
                diagnostic: line.reply.as_deref(),
                reason: line.reason.as_deref(),
                last_attempt: Some(self.now),
                will_retry_until: match line.note.notice {
                    Notice::Delayed { until } => Some(until),
                    _ => None,
                },
            })
            .collect();
        let built = Report {
            kind,
            reporting_mta: &self.settings.hostname,
            from: self.from,
            to,
            id: &id.to_string(),
            original_id: &self.message.id.to_string(),
            date: self.now,
            arrival: self.message.received_at,
            envid: envelope.envid.as_deref(),
            ret: envelope.ret,
            smtputf8: envelope.smtputf8,
            recipients,
            original: Original {
                head: &self.head[0],
                rest: &self.head[1],
                len: self.message.size(),
            },
            return_whole_max: usize::try_from(self.settings.reports.return_size_max).unwrap_or(usize::MAX),
        }
        .build();
        let parts = Parts::of(built.content);
        Assembly::new(id, built.envelope, self.now, Origin::Report, parts)
    }

    /// What is said about one recipient: nothing that only this site should know.
    fn line<'n>(&'n self, note: &'n Note) -> Option<Line<'n>> {
        let recipient = self.message.envelope.recipients.get(note.index as usize)?;
        let address = as_sender_knows(recipient, &self.settings.routes.local_domains);
        let host = note.relay.host().filter(|_| note.public).unwrap_or_default();
        let text = if note.public && (note.replied || note.relay.is_somewhere()) {
            Cow::Borrowed(note.text.as_str())
        } else if note.replied {
            Cow::Owned(words::without_places(&note.text, &note.relay))
        } else {
            words::of(note.status).into()
        };
        let text = if *address == recipient.address {
            text
        } else {
            words::replaced(&text, &recipient.address.to_string(), &address.to_string()).into()
        };
        let succeeded = matches!(note.notice, Notice::Delivered | Notice::Relayed);
        let (reply, own) = if note.replied {
            (Some(text.into_owned()), None)
        } else {
            (None, (!succeeded).then(|| text.into_owned()))
        };
        let reason = if note.expired {
            Some(self.expired(own, &host))
        } else {
            own
        };
        Some(Line {
            note,
            recipient,
            address,
            host,
            reply,
            reason,
        })
    }

    /// Says that the message has expired, and how the last attempt ended.
    fn expired(&self, own: Option<String>, host: &str) -> String {
        let age = span(self.settings.retry.expire_after);
        match own {
            Some(text) => {
                format!("It could not be delivered within {age}. The last attempt ended with: {text}")
            }
            None if host.is_empty() => {
                format!("It could not be delivered within {age}. The last answer was:")
            }
            None => format!("It could not be delivered within {age}. The last answer of {host} was:"),
        }
    }
}

/// What is said about one recipient.
struct Line<'a> {
    note: &'a Note,
    recipient: &'a Recipient,
    address: Cow<'a, Mailbox>,
    host: Cow<'a, str>,
    reply: Option<String>,
    reason: Option<String>,
}

/// The address that the sender wrote to. If an alias of this host was expanded, this is the alias: its targets are not disclosed.
fn as_sender_knows<'a>(recipient: &'a Recipient, local: &DomainSet) -> Cow<'a, Mailbox> {
    let alias = recipient.orcpt.as_deref().and_then(|orcpt| {
        let (_, address) = orcpt.split_once(';')?;
        let options = postern_mail::ParseOptions {
            utf8: true,
            ..postern_mail::ParseOptions::default()
        };
        let mailbox = Mailbox::parse(address, &options).ok()?;
        (local.contains(mailbox.domain()) && mailbox.key() != recipient.address.key()).then_some(mailbox)
    });
    alias.map_or(Cow::Borrowed(&recipient.address), Cow::Owned)
}

fn kind_of(notice: Notice) -> ReportKind {
    match notice {
        Notice::Failed => ReportKind::Failure,
        Notice::Delayed { .. } => ReportKind::Delay,
        Notice::Relayed | Notice::Delivered => ReportKind::Success,
    }
}

fn action_of(notice: Notice) -> Action {
    match notice {
        Notice::Failed => Action::Failed,
        Notice::Delayed { .. } => Action::Delayed,
        Notice::Relayed => Action::Relayed,
        Notice::Delivered => Action::Delivered,
    }
}

fn daemon(hostname: &str) -> Option<Mailbox> {
    Mailbox::new("MAILER-DAEMON", Domain::parse(hostname, true).ok()?).ok()
}

fn is_for(message: &Message, postmaster: &Mailbox) -> bool {
    message
        .envelope
        .recipients
        .iter()
        .any(|recipient| recipient.address.key() == postmaster.key())
}

/// The beginning of a message: all that may be returned.
async fn read_head(deps: &Deps, message: &Message, most: u64) -> [Bytes; 2] {
    if let Body::Inline(body) = &message.body {
        return [message.prefix.clone(), body.clone()];
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX).max(64 << 10);
    let mut head = Vec::new();
    let mut reader = deps.spool.open_body(message);
    while head.len() < most {
        match reader.piece().await {
            Ok(Some(piece)) => head.extend_from_slice(&piece[..piece.len().min(most - head.len())]),
            Ok(None) => break,
            Err(error) => {
                notice!(
                    deps.observers,
                    Outcome Warning "report without the message",
                    Queue = shown(&message.id),
                    Error = shown(&error),
                );
                // What was read may be the damaged part.
                head.clear();
                break;
            }
        }
    }
    [head.into(), Bytes::new()]
}

/// A time span in words.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    for (unit, name) in [(86_400, "day"), (3_600, "hour"), (60, "minute")] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            let count = seconds / unit;
            return format!("{count} {name}{}", if count == 1 { "" } else { "s" });
        }
    }
    format!("{seconds} seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_in_words() {
        for (seconds, expected) in [
            (120, "2 minutes"),
            (60, "1 minute"),
            (432_000, "5 days"),
            (14_400, "4 hours"),
            (90, "90 seconds"),
            (5_400, "90 minutes"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), expected);
        }
    }
}
