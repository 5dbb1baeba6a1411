//! `postern history`: actions of administrators, an export, and how much there is.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use postern_history::{Act, Acts, Counts, Usage};
use serde::Serialize;

use super::trace;
use crate::args::{HistoryArgs, HistoryCommand, TimesArgs};
use crate::config::Written;
use crate::control::protocol::Request;
use crate::exit::{Exit, Failure};
use crate::stories::{Told, query};
use crate::{locate, output, rights, visible};

/// Does what was asked.
pub(crate) fn run(args: &HistoryArgs) -> Result<(), Failure> {
    let written = super::written(&locate::existing(&args.config)?)?;
    match &args.command {
        HistoryCommand::Acts { times, limit, json } => acts(&written, times, *limit, json.json),
        HistoryCommand::Export { times } => export(&written, times),
        HistoryCommand::Status(json) => status(&written, json.json),
    }
}

/// Refuses a time span that ends before it begins.
fn check(times: &TimesArgs) -> Result<(), Failure> {
    match query::reversed(times.since, times.until) {
        Some(problem) => Err(Failure::new(Exit::Usage, problem)),
        None => Ok(()),
    }
}

fn acts(written: &Written, times: &TimesArgs, limit: u32, json: bool) -> Result<(), Failure> {
    check(times)?;
    super::reach(written)?;
    let folder = written.history_folder();
    rights::enter(&folder)?;
    let failed = |error| Failure::from_error(Exit::NoPermission, "cannot read the acts", &error);
    let acts = Acts::read(&folder).map_err(failed)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = match acts {
        Some(acts) => acts.between(times.since, times.until, limit).map_err(failed)?,
        None => Vec::new(),
    };
    if json {
        return output::print_json(&found);
    }
    if found.is_empty() {
        return output::print("no act of an administrator is recorded");
    }
    output::print_table(
        &["time", "who", "act", "on", "changed", "reason"],
        &[4],
        &[0],
        found.iter().map(row).collect(),
    )
}

fn row(act: &Act) -> Vec<String> {
    let at = act.at.to_zoned(TimeZone::system());
    vec![
        at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        match &act.told {
            Some(told) => format!("{} (says {told})", act.by),
            None => act.by.clone(),
        },
        act.act.clone(),
        act.what.clone().unwrap_or_default(),
        act.changed
            .map_or_else(String::new, |changed| changed.to_string()),
        act.reason.clone().unwrap_or_default(),
    ]
}

/// Prints one story a line.
fn export(written: &Written, times: &TimesArgs) -> Result<(), Failure> {
    check(times)?;
    let mut archive = trace::open(written)?;
    let mut result = Ok(());
    let unreadable = archive.each(times.since, times.until, |story| {
        let text = serde_json::to_string(&Told::of(story));
        let text = text.map_err(|error| Failure::from_error(Exit::Software, "cannot print JSON", &error));
        result = text.and_then(|text| output::print(&visible::json(&text)));
        result.is_ok()
    });
    result?;
    for file in unreadable.map_err(|error| trace::cannot(&error))? {
        eprintln!("postern: cannot read {}", visible::line(&file));
    }
    Ok(())
}

/// How much there is.
#[derive(Debug, Serialize)]
struct Status {
    /// Octets of all files.
    size: u64,
    stories: u64,
    by_file: Vec<Usage>,
    not_read: Vec<String>,
    /// The running server's counters; none if none is running, or it keeps no history.
    counted: Option<Counts>,
}

fn status(written: &Written, json: bool) -> Result<(), Failure> {
    let counts = match super::reach(written)? {
        Some(mut client) => serde_json::from_value(client.ask(&Request::History)?).ok(),
        None => None,
    };
    let mut archive = trace::open(written)?;
    let (days, unreadable) = archive.usage().map_err(|error| trace::cannot(&error))?;
    let status = Status {
        size: days.iter().map(|one| one.size).sum(),
        stories: days.iter().map(|one| one.stories).sum(),
        by_file: days,
        not_read: unreadable,
        counted: counts,
    };
    if json {
        return output::print_json(&status);
    }
    show(&status)
}

fn show(status: &Status) -> Result<(), Failure> {
    if status.by_file.is_empty() {
        output::print("the history is empty")?;
    } else {
        let mut days: BTreeMap<_, (u64, u64, u64, u64)> = BTreeMap::new();
        for one in &status.by_file {
            let day = days.entry(one.day).or_default();
            match one.class {
                "users" => day.0 += one.stories,
                "incoming" => day.1 += one.stories,
                _ => day.2 += one.stories,
            }
            day.3 += one.size;
        }
        let rows = days
            .into_iter()
            .rev()
            .map(|(day, (users, incoming, strangers, size))| {
                vec![
                    day.to_string(),
                    users.to_string(),
                    incoming.to_string(),
                    strangers.to_string(),
                    output::size(size),
                ]
            });
        output::print_table(
            &["day", "of users", "from outside", "strangers", "size"],
            &[1, 2, 3, 4],
            &[0],
            rows.collect(),
        )?;
        output::print(&format!(
            "{} messages and sessions, {} on disk",
            status.stories,
            output::size(status.size)
        ))?;
    }
    if let Some(counts) = &status.counted {
        let lost = [
            (counts.dropped, "events left out because the disk was too slow"),
            (
                counts.dropped_failed,
                "pieces left out because the disk was full or failed",
            ),
            (
                counts.dropped_strangers,
                "sessions of strangers left out beyond their share",
            ),
            (counts.left_out, "events left out of stories that were too long"),
        ];
        for (many, what) in lost.into_iter().filter(|(many, _)| *many > 0) {
            output::print(&format!("since the start of the server: {many} {what}"))?;
        }
    }
    for file in &status.not_read {
        output::print(&format!("cannot read {}", visible::line(file)))?;
    }
    Ok(())
}
