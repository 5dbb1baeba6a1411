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
        let is_ready = look(&written).is_ok_and(|seen| seen.takes_mail());
        return if is_ready {
            Ok(())
        } else {
            Err(Failure::silent(Exit::No))
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

    /// Whether mail is accepted.
    fn takes_mail(&self) -> bool {
        match self {
            Self::Runs(status) => {
                status.problem.is_none() && u64::from(status.sessions) < status.sessions_max
            }
            Self::Nothing(_) => false,
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
                format!(
                    "{}\n{}",
                    headline(Verdict::Critical, ""),
                    findings(&[nothing(state_dir)])
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
    let summary = match status.findings.len() {
        0 => "all is well".to_owned(),
        1 => "1 thing to look at".to_owned(),
        count => format!("{count} things to look at"),
    };
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
    text.push_str(&format!(
        "sessions  {} of {}\n\
         queue     {} messages, {} recipients, {} held{}, {}{}\n",
        status.sessions,
        status.sessions_max,
        queue.messages,
        queue.recipients,
        queue.held,
        match queue.sandboxed {
            0 => String::new(),
            sandboxed => format!(", {sandboxed} sandboxed"),
        },
        output::size(queue.size),
        oldest.unwrap_or_default(),
    ));
    if let Some(free) = status.disk_free {
        text.push_str(&format!("disk      {} free\n", output::size(free)));
    }
    text.push_str(&connections(&status.connections));
    for (number, one) in status.directories.iter().enumerate() {
        let first = if number == 0 { "logins by" } else { "" };
        text.push_str(&format!(
            "{first:<10}{}: {}\n",
            visible::line(&one.directory),
            one.state
        ));
    }
    text
}

/// The outgoing connections, a line for each kind of mail.
pub(super) fn connections(places: &[PlacesStatus]) -> String {
    let mut text = String::new();
    for one in places {
        let waiting = one.in_line + one.in_line_for_address;
        let waiting = match (waiting, one.short) {
            (0, _) => "none waits".to_owned(),
            (waiting, false) => format!("{waiting} wait"),
            (waiting, true) => format!("{waiting} wait, too long"),
        };
        text.push_str(&format!(
            "{:<9} {} of {} connections, {} of {} for new hosts, {waiting}\n",
            one.class, one.connections, one.most, one.unproven, one.unproven_most,
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::control::protocol::{StatusDirectory, Totals};

    use super::*;

    fn status() -> Status {
        Status {
            version: "1.0.0 (0123456789ab)".into(),
            process: 42,
            started_at: "2026-11-22T09:30:20Z".parse().unwrap(),
            verdict: Verdict::Ok,
            findings: Vec::new(),
            sessions: 3,
            sessions_max: 10_000,
            queue: Totals {
                messages: 2,
                recipients: 5,
                held: 1,
                size: 2048,
                ..Totals::default()
            },
            oldest_s: Some(3_700),
            disk_free: Some(5 << 30),
            connections: vec![PlacesStatus {
                class: "strangers".into(),
                connections: 104,
                reserved: 200,
                most: 400,
                unproven: 100,
                unproven_most: 100,
                in_line: 900,
                in_line_for_address: 12,
                short: true,
            }],
            directories: ["users (directory 1)", "ldap (directory 2)"]
                .map(|directory| StatusDirectory {
                    directory: directory.to_owned(),
                    state: "up".to_owned(),
                })
                .to_vec(),
            problem: None,
        }
    }

    #[test]
    fn all_is_on_one_screen() {
        let now = "2026-11-22T10:30:20Z".parse().unwrap();
        let mut status = status();
        assert_eq!(
            text(&status, now),
            "OK: all is well\n\
             postern 1.0.0 (0123456789ab) runs as process 42 for 1h\n\
             sessions  3 of 10000\n\
             queue     2 messages, 5 recipients, 1 held, 2.0 KiB, oldest 1h 1m\n\
             disk      5.0 GiB free\n\
             strangers 104 of 400 connections, 100 of 100 for new hosts, 912 wait, too long\n\
             logins by users (directory 1): up\n\
             \x20         ldap (directory 2): up\n"
        );
        status.verdict = Verdict::Critical;
        status.findings = vec![
            Finding {
                verdict: Verdict::Critical,
                problem: "no mail is taken: the disk is full: there is no room left on the device that the queue is on".into(),
                remedy: "make room".into(),
            },
            Finding {
                verdict: Verdict::Warning,
                problem: "the certificate mx.crt expires in 9d".into(),
                remedy: "renew it, then postern reload".into(),
            },
        ];
        let shown = text(&status, now);
        assert!(
            shown.starts_with(
                "CRITICAL: 2 things to look at\n\
                 postern 1.0.0 (0123456789ab) runs as process 42 for 1h\n\
                 \n\
                 critical  no mail is taken: the disk is full: there is no room left on the\n\
                 \x20         device that the queue is on\n\
                 \x20         make room\n\
                 warning   the certificate mx.crt expires in 9d\n\
                 \x20         renew it, then postern reload\n\
                 \n\
                 sessions  3 of 10000\n"
            ),
            "{shown}"
        );
        assert!(shown.lines().all(|line| line.len() <= 80), "{shown}");
    }

    #[test]
    fn monitors_go_by_how_it_ends() {
        for (verdict, exit) in [(Verdict::Warning, 1), (Verdict::Critical, 2)] {
            let seen = Seen::Runs(Box::new(Status { verdict, ..status() }));
            assert_eq!(seen.end().unwrap_err().exit as i32, exit);
        }
        assert!(Seen::Runs(Box::new(status())).end().is_ok());
        let nothing = Seen::Nothing("/var/lib/postern".into());
        assert_eq!(nothing.end().unwrap_err().exit as i32, 2);
        assert!(
            nothing.text().starts_with("CRITICAL\ncritical  no server runs"),
            "{}",
            nothing.text()
        );
        assert_eq!(nothing.json()["findings"][0]["verdict"], "critical");
        assert_eq!(Exit::Unknown as i32, 3);
    }
}
