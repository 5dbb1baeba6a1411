//! One event as a JSON object, written by `serde_json`; invisible characters, and those that change the writing direction, are
//! escaped.

use std::fmt;
use std::io;

use jiff::Timestamp;
use postern_events::Value;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer as _};
use serde_json::Serializer;
use serde_json::ser::Formatter;
use tracing::Level;
use tracing::field::{Field, Visit};

use super::text::{CUT, VALUE_MAX, level_word, timestamp, with_text};
use crate::visible::is_hidden;

/// Appends an object with the time, the level, the target and what `rest` adds.
pub(super) fn object(
    now: Timestamp,
    level: Level,
    target: &str,
    line: &mut Vec<u8>,
    rest: impl FnOnce(&mut dyn Fields),
) {
    let mut time = Vec::with_capacity("2026-11-22T09:30:20.123Z".len());
    timestamp(now, &mut time);
    let mut serializer = Serializer::with_formatter(line, Visible);
    // Writing to a Vec does not fail.
    let Ok(mut map) = serializer.serialize_map(None) else {
        return;
    };
    map.text("time", &String::from_utf8_lossy(&time));
    map.text("level", level_word(level));
    map.text("target", target);
    rest(&mut map);
    let _ = map.end();
}

/// The fields of an object being written.
pub(super) trait Fields {
    /// Adds a text, truncated at [`VALUE_MAX`].
    fn text(&mut self, name: &str, value: &str);

    fn number(&mut self, name: &str, value: i128);

    fn flag(&mut self, name: &str, value: bool);

    /// Adds a value, unless it is absent.
    fn value(&mut self, name: &str, value: Value<'_>) {
        match value {
            Value::Absent => {}
            Value::Text(value) => self.text(name, value),
            Value::Rule(rule) => self.text(name, rule.name()),
            Value::Shown(value) => with_text(format_args!("{value}"), |value| self.text(name, value)),
            Value::Address(value) => with_text(format_args!("{value}"), |value| self.text(name, value)),
            Value::Number(value) => self.number(name, value.into()),
            Value::Flag(value) => self.flag(name, value),
        }
    }
}

impl<M: SerializeMap> Fields for M {
    fn text(&mut self, name: &str, value: &str) {
        match value.len() > VALUE_MAX {
            true => add(self, name, &format!("{}{CUT}", beginning(value))),
            false => add(self, name, value),
        }
    }

    fn number(&mut self, name: &str, value: i128) {
        add(self, name, &value);
    }

    fn flag(&mut self, name: &str, value: bool) {
        add(self, name, &value);
    }
}

fn add<M: SerializeMap>(map: &mut M, name: &str, value: &(impl Serialize + ?Sized)) {
    let _ = map.serialize_entry(name, value);
}

/// The first [`VALUE_MAX`] octets, or slightly less, so that no character is split.
fn beginning(text: &str) -> &str {
    let at = (0..=VALUE_MAX).rev().find(|at| text.is_char_boundary(*at));
    &text[..at.unwrap_or(0)]
}

/// The fields of a library's event.
pub(super) struct Details<'f>(pub(super) &'f mut dyn Fields);

fn name(field: &Field) -> &'static str {
    field.name().trim_start_matches("r#")
}

impl Visit for Details<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.text(name(field), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.number(name(field), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.number(name(field), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.flag(name(field), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        with_text(format_args!("{value:?}"), |text| self.0.text(name(field), text));
    }
}

/// JSON on one line, with hidden characters escaped too (RFC 8259 section 7).
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, hidden)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + hidden.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut line = Vec::new();
        object(Timestamp::UNIX_EPOCH, Level::INFO, "t", &mut line, |fields| {
            fields.text("x", text);
        });
        let line = String::from_utf8(line).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(text.len() > VALUE_MAX || value["x"] == text, "{line}");
        let inside = line.split("\"x\":\"").nth(1).unwrap();
        inside.strip_suffix("\"}").unwrap().to_owned()
    }

    #[test]
    fn values_cannot_forge_lines() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows    text              as JSON
            ("plain",                 "a@b.c",          "a@b.c"),
            ("line feed",             "a\nb",           "a\\nb"),
            ("carriage return",       "a\rb",           "a\\rb"),
            ("terminal escape",       "\x1b[2K",        "\\u001b[2K"),
            ("C1 next line",          "a\u{85}b",       "a\\u0085b"),
            ("line separator",        "\u{2028}",       "\\u2028"),
            ("right to left",         "\u{202e}x",      "\\u202ex"),
            ("not to be seen",        "an\u{200b}n",    "an\\u200bn"),
            ("Arabic letter mark",    "\u{61c}x",       "\\u061cx"),
            ("quote and backslash",   "\"\\",           "\\\"\\\\"),
            ("letters stay",          "Grüße",          "Grüße"),
            ("beyond the first plane", "\u{e0001}",     "\\udb40\\udc01"),
        ];
        for (shows, text, json) in cases {
            assert_eq!(written(text), json, "{shows}");
        }
    }

    #[test]
    fn long_values_are_cut() {
        let long = written(&"ü".repeat(10_000));
        assert_eq!(long.len(), VALUE_MAX + CUT.len());
        assert!(long.ends_with(CUT));
    }
}
