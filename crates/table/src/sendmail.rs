//! sendmail's tables of keys: what `makemap` compiles.

use crate::entries::Entries;
use crate::lines::{is_blank, physical, split};
use crate::notes::Notes;
use crate::postfix::add;

/// Reads the text: a key, blanks, and all the rest of the line is the value.
pub(crate) fn read(text: &str, notes: &mut Notes) -> Entries {
    let mut entries = Entries::with_room_for(text.as_bytes());
    for (index, line) in physical(text).enumerate() {
        let number = index + 1;
        if line.starts_with('#') || line.trim_matches(is_blank).is_empty() {
            continue;
        }
        if crate::text::is_garbled(line) {
            notes.mistake(number, "is not UTF-8: write it in UTF-8");
        } else if line.starts_with(is_blank) {
            notes.mistake(number, "begins with a blank, which makemap refuses: remove it");
        } else {
            match split(line) {
                (key, "") => notes.mistake(
                    number,
                    format!("{key:?} has no value: write the key, a blank and the value"),
                ),
                (key, value) => add(&mut entries, key, value, number, notes),
            }
        }
    }
    entries.close()
}
