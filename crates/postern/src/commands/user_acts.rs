//! The name of a change to own users in the history of actions. Passwords are not part of it.

use crate::args::{AddressCommand, AppPasswordCommand, DelegateCommand, GroupCommand, UserCommand};

/// The action, and on whom; none if nothing is changed.
pub(super) fn of(command: &UserCommand) -> Option<(&'static str, Option<String>)> {
    let on = |act, login: &String| (act, Some(login.clone()));
    let with = |act, login: &String, other: &dyn std::fmt::Display| (act, Some(format!("{login}: {other}")));
    Some(match command {
        UserCommand::Add { login, .. } => on("user add", login),
        UserCommand::Passwd { login, .. } => on("user passwd", login),
        UserCommand::Disable { login } => on("user disable", login),
        UserCommand::Enable { login } => on("user enable", login),
        UserCommand::Remove { login } => on("user remove", login),
        UserCommand::Import(import) => ("user import", Some(import.file.display().to_string())),
        UserCommand::Address { command } => match command {
            AddressCommand::Add { login, address } => with("user address add", login, address),
            AddressCommand::Remove { login, address } => with("user address remove", login, address),
        },
        UserCommand::Group { command } => match command {
            GroupCommand::Add { login, group } => with("user group add", login, group),
            GroupCommand::Remove { login, group } => with("user group remove", login, group),
        },
        UserCommand::Delegate { command } => match command {
            DelegateCommand::Add { owner, delegate } => with("user delegate add", owner, delegate),
            DelegateCommand::Remove { owner, delegate } => with("user delegate remove", owner, delegate),
        },
        UserCommand::AppPassword { command } => match command {
            AppPasswordCommand::Add { login, label, .. } => with("user app-password add", login, label),
            AppPasswordCommand::Revoke { login, label } => with("user app-password revoke", login, label),
            AppPasswordCommand::List { .. } => return None,
        },
        UserCommand::Complete => ("user complete", None),
        UserCommand::List(_) | UserCommand::Show { .. } => return None,
    })
}
