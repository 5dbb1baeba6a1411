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
            let sign = match step.mark {
                Mark::Good => "ok  ",
                Mark::Note => "note",
                Mark::Bad => "BAD ",
            };
            let time = step.ms.map(|ms| format!(" [{ms} ms]")).unwrap_or_default();
            let text = step.text.replace('\n', " / ");
            output::print(&visible::line(&format!("{sign} {}: {text}{time}", step.step)))?;
        }
        output::print(&visible::line(&self.verdict()))
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
}
