//! `postern directories`: whether the sources of accounts answer.

use jiff::Timestamp;

use crate::args::DirectoriesArgs;
use crate::control::protocol::{DirectoryLine, Request};
use crate::exit::{Exit, Failure};
use crate::{locate, output};

/// Shows what the running server knows about its directories. If one is down, the exit status says
/// so.
pub(crate) fn run(args: &DirectoriesArgs) -> Result<(), Failure> {
    let written = super::written(&locate::existing(&args.listing.config)?)?;
    let Some(mut client) = super::reach(&written)? else {
        return Err(Failure::new(
            Exit::Unavailable,
            format!(
                "no server runs on {}; `postern check` asks the directories without one",
                written.state_dir().display()
            ),
        ));
    };
    let value = client.ask(&Request::Directories { check: args.check })?;
    let lines: Vec<DirectoryLine> = serde_json::from_value(value).map_err(|error| {
        Failure::from_error(Exit::Software, "cannot understand the server's answer", &error)
    })?;
    if args.listing.json.json {
        output::print_json(&lines)?;
    } else if lines.is_empty() {
        output::print("no directories: nobody can authenticate")?;
    } else {
        show(&lines)?;
    }
    if lines.iter().any(|line| line.state == "down") {
        return Err(Failure::silent(Exit::No));
    }
    Ok(())
}

fn show(lines: &[DirectoryLine]) -> Result<(), Failure> {
    let now = Timestamp::now();
    let span = |at: Option<Timestamp>| at.map(|at| output::span(now.as_second() - at.as_second()));
    let ago = |at| span(at).map(|span| format!("{span} ago"));
    let rows = lines.iter().map(|line| {
        vec![
            line.directory.clone(),
            line.state.clone(),
            span(line.since)
                .map(|span| format!("for {span}"))
                .unwrap_or_default(),
            ago(line.asked_at).unwrap_or_else(|| "never".into()),
            ago(line.failed_at).unwrap_or_else(|| "never".into()),
            line.last_error.clone().unwrap_or_default(),
        ]
    });
    let head = ["directory", "state", "since", "asked", "failed", "last error"];
    output::print_table(&head, &[], &[2, 3, 4], rows.collect())
}
