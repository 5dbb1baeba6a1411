//! `postern config`: what is in force.

use crate::args::{ConfigCommand, ConfigShowArgs};
use crate::config::Shown;
use crate::control::protocol::Request;
use crate::exit::{Exit, Failure};
use crate::{locate, output};

/// Does what is asked for.
pub(crate) fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Show(args) => show(args),
    }
}

/// Shows the configuration of the running server, or of the file if none is running.
fn show(args: &ConfigShowArgs) -> Result<(), Failure> {
    let path = locate::existing(&args.listing.config)?;
    let written = super::written(&path)?;
    let of_file = written.shown().clone();
    let running = match args.file {
        true => None,
        false => super::reach(&written)?,
    };
    let of_server: Option<Shown> = match running {
        Some(mut client) => {
            let answer = client.ask(&Request::Configuration)?;
            let shown = serde_json::from_value(answer).map_err(|error| {
                Failure::from_error(Exit::Software, "cannot understand the server's answer", &error)
            })?;
            Some(shown)
        }
        None => None,
    };
    let path = path.display().to_string();
    if let Some(of_server) = &of_server {
        for line in pending(of_server, &of_file, &path) {
            eprintln!("postern: {line}");
        }
    }
    let shown = of_server.as_ref().unwrap_or(&of_file);
    if args.listing.json.json {
        return output::print_json(&shown.as_json(args.changed));
    }
    let head = match (&of_server, args.file) {
        (Some(_), _) => "in force in the running server".to_owned(),
        (None, true) => format!("as written in {path}"),
        (None, false) => format!("as written in {path}; no server runs"),
    };
    output::print(&format!("# {head}\n{}", shown.as_toml(args.changed, &path)))
}

/// Differences between the file and the server, line by line.
fn pending(of_server: &Shown, of_file: &Shown, path: &str) -> Vec<String> {
    let found = of_server.differences(of_file);
    if found.is_empty() {
        return found;
    }
    let head = format!(
        "{path} has changed since the server read it; `postern reload`, or a restart where one is needed, takes over:"
    );
    std::iter::once(head).chain(found).collect()
}
