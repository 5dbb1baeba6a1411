//! Look-up tables: the files for `hash:/etc/postfix/virtual` and the like are copied next to the new configuration, which refers
//! to the copies. Files that configure database access contain passwords, and are copied as secrets.

use std::collections::BTreeMap;

use postern_table::{Format, parse};

use super::super::text::{logical_lines, words};
use super::Site;
use crate::report::Weight;
use crate::{Located, Origin};

/// The folder of copied tables.
pub(super) const TABLES: &str = "tables";

/// The folder of copied files with passwords.
const SECRETS: &str = "secrets";

/// A table as Postfix names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Reference {
    /// `hash`, `pcre`, `mysql` and so on.
    pub(super) kind: String,
    /// The path, or whatever else follows the colon.
    pub(super) rest: String,
}

/// What follows the colon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Behind {
    /// A text of keys and values.
    Keys,
    /// A text of networks or patterns, in order.
    Patterns,
    /// A file that configures database access.
    Database,
    /// The table itself.
    Itself,
    /// Other tables.
    Others,
    /// A service on a socket.
    Service,
    /// Something that Postern does not support.
    Unknown,
}

/// A line of a table.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: Origin,
    /// The key.
    pub(super) key: String,
    /// The rest of the line.
    pub(super) value: String,
}

/// The replacement for a line in a copy.
#[derive(Clone)]
pub(super) enum Edit {
    /// Nothing: the line becomes a comment.
    Drop,
    /// This text.
    Say(String),
}

impl Reference {
    /// Reads `proxy:hash:/path`; `None` if it is not a table.
    pub(super) fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix("proxy:").unwrap_or(text);
        let (kind, rest) = text.split_once(':')?;
        let is_kind = !kind.is_empty() && kind.bytes().all(|octet| octet.is_ascii_alphanumeric());
        is_kind.then(|| Self {
            kind: kind.to_owned(),
            rest: rest.trim().to_owned(),
        })
    }

    pub(super) fn behind(&self) -> Behind {
        match self.kind.as_str() {
            "hash" | "btree" | "lmdb" | "dbm" | "sdbm" | "cdb" | "texthash" => Behind::Keys,
            "cidr" | "pcre" | "regexp" => Behind::Patterns,
            "mysql" | "pgsql" | "sqlite" | "ldap" => Behind::Database,
            "inline" | "static" => Behind::Itself,
            "unionmap" | "pipemap" => Behind::Others,
            "socketmap" | "tcp" => Behind::Service,
            _ => Behind::Unknown,
        }
    }
}

