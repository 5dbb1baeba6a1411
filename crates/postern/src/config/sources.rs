//! The concatenated texts of a configuration, so that one span identifies a position in any of its files.

use std::path::{Path, PathBuf};

use super::span::Span;

/// The main file and those that it includes, in reading order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// All texts, each followed by a line feed.
    text: String,
    files: Vec<File>,
}

#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
    /// Where its text is in the whole.
    span: Span,
}

/// A position in one of the files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Located<'s> {
    pub(crate) path: &'s Path,
    /// The text of this file.
    pub(crate) text: &'s str,
    /// The position in this text, on character boundaries.
    pub(crate) span: Span,
    /// The line and the column where it starts, both from 1; columns count characters.
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Sources {
    /// A configuration with one file.
    pub(crate) fn of(path: &Path, text: &str) -> Self {
        let mut sources = Self::default();
        sources.add(path, text);
        sources
    }

    /// Adds the text of one more file.
    pub(super) fn add(&mut self, path: &Path, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.files.push(File {
            path: path.to_owned(),
            span: start..self.text.len(),
        });
        self.text.push('\n');
    }

    /// The main file.
    pub(crate) fn main(&self) -> &Path {
        self.files
            .first()
            .map_or_else(|| Path::new(""), |file| &file.path)
    }

    /// All texts, concatenated.
    pub(super) fn whole(&self) -> &str {
        &self.text
    }

    /// How many files there are.
    pub(super) fn count(&self) -> usize {
        self.files.len()
    }

    /// Each file with its text, and where that starts in the whole.
    pub(super) fn each(&self) -> impl Iterator<Item = (&Path, &str, usize)> {
        let text = |file: &File| &self.text[file.span.clone()];
        self.files
            .iter()
            .map(move |file| (file.path.as_path(), text(file), file.span.start))
    }

    /// The paths of all files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// The file that contains a span, and where.
    pub(crate) fn locate(&self, span: &Span) -> Located<'_> {
        let file = self.files.iter().rev().find(|file| file.span.start <= span.start);
        let (path, text, start) = match file {
            Some(file) => (
                file.path.as_path(),
                &self.text[file.span.clone()],
                file.span.start,
            ),
            None => (Path::new(""), "", 0),
        };
        let span = clamp(&(span.start - start..span.end.saturating_sub(start)), text);
        let before = &text[..span.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Located {
            path,
            text,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span,
        }
    }
}

/// The span, clamped to the text and to character boundaries.
fn clamp(span: &Span, text: &str) -> Span {
    let down = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = down(span.start);
    start..down(span.end).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_names_file_line_and_column() {
        let mut sources = Sources::of(Path::new("main"), "a = 1\nb = 2");
        sources.add(Path::new("part"), "ä = 3\nc = 4\n");
        #[rustfmt::skip]
        let cases = [
            // what the case shows             span     file    line  column  text there
            ("the first octet",                0..1,    "main", 1,    1,      "a"),
            ("the last line of a file",        6..11,   "main", 2,    1,      "b = 2"),
            ("the end of a file",              11..11,  "main", 2,    6,      ""),
            ("the first octet of the next",    12..14,  "part", 1,    1,      "ä"),
            ("columns count characters",       15..16,  "part", 1,    3,      "="),
            ("inside of a character",          13..14,  "part", 1,    1,      "ä"),
            ("behind everything",              90..95,  "part", 3,    1,      ""),
        ];
        for (shows, span, path, line, column, there) in cases {
            let found = sources.locate(&span);
            assert_eq!(found.path, Path::new(path), "{shows}");
            assert_eq!((found.line, found.column), (line, column), "{shows}");
            assert_eq!(&found.text[found.span.clone()], there, "{shows}");
        }
    }
}
