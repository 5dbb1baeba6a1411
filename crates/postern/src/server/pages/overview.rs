//! The first page: is all well, how much mail there is, what waits, what is refused and why.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use postern_http::axum::response::Response;
use postern_stats::{Counts, Day};
use postern_web::{Bar, Cell, Chart, Found, Link, Section, Table, Tile, Tone};

use super::rules::refused_table;
use super::shown;
use super::visit::{Content, Failed, Visit, see};
use crate::admin::Role;
use crate::control::findings::Verdict;
use crate::control::protocol::{Request, Status};
use crate::output;

/// Hours that the picture shows.
const HOURS: usize = 24;

/// Rules that are shown here; the page of refusals has them all.
const RULES: usize = 8;

pub(super) async fn page(visit: Visit) -> Response {
    if visit.who.role == Role::Own {
        return see("/queue");
    }
    visit.answer(content(&visit).await)
}

async fn content(visit: &Visit) -> Result<Content, Failed> {
    let status: Status = visit.ask(Request::Status).await?;
    let now = Timestamp::now().to_zoned(TimeZone::UTC).datetime();
    let asked = Request::Statistics {
        from: now.date().saturating_sub(1.day()),
        to: now.date(),
    };
    let days: Vec<Day> = visit.ask(asked).await?;
    let mut sections = vec![verdict(&status)];
    if !status.findings.is_empty() {
        sections.push(Section::Findings(status.findings.iter().map(found).collect()));
    }
    let hours = last_hours(&days, now);
    sections.push(Section::Tiles(tiles(&status, &hours)));
    sections.push(Section::Chart(Chart {
        caption: "Messages in the last 24 hours".to_owned(),
        series: ["accepted".to_owned(), "refused".to_owned()],
        bars: hours
            .iter()
            .map(|(label, counts)| Bar {
                label: label.clone(),
                counts: [counts.accepted, counts.refused],
            })
            .collect(),
    }));
    sections.push(Section::Table(refused_table(
        &days,
        RULES,
        "Refused since yesterday, and why",
    )));
    sections.push(Section::Links(vec![Link::new(
        "/refusals",
        "All refusals by rule",
    )]));
    sections.push(Section::Table(connections(&status)));
    sections.push(Section::Facts {
        title: "Server".to_owned(),
        rows: facts(&status),
    });
    Ok(Content {
        live: true,
        ..Content::new("Overview", "/", sections)
    })
}

const fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Ok => Tone::Good,
        Verdict::Warning => Tone::Warn,
        Verdict::Critical => Tone::Bad,
    }
}

fn verdict(status: &Status) -> Section {
    let text = match (status.verdict, status.findings.len()) {
        (Verdict::Ok, _) => "All is well.".to_owned(),
        (Verdict::Warning, 1) => "One thing needs a look.".to_owned(),
        (Verdict::Warning, many) => format!("{many} things need a look."),
        (Verdict::Critical, _) => "Somebody has to act now.".to_owned(),
    };
    Section::Verdict {
        tone: tone(status.verdict),
        text,
    }
}

fn found(finding: &crate::control::findings::Finding) -> Found {
    Found {
        tone: tone(finding.verdict),
        problem: finding.problem.clone(),
        remedy: finding.remedy.clone(),
    }
}

fn tiles(status: &Status, hours: &[(String, Counts)]) -> Vec<Tile> {
    let sum = |part: fn(&Counts) -> u64| hours.iter().map(|(_, counts)| part(counts)).sum::<u64>();
    let tile = |label: &str, value: String, tone, href: &str| Tile {
        label: label.to_owned(),
        value,
        tone,
        href: Some(href.to_owned()).filter(|href| !href.is_empty()),
    };
    let queue = &status.queue;
    let bad_if = |bad: bool, tone| if bad { tone } else { Tone::Plain };
    let age = status.oldest_s.map_or_else(
        || "–".to_owned(),
        |age| output::span(i64::try_from(age).unwrap_or(i64::MAX)),
    );
    let mut tiles = vec![
        tile(
            "messages in the queue",
            queue.messages.to_string(),
            Tone::Plain,
            "/queue",
        ),
        tile(
            "recipients that wait",
            queue.recipients.to_string(),
            Tone::Plain,
            "/queue",
        ),
        tile(
            "messages on hold",
            queue.held.to_string(),
            bad_if(queue.held > 0, Tone::Warn),
            "/queue?held=yes",
        ),
        tile(
            "damaged",
            queue.damaged.to_string(),
            bad_if(queue.damaged > 0, Tone::Bad),
            "/queue?held=yes",
        ),
        tile("age of the oldest", age, Tone::Plain, ""),
        tile(
            "sessions now",
            status.sessions.to_string(),
            Tone::Plain,
            "/sessions",
        ),
        tile(
            "accepted in 24 hours",
            sum(|counts| counts.accepted).to_string(),
            Tone::Plain,
            "",
        ),
        tile(
            "delivered in 24 hours",
            sum(|counts| counts.delivered).to_string(),
            Tone::Plain,
            "",
        ),
        tile(
            "deferrals in 24 hours",
            sum(|counts| counts.deferred).to_string(),
            Tone::Plain,
            "/destinations",
        ),
        tile(
            "refused in 24 hours",
            sum(|counts| counts.refused).to_string(),
            Tone::Plain,
            "/refusals",
        ),
    ];
    if queue.sandboxed > 0 {
        tiles.push(tile(
            "in the sandbox",
            queue.sandboxed.to_string(),
            Tone::Plain,
            "/queue?sandboxed=yes",
        ));
    }
    tiles
}

