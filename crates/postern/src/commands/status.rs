//! `postern status`: whether the server runs, and how much it has to do.

use jiff::Timestamp;
use postern_deliver::PlacesStatus;

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
    let status: Status = serde_json::from_value(value).map_err(|error| {
        Failure::from_error(Exit::Software, "cannot understand the server's answer", &error)
    })?;
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
    text.push_str(&connections(&status.connections));
    if let Some(problem) = &status.problem {
        text.push_str(&format!("no mail is taken: {}\n", visible::line(problem)));
    }
    text
}

/// The connections that mail leaves by, a line for each kind of mail.
pub(super) fn connections(places: &[PlacesStatus]) -> String {
    let mut text = String::new();
    for one in places {
        let waiting = one.in_line + one.in_line_for_address;
        let waiting = match (waiting, one.short) {
            (0, _) => "none waits".to_owned(),
            (waiting, false) => format!("{waiting} wait"),
            (waiting, true) => format!("{waiting} wait, too long"),
        };
        text.push_str(&format!(
            "{:<9} {} of {} connections, {} of {} for new hosts, {waiting}\n",
            one.class, one.connections, one.most, one.unproven, one.unproven_most,
        ));
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
            connections: vec![PlacesStatus {
                class: "strangers".into(),
                connections: 104,
                reserved: 200,
                most: 400,
                unproven: 100,
                unproven_most: 100,
                in_line: 900,
                in_line_for_address: 12,
                short: true,
            }],
            problem: None,
        };
        let now = "2026-11-22T10:30:20Z".parse().unwrap();
        let shown = text(&status, now);
        assert!(
            shown.starts_with("postern 1.0.0 (0123456789ab) runs as process 42 for 1"),
            "{shown}"
        );
        assert!(shown.contains("2 messages, 5 recipients, 1 held"), "{shown}");
        let line = "strangers 104 of 400 connections, 100 of 100 for new hosts, 912 wait, too long\n";
        assert!(shown.contains(line), "{shown}");
        assert!(shown.lines().all(|line| line.len() <= 80), "{shown}");
        status.problem = Some("the disk is full: no room".into());
        assert!(text(&status, now).ends_with("no mail is taken: the disk is full: no room\n"));
    }
}
