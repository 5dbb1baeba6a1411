//! One event as one line.
//!
//! Some values come from peers. A line break, an escape sequence or a change of writing direction in one would forge other lines
//! or hide this one, so all such characters are escaped, in both formats.

use std::fmt;

use jiff::Timestamp;
use postern_events::{Event as Fact, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::json::{self, Details};
use super::text::{CUT, VALUE_MAX, level_word, timestamp, with_text};
use crate::visible::is_hidden;

/// The format of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Look {
    /// A JSON object instead of the readable format.
    pub(super) json: bool,
    /// For the journal: a priority prefix, as in `sd-daemon(3)`, and no time in the readable format, since the journal has its
    /// own.
    pub(super) journal: bool,
}

impl Look {
    /// The beginning of a line, before the words.
    fn begin(self, level: Level, now: Timestamp, line: &mut Vec<u8>) {
        if self.journal {
            line.extend_from_slice(priority(level));
        }
        if !self.json && !self.journal {
            timestamp(now, line);
            line.push(b' ');
        }
    }
}

/// The level of an event, as a `tracing` level.
pub(super) fn level_of(fact: &Fact<'_>) -> Level {
    match fact.level() {
        postern_events::Level::Error => Level::ERROR,
        postern_events::Level::Warning => Level::WARN,
        postern_events::Level::Info => Level::INFO,
        postern_events::Level::Debug => Level::DEBUG,
    }
}

/// Appends an event: `2026-11-22T09:30:20.123Z accepted session=… from=<…>` and a line feed, or the same as a JSON object.
pub(super) fn fact(fact: &Fact<'_>, look: Look, now: Timestamp, line: &mut Vec<u8>) {
    let level = level_of(fact);
    look.begin(level, now, line);
    if look.json {
        json::object(now, level, fact.area().target(), line, |fields| {
            fields.text("message", fact.word());
            fact.fields(&mut |key, value| fields.value(key.name(), value));
        });
    } else {
        escape(fact.word(), line);
        append_level(level, line);
        fact.fields(&mut |key, value| readable_field(key.name(), value, line));
    }
    line.push(b'\n');
}

/// Appends what a library or a part of the program says in detail.
///
/// Warnings and errors have `level=` after the word, events of libraries `target=`.
pub(super) fn detail(event: &Event<'_>, look: Look, now: Timestamp, line: &mut Vec<u8>) {
    let metadata = event.metadata();
    look.begin(*metadata.level(), now, line);
    if look.json {
        json::object(now, *metadata.level(), metadata.target(), line, |fields| {
            event.record(&mut Details(fields));
        });
    } else {
        let word_at = line.len();
        append_level(*metadata.level(), line);
        if !metadata.target().starts_with("postern") {
            line.extend_from_slice(b" target=");
            line.extend_from_slice(metadata.target().as_bytes());
        }
        let mut visitor = Readable {
            line,
            word: Vec::new(),
        };
        event.record(&mut visitor);
        let word = visitor.word;
        line.splice(word_at..word_at, word);
    }
    line.push(b'\n');
}

/// Appends a line of the log about itself, `now word level=warning name=value`, or the same as JSON.
pub(super) fn own(
    look: Look,
    now: Timestamp,
    level: Level,
    word: &str,
    fields: &[(&str, String)],
    line: &mut Vec<u8>,
) {
    look.begin(level, now, line);
    if look.json {
        json::object(now, level, "postern::log", line, |object| {
            object.text("message", word);
            for (name, value) in fields {
                object.text(name, value);
            }
        });
    } else {
        line.extend_from_slice(word.as_bytes());
        append_level(level, line);
        for (name, value) in fields {
            readable_field(name, Value::Text(value), line);
        }
    }
    line.push(b'\n');
}

/// Appends the level unless it is the normal one.
fn append_level(level: Level, line: &mut Vec<u8>) {
    if level != Level::INFO {
        line.extend_from_slice(b" level=");
        line.extend_from_slice(level_word(level).as_bytes());
    }
}

/// The priority that the journal reads at the start of a line (`sd-daemon(3)`, `syslog(3)`).
fn priority(level: Level) -> &'static [u8] {
    match level {
        Level::ERROR => b"<3>",
        Level::WARN => b"<4>",
        Level::INFO => b"<6>",
        Level::DEBUG | Level::TRACE => b"<7>",
    }
}

/// Appends ` name=value`, unless the value is absent or empty.
fn readable_field(name: &str, value: Value<'_>, line: &mut Vec<u8>) {
    let begin = |line: &mut Vec<u8>| {
        line.push(b' ');
        line.extend_from_slice(name.as_bytes());
        line.push(b'=');
    };
    let text = |text: &str, line: &mut Vec<u8>| {
        if !text.is_empty() {
            begin(line);
            readable_value(text, line);
        }
    };
    match value {
        Value::Absent => {}
        Value::Text(value) => text(value, line),
        Value::Rule(rule) => text(rule.name(), line),
        Value::Shown(value) => with_text(format_args!("{value}"), |value| text(value, line)),
        Value::Address(value) => with_text(format_args!("{value}"), |value| text(value, line)),
        Value::Number(value) => {
            begin(line);
            number(value, line);
        }
        Value::Flag(value) => {
            begin(line);
            line.extend_from_slice(if value { b"yes" } else { b"no" });
        }
    }
}

