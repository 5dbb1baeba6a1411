//! `postern explain --session`: what a session that there was came to, verdict by verdict, as far as the running server remembers it or
//! the history on disk has it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use postern_policy::rule::{Rule, Says};
use serde::Serialize;
use serde_json::{Map, Value};

use super::explain::{Setting, setting_behind, table_in_reason};
use crate::args::ExplainSessionArgs;
use crate::config::{Shown, Written};
use crate::control::protocol::{PastSession, PastStep, Request};
use crate::exit::{Exit, Failure};
use crate::{locate, output, visible};

/// A session with what its rules mean, and where their settings stand now.
#[derive(Debug, Serialize)]
struct Course {
    session: String,
    left_out: u32,
    outcomes_left_out: u32,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Step {
    at: Timestamp,
    event: String,
    #[serde(flatten)]
    fields: Map<String, Value>,
    #[serde(flatten)]
    verdict: Option<Verdict>,
}

#[derive(Debug, Serialize)]
struct Verdict {
    allowed: bool,
    meaning: &'static str,
    remedy: &'static str,
    setting: Option<Setting>,
    #[serde(skip)]
    rule: Rule,
}

/// Asks the running server, and shows what it remembers.
pub(super) fn run(session: &str, args: &ExplainSessionArgs) -> Result<(), Failure> {
    let written = super::written(&locate::existing(&args.config)?)?;
    let asked = Request::Session {
        session: session.to_owned(),
    };
    let (remembered, shown) = match super::reach(&written)? {
        Some(mut client) => {
            let remembered = client.ask(&asked).and_then(read);
            (remembered, read(client.ask(&Request::Configuration)?)?)
        }
        None => (Err(no_server(&written)), written.shown().clone()),
    };
    let past: PastSession = match remembered {
        Ok(past) => past,
        // One that the server does not remember may be in the history on disk.
        Err(missing) if matches!(missing.exit, Exit::No | Exit::Unavailable) => {
            super::trace::session(&written, session)?.ok_or(missing)?
        }
        Err(failure) => return Err(failure),
    };
    let listener = past.steps.iter().find_map(|step| text(&step.fields, "listener"));
    let listener = listener.map(str::to_owned);
    let course = Course {
        session: past.session,
        left_out: past.left_out,
        outcomes_left_out: past.outcomes_left_out,
        steps: past
            .steps
            .into_iter()
            .map(|step| judged(step, listener.as_deref(), &shown))
            .collect(),
    };
    if args.json.json {
        return output::print_json(&course);
    }
    show(&course)
}

fn no_server(written: &Written) -> Failure {
    let text = format!(
        "no server runs on {}, and the history on disk has no such session: see the log",
        written.state_dir().display()
    );
    Failure::new(Exit::Unavailable, text)
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value)
        .map_err(|error| Failure::from_error(Exit::Software, "cannot understand the server's answer", &error))
}

/// A step with what its rule means.
fn judged(step: PastStep, listener: Option<&str>, shown: &Shown) -> Step {
    let PastStep { at, event, fields } = step;
    let rule = ["rule", "sender_rule"]
        .into_iter()
        .find_map(|key| Rule::from_name(text(&fields, key)?));
    let verdict = rule.map(|rule| {
        let reason = text(&fields, "reason").unwrap_or_default();
        let table = match rule.setting().starts_with("listener.") {
            true => listener.map(str::to_owned),
            false => table_in_reason(rule, reason),
        };
        Verdict {
            allowed: rule.says() != Says::No,
            meaning: rule.meaning(),
            remedy: rule.remedy(),
            setting: setting_behind(rule, table.as_deref(), shown),
            rule,
        }
    });
    Step {
        at,
        event,
        fields,
        verdict,
    }
}

fn text<'f>(fields: &'f Map<String, Value>, key: &str) -> Option<&'f str> {
    fields.get(key)?.as_str()
}

