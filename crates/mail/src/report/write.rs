//! The text of a report.

use std::io::Write as _;

use jiff::Timestamp;
use memchr::memmem;

use super::returned::{Returned, Shortened, returned, write_head};
use super::{Action, Report, ReportKind, ReportMessage, ReportRecipient};
use crate::address::ReversePath;
use crate::date::rfc5322;
use crate::envelope::{BodyKind, Envelope, Notify, Recipient};
use crate::quoted_printable;
use crate::xtext::encode_unitext;

/// Most octets written of a field value, a reply or a reason.
const VALUE_MAX: usize = 2_000;

/// Octets after which a line is folded where possible (RFC 5322 section 2.1.1).
const FOLD_AT: usize = 76;

/// Most octets written of one word, so that no line exceeds 998.
const WORD_MAX: usize = 900;

/// Writes the whole report.
fn message(report: &Report<'_>) -> Vec<u8> {
    let (returned, shortened) = returned(report);
    let boundary = boundary(report);
    let text = text(report, shortened);
    // A recipient with such an address has a host that takes such a report. All others get one that any host takes.
    let utf8_status = !report.to.is_ascii();
    let status = status(report, utf8_status);
    let returned_octets = match &returned {
        Returned::Whole(first, second) => first.len() + second.len(),
        Returned::Head(head) => head.len(),
    };

    let mut out = Vec::with_capacity(text.len() + status.len() + returned_octets + 2_048);
    let eight_bit = !(status.is_ascii() && returned.is_ascii());
    head(report, &boundary, eight_bit, &mut out);

    text_part(&boundary, &text, &mut out);

    let kind = if status.is_ascii() {
        "message/delivery-status"
    } else {
        "message/global-delivery-status"
    };
    part(&boundary, kind, !status.is_ascii(), &mut out);
    out.extend_from_slice(&status);

    let utf8 = report.smtputf8 && !returned.is_ascii();
    let kind = match (&returned, utf8) {
        (Returned::Whole(..), false) => "message/rfc822",
        (Returned::Whole(..), true) => "message/global",
        (Returned::Head(_), false) => "text/rfc822-headers",
        (Returned::Head(_), true) => "message/global-headers",
    };
    part(&boundary, kind, !returned.is_ascii(), &mut out);
    match returned {
        Returned::Whole(first, second) => {
            out.extend_from_slice(first);
            out.extend_from_slice(second);
        }
        Returned::Head(head) => write_head(&head, &mut out),
    }
    // The line end before a delimiter belongs to the delimiter (RFC 2046 section 5.1.1), so the original keeps its own.
    put(&mut out, format_args!("\r\n--{boundary}--\r\n"));
    out
}

impl Returned<'_> {
    fn is_ascii(&self) -> bool {
        match self {
            Self::Whole(first, second) => first.is_ascii() && second.is_ascii(),
            Self::Head(head) => head.is_ascii(),
        }
    }
}

/// A boundary that does not occur in the original. The other parts have no lines that begin with hyphens.
fn boundary(report: &Report<'_>) -> String {
    let original = &report.original;
    let mut count = 0_u32;
    loop {
        let boundary = format!("postern-{}-{count}", report.id);
        let in_original = [original.head, original.rest]
            .iter()
            .any(|piece| memmem::find(piece, boundary.as_bytes()).is_some());
        // It may also span the two pieces.
        let tail = &original.head[original.head.len().saturating_sub(boundary.len())..];
        let start = &original.rest[..original.rest.len().min(boundary.len())];
        let across = [tail, start].concat();
        if !in_original && memmem::find(&across, boundary.as_bytes()).is_none() {
            return boundary;
        }
        count += 1;
    }
}

