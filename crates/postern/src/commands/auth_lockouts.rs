//! `postern auth lockouts` and `postern auth unlock`: listing and lifting lockouts.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::args::{ConfigArg, JsonArg};
use crate::control::client::Client;
use crate::control::protocol::{Changed, LockoutLine, Request};
use crate::exit::{Exit, Failure};
use crate::{locate, output};

/// Shows who is locked out or slowed.
pub(super) fn list(json: JsonArg, config: &ConfigArg) -> Result<(), Failure> {
    let lines: Vec<LockoutLine> = ask(&Request::Lockouts, config)?;
    if json.json {
        return output::print_json(&lines);
    }
    if lines.is_empty() {
        return output::print("nobody is locked out");
    }
    let now = Timestamp::now();
    let rows = lines.into_iter().map(|line| {
        vec![
            line.network.unwrap_or_else(|| "all but its own".into()),
            line.login.unwrap_or_else(|| "all but known ones".into()),
            line.failures.to_string(),
            line.until.map_or_else(
                || "slow".into(),
                |until| {
                    format!(
                        "locked out for {}",
                        output::span(until.as_second() - now.as_second())
                    )
                },
            ),
        ]
    });
    output::print_table(
        &["network", "login", "failures", "state"],
        &[2],
        &[0, 1],
        rows.collect(),
    )
}

/// Lifts lockouts.
pub(super) fn lift(
    login: Option<String>,
    network: Option<IpAddr>,
    config: &ConfigArg,
) -> Result<(), Failure> {
    let lifted: Changed = ask(&Request::Unlock { login, network }, config)?;
    match lifted.changed {
        1.. if output::is_json() => output::print_json(&lifted),
        0 => Err(Failure::new(
            Exit::No,
            "no such lockout; `postern auth lockouts` lists them",
        )),
        1 => output::print("ended one lockout"),
        many => output::print(&format!("ended {many} lockouts")),
    }
}

fn ask<T: serde::de::DeserializeOwned>(request: &Request, config: &ConfigArg) -> Result<T, Failure> {
    let written = super::written(&locate::existing(config)?)?;
    let Some(mut client) = Client::connect(written.state_dir())? else {
        return Err(Failure::new(
            Exit::Unavailable,
            format!(
                "no server runs on {}: only a running one knows who is locked out",
                written.state_dir().display()
            ),
        ));
    };
    serde_json::from_value(client.ask(request)?)
        .map_err(|error| Failure::from_error(Exit::Software, "cannot understand the server's answer", &error))
}
