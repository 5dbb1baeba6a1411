//! What is in force: every key of a configuration with its value, as read.
//!
//! No value is a secret: those are in separate files, of which the configuration has the path.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use toml::de::DeValue;

use super::problem::Span;
use super::sources::Sources;

/// One table with its keys and the tables below it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Shown {
    /// `[limits]` or `[[listener]]`; empty for the top level.
    pub(crate) header: String,
    pub(crate) keys: Vec<ShownKey>,
    pub(crate) tables: Vec<Self>,
    /// The file and line where it begins; none for one that is not written.
    #[serde(default)]
    pub(crate) place: Option<(String, usize)>,
    #[serde(skip)]
    span: Option<Span>,
}

/// One key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct ShownKey {
    pub(crate) key: String,
    /// As TOML; none if the key is absent and has no default.
    pub(crate) value: Option<String>,
    /// The meaning of a missing value.
    pub(crate) absent: Option<String>,
    /// Whether the value differs from the default, or there is no default.
    pub(crate) changed: bool,
    /// The file and line where it is written; none for a default.
    pub(crate) place: Option<(String, usize)>,
    #[serde(skip)]
    pub(in crate::config) span: Option<Span>,
}

impl Shown {
    /// A table without keys yet.
    pub(super) fn of(header: &str, span: Option<Span>) -> Self {
        Self {
            // `[[directory]] of kind "users"`: the kind is a key.
            header: header
                .find(" of kind ")
                .map_or(header, |at| &header[..at])
                .to_owned(),
            span,
            ..Self::default()
        }
    }

    /// The same for a default, which is not written anywhere.
    pub(super) fn unwritten(mut self) -> Self {
        self.span = None;
        for key in &mut self.keys {
            key.span = None;
        }
        self.tables = self.tables.into_iter().map(Self::unwritten).collect();
        self
    }

    /// Adds the files and lines.
    pub(super) fn located(mut self, sources: &Sources) -> Self {
        let place = |span: Span| {
            let at = sources.locate(&span);
            (at.path.display().to_string(), at.line)
        };
        self.place = self.span.take().map(place);
        for key in &mut self.keys {
            key.place = key.span.take().map(place);
        }
        self.tables = self
            .tables
            .into_iter()
            .map(|table| table.located(sources))
            .collect();
        self
    }

    /// As a configuration file. With `changed`, only what differs from the defaults. Lines from files other than `main` say so.
    pub(crate) fn as_toml(&self, changed: bool, main: &str) -> String {
        let mut text = String::new();
        self.write(changed, main, &mut text);
        text
    }

    fn write(&self, changed: bool, main: &str, text: &mut String) {
        let keys: Vec<&ShownKey> = self.keys.iter().filter(|key| key.changed || !changed).collect();
        let repeated = self.header.starts_with("[[");
        if !self.header.is_empty() && (repeated || !keys.is_empty()) {
            if !text.is_empty() {
                text.push('\n');
            }
            let _ = writeln!(text, "{}", self.header);
        }
        for key in keys {
            match (&key.value, &key.absent) {
                (Some(value), _) => {
                    let _ = write!(text, "{} = {value}", key.key);
                    if let Some((file, line)) = key.place.as_ref().filter(|(file, _)| file != main) {
                        let _ = write!(text, " # {file}:{line}");
                    }
                    text.push('\n');
                }
                (None, Some(absent)) => {
                    let _ = writeln!(text, "# {} is not set: {absent}", key.key);
                }
                (None, None) => {}
            }
        }
        for table in &self.tables {
            table.write(changed, main, text);
        }
    }

    /// As a list of `{ "table", "key", "value", "changed", "file", "line" }`; tables in double brackets have a `number`, from 1.
    pub(crate) fn as_json(&self, changed: bool) -> Value {
        let mut list = Vec::new();
        self.collect(changed, None, &mut list);
        Value::Array(list)
    }

