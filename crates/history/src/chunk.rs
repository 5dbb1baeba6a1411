//! A row of a story: events one after the other, with numbers in place of names and frequent texts.
//!
//! The first row of a story begins with what it is about: 0 and a session's id, or 1, a queue id and the session's id. Texts
//! there are preceded by their length. Then the events, each with the time since the row's, the number of its words, the number
//! of fields, and each field: four times the number of its name plus the type of its value, then the value.

use postern_events::{Kept, Key, Lines, PastEvent, Seen};
use postern_mail::QueueId;

use crate::term;
use crate::varint::{folded, put, take, unfolded};

/// Types of values: a text by its number, a text, a number, or yes and no.
const KNOWN: u64 = 0;
const TEXT: u64 = 1;
const NUMBER: u64 = 2;
const FLAG: u64 = 3;

/// Longest text that may get a number, in octets.
const KNOWN_MAX: usize = 96;

/// What a story is about.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum About {
    /// A session; its id is empty for clients that got none.
    Session(Box<str>),
    /// A message, and the session in which it arrived.
    Message(QueueId, Box<str>),
}

/// Assigns numbers to frequent texts.
pub(crate) trait Numbers {
    type Error;

    /// The number of a text.
    fn text(&mut self, text: &str) -> Result<u64, Self::Error>;

    /// The number of a field's name.
    fn key(&mut self, key: Key) -> Result<u64, Self::Error>;
}

/// Resolves numbers.
pub(crate) trait Texts {
    /// The text.
    fn text(&mut self, number: u64) -> Option<String>;

    /// The field; `None` if this program does not know it.
    fn key(&mut self, number: u64) -> Option<Key>;
}

/// Writes a row, the first one of its story or a further one, and passes on the hashes of the terms by which its story is found.
/// `lines` are events as [`postern_events::Line`] writes them.
pub(crate) fn encode<N: Numbers>(
    (about, first): (&About, bool),
    at: i64,
    lines: &[u8],
    numbers: &mut N,
    body: &mut Vec<u8>,
    mut show: impl FnMut(u64),
) -> Result<(), N::Error> {
    body.clear();
    if first {
        head(about, body, &mut show);
    }
    let own = match about {
        About::Message(queue, _) => queue.to_string(),
        About::Session(_) => String::new(),
    };
    for line in Lines::of(lines) {
        put(folded(line.at - at), body);
        put(numbers.text(line.word)?, body);
        term::of_word(line.word, &mut show);
        let count_at = body.len();
        body.push(0);
        for (key, value) in line.fields() {
            if key == Key::Queue && value == Seen::Text(&own) {
                continue;
            }
            field(key, value, numbers, body, &mut show)?;
            body[count_at] += 1;
        }
    }
    Ok(())
}

fn head(about: &About, body: &mut Vec<u8>, show: &mut impl FnMut(u64)) {
    let session = match about {
        About::Session(session) => {
            body.push(0);
            session
        }
        About::Message(queue, session) => {
            body.push(1);
            body.extend_from_slice(&queue.as_i64().to_be_bytes());
            term::of_field(Key::Queue, &queue.to_string(), show);
            session
        }
    };
    put(session.len() as u64, body);
    body.extend_from_slice(session.as_bytes());
    if !session.is_empty() {
        term::of_field(Key::Session, session, show);
    }
}

fn field<N: Numbers>(
    key: Key,
    value: Seen<'_>,
    numbers: &mut N,
    body: &mut Vec<u8>,
    show: &mut impl FnMut(u64),
) -> Result<(), N::Error> {
    let name = numbers.key(key)? << 2;
    match value {
        Seen::Number(number) => {
            put(name | NUMBER, body);
            put(number, body);
        }
        Seen::Flag(flag) => {
            put(name | FLAG, body);
            body.push(u8::from(flag));
        }
        Seen::Text(text) => {
            term::of_field(key, text, show);
            if is_said_often(key) && text.len() <= KNOWN_MAX {
                put(name | KNOWN, body);
                put(numbers.text(text)?, body);
            } else {
                put(name | TEXT, body);
                put(text.len() as u64, body);
                body.extend_from_slice(text.as_bytes());
            }
        }
    }
    Ok(())
}

/// Whether the value of a field is likely to recur.
fn is_said_often(key: Key) -> bool {
    !matches!(
        key,
        Key::Queue
            | Key::MessageId
            | Key::Reply
            | Key::Report
            | Key::About
            | Key::Until
            | Key::Error
            | Key::Session
    )
}

/// What the first row of a story is about.
pub(crate) fn about(body: &mut &[u8]) -> Option<About> {
    let (kind, rest) = body.split_first()?;
    *body = rest;
    let queue = match kind {
        0 => None,
        1 => {
            let (octets, rest) = body.split_first_chunk()?;
            *body = rest;
            Some(QueueId::from_i64(i64::from_be_bytes(*octets)))
        }
        _ => return None,
    };
    let session = text(body)?.into();
    Some(match queue {
        Some(queue) => About::Message(queue, session),
        None => About::Session(session),
    })
}

fn text(body: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(take(body)?).ok()?;
    let (text, rest) = body.split_at_checked(length)?;
    *body = rest;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// The events of a row after its subject; ends at invalid data. `at` is the row's time.
pub(crate) fn events(mut body: &[u8], at: i64, texts: &mut impl Texts, into: &mut Vec<PastEvent>) {
    while !body.is_empty() {
        let Some(event) = event(&mut body, at, texts) else {
            return;
        };
        into.push(event);
    }
}

fn event(body: &mut &[u8], at: i64, texts: &mut impl Texts) -> Option<PastEvent> {
    let at = at.checked_add(unfolded(take(body)?))?;
    let missing = || "?".to_owned();
    let word = texts.text(take(body)?).unwrap_or_else(missing);
    let (count, rest) = body.split_first()?;
    *body = rest;
    let mut fields = Vec::with_capacity(usize::from(*count));
    for _ in 0..*count {
        let name = take(body)?;
        let value = match name & 3 {
            KNOWN => Kept::Text(texts.text(take(body)?).unwrap_or_else(missing)),
            TEXT => Kept::Text(text(body)?),
            NUMBER => Kept::Number(take(body)?),
            _ => Kept::Flag(take(body)? != 0),
        };
        fields.extend(texts.key(name >> 2).map(|key| (key, value)));
    }
    Some(PastEvent { at, word, fields })
}
