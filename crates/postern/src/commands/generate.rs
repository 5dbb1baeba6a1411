//! `postern completions`, `postern man`, and the reference of the configuration.

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

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
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    page(&program, folder).map_err(failed)
}

/// The page of a command, and those of the commands below it.
fn page(command: &Command, folder: &Path) -> std::io::Result<()> {
    let name = command.get_display_name().unwrap_or("postern").to_owned();
    let mut text = Vec::new();
    Man::new(command.clone())
        .title(&name)
        .source(concat!("Postern ", env!("CARGO_PKG_VERSION")))
        .manual("Postern")
        .render(&mut text)?;
    std::fs::write(folder.join(format!("{name}.1")), text)?;
    command
        .get_subcommands()
        .try_for_each(|below| page(below, folder))
}

/// Prints `docs/configuration.md`.
pub(crate) fn configuration_reference() -> Result<(), Failure> {
    output::print(&reference::markdown())
}
