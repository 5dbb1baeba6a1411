//! What both commands share: the configuration read as the server reads it, and the named filter.

use std::path::Path;
use std::time::Duration;

use postern_receive::MilterSettings;

use crate::commands::{become_server, checked, written};
use crate::config::Config;
use crate::exit::{Exit, Failure};

/// Reads the configuration, and continues with the rights of the server's user: whether a socket can be connected to depends on
/// them.
pub(super) fn as_server(path: &Path) -> Result<Config, Failure> {
    let config = checked(path)?;
    become_server(&written(path)?)?;
    Ok(config)
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::from_error(Exit::System, "cannot start", &error))
}

/// With a precision useful for people.
pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// The filter with this name.
pub(super) fn named<'a>(config: &'a Config, name: &str) -> Result<&'a MilterSettings, Failure> {
    let milters = &config.receive.milters;
    milters
        .iter()
        .find(|milter| milter.filter.name == name)
        .ok_or_else(|| {
            let names: Vec<&str> = milters.iter().map(|milter| milter.filter.name.as_str()).collect();
            let there = match names.as_slice() {
                [] => "there is no [[milter]] in the configuration".to_owned(),
                _ => format!("there are: {}", names.join(", ")),
            };
            Failure::new(Exit::No, format!("there is no filter {name:?}; {there}"))
        })
}
