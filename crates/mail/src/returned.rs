//! Reports that come back about mail that was sent: bounces (RFC 3464 in RFC 6522) and complaints (ARF, RFC 5965).
//!
//! Anybody can write such a report. What is read here is what it claims: which message, by the ids that a server gave it, and which
//! recipients. Whoever counts them has to know that the message was sent to those. Reading is linear in the body, of which only
//! [`BODY_MAX`] octets count.

use crate::address::{Mailbox, ParseOptions};
use crate::fields::{Field, Header};
use crate::queue_id::QueueId;

/// Octets of a body that are read.
pub const BODY_MAX: usize = 64 << 10;

/// Recipients of a report that count.
pub const RECIPIENTS_MAX: usize = 100;

/// Ids of a report that count: each costs a search, and a message has one on each server.
pub const IDS_MAX: usize = 4;

/// Trace fields of the returned message that are read.
const TRACE_MAX: usize = 50;

/// Parts of a report that are looked at.
const PARTS_MAX: usize = 10;

/// What a report says.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ReturnedKind {
    /// The message could not be delivered.
    Bounce,
    /// A recipient calls it unwanted.
    Complaint,
}

/// What a message has to be to be a report: `multipart/report` of a kind, with its boundary.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReportForm {
    /// What it says.
    pub kind: ReturnedKind,
    boundary: Vec<u8>,
}

/// What a report claims.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Returned {
    /// What happened.
    pub kind: ReturnedKind,
    /// The queue ids that this server is said to have given the message.
    pub ids: Vec<QueueId>,
    /// Its recipients to whom that happened, and the status, where it says one. None where a complaint hides them.
    pub recipients: Vec<(Mailbox, Option<String>)>,
}

impl ReportForm {
    /// Whether a message is a report, by its header.
    #[must_use]
    pub fn of(header: &Header) -> Option<Self> {
        let (_, field) = header.named("Content-Type").next()?;
        let value = field.unfolded();
        let (kind, parameters) = parameters(&value);
        if !kind.eq_ignore_ascii_case(b"multipart/report") {
            return None;
        }
        let parameter = |name: &str| {
            let mut all = parameters.iter();
            all.find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
                .map(|(_, value)| value.clone())
        };
        let report = parameter("report-type")?;
        let kind = match report.to_ascii_lowercase().as_slice() {
            b"delivery-status" | b"global-delivery-status" => ReturnedKind::Bounce,
            b"feedback-report" => ReturnedKind::Complaint,
            _ => return None,
        };
        let boundary = parameter("boundary").filter(|text| !text.is_empty() && text.len() <= 70)?;
        Some(Self { kind, boundary })
    }

    /// What a report claims, by its body; `None` where it names no message of the server `hostname`, or says that all is well.
    #[must_use]
    pub fn read(&self, body: &[u8], hostname: &str) -> Option<Returned> {
        let body = &body[..body.len().min(BODY_MAX)];
        let mut returned = Returned {
            kind: self.kind,
            ids: Vec::new(),
            recipients: Vec::new(),
        };
        let mut counts = false;
        for part in parts(body, &self.boundary) {
            let (header, content) = split(part);
            let kind = header
                .named("Content-Type")
                .next()
                .map(|(_, field)| field.unfolded());
            let kind = kind
                .map(|value| parameters(&value).0.to_ascii_lowercase())
                .unwrap_or_default();
            match (self.kind, kind.as_slice()) {
                (ReturnedKind::Bounce, b"message/delivery-status" | b"message/global-delivery-status") => {
                    read_status(content, &mut returned.recipients);
                    counts = true;
                }
                (ReturnedKind::Complaint, b"message/feedback-report") => {
                    counts |= read_feedback(content, &mut returned.recipients);
                }
                (
                    _,
                    b"message/rfc822"
                    | b"message/global"
                    | b"text/rfc822-headers"
                    | b"message/rfc822-headers"
                    | b"message/global-headers",
                ) => read_original(content, hostname, &mut returned.ids),
                _ => {}
            }
        }
        let names_one = self.kind == ReturnedKind::Complaint || !returned.recipients.is_empty();
        (counts && names_one && !returned.ids.is_empty()).then_some(returned)
    }
}

