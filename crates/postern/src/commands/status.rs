//! `postern status`: one screen that says whether all is well, and what is not, for people and for monitors.

use std::io::IsTerminal as _;
use std::time::Duration;

use jiff::Timestamp;
use postern_deliver::PlacesStatus;
use serde_json::json;

use crate::args::StatusArgs;
use crate::config::Written;
use crate::control::findings::{Finding, Verdict};
use crate::control::protocol::{Request, Status};
use crate::exit::{Exit, Failure};
use crate::{locate, output, visible};

/// Shows the running server's own report. The exit status is that of monitoring plugins: 0 all is well, 1 a warning, 2 critical
/// (or no server runs), 3 it cannot be found out.
pub(crate) fn run(args: &StatusArgs) -> Result<(), Failure> {
    let unknown = |failure: Failure| Failure {
        exit: Exit::Unknown,
        ..failure
    };
    let path = locate::existing(&args.listing.config).map_err(unknown)?;
    let written = super::written(&path).map_err(unknown)?;
    if args.ready {
        let why = match look(&written) {
            Ok(seen) => seen.why_not_ready(),
            Err(failure) => Some(failure.message),
        };
        return match why {
            None => Ok(()),
            Some(why) => Err(Failure::new(Exit::No, format!("not ready: {why}"))),
        };
    }
    let Some(every) = args.watch else {
        let seen = look(&written).map_err(unknown)?;
        seen.print(args.listing.json.json)?;
        return seen.end();
    };
    // On a terminal, the page is redrawn; in a pipe, pages follow each other.
    let clear = std::io::stdout().is_terminal() && !args.listing.json.json;
    loop {
        let seen = look(&written).map_err(unknown)?;
        if clear {
            output::print(&format!("\x1b[H\x1b[2J{}", seen.text()))?;
        } else if args.listing.json.json {
            output::print(&visible::json(&seen.json().to_string()))?;
        } else {
            seen.print(false)?;
        }
        std::thread::sleep(Duration::from_secs(every.into()));
    }
}

/// What was found.
enum Seen {
    Runs(Box<Status>),
    /// No server runs; the state directory.
    Nothing(String),
}

fn look(written: &Written) -> Result<Seen, Failure> {
    // A later check finds a server that was started meanwhile.
    let Some(mut client) = super::reach(written)? else {
        return Ok(Seen::Nothing(written.state_dir().display().to_string()));
    };
    let value = client.ask(&Request::Status)?;
    let status = serde_json::from_value(value).map_err(|error| {
        Failure::from_error(Exit::Unknown, "cannot understand the server's answer", &error)
    })?;
    Ok(Seen::Runs(Box::new(status)))
}

/// The result if there is no server.
fn nothing(state_dir: &str) -> Finding {
    Finding {
        verdict: Verdict::Critical,
        brief: "no server runs".to_owned(),
        problem: format!("no server runs on {state_dir}"),
        remedy: "systemctl start postern; journalctl -u postern says why it ended".to_owned(),
    }
}

impl Seen {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Runs(status) => status.verdict,
            Self::Nothing(_) => Verdict::Critical,
        }
    }

    /// Why no mail is accepted; `None` if it is.
    fn why_not_ready(&self) -> Option<String> {
        match self {
            Self::Runs(status) => status.problem.clone().or_else(|| {
                (u64::from(status.sessions) >= status.sessions_max)
                    .then(|| format!("all {} sessions are taken", status.sessions_max))
            }),
            Self::Nothing(state_dir) => Some(nothing(state_dir).problem),
        }
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Self::Runs(status) => json!(status),
            Self::Nothing(state_dir) => {
                json!({ "verdict": Verdict::Critical, "findings": [nothing(state_dir)] })
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Runs(status) => text(status, Timestamp::now()),
            Self::Nothing(state_dir) => {
                let found = [nothing(state_dir)];
                format!(
                    "{}\n\n{}",
                    headline(Verdict::Critical, &summary(&found)),
                    findings(&found)
                )
            }
        }
    }

    fn print(&self, as_json: bool) -> Result<(), Failure> {
        if as_json {
            output::print_json(&self.json())
        } else {
            output::print(&self.text())
        }
    }

    /// The exit status.
    fn end(&self) -> Result<(), Failure> {
        match self.verdict() {
            Verdict::Ok => Ok(()),
            Verdict::Warning => Err(Failure::silent(Exit::No)),
            Verdict::Critical => Err(Failure::silent(Exit::Critical)),
        }
    }
}

/// The first line: monitors show only this.
fn headline(verdict: Verdict, rest: &str) -> String {
    let word = match verdict {
        Verdict::Ok => "OK",
        Verdict::Warning => "WARNING",
        Verdict::Critical => "CRITICAL",
    };
    let colour = match verdict {
        Verdict::Ok => "32",
        Verdict::Warning => "33",
        Verdict::Critical => "31",
    };
    let word = if output::colour_on_stdout() {
        format!("\x1b[1;{colour}m{word}\x1b[0m")
    } else {
        word.to_owned()
    };
    if rest.is_empty() {
        return word;
    }
    format!("{word}: {rest}")
}

