//! What the fuzz target calls: arbitrary text as any kind of table, with arbitrary keys.

use crate::{Address, Expansion, Format, Of, Plan, Reference, Subject, fill, parse, read_parameters};

/// Reads a text in every format, and looks its own lines up in the result. Nothing may panic, and whatever is found must occur
/// in a line of the text.
pub fn table(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let lines = text.lines().count();
    let formats = [
        Format::Postfix,
        Format::Sendmail,
        Format::List,
        Format::Cidr,
        Format::Pcre,
        Format::Regexp,
    ];
    for format in formats {
        let Ok(parsed) = parse(input, format) else {
            continue;
        };
        for line in text.lines().take(20) {
            if let Some(found) = parsed.table.get(line) {
                assert!(found.line <= lines.max(1));
            }
        }
    }
    let _ = read_parameters(&text);
    for line in text.lines().take(20) {
        let subject = Address::of(line, "+-").map_or(Subject::Name(line), Subject::Address);
        for plan in Plan::ALL {
            for key in plan.keys(&subject) {
                let _ = fill(line, &key);
            }
        }
        if let Ok(reference) = Reference::parse(line) {
            assert!(Reference::is_meant(line));
            let _ = (reference.to_string(), reference.table());
        }
        if let Ok(expansion) = Expansion::parse(line, Of::Answer) {
            let _ = expansion.fill(line, line, &|part| part.to_owned());
        }
    }
}
