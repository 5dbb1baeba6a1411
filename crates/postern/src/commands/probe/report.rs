//! The results of a probe, for people and for programs.

use std::time::Duration;

use serde::Serialize;

use crate::exit::Failure;
use crate::{output, visible};

/// What a step means.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mark {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// Not as it should be.
    Bad,
}

#[derive(Debug, Serialize)]
struct Step {
    step: String,
    mark: Mark,
    text: String,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<f64>,
}

/// All steps.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    server: String,
    steps: Vec<Step>,
    /// Whether steps that were already reported are skipped, since they are repeated.
    #[serde(skip)]
    pub(super) quiet: bool,
}

impl Report {
    pub(super) fn new(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            steps: Vec::new(),
            quiet: false,
        }
    }

    /// Adds a step.
    pub(super) fn add(&mut self, step: &str, mark: Mark, text: impl Into<String>, time: Option<Duration>) {
        if self.quiet && self.steps.iter().any(|known| known.step == step) {
            return;
        }
        self.steps.push(Step {
            step: step.to_owned(),
            mark,
            text: text.into(),
            ms: time.map(|time| (time.as_secs_f64() * 10_000.0).round() / 10.0),
        });
    }

    /// Whether everything is as it should be.
    pub(super) fn is_good(&self) -> bool {
        self.steps.iter().all(|step| step.mark != Mark::Bad)
    }

    /// The final line: what is wrong, if anything.
    fn verdict(&self) -> String {
        let bad: Vec<&str> = self
            .steps
            .iter()
            .filter(|step| step.mark == Mark::Bad)
            .map(|step| step.step.as_str())
            .collect();
        match bad.len() {
            0 => format!("{} does as it should", self.server),
            1 => format!("{}: 1 thing is not as it should be: {}", self.server, bad[0]),
            count => format!(
                "{}: {count} things are not as they should be: {}",
                self.server,
                bad.join("; ")
            ),
        }
    }

    /// Prints it.
    pub(super) fn show(&self, json: bool) -> Result<(), Failure> {
        if json {
            #[derive(Serialize)]
            struct Whole<'a> {
                good: bool,
                verdict: String,
                #[serde(flatten)]
                report: &'a Report,
            }
            return output::print_json(&Whole {
                good: self.is_good(),
                verdict: self.verdict(),
                report: self,
            });
        }
        for step in &self.steps {
            output::print(&step.line(output::terminal_width()))?;
        }
        output::print(&output::wrapped(
            &visible::line(&self.verdict()),
            output::terminal_width(),
        ))
    }
}

impl Step {
    /// The step in a line, broken between words for a terminal of so many columns; what goes on is below the step, not below its sign.
    fn line(&self, columns: Option<usize>) -> String {
        let sign = match self.mark {
            Mark::Good => "ok  ",
            Mark::Note => "note",
            Mark::Bad => "BAD ",
        };
        let time = self.ms.map(|ms| format!(" [{ms} ms]")).unwrap_or_default();
        let text = self.text.replace('\n', " / ");
        let line = format!("{}: {text}{time}", self.step);
        let room = columns.map(|columns| columns.saturating_sub(5).max(20));
        let wrapped = output::wrapped(&visible::line(&line), room);
        format!("{sign} {}", wrapped.replace('\n', "\n     "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word() {
        let mut report = Report::new("mx.example.org");
        report.add("greeting", Mark::Good, "220 hi", None);
        report.add("STARTTLS", Mark::Note, "not offered", None);
        assert_eq!(
            (report.is_good(), report.verdict()),
            (true, "mx.example.org does as it should".to_owned())
        );
        report.add("open relay", Mark::Bad, "it takes mail", None);
        assert!(
            !report.is_good()
                && report
                    .verdict()
                    .ends_with("1 thing is not as it should be: open relay")
        );
    }
    #[test]
    fn long_lines_are_broken_on_a_terminal() {
        let mut report = Report::new("mx.example.org");
        let text = format!(
            "CN=mx.example.org for mx.example.org, RSA 2048, SHA-256 {}",
            "ab".repeat(32)
        );
        report.add("certificate", Mark::Good, text.clone(), None);
        let step = &report.steps[0];
        let digest = "ab".repeat(32);
        assert_eq!(
            step.line(Some(80)),
            format!(
                "ok   certificate: CN=mx.example.org for mx.example.org, RSA 2048, SHA-256\n     {digest}"
            )
        );
        assert_eq!(step.line(None), format!("ok   certificate: {text}"));
        assert!(step.line(Some(80)).lines().all(|line| line.chars().count() <= 80));
    }
}
