//! Reports to the sender (RFC 3461, RFC 3464), made here and queued with the outcomes they tell of.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use postern_mail::report::{Action, Original, Report, ReportKind, ReportRecipient};
use postern_mail::{Domain, Mailbox, QueueId, ReversePath, Status};
use postern_spool::{Body, Message, NewMessage, Origin, Spool};

use crate::outcome::Notice;
use crate::settings::Settings;

/// What one recipient's line in a report is made of.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) index: u32,
    pub(crate) notice: Notice,
    pub(crate) status: Status,
    pub(crate) relay: String,
    pub(crate) text: String,
    /// Whether `text` is a host's reply.
    pub(crate) replied: bool,
    /// Whether time ran out.
    pub(crate) expired: bool,
}

/// Makes the reports, at most one of each kind. None for a message that is a report itself, so that no two servers ever
/// keep each other busy; where the operator wishes, a postmaster hears of such failures instead.
pub(crate) async fn make(
    spool: &dyn Spool,
    settings: &Settings,
    message: &Message,
    notes: &[Note],
    now: Timestamp,
) -> Vec<NewMessage> {
    let mut reports = Vec::new();
    if notes.is_empty() {
        return reports;
    }
    let Some(from) = daemon(&settings.hostname) else {
        tracing::error!(target: "postern::outcome", queue = %message.id, "no report: the host name is no domain");
        return reports;
    };
    let head = read_head(spool, message, settings.reports.return_size_max).await;
    for kind in [ReportKind::Failure, ReportKind::Delay, ReportKind::Success] {
        let notes: Vec<&Note> = notes.iter().filter(|note| kind_of(note.notice) == kind).collect();
        if notes.is_empty() {
            continue;
        }
        let to = match &message.envelope.sender {
            ReversePath::Mailbox(sender) => sender,
            ReversePath::Null if kind == ReportKind::Failure => match &settings.reports.double_bounce_to {
                // A report to the postmaster that fails is not reported to the postmaster.
                Some(postmaster) if !is_for(message, postmaster) => postmaster,
                _ => continue,
            },
            ReversePath::Null => continue,
        };
        let page = Page {
            settings,
            message,
            from: &from,
            head: &head,
            now,
        };
        reports.push(page.report(spool.next_id(), kind, to, &notes));
    }
    reports
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
    fn report(&self, id: QueueId, kind: ReportKind, to: &Mailbox, notes: &[&Note]) -> NewMessage {
        let envelope = &self.message.envelope;
        let words: Vec<_> = notes
            .iter()
            .map(|note| (self.reason(note), host_of(&note.relay)))
            .collect();
        let recipients = notes
            .iter()
            .zip(&words)
            .filter_map(|(note, (reason, host))| {
                let recipient = envelope.recipients.get(note.index as usize)?;
                Some(ReportRecipient {
                    address: &recipient.address,
                    orcpt: recipient.orcpt.as_deref(),
                    action: action_of(note.notice),
                    status: note.status,
                    remote_mta: Some(&**host).filter(|host| note.replied && !host.is_empty()),
                    diagnostic: note.replied.then_some(note.text.as_str()),
                    reason: reason.as_deref(),
                    last_attempt: Some(self.now),
                    will_retry_until: match note.notice {
                        Notice::Delayed { until } => Some(until),
                        _ => None,
                    },
                })
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
        NewMessage {
            id,
            envelope: built.envelope,
            received_at: self.now,
            prefix: Bytes::new(),
            body: Body::Inline(built.content.into()),
            login: None,
            session: None,
            hold: None,
            origin: Origin::Report,
            queue_only: false,
        }
    }

    /// Our own words, where there are any to say.
    fn reason(&self, note: &Note) -> Option<String> {
        let own = (!note.replied).then(|| note.text.clone());
        if !note.expired {
            return own;
        }
        let age = words(self.settings.retry.expire_after);
        Some(match own {
            Some(text) => {
                format!("It could not be delivered within {age}. The last attempt ended so: {text}")
            }
            None => format!(
                "It could not be delivered within {age}. The last answer of {} was:",
                host_of(&note.relay)
            ),
        })
    }
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

/// The host out of a relay's name: `mx.example.org` of `mx.example.org[192.0.2.1]:25`, and an address literal where only the address
/// is known.
fn host_of(relay: &str) -> Cow<'_, str> {
    if relay.starts_with("unix:") {
        return "localhost".into();
    }
    match relay.split_once('[') {
        Some((name, _)) if !name.is_empty() => name.into(),
        _ => match relay.parse::<SocketAddr>() {
            Ok(address) => Domain::Literal(address.ip()).to_string().into(),
            Err(_) => relay.into(),
        },
    }
}

/// The beginning of a message: all that may go back.
async fn read_head(spool: &dyn Spool, message: &Message, most: u64) -> [Bytes; 2] {
    if let Body::Inline(body) = &message.body {
        return [message.prefix.clone(), body.clone()];
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX).max(64 << 10);
    let mut head = Vec::new();
    let mut reader = spool.open_body(message);
    while head.len() < most {
        match reader.piece().await {
            Ok(Some(piece)) => head.extend_from_slice(&piece[..piece.len().min(most - head.len())]),
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(target: "postern::outcome", queue = %message.id, reply = %error, "report without the message");
                // What was read of it may be what is wrong with it.
                head.clear();
                break;
            }
        }
    }
    [head.into(), Bytes::new()]
}

/// A time span as people say it.
fn words(span: Duration) -> String {
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
            assert_eq!(words(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn hosts_of_relays() {
        for (relay, host) in [
            ("mx.example.org[192.0.2.1]:25", "mx.example.org"),
            ("192.0.2.1:25", "[192.0.2.1]"),
            ("[2001:db8::1]:25", "[IPv6:2001:db8::1]"),
            ("unix:/run/lmtp", "localhost"),
            ("", ""),
        ] {
            assert_eq!(host_of(relay), host);
        }
    }
}
