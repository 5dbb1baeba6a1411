//! The history, searched.

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use postern_history::OUTCOMES;
use postern_http::axum::response::Response;
use postern_web::{Field, Form, Input, Section, Table};

use super::fields::Fields;
use super::shown;
use super::story::Stories;
use super::visit::{Content, Failed, Visit};
use crate::admin::Role;
use crate::admin::requests::TraceRequest;
use crate::control::protocol::Request;

/// Stories in one answer.
const STORIES: u32 = 100;

pub(super) async fn page(visit: Visit) -> Response {
    visit.answer(search(&visit).await)
}

async fn search(visit: &Visit) -> Result<Content, Failed> {
    let query = &visit.query;
    let own = visit.who.role == Role::Own;
    let form = Form {
        target: Some("stories".to_owned()),
        ..Form::get("/history", "", "Search", fields(query, own))
    };
    let found: Stories = visit.ask(Request::Trace(wanted(query)?)).await?;
    let mut sections = vec![Section::Form(form), Section::Table(table(&found))];
    if !found.not_read.is_empty() {
        sections.push(Section::Note(format!(
            "Cannot read: {}",
            found.not_read.join(", ")
        )));
    }
    Ok(Content::new(
        if own { "My history" } else { "History" },
        "/history",
        sections,
    ))
}

fn fields(query: &Fields, own: bool) -> Vec<Field> {
    let text = |name: &str, label: &str| Field::text(name, label).with(query.get(name));
    let mut outcomes = vec![(String::new(), "any".to_owned())];
    outcomes.extend(
        OUTCOMES
            .iter()
            .map(|word| ((*word).to_owned(), (*word).to_owned())),
    );
    let mut fields = vec![
        text("what", "What").help(
            "An address, domain, Message-ID, queue id, session or client; several with blanks between them",
        ),
        text("address", "Address"),
        text("client", "Client").help("192.0.2.7, or a network"),
        Field::new(Input::OneOf(outcomes), "outcome", "Outcome").with(query.get("outcome")),
        text("rule", "Rule"),
        text("since", "Since").help("2026-12-01, or 2026-12-01 14:30"),
        text("until", "Until"),
        Field::new(Input::Tick, "sessions", "Sessions without a refusal, too").with(query.get("sessions")),
    ];
    if !own {
        fields.insert(1, text("login", "Login"));
    }
    fields
}

fn wanted(query: &Fields) -> Result<TraceRequest, Failed> {
    let client = query.some("client").map(|text| network(&text)).transpose()?;
    Ok(TraceRequest {
        what: query.get("what").split_whitespace().map(str::to_owned).collect(),
        login: query.some("login"),
        client,
        address: query.some("address"),
        outcome: query.some("outcome"),
        rule: query.some("rule"),
        since: query.some("since").map(|text| moment(&text, false)).transpose()?,
        until: query.some("until").map(|text| moment(&text, true)).transpose()?,
        limit: Some(STORIES),
        sessions: query.ticked("sessions"),
    })
}

pub(super) fn network(text: &str) -> Result<IpNet, Failed> {
    let address = text.parse::<std::net::IpAddr>().map(IpNet::from);
    let network = address.or_else(|_| text.parse::<IpNet>());
    network.map_err(|_| {
        Failed::bad(format!(
            "{text:?} is neither an address nor a network such as 192.0.2.0/24"
        ))
    })
}

/// A day or a moment in UTC. A day alone means its beginning, or its last second where it ends something.
fn moment(text: &str, is_end: bool) -> Result<Timestamp, Failed> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let day = |day: Date| match is_end {
        true => day.at(23, 59, 59, 999_999_999),
        false => day.at(0, 0, 0, 0),
    };
    let text = text.trim();
    let at = match text.len() {
        0..=10 => text.parse::<Date>().map(day),
        _ => text.parse::<DateTime>(),
    };
    let at = at.and_then(|at| at.to_zoned(TimeZone::UTC));
    at.map(|at| at.timestamp()).map_err(|_| {
        Failed::bad(format!(
            "{text:?} is no time: write 2026-12-01, or 2026-12-01 14:30"
        ))
    })
}

fn table(found: &Stories) -> Table {
    let columns = ["message or session", "time", "who", "from", "to", "outcome"];
    let mut table = Table::new("stories", "What was found, newest first", &columns);
    table.empty = "Nothing in the history fits.".to_owned();
    table.status = match (found.stories.len(), found.more) {
        (many, true) => {
            format!("The newest {many}; there are more. Name a time, or more of what you look for.")
        }
        (many, false) => format!("Found: {many}"),
    };
    for told in &found.stories {
        let brief = told.brief();
        let id = match (&told.queue, &told.session) {
            (Some(queue), _) => shown::message(queue),
            (None, Some(session)) => shown::session(session),
            (None, None) => "a client without a session".into(),
        };
        table.row(vec![
            id,
            told.began(),
            brief.who.into(),
            brief.from.into(),
            brief.to.into(),
            shown::badge(&brief.outcome),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_type_them() {
        #[rustfmt::skip]
        let cases = [
            ("2026-12-01",           false, Some("2026-12-01T00:00:00Z")),
            ("2026-12-01",           true,  Some("2026-12-01T23:59:59.999999999Z")),
            ("2026-12-01 14:30",     true,  Some("2026-12-01T14:30:00Z")),
            ("2026-12-01T14:30:00Z", false, Some("2026-12-01T14:30:00Z")),
            ("yesterday",            false, None),
            ("2026-13-01",           false, None),
        ];
        for (text, is_end, want) in cases {
            let got = moment(text, is_end).ok().map(|at| at.to_string());
            assert_eq!(got.as_deref(), want, "{text}");
        }
        assert!(network("192.0.2.7").is_ok() && network("2001:db8::/32").is_ok() && network("x").is_err());
    }
}
