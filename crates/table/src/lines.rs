//! Lines as Postfix joins them.

use std::borrow::Cow;

use crate::notes::Notes;

/// A logical line: its number in the file, from 1, and its trimmed text.
pub(crate) type Line<'t> = (usize, Cow<'t, str>);

/// Passes the logical lines of a text to `take`: empty lines and comments are skipped, and a line that begins with a blank
/// continues the previous one. Invalid UTF-8 outside comments is a mistake.
pub(crate) fn logical<'t>(text: &'t str, notes: &mut Notes, mut take: impl FnMut(Line<'t>, &mut Notes)) {
    let mut open: Option<Line<'t>> = None;
    let mut close = |line: Option<Line<'t>>, notes: &mut Notes| {
        let Some((number, text)) = line else { return };
        if crate::text::is_garbled(&text) {
            notes.mistake(number, "is not UTF-8: write it in UTF-8");
            return;
        }
        let text = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_end()),
            Cow::Owned(text) => Cow::Owned(text.trim_end().to_owned()),
        };
        take((number, text), notes);
    };
    for (index, line) in physical(text).enumerate() {
        let bare = line.trim_start_matches(is_blank);
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        if bare.len() == line.len() {
            close(open.take(), notes);
            open = Some((index + 1, Cow::Borrowed(line)));
        } else if let Some((_, before)) = &mut open {
            before.to_mut().push_str(line);
        } else {
            notes.mistake(
                index + 1,
                "continues the line before it (it begins with a blank), but there is none: remove the blank",
            );
        }
    }
    close(open, notes);
}

/// The lines of a text, without their ends.
pub(crate) fn physical(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let line = match memchr::memchr(b'\n', text.as_bytes()) {
            Some(end) => {
                rest = Some(&text[end + 1..]);
                &text[..end]
            }
            None => {
                rest = None;
                text
            }
        };
        Some(line.strip_suffix('\r').unwrap_or(line))
    })
}

pub(crate) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\x0b' | '\x0c')
}

/// The text before the first blank, and the trimmed rest.
pub(crate) fn split(line: &str) -> (&str, &str) {
    match line.find(is_blank) {
        Some(end) => (&line[..end], line[end..].trim_matches(is_blank)),
        None => (line, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_lines() {
        type Case = (&'static str, &'static str, &'static [(usize, &'static str)]);
        #[rustfmt::skip]
        let cases: [Case; 8] = [
            ("one line",                    "a b",                   &[(1, "a b")]),
            ("blanks at its end",           "a b \t\n",              &[(1, "a b")]),
            ("comments and empty lines",    "# x\n\n  # y\na b\n",   &[(4, "a b")]),
            ("a line goes on",              "a b\n  c\nd e",         &[(1, "a b  c"), (3, "d e")]),
            ("a comment in between",        "a b\n# x\n c",          &[(1, "a b c")]),
            ("an empty line in between",    "a b\n\n c",             &[(1, "a b c")]),
            ("line ends of DOS",            "a b\r\nc d\r\n",        &[(1, "a b"), (2, "c d")]),
            ("nothing",                     "",                      &[]),
        ];
        for (shows, text, want) in cases {
            let mut notes = Notes::default();
            let mut got = Vec::new();
            logical(text, &mut notes, |(number, line), _| {
                got.push((number, line.into_owned()))
            });
            let got: Vec<(usize, &str)> = got.iter().map(|(n, line)| (*n, line.as_str())).collect();
            assert_eq!(got, want, "{shows}");
            assert!(notes.mistakes.is_empty(), "{shows}");
        }
    }

    #[test]
    fn lines_that_are_mistakes() {
        let text = String::from_utf8_lossy(b" first\nk\xff v\n# \xff\nk v");
        let mut notes = Notes::default();
        let mut count = 0;
        logical(&text, &mut notes, |_, _| count += 1);
        let lines: Vec<usize> = notes.mistakes.iter().map(|mistake| mistake.line).collect();
        assert_eq!((lines, count), (vec![1, 2], 1));
    }
}
