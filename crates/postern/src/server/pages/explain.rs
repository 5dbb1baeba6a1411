//! What would come of a session: the rules one after the other, as `postern explain` goes through them.

use postern_http::axum::response::Response;
use postern_web::{Cell, Field, Form, Section, Table, Tone};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::shown;
use super::visit::{Content, Failed, Visit};
use crate::admin::{Problem, Role};
use crate::args::ExplainSessionArgs;
use crate::commands::explain::for_page;

/// Explanations under way at once: each opens directories of its own.
static PLACES: Semaphore = Semaphore::const_new(2);

/// Most recipients.
const RECIPIENTS_MAX: usize = 20;

pub(super) async fn page(visit: Visit) -> Response {
    visit.answer(show(&visit).await)
}

/// The fields of the form: the option, its label, a word of help.
const FIELDS: [(&str, &str, &str); 8] = [
    ("peer", "Client", "Its address: 192.0.2.7"),
    (
        "listener",
        "Listener",
        "By its name or address; empty for the first",
    ),
    ("helo", "HELO", "Empty for client.example"),
    ("login", "Login", "Empty for none"),
    ("mechanism", "Mechanism", "Empty for the first that is open"),
    ("from", "Sender", "Empty for <>"),
    ("to", "Recipients", "Several with blanks between them"),
    ("size", "Size", "Octets"),
];

async fn show(visit: &Visit) -> Result<Content, Failed> {
    if visit.who.role < Role::Read {
        return Err(Problem::Forbidden("this takes the role \"read\"".to_owned()).into());
    }
    let query = &visit.query;
    let field = |(name, label, help): (&str, &str, &str)| {
        let field = Field::text(name, label).with(query.get(name)).help(help);
        match name {
            "peer" | "to" => field.required(),
            _ => field,
        }
    };
    let mut form = Form::get("/explain", "", "Explain", FIELDS.into_iter().map(field).collect());
    form.about =
        "Goes through a session without one: nothing is taken, and nothing is sent. Directories and name servers are asked.".to_owned();
    let mut sections = vec![Section::Form(form)];
    if !query.get("peer").is_empty() {
        sections.extend(answer(visit).await?);
    }
    Ok(Content::new("Explain", "/explain", sections))
}

async fn answer(visit: &Visit) -> Result<Vec<Section>, Failed> {
    let mut given: Vec<(&'static str, String)> = Vec::new();
    for (name, ..) in FIELDS.into_iter().filter(|(name, ..)| *name != "to") {
        given.push((name, visit.query.get(name).to_owned()));
    }
    let to = visit.query.get("to").split_whitespace().take(RECIPIENTS_MAX);
    given.extend(to.map(|to| ("to", to.to_owned())));
    let args = ExplainSessionArgs::of_form(&given).map_err(Failed::bad)?;
    let path = visit.service.deps().config_path.clone();
    let place = PLACES.acquire().await;
    let explain = move || {
        // The work goes on even if the browser has gone away, and so does its place.
        let _place = place;
        for_page(&path, &args)
    };
    let explained = tokio::task::spawn_blocking(explain).await;
    let explained = explained.map_err(|gone| Problem::Failed(gone.to_string()))?;
    Ok(sections(&explained.map_err(Failed::bad)?))
}

fn sections(explained: &Value) -> Vec<Section> {
    let allowed = explained["allowed"] == true;
    let decided = shown::text(&explained["decided"]);
    let client = explained["client"].as_object().into_iter().flatten();
    let mut table = Table::new(
        "steps",
        "Rule by rule",
        &["command", "answer", "rule", "reason", "setting"],
    );
    for step in explained["steps"].as_array().into_iter().flatten() {
        let (tone, word) = match step["allowed"] == true {
            true => (Tone::Good, "yes"),
            false => (Tone::Bad, "no"),
        };
        let setting = &step["setting"];
        let place = match (shown::text(&setting["file"]), shown::text(&setting["line"])) {
            (file, _) if file.is_empty() => String::new(),
            (file, line) => format!("{file}:{line}"),
        };
        let parts = [shown::text(&setting["key"]), place].into_iter();
        table.row(vec![
            shown::text(&step["command"]).into(),
            Cell::Badge(tone, word.to_owned()),
            shown::text(&step["rule"]).into(),
            shown::text(&step["reason"]).into(),
            Cell::Many(parts.filter(|text| !text.is_empty()).map(Cell::from).collect()),
        ]);
    }
    vec![
        Section::Verdict {
            tone: if allowed { Tone::Good } else { Tone::Bad },
            text: match allowed {
                true => format!("The message would be taken ({decided})."),
                false => format!("It would be refused ({decided})."),
            },
        },
        Section::Table(table),
        Section::Facts {
            title: "The client".to_owned(),
            rows: client
                .map(|(name, value)| (shown::words(name), shown::any(name, value)))
                .collect(),
        },
    ]
}
