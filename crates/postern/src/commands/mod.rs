//! What the command line can do besides serving.

pub(crate) mod auth;
mod auth_explain;
mod auth_token;
pub(crate) mod cert;
pub(crate) mod check;
pub(crate) mod directories;
pub(crate) mod generate;
pub(crate) mod login;
pub(crate) mod pam_helper;
pub(crate) mod queue;
pub(crate) mod reload;
pub(crate) mod status;
pub(crate) mod user;
mod user_app_password;
mod user_identity;
mod user_import;
pub(crate) mod version;

use std::path::Path;

use postern_directory::DirectorySettings;

use crate::config::{self, Report, Written};
use crate::exit::{Exit, Failure};
use crate::output;

/// Shows what is wrong with a configuration on standard error.
pub(crate) fn show_report(report: &Report) {
    if !report.is_empty() {
        eprint!("{}", report.render(output::colour_on_stderr(), output::width()));
    }
}

/// The directories without own users whose file is missing: opening those would make it, and a root that only looks would own it.
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

/// Reads the configuration without a look at the world; mistakes are shown.
pub(crate) fn written(path: &Path) -> Result<Written, Failure> {
    config::load_written(path).map_err(|report| {
        show_report(&report);
        Failure::new(
            Exit::Config,
            format!("{} in {}", count_problems(&report), path.display()),
        )
    })
}