impl Site<'_> {
    /// The entries of a table that is a text, or is in the parameter itself. They are not reported.
    pub(super) fn entries(&self, table: &Reference, at: &Origin) -> Option<Vec<Entry>> {
        match table.behind() {
            Behind::Keys | Behind::Patterns => {
                let text = self.files.read(&table.rest).ok()?;
                let lines = logical_lines(&table.rest, &text);
                let rules = lines.iter().filter(|line| !is_condition(table, line));
                Some(rules.map(entry).collect())
            }
            Behind::Itself if table.kind == "inline" => {
                let inside = table.rest.trim().strip_prefix('{')?.strip_suffix('}')?;
                let pairs = words(inside);
                let pairs = pairs.iter().filter_map(|pair| pair.split_once('='));
                let entries = pairs.map(|(key, value)| Entry {
                    at: at.clone(),
                    key: key.trim().to_owned(),
                    value: value.trim().to_owned(),
                });
                Some(entries.collect())
            }
            _ => None,
        }
    }

    /// A table's name in the new configuration: its file is copied, and each of its lines reported. `None` if that is not
    /// possible; then it is in the report.
    pub(super) fn table(&mut self, text: &str, at: &Origin, what: &str) -> Option<String> {
        self.edited(text, at, what, &|_| None)
    }

    /// The same, with changed lines in the copy. The caller reports lines that it changes or drops.
    pub(super) fn edited(
        &mut self,
        text: &str,
        at: &Origin,
        what: &str,
        edit: &dyn Fn(&Entry) -> Option<Edit>,
    ) -> Option<String> {
        let Some(table) = Reference::of(text) else {
            let remedy = format!("`{text}` is no table");
            self.import.missing(at, what, Weight::Mail, remedy);
            return None;
        };
        let kind = table.kind.clone();
        match table.behind() {
            Behind::Keys | Behind::Patterns => {
                let path = self.copy(&table, at, what, edit)?;
                Some(format!("{kind}:{path}"))
            }
            Behind::Database => {
                let path = self.copy_secret(&table.rest, at, what)?;
                Some(format!("{kind}:{path}"))
            }
            Behind::Itself => Some(format!("{kind}:{}", table.rest)),
            Behind::Service => Some(match table.rest.strip_prefix("unix:") {
                Some(path) => format!("{kind}:unix:{}", self.below_queue(path)),
                None => format!("{kind}:{}", table.rest),
            }),
            Behind::Others => {
                let inside = table
                    .rest
                    .strip_prefix('{')
                    .and_then(|rest| rest.strip_suffix('}'));
                let mut members = Vec::new();
                for member in words(inside.unwrap_or(&table.rest)) {
                    members.push(self.edited(&member, at, what, edit)?);
                }
                Some(format!("{kind}:{{ {} }}", members.join(", ")))
            }
            Behind::Unknown => {
                let remedy = format!(
                    "tables of the kind \"{kind}\" are not asked here; put what it knows into a file, SQL or LDAP, and name that"
                );
                self.import.missing(
                    at,
                    &format!("{what}: {kind}:{}", table.rest),
                    Weight::Mail,
                    remedy,
                );
                None
            }
        }
    }

    /// Tables of a list; those that cannot be carried over are left out and reported.
    pub(super) fn tables(&mut self, parameter: &str) -> Vec<String> {
        let at = self.at(parameter);
        let mut tables = Vec::new();
        for word in self.words(parameter) {
            tables.extend(self.table(&word, &at, parameter));
        }
        tables
    }

    fn copy(
        &mut self,
        table: &Reference,
        at: &Origin,
        what: &str,
        edit: &dyn Fn(&Entry) -> Option<Edit>,
    ) -> Option<String> {
        if let Some(known) = self.copies.get(&table.rest) {
            return Some(known.clone());
        }
        let text = self.text(&table.rest, at, what)?;
        let path = self.place(TABLES, &table.rest);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let unread = unread(table, &text);
        for line in logical_lines(&table.rest, &text) {
            let entry = entry(&line);
            if let Some(why) = unread.get(&line.at.first) {
                self.leave_out(&line.at, &shown(table, &entry), why);
                replace(&mut lines, &line.at, &Edit::Drop);
                continue;
            }
            let edit = if is_condition(table, &line) {
                None
            } else {
                edit(&entry)
            };
            match edit {
                None => self.import.carried(&line.at, &shown(table, &entry), path.clone()),
                Some(edit) => replace(&mut lines, &line.at, &edit),
            }
        }
        let mut copy = format!("# From {}.\n", table.rest);
        for line in lines {
            copy.push_str(&line);
            copy.push('\n');
        }
        let is_private = self.files.is_private(&table.rest);
        self.import.file(&path, copy, is_private);
        self.copies.insert(table.rest.clone(), path.clone());
        Some(path)
    }

    /// Reports a line that Postern's tables do not accept.
    fn leave_out(&mut self, at: &Origin, what: &str, why: &Unread) {
        match why {
            Unread::Empty => {
                let why = "a key without a value, which Postfix passed over, too";
                self.import.meaningless(at, what, why);
            }
            Unread::Mistake(message) => {
                let remedy = format!("the line is a comment in the copy: it {message}");
                self.import.missing(at, what, Weight::Mail, remedy);
            }
            Unread::Within => {
                let remedy = "the line is a comment in the copy, as the `if` before it is";
                self.import.missing(at, what, Weight::Mail, remedy);
            }
        }
    }

    fn copy_secret(&mut self, from: &str, at: &Origin, what: &str) -> Option<String> {
        if let Some(known) = self.copies.get(from) {
            return Some(known.clone());
        }
        let text = self.text(from, at, what)?;
        let path = self.place(SECRETS, from);
        for line in logical_lines(from, &text) {
            let name = line.what.split('=').next().unwrap_or_default().trim().to_owned();
            self.import.carried(&line.at, &name, path.clone());
        }
        self.import.secret(&path, text);
        self.copies.insert(from.to_owned(), path.clone());
        Some(path)
    }

    /// A free place for a copy.
    pub(super) fn place(&self, folder: &str, from: &str) -> String {
        let name = from.rsplit('/').next().unwrap_or(from);
        let is_taken = |path: &str| self.import.files.iter().any(|file| file.path == path);
        let mut path = format!("{folder}/{name}");
        let mut number = 2;
        while is_taken(&path) {
            path = format!("{folder}/{number}-{name}");
            number += 1;
        }
        path
    }

    /// The text of a file named at `at`; a file that cannot be read is reported.
    pub(super) fn text(&mut self, path: &str, at: &Origin, what: &str) -> Option<String> {
        match self.files.read(path) {
            Ok(text) => Some(text),
            Err(problem) => {
                let remedy = format!("{path}: {problem}; import again when it can be read");
                self.import.missing(at, what, Weight::Mail, remedy);
                None
            }
        }
    }
}

