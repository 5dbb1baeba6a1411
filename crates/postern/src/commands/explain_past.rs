//! `postern explain --session`: the verdicts of a past session, one by one, as far as the running server remembers it or the
//! history on disk has it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use postern_policy::rule::{Rule, Says};
use serde::Serialize;
use serde_json::{Map, Value};

use super::explain::{Setting, setting_behind, table_in_reason};
use super::told::{said, what, why};
use crate::args::ExplainSessionArgs;
use crate::config::{Shown, Written};
use crate::control::protocol::{PastSession, PastStep, Request};
use crate::exit::{Exit, Failure};
use crate::{locate, output, visible};

/// A session with the meaning of its rules, and where their settings are now.
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
