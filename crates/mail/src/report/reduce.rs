//! The second form of a report, for hosts that refused the first: in 7 bits, with the header of the original only.

use std::borrow::Cow;
use std::fmt::Write as _;

use memchr::memmem;

use crate::header::HeaderScan;
use crate::quoted_printable;

/// Octets of an original's header that are returned in this form.
const HEAD_MAX: usize = 8 << 10;

/// Makes a message from `<>` smaller and plainer: a report (RFC 6522) becomes 7-bit with only the header of the original; if it
/// was that already, it loses the original; any other text becomes 7-bit. `None` when nothing is left to remove, so that
/// repeating this comes to an end.
///
/// The addresses of recipients are written in ASCII (RFC 6533 section 3), text as quoted-printable, and a non-ASCII octet in a
/// field as `?`.
#[must_use]
pub fn reduced(message: &[u8]) -> Option<Vec<u8>> {
    let (head, body) = split(message);
    if head.is_empty() {
        return None;
    }
    let kind = value_of(head, "content-type").unwrap_or_default();
    let short = match boundary_of(&kind) {
        Some(boundary) if is(&kind, "multipart/report") => report(head, body, &boundary)?,
        Some(_) => return None,
        None => text(head, body, &kind)?,
    };
    (short != message).then_some(short)
}