/// Why a line is left out of a copy.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Unread {
    /// It only has a key.
    Empty,
    /// Postern's error about it.
    Mistake(String),
    /// It depends on a condition that cannot be read.
    Within,
}

/// Whether a line is an `if` or an `endif`.
fn is_condition(table: &Reference, line: &Located<String>) -> bool {
    let first = line.what.split_whitespace().next().unwrap_or_default();
    let is_word = |word: &str| {
        first.get(..word.len()).is_some_and(|start| {
            start.eq_ignore_ascii_case(word)
                && !first[word.len()..].starts_with(|next: char| next.is_ascii_alphanumeric())
        })
    };
    table.behind() == Behind::Patterns && (is_word("if") || is_word("endif"))
}

/// The lines of a text that Postern does not accept as entries, by number, and why.
fn unread(table: &Reference, text: &str) -> BTreeMap<u32, Unread> {
    let format = match table.kind.as_str() {
        "cidr" => Format::Cidr,
        "pcre" => Format::Pcre,
        "regexp" => Format::Regexp,
        _ => Format::Postfix,
    };
    let mistakes: BTreeMap<usize, String> = match parse(text.as_bytes(), format) {
        Ok(_) => return BTreeMap::new(),
        Err(mistakes) => mistakes.into_iter().map(|it| (it.line, it.message)).collect(),
    };
    let mut unread = BTreeMap::new();
    // How many conditions have been opened since one that cannot be read.
    let mut depth = 0_u32;
    for line in logical_lines(&table.rest, text) {
        let number = line.at.first;
        let opens = is_condition(table, &line) && !line.what.to_ascii_lowercase().starts_with("endif");
        let closes = is_condition(table, &line) && !opens;
        if depth > 0 {
            unread.insert(number, Unread::Within);
            depth = depth + u32::from(opens) - u32::from(closes);
        } else if let Some(message) = mistakes.get(&(number as usize)) {
            let is_empty = format == Format::Postfix && entry(&line).value.is_empty();
            let why = if is_empty {
                Unread::Empty
            } else {
                Unread::Mistake(message.clone())
            };
            unread.insert(number, why);
            depth = u32::from(opens);
        }
    }
    unread
}

/// The key of a line, and the rest. A pattern ends at its second delimiter.
pub(super) fn entry(line: &Located<String>) -> Entry {
    let text = line.what.as_str();
    let pattern = text.trim_start_matches('!').trim_start();
    let opens = pattern
        .chars()
        .next()
        .filter(|first| !first.is_alphanumeric() && !"[<@.:_*\"-+#".contains(*first));
    let end = match opens {
        Some(delimiter) => end_of_pattern(text, text.len() - pattern.len(), delimiter),
        None => end_of_key(text),
    };
    let (key, value) = text.split_at(end);
    Entry {
        at: line.at.clone(),
        key: key.trim().to_owned(),
        value: value.trim().to_owned(),
    }
}

fn end_of_pattern(text: &str, start: usize, delimiter: char) -> usize {
    let mut escaped = false;
    let first = start + delimiter.len_utf8();
    for (at, letter) in text[first..].char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == delimiter {
            let rest = &text[first + at..];
            return first + at + rest.find(char::is_whitespace).unwrap_or(rest.len());
        }
    }
    text.len()
}