/// The parts of a body, at its boundary.
fn parts<'b>(body: &'b [u8], boundary: &[u8]) -> Vec<&'b [u8]> {
    let mut parts = Vec::new();
    let (mut begin, mut at) = (None, 0);
    for line in body.split_inclusive(|octet| *octet == b'\n') {
        let end = at;
        at += line.len();
        let Some(rest) = line
            .strip_prefix(b"--")
            .and_then(|rest| rest.strip_prefix(boundary))
        else {
            continue;
        };
        let rest = rest.trim_ascii_end();
        if !rest.is_empty() && rest != b"--" {
            continue;
        }
        if let Some(begin) = begin {
            parts.push(&body[begin..end]);
        }
        begin = (rest.is_empty() && parts.len() < PARTS_MAX).then_some(at);
        if begin.is_none() {
            return parts;
        }
    }
    // One that was cut off counts as far as it goes.
    parts.extend(begin.map(|begin| &body[begin..]));
    parts
}

/// A header and what is behind it.
fn split(text: &[u8]) -> (Header, &[u8]) {
    let (header, body) = Header::split(text);
    (Header::parse(header.to_vec()), &text[body..])
}

/// The recipients that have failed (RFC 3464 section 2.3).
fn read_status(content: &[u8], recipients: &mut Vec<(Mailbox, Option<String>)>) {
    let mut rest = content;
    // The first group is about the message.
    for _ in 0..=RECIPIENTS_MAX {
        if rest.is_empty() {
            return;
        }
        let (group, behind) = split(rest);
        rest = behind;
        let text = |name: &str| group.named(name).next().map(|(_, field)| text(field));
        if text("Action").is_none_or(|action| !action.eq_ignore_ascii_case("failed")) {
            continue;
        }
        let address = text("Original-Recipient")
            .and_then(|value| typed_address(&value))
            .or_else(|| text("Final-Recipient").and_then(|value| typed_address(&value)));
        if let Some(address) = address
            && recipients.len() < RECIPIENTS_MAX
        {
            let status = text("Status").map(|status| status.chars().take(20).collect());
            recipients.push((address, status));
        }
    }
}

/// Whether a feedback report says that mail is unwanted, and by whom (RFC 5965 section 3).
fn read_feedback(content: &[u8], recipients: &mut Vec<(Mailbox, Option<String>)>) -> bool {
    let (fields, _) = split(content);
    let kind = fields.named("Feedback-Type").next().map(|(_, field)| text(field));
    let is_complaint = kind.is_some_and(|kind| {
        ["abuse", "fraud", "virus", "other"]
            .iter()
            .any(|known| kind.eq_ignore_ascii_case(known))
    });
    if is_complaint {
        let named = fields.named("Original-Rcpt-To");
        let named = named.filter_map(|(_, field)| address(&text(field)));
        let room = RECIPIENTS_MAX.saturating_sub(recipients.len());
        recipients.extend(named.take(room).map(|address| (address, None)));
    }
    is_complaint
}

/// The queue ids of `hostname` in the trace fields of the returned message.
fn read_original(content: &[u8], hostname: &str, ids: &mut Vec<QueueId>) {
    let (header, _) = split(content);
    for (_, field) in header.named("Received").take(TRACE_MAX) {
        if ids.len() >= IDS_MAX {
            return;
        }
        let value = text(field);
        let clauses = value.split(';').next().unwrap_or_default();
        let words: Vec<&str> = clauses.split_ascii_whitespace().collect();
        let behind = |word: &str| {
            let at = words.iter().position(|one| one.eq_ignore_ascii_case(word))?;
            words.get(at + 1).copied()
        };
        let is_ours = behind("by").is_some_and(|by| by.eq_ignore_ascii_case(hostname));
        let id = behind("id").and_then(|id| id.parse().ok());
        if let Some(id) = id.filter(|id| is_ours && !ids.contains(id)) {
            ids.push(id);
        }
    }
}

fn text(field: Field<'_>) -> String {
    String::from_utf8_lossy(field.unfolded().trim_ascii()).into_owned()
}