fn report(head: &[u8], body: &[u8], boundary: &str) -> Option<Vec<u8>> {
    let parts = parts(body, boundary);
    if parts.is_empty() {
        return None;
    }
    let is_returned = |part: &[u8]| {
        let kind = value_of(split(part).0, "content-type").unwrap_or_default();
        [
            "message/rfc822",
            "message/global",
            "text/rfc822-headers",
            "message/global-headers",
        ]
        .iter()
        .any(|known| is(&kind, known))
    };
    let is_small = |part: &[u8]| {
        let kind = value_of(split(part).0, "content-type").unwrap_or_default();
        // Encoded, it may be up to three times as long.
        part.is_ascii() && part.len() <= 4 * HEAD_MAX && is(&kind, "text/rfc822-headers")
    };
    // If it is already minimal, only the original can still be removed.
    let plain = head.is_ascii() && body.is_ascii();
    let again = plain && parts.iter().all(|part| !is_returned(part) || is_small(part));
    if again && !parts.iter().any(|part| is_returned(part)) {
        return None;
    }
    let mut out = plain_head(head, false);
    for part in parts {
        if again && is_returned(part) {
            continue;
        }
        write_part(part, boundary, &mut out);
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Some(out)
}

fn write_part(part: &[u8], boundary: &str, out: &mut Vec<u8>) {
    let (head, body) = split(part);
    let kind = value_of(head, "content-type").unwrap_or_default();
    let delimiter = format!("--{boundary}\r\n");
    let mut begin = |kind: &str, encoded: bool| {
        out.extend_from_slice(delimiter.as_bytes());
        out.extend_from_slice(format!("Content-Type: {kind}\r\n").as_bytes());
        if encoded {
            out.extend_from_slice(b"Content-Transfer-Encoding: quoted-printable\r\n");
        }
        out.extend_from_slice(b"\r\n");
    };
    let encoded_before = value_of(head, "content-transfer-encoding").is_some_and(|encoding| {
        !["7bit", "8bit", "binary"]
            .iter()
            .any(|plain| is(&encoding, plain))
    });
    if ["message/rfc822", "message/global"]
        .iter()
        .any(|known| is(&kind, known))
    {
        let original = cut(original_head(body));
        begin("text/rfc822-headers", !original.is_ascii());
        put_text(original, out);
    } else if !encoded_before && (is(&kind, "message/global-headers") || is(&kind, "text/rfc822-headers")) {
        let original = cut(body);
        begin("text/rfc822-headers", !original.is_ascii());
        put_text(original, out);
    } else if is(&kind, "message/global-delivery-status") || is(&kind, "message/delivery-status") {
        begin("message/delivery-status", false);
        out.extend_from_slice(&plain_status(body));
    } else if part.is_ascii() {
        out.extend_from_slice(delimiter.as_bytes());
        out.extend_from_slice(part);
    } else if kind.is_empty() || is_text(&kind) {
        begin(if kind.is_empty() { "text/plain" } else { &kind }, true);
        quoted_printable::encode(body, out);
    } else {
        // No report has such a part, and it cannot be written in 7 bits.
        return;
    }
    out.extend_from_slice(b"\r\n");
}

fn put_text(text: &[u8], out: &mut Vec<u8>) {
    if text.is_ascii() {
        out.extend_from_slice(text);
    } else {
        quoted_printable::encode(text, out);
    }
}

/// A message that is a single text.
fn text(head: &[u8], body: &[u8], kind: &str) -> Option<Vec<u8>> {
    let encoding = value_of(head, "content-transfer-encoding").unwrap_or_default();
    let raw = encoding.is_empty()
        || ["7bit", "8bit", "binary"]
            .iter()
            .any(|plain| is(&encoding, plain));
    if !(kind.is_empty() || is_text(kind) || body.is_ascii()) {
        return None;
    }
    let encode = raw && !body.is_ascii();
    let mut out = plain_head(head, !encode);
    if encode {
        // Before the empty line.
        out.truncate(out.len() - 2);
        if value_of(head, "mime-version").is_none() {
            out.extend_from_slice(b"MIME-Version: 1.0\r\n");
        }
        out.extend_from_slice(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n");
        quoted_printable::encode(body, &mut out);
    } else {
        out.extend_from_slice(body);
    }
    Some(out)
}

/// The header with its empty line, in ASCII; without the encoding of the whole unless it is to be kept.
fn plain_head(head: &[u8], keep_encoding: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len() + 2);
    let mut left_out = false;
    for line in head.split_inclusive(|&octet| octet == b'\n') {
        let continued = matches!(line.first(), Some(b' ' | b'\t'));
        if !continued {
            let name = "content-transfer-encoding:";
            let is_encoding =
                line.len() >= name.len() && line[..name.len()].eq_ignore_ascii_case(name.as_bytes());
            left_out = is_encoding && !keep_encoding;
        }
        if !left_out {
            out.extend(
                line.iter()
                    .map(|octet| if octet.is_ascii() { *octet } else { b'?' }),
            );
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// The part for programs, in ASCII.
fn plain_status(status: &[u8]) -> Cow<'_, [u8]> {
    if status.is_ascii() {
        return Cow::Borrowed(status);
    }
    let mut out = String::with_capacity(status.len() + 64);
    for line in String::from_utf8_lossy(status).split_inclusive('\n') {
        let lower = line.to_ascii_lowercase();
        let is_address = (lower.starts_with("final-recipient:") || lower.starts_with("original-recipient:"))
            && lower.contains("utf-8;");
        for c in line.chars() {
            match c {
                c if c.is_ascii() => out.push(c),
                // Writing to a String cannot fail.
                c if is_address => {
                    let _ = write!(out, "\\x{{{:X}}}", u32::from(c));
                }
                _ => out.push('?'),
            }
        }
    }
    Cow::Owned(out.into_bytes())
}

/// The header of a message, up to the first line that is not part of one.
fn original_head(message: &[u8]) -> &[u8] {
    let mut scan = HeaderScan::new();
    scan.feed(message);
    scan.finish();
    let end = usize::try_from(scan.header_len()).unwrap_or(usize::MAX);
    &message[..end.min(message.len())]
}

/// As much of a header as is returned, to the end of a line.
fn cut(head: &[u8]) -> &[u8] {
    if head.len() <= HEAD_MAX {
        return head;
    }
    let end = head[..HEAD_MAX].iter().rposition(|&octet| octet == b'\n');
    &head[..end.map_or(0, |at| at + 1)]
}

/// Header and body, without the empty line between them.
fn split(message: &[u8]) -> (&[u8], &[u8]) {
    if let Some(body) = message.strip_prefix(b"\r\n") {
        return (b"", body);
    }
    match memmem::find(message, b"\r\n\r\n") {
        Some(at) => (&message[..at + 2], &message[at + 4..]),
        None => (message, b""),
    }
}

/// The text between the delimiters.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut begin: Option<usize> = None;
    let mut at = 0;
    for line in body.split_inclusive(|&octet| octet == b'\n') {
        if let Some(behind) = line.strip_prefix(delimiter.as_bytes()) {
            let last = behind.starts_with(b"--");
            if last || behind.trim_ascii().is_empty() {
                if let Some(begin) = begin {
                    let part = &body[begin..at];
                    parts.push(part.strip_suffix(b"\r\n").unwrap_or(part));
                }
                begin = (!last).then_some(at + line.len());
                if last {
                    return parts;
                }
            }
        }
        at += line.len();
    }
    parts.extend(begin.map(|begin| &body[begin..]));
    parts
}

/// The value of the first field of this name (in lower case), unfolded and in ASCII.
fn value_of(head: &[u8], name: &str) -> Option<String> {
    let mut value: Option<String> = None;
    for line in head.split_inclusive(|&octet| octet == b'\n') {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\r', '\n']);
        match &mut value {
            Some(value) if text.starts_with([' ', '\t']) => value.push_str(text),
            Some(_) => break,
            None => {
                value = text
                    .split_once(':')
                    .filter(|(known, _)| known.trim_end().eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.to_owned());
            }
        }
    }
    value.map(|value| {
        let plain = value.trim().chars().map(|c| if c.is_ascii() { c } else { '?' });
        plain.collect()
    })
}

/// Whether a `Content-Type` or an encoding is the wanted one, whatever its parameters.
fn is(value: &str, wanted: &str) -> bool {
    value
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
}

fn is_text(kind: &str) -> bool {
    kind.get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("text/"))
}

fn boundary_of(kind: &str) -> Option<String> {
    kind.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("boundary") && !value.is_empty()).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "From: a@b.example\r\nTo: c@d.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report;\r\n\
        \x20report-type=delivery-status; boundary=\"x-1\"\r\n";

    fn message(parts: &[&str]) -> Vec<u8> {
        let parts: String = parts.iter().map(|part| format!("--x-1\r\n{part}\r\n")).collect();
        format!("{HEAD}Content-Transfer-Encoding: 8bit\r\n\r\n{parts}--x-1--\r\n").into_bytes()
    }

    /// All forms of a message, one after the other.
    fn forms(message: &[u8]) -> Vec<String> {
        let mut forms = Vec::new();
        let mut form = message.to_vec();
        while let Some(next) = reduced(&form) {
            assert!(next.is_ascii());
            assert!(forms.len() < 4, "it comes to an end");
            forms.push(String::from_utf8(next.clone()).unwrap());
            form = next;
        }
        forms
    }

    #[test]
    fn a_report_becomes_plainer_step_by_step() {
        let report = message(&[
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nEmpfänger unbekannt\r\n",
            "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\nReporting-MTA: dns; b.example\r\n\r\n\
             Final-Recipient: utf-8; käthe@d.example\r\nAction: failed\r\nDiagnostic-Code: smtp; 550 ä\r\n\r\n",
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: grüße\r\n\r\nhällo\r\n",
        ]);
        let [first, second] = &forms(&report)[..] else {
            panic!()
        };
        assert_eq!(
            *first,
            format!(
                "{HEAD}\r\n--x-1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
                 Empf=C3=A4nger unbekannt\r\n\r\n\
                 --x-1\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; b.example\r\n\r\n\
                 Final-Recipient: utf-8; k\\x{{E4}}the@d.example\r\nAction: failed\r\nDiagnostic-Code: smtp; 550 ?\r\n\r\n\r\n\
                 --x-1\r\nContent-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
                 Subject: gr=C3=BC=C3=9Fe\r\n\r\n--x-1--\r\n"
            )
        );
        assert!(
            second.contains("delivery-status\r\n\r\n") && !second.contains("Subject"),
            "the original is left away: {second}"
        );
    }

    #[test]
    fn a_large_report_in_ascii_loses_the_body_first() {
        let original = format!(
            "Content-Type: message/rfc822\r\n\r\nSubject: hello\r\n\r\n{}",
            "hello\r\n".repeat(1_000)
        );
        let report = message(&[
            "Content-Type: text/plain\r\n\r\nsorry\r\n",
            "Content-Type: message/delivery-status\r\n\r\nAction: failed\r\n",
            &original,
        ]);
        let forms = forms(&report);
        assert_eq!(forms.len(), 2);
        assert!(
            forms[0].len() < 1_000 && forms[0].contains("Subject: hello"),
            "{}",
            forms[0]
        );
        let endless = format!(
            "Content-Type: text/rfc822-headers\r\n\r\n{}",
            "X: y\r\n".repeat(20_000)
        );
        let [first, _] = &self::forms(&message(&[&endless]))[..] else {
            panic!()
        };
        assert!(first.len() < HEAD_MAX + 1_000, "{}", first.len());
    }

    #[test]
    fn other_mail() {
        #[rustfmt::skip]
        let cases: &[(&str, &str, Option<&str>)] = &[
            ("a text",              "Subject: ä\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n\r\nweg bis März\r\n",
                Some("Subject: ??\r\nContent-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nweg bis M=C3=A4rz\r\n")),
            ("without MIME",        "Subject: a\r\n\r\nMärz\r\n", Some("Subject: a\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nM=C3=A4rz\r\n")),
            ("an 8-bit head alone", "Subject: ä\r\n\r\nx\r\n", Some("Subject: ??\r\n\r\nx\r\n")),
            ("plain already",       "Subject: a\r\n\r\nx\r\n", None),
            ("several parts",       "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nMärz\r\n--a--\r\n", None),
            ("an image",            "Content-Type: image/png\r\n\r\nMärz\r\n", None),
            ("nothing",             "", None),
        ];
        for &(shows, message, expected) in cases {
            let got = reduced(message.as_bytes());
            assert_eq!(
                got.as_deref().map(String::from_utf8_lossy).as_deref(),
                expected,
                "{shows}"
            );
        }
    }

    proptest! {
        #[test]
        fn it_ends_whatever_it_is_given(parts in proptest::collection::vec(
            "(Content-Type: (text/plain|message/rfc822|text/rfc822-headers|message/delivery-status|image/png)\r\n)?(X: y\r\n)?\r\n[ab\u{e4}=-]{0,9}(\r\n)?", 0..5
        )) {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            forms(&message(&parts));
        }
    }
}
