//! What m4 reads from: files, and text that was put back in front of them.

use std::sync::Arc;

use crate::Origin;

/// The stack of inputs, the top one first.
#[derive(Debug, Default)]
pub(super) struct Input {
    sources: Vec<Source>,
    /// Which of them are files.
    files: Vec<usize>,
    /// The last line read, for when everything has been read.
    last: Option<Origin>,
    /// Octets read so far.
    read: usize,
}

#[derive(Debug)]
struct Source {
    text: Vec<u8>,
    next: usize,
    /// The file and the line of the next octet; text put back has none and belongs to the input below it.
    place: Option<(Arc<str>, u32)>,
}

impl Input {
    /// Reads a file next.
    pub(super) fn file(&mut self, name: &str, text: &str) {
        self.files.push(self.sources.len());
        self.sources.push(Source {
            text: text.as_bytes().to_vec(),
            next: 0,
            place: Some((Arc::from(name), 1)),
        });
    }

    /// Reads this next.
    pub(super) fn put_back(&mut self, text: &str) {
        if !text.is_empty() {
            self.sources.push(Source {
                text: text.as_bytes().to_vec(),
                next: 0,
                place: None,
            });
        }
    }

    /// The next octet, without consuming it.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            let source = self.sources.last()?;
            match source.text.get(source.next) {
                Some(octet) => return Some(*octet),
                None => self.leave(),
            }
        }
    }

    /// The next octet.
    pub(super) fn take(&mut self) -> Option<u8> {
        let octet = self.peek()?;
        self.read += 1;
        self.last = self.place();
        if let Some(source) = self.sources.last_mut() {
            source.next += 1;
            if let (b'\n', Some((_, line))) = (octet, &mut source.place) {
                *line += 1;
            }
        }
        Some(octet)
    }

    /// Consumes `text` if it comes next.
    pub(super) fn take_exactly(&mut self, text: &str) -> bool {
        let Some(first) = text.as_bytes().first() else {
            return false;
        };
        if self.peek() != Some(*first) {
            return false;
        }
        let Some(source) = self.sources.last() else {
            return false;
        };
        let comes = source.text[source.next..].starts_with(text.as_bytes());
        if comes {
            for _ in 0..text.len() {
                self.take();
            }
        }
        comes
    }

    /// The line of the next octet, or the last line read.
    pub(super) fn place(&self) -> Option<Origin> {
        let file = self.files.last().and_then(|index| self.sources.get(*index));
        file.and_then(|source| source.place.as_ref())
            .map(|(file, line)| Origin::line(file, *line))
            .or_else(|| self.last.clone())
    }

    /// The line of the last octet taken.
    pub(super) fn last(&self) -> Option<&Origin> {
        self.last.as_ref()
    }

    /// Octets read so far.
    pub(super) fn read(&self) -> usize {
        self.read
    }

    /// Files that are open.
    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    /// Stops reading.
    pub(super) fn end(&mut self) {
        self.sources.clear();
        self.files.clear();
    }

    fn leave(&mut self) {
        if let Some(Source {
            place: Some((file, line)),
            ..
        }) = self.sources.pop()
        {
            self.files.pop();
            self.last = Some(Origin::line(&file, line));
        }
    }
}
