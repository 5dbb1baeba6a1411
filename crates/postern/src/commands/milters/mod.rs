//! `postern milters`: what each filter of the configuration wants, and what one does to a message.

mod attempt;
mod client;
mod common;
mod line;
mod message;
mod report;
mod shown;
mod wants;

use std::path::Path;

use futures_util::future::join_all;
use postern_filter::Service;
use postern_receive::MilterSettings;

use crate::args::{MiltersArgs, MiltersCommand};
use crate::exit::{Exit, Failure, chain};
use crate::{locate, output};

use self::common::{as_server, milliseconds, runtime};
use self::line::Line;
use self::wants::Wants;

/// Does what was asked.
pub(crate) fn run(args: &MiltersArgs) -> Result<(), Failure> {
    let path = locate::existing(&args.config)?;
    match &args.command {
        None => list(&path, args.json.json),
        Some(MiltersCommand::Try(given)) => attempt::run(&path, given),
    }
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
