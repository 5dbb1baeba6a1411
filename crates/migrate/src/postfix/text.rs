//! Lines and lists in Postfix's files (postconf(5), master(5)).

use std::sync::Arc;

use crate::{Located, Origin};

/// A line with its continuation lines.
pub type LogicalLine = Located<String>;

/// The logical lines of a file: blank lines and those that begin with `#` are ignored, even between a line and its
/// continuation; a line that begins with white space continues the previous one.
#[must_use]
pub fn logical_lines(file: &str, text: &str) -> Vec<LogicalLine> {
    let file: Arc<str> = Arc::from(file);
    let mut lines: Vec<LogicalLine> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let said = line.trim();
        if said.is_empty() || said.starts_with('#') {
            continue;
        }
        let goes_on = line.starts_with([' ', '\t']);
        match lines.last_mut() {
            Some(before) if goes_on => {
                before.what.push(' ');
                before.what.push_str(said);
                before.at.last = number;
            }
            _ => lines.push(Located {
                at: Origin::line(&file, number),
                what: said.to_owned(),
            }),
        }
    }
    lines
}

/// The members of a list: separated by commas and white space, except within braces; the outer braces are removed.
#[must_use]
pub fn words(list: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    let mut depth = 0_usize;
    for letter in list.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && (letter.is_whitespace() || letter == ',') {
            push(&mut found, &mut word);
        } else {
            word.push(letter);
        }
    }
    push(&mut found, &mut word);
    found
}

fn push(found: &mut Vec<String>, word: &mut String) {
    if word.is_empty() {
        return;
    }
    let whole = std::mem::take(word);
    let inner = whole.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    found.push(inner.map_or_else(|| whole.clone(), |inner| inner.trim().to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_on_past_comments() {
        let text = "# head\na = 1\n\n b\n# between\n\tc\nd = 2\n  # not a continuation\n";
        let lines: Vec<String> = logical_lines("f", text)
            .iter()
            .map(|line| format!("{} {}", line.at, line.what))
            .collect();
        assert_eq!(lines, ["f:2-6 a = 1 b c", "f:7 d = 2"]);
    }

    #[test]
    fn lists_are_parted_outside_of_braces() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            (" a, b\tc,,d ", &["a", "b", "c", "d"]),
            (
                "check inline:{ {a = OK}, {b = REJECT} }, x",
                &["check", "inline:{ {a = OK}, {b = REJECT} }", "x"],
            ),
            ("{ a = b }", &["a = b"]),
            ("a{b c", &["a{b c"]),
        ];
        for (list, expected) in table {
            assert_eq!(&words(list), expected, "{list}");
        }
    }
}
