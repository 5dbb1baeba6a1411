//! `postern status`: whether the server runs, and how much it has to do.

use jiff::Timestamp;

use crate::args::ListingArg;
use crate::control::protocol::{Request, Status};
use crate::exit::{Exit, Failure};
use crate::{locate, output, visible};

/// Shows what the running server says of itself. One that takes no mail makes the answer a no.
pub(crate) fn run(args: &ListingArg) -> Result<(), Failure> {
    let written = super::written(&locate::existing(&args.config)?)?;
    let Some(mut client) = super::reach(&written)? else {
        return Err(Failure::new(
            Exit::Unavailable,
            format!("no server runs on {}", written.state_dir().display()),
        ));
    };
    let value = client.ask(&Request::Status)?;
    let status: Status = serde_json::from_value(value)
        .map_err(|error| Failure::from_error(Exit::Software, "the answer makes no sense", &error))?;
    if args.json.json {
        output::print_json(&status)?;
    } else {
        output::print(&text(&status, Timestamp::now()))?;
    }
    match status.problem {
        Some(_) => Err(Failure::silent(Exit::No)),
        None => Ok(()),
    }
}

fn text(status: &Status, now: Timestamp) -> String {
    let Status { version, process, .. } = status;
    let queue = &status.queue;
    let mut text = format!(
        "postern {version} runs as process {process} for {}\n\
         sessions  {}\n\
         queue     {} messages, {} recipients, {} held, {}\n",
        output::span(now.as_second() - status.started_at.as_second()),
        status.sessions,
        queue.messages,
        queue.recipients,
        queue.held,
        output::size(queue.size),
    );
    if let Some(problem) = &status.problem {
        text.push_str(&format!("no mail is taken: {}\n", visible::line(problem)));
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::control::protocol::Totals;

    use super::*;

    #[test]
    fn a_full_disk_is_said() {
        let mut status = Status {
            version: "1.0.0 (0123456789ab)".into(),
            process: 42,
            started_at: "2026-11-22T09:30:20Z".parse().unwrap(),
            sessions: 3,
            queue: Totals {
                messages: 2,
                recipients: 5,
                held: 1,
                size: 2048,
                ..Totals::default()
            },
            problem: None,
        };
        let now = "2026-11-22T10:30:20Z".parse().unwrap();
        let shown = text(&status, now);
        assert!(
            shown.starts_with("postern 1.0.0 (0123456789ab) runs as process 42 for 1"),
            "{shown}"
        );
        assert!(shown.contains("2 messages, 5 recipients, 1 held"), "{shown}");
        status.problem = Some("the disk is full: no room".into());
        assert!(text(&status, now).ends_with("no mail is taken: the disk is full: no room\n"));
    }
}