/// A field as text, a number too.
pub(super) fn said(fields: &Map<String, Value>, key: &str) -> Option<String> {
    match fields.get(key)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn show(course: &Course) -> Result<(), Failure> {
    let field = |key| course.steps.iter().find_map(|step| said(&step.fields, key));
    let mut head = format!("session {}", course.session);
    for (before, key) in [(" at ", "listener"), (" from ", "peer")] {
        if let Some(text) = field(key) {
            head.push_str(before);
            head.push_str(&text);
        }
    }
    if let Some(first) = course.steps.first() {
        head.push_str(&format!(", {:.0}", first.at));
    }
    output::print(&visible::line(&head))?;
    let rows = course.steps.iter().map(row).collect();
    output::print_table(
        &["time", "what happened", "allowed", "rule", "why", "setting now"],
        &[],
        &[0, 2],
        rows,
    )?;
    if course.left_out > 0 {
        output::print(&format!(
            "and {} more events, for which there was no room",
            course.left_out
        ))?;
    }
    if course.outcomes_left_out > 0 {
        output::print(&format!(
            "and {} earlier outcomes of its mail; `postern queue show ID` has the last one of each recipient",
            course.outcomes_left_out
        ))?;
    }
    let refused: BTreeSet<Rule> = course
        .steps
        .iter()
        .filter_map(|step| step.verdict.as_ref().filter(|verdict| !verdict.allowed))
        .map(|verdict| verdict.rule)
        .collect();
    for rule in refused {
        output::print(&format!(
            "{rule}: {}. What would change that: {}.",
            rule.meaning(),
            rule.remedy()
        ))?;
    }
    Ok(())
}

fn row(step: &Step) -> Vec<String> {
    let verdict = step.verdict.as_ref();
    vec![
        step.at.strftime("%H:%M:%S").to_string(),
        what(&step.event, &step.fields),
        verdict
            .map_or("", |verdict| if verdict.allowed { "yes" } else { "no" })
            .to_owned(),
        verdict.map_or_else(String::new, |verdict| verdict.rule.to_string()),
        why(&step.fields),
        verdict
            .and_then(|verdict| verdict.setting.as_ref())
            .map_or_else(String::new, ToString::to_string),
    ]
}

/// The reason of a verdict, or what a host has said.
pub(super) fn why(fields: &Map<String, Value>) -> String {
    let text = said(fields, "reason")
        .or_else(|| said(fields, "reply"))
        .unwrap_or_default();
    match (said(fields, "relay"), text.is_empty()) {
        (Some(relay), false) => format!("{relay}: {text}"),
        (Some(relay), true) => relay,
        (None, _) => text,
    }
}

/// What a client did, in the words of SMTP where there are any; or what became of its mail.
pub(super) fn what(event: &str, fields: &Map<String, Value>) -> String {
    let put = |before: &str, key: &str| {
        said(fields, key).map_or_else(String::new, |text| format!("{before}{text}"))
    };
    match event {
        "helo" => format!("HELO{}", put(" ", "helo")),
        "tls" => format!(
            "TLS{}{}{}{}",
            put(" ", "version"),
            put(" ", "cipher"),
            put(", certificate ", "verify"),
            put(" ", "certificate")
        ),
        "login" => format!(
            "AUTH{}{}{}",
            put(" ", "mechanism"),
            put(" as ", "login"),
            put(" for ", "acts_as")
        ),
        "sender" => format!("MAIL FROM:{}{}", put("", "from"), put(" SIZE=", "size")),
        "recipient" => format!("RCPT TO:{}", put("", "to")),
        "accepted" => format!(
            "message {} accepted{}{}",
            put("", "queue"),
            put(", octets: ", "size"),
            put(", recipients: ", "recipients")
        ),
        "filtered" => format!("message {} filtered{}", put("", "queue"), put(" by ", "milter")),
        "discarded" => format!(
            "message {} thrown away{}",
            put("", "queue"),
            put(" by ", "milter")
        ),
        "delivered" | "deferred" | "bounced" | "expired" => format!(
            "message {} {event}{}{}",
            put("", "queue"),
            put(" to ", "to"),
            put(", next try ", "until")
        ),
        "held" | "released" | "retried" | "flushed" | "removed" => {
            format!("message {} {event}{}", put("", "queue"), put(" by ", "by"))
        }
        "disconnect" => format!("end of the session{}", put(" after seconds: ", "seconds")),
        "refused" if fields.contains_key("mechanism") => {
            format!("AUTH{}{}", put(" ", "mechanism"), put(" as ", "login"))
        }
        "refused" if fields.contains_key("recipients") => {
            format!("message refused{}{}", put(", from ", "from"), put(" to ", "to"))
        }
        "refused" if fields.contains_key("to") => format!("RCPT TO:{}", put("", "to")),
        "refused" if fields.contains_key("from") => format!("MAIL FROM:{}", put("", "from")),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whose_words() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows  its fields                                                     what is shown
            ("a rule's reason",     json!({"reason": "relaying denied"}),                          "relaying denied"),
            ("a host's reply",      json!({"relay": "mx.d.example", "reply": "250 ok"}),           "mx.d.example: 250 ok"),
            ("our own words",       json!({"relay": "mx.d.example", "reason": "no connection"}),   "mx.d.example: no connection"),
            ("a Maildir",           json!({"relay": "/var/mail"}),                                 "/var/mail"),
            ("nothing",             json!({}),                                                     ""),
        ];
        for (shows, fields, want) in cases {
            assert_eq!(why(fields.as_object().unwrap()), want, "{shows}");
        }
    }

    #[test]
    fn what_a_client_did() {
        #[rustfmt::skip]
        let cases = [
            // event       its fields                                                         what is shown
            ("connect",    json!({"listener": "mx"}),                                         "connect"),
            ("helo",       json!({"helo": "client.example"}),                                 "HELO client.example"),
            ("tls",        json!({"version": "TLSv1.3", "cipher": "C", "verify": "NO"}),      "TLS TLSv1.3 C, certificate NO"),
            ("login",      json!({"mechanism": "PLAIN", "login": "ann"}),                     "AUTH PLAIN as ann"),
            ("sender",     json!({"from": "<a@b.example>", "size": 9}),                       "MAIL FROM:<a@b.example> SIZE=9"),
            ("recipient",  json!({"from": "<a@b.example>", "to": "<c@d.example>"}),           "RCPT TO:<c@d.example>"),
            ("refused",    json!({"from": "<a@b.example>", "to": "<c@d.example>"}),           "RCPT TO:<c@d.example>"),
            ("refused",    json!({"from": "<a@b.example>"}),                                  "MAIL FROM:<a@b.example>"),
            ("refused",    json!({"from": "<a@b.example>", "to": "<c@d.example>", "recipients": 1}), "message refused, from <a@b.example> to <c@d.example>"),
            ("refused",    json!({"mechanism": "PLAIN", "login": "eve"}),                     "AUTH PLAIN as eve"),
            ("refused",    json!({}),                                                         "refused"),
            ("filtered",   json!({"queue": "0CN", "milter": "scan"}),                         "message 0CN filtered by scan"),
            ("discarded",  json!({"queue": "0CN", "milter": "scan"}),                         "message 0CN thrown away by scan"),
            ("accepted",   json!({"queue": "0CN", "size": 5, "recipients": 2}),               "message 0CN accepted, octets: 5, recipients: 2"),
            ("delivered",  json!({"queue": "0CN", "to": "<c@d.example>"}),                    "message 0CN delivered to <c@d.example>"),
            ("deferred",   json!({"queue": "0CN", "to": "<c@d.example>", "until": "10:00"}),  "message 0CN deferred to <c@d.example>, next try 10:00"),
        ];
        for (event, fields, shown) in cases {
            let fields = fields.as_object().unwrap();
            assert_eq!(what(event, fields), shown);
        }
    }
}
