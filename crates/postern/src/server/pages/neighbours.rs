//! Those that Postern works with: next hops, directories, mail filters, certificates and keys.

use postern_http::axum::response::Response;
use postern_web::{Cell, Field, Form, Section, Table, Tone};
use serde_json::Value;

use super::shown;
use super::visit::{Content, Failed, Posted, Visit, done};
use crate::config::{Shown, ShownKey};
use crate::control::findings::CERTIFICATE_SOON;
use crate::control::protocol::{DirectoryLine, Request};

pub(super) async fn destinations(visit: Visit) -> Response {
    visit.answer(list_destinations(&visit).await)
}

async fn list_destinations(visit: &Visit) -> Result<Content, Failed> {
    let all: Vec<Value> = visit.ask(Request::Destinations).await?;
    let columns = [
        "destination",
        "state",
        "#connections",
        "#at most",
        "#waiting",
        "#delivered",
        "last error",
        "DNS",
        "login",
    ];
    let mut table = Table::new("destinations", "Where mail goes", &columns);
    table.empty = "No mail has gone anywhere since the start.".to_owned();
    table.status = format!("Destinations: {}", all.len());
    for one in &all {
        let paused = !one["paused_until"].is_null();
        let state = match (paused, one["in_line"] == true, one["backlog"] == true) {
            (true, ..) => Cell::Many(vec![
                Cell::Badge(Tone::Bad, "paused until".to_owned()),
                shown::any("paused_until_at", &one["paused_until"]),
            ]),
            (false, true, _) => Cell::Badge(Tone::Warn, "waits for a connection".to_owned()),
            (false, false, true) => Cell::Badge(Tone::Warn, "more is due".to_owned()),
            _ => Cell::Badge(Tone::Good, "ok".to_owned()),
        };
        let error = match one["last_error"].as_array().map(Vec::as_slice) {
            Some([at, why]) => Cell::Many(vec![shown::any("last_error_at", at), shown::text(why).into()]),
            _ => shown::any("last_error", &one["last_error"]),
        };
        let number = |key: &str| shown::any(key, &one[key]);
        table.row(vec![
            shown::text(&one["destination"]).into(),
            state,
            number("connections"),
            number("window"),
            number("waiting"),
            number("delivered"),
            error,
            shown::text(&one["proof"]).into(),
            shown::any("login", &one["login"]),
        ]);
    }
    Ok(Content::new(
        "Destinations",
        "/destinations",
        vec![Section::Table(table)],
    ))
}

pub(super) async fn directories(visit: Visit) -> Response {
    visit.answer(list_directories(&visit).await)
}

async fn list_directories(visit: &Visit) -> Result<Content, Failed> {
    let all: Vec<DirectoryLine> = visit.ask(Request::Directories { check: false }).await?;
    let columns = ["directory", "state", "since", "asked", "failed", "why"];
    let mut table = Table::new("directories", "Directories of logins and recipients", &columns);
    table.empty = "No directory is configured.".to_owned();
    for one in &all {
        let at = |at: Option<jiff::Timestamp>| at.map_or(Cell::None, shown::when);
        table.row(vec![
            one.directory.as_str().into(),
            shown::badge(&one.state),
            at(one.since),
            at(one.asked_at),
            at(one.failed_at),
            one.last_error.clone().into(),
        ]);
    }
    let mut sections = vec![Section::Table(table)];
    if visit.may(&Request::Directories { check: true }) {
        let form = Form::post(
            "/directories",
            "Ask them all now",
            "Ask",
            vec![Field::hidden("act", "check")],
        );
        sections.push(Section::Form(form));
    }
    Ok(Content::new("Directories", "/directories", sections))
}

pub(super) async fn check(Posted { visit, form }: Posted) -> Response {
    match visit.act(&form, Request::Directories { check: true }).await {
        Ok(_) => done("/directories", "checked", &Value::Null),
        Err(failed) => visit.answer(Err(failed)),
    }
}

pub(super) async fn filters(visit: Visit) -> Response {
    visit.answer(list_filters(&visit).await)
}

async fn list_filters(visit: &Visit) -> Result<Content, Failed> {
    let shown: Shown = visit.ask(Request::Configuration).await?;
    let mut sections = Vec::new();
    for filter in shown.tables.iter().filter(|table| table.header == "[[milter]]") {
        let value = |key: &ShownKey| key.value.clone().or_else(|| key.absent.clone());
        let name = filter
            .keys
            .iter()
            .find(|key| key.key == "name" || key.key == "address");
        let title = name.and_then(|key| key.value.clone()).unwrap_or_default();
        sections.push(Section::Facts {
            title: format!("Mail filter {}", title.trim_matches('"')),
            rows: filter
                .keys
                .iter()
                .map(|key| (key.key.replace('_', " "), value(key).into()))
                .collect(),
        });
    }
    if sections.is_empty() {
        sections.push(Section::Note(
            "No mail filter is configured; `[[milter]]` names one.".to_owned(),
        ));
    }
    let failed = postern_web::query("/history", &[("what", "rule=milter.failed"), ("sessions", "yes")]);
    sections.push(Section::Links(vec![postern_web::Link::new(
        failed,
        "Messages whose filter failed",
    )]));
    Ok(Content::new("Filters", "/filters", sections))
}

pub(super) async fn certificates(visit: Visit) -> Response {
    visit.answer(list_certificates(&visit).await)
}

/// Days before its end on which a certificate should be renewed.
const SOON: i64 = CERTIFICATE_SOON / 86_400;

async fn list_certificates(visit: &Visit) -> Result<Content, Failed> {
    let all: Vec<Value> = visit.ask(Request::Certificates).await?;
    let columns = ["certificate", "names", "from", "until", "#days left", "state"];
    let mut table = Table::new("certificates", "Certificates in force", &columns);
    table.empty = "There is none: connections have no TLS.".to_owned();
    for one in &all {
        let left = one["days_left"].as_i64().unwrap_or_default();
        let (tone, word) = match left {
            ..0 => (Tone::Bad, "expired"),
            0..SOON => (Tone::Warn, "renew it"),
            _ => (Tone::Good, "ok"),
        };
        table.row(vec![
            shown::text(&one["file"]).into(),
            shown::text(&one["names"]).into(),
            shown::any("not_before_at", &one["not_before"]),
            shown::any("not_after_at", &one["not_after"]),
            Cell::Number(left.to_string()),
            Cell::Badge(tone, word.to_owned()),
        ]);
    }
    let domains: Vec<Value> = visit.ask(Request::Dkim).await?;
    let mut keys = Table::new("dkim", "Keys of signatures (DKIM)", &["domain", "name", "record"]);
    keys.empty = "No domain is signed for.".to_owned();
    for domain in &domains {
        for record in domain["records"].as_array().into_iter().flatten() {
            let name = record.get("name").map(shown::text).unwrap_or_default();
            let value = record
                .get("value")
                .or_else(|| record.get("record"))
                .unwrap_or(record);
            keys.row(vec![
                shown::text(&domain["domain"]).into(),
                name.into(),
                shown::text(value).into(),
            ]);
        }
    }
    Ok(Content::new(
        "Certificates and keys",
        "/certificates",
        vec![Section::Table(table), Section::Table(keys)],
    ))
}
