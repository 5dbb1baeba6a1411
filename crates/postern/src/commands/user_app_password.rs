//! `postern user app-password`.

use ipnet::IpNet;
use jiff::Timestamp;
use postern_directory::UserStore;
use postern_directory::users::AppPassword;
use postern_policy::scope::Written;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::user_outcome::failure;
use crate::args::AppPasswordCommand;
use crate::exit::Failure;
use crate::output;
use crate::people::{AppPasswordView, app_password_view};

#[derive(Serialize)]
struct Made<'a> {
    login: &'a str,
    label: &'a str,
    password: &'a str,
}

/// Does what was asked.
pub(crate) fn run(store: &UserStore, command: AppPasswordCommand) -> Result<(), Failure> {
    match command {
        AppPasswordCommand::Add {
            login,
            label,
            expires,
            networks,
            scope,
            json,
        } => {
            let made = store
                .add_scoped_app_password(&login, &label, expires, &networks, &scope.written())
                .map_err(|error| failure(&error))?;
            let password = made.expose_secret();
            if json.json {
                let (login, label) = (login.as_str(), label.trim());
                return output::print_json(&Made {
                    login,
                    label,
                    password,
                });
            }
            let with_keys = match store.app_passwords(&login) {
                Ok(list) => list
                    .iter()
                    .any(|one| one.label == label.trim() && !one.keys.is_empty()),
                Err(_) => false,
            };
            let hint = match with_keys {
                true => format!(
                    "\nlogin for SCRAM, CRAM-MD5 and their like: {login}#{}",
                    label.trim()
                ),
                false => String::new(),
            };
            output::print(&format!(
                "made an app password {:?} for {login}; it is not shown again\npassword: {password}{hint}",
                label.trim()
            ))
        }
        AppPasswordCommand::List { login, json } => {
            let list = store.app_passwords(&login).map_err(|error| failure(&error))?;
            if json.json {
                let views: Vec<AppPasswordView<'_>> = list.iter().map(app_password_view).collect();
                return output::print_json(&views);
            }
            show(&login, &list)
        }
        AppPasswordCommand::Revoke { login, label } => {
            store
                .revoke_app_password(&login, &label)
                .map_err(|error| failure(&error))?;
            output::say(&format!("revoked the app password {:?} of {login}", label.trim()))
        }
    }
}

/// What it is good for, in a line; empty for anything.
fn scope_in_words(scope: &Written) -> String {
    let zone: Vec<String> = scope.zone.iter().cloned().collect();
    let parts = [
        ("at", &scope.listeners),
        ("with", &scope.mechanisms),
        ("on", &scope.hours),
        ("in", &zone),
        ("from", &scope.senders),
        ("to", &scope.recipients),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(word, list)| format!("{word} {}", list.join(", ")))
        .collect();
    parts.join(" ")
}

fn show(login: &str, list: &[AppPassword]) -> Result<(), Failure> {
    if list.is_empty() {
        return output::print(&format!(
            "{login} has no app passwords; `postern user app-password add LOGIN LABEL` makes one"
        ));
    }
    let now = Timestamp::now().as_second();
    let ago = |at: Timestamp| format!("{} ago", output::span(now - at.as_second()));
    let rows = list.iter().map(|one| {
        let expires = match one.expires_at {
            None => "never".to_owned(),
            Some(at) if at.as_second() <= now => "expired".to_owned(),
            Some(at) => format!("in {}", output::span(at.as_second() - now)),
        };
        let networks: Vec<String> = one.networks.iter().map(IpNet::to_string).collect();
        let used = match (one.last_used_at, one.last_used_from) {
            (None, _) => "never".to_owned(),
            (Some(at), None) => ago(at),
            (Some(at), Some(from)) => format!("{} from {from}", ago(at)),
        };
        vec![
            one.label.clone(),
            ago(one.created_at),
            expires,
            networks.join(" "),
            used,
            one.keys.join(" "),
            scope_in_words(&one.scope),
        ]
    });
    output::print_table(
        &[
            "label", "made", "expires", "networks", "last use", "keys", "good for",
        ],
        &[],
        &[0],
        rows.collect(),
    )
}