    fn collect(&self, changed: bool, number: Option<usize>, into: &mut Vec<Value>) {
        for key in self.keys.iter().filter(|key| key.changed || !changed) {
            let value = key.value.as_deref().map_or(Value::Null, json_of);
            let (file, line) = key.place.clone().unzip();
            let mut entry = Map::new();
            entry.insert("table".into(), json!(self.header.trim_matches(['[', ']'])));
            if let Some(number) = number {
                entry.insert("number".into(), json!(number));
            }
            entry.insert("key".into(), json!(key.key));
            entry.insert("value".into(), value);
            entry.insert("changed".into(), json!(key.changed));
            entry.insert("file".into(), json!(file));
            entry.insert("line".into(), json!(line));
            into.push(Value::Object(entry));
        }
        for (at, table) in self.tables.iter().enumerate() {
            let earlier = self.tables[..at]
                .iter()
                .filter(|other| other.header == table.header)
                .count();
            let number = table.header.starts_with("[[").then_some(earlier + 1);
            table.collect(changed, number, into);
        }
    }

    /// The lines that only one of two configurations has, without places.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let lines = |shown: &Self| {
            let mut lines = Vec::new();
            shown.lines("", &mut lines);
            lines
        };
        let (ours, theirs) = (lines(self), lines(other));
        let missing = theirs.iter().filter(|line| !ours.contains(line));
        let mut found: Vec<String> = missing.map(|line| format!("+ {line}")).collect();
        found.extend(
            ours.iter()
                .filter(|line| !theirs.contains(line))
                .map(|line| format!("- {line}")),
        );
        found
    }

    fn lines(&self, within: &str, into: &mut Vec<String>) {
        for key in &self.keys {
            if let Some(value) = &key.value {
                into.push(format!("{within}{} = {value}", key.key));
            }
        }
        for (at, table) in self.tables.iter().enumerate() {
            let number = self.tables[..=at]
                .iter()
                .filter(|other| other.header == table.header)
                .count();
            let within = match table.header.starts_with("[[") {
                true => format!("{} {number}: ", table.header),
                false => format!("{} ", table.header),
            };
            table.lines(&within, into);
        }
    }

    /// Takes these top-level keys and tables, such as `user` and `[spool]`, from another configuration.
    pub(crate) fn keep(&mut self, names: &[&str], of: &Self) {
        self.keys.retain(|key| !names.contains(&key.key.as_str()));
        let kept = of.keys.iter().filter(|key| names.contains(&key.key.as_str()));
        self.keys.extend(kept.cloned());
        self.tables
            .retain(|table| !names.contains(&table.header.as_str()));
        let kept = of
            .tables
            .iter()
            .filter(|table| names.contains(&table.header.as_str()));
        self.tables.extend(kept.cloned());
    }
}

/// The value as TOML on one line.
pub(super) fn toml_of(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => match number.radix() {
            16 => format!("0x{}", number.as_str()),
            8 => format!("0o{}", number.as_str()),
            2 => format!("0b{}", number.as_str()),
            _ => number.as_str().to_owned(),
        },
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(set) => set.to_string(),
        DeValue::Datetime(at) => at.to_string(),
        DeValue::Array(list) => {
            let elements: Vec<String> = list.iter().map(|element| toml_of(element.get_ref())).collect();
            format!("[{}]", elements.join(", "))
        }
        DeValue::Table(table) => {
            let entries = table
                .iter()
                .map(|(key, value)| format!("{} = {}", key.get_ref(), toml_of(value.get_ref())));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn json_of(written: &str) -> Value {
    fn of(value: toml::Value) -> Value {
        match value {
            toml::Value::String(text) => Value::String(text),
            toml::Value::Integer(number) => json!(number),
            toml::Value::Float(number) => json!(number),
            toml::Value::Boolean(set) => json!(set),
            toml::Value::Datetime(at) => Value::String(at.to_string()),
            toml::Value::Array(list) => Value::Array(list.into_iter().map(of).collect()),
            toml::Value::Table(table) => {
                Value::Object(table.into_iter().map(|(key, value)| (key, of(value))).collect())
            }
        }
    }
    let table = toml::from_str::<toml::Table>(&format!("value = {written}")).ok();
    let value = table.and_then(|mut table| table.remove("value"));
    value.map_or(Value::Null, of)
}