fn head(report: &Report<'_>, boundary: &str, eight_bit: bool, out: &mut Vec<u8>) {
    let subject = match report.kind {
        ReportKind::Failure => "Undelivered mail returned to sender",
        ReportKind::Delay => "Mail delayed, delivery is tried further",
        ReportKind::Success => "Mail delivered",
    };
    put(out, format_args!("Date: {}\r\n", rfc5322(report.date)));
    field(
        out,
        "From",
        &format!("Mail Delivery System <{}>", report.from),
        true,
    );
    field(out, "To", &format!("<{}>", report.to), true);
    field(out, "Subject", subject, false);
    put(
        out,
        format_args!("Message-ID: <{}@{}>\r\n", report.id, report.reporting_mta),
    );
    put(
        out,
        format_args!("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"),
    );
    put(
        out,
        format_args!(
            "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n"
        ),
    );
    if eight_bit {
        out.extend_from_slice(b"Content-Transfer-Encoding: 8bit\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// The part for people. A host's reply may have non-ASCII characters, but the report must also reach hosts that take only ASCII.
fn text_part(boundary: &str, text: &[u8], out: &mut Vec<u8>) {
    if text.is_ascii() {
        part(boundary, "text/plain; charset=us-ascii", false, out);
        out.extend_from_slice(text);
    } else {
        put(
            out,
            format_args!(
                "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            ),
        );
        quoted_printable::encode(text, out);
    }
}

fn part(boundary: &str, kind: &str, eight_bit: bool, out: &mut Vec<u8>) {
    let encoding = if eight_bit {
        "Content-Transfer-Encoding: 8bit\r\n"
    } else {
        ""
    };
    put(
        out,
        format_args!("--{boundary}\r\nContent-Type: {kind}\r\n{encoding}\r\n"),
    );
}

/// The part for people.
fn text(report: &Report<'_>, shortened: Option<Shortened>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    put(
        &mut out,
        format_args!("This is the mail system at {}.\r\n\r\n", report.reporting_mta),
    );
    out.extend_from_slice(match report.kind {
        ReportKind::Failure => {
            b"Your message could not be delivered to the recipients below.\r\n\
              It will not be tried again for them.\r\n"
        }
        ReportKind::Delay => b"Your message has not been delivered yet to the recipients below.\r\n\
              You need not send it again: delivery is still being tried.\r\n"
            .as_slice(),
        ReportKind::Success => b"Your message was delivered for the recipients below.\r\n",
    });
    for recipient in &report.recipients {
        out.extend_from_slice(b"\r\n");
        wrapped(
            &format!("<{}>: {}", recipient.address, what_happened(recipient)),
            "",
            &mut out,
        );
        for words in [recipient.reason, recipient.diagnostic].into_iter().flatten() {
            wrapped(words, "    ", &mut out);
        }
        if let Some(until) = recipient.will_retry_until {
            wrapped(
                &format!("Delivery is tried until {}.", rfc5322(until)),
                "    ",
                &mut out,
            );
        }
    }
    out.extend_from_slice(match shortened {
        None => b"\r\n".as_slice(),
        Some(Shortened::Large) => {
            b"\r\nThe message is too large to be returned whole; its header fields follow.\r\n\r\n"
        }
        Some(Shortened::Binary) => {
            b"\r\nThe message is binary and cannot be returned whole; its header fields follow.\r\n\r\n"
        }
    });
    out
}

fn what_happened(recipient: &ReportRecipient<'_>) -> String {
    // If there is a reason besides the reply, the reason says what happened.
    let replied = recipient.diagnostic.is_some() && recipient.reason.is_none();
    match (recipient.action, recipient.remote_mta.filter(|_| replied)) {
        (Action::Failed, Some(host)) => format!("the host {host} refused it:"),
        (Action::Delayed, Some(host)) => format!("the host {host} does not take it now:"),
        (Action::Failed, None) => "not delivered".to_owned(),
        (Action::Delayed, None) => "not delivered yet".to_owned(),
        (Action::Delivered, _) => "delivered".to_owned(),
        (Action::Relayed, _) => "passed on to a host that sends no reports of success".to_owned(),
        (Action::Expanded, _) => "passed on to the members of a list or alias".to_owned(),
    }
}

/// The part for programs (RFC 3464 section 2).
fn status(report: &Report<'_>, utf8: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 * (report.recipients.len() + 1));
    field(
        &mut out,
        "Reporting-MTA",
        &format!("dns; {}", report.reporting_mta),
        utf8,
    );
    if let Some(envid) = report.envid {
        field(&mut out, "Original-Envelope-Id", envid, utf8);
    }
    field(&mut out, "X-Postern-Queue-ID", report.original_id, utf8);
    date_field(&mut out, "Arrival-Date", Some(report.arrival));
    for recipient in &report.recipients {
        out.extend_from_slice(b"\r\n");
        recipient_status(recipient, utf8, &mut out);
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn recipient_status(recipient: &ReportRecipient<'_>, utf8: bool, out: &mut Vec<u8>) {
    if let Some((kind, address)) = recipient.orcpt.and_then(|orcpt| orcpt.split_once(';')) {
        let unitext = kind.eq_ignore_ascii_case("utf-8") || !address.is_ascii();
        let value = if unitext {
            format!("utf-8; {}", encode_unitext(address, utf8))
        } else {
            format!("{kind}; {address}")
        };
        field(out, "Original-Recipient", &value, utf8);
    }
    let address = recipient.address.to_string();
    let value = if address.is_ascii() {
        format!("rfc822; {address}")
    } else {
        format!("utf-8; {}", encode_unitext(&address, utf8))
    };
    field(out, "Final-Recipient", &value, utf8);
    field(out, "Action", recipient.action.word(), utf8);
    field(out, "Status", &recipient.status.to_string(), utf8);
    if let Some(host) = recipient.remote_mta {
        field(out, "Remote-MTA", &format!("dns; {host}"), utf8);
    }
    match (recipient.diagnostic, recipient.reason) {
        (Some(reply), _) => field(out, "Diagnostic-Code", &format!("smtp; {reply}"), utf8),
        (None, Some(reason)) => field(out, "Diagnostic-Code", &format!("X-Postern; {reason}"), utf8),
        (None, None) => {}
    }
    date_field(out, "Last-Attempt-Date", recipient.last_attempt);
    date_field(out, "Will-Retry-Until", recipient.will_retry_until);
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }
}

fn date_field(out: &mut Vec<u8>, name: &str, date: Option<Timestamp>) {
    if let Some(date) = date {
        put(out, format_args!("{name}: {}\r\n", rfc5322(date)));
    }
}

/// Writes a field, folded before blanks so that unfolding gives the same value again.
fn field(out: &mut Vec<u8>, name: &str, value: &str, utf8: bool) {
    put(out, format_args!("{name}:"));
    let mut column = name.len() + 1;
    for (index, word) in words(value).enumerate() {
        let word = clean(word, utf8);
        if index > 0 && !word.is_empty() && column + 1 + word.len() > FOLD_AT {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
        out.push(b' ');
        out.extend_from_slice(word.as_bytes());
        column += 1 + word.len();
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a paragraph, wrapped with each line indented by `indent`.
fn wrapped(text: &str, indent: &str, out: &mut Vec<u8>) {
    let mut column = 0;
    for word in words(text).filter(|word| !word.is_empty()) {
        let word = clean(word, true);
        if column > 0 && column + 1 + word.len() > FOLD_AT {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
        let before = if column == 0 { indent } else { " " };
        put(out, format_args!("{before}{word}"));
        column += before.len() + word.len();
    }
    out.extend_from_slice(b"\r\n");
}

/// The words of the part of a text that is written; an empty one between adjacent blanks or line breaks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let end = (0..=text.len().min(VALUE_MAX))
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    text[..end].split([' ', '\t', '\r', '\n'])
}

/// A word with `?` for control characters, and for all non-ASCII characters unless UTF-8 is allowed.
fn clean(word: &str, utf8: bool) -> String {
    let mut cleaned = String::with_capacity(word.len());
    for c in word.chars() {
        if cleaned.len() >= WORD_MAX {
            break;
        }
        let fits = if c.is_ascii() {
            c.is_ascii_graphic()
        } else {
            utf8 && !c.is_control()
        };
        cleaned.push(if fits { c } else { '?' });
    }
    cleaned
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}

impl Report<'_> {
    /// Writes the report.
    ///
    /// The result is `BODY=8BITMIME` if anything in it is not ASCII, and needs `SMTPUTF8` if its recipient does. The report
    /// itself asks for no report.
    #[must_use]
    pub fn build(&self) -> ReportMessage {
        let content = message(self);
        let body = if content.is_ascii() {
            BodyKind::SevenBit
        } else {
            BodyKind::EightBitMime
        };
        let recipient = Recipient {
            notify: Notify::Never,
            ..Recipient::new(self.to.clone())
        };
        let envelope = Envelope {
            sender: ReversePath::Null,
            recipients: vec![recipient],
            ret: None,
            envid: None,
            body,
            smtputf8: !self.to.is_ascii(),
            auth: None,
        };
        ReportMessage { envelope, content }
    }
}