fn end_of_key(text: &str) -> usize {
    let mut quoted = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            _ if letter.is_whitespace() && !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

fn shown(table: &Reference, entry: &Entry) -> String {
    let whole = format!("{} {}", entry.key, entry.value);
    let name = table.rest.rsplit('/').next().unwrap_or(&table.rest);
    let short: String = whole.trim().chars().take(100).collect();
    format!("{name}: {short}")
}

fn replace(lines: &mut [String], at: &Origin, edit: &Edit) {
    let (first, last) = (at.first as usize - 1, at.last as usize);
    let Some(lines) = lines.get_mut(first..last) else {
        return;
    };
    for line in lines.iter_mut() {
        if !line.trim().is_empty() && !line.starts_with('#') {
            *line = format!("# {}", line.trim_start());
        }
    }
    if let (Edit::Say(text), Some(line)) = (edit, lines.last_mut()) {
        *line = format!("{line}\n{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_entries() {
        let unread = |kind: &str, text: &str| {
            let table = Reference {
                kind: kind.to_owned(),
                rest: "f".to_owned(),
            };
            let lines = unread(&table, text);
            let kinds = lines.into_iter().map(|(line, why)| {
                let why = match why {
                    Unread::Empty => "empty",
                    Unread::Mistake(_) => "mistake",
                    Unread::Within => "within",
                };
                format!("{line} {why}")
            });
            kinds.collect::<Vec<_>>().join(", ")
        };
        let cases = [
            ("hash", "a b\nc\nd e\n", "2 empty", "a key alone"),
            ("pcre", "/a/ b\n/(?=c)d/ e\n", "2 mistake", "what looks around"),
            ("pcre", "if !/a/\n/b/ c\nendif\n", "", "a condition is no entry"),
            (
                "pcre",
                "if /(?!a)/\n/b/ c\nif /x/\n/d/ e\nendif\nendif\n/f/ g\n",
                "1 mistake, 2 within, 3 within, 4 within, 5 within, 6 within",
                "rules of a condition that is left out",
            ),
            ("cidr", "10.0.0.0/8 x\n10.0.0.1/8\n", "2 mistake", "networks"),
        ];
        for (kind, text, expected, why) in cases {
            assert_eq!(unread(kind, text), expected, "{why}");
        }
    }

    #[test]
    fn tables_and_their_lines() {
        let of = |text: &str| Reference::of(text).map(|it| (it.kind.clone(), it.rest.clone(), it.behind()));
        let some = |kind: &str, rest: &str, behind| Some((kind.to_owned(), rest.to_owned(), behind));
        assert_eq!(of("hash:/etc/a"), some("hash", "/etc/a", Behind::Keys));
        assert_eq!(of("proxy:mysql:/a.cf"), some("mysql", "/a.cf", Behind::Database));
        assert_eq!(
            of("tcp:127.0.0.1:10001"),
            some("tcp", "127.0.0.1:10001", Behind::Service)
        );
        assert_eq!(of("inline:{ a=b }"), some("inline", "{ a=b }", Behind::Itself));
        assert_eq!(of("/etc/networks"), None);
        assert_eq!(of("example.org"), None);
        let table = [
            ("a@b.example\tx, y", "a@b.example", "x, y"),
            ("/^Subject: a b/i REJECT no", "/^Subject: a b/i", "REJECT no"),
            ("!/a\\/b/ DUNNO", "!/a\\/b/", "DUNNO"),
            ("10.0.0.0/8 REJECT", "10.0.0.0/8", "REJECT"),
            ("!10.0.0.0/8 REJECT", "!10.0.0.0/8", "REJECT"),
            ("[mx.example]:587 u:p", "[mx.example]:587", "u:p"),
            ("<> DUNNO", "<>", "DUNNO"),
            ("\"a b\"@c d", "\"a b\"@c", "d"),
            ("alone", "alone", ""),
        ];
        for (text, key, value) in table {
            let line = Located {
                at: Origin::line(&"f".into(), 1),
                what: text.to_owned(),
            };
            let entry = entry(&line);
            assert_eq!((entry.key.as_str(), entry.value.as_str()), (key, value), "{text}");
        }
    }
}
