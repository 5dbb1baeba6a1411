//! Arguments of `trace` and `history`.

use clap::{Args, Subcommand};
use ipnet::IpNet;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};
use postern_policy::Rule;

use super::{ConfigArg, JsonArg};
use crate::stories::query::SANDBOXED;

/// Arguments of `trace`.
#[derive(Args, Debug)]
pub(crate) struct TraceArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    #[command(flatten)]
    pub(crate) json: JsonArg,
    /// Queue id, session id, Message-ID, address, domain, login, or address or network of clients; several must all match
    ///
    /// Its kind is recognised by its form, or given as in `login=anna`. The kinds are queue, session, message-id, address,
    /// domain, login, client, outcome and rule.
    #[arg(value_name = "WHAT")]
    pub(crate) what: Vec<String>,
    /// Only what this user has sent
    #[arg(long, value_name = "LOGIN")]
    pub(crate) login: Option<String>,
    /// Only what came from this address or network
    #[arg(long, value_name = "NETWORK", value_parser = super::sessions::network)]
    pub(crate) client: Option<IpNet>,
    /// Only what is from or to this address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
    /// Only with this outcome: delivered, deferred, bounced, expired, held, released, removed, discarded, refused, accepted,
    /// sandboxed
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    pub(crate) outcome: Option<String>,
    /// Only what this rule decided
    #[arg(long, value_name = "RULE", value_parser = rule)]
    pub(crate) rule: Option<String>,
    #[command(flatten)]
    pub(crate) times: TimesArgs,
    /// Show at most this many messages and sessions, the newest first, and say if there are more
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    /// One line for each message or session
    #[arg(long, short)]
    pub(crate) brief: bool,
    /// Show sessions and messages as they happen, until Ctrl-C; with --login, --client and --address only those that match
    #[arg(long, short, conflicts_with_all = ["outcome", "rule", "since", "until", "limit", "brief", "sessions"])]
    pub(crate) follow: bool,
    /// Also show sessions in which nothing was refused
    #[arg(long)]
    pub(crate) sessions: bool,
}

impl TraceArgs {
    /// Whether nothing says what to look for.
    pub(crate) fn asks_for_nothing(&self) -> bool {
        let options = [&self.login, &self.address, &self.outcome, &self.rule];
        self.what.is_empty()
            && options.into_iter().all(Option::is_none)
            && self.client.is_none()
            && self.times.since.is_none()
            && self.times.until.is_none()
    }
}

/// A span of time.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct TimesArgs {
    /// Only what happened since then: 2026-12-01, 2026-12-01T14:30, 2026-12-01T14:30:00Z, or 2h, 3d ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<Timestamp>,
    /// Only what happened until then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<Timestamp>,
}

/// Arguments of `history`.
#[derive(Args, Debug)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    #[command(subcommand)]
    pub(crate) command: HistoryCommand,
}

/// What to do with the history.
#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// Lists what administrators did: who, what, to what, why, when
    Acts {
        #[command(flatten)]
        times: TimesArgs,
        /// Show at most this many, the newest first
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        limit: u32,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Prints messages and sessions as lines of JSON, oldest day first
    Export {
        #[command(flatten)]
        times: TimesArgs,
    },
    /// Shows how much there is for each day, and what was dropped
    Status(JsonArg),
}

fn outcome(text: &str) -> Result<String, String> {
    match postern_history::OUTCOMES.contains(&text) || text == SANDBOXED {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "one of {}, {SANDBOXED}",
            postern_history::OUTCOMES.join(", ")
        )),
    }
}

fn rule(text: &str) -> Result<String, String> {
    match Rule::from_name(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("unknown rule; docs/log.md lists them".to_owned()),
    }
}

/// A time: one with its zone, one of this machine's zone, a day, or so long ago.
fn moment(text: &str) -> Result<Timestamp, String> {
    moment_at(text, Timestamp::now(), &TimeZone::system())
}

fn moment_at(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let local = text
        .parse::<DateTime>()
        .or_else(|_| text.parse::<Date>().map(DateTime::from));
    if let Ok(local) = local
        && let Ok(at) = local.to_zoned(zone.clone())
    {
        return Ok(at.timestamp());
    }
    let ago = text.parse::<Span>().ok();
    let ago = ago.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    ago.and_then(|ago| now.checked_sub(ago).ok())
        .ok_or_else(|| "neither a time such as 2026-12-01T14:30 nor a span such as 2h or 3d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        let now: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
        #[rustfmt::skip]
        let cases = [
            // what the case shows    as it is written         what is meant
            ("with its zone",         "2026-12-01T10:00:00Z",  Some("2026-12-01T10:00:00Z")),
            ("of this machine",       "2026-12-01T10:00",      Some("2026-12-01T10:00:00Z")),
            ("with a blank",          "2026-12-01 10:00:05",   Some("2026-12-01T10:00:05Z")),
            ("a day",                 "2026-11-30",            Some("2026-11-30T00:00:00Z")),
            ("hours ago",             "2h",                    Some("2026-12-01T10:00:00Z")),
            ("days ago",              "3d",                    Some("2026-11-28T12:00:00Z")),
            ("nothing",               "yesterday",             None),
        ];
        for (shows, written, meant) in cases {
            let meant = meant.map(|meant| meant.parse().unwrap());
            assert_eq!(moment_at(written, now, &TimeZone::UTC).ok(), meant, "{shows}");
        }
    }
}
