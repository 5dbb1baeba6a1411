//! Header fields that filters add, change and delete.

use postern_mail::fields::FieldError;
use postern_mail::{Header, NewField};
use postern_milter::Change;
use postern_milter::edit::{self, Field};

/// A header, and which of its fields are the server's own, which filters do not see.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) header: Header,
    pub(super) own: Vec<bool>,
}

/// Whether any change concerns the header.
pub(super) fn concerns_header(changes: &[Change]) -> bool {
    changes.iter().any(|change| {
        matches!(
            change,
            Change::AddField { .. }
                | Change::InsertField { .. }
                | Change::ChangeField { .. }
                | Change::DeleteField { .. }
        )
    })
}

/// Applies changes; everything else stays the same to the octet.
///
/// # Errors
///
/// A field that cannot be put into a header: then nothing is changed.
pub(super) fn edit(header: &Header, own: &[bool], changes: &[Change]) -> Result<Seen, FieldError> {
    let names = header.fields().map(|field| field.name());
    let is_own = |place: usize| own.get(place).copied().unwrap_or(false);
    let fields = edit::fields_unseen(names, is_own, changes);
    let mut text = Vec::with_capacity(header.octets());
    let mut own = Vec::with_capacity(fields.len());
    for field in fields {
        // The last field of a message without a body may lack its line end.
        if text.last().is_some_and(|last| *last != b'\n') {
            text.extend_from_slice(b"\r\n");
        }
        match field {
            Field::Kept(place) => {
                text.extend_from_slice(header.get(place).map_or(&[][..], |field| field.raw()));
                own.push(is_own(place));
            }
            Field::New { name, value } => {
                let name = std::str::from_utf8(name).map_err(|_| FieldError::Name)?;
                text.extend_from_slice(NewField::verbatim(name, value)?.raw());
                own.push(false);
            }
        }
    }
    Ok(Seen {
        header: Header::parse(text),
        own,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(name: &str, value: &str) -> Change {
        Change::AddField {
            name: name.into(),
            value: value.into(),
        }
    }

    fn insert(index: u32, name: &str) -> Change {
        Change::InsertField {
            index,
            name: name.into(),
            value: b" i".to_vec(),
        }
    }

    fn edited(text: &str, rounds: &[Vec<Change>]) -> String {
        let header = Header::parse(text.into());
        let own = (0..header.len()).map(|place| place == 0).collect();
        let mut seen = Seen { header, own };
        for changes in rounds {
            seen = edit(&seen.header, &seen.own, changes).unwrap();
        }
        String::from_utf8(seen.header.into_text()).unwrap()
    }

    #[test]
    fn edits() {
        let text = "Received: us\r\nReceived: them\r\n\tfolded\r\nA :  odd \r\nB: b\r\n";
        let delete = |name: &str| Change::DeleteField {
            index: 1,
            name: name.into(),
        };
        let change = |name: &str, value: &str| Change::ChangeField {
            index: 1,
            name: name.into(),
            value: value.into(),
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows          changes, of one filter after the other              what is sent
            ("nothing",                     vec![vec![]],                                       text.to_owned()),
            ("added, folded",               vec![vec![add("X", " a\r\n\tb")]],                  format!("{text}X: a\r\n\tb\r\n")),
            ("ours is not theirs",          vec![vec![delete("received")]],                     text.replace("Received: them\r\n\tfolded\r\n", "")),
            ("spelling stays",              vec![vec![change("b", " new")]],                    text.replace("B: b", "B: new")),
            ("on top",                      vec![vec![insert(0, "X")]],                         format!("X: i\r\n{text}")),
            ("below ours",                  vec![vec![insert(1, "X")]],                         text.replace("Received: them", "X: i\r\nReceived: them")),
            ("the next one sees it",        vec![vec![insert(0, "X")], vec![delete("X")]],      text.to_owned()),
            ("and does not see ours",       vec![vec![insert(0, "X")], vec![delete("Received")]], format!("X: i\r\n{}", text.replace("Received: them\r\n\tfolded\r\n", ""))),
        ];
        for (shows, rounds, expected) in cases {
            assert_eq!(edited(text, &rounds), expected, "{shows}");
        }
        assert_eq!(edited("A: b", &[vec![add("X", " y")]]), "A: b\r\nX: y\r\n");
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let header = Header::parse(b"A: b\r\n".to_vec());
        for value in ["a\0b".to_owned(), "x".repeat(2_000)] {
            assert!(edit(&header, &[], &[add("X", &value)]).is_err());
        }
    }
}
