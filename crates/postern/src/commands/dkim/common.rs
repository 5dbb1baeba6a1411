//! What the subcommands share: the configuration with its `[[dkim]]`, the running server, name servers.

use std::path::Path;

use postern_net::resolver::Resolver;

use crate::args::ConfigArg;
use crate::commands::refused;
use crate::config::{Config, Libraries, Source};
use crate::control::client::Client;
use crate::control::protocol::Request;
use crate::dkim::DkimDomain;
use crate::exit::{Exit, Failure};
use crate::{locate, rights};

/// The configuration, checked; from here on as the owner of the state directory. With it the running server, if one runs.
pub(super) fn enter(config: &ConfigArg) -> Result<(Config, Option<Client>), Failure> {
    let path = locate::existing(config)?;
    let config = checked(&path)?;
    let client = Client::connect(&config.state_dir)?;
    rights::enter(&config.state_dir)?;
    Ok((config, client))
}

/// Reads the configuration without loading libraries, which are not needed for keys.
pub(super) fn checked(path: &Path) -> Result<Config, Failure> {
    Source::read(path)
        .and_then(|source| source.check(Libraries::Leave))
        .map(|(config, _)| config)
        .map_err(|report| refused(&report, path))
}

/// The `[[dkim]]` of a domain.
pub(super) fn the_domain<'c>(config: &'c Config, name: &str) -> Result<&'c DkimDomain, Failure> {
    config
        .dkim
        .iter()
        .find(|domain| domain.domain == name)
        .ok_or_else(|| {
            Failure::new(
                Exit::No,
                format!(
                    "there is no [[dkim]] for {name} in {}\nadd:\n{}",
                    config.path.display(),
                    table(name)
                ),
            )
        })
}

/// The same, if its keys are managed by Postern.
pub(super) fn the_managed<'c>(config: &'c Config, name: &str) -> Result<&'c DkimDomain, Failure> {
    let domain = the_domain(config, name)?;
    if domain.is_managed() {
        return Ok(domain);
    }
    Err(Failure::new(
        Exit::No,
        format!(
            "the keys of {name} are in files that [[dkim.key]] names, so they are not Postern's to replace\n\
             make another by `postern dkim new {name} --dir FOLDER` and add it there, or remove [[dkim.key]]"
        ),
    ))
}

/// The configuration for a domain whose keys are below the state directory.
pub(super) fn table(domain: &str) -> String {
    format!("    [[dkim]]\n    domain = \"{domain}\"")
}

/// Makes the running server use the keys at once. It would notice them a little later anyway, so if the reload fails for other
/// reasons, that is only reported.
pub(super) fn tell(client: Option<Client>) {
    if let Some(mut client) = client
        && let Err(failure) = client.ask(&Request::Reload)
    {
        eprintln!(
            "postern: the server could not be reloaded, and takes the keys up within seconds by itself: {}",
            failure.message
        );
    }
}

pub(super) fn resolver(config: &Config) -> Result<Resolver, Failure> {
    Resolver::new(&config.resolver)
        .map_err(|error| Failure::from_error(Exit::Config, "cannot look up names", &error))
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start the runtime", &error))
}

/// What cannot be read or written.
pub(super) fn failed(reason: String) -> Failure {
    Failure::new(Exit::InputOutput, reason)
}