/// The address of `rfc822; user@example.org`.
fn typed_address(value: &str) -> Option<Mailbox> {
    let (kind, text) = value.split_once(';')?;
    let is_mail = ["rfc822", "utf-8"]
        .iter()
        .any(|known| kind.trim().eq_ignore_ascii_case(known));
    is_mail.then(|| address(text)).flatten()
}

fn address(text: &str) -> Option<Mailbox> {
    let bare = text.trim().trim_start_matches('<').trim_end_matches('>');
    let options = ParseOptions {
        utf8: true,
        ..ParseOptions::default()
    };
    Mailbox::parse(bare, &options).ok()
}

/// The names of parameters in small letters, and their values.
type Parameters = Vec<(Vec<u8>, Vec<u8>)>;

/// A value and its parameters (RFC 2045 section 5.1), as far as they are plain or quoted.
fn parameters(value: &[u8]) -> (Vec<u8>, Parameters) {
    let mut pieces: Vec<Vec<u8>> = vec![Vec::new()];
    let (mut quoted, mut escaped) = (false, false);
    for &octet in value.iter().take(2_000) {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => {
                escaped = true;
                continue;
            }
            b'"' => {
                quoted = !quoted;
                continue;
            }
            b';' if !quoted => {
                pieces.push(Vec::new());
                continue;
            }
            _ => {}
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(octet);
        }
    }
    let mut pieces = pieces.into_iter();
    let kind = pieces.next().unwrap_or_default().trim_ascii().to_vec();
    let parameters = pieces.filter_map(|piece| {
        let at = piece.iter().position(|octet| *octet == b'=')?;
        let (name, value) = piece.split_at(at);
        Some((name.trim_ascii().to_vec(), value[1..].trim_ascii().to_vec()))
    });
    (kind, parameters.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of no server.
    const ID: &str = "none";

    fn form(content_type: &str) -> Option<ReportForm> {
        ReportForm::of(&Header::parse(
            format!("Subject: x\r\nContent-Type: {content_type}\r\n").into_bytes(),
        ))
    }

    fn id() -> QueueId {
        QueueId::new(1_800_000_000_000, 7)
    }

    fn sample() -> String {
        id().to_string()
    }

    fn body(status: &str, received: &str) -> String {
        format!(
            "--b\r\nContent-Type: text/plain\r\n\r\nsorry\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
             Reporting-MTA: dns; mx.x.test\r\n\r\n{status}\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
             {received}Subject: hello\r\n\r\nhello\r\n--b--\r\n"
        )
    }

    fn received(by: &str, id: &str) -> String {
        format!(
            "Received: from client (client [192.0.2.1])\r\n\tby {by} (Postern) with ESMTPSA id {id}\r\n\tfor <a@x.test>; Tue, 1 Dec 2026 10:00:00 +0000\r\n"
        )
    }

    #[test]
    fn what_is_a_report() {
        #[rustfmt::skip]
        let cases = [
            ("multipart/report; report-type=delivery-status; boundary=\"b\"",          Some(ReturnedKind::Bounce)),
            ("Multipart/Report;\r\n boundary=b;\r\n Report-Type=\"Feedback-Report\"",  Some(ReturnedKind::Complaint)),
            ("multipart/report; report-type=disposition-notification; boundary=b",     None),
            ("multipart/report; report-type=delivery-status",                          None),
            ("multipart/mixed; report-type=delivery-status; boundary=b",               None),
            ("text/plain",                                                             None),
        ];
        for (content_type, want) in cases {
            assert_eq!(form(content_type).map(|form| form.kind), want, "{content_type}");
        }
    }

    #[test]
    fn what_a_bounce_claims() {
        let form = form("multipart/report; report-type=delivery-status; boundary=b").unwrap();
        let failed = "Final-Recipient: rfc822; A@x.test\r\nAction: failed\r\nStatus: 5.1.1\r\n";
        let relayed =
            "Original-Recipient: rfc822;a@x.test\r\nFinal-Recipient: rfc822; z@y.test\r\nAction: Failed\r\n";
        let delayed = "Final-Recipient: rfc822; a@x.test\r\nAction: delayed\r\n";
        let ours = received("relay.test", &sample());
        #[rustfmt::skip]
        let cases = [
            // what the case shows            status                                    trace                             recipients
            ("one",                           failed.to_owned(),                        ours.clone(),                     vec!["A@x.test"]),
            ("as it was named",               relayed.to_owned(),                       ours.clone(),                     vec!["a@x.test"]),
            ("two",                           format!("{failed}\r\n{relayed}"),         ours.clone(),                     vec!["A@x.test", "a@x.test"]),
            ("only those that have failed",   format!("{delayed}\r\n{failed}"),         ours.clone(),                     vec!["A@x.test"]),
            ("nothing has failed",            delayed.to_owned(),                       ours.clone(),                     vec![]),
            ("of another server",             failed.to_owned(),                        received("mx.other.test", &sample()), vec![]),
            ("no id of ours",                 failed.to_owned(),                        received("relay.test", ID),       vec![]),
            ("no original",                   failed.to_owned(),                        String::new(),                    vec![]),
        ];
        for (shows, status, trace, want) in cases {
            let read = form.read(body(&status, &trace).as_bytes(), "relay.test");
            let got: Vec<String> = read
                .iter()
                .flat_map(|read| &read.recipients)
                .map(|(address, _)| address.to_string())
                .collect();
            assert_eq!(got, want, "{shows}");
            if let Some(read) = read {
                assert_eq!(read.ids, [id()], "{shows}");
            }
        }
    }

    #[test]
    fn what_a_complaint_claims() {
        let form = form("multipart/report; report-type=feedback-report; boundary=b").unwrap();
        let body = |fields: &str| {
            format!(
                "--b\r\nContent-Type: message/feedback-report\r\n\r\n{fields}\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n{}",
                received("relay.test", &sample())
            )
        };
        #[rustfmt::skip]
        let cases = [
            ("Feedback-Type: abuse\r\nOriginal-Rcpt-To: <a@x.test>\r\n",  Some(1)),
            ("Feedback-Type: abuse\r\nVersion: 1\r\n",                    Some(0)),
            ("Feedback-Type: not-spam\r\n",                               None),
            ("Version: 1\r\n",                                            None),
        ];
        for (fields, want) in cases {
            let read = form.read(body(fields).as_bytes(), "RELAY.test");
            assert_eq!(read.map(|read| read.recipients.len()), want, "{fields}");
        }
    }

    #[test]
    fn a_forged_report_costs_little() {
        let form = form("multipart/report; report-type=feedback-report; boundary=b").unwrap();
        let part = |kind: &str, content: &str| format!("--b\r\nContent-Type: {kind}\r\n\r\n{content}\r\n");
        let to: String = (0..60)
            .map(|n| format!("Original-Rcpt-To: <a{n}@x.test>\r\n"))
            .collect();
        let abuse = part(
            "message/feedback-report",
            &format!("Feedback-Type: abuse\r\n{to}"),
        );
        let trace: String = (0..40)
            .map(|n| received("relay.test", &QueueId::new(1_800_000_000_000, n).to_string()))
            .collect();
        let original = part("text/rfc822-headers", &trace);
        let all_is_well = part(
            "message/feedback-report",
            "Feedback-Type: not-spam\r\nOriginal-Rcpt-To: <z@x.test>\r\n",
        );
        let body = format!("{abuse}{original}{abuse}{original}{all_is_well}--b--\r\n");
        let read = form.read(body.as_bytes(), "relay.test").unwrap();
        assert_eq!((read.ids.len(), read.recipients.len()), (IDS_MAX, RECIPIENTS_MAX));
    }

    proptest! {
        #[test]
        fn nothing_stops_it(content in proptest::collection::vec(any::<u8>(), 0..2_000), status in "[ -~\r\n]{0,300}") {
            let form = form("multipart/report; report-type=delivery-status; boundary=b").unwrap();
            let _ = form.read(&content, "relay.test");
            let _ = form.read(body(&status, &status).as_bytes(), "relay.test");
            let _ = parameters(&content);
        }
    }
}
