//! `postern stats`: how much mail there was.

use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use postern_stats::{Day, Named, Top, report, sum};
use postern_store::{Space, SqliteStore, Store as _};
use serde_json::{Value, json};

use crate::args::StatsArgs;
use crate::control::protocol::Request;
use crate::exit::{Exit, Failure};
use crate::usage::store_path;
use crate::{locate, output, visible};

/// Shows the statistics of the requested days.
pub(crate) fn run(args: &StatsArgs) -> Result<(), Failure> {
    let today = TimeZone::UTC.to_datetime(Timestamp::now()).date();
    let (from, to) = span(args, today);
    if from > to {
        return Err(Failure::new(
            Exit::Usage,
            format!("--from {from} is later than --to {to}: exchange them"),
        ));
    }
    let written = super::written(&locate::existing(&args.listing.config)?)?;
    let days = match super::reach(&written)? {
        Some(mut client) => {
            let value = client.ask(&Request::Statistics { from, to })?;
            serde_json::from_value(value).map_err(|error| {
                Failure::from_error(Exit::Software, "cannot understand the server's answer", &error)
            })?
        }
        None => kept(written.state_dir(), from, to)?,
    };
    if args.listing.json.json {
        return output::print_json(&as_json(&days, (from, to), args.top));
    }
    output::print(&visible::lines(&report(&days, (from, to), args.top)))
}

/// The days that the last server has written, where none runs.
fn kept(state_dir: &Path, from: Date, to: Date) -> Result<Vec<Day>, Failure> {
    let path = store_path(state_dir);
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::from_error(
            Exit::InputOutput,
            &format!("cannot read {}", path.display()),
            error,
        )
    };
    let Some(store) = SqliteStore::read(&path).map_err(|error| failed(&error))? else {
        return Ok(Vec::new());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| failed(&error))?;
    let records = runtime
        .block_on(async { store.all(Space::Statistics).await })
        .map_err(|error| failed(&error))?;
    // Beside the days it is kept until when digests were sent.
    let days = records
        .iter()
        .filter_map(|record| serde_json::from_str::<Day>(&record.value).ok());
    let mut days: Vec<Day> = days.filter(|day| (from..=to).contains(&day.date)).collect();
    days.sort_by_key(|day| day.date);
    Ok(days)
}

/// The first day and the last one.
fn span(args: &StatsArgs, today: Date) -> (Date, Date) {
    match (args.from, args.days) {
        (Some(from), _) => (from, args.to.unwrap_or(from)),
        (None, Some(days)) => {
            let before = i64::from(days.saturating_sub(1));
            (today.saturating_sub(before.days()), today)
        }
        (None, None) => (today, today),
    }
}

/// The same for programs.
fn as_json(days: &[Day], (from, to): (Date, Date), top: usize) -> Value {
    let whole = sum(days);
    let names = |list: &Top| {
        let all: Vec<&Named> = list.names();
        let mut rest = list.rest();
        all.iter().skip(top).for_each(|named| rest += named.counts);
        let shown: Vec<&&Named> = all.iter().take(top).collect();
        json!({ "names": shown, "rest": rest })
    };
    let by_day: Vec<Value> = days
        .iter()
        .map(|day| json!({ "date": day.date, "counts": day.total() }))
        .collect();
    json!({
        "first_day": from,
        "last_day": to,
        "total": whole.total(),
        "by_day": by_day,
        "by_hour": whole.hours,
        "by_listener": names(&whole.listeners),
        "by_login": names(&whole.logins),
        "by_sender_domain": names(&whole.senders),
        "by_recipient_domain": names(&whole.recipients),
        "by_rule": names(&whole.rules),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use jiff::civil::date;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn days_are_named_or_counted_back() {
        let today = date(2026, 12, 10);
        for (arguments, from, to) in [
            (&[][..], today, today),
            (&["--days", "7"], date(2026, 12, 4), today),
            (&["--days", "1"], today, today),
            (&["--from", "2026-12-01"], date(2026, 12, 1), date(2026, 12, 1)),
            (
                &["--from", "2026-12-01", "--to", "2026-12-03"],
                date(2026, 12, 1),
                date(2026, 12, 3),
            ),
        ] {
            let line = ["postern", "stats"].iter().chain(arguments);
            let Command::Stats(args) = Cli::parse_from(line).command else {
                panic!("another command");
            };
            assert_eq!(span(&args, today), (from, to), "{arguments:?}");
        }
    }
}
