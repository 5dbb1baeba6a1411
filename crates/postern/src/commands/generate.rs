//! `postern completions`, `postern man`, and the reference of the configuration.

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::version;
use crate::args::Cli;
use crate::config::{manual, reference};
use crate::exit::Failure;
use crate::{log, output};

/// Appended to the page of the program itself.
const FILES: &str = "\
.SH FILES
.TP
.I /etc/postern/postern.toml
The configuration, see
.BR postern.toml (5).
.TP
.I /etc/postern/certs
Certificates and their keys.
.TP
.I /var/lib/postern
The queue, own users, local mail, and the socket by which commands reach the running server.
.TP
.I /run/postern/submit
The socket through which programs of this machine hand mail in.
.TP
.I /var/spool/postern/drop
Their mail while the server is down.
.TP
.I /usr/share/doc/postern/guide.md
The operator's guide.
.SH SEE ALSO
.BR postern.toml (5),
.BR mailq (1),
.BR sendmail (8)
";

/// The page of `sendmail` and `newaliases`, whose options differ from all other commands.
const SENDMAIL: &str = include_str!("sendmail.8");

/// Prints a completion script.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "postern", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// Writes `postern.1` and a page for each command, `mailq.1`, `sendmail.8` and `postern.toml.5`.
pub(crate) fn manual(folder: &Path) -> Result<(), Failure> {
    pages(folder).map_err(|error| {
        Failure::io(
            &format!("cannot write the manual pages to {}", folder.display()),
            &error,
        )
    })
}

fn pages(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    page_and_those_below(&program, folder)?;
    if let Some(list) = program
        .find_subcommand("queue")
        .and_then(|queue| queue.find_subcommand("list"))
    {
        let listing = list
            .clone()
            .name("mailq")
            .bin_name("mailq")
            .display_name("mailq")
            .long_about("Lists what waits for delivery, oldest first, as `postern queue list` does.");
        page(&listing, folder)?;
    }
    std::fs::write(
        folder.join("sendmail.8"),
        SENDMAIL.replace("{version}", version::TEXT),
    )?;
    let about = manual::page(&format!("Postern {}", version::TEXT));
    std::fs::write(folder.join("postern.toml.5"), about)
}

/// The page of a command, and those of its subcommands.
fn page_and_those_below(command: &Command, folder: &Path) -> std::io::Result<()> {
    page(command, folder)?;
    command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
        .try_for_each(|below| page_and_those_below(below, folder))
}

fn page(command: &Command, folder: &Path) -> std::io::Result<()> {
    let name = command.get_display_name().unwrap_or("postern").to_owned();
    let mut text = Vec::new();
    Man::new(command.clone())
        .title(&name)
        .source(format!("Postern {}", version::TEXT))
        .manual("Postern")
        .render(&mut text)?;
    if name == "postern" {
        text.extend_from_slice(FILES.as_bytes());
    }
    std::fs::write(folder.join(format!("{name}.1")), text)
}

/// Prints `docs/configuration.md`.
pub(crate) fn configuration_reference() -> Result<(), Failure> {
    output::print(&reference::markdown())
}

/// Prints `docs/settings.md`.
pub(crate) fn settings_reference() -> Result<(), Failure> {
    output::print(&postern_migrate::settings::document())
}

/// Prints `docs/metrics.md`.
pub(crate) fn metrics_reference() -> Result<(), Failure> {
    output::print(&postern_metrics::reference())
}

/// Prints `docs/log.md`, or a document with its tables regenerated.
pub(crate) fn log_reference(document: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = document else {
        return output::print(&log::reference::markdown());
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::io(&format!("cannot read {}", path.display()), &error))?;
    output::print(&log::reference::with_tables(&text))
}

/// Prints the description of the API.
pub(crate) fn api_reference() -> Result<(), Failure> {
    output::print(crate::server::api_description().trim_end())
}
