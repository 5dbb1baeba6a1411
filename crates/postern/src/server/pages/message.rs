//! One message: what it is, its recipients, what happened to it, its content.

use futures_util::stream;
use postern_http::axum::body::Body;
use postern_http::axum::extract::Path;
use postern_http::axum::http::header;
use postern_http::axum::response::{IntoResponse as _, Response};
use postern_web::{Cell, Field, Form, Link, Section, Table, Tone, path};

use super::queue::state;
use super::shown;
use super::story::{Stories, timeline};
use super::visit::{Content, Failed, Visit};
use crate::admin::Problem;
use crate::admin::requests::TraceRequest;
use crate::control::protocol::{MessageLine, MessageView, Operation, RecipientView, Request, Which};

/// Stories that are looked at: those of its reports have its id, too, and are later.
const STORIES: u32 = 100;

/// Octets of the content in which the header is looked for.
const HEADER_MAX: usize = 64 << 10;

pub(super) async fn page(visit: Visit, Path(id): Path<String>) -> Response {
    visit.answer(show(&visit, &id).await)
}

async fn show(visit: &Visit, id: &str) -> Result<Content, Failed> {
    let asked = Request::Queue(Operation::Show { id: id.to_owned() });
    let view: Result<MessageView, Failed> = visit.ask(asked).await;
    let story = story(visit, id).await?;
    let mut sections = match view {
        Ok(view) => in_queue(visit, &view).await,
        // It has left the queue; what happened to it is known still.
        Err(Failed::Problem(Problem::NotFound(_))) if !story.stories.is_empty() => {
            vec![Section::Note(
                "This message is not in the queue any more.".to_owned(),
            )]
        }
        Err(failed) => return Err(failed),
    };
    let steps = story
        .stories
        .iter()
        .flat_map(|told| &told.steps)
        .cloned()
        .collect::<Vec<_>>();
    let session = story.stories.iter().find_map(|told| told.session.clone());
    if let Some(session) = session {
        let link = Link::new(
            path(&["sessions", &session]),
            format!("The session {session} that brought it"),
        );
        sections.push(Section::Links(vec![link]));
    }
    sections.push(match steps.is_empty() {
        true => Section::Note("The history has nothing of this message.".to_owned()),
        false => Section::Timeline {
            title: "What happened".to_owned(),
            steps: timeline(&steps),
        },
    });
    Ok(Content::new(format!("Message {id}"), "/queue", sections))
}

async fn story(visit: &Visit, id: &str) -> Result<Stories, Failed> {
    let asked = Request::Trace(TraceRequest {
        what: vec![format!("queue={id}")],
        limit: Some(STORIES),
        ..TraceRequest::default()
    });
    if !visit.may(&asked) {
        return Ok(Stories::default());
    }
    let mut found: Stories = visit.ask(asked).await?;
    found.stories.retain(|told| told.queue.as_deref() == Some(id));
    Ok(found)
}

async fn in_queue(visit: &Visit, view: &MessageView) -> Vec<Section> {
    let line = &view.line;
    let mut facts = vec![
        ("State".to_owned(), state(line)),
        ("Sender".to_owned(), shown::sender(&line.sender)),
        (
            "Login".to_owned(),
            line.login.as_deref().map(shown::account).unwrap_or(Cell::None),
        ),
        ("Received".to_owned(), shown::when(line.received_at)),
        ("Size".to_owned(), crate::output::size(line.size).into()),
    ];
    if !line.is_sandboxed() {
        facts.push(("Next try".to_owned(), shown::when(line.next_due)));
    }
    let optional = [
        ("On hold", &line.hold),
        ("Rule", &line.hold_rule),
        ("Mail filter", &line.hold_milter),
        ("Damaged", &line.damaged),
        ("Envelope id", &view.envid),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            facts.push((name.to_owned(), value.as_str().into()));
        }
    }
    let mut sections = vec![
        Section::Facts {
            title: "Facts".to_owned(),
            rows: facts,
        },
        Section::Table(recipients(&view.all_recipients, line.is_sandboxed())),
    ];
    if let Some(form) = acts(visit, line) {
        sections.push(form);
    }
    let content = Request::Queue(Operation::Content { id: line.id.clone() });
    if visit.may(&content) {
        let lines = header(visit, view).await;
        sections.push(Section::Text {
            title: "Header".to_owned(),
            lines,
        });
        let href = path(&["queue", &line.id, "content"]);
        sections.push(Section::Links(vec![Link::new(
            href,
            "Download the content as text",
        )]));
    }
    sections
}

