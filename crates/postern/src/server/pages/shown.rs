//! Values as they stand in pages.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use postern_web::{Cell, Column, Link, Table, Tone, path};
use serde_json::Value;

/// A moment, to the second, in UTC: as RFC 3339 has it, and for people.
pub(super) fn moment(at: Timestamp) -> (String, String) {
    let shown = at
        .to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string();
    (format!("{at:.0}"), shown)
}

/// The same as a cell.
pub(super) fn when(at: Timestamp) -> Cell {
    let (exact, shown) = moment(at);
    Cell::Time(exact, shown)
}

/// Octets.
pub(super) fn size(octets: u64) -> Cell {
    Cell::Number(crate::output::size(octets))
}

/// A message by its queue id.
pub(super) fn message(id: &str) -> Cell {
    named("queue", id)
}

/// A session by its id.
pub(super) fn session(id: &str) -> Cell {
    named("sessions", id)
}

/// An account by its login.
pub(super) fn account(login: &str) -> Cell {
    named("accounts", login)
}

fn named(area: &str, name: &str) -> Cell {
    match name.is_empty() {
        true => Cell::None,
        false => Link::new(path(&[area, name]), name).into(),
    }
}

/// A sender; the empty one is written `<>`.
pub(super) fn sender(address: &str) -> Cell {
    match address.is_empty() {
        true => Cell::Text("<>".to_owned()),
        false => Cell::Text(address.to_owned()),
    }
}

/// Markdown of a sentence as plain text.
pub(super) fn plain(text: &str) -> String {
    text.replace('`', "").replace("**", "").replace('\n', " ")
}

/// How a word of a state is meant.
pub(super) fn tone(word: &str) -> Tone {
    match word {
        "up" | "delivered" | "ok" | "accepted" | "released" | "enabled" | "yes" | "login" => Tone::Good,
        "deferred" | "held" | "unknown" | "warning" | "filtered" | "locked out" | "retried" => Tone::Warn,
        "down" | "refused" | "bounced" | "expired" | "removed" | "damaged" | "critical" | "discarded"
        | "disabled" | "no" => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// A word of a state with its colour.
pub(super) fn badge(word: &str) -> Cell {
    match word.is_empty() {
        true => Cell::None,
        false => Cell::Badge(tone(word), word.to_owned()),
    }
}

/// Any value of JSON as it stands in a cell. What ends in `_at` is a moment.
pub(super) fn any(key: &str, value: &Value) -> Cell {
    match value {
        Value::Null => Cell::None,
        Value::Bool(true) => Cell::Text("yes".to_owned()),
        Value::Bool(false) => Cell::Text("no".to_owned()),
        Value::Number(number) => Cell::Number(number.to_string()),
        Value::String(text) => match text.parse::<Timestamp>() {
            Ok(at) if key.ends_with("_at") || key == "until" || key == "since" => when(at),
            _ => Cell::from(text.as_str()),
        },
        Value::Array(all) => match all.is_empty() {
            true => Cell::None,
            false => Cell::Many(all.iter().map(|one| any(key, one)).collect()),
        },
        Value::Object(fields) => Cell::Many(
            fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| Cell::Text(format!("{}: {}", words(name), text(value))))
                .collect(),
        ),
    }
}

/// A value as text.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// The name of a field as words.
pub(super) fn words(key: &str) -> String {
    key.strip_suffix("_at").unwrap_or(key).replace('_', " ")
}

/// A list in JSON as a table: of each element the fields that are named, in this order, with a title for each.
pub(super) fn list(id: &str, caption: &str, all: &[Value], columns: &[(&str, &str)]) -> Table {
    let is_number = |key: &str| all.iter().any(|one| one[key].is_number());
    let mut table = Table::new(id, caption, &[]);
    table.columns = columns
        .iter()
        .map(|(key, title)| Column {
            title: (*title).to_owned(),
            number: is_number(key),
        })
        .collect();
    for one in all {
        table.row(columns.iter().map(|(key, _)| any(key, &one[*key])).collect());
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_as_cells() {
        let shown = |key: &str, value: Value| format!("{:?}", any(key, &value));
        #[rustfmt::skip]
        let cases = [
            // what the case shows   key          value                                        cell
            ("a moment",             "since_at",  json!("2026-12-01T10:00:00Z"),               "Time(\"2026-12-01T10:00:00Z\", \"2026-12-01 10:00:00\")"),
            ("no moment",            "label",     json!("2026-12-01T10:00:00Z"),               "Text(\"2026-12-01T10:00:00Z\")"),
            ("a number",             "n",         json!(3),                                    "Number(\"3\")"),
            ("nothing",              "n",         json!(null),                                 "None"),
            ("several",              "networks",  json!(["a", "b"]),                           "Many([Text(\"a\"), Text(\"b\")])"),
            ("none",                 "networks",  json!([]),                                   "None"),
            ("fields",               "hold",      json!({"by": "root", "since_at": null}),     "Many([Text(\"by: root\")])"),
        ];
        for (shows, key, value, want) in cases {
            assert_eq!(shown(key, value), want, "{shows}");
        }
        assert_eq!(plain("`networks` in `[relay]`"), "networks in [relay]");
    }
}
