//! What is refused, by rule; and all rules with what they mean.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use postern_http::axum::response::Response;
use postern_policy::rule::{Rule, Says};
use postern_stats::{Day, sum};
use postern_web::{Cell, Field, Form, Input, Link, Section, Table, Tone, query};

use super::shown::plain;
use super::visit::{Content, Failed, Visit};
use crate::control::protocol::Request;

/// Days that can be looked back.
const SPANS: [(&str, &str); 4] = [
    ("1", "today"),
    ("2", "since yesterday"),
    ("7", "7 days"),
    ("30", "30 days"),
];

pub(super) async fn page(visit: Visit) -> Response {
    visit.answer(content(&visit).await)
}

async fn content(visit: &Visit) -> Result<Content, Failed> {
    let wanted = visit.query.get("days");
    let days = SPANS
        .iter()
        .find(|(days, _)| *days == wanted)
        .unwrap_or(&SPANS[1])
        .0;
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let before = days.parse::<i64>().unwrap_or(2) - 1;
    let asked = Request::Statistics {
        from: today.saturating_sub(before.days()),
        to: today,
    };
    let counted: Vec<Day> = visit.ask(asked).await?;
    let choices = SPANS
        .iter()
        .map(|(days, words)| ((*days).to_owned(), (*words).to_owned()));
    let span = Field::new(Input::OneOf(choices.collect()), "days", "Time").with(days);
    let form = Form {
        target: Some("refused".to_owned()),
        ..Form::get("/refusals", "", "Show", vec![span])
    };
    let sections = vec![
        Section::Form(form),
        Section::Table(refused_table(&counted, usize::MAX, "Refusals by rule")),
        Section::Table(reference()),
    ];
    Ok(Content::new("Refusals by rule", "/refusals", sections))
}

/// The rules that have refused most, each with its meaning and what to do about it.
pub(super) fn refused_table(days: &[Day], most: usize, caption: &str) -> Table {
    let mut table = Table::new(
        "refused",
        caption,
        &["rule", "#refusals", "what it means", "what to do"],
    );
    table.empty = "Nothing was refused.".to_owned();
    if days.is_empty() {
        return table;
    }
    let whole = sum(days);
    let names = whole.rules.names();
    let total: u64 = names.iter().map(|named| named.counts.refused).sum();
    table.status = format!("Refusals: {total}");
    for named in names.into_iter().take(most) {
        let rule = Rule::from_name(&named.name);
        table.row(vec![
            Link::new(
                query("/history", &[("rule", &named.name), ("sessions", "yes")]),
                named.name.as_str(),
            )
            .into(),
            named.counts.refused.into(),
            rule.map(|rule| plain(rule.meaning())).into(),
            rule.map(|rule| plain(rule.remedy())).into(),
        ]);
    }
    table
}

/// All rules.
fn reference() -> Table {
    let mut table = Table::new(
        "rules",
        "All rules",
        &[
            "rule",
            "decides",
            "what it means",
            "setting",
            "for another verdict",
        ],
    );
    table.about = "By these names a decision is told in the log, in listings and in the history.".to_owned();
    for rule in Rule::ALL {
        let (tone, word) = match rule.says() {
            Says::Yes => (Tone::Good, "allows"),
            Says::No => (Tone::Bad, "refuses"),
            Says::Note => (Tone::Plain, "notes"),
        };
        table.row(vec![
            rule.name().into(),
            Cell::Badge(tone, word.to_owned()),
            plain(rule.meaning()).into(),
            rule.setting().into(),
            plain(rule.remedy()).into(),
        ]);
    }
    table
}