fn recipients(all: &[RecipientView], sandboxed: bool) -> Table {
    let columns = [
        "recipient",
        "state",
        "next try",
        "#tries",
        "host",
        "status",
        "last reply",
        "failure",
    ];
    let mut table = Table::new("recipients", "Recipients", &columns);
    for one in all {
        let failure = match (&one.failure, &one.stage) {
            (Some(failure), Some(stage)) => format!("{failure}, at {stage}"),
            (failure, _) => failure.clone().unwrap_or_default(),
        };
        table.row(vec![
            one.address.as_str().into(),
            match sandboxed && one.state == "held" {
                true => Cell::Badge(Tone::Plain, "sandboxed".to_owned()),
                false => shown::badge(&one.state),
            },
            one.due_at.filter(|_| !sandboxed).map_or(Cell::None, shown::when),
            u64::from(one.attempts).into(),
            one.relay.clone().into(),
            one.status.clone().into(),
            one.reply.clone().into(),
            failure.into(),
        ]);
    }
    table
}

/// What can be done with it: the table of one message, which is chosen already.
fn acts(visit: &Visit, line: &MessageLine) -> Option<Section> {
    if !visit.may(&Request::Queue(Operation::Hold(Which::default()))) {
        return None;
    }
    let choices = [
        ("hold", "Hold"),
        ("release", "Release"),
        ("retry", "Try again now"),
        ("remove", "Remove for good …"),
    ];
    // One in the sandbox never goes anywhere.
    let choices = choices
        .into_iter()
        .filter(|(value, _)| *value == "remove" || !line.is_sandboxed())
        .map(|(value, words)| (value.to_owned(), words.to_owned()));
    let fields = vec![
        Field::hidden("id", line.id.as_str()),
        Field::hidden("back", path(&["queue", &line.id])),
        Field::new(postern_web::Input::OneOf(choices.collect()), "act", "What to do"),
        Field::text("reason", "Reason, for the history"),
    ];
    Some(Section::Form(Form::post(
        "/queue/act",
        "Do something with it",
        "Do it",
        fields,
    )))
}

/// The lines of the header: what Postern has put in front, and what the message begins with.
async fn header(visit: &Visit, view: &MessageView) -> Vec<String> {
    let mut octets = view.prefix.clone().into_bytes();
    match visit.service.content(&visit.who, &view.line.id).await {
        Ok(mut body) => {
            while octets.len() < HEADER_MAX {
                match body.piece().await {
                    Ok(Some(piece)) => octets.extend_from_slice(&piece),
                    _ => break,
                }
            }
        }
        Err(problem) => return vec![problem.to_string()],
    }
    lines_of_header(&octets[..octets.len().min(HEADER_MAX)])
}

fn lines_of_header(octets: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(octets);
    let lines = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line));
    lines
        .take_while(|line| !line.is_empty())
        // A tab that folds a line would be shown by its number.
        .map(|line| line.replace('\t', "    "))
        .collect()
}

/// The content as a file of text, whatever it is.
pub(super) async fn content(visit: Visit, Path(id): Path<String>) -> Response {
    let body = match visit.service.content(&visit.who, &id).await {
        Ok(body) => body,
        Err(problem) => return visit.answer(Err(problem.into())),
    };
    let pieces = stream::try_unfold(body, |mut body| async move {
        let piece = body
            .piece()
            .await
            .map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok::<_, std::io::Error>(piece.map(|piece| (piece, body)))
    });
    // An id is letters and digits, or there would be no content.
    let name: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    let fields = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}.txt\""),
        ),
    ];
    (fields, Body::from_stream(pieces)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_ends_where_the_body_begins() {
        #[rustfmt::skip]
        let cases: [(&str, &[u8], &[&str]); 5] = [
            // what the case shows   octets                                   lines
            ("usual",                b"A: b\r\n\tc\r\nD: e\r\n\r\nbody\r\n",   &["A: b", "    c", "D: e"]),
            ("bare line feeds",      b"A: b\n\nbody\n",                       &["A: b"]),
            ("no body",              b"A: b\r\n",                             &["A: b"]),
            ("no header",            b"\r\nbody",                             &[]),
            ("8 bits",               b"A: \xff\r\n\r\n",                      &["A: \u{fffd}"]),
        ];
        for (shows, octets, lines) in cases {
            assert_eq!(lines_of_header(octets), lines, "{shows}");
        }
    }
}
