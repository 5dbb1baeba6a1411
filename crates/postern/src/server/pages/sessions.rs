//! Open sessions, and the story of one that was or is.

use postern_http::axum::extract::Path;
use postern_http::axum::response::Response;
use postern_web::{Cell, Field, Form, Link, Section, Table};

use super::fields::Fields;
use super::shown;
use super::story::{Stories, timeline};
use super::visit::{Content, Failed, Posted, Visit, done};
use crate::admin::requests::TraceRequest;
use crate::admin::{Problem, Role};
use crate::control::protocol::{PastSession, PastStep, Request, WhichSessions};
use crate::control::sessions::SessionLine;

/// Messages of one session that are shown of it.
const STORIES: u32 = 200;

pub(super) async fn page(visit: Visit) -> Response {
    visit.answer(list(&visit).await)
}

async fn list(visit: &Visit) -> Result<Content, Failed> {
    let which = WhichSessions {
        login: visit.query.some("login"),
        network: visit.query.some("network"),
        listener: visit.query.some("listener"),
    };
    let sessions: Vec<SessionLine> = visit.ask(Request::Sessions(which.clone())).await?;
    let own = visit.who.role == Role::Own;
    let text = |name: &str, label: &str, value: &Option<String>| {
        Field::text(name, label).with(value.clone().unwrap_or_default())
    };
    let fields = vec![
        text("login", "Login", &which.login),
        text("network", "Network", &which.network).help("192.0.2.0/24, or an address"),
        text("listener", "Listener", &which.listener),
    ];
    let form = Form {
        target: Some("sessions".to_owned()),
        ..Form::get("/sessions", "", "Find", fields.clone())
    };
    let mut sections = Vec::new();
    if !own {
        sections.push(Section::Form(form));
    }
    sections.push(Section::Table(table(&sessions)));
    if visit.may(&Request::EndSessions(WhichSessions::default())) && !sessions.is_empty() {
        let mut fields = if own { Vec::new() } else { fields };
        fields.push(Field::text("reason", "Reason, for the history"));
        let mut form = Form::post("/sessions/end", "End sessions", "End them", fields);
        form.about = match own {
            true => {
                "Ends all your open sessions. Mail that is not yet accepted is sent again by your program."
                    .to_owned()
            }
            false => {
                "All sessions that match all that is given end; with nothing given, every session: then you are asked first.".to_owned()
            }
        };
        form.danger = true;
        sections.push(Section::Form(form));
    }
    Ok(Content::new(
        if own { "My sessions" } else { "Sessions" },
        "/sessions",
        sections,
    ))
}

fn table(sessions: &[SessionLine]) -> Table {
    let columns = [
        "session",
        "since",
        "client",
        "listener",
        "login",
        "mechanism",
        "TLS",
    ];
    let mut table = Table::new("sessions", "Open sessions", &columns);
    table.status = format!("Open sessions: {}", sessions.len());
    table.empty = "No session is open.".to_owned();
    for one in sessions {
        let login = match (&one.login, &one.acts_as) {
            (Some(login), Some(other)) => Cell::from(format!("{login} as {other}")),
            (login, _) => login.clone().into(),
        };
        table.row(vec![
            shown::session(&one.session),
            shown::when(one.since),
            one.peer.as_str().into(),
            one.listener.as_str().into(),
            login,
            one.mechanism.clone().into(),
            one.tls.clone().into(),
        ]);
    }
    table
}

pub(super) async fn end(Posted { visit, form }: Posted) -> Response {
    let which = WhichSessions {
        login: form.some("login"),
        network: form.some("network"),
        listener: form.some("listener"),
    };
    // Whoever sees only their own ends only their own, as the form says.
    let is_all = visit.who.role > Role::Own && which == WhichSessions::default();
    if is_all && !form.ticked("sure") {
        return visit.answer(Ok(question(&form)));
    }
    match visit.act(&form, Request::EndSessions(which)).await {
        Ok(answer) => done("/sessions", "sessions", &answer),
        Err(failed) => visit.answer(Err(failed)),
    }
}

/// The page that asks whether every session is meant.
fn question(form: &Fields) -> Content {
    let fields = vec![
        Field::hidden("sure", "yes"),
        Field::text("reason", "Reason, for the history").with(form.get("reason")),
    ];
    let form = Form {
        about: "End all open sessions, of whatever login, network and listener? Mail that is not yet accepted is sent again by its client.".to_owned(),
        danger: true,
        ..Form::post("/sessions/end", "", "End all sessions", fields)
    };
    let sections = vec![
        Section::Form(form),
        Section::Links(vec![Link::new("/sessions", "No, back")]),
    ];
    Content::new("End all sessions?", "/sessions", sections)
}

pub(super) async fn one(visit: Visit, Path(id): Path<String>) -> Response {
    visit.answer(show(&visit, &id).await)
}

async fn show(visit: &Visit, id: &str) -> Result<Content, Failed> {
    let steps = match remembered(visit, id).await? {
        Some(steps) => steps,
        None => kept(visit, id).await?,
    };
    if steps.is_empty() {
        return Err(
            Problem::NotFound(format!("neither the server nor the history knows a session {id}")).into(),
        );
    }
    let sections = vec![Section::Timeline {
        title: "What happened".to_owned(),
        steps: timeline(&steps),
    }];
    Ok(Content::new(format!("Session {id}"), "/sessions", sections))
}

/// What the server itself remembers of it.
async fn remembered(visit: &Visit, id: &str) -> Result<Option<Vec<PastStep>>, Failed> {
    let asked = Request::Session {
        session: id.to_owned(),
    };
    if !visit.may(&asked) {
        return Ok(None);
    }
    match visit.ask::<PastSession>(asked).await {
        Ok(past) => Ok(Some(past.steps)),
        Err(Failed::Problem(Problem::NotFound(_))) => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// What the history on disk has of it and its mail.
async fn kept(visit: &Visit, id: &str) -> Result<Vec<PastStep>, Failed> {
    let asked = Request::Trace(TraceRequest {
        what: vec![format!("session={id}")],
        limit: Some(STORIES),
        sessions: true,
        ..TraceRequest::default()
    });
    let found: Stories = visit.ask(asked).await?;
    let mut steps: Vec<PastStep> = found.stories.into_iter().flat_map(|told| told.steps).collect();
    steps.sort_by_key(|step| step.at);
    Ok(steps)
}
