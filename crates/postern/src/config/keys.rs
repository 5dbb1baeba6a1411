//! All keys that a configuration may have, with their tables.

use super::file::Postern;
use super::read::{self, Table as _};

/// Every key with the table that it belongs to.
pub(super) fn everywhere() -> Vec<(&'static str, String)> {
    fn collect(keys: Vec<read::KeyInfo>, header: &str, into: &mut Vec<(&'static str, String)>) {
        for key in keys {
            into.push((key.name, header.to_owned()));
            let Some(below) = key.below else { continue };
            let place = read::Place {
                table: header.to_owned(),
                key: key.name.to_owned(),
                example: String::new(),
                element: false,
            };
            let inner = place.header(below.repeated);
            for shape in below.shapes {
                let inner = match shape.chosen_by {
                    Some(word) => format!("{inner} of kind {word:?}"),
                    None => inner.clone(),
                };
                collect(shape.keys, &inner, into);
            }
        }
    }
    let mut all = Vec::new();
    collect(Postern::keys(), "", &mut all);
    all
}

/// Whether tables of this name, `listener` or `auth.mechanism`, use double brackets.
pub(super) fn may_repeat(name: &str) -> bool {
    let header = format!("[[{name}]]");
    everywhere()
        .iter()
        .any(|(_, of_table)| of_table.starts_with(&header))
}
