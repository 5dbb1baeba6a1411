//! How much of an original message is returned, and in which form.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

use super::{Original, Report, ReportKind};
use crate::envelope::Ret;
use crate::header::HeaderScan;

/// Longest line that may be sent (RFC 5321 section 4.5.3.1.6), without its CRLF.
const LINE_MAX: usize = 998;

/// Most octets of a header that are returned; a longer one is cut at the end of a line.
const HEAD_MAX: usize = 64 * 1024;

/// What is returned.
#[derive(Debug)]
pub(super) enum Returned<'a> {
    /// The whole message, as two pieces.
    Whole(&'a [u8], &'a [u8]),
    /// Its header.
    Head(Cow<'a, [u8]>),
}

/// Why only the header of a message is returned though the whole was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shortened {
    /// It is too large to be returned whole.
    Large,
    /// It was sent as binary, which a multipart made of lines cannot hold.
    Binary,
}

/// Decides what is returned: the whole message only for failures, if the sender did not ask for the header only, and if it is
/// suitable.
pub(super) fn returned<'a>(report: &Report<'a>) -> (Returned<'a>, Option<Shortened>) {
    let original = &report.original;
    let whole_wanted = report.kind == ReportKind::Failure && report.ret != Some(Ret::Headers);
    if !whole_wanted {
        return (Returned::Head(head(original)), None);
    }
    let at_hand = original.head.len() + original.rest.len();
    if original.len != at_hand as u64 || at_hand > report.return_whole_max {
        return (Returned::Head(head(original)), Some(Shortened::Large));
    }
    if !(is_lines(original.head, original.rest)) {
        return (Returned::Head(head(original)), Some(Shortened::Binary));
    }
    (Returned::Whole(original.head, original.rest), None)
}

/// Writes a header line by line, so that whatever is in it comes out as proper lines.
pub(super) fn write_head(head: &[u8], out: &mut Vec<u8>) {
    for line in head.split_inclusive(|&octet| octet == b'\n') {
        let start = out.len();
        out.extend(
            line.iter()
                .filter(|octet| !matches!(octet, b'\r' | b'\n' | 0))
                .take(LINE_MAX),
        );
        // An empty line would end the header.
        if out.len() > start {
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn head<'a>(original: &Original<'a>) -> Cow<'a, [u8]> {
    let (first, second) = (original.head, original.rest);
    let mut scan = HeaderScan::new();
    scan.feed(first);
    if !scan.is_complete() {
        scan.feed(second);
    }
    if original.len == (first.len() + second.len()) as u64 {
        scan.finish();
    }
    let end = usize::try_from(scan.header_len())
        .unwrap_or(usize::MAX)
        .min(first.len() + second.len());
    let head: Cow<'a, [u8]> = if end <= first.len() {
        Cow::Borrowed(&first[..end])
    } else if first.is_empty() {
        Cow::Borrowed(&second[..end])
    } else {
        let most = HEAD_MAX + 1;
        let taken = first.len().min(most);
        let more = (end - first.len()).min(most - taken);
        Cow::Owned([&first[..taken], &second[..more]].concat())
    };
    if head.len() <= HEAD_MAX {
        return head;
    }
    let end = head[..HEAD_MAX]
        .iter()
        .rposition(|&octet| octet == b'\n')
        .map_or(0, |index| index + 1);
    match head {
        Cow::Borrowed(head) => Cow::Borrowed(&head[..end]),
        Cow::Owned(mut head) => {
            head.truncate(end);
            Cow::Owned(head)
        }
    }
}

/// Whether two pieces of a message together consist of lines short enough to be sent, without NUL and bare line endings.
fn is_lines(first: &[u8], second: &[u8]) -> bool {
    let mut column = 0;
    let mut last = 0;
    for piece in [first, second] {
        if memchr(0, piece).is_some() {
            return false;
        }
        let mut from = 0;
        for end in memchr_iter(b'\n', piece) {
            let line = &piece[from..end];
            let before = line.last().copied().unwrap_or(last);
            // A CR may only be right before the LF.
            let inner = line.strip_suffix(b"\r").unwrap_or(line);
            let cr_cut_off = from == 0 && last == b'\r' && !line.is_empty();
            if before != b'\r'
                || memchr(b'\r', inner).is_some()
                || cr_cut_off
                || column + line.len() > LINE_MAX + 1
            {
                return false;
            }
            column = 0;
            from = end + 1;
            last = b'\n';
        }
        let rest = &piece[from..];
        let inner = rest.strip_suffix(b"\r").unwrap_or(rest);
        if memchr(b'\r', inner).is_some() || (from == 0 && last == b'\r' && !rest.is_empty()) {
            return false;
        }
        column += rest.len();
        last = rest.last().copied().unwrap_or(last);
    }
    column <= LINE_MAX && last != b'\r'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_proper_lines_go_back_whole() {
        let long = format!("{}\r\n", "a".repeat(998));
        let too_long = format!("{}\r\n", "a".repeat(999));
        let open = "a".repeat(999);
        #[rustfmt::skip]
        let cases = [
            // what the case shows       message             lines
            ("lines",                    "A: b\r\n\r\nc\r\n", true),
            ("nothing",                  "",                 true),
            ("no line end at the end",   "A: b\r\n\r\nc",    true),
            ("empty lines",              "\r\n\r\n\r\n",     true),
            ("bare LF",                  "a\nb\r\n",         false),
            ("LF first",                 "\nb\r\n",          false),
            ("bare CR",                  "a\rb\r\n",         false),
            ("two CR",                   "a\r\r\n",          false),
            ("CR at the end",            "a\r",              false),
            ("NUL",                      "a\0b\r\n",         false),
            ("998 octets",               &long,              true),
            ("999 octets",               &too_long,          false),
            ("999 octets, no line end",  &open,              false),
        ];
        for (shows, message, lines) in cases {
            for cut in 0..=message.len() {
                let (first, second) = message.as_bytes().split_at(cut);
                assert_eq!(is_lines(first, second), lines, "{shows}, cut at {cut}");
            }
        }
    }

    #[test]
    fn a_head_goes_back_as_proper_lines() {
        let mut out = Vec::new();
        write_head(b"A: b\r\n c\nD:\0e\r\r\n\nF: g", &mut out);
        assert_eq!(out, b"A: b\r\n c\r\nD:e\r\nF: g\r\n");
    }
}
