//! `postern trace`: what happened to messages and in sessions, from the history on disk.

mod follow;
mod show;

use postern_history::{Archive, Found};
use serde_json::Value;

use crate::admin::requests::TraceRequest;
use crate::args::TraceArgs;
use crate::config::Written;
use crate::control::history::step;
use crate::control::protocol::{PastSession, PastStep, Request};
use crate::exit::{Exit, Failure};
use crate::stories::{Stories, query};
use crate::{locate, output, rights};

/// Finds and shows.
pub(crate) fn run(args: &TraceArgs) -> Result<(), Failure> {
    let written = super::written(&locate::existing(&args.config)?)?;
    if args.follow {
        return follow::run(args, &written);
    }
    if args.asks_for_nothing() {
        let text = "name what to look for, such as an address or a queue id; `postern trace --help` shows what there is";
        return Err(Failure::new(Exit::Usage, text));
    }
    let query = query(args).map_err(|problem| Failure::new(Exit::Usage, problem))?;
    let mut archive = open(&written)?;
    let found = archive.find(&query).map_err(|error| cannot(&error))?;
    if found.stories.is_empty() {
        return Err(nothing(&found, &written, args));
    }
    if args.json.json {
        return output::print_json(&Stories::from(found));
    }
    if args.brief {
        show::brief(&found.stories)?;
    } else {
        let width = output::terminal_width();
        for (index, story) in found.stories.iter().enumerate() {
            let of_session = match story.kind {
                postern_history::Kind::Message => {
                    archive.session(&story.session).map_err(|error| cannot(&error))?
                }
                postern_history::Kind::Session => Vec::new(),
            };
            let before = if index > 0 { "\n" } else { "" };
            output::print(&format!("{before}{}", show::time_line(story, &of_session, width)))?;
        }
    }
    if found.more {
        let many = found.stories.len();
        output::print(&format!(
            "\nthe newest {many}; there are more: --limit, --since and --until"
        ))?;
    }
    for file in &found.unreadable {
        eprintln!("postern: cannot read {}", crate::visible::line(file));
    }
    Ok(())
}

/// The query of the command line; all terms must match.
fn query(args: &TraceArgs) -> Result<postern_history::Query, String> {
    query::of(TraceRequest {
        what: args.what.clone(),
        login: args.login.clone(),
        client: args.client,
        address: args.address.clone(),
        outcome: args.outcome.clone(),
        rule: args.rule.clone(),
        since: args.times.since,
        until: args.times.until,
        limit: Some(args.limit),
        sessions: args.sessions,
    })
}

/// Opens the history, including everything up to now, as the owner of its folder.
pub(super) fn open(written: &Written) -> Result<Archive, Failure> {
    if let Some(mut client) = super::reach(written)? {
        // An older server has no history; what exists can still be read.
        let _ = client.ask(&Request::History);
    }
    let folder = written.history_folder();
    rights::enter(&folder)?;
    Ok(Archive::new(&folder))
}

pub(super) fn cannot(error: &postern_history::ArchiveError) -> Failure {
    Failure::from_error(Exit::NoPermission, "cannot search the history", error)
}

fn nothing(found: &Found, written: &Written, args: &TraceArgs) -> Failure {
    let mut text = "nothing in the history matches".to_owned();
    if !written.keeps_history() {
        text.push_str("; no history is kept: [history] has `enabled = false`");
    } else if !args.sessions {
        text.push_str("; sessions in which nothing was refused are shown with --sessions");
    }
    for file in &found.unreadable {
        text.push_str(&format!("\ncannot read {file}"));
    }
    Failure::new(Exit::No, text)
}

/// What the history on disk has about a session and its mail.
pub(super) fn session(written: &Written, id: &str) -> Result<Option<PastSession>, Failure> {
    let mut archive = open(written)?;
    let query = postern_history::Query {
        groups: vec![vec![postern_history::Term::Session(id.to_owned())]],
        limit: SESSION_STORIES,
        ..postern_history::Query::default()
    };
    let found = archive.find(&query).map_err(|error| cannot(&error))?;
    if found.stories.is_empty() {
        return Ok(None);
    }
    let mut steps: Vec<PastStep> = Vec::new();
    for story in found.stories {
        let queue = (story.kind == postern_history::Kind::Message).then_some(story.id);
        for event in story.events {
            let mut step = step(event);
            if let Some(queue) = &queue {
                let fields = &mut step.fields;
                fields
                    .entry("queue")
                    .or_insert_with(|| Value::String(queue.clone()));
            }
            steps.push(step);
        }
    }
    steps.sort_by_key(|step| step.at);
    Ok(Some(PastSession {
        session: id.to_owned(),
        left_out: 0,
        outcomes_left_out: 0,
        steps,
    }))
}

/// Most messages shown for a session.
const SESSION_STORIES: usize = 1_000;
