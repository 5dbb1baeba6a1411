//! Postfix's tables of keys: what `postmap` compiles.

use crate::entries::{Entries, NotAdded};
use crate::lines::{is_blank, logical};
use crate::notes::Notes;

/// Reads the text. Keys with blanks may be quoted, and keep their quotes, as with Postfix.
pub(crate) fn read(text: &str, notes: &mut Notes) -> Entries {
    let mut entries = Entries::with_room_for(text.as_bytes());
    logical(text, notes, |(number, line), notes| {
        let Some(end) = key_len(&line) else {
            notes.mistake(
                number,
                "has a `\"` without a second one: close it, or write `\\\"`",
            );
            return;
        };
        let (key, value) = (&line[..end], line[end..].trim_start_matches(is_blank));
        if value.is_empty() {
            notes.mistake(
                number,
                format!("{key:?} has no value: write the key, a blank and the value"),
            );
            return;
        }
        add(&mut entries, key, value, number, notes);
        if key.ends_with(':') && key.len() > 1 {
            notes.warning(
                number,
                format!("{key:?} ends with a colon, as in an aliases file; keys of this form have none"),
            );
        }
    });
    entries.close()
}

/// Adds an entry; a duplicate has no effect.
pub(crate) fn add(entries: &mut Entries, key: &str, value: &str, line: usize, notes: &mut Notes) {
    match entries.insert(key, value, line) {
        Ok(()) => {}
        Err(NotAdded::Twice(first)) => notes.warning(
            line,
            format!("{key:?} is there already, at line {first}, which counts"),
        ),
        Err(NotAdded::Full) => notes.mistake(line, "is more than a table can hold: keep it in a database"),
    }
}

/// Where the key ends: at the first blank outside quotes. `None` for unterminated quotes.
fn key_len(line: &str) -> Option<usize> {
    let mut quoted = false;
    let mut chars = line.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '"' => quoted = !quoted,
            c if is_blank(c) && !quoted => return Some(index),
            _ => {}
        }
    }
    (!quoted).then_some(line.len())
}
