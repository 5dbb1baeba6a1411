//! Line ends: filters receive and send other ones than mail has.

use std::borrow::Cow;

/// A field's value as a filter gets it: folds are LF only, and without `leading_blanks` exactly one leading space is removed, as
/// in sendmail and Postfix. A tab stays, and so does a second space.
#[must_use]
pub fn value_for_filter(raw: &[u8], leading_blanks: bool) -> Cow<'_, [u8]> {
    let value = match raw {
        [b' ', rest @ ..] if !leading_blanks => rest,
        _ => raw,
    };
    if value.contains(&b'\r') {
        let mut folded = Vec::with_capacity(value.len());
        let mut octets = value.iter().peekable();
        while let Some(&octet) = octets.next() {
            if octet != b'\r' || octets.peek() != Some(&&b'\n') {
                folded.push(octet);
            }
        }
        Cow::Owned(folded)
    } else {
        Cow::Borrowed(value)
    }
}

/// A filter's value in the form for a header: everything after the colon, without the last line end.
///
/// Any line end (CRLF, LF, CR) becomes a fold with CRLF. A line that does not begin with a blank gets a tab, since it would
/// otherwise be a field of its own, and blank lines are left out, since a header must not have them (RFC 5322 section 3.2.2).
/// Without `leading_blanks` a space is added in front.
#[must_use]
pub fn value_from_filter(value: &[u8], leading_blanks: bool) -> Vec<u8> {
    let mut raw = Vec::with_capacity(value.len() + 1);
    if !leading_blanks {
        raw.push(b' ');
    }
    for (number, line) in lines(value).enumerate() {
        if number > 0 {
            if line.iter().all(|octet| matches!(octet, b' ' | b'\t')) {
                continue;
            }
            raw.extend_from_slice(b"\r\n");
            if !matches!(line.first(), Some(b' ' | b'\t')) {
                raw.push(b'\t');
            }
        }
        raw.extend_from_slice(line);
    }
    raw
}

/// The lines of a text with any line ends.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.iter().position(|octet| matches!(octet, b'\r' | b'\n')) else {
            rest = None;
            return Some(text);
        };
        let len = if text[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = Some(&text[end + len..]);
        Some(&text[..end])
    })
}

/// Corrects the line ends of a body from a filter: each bare CR or LF becomes CRLF, and the last line gets a line end. Postern
/// never passes on a bare one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BodyLines {
    /// The previous piece ended with a CR.
    after_cr: bool,
    /// Something has come since the last line end.
    in_line: bool,
}

