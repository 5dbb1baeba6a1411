//! `postern dkim rotate`: replacing the signing keys with the next ones.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use postern_seal::rotation::{KeyRing, Stage};
use postern_seal::{Algorithm, RsaBits};
use serde::Serialize;

use super::common::{enter, failed, resolver, runtime, tell, the_managed};
use super::records::as_text;
use crate::args::{ConfigArg, RotateArgs};
use crate::config::Config;
use crate::control::acts;
use crate::control::client::Client;
use crate::dkim::DkimDomain;
use crate::dkim::folder::KeyFolder;
use crate::dkim::records::{RecordLine, lines};
use crate::dkim::rotate::{Done, go_on, selectors};
use crate::exit::{Exit, Failure};
use crate::output;

/// How soon DNS is asked again while somebody waits: the first value doubles each time, up to the
/// second.
const ASK_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// What was done, for programs.
#[derive(Debug, Serialize)]
struct Report {
    /// `made`, `waiting`, `switched`, `removed`, `nothing`.
    step: &'static str,
    /// The keys concerned.
    selectors: Vec<String>,
    /// Records that DNS must have for the next step.
    records: Vec<RecordLine>,
}

pub(super) fn run(config: &ConfigArg, args: &RotateArgs) -> Result<(), Failure> {
    let (config, client) = enter(config)?;
    let domain = the_managed(&config, &args.domain)?;
    let folder = domain.folder(&config.state_dir);
    let done = if args.switch {
        switch(&folder)?
    } else if args.cancel {
        remove(&folder, Stage::Next)?
    } else if args.finish {
        remove(&folder, Stage::Retired)?
    } else {
        step(&config, domain, &folder, args)?
    };
    let step = match &done {
        Done::Made(_) => Some("keys made"),
        Done::Switched(_) => Some("next keys sign"),
        Done::Removed(_) => Some("keys removed"),
        _ => None,
    };
    if let Some(step) = step {
        acts::record(
            &config.acts,
            "dkim rotate",
            Some(format!("{}: {step}", args.domain)),
            None,
        );
    }
    report(&config, domain, done, client, args)
}

/// Creates the next keys if there are none; otherwise checks whether DNS shows them.
fn step(
    config: &Config,
    domain: &DkimDomain,
    folder: &KeyFolder,
    args: &RotateArgs,
) -> Result<Done, Failure> {
    let ring = folder.ring().map_err(failed)?;
    let mut done = if ring.is_rotating() {
        ask(config, domain)?
    } else if args.go_on {
        Done::Rest
    } else {
        make(folder, &ring, domain)?
    };
    let Some(minutes) = args.wait else { return Ok(done) };
    if let Done::Made(records) = &done {
        let lines: Vec<RecordLine> = records
            .iter()
            .map(|record| RecordLine::of(record.clone(), Some(Stage::Next)))
            .collect();
        eprintln!("{}", as_text(&lines));
        done = ask(config, domain)?;
    }
    let end = Instant::now() + Duration::from_secs(minutes.saturating_mul(60));
    let (mut pause, longest) = ASK_AFTER;
    while matches!(done, Done::Waiting(_)) && Instant::now() < end {
        std::thread::sleep(pause.min(end.saturating_duration_since(Instant::now())));
        pause = longest.min(pause * 2);
        // The server may have been faster.
        done = match ask(config, domain)? {
            Done::Rest => Done::Switched(selectors(&folder.ring().map_err(failed)?, Stage::Active)),
            done => done,
        };
    }
    Ok(done)
}

fn make(folder: &KeyFolder, ring: &KeyRing, domain: &DkimDomain) -> Result<Done, Failure> {
    let mut algorithms: Vec<Algorithm> = ring.at(Stage::Active).map(|entry| entry.algorithm).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    if algorithms.is_empty() {
        let name = &domain.domain;
        let text = format!("no key signs for {name}: `postern dkim new {name}` makes the first ones");
        return Err(Failure::new(Exit::No, text));
    }
    let locked = folder.lock().map_err(failed)?;
    let made = locked.make(&algorithms, RsaBits::default(), None, Timestamp::now());
    let record = |selector: &String| {
        let key = folder.key(selector).map_err(failed)?;
        Ok(crate::dkim::rotate::Record::of(&domain.domain, selector, &key))
    };
    let records = made
        .map_err(failed)?
        .iter()
        .map(record)
        .collect::<Result<_, Failure>>()?;
    Ok(Done::Made(records))
}

/// Asks DNS once, with an empty cache.
fn ask(config: &Config, domain: &DkimDomain) -> Result<Done, Failure> {
    let runtime = runtime()?;
    let resolver = resolver(config)?;
    runtime
        .block_on(go_on(domain, &config.state_dir, &resolver, Timestamp::now()))
        .map_err(failed)
}

fn switch(folder: &KeyFolder) -> Result<Done, Failure> {
    let locked = folder.lock().map_err(failed)?;
    let mut ring = folder.ring().map_err(failed)?;
    if !ring.switch(Timestamp::now()) {
        return Ok(Done::Rest);
    }
    locked.save(&ring).map_err(failed)?;
    Ok(Done::Switched(selectors(&ring, Stage::Active)))
}

fn remove(folder: &KeyFolder, stage: Stage) -> Result<Done, Failure> {
    let locked = folder.lock().map_err(failed)?;
    let old = selectors(&folder.ring().map_err(failed)?, stage);
    if old.is_empty() {
        return Ok(Done::Rest);
    }
    locked.remove(&old).map_err(failed)?;
    Ok(Done::Removed(old))
}

fn report(
    config: &Config,
    domain: &DkimDomain,
    done: Done,
    client: Option<Client>,
    args: &RotateArgs,
) -> Result<(), Failure> {
    let name = &domain.domain;
    let (step, selectors) = match &done {
        Done::Rest => ("nothing", Vec::new()),
        Done::Waiting(selectors) => ("waiting", selectors.clone()),
        Done::Made(records) => (
            "made",
            records.iter().map(|record| record.selector.clone()).collect(),
        ),
        Done::Switched(selectors) => ("switched", selectors.clone()),
        Done::Removed(selectors) => ("removed", selectors.clone()),
    };
    let waits = matches!(done, Done::Waiting(_) | Done::Made(_));
    let mut records = Vec::new();
    if waits {
        records = lines(&config.state_dir, domain).map_err(failed)?;
        records.retain(|line| line.is_next());
    }
    if matches!(done, Done::Switched(_) | Done::Removed(_)) {
        tell(client);
    }
    if args.json.json {
        output::print_json(&Report {
            step,
            selectors,
            records,
        })?;
    } else {
        let list = selectors.join(" and ");
        output::print(&match &done {
            Done::Rest => format!("nothing is to be done for {name}"),
            Done::Waiting(_) => format!(
                "DNS does not show the record of {list} yet; what has to be there:\n\n{}",
                as_text(&records)
            ),
            Done::Made(_) => format!(
                "made {list}, which sign once DNS shows their records\n\n{}\nThe running server looks by itself; \
                 `postern dkim rotate {name} --continue` does so at once.",
                as_text(&records)
            ),
            Done::Switched(_) => format!(
                "{list} sign for {name} from now on; leave the records of those before in DNS until they are removed \
                 (`keep_old`)"
            ),
            Done::Removed(_) => format!("removed {list}; their records can be taken out of DNS"),
        })?;
    }
    if matches!(done, Done::Waiting(_)) {
        return Err(Failure::silent(Exit::No));
    }
    Ok(())
}
