//! Filters, their conditions, answers and changes, in words.

use postern_milter::{Change, ReplyCode, Verdict};
use postern_policy::milter::{Conditions, OnFailure};
use serde::Serialize;

use super::line::Line;
use super::wants::Wants;
use crate::{output, visible};

/// Most characters of a value shown on a line.
const VALUE_SHOWN: usize = 300;

impl Line {
    /// A paragraph: the name and how it answers, then what it wants, one per line.
    pub(super) fn shown(&self) -> String {
        let head = match (&self.error, self.latency_ms, &self.wants) {
            (None, Some(latency), Some(wants)) => {
                format!("answers within {latency} ms, version {}", wants.version)
            }
            (error, ..) => error.clone().unwrap_or_default(),
        };
        let mut rows = vec![(self.milter.clone(), format!("{}: {head}", self.address))];
        if let Some(wants) = &self.wants {
            rows.extend(rows_of(wants));
        }
        let listeners = self.listeners.as_ref().map(|names| names.join(", "));
        rows.push((
            "  serves".to_owned(),
            listeners.unwrap_or_else(|| "all listeners".to_owned()),
        ));
        if !self.passed_by.is_empty() {
            rows.push(("  passed by".to_owned(), self.passed_by.join(", ")));
        }
        rows.push(("  on failure".to_owned(), self.on_failure.to_owned()));
        let widest = rows.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
        // On a terminal, long lists continue indented on the next line.
        let room = output::terminal_width().map(|columns| columns.saturating_sub(widest + 2).max(20));
        let below = format!("\n{:1$}", "", widest + 2);
        rows.iter()
            .map(|(key, text)| {
                let text = output::wrapped(&visible::line(text), room).replace('\n', &below);
                format!("{:widest$}  {text}\n", visible::line(key))
            })
            .collect()
    }
}

fn rows_of(wants: &Wants) -> Vec<(String, String)> {
    let list = |names: &[&str]| match names {
        [] => "nothing".to_owned(),
        _ => names.join(", "),
    };
    let mut rows = vec![
        ("  may".to_owned(), list(&wants.actions)),
        ("  is told".to_owned(), list(&wants.steps)),
    ];
    if !wants.unanswered.is_empty() {
        rows.push(("  no answer to".to_owned(), list(&wants.unanswered)));
    }
    if !wants.options.is_empty() {
        rows.push(("  agrees to".to_owned(), list(&wants.options)));
    }
    for (stage, names) in &wants.symbols {
        let names = match names.as_slice() {
            [] => "none".to_owned(),
            _ => names.join(" "),
        };
        rows.push((format!("  symbols at {stage}"), names));
    }
    rows
}

/// What skips a filter, apart from its listeners.
pub(super) fn passed_by(conditions: &Conditions) -> Vec<String> {
    let mut list = Vec::new();
    if conditions.skip_logins {
        list.push("logins".to_owned());
    }
    if conditions.skip_strangers {
        list.push("strangers".to_owned());
    }
    list.extend(conditions.skip_networks.iter().map(ToString::to_string));
    if let Some(limit) = conditions.skip_above {
        list.push(format!("above {}", output::size(limit)));
    }
    list
}

/// The word of the configuration.
pub(super) const fn on_failure(on_failure: OnFailure) -> &'static str {
    match on_failure {
        OnFailure::Accept => "accept",
        OnFailure::Tempfail => "tempfail",
        OnFailure::Reject => "reject",
        OnFailure::Hold => "hold",
    }
}

/// The word for an answer, as filters call it.
pub(super) const fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Continue => "continue",
        Verdict::Accept => "accept",
        Verdict::Reject => "reject",
        Verdict::Tempfail => "tempfail",
        Verdict::Discard => "discard",
        Verdict::Reply(_) => "reply",
        Verdict::ConnectionFailure => "connection failure",
        Verdict::Shutdown => "shutdown",
    }
}

/// A reply with its code, lines with ` / ` between.
pub(super) fn reply(reply: &ReplyCode) -> String {
    let enhanced = reply
        .enhanced()
        .map(|(class, subject, detail)| format!("{class}.{subject}.{detail} "));
    let text = reply.lines().join(" / ");
    format!("{} {}{text}", reply.code(), enhanced.unwrap_or_default())
}

/// A change, for programs.
#[derive(Debug, Default, Serialize)]
pub(super) struct Changed {
    /// The kind of change.
    pub(super) change: &'static str,
    /// The name of the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Which occurrence of that name, or where it is inserted.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    /// The value, everything after the colon; an address; a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// Parameters of `MAIL` or `RCPT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<String>,
    /// Octets of a new body.
    #[serde(skip_serializing_if = "Option::is_none")]
    octets: Option<u64>,
}

impl Changed {
    pub(super) fn of(change: &Change) -> Self {
        let text = |octets: &[u8]| Some(String::from_utf8_lossy(octets).into_owned());
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        match change {
            Change::AddField { name, value } => Self {
                change: "add field",
                field: Some(name.clone()),
                value: text(value),
                ..Self::default()
            },
            Change::InsertField { index, name, value } => Self {
                change: "insert field",
                field: Some(name.clone()),
                index: Some(*index),
                value: text(value),
                ..Self::default()
            },
            Change::ChangeField { index, name, value } => Self {
                change: "change field",
                field: Some(name.clone()),
                index: Some(*index),
                value: text(value),
                ..Self::default()
            },
            Change::DeleteField { index, name } => Self {
                change: "delete field",
                field: Some(name.clone()),
                index: Some(*index),
                ..Self::default()
            },
            Change::AddRecipient {
                recipient,
                parameters,
            } => Self {
                change: "add recipient",
                value: Some(recipient.clone()),
                parameters: given(parameters),
                ..Self::default()
            },
            Change::RemoveRecipient(recipient) => Self {
                change: "remove recipient",
                value: Some(recipient.clone()),
                ..Self::default()
            },
            Change::ChangeSender { sender, parameters } => Self {
                change: "change sender",
                value: Some(sender.clone()),
                parameters: given(parameters),
                ..Self::default()
            },
            Change::Quarantine(reason) => Self {
                change: "quarantine",
                value: Some(reason.clone()),
                ..Self::default()
            },
        }
    }

    pub(super) fn new_body(octets: u64) -> Self {
        Self {
            change: "replace body",
            octets: Some(octets),
            ..Self::default()
        }
    }

    /// On one line.
    pub(super) fn shown(&self) -> String {
        let value = self
            .value
            .as_deref()
            .map(|value| output::brief_text(&unfolded(value), VALUE_SHOWN));
        let value = value.unwrap_or_default();
        match (&self.field, self.index, self.octets) {
            (Some(field), None, _) => format!("{}: {field}:{value}", self.change),
            (Some(field), Some(index), _) => format!("{} {index}: {field}:{value}", self.change),
            (None, _, Some(octets)) => format!("{}: {octets} octets", self.change),
            (None, ..) => {
                let parameters = self.parameters.as_deref().unwrap_or_default();
                format!("{}: {value} {parameters}", self.change)
                    .trim_end()
                    .to_owned()
            }
        }
    }
}

/// A value on one line: each fold with its blanks becomes one blank.
fn unfolded(value: &str) -> String {
    let mut lines = value.split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |line, more| line + " " + more.trim_start())
}