impl BodyLines {
    /// Appends the next piece to `out`. Pieces may be cut anywhere, even between CR and LF.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for &octet in piece {
            match octet {
                b'\n' if self.after_cr => self.after_cr = false,
                b'\r' | b'\n' => {
                    out.extend_from_slice(b"\r\n");
                    self.after_cr = octet == b'\r';
                    self.in_line = false;
                }
                _ => {
                    out.push(octet);
                    self.after_cr = false;
                    self.in_line = true;
                }
            }
        }
    }

    /// Ends the last line, if it lacks its end.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.in_line {
            out.extend_from_slice(b"\r\n");
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the case shows, what goes in, what comes out, and what with leading blanks.
    type Case = (&'static str, &'static [u8], &'static [u8], &'static [u8]);

    #[test]
    fn values_for_filters() {
        #[rustfmt::skip]
        let cases: [Case; 8] = [
            // what the case shows          in the header           usual               with leading blanks
            ("one space",                   b" a",                  b"a",               b" a"),
            ("two spaces",                  b"  a",                 b" a",              b"  a"),
            ("a tab",                       b"\ta",                 b"\ta",             b"\ta"),
            ("none",                        b"a",                   b"a",               b"a"),
            ("folded",                      b" a\r\n b\r\n\tc",     b"a\n b\n\tc",      b" a\n b\n\tc"),
            ("folded at once",              b"\r\n a",              b"\n a",            b"\n a"),
            ("empty",                       b"",                    b"",                b""),
            ("a CR that is no line end",    b" a\rb",               b"a\rb",            b" a\rb"),
        ];
        for (shows, raw, usual, leading) in cases {
            assert_eq!(value_for_filter(raw, false), usual, "{shows}");
            assert_eq!(value_for_filter(raw, true), leading, "{shows}");
        }
    }

    #[test]
    fn values_from_filters() {
        #[rustfmt::skip]
        let cases: [Case; 11] = [
            // what the case shows          from the filter         usual                   with leading blanks
            ("one line",                    b"a",                   b" a",                  b"a"),
            ("its own blank",               b" a",                  b"  a",                 b" a"),
            ("a fold with LF",              b"a\n b",               b" a\r\n b",            b"a\r\n b"),
            ("a fold with CRLF",            b"a\r\n b",             b" a\r\n b",            b"a\r\n b"),
            ("a fold with CR",              b"a\r b",               b" a\r\n b",            b"a\r\n b"),
            ("a field smuggled in",         b"a\nBcc: b",           b" a\r\n\tBcc: b",      b"a\r\n\tBcc: b"),
            ("the header ended",            b"a\r\n\r\nbody",       b" a\r\n\tbody",        b"a\r\n\tbody"),
            ("a line of blanks",            b"a\n \n b",            b" a\r\n b",            b"a\r\n b"),
            ("a line end too many",         b"a\n",                 b" a",                  b"a"),
            ("folded at once",              b"\n a",                b" \r\n a",             b"\r\n a"),
            ("nothing",                     b"",                    b" ",                   b""),
        ];
        for (shows, value, usual, leading) in cases {
            assert_eq!(value_from_filter(value, false), usual, "{shows}");
            assert_eq!(value_from_filter(value, true), leading, "{shows}");
        }
    }

    #[test]
    fn bodies() {
        #[rustfmt::skip]
        let cases: [(&str, &[u8], &[u8]); 9] = [
            ("as it should be",         b"a\r\nb\r\n",      b"a\r\nb\r\n"),
            ("LF alone",                b"a\nb\n",          b"a\r\nb\r\n"),
            ("CR alone",                b"a\rb\r",          b"a\r\nb\r\n"),
            ("LF and CR",               b"a\n\rb",          b"a\r\n\r\nb\r\n"),
            ("two CR and a LF",         b"a\r\r\nb",        b"a\r\n\r\nb\r\n"),
            ("the last end missing",    b"a",               b"a\r\n"),
            ("empty lines",             b"\n\n",            b"\r\n\r\n"),
            ("a NUL",                   b"a\0b\n",          b"a\0b\r\n"),
            ("nothing",                 b"",                b""),
        ];
        for (shows, body, expected) in cases {
            for cut in 0..=body.len() {
                let (head, tail) = body.split_at(cut);
                let (mut lines, mut out) = (BodyLines::default(), Vec::new());
                lines.feed(head, &mut out);
                lines.feed(tail, &mut out);
                lines.finish(&mut out);
                assert_eq!(out, expected, "{shows}, cut at {cut}");
            }
        }
    }

    /// Whether CR and LF only occur in pairs.
    fn paired(octets: &[u8]) -> bool {
        let text: Vec<_> = octets.split(|&octet| octet == b'\n').collect();
        let (last, lines) = text.split_last().unwrap();
        !last.contains(&b'\r')
            && lines
                .iter()
                .all(|line| line.iter().position(|&octet| octet == b'\r') == Some(line.len().wrapping_sub(1)))
    }

    proptest! {
        #[test]
        fn nothing_is_smuggled(value in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b' '), Just(b'a')], 0..30)) {
            let mut out = Vec::new();
            let mut lines = BodyLines::default();
            lines.feed(&value, &mut out);
            lines.finish(&mut out);
            prop_assert!(paired(&out));
            prop_assert!(out.is_empty() || out.ends_with(b"\r\n"));

            let raw = value_from_filter(&value, false);
            prop_assert!(paired(&raw));
            for line in raw.split(|&octet| octet == b'\n').skip(1) {
                prop_assert!(matches!(line[0], b' ' | b'\t'));
                prop_assert!(line.iter().any(|octet| !matches!(octet, b' ' | b'\t' | b'\r')));
            }
        }

        #[test]
        fn there_and_back(words in proptest::collection::vec("[a-z]{1,5}", 1..6)) {
            let raw = format!(" {}", words.join("\r\n ")).into_bytes();
            for leading in [false, true] {
                prop_assert_eq!(&value_from_filter(&value_for_filter(&raw, leading), leading), &raw);
            }
        }
    }
}
