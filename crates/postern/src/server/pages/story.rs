//! What happened to a message or in a session, as a time line and in a line.

use postern_web::{Cell, Step, Tone, path};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::shown;
use crate::commands::told::{bare, what};
use crate::control::protocol::PastStep;

/// A story of the history.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Told {
    /// The message; none where it is a session's story.
    pub(super) queue: Option<String>,
    pub(super) session: Option<String>,
    pub(super) steps: Vec<PastStep>,
}

/// What a search found.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Stories {
    pub(super) stories: Vec<Told>,
    pub(super) more: bool,
    #[serde(default)]
    pub(super) not_read: Vec<String>,
}

/// What a story is about, in a line.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Brief {
    pub(super) who: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) outcome: String,
}

/// Outcomes of recipients.
const OUTCOMES: [&str; 5] = ["delivered", "deferred", "bounced", "expired", "removed"];

/// What else may have come of it, the most telling first.
const ENDS: [&str; 4] = ["discarded", "held", "accepted", "refused"];

fn field(fields: &Map<String, Value>, key: &str) -> String {
    fields.get(key).map(shown::text).unwrap_or_default()
}

/// The recipient; some events have it in brackets.
fn recipient(fields: &Map<String, Value>) -> String {
    bare(&field(fields, "to")).to_owned()
}

impl Told {
    /// In a line.
    pub(super) fn brief(&self) -> Brief {
        let first = |key: &str| {
            let found = self.steps.iter().map(|step| field(&step.fields, key));
            found
                .into_iter()
                .find(|text| !text.is_empty())
                .unwrap_or_default()
        };
        let mut to: Vec<String> = Vec::new();
        // A report goes to the sender.
        for step in self.steps.iter().filter(|step| step.event != "report") {
            let address = recipient(&step.fields);
            if !address.is_empty() && !to.contains(&address) {
                to.push(address);
            }
        }
        let login = first("login");
        Brief {
            who: if login.is_empty() { first("peer") } else { login },
            from: first("from"),
            to: match to.as_slice() {
                [first, rest @ ..] if !rest.is_empty() => format!("{first} and {} more", rest.len()),
                all => all.concat(),
            },
            outcome: self.outcome(),
        }
    }

    /// The last outcome of each recipient, or what else came of it.
    fn outcome(&self) -> String {
        let mut last: Vec<(String, &str)> = Vec::new();
        for step in self
            .steps
            .iter()
            .filter(|step| OUTCOMES.contains(&step.event.as_str()))
        {
            let to = recipient(&step.fields);
            match last.iter_mut().find(|(one, _)| *one == to) {
                Some((_, word)) => *word = &step.event,
                None => last.push((to, &step.event)),
            }
        }
        let mut words: Vec<&str> = last.into_iter().map(|(_, word)| word).collect();
        words.sort_unstable();
        words.dedup();
        if !words.is_empty() {
            return words.join(", ");
        }
        let is_there = |word: &&str| self.steps.iter().any(|step| step.event == **word);
        ENDS.into_iter().find(is_there).unwrap_or_default().to_owned()
    }

    /// The time of its first event.
    pub(super) fn began(&self) -> Cell {
        self.steps.first().map_or(Cell::None, |step| shown::when(step.at))
    }
}

fn tone(event: &str) -> Tone {
    match event {
        "delivered" | "accepted" | "login" | "released" => Tone::Good,
        "deferred" | "held" | "locked out" | "retried" => Tone::Warn,
        "refused" | "bounced" | "expired" | "removed" | "discarded" => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// The value of a field; ids lead on to their pages.
fn value(key: &str, value: &Value) -> Cell {
    let text = shown::text(value);
    let link = |area: &str| postern_web::Link::new(path(&[area, &text]), text.as_str()).into();
    match key {
        "queue" | "report" if text.bytes().all(|octet| octet.is_ascii_alphanumeric()) && text.len() > 6 => {
            link("queue")
        }
        "session" => link("sessions"),
        "until" => shown::any(key, value),
        _ => Cell::from(text),
    }
}

/// What happened, one after the other.
pub(super) fn timeline(steps: &[PastStep]) -> Vec<Step> {
    let step = |step: &PastStep| Step {
        at: shown::moment(step.at),
        event: what(&step.event, &step.fields),
        tone: tone(&step.event),
        fields: step
            .fields
            .iter()
            .filter(|(_, one)| !one.is_null())
            .map(|(key, one)| (shown::words(key), value(key, one)))
            .collect(),
    };
    steps.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(steps: &[(&str, Value)]) -> Told {
        let steps = steps.iter().map(|(event, fields)| {
            json!({ "at": "2026-12-01T10:00:00Z", "event": event })
                .as_object()
                .map(|step| {
                    let mut step = step.clone();
                    step.extend(fields.as_object().cloned().unwrap_or_default());
                    step
                })
        });
        let steps: Vec<_> = steps.collect();
        serde_json::from_value(json!({ "queue": "Q", "session": "1-2", "class": "users", "steps": steps }))
            .unwrap()
    }

    #[test]
    fn a_story_in_a_line() {
        let accepted = ("accepted", json!({"login": "anna", "from": "<a@b.example>"}));
        let to = |event: &'static str, to: &str| (event, json!({ "to": to }));
        #[rustfmt::skip]
        let cases = [
            // what the case shows    events                                                              to               outcome
            ("taken only",            vec![accepted.clone()],                                             "",              "accepted"),
            ("one recipient",         vec![accepted.clone(), to("delivered", "<x@y>")],                   "x@y",           "delivered"),
            ("tried again",           vec![accepted.clone(), to("deferred", "<x@y>"), to("delivered", "<x@y>")], "x@y",    "delivered"),
            ("different ends",        vec![accepted.clone(), to("delivered", "<x@y>"), to("bounced", "<z@y>")], "x@y and 1 more", "bounced, delivered"),
            ("refused",               vec![to("refused", "<x@y>")],                                       "x@y",           "refused"),
            ("with a report",         vec![accepted.clone(), to("bounced", "x@y"), to("bounced", "<x@y>"), to("report", "<a@b.example>")], "x@y", "bounced"),
        ];
        for (shows, events, to, outcome) in cases {
            let brief = told(&events).brief();
            assert_eq!(
                (brief.to.as_str(), brief.outcome.as_str()),
                (to, outcome),
                "{shows}"
            );
        }
        assert_eq!(told(&[accepted]).brief().who, "anna");
    }
}
