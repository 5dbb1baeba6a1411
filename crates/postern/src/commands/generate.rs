//! `postern completions`, `postern man`, and the reference of the configuration.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::config::reference;
use crate::exit::Failure;
use crate::output;

/// Prints a completion script.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "postern", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// Writes `postern.1` and a page for each command.
pub(crate) fn manual(folder: &Path) -> Result<(), Failure> {
    let failed = |error| {
        Failure::io(
            &format!("cannot write the manual pages to {}", folder.display()),
            &error,
        )
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(failed)
}

/// Prints `docs/configuration.md`.
pub(crate) fn configuration_reference() -> Result<(), Failure> {
    output::print(&reference::markdown())
}
