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
    /// Not carried over, the most serious first.
    missing: Vec<Line<'a>>,
    /// Carried over with a difference, the most serious first.
    changed: Vec<Line<'a>>,
    /// Without meaning here.
    meaningless: Vec<Line<'a>>,
    /// Carried over.
    carried: Vec<Line<'a>>,
}

/// The outcome for one item.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    first_line: u32,
    last_line: u32,
    what: &'a str,
    /// `security`, `mail`, `habit` or `detail`, for items not carried over, or with a difference.
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
        gathered(&mut text, "Without meaning here", &self.meaningless);
        gathered(&mut text, "Carried over", &self.carried);
        text
    }

    /// What must be read now.
    pub(super) fn summary(&self, folder: &Path) -> String {
        let mut text = self.weighty();
        let all = format!(
            "{} carried over, {} without meaning here: see {}.",
            self.carried.len(),
            self.meaningless.len(),
            folder.join(REPORT).display()
        );
        wrap(&mut text, "", &all, "");
        let next = format!(
            "Next: postern check --config {}",
            folder.join(CONFIGURATION).display()
        );
        text.push_str(&visible::line(&next));
        text.push('\n');
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

/// Items that must be read: a line for each, and the note once for all to which it applies.
fn part(text: &mut String, title: &str, lines: &[Line<'_>]) {
    for group in begin(text, title, lines, |line| (line.weight, line.to, line.note)) {
        for line in &group {
            let weight = line.weight.map(|weight| format!("{weight}: "));
            let what = format!("{}{}", weight.unwrap_or_default(), line.what);
            let place = format!("  {}:{}  ", line.file, line.first_line);
            wrap(text, &visible::line(&place), &what, "    ");
        }
        write_note(text, &group);
    }
    end(text, lines);
}

/// Items that need no action: one entry for all lines of a file with the same note.
fn gathered(text: &mut String, title: &str, lines: &[Line<'_>]) {
    for group in begin(text, title, lines, |line| (line.file, line.to, line.note)) {
        let says_something = |line: &&&Line<'_>| line.what.contains(char::is_alphanumeric);
        let mut words: Vec<&str> = Vec::new();
        for line in group.iter().filter(says_something) {
            if !words.contains(&line.what) {
                words.push(line.what);
            }
        }
        let place = format!("  {}:{}  ", group[0].file, numbers(&group));
        let words = if words.is_empty() {
            "-".to_owned()
        } else {
            words.join("; ")
        };
        wrap(text, &visible::line(&place), &words, "    ");
        write_note(text, &group);
    }
    end(text, lines);
}

/// Writes the title, and groups lines with the same key, ordered by the first of each.
fn begin<'l, 'a, K: PartialEq>(
    text: &mut String,
    title: &str,
    lines: &'l [Line<'a>],
    key: impl Fn(&'l Line<'a>) -> K,
) -> Vec<Vec<&'l Line<'a>>> {
    if !lines.is_empty() {
        let _ = writeln!(text, "{title} ({})\n", lines.len());
    }
    let mut groups: Vec<(K, Vec<&Line<'_>>)> = Vec::new();
    for line in lines {
        let own = key(line);
        match groups.iter_mut().find(|(known, _)| *known == own) {
            Some((_, group)) => group.push(line),
            None => groups.push((own, vec![line])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn end(text: &mut String, lines: &[Line<'_>]) {
    if !lines.is_empty() {
        text.push('\n');
    }
}

/// Writes the note of a group.
fn write_note(text: &mut String, group: &[&Line<'_>]) {
    let Some(line) = group.first() else { return };
    let to = line.to.map(|to| format!("now {to}"));
    let said: Vec<String> = [to, line.note.map(str::to_owned)].into_iter().flatten().collect();
    wrap(text, NOTE, &said.join(": "), NOTE);
}

/// The numbers of lines: `2-5,12`.
fn numbers(lines: &[&Line<'_>]) -> String {
    let mut ranges: Vec<(u32, u32)> = lines
        .iter()
        .map(|line| (line.first_line, line.last_line))
        .collect();
    ranges.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    let shown: Vec<String> = joined
        .into_iter()
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    shown.join(",")
}

/// The prefix of a note.
const NOTE: &str = "      ";

/// Writes words in lines that fit, separated by one blank: the first line begins with `first`, the others with `indent`.
/// Without words it writes nothing.
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

    #[test]
    fn what_is_said_of_several_lines_is_said_once() {
        let line = |first_line, what, note| Line {
            file: "/etc/d.conf",
            first_line,
            last_line: first_line,
            what,
            weight: None,
            to: None,
            note: Some(note),
        };
        let lines = [
            line(2, "ssl", "Dovecot's"),
            line(3, "userdb {", "Dovecot's"),
            line(9, "biff", "not needed"),
            line(4, "}", "Dovecot's"),
            line(7, "ssl", "Dovecot's"),
        ];
        let mut text = String::new();
        gathered(&mut text, "Nothing", &lines);
        let expected = "Nothing (5)\n\n  /etc/d.conf:2-4,7  ssl; userdb {\n      Dovecot's\n  /etc/d.conf:9  biff\n      not needed\n\n";
        assert_eq!(text, expected);
        let mut text = String::new();
        part(&mut text, "Nothing", &lines[..2]);
        let expected = "Nothing (2)\n\n  /etc/d.conf:2  ssl\n  /etc/d.conf:3  userdb {\n      Dovecot's\n\n";
        assert_eq!(text, expected);
        text.clear();
        part(&mut text, "Nothing", &[]);
        assert_eq!(text, "");
    }
}
