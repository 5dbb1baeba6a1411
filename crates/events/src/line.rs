//! An event encoded as octets: once for all that keep it, in memory or on disk.
//!
//! Only valid within one process: a key is written as its position in the dictionary, which may differ in another version.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use crate::{Event, Key, Value};

/// Longest text of a field, in octets; the rest is cut and marked with `…`.
pub(crate) const TEXT_MAX: usize = 512;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct PastEvent {
    /// When it happened, as text.
    pub at: i64,
    /// Its words.
    pub word: String,
    /// Its fields, except the session and absent ones.
    pub fields: Vec<(Key, Kept)>,
}

impl PastEvent {
    /// The text of a field.
    #[must_use]
    pub fn text(&self, wanted: Key) -> Option<&str> {
        self.fields.iter().find_map(|(key, value)| match value {
            Kept::Text(text) if *key == wanted => Some(text.as_str()),
            _ => None,
        })
    }

    /// The number of a field.
    #[must_use]
    pub fn number(&self, wanted: Key) -> Option<u64> {
        self.fields.iter().find_map(|(key, value)| match value {
            Kept::Number(number) if *key == wanted => Some(*number),
            _ => None,
        })
    }
}

/// The value of a field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kept {
    /// Anything that is shown as text.
    Text(String),
    /// A number.
    Number(u64),
    /// Yes or no.
    Flag(bool),
}

/// An encoded event, with its session kept separately.
#[derive(Debug, Default)]
pub struct Line {
    session: String,
    octets: Vec<u8>,
}

thread_local! {
    /// The buffer for encoding events, so that emitting one allocates nothing.
    static LINE: RefCell<Line> = RefCell::default();
}

impl Line {
    /// Encodes an event that happened at `at`, and passes it on.
    pub fn with(event: &Event<'_>, at: i64, show: impl FnOnce(&Self)) {
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => {
                line.write(event, at);
                show(&line);
            }
            // A value whose formatting itself emits an event.
            Err(_) => {
                let mut line = Self::default();
                line.write(event, at);
                show(&line);
            }
        });
    }

    fn write(&mut self, event: &Event<'_>, at: i64) {
        let Self { session, octets } = self;
        session.clear();
        octets.clear();
        octets.extend_from_slice(&at.to_le_bytes());
        encode_str(event.word(), octets);
        event.fields(&mut |key, value| match (key, value) {
            (Key::Session, Value::Text(id)) => session.push_str(id),
            _ => encode(key, value, octets),
        });
        octets.push(END);
    }

    /// The session that it is about; empty for none.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Everything else, for [`Lines`].
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

/// Tags in the octets of an event, which are its time, its words, its fields and an end. Texts are preceded by their length.
const END: u8 = 0;
const TEXT: u8 = 1;
const NUMBER: u8 = 2;
const FLAG: u8 = 3;

fn encode(key: Key, value: Value<'_>, line: &mut Vec<u8>) {
    let kind = match value {
        Value::Absent => return,
        Value::Number(_) => NUMBER,
        Value::Flag(_) => FLAG,
        Value::Text(_) | Value::Shown(_) | Value::Address(_) | Value::Rule(_) => TEXT,
    };
    line.push(kind);
    line.extend_from_slice(&(key as u16).to_le_bytes());
    match value {
        Value::Absent => {}
        Value::Number(number) => line.extend_from_slice(&number.to_le_bytes()),
        Value::Flag(flag) => line.push(u8::from(flag)),
        Value::Text(text) => encode_str(text, line),
        Value::Rule(rule) => encode_str(rule.name(), line),
        Value::Shown(shown) => encode_shown(shown, line),
        Value::Address(address) => encode_shown(&address, line),
    }
}

fn encode_str(text: &str, line: &mut Vec<u8>) {
    match u16::try_from(text.len()) {
        Ok(length) if text.len() <= TEXT_MAX => {
            line.extend_from_slice(&length.to_le_bytes());
            line.extend_from_slice(text.as_bytes());
        }
        _ => encode_shown(&text, line),
    }
}

