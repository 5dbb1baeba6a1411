//! The configuration in force, each key with what it means.

use postern_http::axum::response::Response;
use postern_web::{Cell, Field, Form, Input, Section, Table, Tone};

use super::shown::plain;
use super::visit::{Content, Failed, Posted, Visit, done};
use crate::config::{Shown, meaning};
use crate::control::protocol::Request;

pub(super) async fn page(visit: Visit) -> Response {
    visit.answer(show(&visit).await)
}

async fn show(visit: &Visit) -> Result<Content, Failed> {
    let shown: Shown = visit.ask(Request::Configuration).await?;
    let all = visit.query.ticked("all");
    let words = visit.query.get("find").to_lowercase();
    let fields = vec![
        Field::text("find", "Key or meaning").with(visit.query.get("find")),
        Field::new(Input::Tick, "all", "Defaults, too").with(if all { "yes" } else { "" }),
    ];
    let form = Form {
        target: Some("keys".to_owned()),
        ..Form::get("/configuration", "", "Find", fields)
    };
    let mut table = Table::new(
        "keys",
        "Keys in force",
        &["key", "table", "value", "what it means", "written in"],
    );
    table.about =
        "No value is a secret: those stand in files, of which the configuration has the path.".to_owned();
    table.empty = "No key fits.".to_owned();
    rows(&shown, all, &words, &mut table);
    table.status = format!("Keys: {}", table.rows.len());
    let mut sections = vec![Section::Form(form), Section::Table(table)];
    if visit.may(&Request::Reload) {
        let mut form = Form::post(
            "/configuration",
            "Read the files again",
            "Reload",
            vec![Field::text("reason", "Reason, for the history")],
        );
        form.about = "A file with mistakes changes nothing; they are shown.".to_owned();
        sections.push(Section::Form(form));
    }
    Ok(Content::new("Configuration", "/configuration", sections))
}

fn rows(table: &Shown, all: bool, words: &str, into: &mut Table) {
    for key in table.keys.iter().filter(|key| all || key.changed) {
        let about = meaning(&table.header, &key.key)
            .map(|text| plain(&text))
            .unwrap_or_default();
        let fits = |text: &str| text.to_lowercase().contains(words);
        if !(words.is_empty() || fits(&key.key) || fits(&table.header) || fits(&about)) {
            continue;
        }
        let value = match (&key.value, &key.absent) {
            (Some(value), _) => Cell::from(value.as_str()),
            (None, Some(absent)) => Cell::from(plain(&format!("not set: {absent}"))),
            (None, None) => Cell::None,
        };
        let place = match &key.place {
            Some((file, line)) => Cell::from(format!("{file}:{line}")),
            None => Cell::Badge(Tone::Plain, "default".to_owned()),
        };
        let header = if table.header.is_empty() {
            "top level"
        } else {
            &table.header
        };
        into.row(vec![
            key.key.as_str().into(),
            header.into(),
            value,
            about.into(),
            place,
        ]);
    }
    for below in &table.tables {
        rows(below, all, words, into);
    }
}

pub(super) async fn act(Posted { visit, form }: Posted) -> Response {
    match visit.act(&form, Request::Reload).await {
        Ok(answer) => match answer["warnings"].as_array() {
            Some(warnings) if !warnings.is_empty() => visit.answer(Ok(warned(warnings))),
            _ => done("/configuration", "reload", &answer),
        },
        Err(failed) => visit.answer(Err(failed)),
    }
}

fn warned(warnings: &[serde_json::Value]) -> Content {
    let lines = warnings.iter().flat_map(|one| {
        super::shown::text(one)
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    let sections = vec![
        Section::Verdict {
            tone: Tone::Warn,
            text: "The configuration was read again and is in force, with warnings.".to_owned(),
        },
        Section::Text {
            title: "Warnings".to_owned(),
            lines: lines.collect(),
        },
    ];
    Content::new("Configuration", "/configuration", sections)
}
