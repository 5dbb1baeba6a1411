//! Plain lists of words: domains, addresses, users.

use crate::entries::{Entries, NotAdded};
use crate::lines::{is_blank, physical};
use crate::notes::Notes;

/// Reads the text. The value of a word is the word as written.
pub(crate) fn read(text: &str, notes: &mut Notes) -> Entries {
    let mut entries = Entries::with_room_for(text.as_bytes());
    for (index, line) in physical(text).enumerate() {
        let number = index + 1;
        let bare = without_comment(line);
        if crate::text::is_garbled(bare) {
            notes.mistake(number, "is not UTF-8: write it in UTF-8");
            continue;
        }
        for word in bare
            .split(|c| is_blank(c) || c == ',')
            .filter(|word| !word.is_empty())
        {
            match entries.insert(word, word, number) {
                // A duplicate changes nothing.
                Ok(()) | Err(NotAdded::Twice(_)) => {}
                Err(NotAdded::Full) => {
                    notes.mistake(number, "is more than a table can hold: keep it in a database");
                }
            }
        }
    }
    entries.close()
}

/// The text before a `#` that begins the line or follows a blank.
fn without_comment(line: &str) -> &str {
    let begins = |(index, _): &(usize, &str)| line[..*index].chars().next_back().is_none_or(is_blank);
    let comment = line.match_indices('#').find(begins);
    comment.map_or(line, |(index, _)| &line[..index])
}