/// Writes ` name=value` for every field that is not empty; the message is kept separate, since it goes first.
struct Readable<'a> {
    line: &'a mut Vec<u8>,
    word: Vec<u8>,
}

impl Readable<'_> {
    fn name(&mut self, field: &Field) {
        self.line.push(b' ');
        self.line
            .extend_from_slice(field.name().trim_start_matches("r#").as_bytes());
        self.line.push(b'=');
    }

    fn text(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            escape(value, &mut self.word);
            return;
        }
        if value.is_empty() {
            return;
        }
        self.name(field);
        readable_value(value, self.line);
    }
}

/// Appends a value, quoted if necessary.
fn readable_value(value: &str, line: &mut Vec<u8>) {
    let bare = value.len() <= VALUE_MAX
        && value
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    if bare {
        line.extend_from_slice(value.as_bytes());
    } else {
        line.push(b'"');
        escape(value, line);
        line.push(b'"');
    }
}

impl Visit for Readable<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        number(value, self.line);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.name(field);
        self.line.extend_from_slice(if value { b"yes" } else { b"no" });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        with_text(format_args!("{value:?}"), |text| self.text(field, text));
    }
}

fn number(value: u64, line: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    line.extend_from_slice(&digits[at..]);
}

/// Appends the text in readable form, truncated at [`VALUE_MAX`].
fn escape(text: &str, line: &mut Vec<u8>) {
    let start = line.len();
    for c in text.chars() {
        if line.len() - start >= VALUE_MAX {
            line.extend_from_slice(CUT.as_bytes());
            return;
        }
        match c {
            '"' | '\\' => line.extend_from_slice(&[b'\\', c as u8]),
            '\n' => line.extend_from_slice(b"\\n"),
            '\r' => line.extend_from_slice(b"\\r"),
            '\t' => line.extend_from_slice(b"\\t"),
            c if is_hidden(c) => line.extend_from_slice(c.escape_unicode().to_string().as_bytes()),
            c => line.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = Vec::new();
        escape(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_cannot_forge_lines() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows    text              readable
            ("plain",                 "a@b.c",          "a@b.c"),
            ("line feed",             "a\nb",           "a\\nb"),
            ("carriage return",       "a\rb",           "a\\rb"),
            ("terminal escape",       "\x1b[2K",        "\\u{1b}[2K"),
            ("C1 next line",          "a\u{85}b",       "a\\u{85}b"),
            ("line separator",        "\u{2028}",       "\\u{2028}"),
            ("right to left",         "\u{202e}x",      "\\u{202e}x"),
            ("not to be seen",        "an\u{200b}n",     "an\\u{200b}n"),
            ("Arabic letter mark",    "\u{61c}x",        "\\u{61c}x"),
            ("quote and backslash",   "\"\\",           "\\\"\\\\"),
            ("letters stay",          "Grüße",          "Grüße"),
            ("beyond the first plane", "\u{e0001}",     "\\u{e0001}"),
        ];
        for (shows, text, readable) in cases {
            assert_eq!(escaped(text), readable, "{shows}");
        }
    }

    #[test]
    fn long_values_are_cut() {
        let long = "x".repeat(10_000);
        assert_eq!(escaped(&long).len(), VALUE_MAX + CUT.len());
    }

    #[test]
    fn the_same_event_in_all_forms() {
        let event = Fact::from(postern_events::SourceDown {
            directory: "ldap \"a\"",
            reason: "no\nroute",
        });
        let now: Timestamp = "2026-11-22T09:30:20.123Z".parse().unwrap();
        let line = |json, journal| {
            let mut line = Vec::new();
            fact(&event, Look { json, journal }, now, &mut line);
            String::from_utf8(line).unwrap()
        };
        let fields = r#"directory fails level=warning directory="ldap \"a\"" reason="no\nroute""#;
        assert_eq!(line(false, false), format!("2026-11-22T09:30:20.123Z {fields}\n"));
        assert_eq!(
            line(false, true),
            format!("<4>{fields}\n"),
            "the journal has the time"
        );
        let object: serde_json::Value = serde_json::from_str(&line(true, false)).unwrap();
        assert_eq!(
            object,
            serde_json::json!({
                "time": "2026-11-22T09:30:20.123Z",
                "level": "warning",
                "target": "postern::directory",
                "message": "directory fails",
                "directory": "ldap \"a\"",
                "reason": "no\nroute",
            })
        );
        assert!(line(true, true).starts_with("<4>{\"time\":"));
    }
}
