//! What budgets would have caught, for people and programs.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use postern_policy::budget::{Budget, Caught, Trial};
use serde::Serialize;

use super::moment::at;
use crate::args::BudgetsTryArgs;
use crate::control::accounts::in_words;
use crate::exit::Failure;
use crate::output;

/// All, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Messages that were counted.
    messages: u64,
    caught: Vec<Line>,
    /// Files of the history that could not be read.
    not_read: Vec<String>,
}

/// What one bound would have caught of one account.
#[derive(Debug, Serialize)]
struct Line {
    budget: String,
    per: &'static str,
    account: String,
    counted: &'static str,
    span: &'static str,
    most: u64,
    action: &'static str,
    /// When it was exceeded first, and last.
    first: Timestamp,
    last: Timestamp,
    /// How often.
    times: u64,
    /// The most that there was.
    highest: u64,
    /// Messages that would have been held, refused for now, or slowed.
    held: u64,
    refused: u64,
    delayed: u64,
}

impl Shown {
    pub(super) fn of(trial: &Trial<'_>, args: &BudgetsTryArgs, not_read: Vec<String>) -> Self {
        Self {
            since: args.times.since,
            until: args.times.until,
            messages: trial.messages(),
            caught: trial.caught().into_iter().map(line).collect(),
            not_read,
        }
    }
}

fn line(caught: &Caught) -> Line {
    Line {
        budget: caught.budget.to_string(),
        per: caught.per.name(),
        account: caught.key.to_string(),
        counted: caught.bound.counted.name(),
        span: caught.bound.span.name(),
        most: caught.bound.most,
        action: caught.bound.action.name(),
        first: at(caught.first),
        last: at(caught.last),
        times: caught.times,
        highest: caught.highest,
        held: caught.held,
        refused: caught.refused,
        delayed: caught.delayed,
    }
}

pub(super) fn print(shown: &Shown, budgets: &[Budget]) -> Result<(), Failure> {
    output::print(&format!("{} messages of the history were tried", shown.messages))?;
    for budget in budgets {
        output::print(&format!("\n{} (per {})", budget.name, budget.per.words()))?;
        if budget.bounds.is_empty() {
            output::print("  no bounds: an exception")?;
        }
        for bound in &budget.bounds {
            let caught = shown.caught.iter().filter(|line| {
                *line.budget == *budget.name
                    && line.counted == bound.counted.name()
                    && line.span == bound.span.name()
                    && line.action == bound.action.name()
            });
            let rows: Vec<Vec<String>> = caught.map(row).collect();
            let nobody = if rows.is_empty() {
                "; nobody exceeds it"
            } else {
                ""
            };
            output::print(&format!("  {}{nobody}", in_words(bound)))?;
            if !rows.is_empty() {
                output::print_table(
                    &["account", "first", "times", "most", "held", "refused", "slowed"],
                    &[2, 3, 4, 5, 6],
                    &[0],
                    rows,
                )?;
            }
        }
    }
    Ok(())
}

fn row(line: &Line) -> Vec<String> {
    let first = line.first.to_zoned(TimeZone::system());
    vec![
        line.account.clone(),
        first.strftime("%Y-%m-%d %H:%M").to_string(),
        line.times.to_string(),
        line.highest.to_string(),
        line.held.to_string(),
        line.refused.to_string(),
        line.delayed.to_string(),
    ]
}
