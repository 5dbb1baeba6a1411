//! Edits the body of a message while it streams through: the header fields of its parts and of messages within it, and all other
//! lines.
//!
//! What is not edited stays the same to the octet. Memory is bounded by 256 KiB of one header, 4 KiB of one line and the depth of
//! nesting that [`crate::sevenbit`] allows.

use memchr::memchr;

use crate::Header;
use crate::sevenbit::scan::{Part, Reader, Scan};

/// Most octets of a part's header that are examined; a longer one passes unchanged.
const HEADER_HELD: usize = 256 << 10;

/// Most octets of a line that are examined as one. A longer line is examined in pieces.
const LINE_HELD: usize = 4 << 10;

/// Most octets of each part's content that are examined, as in Postfix (`body_checks_size_limit`). The rest passes unchanged.
const CONTENT_LOOKED_AT: usize = 50 << 10;

/// What an editor is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Piece<'a> {
    /// A field in the header of a part, with its folds and its last line end.
    Field {
        /// Whether it belongs to a message within the message.
        nested: bool,
        /// All its octets.
        raw: &'a [u8],
    },
    /// A line without its end.
    Line(&'a [u8]),
}

/// What to do with a piece.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Edit {
    /// Keep it.
    #[default]
    Keep,
    /// Remove it, with its line end.
    Remove,
    /// Replace it: a field with its last line end, a line without it.
    Replace(Vec<u8>),
    /// Insert this before it, likewise.
    Before(Vec<u8>),
}

/// Decides about each piece in turn.
pub trait Editor {
    /// What to do with a piece.
    fn edit(&mut self, piece: Piece<'_>) -> Edit;
}

/// Edits one body.
#[derive(Debug)]
pub struct ContentEditor {
    scan: Scan,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the message's own header is being read, which is already known.
    own: bool,
    header: Vec<u8>,
    /// Whether the current header is too long to be examined.
    overlong: bool,
    line: Vec<u8>,
    /// Octets of the current part's content so far.
    seen: usize,
    edited: bool,
}

struct Telling<'a, E> {
    state: &'a mut State,
    editor: &'a mut E,
    out: &'a mut Vec<u8>,
}

impl ContentEditor {
    /// For the body of a message with this header, given without the empty line after it.
    #[must_use]
    pub fn new(header: &[u8]) -> Self {
        struct Nobody;
        impl Editor for Nobody {
            fn edit(&mut self, _: Piece<'_>) -> Edit {
                Edit::Keep
            }
        }
        let mut made = Self {
            scan: Scan::new(),
            state: State {
                own: true,
                ..State::default()
            },
        };
        let mut nothing = Vec::new();
        // Nothing else in it matters, and a line that is not a field would end it early.
        for field in Header::parse(header.to_vec()).fields() {
            if field.is_named("Content-Type") || field.is_named("Content-Transfer-Encoding") {
                made.feed(field.raw(), &mut Nobody, &mut nothing);
                if field.raw().last() != Some(&b'\n') {
                    made.feed(b"\r\n", &mut Nobody, &mut nothing);
                }
            }
        }
        made.feed(b"\r\n", &mut Nobody, &mut nothing);
        made.state = State::default();
        made
    }

    /// Takes the next octets of the body, and writes the result.
    pub fn feed<E: Editor>(&mut self, octets: &[u8], editor: &mut E, out: &mut Vec<u8>) {
        let Self { scan, state } = self;
        scan.feed(octets, &mut Telling { state, editor, out });
    }

    /// Says that the body ends here, and writes the rest.
    pub fn finish<E: Editor>(&mut self, editor: &mut E, out: &mut Vec<u8>) {
        let Self { scan, state } = self;
        let mut telling = Telling { state, editor, out };
        scan.finish(&mut telling);
        telling.end_line(b"");
    }

    /// Whether anything was edited.
    #[must_use]
    pub const fn is_edited(&self) -> bool {
        self.state.edited
    }
}

