//! `postern auth`: who logs in, and how.

use std::collections::BTreeSet;

use super::auth_token;
use crate::args::{AuthArgs, AuthCommand, ConfigArg, JsonArg};
use crate::control::acts;
use crate::control::protocol::Request;
use crate::exit::{Exit, Failure};
use crate::usage::{self, Line};
use crate::{locate, output};

/// Does what was asked for about logins.
pub(crate) fn run(args: AuthArgs) -> Result<(), Failure> {
    acts::because(args.reason.reason.as_deref());
    match args.command {
        AuthCommand::Report { mechanism, json } => report(mechanism.as_deref(), json, &args.config),
        AuthCommand::Lockouts(json) => super::auth_lockouts::list(json, &args.config),
        AuthCommand::Unlock { login, network, .. } => {
            super::auth_lockouts::lift(login, network, &args.config)
        }
        AuthCommand::Bars(_) => Err(renamed("bars", "lockouts")),
        AuthCommand::Unbar(_) => Err(renamed("unbar", "unlock")),
        AuthCommand::ExplainToken { file, login, json } => {
            auth_token::explain(&file, login.as_deref(), json, &args.config)
        }
        AuthCommand::Explain(explain) => super::auth_explain::run(&args.config, &explain),
        AuthCommand::Providers(json) => auth_token::providers(json, &args.config),
    }
}

fn renamed(old: &str, new: &str) -> Failure {
    Failure::new(
        Exit::Usage,
        format!("`postern auth {old}` is called `postern auth {new}` now"),
    )
}

/// Shows who has logged in with which mechanism: from the running server, otherwise as recorded by the last one.
fn report(mechanism: Option<&str>, json: JsonArg, config: &ConfigArg) -> Result<(), Failure> {
    let written = super::written(&locate::existing(config)?)?;
    let mut lines: Vec<Line> = match super::reach(&written)? {
        Some(mut client) => serde_json::from_value(client.ask(&Request::Logins)?).map_err(|error| {
            Failure::from_error(Exit::Software, "cannot understand the server's answer", &error)
        })?,
        None => usage::load(written.state_dir()).map_err(|(path, reason)| {
            Failure::new(
                Exit::InputOutput,
                format!("cannot read {}: {reason}", path.display()),
            )
        })?,
    };
    if let Some(mechanism) = mechanism {
        lines.retain(|line| line.mechanism.eq_ignore_ascii_case(mechanism));
    }
    if json.json {
        return output::print_json(&lines);
    }
    if lines.is_empty() {
        return output::print("no logins yet");
    }
    show(&lines)
}

fn show(lines: &[Line]) -> Result<(), Failure> {
    let now = jiff::Timestamp::now();
    let ago = |at: jiff::Timestamp| format!("{} ago", output::span(now.as_second() - at.as_second()));
    let rows = lines.iter().map(|line| {
        vec![
            line.mechanism.clone(),
            line.login.clone(),
            line.count.to_string(),
            ago(line.first_at),
            ago(line.last_at),
            line.last_peer
                .map_or_else(|| "-".to_owned(), |peer| peer.to_string()),
        ]
    });
    let head = ["mechanism", "login", "logins", "first", "last", "last from"];
    output::print_table(&head, &[2], &[1], rows.collect())?;
    let mechanisms: BTreeSet<&str> = lines.iter().map(|line| line.mechanism.as_str()).collect();
    let totals = mechanisms.into_iter().map(|mechanism| {
        let of = || lines.iter().filter(|line| line.mechanism == mechanism);
        format!(
            "{mechanism}: {} logins of {} users",
            of().map(|line| line.count).sum::<u64>(),
            of().count()
        )
    });
    output::print(&format!("\n{}", totals.collect::<Vec<_>>().join("\n")))
}
