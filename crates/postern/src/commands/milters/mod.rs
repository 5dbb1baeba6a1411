//! `postern milters`: what each filter of the configuration wants, and what one makes of a message.

mod attempt;
mod client;
mod message;
mod report;
mod shown;
mod wants;

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use postern_filter::Service;
use postern_receive::MilterSettings;
use serde::Serialize;

use crate::args::{MiltersArgs, MiltersCommand};
use crate::config::Config;
use crate::exit::{Exit, Failure, chain};
use crate::{locate, output};

use self::wants::Wants;

/// A filter as it was found.
#[derive(Debug, Serialize)]
struct Line {
    milter: String,
    address: String,
    reachable: bool,
    /// Why not.
    error: Option<String>,
    /// From the attempt to connect to the end of the negotiation.
    latency_ms: Option<f64>,
    #[serde(flatten)]
    wants: Option<Wants>,
    /// The listeners that it serves; none for all.
    listeners: Option<Vec<String>>,
    /// What passes it by.
    passed_by: Vec<String>,
    on_failure: &'static str,
}

/// Does what was asked.
pub(crate) fn run(args: &MiltersArgs) -> Result<(), Failure> {
    let path = locate::existing(&args.config)?;
    match &args.command {
        None => list(&path, args.json.json),
        Some(MiltersCommand::Try(given)) => attempt::run(&path, given),
    }
}

/// Reads the configuration, and goes on with the rights of the user that serves: whether a socket can be connected to depends on them.
fn as_server(path: &Path) -> Result<Config, Failure> {
    let config = super::checked(path)?;
    super::become_server(&super::written(path)?)?;
    Ok(config)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::from_error(Exit::System, "cannot start", &error))
}

/// Asks all of them at once.
fn list(path: &Path, json: bool) -> Result<(), Failure> {
    let config = as_server(path)?;
    let asked = config.receive.milters.iter().map(ask);
    let lines = runtime()?.block_on(join_all(asked));
    if json {
        output::print_json(&lines)?;
    } else if lines.is_empty() {
        output::print("no filters: there is no [[milter]] in the configuration")?;
    } else {
        let lines: Vec<String> = lines.iter().map(Line::shown).collect();
        output::print(&lines.join("\n"))?;
    }
    match lines.iter().all(|line| line.reachable) {
        true => Ok(()),
        false => Err(Failure::silent(Exit::No)),
    }
}

async fn ask(milter: &MilterSettings) -> Line {
    let service = Service::new(milter.filter.clone(), |_, _| {});
    let start = std::time::Instant::now();
    let agreed = service.negotiate().await;
    let latency = start.elapsed();
    Line {
        milter: milter.filter.name.clone(),
        address: milter.filter.address.to_string(),
        reachable: agreed.is_ok(),
        error: agreed.as_ref().err().map(|failure| chain(failure)),
        latency_ms: agreed.is_ok().then(|| milliseconds(latency)),
        wants: agreed.ok().as_ref().map(Wants::of),
        listeners: milter.conditions.listeners.clone(),
        passed_by: shown::passed_by(&milter.conditions),
        on_failure: shown::on_failure(milter.on_failure),
    }
}

/// With the precision that a person can make use of.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// The filter of this name.
fn named<'a>(config: &'a Config, name: &str) -> Result<&'a MilterSettings, Failure> {
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