impl<E: Editor> Telling<'_, E> {
    fn put(&mut self, octets: &[u8]) {
        if !self.state.own {
            self.out.extend_from_slice(octets);
        }
    }

    /// A part of a line.
    fn add(&mut self, text: &[u8]) {
        self.state.seen += text.len();
        self.state.line.extend_from_slice(text);
        if self.state.line.len() > LINE_HELD {
            self.end_line(b"");
        }
    }

    /// The current line has ended, with this line end.
    fn end_line(&mut self, end: &[u8]) {
        let line = std::mem::take(&mut self.state.line);
        if line.is_empty() && end.is_empty() {
            return;
        }
        let looked_at = !self.state.own && self.state.seen <= CONTENT_LOOKED_AT;
        let edit = match looked_at {
            true => self.editor.edit(Piece::Line(&line)),
            false => Edit::Keep,
        };
        self.state.edited |= edit != Edit::Keep;
        match edit {
            Edit::Keep => {
                self.put(&line);
                self.put(end);
            }
            Edit::Remove => {}
            Edit::Replace(text) => {
                self.put(&text);
                self.put(end);
            }
            Edit::Before(text) => {
                self.put(&text);
                self.put(b"\r\n");
                self.put(&line);
                self.put(end);
            }
        }
        self.state.line = line;
        self.state.line.clear();
    }
}

