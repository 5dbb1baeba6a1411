//! The report of an import, for people and for programs.

use std::fmt::Write;
use std::path::Path;

use postern_migrate::import::Import;
use postern_migrate::report::{Fate, Item, Weight};
use serde::Serialize;

use super::files::{CONFIGURATION, REPORT};
use crate::visible;

/// The report.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    /// Not carried over, the gravest first.
    missing: Vec<Line<'a>>,
    /// Carried over, with a difference, the gravest first.
    changed: Vec<Line<'a>>,
    /// Without meaning here.
    meaningless: Vec<Line<'a>>,
    /// Carried over.
    carried: Vec<Line<'a>>,
}

/// What became of one thing.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    first_line: u32,
    last_line: u32,
    what: &'a str,
    /// `security`, `mail`, `habit` or `detail`, for what is not carried over, or with a difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<&'static str>,
    /// The key, section or file that has it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    /// The difference, the reason or the remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

impl<'a> Shown<'a> {
    pub(super) fn of(import: &'a Import) -> Self {
        let mut shown = Self {
            missing: import.report.missing().into_iter().map(Line::of).collect(),
            changed: import.report.changed().into_iter().map(Line::of).collect(),
            meaningless: Vec::new(),
            carried: Vec::new(),
        };
        for item in import.report.items() {
            match &item.fate {
                Fate::Missing { .. } | Fate::Changed { .. } => {}
                Fate::Meaningless { .. } => shown.meaningless.push(Line::of(item)),
                Fate::Carried { .. } => shown.carried.push(Line::of(item)),
            }
        }
        shown
    }

    /// The whole report.
    pub(super) fn text(&self) -> String {
        let mut text = self.weighty();
        part(&mut text, "Without meaning here", &self.meaningless);
        part(&mut text, "Carried over", &self.carried);
        text
    }

    /// What has to be read now.
    pub(super) fn summary(&self, folder: &Path) -> String {
        let mut text = self.weighty();
        let _ = writeln!(
            text,
            "{} carried over, {} without meaning here: see {}.\nNext: postern check --config {}",
            self.carried.len(),
            self.meaningless.len(),
            folder.join(REPORT).display(),
            folder.join(CONFIGURATION).display(),
        );
        text
    }

    fn weighty(&self) -> String {
        let mut text = String::new();
        part(&mut text, "Not carried over", &self.missing);
        part(&mut text, "Carried over, with a difference", &self.changed);
        text
    }
}

impl<'a> Line<'a> {
    fn of(item: &'a Item) -> Self {
        let weight = item.weight().map(word);
        let (to, note) = match &item.fate {
            Fate::Carried { to } => (Some(to.as_str()), None),
            Fate::Changed { to, difference } => (Some(to.as_str()), Some(difference.as_str())),
            Fate::Meaningless { why } => (None, Some(why.as_str())),
            Fate::Missing { remedy, .. } => (None, Some(remedy.as_str())),
        };
        Self {
            file: &item.at.file,
            first_line: item.at.first,
            last_line: item.at.last,
            what: &item.what,
            weight,
            to,
            note,
        }
    }
}

fn word(weight: Weight) -> &'static str {
    match weight {
        Weight::Security => "security",
        Weight::Mail => "mail",
        Weight::Habit => "habit",
        Weight::Detail => "detail",
    }
}

/// Columns of the report.
const COLUMNS: usize = 80;

fn part(text: &mut String, title: &str, lines: &[Line<'_>]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "{title} ({})\n", lines.len());
    for line in lines {
        let weight = line
            .weight
            .map(|weight| format!("{weight}: "))
            .unwrap_or_default();
        let place = format!("  {}:{}  ", line.file, line.first_line);
        wrap(
            text,
            &visible::line(&place),
            &format!("{weight}{}", line.what),
            "    ",
        );
        let said = [
            line.to.map(|to| format!("now {to}")),
            line.note.map(str::to_owned),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        wrap(text, NOTE, &said.join(": "), NOTE);
    }
    text.push('\n');
}

/// What stands before a note.
const NOTE: &str = "      ";

/// Writes words in lines that fit, one blank between two: the first line begins with `first`, the others with `indent`. Without
/// words it writes nothing.
fn wrap(text: &mut String, first: &str, words: &str, indent: &str) {
    let mut words = words.split_whitespace().map(visible::line);
    let Some(word) = words.next() else { return };
    text.push_str(first);
    text.push_str(&word);
    let mut column = first.chars().count() + word.chars().count();
    for word in words {
        let length = word.chars().count();
        if column + 1 + length > COLUMNS {
            text.push('\n');
            text.push_str(indent);
            column = indent.len();
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(&word);
        column += length;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_goes_on_indented() {
        let long = format!("mail: {}", "dnl\tR$*  < @ $+ >\n".repeat(8));
        let mut text = String::new();
        wrap(&mut text, "  sendmail.mc:7  ", &long, "    ");
        wrap(&mut text, NOTE, " ", NOTE);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(
            lines[0].starts_with("  sendmail.mc:7  mail: dnl R$* < @ $+ > dnl"),
            "{text}"
        );
        assert!(lines.iter().all(|line| line.len() <= COLUMNS), "{text}");
        assert!(
            lines[1..]
                .iter()
                .all(|line| line.starts_with("    ") && line.as_bytes()[4] != b' '),
            "{text}"
        );
    }
}
