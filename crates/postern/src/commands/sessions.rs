//! `postern sessions`: listing and ending connections.

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::args::{ConfigArg, SessionFilterArgs, SessionsArgs, SessionsCommand};
use crate::config::Written;
use crate::control::acts;
use crate::control::client::Client;
use crate::control::protocol::WhichSessions;
use crate::control::protocol::{Changed, Request};
use crate::control::sessions::SessionLine;
use crate::exit::{Exit, Failure};
use crate::{locate, output};

/// Does what was asked, in the running server.
pub(crate) fn run(args: SessionsArgs) -> Result<(), Failure> {
    acts::because(args.reason.reason.as_deref());
    match args.command {
        SessionsCommand::List { filter, json } => {
            let which = which(filter);
            let is_all = which.login.is_none() && which.network.is_none() && which.listener.is_none();
            let lines: Vec<SessionLine> = ask(&Request::Sessions(which), &args.config)?;
            if json.json {
                return output::print_json(&lines);
            }
            show(&lines, is_all)
        }
        SessionsCommand::End { filter, json, .. } => {
            let ended: Changed = ask(&Request::EndSessions(which(filter)), &args.config)?;
            match ended.changed {
                0 if json.json => {
                    output::print_json(&ended)?;
                    Err(Failure::silent(Exit::No))
                }
                0 => Err(Failure::new(
                    Exit::No,
                    "no such session; `postern sessions list` lists them",
                )),
                _ if json.json => output::print_json(&ended),
                many => output::print(&counted(many)),
            }
        }
    }
}

/// Makes the running server, if any, end the sessions whose login is no longer valid, and reports their number. Without an
/// answer, they end before their next message.
pub(super) fn recheck(written: &Written) -> Result<(), Failure> {
    let Ok(Some(mut client)) = Client::connect(written.state_dir()) else {
        return Ok(());
    };
    let ended = client.ask(&Request::RecheckLogins).ok();
    match ended.and_then(|value| serde_json::from_value::<Changed>(value).ok()) {
        // With --json, only the result of the command is printed.
        Some(Changed { changed }) if changed > 0 && !output::is_json() => output::print(&counted(changed)),
        _ => Ok(()),
    }
}

fn counted(ended: u64) -> String {
    match ended {
        1 => "ended 1 session".into(),
        many => format!("ended {many} sessions"),
    }
}

fn which(filter: SessionFilterArgs) -> WhichSessions {
    WhichSessions {
        login: filter.login,
        network: filter.network.map(|network| network.to_string()),
        listener: filter.listener,
    }
}

fn ask<T: DeserializeOwned>(request: &Request, config: &ConfigArg) -> Result<T, Failure> {
    let written = super::written(&locate::existing(config)?)?;
    let Some(mut client) = super::reach(&written)? else {
        return Err(Failure::new(
            Exit::Unavailable,
            format!("no server runs on {}", written.state_dir().display()),
        ));
    };
    serde_json::from_value(client.ask(request)?)
        .map_err(|error| Failure::from_error(Exit::Software, "cannot understand the server's answer", &error))
}

fn show(lines: &[SessionLine], is_all: bool) -> Result<(), Failure> {
    if lines.is_empty() {
        return output::print(match is_all {
            true => "no sessions are open",
            false => "no such session is open",
        });
    }
    let now = Timestamp::now();
    let rows = lines.iter().map(|line| {
        let login = line.login.clone().unwrap_or_else(|| "-".into());
        vec![
            match &line.acts_as {
                Some(other) => format!("{login} as {other}"),
                None => login,
            },
            line.peer.clone(),
            line.listener.clone(),
            line.mechanism.clone().unwrap_or_default(),
            output::span(now.as_second() - line.since.as_second()),
            line.tls
                .as_deref()
                .map_or("no", |tls| tls.trim_start_matches("TLSv"))
                .to_owned(),
        ]
    });
    output::print_table(
        &["login", "peer", "listener", "mechanism", "age", "tls"],
        &[],
        &[4, 5],
        rows.collect(),
    )
}