impl<E: Editor> Reader for Telling<'_, E> {
    fn field(&mut self, _: usize, text: &[u8], _: bool) {
        if self.state.own {
            return;
        }
        if self.state.overlong {
            return self.put(text);
        }
        self.state.header.extend_from_slice(text);
        if self.state.header.len() > HEADER_HELD {
            let header = std::mem::take(&mut self.state.header);
            self.put(&header);
            self.state.overlong = true;
        }
    }

    fn header_end(&mut self, part: &Part, end: &[u8]) {
        self.state.seen = 0;
        self.state.overlong = false;
        if self.state.own {
            self.state.own = part.number != 0;
            return;
        }
        let header = Header::parse(std::mem::take(&mut self.state.header));
        for field in header.fields() {
            let edit = self.editor.edit(Piece::Field {
                nested: part.message,
                raw: field.raw(),
            });
            self.state.edited |= edit != Edit::Keep;
            match edit {
                Edit::Keep => self.put(field.raw()),
                Edit::Remove => {}
                Edit::Replace(text) => self.put(&text),
                Edit::Before(text) => {
                    self.put(&text);
                    self.put(field.raw());
                }
            }
        }
        self.put(end);
    }

    fn text(&mut self, text: &[u8]) {
        self.add(text);
    }

    fn line_end(&mut self, end: &[u8]) {
        self.end_line(end);
    }

    fn content_end(&mut self) {}

    fn between(&mut self, mut text: &[u8], _: bool) {
        while let Some(at) = memchr(b'\n', text) {
            let (line, behind) = text.split_at(at + 1);
            text = behind;
            let (line, end): (&[u8], &[u8]) = match line {
                [line @ .., b'\r', b'\n'] => (line, b"\r\n"),
                [line @ .., b'\n'] => (line, b"\n"),
                line => (line, b""),
            };
            self.state.seen += line.len();
            self.state.line.extend_from_slice(line);
            self.end_line(end);
        }
        self.add(text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Removes `gone`, replaces `old`, inserts something before `late`; records everything it sees.
    #[derive(Default)]
    struct Words(Vec<String>);

    impl Editor for Words {
        fn edit(&mut self, piece: Piece<'_>) -> Edit {
            let (mark, octets, end) = match piece {
                Piece::Field { nested: false, raw } => ("field", raw, "\r\n"),
                Piece::Field { nested: true, raw } => ("nested", raw, "\r\n"),
                Piece::Line(line) => ("line", line, ""),
            };
            let text = String::from_utf8_lossy(octets).into_owned();
            self.0.push(format!("{mark} {}", text.trim_end()));
            if text.contains("gone") {
                Edit::Remove
            } else if text.contains("old") {
                Edit::Replace(format!("X: new{end}").into_bytes())
            } else if text.contains("late") {
                Edit::Before(format!("X: early{end}").into_bytes())
            } else {
                Edit::Keep
            }
        }
    }

    fn edited(header: &str, body: &str, cut: usize) -> (String, Vec<String>, bool) {
        let mut editor = ContentEditor::new(header.as_bytes());
        let (mut words, mut out) = (Words::default(), Vec::new());
        let (first, second) = body.as_bytes().split_at(cut.min(body.len()));
        editor.feed(first, &mut words, &mut out);
        editor.feed(second, &mut words, &mut out);
        editor.finish(&mut words, &mut out);
        (
            String::from_utf8_lossy(&out).into_owned(),
            words.0,
            editor.is_edited(),
        )
    }

    const MIXED: &str = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n";

    #[test]
    fn lines_and_fields() {
        let body = "pre\r\n--b\r\nContent-Type: text/plain;\r\n\tname=gone\r\nA: late\r\n\r\none\r\ngone\r\nold line\r\n--b\r\n\
             Content-Type: message/rfc822\r\n\r\nSubject: old\r\nTo: x\r\n\r\ninner late\r\n--b--\r\nend";
        for cut in 0..body.len() {
            let (out, seen, changed) = edited(MIXED, body, cut);
            assert_eq!(
                out,
                "pre\r\n--b\r\nX: early\r\nA: late\r\n\r\none\r\nX: new\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nX: new\r\nTo: \
                 x\r\n\r\nX: early\r\ninner late\r\n--b--\r\nend",
                "cut at {cut}"
            );
            assert!(changed);
            assert!(
                seen.contains(&"nested Subject: old".to_owned()) && seen.contains(&"line end".to_owned())
            );
            assert!(
                seen.contains(&"field Content-Type: text/plain;\r\n\tname=gone".to_owned()),
                "{seen:?}"
            );
        }
    }

    #[test]
    fn a_body_without_parts() {
        let (out, seen, changed) = edited("Subject: old\r\n", "Subject: late\r\n\r\ngone\r\nrest", 3);
        assert_eq!(out, "X: early\r\nSubject: late\r\n\r\nrest");
        assert_eq!(seen[0], "line Subject: late", "it is no field in a body of text");
        assert!(changed);
    }

    #[test]
    fn odd_headers_take_nothing_of_the_body() {
        for header in [
            "no field\r\n",
            "A: b",
            "A: b\r\nContent-Type: text/plain",
            "\r\n",
            "Content-Type: multipart/mixed; boundary=b",
        ] {
            for body in ["\r\nx", "--b\r\nA: b\r\n\r\nx\r\n--b--", ""] {
                assert_eq!(edited(header, body, 1).0, body, "{header:?}");
            }
        }
    }

    #[test]
    fn far_within_nothing_is_looked_at() {
        let body = format!("{}gone\r\n", "a line of text\r\n".repeat(CONTENT_LOOKED_AT / 14));
        let (out, _, changed) = edited("", &body, 100);
        assert_eq!(out, body);
        assert!(!changed);
    }

    proptest! {
        /// What is not edited comes out the same to the octet, however it is cut.
        #[test]
        fn what_is_kept_stays(
            lines in proptest::collection::vec("(--b(--)?|Content-Type: (text/plain|message/rfc822|multipart/mixed; boundary=c)|--c|[a-c: ]{0,9}|)(\r\n|\n|\r|)", 0..20),
            cut in 0_usize..200,
        ) {
            let body = lines.concat();
            let (out, _, changed) = edited(MIXED, &body, cut);
            prop_assert_eq!(out, body);
            prop_assert!(!changed);
        }
    }
}