/// The hours up to now, the oldest first, each with what there was.
fn last_hours(days: &[Day], now: DateTime) -> Vec<(String, Counts)> {
    let back = |hours: usize| {
        let hours = i64::try_from(hours).unwrap_or(0);
        now.saturating_sub(SignedDuration::from_hours(hours))
    };
    let hours = (0..HOURS).rev().map(back);
    hours
        .map(|at| {
            let day = days.iter().find(|day| day.date == at.date());
            let hour = usize::try_from(at.hour()).unwrap_or(0);
            let counts = day
                .and_then(|day| day.hours.get(hour))
                .copied()
                .unwrap_or_default();
            (format!("{:02}:00", at.hour()), counts)
        })
        .collect()
}

fn connections(status: &Status) -> Table {
    let columns = ["mail", "#connections", "#always has", "#at most", "state"];
    let mut table = Table::new("connections", "Connections to other hosts", &columns);
    for places in &status.connections {
        let value = serde_json::to_value(places).unwrap_or_default();
        let state = if places.short { "warning" } else { "ok" };
        table.row(vec![
            Cell::from(places.class.as_str()),
            shown::any("connections", &value["connections"]),
            shown::any("reserved", &value["reserved"]),
            shown::any("most", &value["most"]),
            shown::badge(state),
        ]);
    }
    table
}

fn facts(status: &Status) -> Vec<(String, Cell)> {
    let up = status.directories.iter().filter(|one| one.state == "up").count();
    vec![
        ("Version".to_owned(), status.version.as_str().into()),
        ("Started".to_owned(), shown::when(status.started_at)),
        ("Process".to_owned(), status.process.to_string().into()),
        (
            "Sessions".to_owned(),
            format!("{} of {}", status.sessions, status.sessions_max).into(),
        ),
        (
            "Directories that answer".to_owned(),
            format!("{up} of {}", status.directories.len()).into(),
        ),
        (
            "Size of the queue".to_owned(),
            output::size(status.queue.size).into(),
        ),
        (
            "Free on its disk".to_owned(),
            status.disk_free.map(output::size).into(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, datetime};

    use super::*;

    #[test]
    fn the_last_hours_go_over_midnight() {
        let counted = |accepted| Counts {
            accepted,
            ..Counts::default()
        };
        let mut yesterday = Day::new(date(2026, 11, 30));
        yesterday.hours[2] += counted(1);
        yesterday.hours[3] += counted(2);
        yesterday.hours[23] += counted(4);
        let mut today = Day::new(date(2026, 12, 1));
        today.hours[2] += counted(8);
        let hours = last_hours(&[yesterday, today], datetime(2026, 12, 1, 2, 59, 0, 0));
        assert_eq!(hours.len(), 24);
        assert_eq!((hours[0].0.as_str(), hours[0].1.accepted), ("03:00", 2));
        assert_eq!((hours[20].0.as_str(), hours[20].1.accepted), ("23:00", 4));
        assert_eq!((hours[23].0.as_str(), hours[23].1.accepted), ("02:00", 8));
        assert_eq!(hours.iter().map(|(_, counts)| counts.accepted).sum::<u64>(), 14);
        assert!(
            last_hours(&[], datetime(2026, 12, 1, 2, 0, 0, 0))
                .iter()
                .all(|(_, counts)| counts.accepted == 0)
        );
    }
}
