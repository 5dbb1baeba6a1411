//! What the command line can do besides serving.

pub(crate) mod account;
pub(crate) mod aliases;
pub(crate) mod api;
pub(crate) mod auth;
mod auth_explain;
mod auth_lockouts;
mod auth_token;
mod budgets;
pub(crate) mod cert;
pub(crate) mod check;
mod check_access;
mod check_devices;
mod check_dkim;
mod check_hosts;
mod check_local;
mod check_milters;
mod check_tables;
pub(crate) mod config;
pub(crate) mod directories;
pub(crate) mod dkim;
pub(crate) mod explain;
mod explain_access;
mod explain_past;
mod explain_screen;
mod explain_signing;
pub(crate) mod generate;
mod helper;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod judge;
pub(crate) mod login;
pub(crate) mod mailbox_helper;
pub(crate) mod milters;
pub(crate) mod pam_helper;
pub(crate) mod probe;
pub(crate) mod queue;
mod recorded;
pub(crate) mod reload;
pub(crate) mod route;
pub(crate) mod sendmail;
pub(crate) mod sessions;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod told;
pub(crate) mod trace;
pub(crate) mod user;
mod user_acts;
mod user_app_password;
mod user_identity;
mod user_import;
mod user_outcome;
pub(crate) mod version;
pub(crate) mod webhook;

use std::path::Path;

use nix::unistd::{User, geteuid};
use postern_directory::DirectorySettings;

use crate::config::{Config, Report, Source, Written, load};
use crate::control::client::Client;
use crate::exit::{Exit, Failure};
use crate::rights::{Account, Groups};
use crate::{output, rights};

/// Shows what is wrong with a configuration on standard error.
pub(crate) fn show_report(report: &Report) {
    if !report.is_empty() {
        eprint!("{}", report.render(output::colour_on_stderr(), output::width()));
    }
}

/// The directories, without own users whose file is missing: opening those would create it.
pub(crate) fn those_there(mut directories: Vec<DirectorySettings>) -> Vec<DirectorySettings> {
    directories.retain(|one| !matches!(one, DirectorySettings::Users(users) if !users.database.exists()));
    directories
}

/// `3 errors and 1 warning`.
pub(crate) fn count_problems(report: &Report) -> String {
    let some = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{count} {what}s")),
    };
    let parts = [some(report.errors(), "error"), some(report.warnings(), "warning")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

/// Reads the configuration without checking it against the system; mistakes are shown.
pub(crate) fn written(path: &Path) -> Result<Written, Failure> {
    let written = Source::read(path).and_then(|source| source.written());
    written.map_err(|report| refused(&report, path))
}

/// Reads and checks the configuration as the calling user; mistakes are shown.
pub(crate) fn checked(path: &Path) -> Result<Config, Failure> {
    load(path)
        .map(|(config, _)| config)
        .map_err(|report| refused(&report, path))
}

/// Shows what is wrong with a configuration.
pub(crate) fn refused(report: &Report, path: &Path) -> Failure {
    let mut failure = Failure::new(
        Exit::Config,
        format!("{} in {}", count_problems(report), path.display()),
    );
    if output::is_json() {
        failure.problems = serde_json::to_value(report.json()).ok();
    } else {
        show_report(report);
    }
    failure
}

/// Connects to the running server, if any, and then continues as the owner of the state directory: root opens nothing in it.
pub(crate) fn reach(written: &Written) -> Result<Option<Client>, Failure> {
    let client = Client::connect(written.state_dir())?;
    rights::enter(written.state_dir())?;
    Ok(client)
}

/// If root, continues with the rights of the server's user: the one named in the configuration, or the owner of the state
/// directory.
pub(crate) fn become_server(written: &Written) -> Result<(), Failure> {
    if let Some(server) = server_account(written)? {
        server.become_for_good(Groups::All)?;
    }
    Ok(())
}

/// Whose rights those are; none if they are the caller's.
pub(crate) fn server_account(written: &Written) -> Result<Option<Account>, Failure> {
    match (named_account(written), written.user()) {
        _ if !geteuid().is_root() => Ok(None),
        (Some(named), _) => Ok(Some(named).filter(|account| !account.uid.is_root())),
        (None, Some(_)) => Ok(None),
        (None, None) => rights::owner_of(written.state_dir()),
    }
}

/// The account that root becomes according to the configuration, if any.
pub(crate) fn named_account(written: &Written) -> Option<Account> {
    let user = written
        .user()
        .and_then(|name| User::from_name(name).ok().flatten());
    user.map(Account::from)
}