/// Columns that the first line may take.
const COLUMNS: usize = 80;

/// What is wrong in one line: how many findings of each grade, and as many of them as fit.
fn summary(findings: &[Finding]) -> String {
    let count = |verdict| findings.iter().filter(|one| one.verdict == verdict).count();
    let graded = match (count(Verdict::Critical), count(Verdict::Warning)) {
        (0, 0) => return "all is well".to_owned(),
        (0, 1) => "1 warning".to_owned(),
        (0, warnings) => format!("{warnings} warnings"),
        (critical, 0) => format!("{critical} critical"),
        (critical, 1) => format!("{critical} critical, 1 warning"),
        (critical, warnings) => format!("{critical} critical, {warnings} warnings"),
    };
    let mut text = format!("{graded}: ");
    for (number, one) in findings.iter().enumerate() {
        let between = if number == 0 { "" } else { ", " };
        let brief = visible::line(&one.brief);
        let more = findings.len() - number;
        let columns = ["CRITICAL: ", &text, between, &brief].map(|part| part.chars().count());
        let reserved = if more > 1 { " and 99 more".len() } else { 0 };
        // The first is always shown.
        if number > 0 && columns.iter().sum::<usize>() + reserved > COLUMNS {
            text.push_str(&format!(" and {more} more"));
            break;
        }
        text.push_str(between);
        text.push_str(&brief);
    }
    text
}

/// The findings, each with its remedy below it.
fn findings(list: &[Finding]) -> String {
    let mut text = String::new();
    for finding in list {
        let grade = match finding.verdict {
            Verdict::Critical => "critical",
            Verdict::Warning => "warning",
            Verdict::Ok => "ok",
        };
        let problem = visible::line(&finding.problem);
        let lines = indented(&problem).into_iter().chain(indented(&finding.remedy));
        for (number, line) in lines.enumerate() {
            let first = if number == 0 { grade } else { "" };
            text.push_str(format!("{first:<10}{line}").trim_end());
            text.push('\n');
        }
    }
    text
}

/// A text wrapped to leave room for the severity.
fn indented(text: &str) -> Vec<String> {
    let wrapped = output::wrapped(text, Some(70));
    wrapped.lines().map(str::to_owned).collect()
}

fn text(status: &Status, now: Timestamp) -> String {
    let Status { version, process, .. } = status;
    let queue = &status.queue;
    let summary = summary(&status.findings);
    let oldest = status.oldest_s.map(|seconds| {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        format!(", oldest {}", output::span(seconds))
    });
    let mut text = format!(
        "{}\npostern {version} runs as process {process} for {}\n",
        headline(status.verdict, &summary),
        output::span(now.as_second() - status.started_at.as_second()),
    );
    if !status.findings.is_empty() {
        text.push_str(&format!("\n{}\n", findings(&status.findings)));
    }
    let held = match queue.held {
        0 => String::new(),
        held => format!(", {held} held"),
    };
    let sandboxed = match queue.sandboxed {
        0 => String::new(),
        sandboxed => format!(", {sandboxed} sandboxed"),
    };
    let mut rows = vec![
        (
            "sessions",
            format!("{} of {}", status.sessions, status.sessions_max),
        ),
        (
            "queue",
            format!(
                "{}, {}{held}{sandboxed}, {}{}",
                counted(queue.messages, "message"),
                counted(queue.recipients, "recipient"),
                output::size(queue.size),
                oldest.unwrap_or_default(),
            ),
        ),
    ];
    rows.extend(
        status
            .disk_free
            .map(|free| ("disk", format!("{} free", output::size(free)))),
    );
    let connections = connections(&status.connections);
    rows.extend(connections.lines().map(|line| ("connections", line.to_owned())));
    let directories = status.directories.iter();
    rows.extend(directories.map(|one| {
        let name = visible::line(&one.directory);
        ("directories", format!("{name}: {}", one.state))
    }));
    let mut before = "";
    for (label, value) in rows {
        let shown = if label == before { "" } else { label };
        text.push_str(&format!("{shown:<13}{value}\n"));
        before = label;
    }
    text
}

/// `1 message`, `2 messages`.
fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// The outgoing connections, a line for each kind of mail.
pub(super) fn connections(places: &[PlacesStatus]) -> String {
    let mut text = String::new();
    for one in places {
        let waiting = one.in_line + one.in_line_for_address;
        let waiting = match (waiting, one.short) {
            (0, _) => String::new(),
            (1, false) => ", 1 host waits".to_owned(),
            (waiting, false) => format!(", {waiting} hosts wait"),
            (waiting, true) => format!(", {waiting} hosts overdue"),
        };
        text.push_str(&format!(
            "{}: {} of {}, new hosts {} of {}{waiting}\n",
            one.class, one.connections, one.most, one.unproven, one.unproven_most,
        ));
    }
    text
}

#[cfg(test)]
mod tests;