fn encode_shown(shown: &dyn fmt::Display, line: &mut Vec<u8>) {
    let length_at = line.len();
    line.extend_from_slice(&[0; 2]);
    // It fails if the text is longer than is kept.
    let _ = write!(Cut { line, most: TEXT_MAX }, "{shown}");
    let length = u16::try_from(line.len() - length_at - 2).unwrap_or(0);
    line[length_at..length_at + 2].copy_from_slice(&length.to_le_bytes());
}

/// Accepts a text up to the maximum length.
struct Cut<'a> {
    line: &'a mut Vec<u8>,
    most: usize,
}

impl fmt::Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() <= self.most {
            self.most -= text.len();
            self.line.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        let end = (0..=self.most).rev().find(|at| text.is_char_boundary(*at));
        self.line.extend_from_slice(&text.as_bytes()[..end.unwrap_or(0)]);
        self.line.extend_from_slice("…".as_bytes());
        Err(fmt::Error)
    }
}

/// Encoded events, one after the other; ends at invalid data.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'l>(&'l [u8]);

/// One of them, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Written<'l> {
    /// When it happened.
    pub at: i64,
    /// Its words.
    pub word: &'l str,
    fields: &'l [u8],
}

/// The value of a field, borrowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen<'l> {
    /// Anything that is shown as text.
    Text(&'l str),
    /// A number.
    Number(u64),
    /// Yes or no.
    Flag(bool),
}

impl<'l> Lines<'l> {
    /// The events in these octets.
    #[must_use]
    pub fn of(octets: &'l [u8]) -> Self {
        Self(octets)
    }
}

impl<'l> Iterator for Lines<'l> {
    type Item = Written<'l>;

    fn next(&mut self) -> Option<Written<'l>> {
        let octets = &mut self.0;
        let at = i64::from_le_bytes(take(octets)?);
        let word = take_text(octets)?;
        let fields = *octets;
        loop {
            let [kind] = take(octets)?;
            if kind == END {
                let fields = &fields[..fields.len() - octets.len()];
                return Some(Written { at, word, fields });
            }
            let [_, _] = take(octets)?;
            let length = match kind {
                NUMBER => 8,
                FLAG => 1,
                _ => usize::from(u16::from_le_bytes(take(octets)?)),
            };
            *octets = octets.get(length..)?;
        }
    }
}

impl<'l> Written<'l> {
    /// Its fields, except the session and absent ones.
    pub fn fields(self) -> impl Iterator<Item = (Key, Seen<'l>)> {
        let mut octets = self.fields;
        std::iter::from_fn(move || {
            let [kind] = take(&mut octets)?;
            if kind == END {
                return None;
            }
            let key = *Key::ALL.get(usize::from(u16::from_le_bytes(take(&mut octets)?)))?;
            let value = match kind {
                NUMBER => Seen::Number(u64::from_le_bytes(take(&mut octets)?)),
                FLAG => Seen::Flag(take(&mut octets)? != [0]),
                _ => Seen::Text(take_text(&mut octets)?),
            };
            Some((key, value))
        })
    }
}

impl From<Seen<'_>> for Kept {
    fn from(seen: Seen<'_>) -> Self {
        match seen {
            Seen::Text(text) => Self::Text(text.to_owned()),
            Seen::Number(number) => Self::Number(number),
            Seen::Flag(flag) => Self::Flag(flag),
        }
    }
}

/// The decoded events, owned.
pub(crate) fn decode(octets: &[u8]) -> Vec<PastEvent> {
    let event = |written: Written<'_>| PastEvent {
        at: written.at,
        word: written.word.to_owned(),
        fields: written.fields().map(|(key, seen)| (key, seen.into())).collect(),
    };
    Lines::of(octets).map(event).collect()
}

pub(crate) fn take<const N: usize>(octets: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(*taken)
}

fn take_text<'l>(octets: &mut &'l [u8]) -> Option<&'l str> {
    let length = u16::from_le_bytes(take(octets)?);
    let (text, rest) = octets.split_at_checked(usize::from(length))?;
    *octets = rest;
    std::str::from_utf8(text).ok()
}
