//! What is reported about a message that has gone through a filter.

use postern_filter::End;
use postern_mail::{Mailbox, ReversePath};
use postern_milter::{Change, Verdict, edit};
use postern_policy::milter::Skip;
use postern_policy::rule::Verdict as _;
use postern_receive::MilterSettings;
use serde::Serialize;

use super::shown::{self, Changed};
use crate::visible;

/// The course of a message.
pub(super) enum Came<'a> {
    End {
        end: End,
        body: Vec<u8>,
        /// Recipients that the filter accepted.
        taken: Vec<&'a Mailbox>,
    },
    /// Decided before its end.
    Decided(Verdict),
    Failed(String),
}

/// The outcome.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// The message passes, with all changes.
    Through,
    /// It is permanently refused.
    Rejected,
    /// It is temporarily refused.
    Deferred,
    /// It is discarded.
    Discarded,
    /// It is accepted and held.
    Held,
    /// The filter has failed.
    Failed,
}

impl Outcome {
    const fn shown(self) -> &'static str {
        match self {
            Self::Through => "the message goes on",
            Self::Rejected => "the message is refused for good",
            Self::Deferred => "the message is refused for now",
            Self::Discarded => "the message is discarded, and the client is told that it was accepted",
            Self::Held => "the message is accepted and held",
            Self::Failed => "the filter has failed",
        }
    }
}

/// A step with the filter's answer.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) step: String,
    /// None if the filter is not told, or does not answer.
    pub(super) answer: Option<String>,
    pub(super) ms: f64,
    /// How many consecutive steps got the same answer: fields, pieces of the body.
    pub(super) times: u64,
}

/// The whole report about a message.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    milter: String,
    address: String,
    /// The rule by which the server would skip the filter, and why.
    passed_by: Option<String>,
    rule: Option<&'static str>,
    steps: Vec<Step>,
    changes: Vec<Changed>,
    pub(super) outcome: Outcome,
    /// The reply to the client, in the filter's words, or why the filter failed or holds the message.
    reason: Option<String>,
    /// The sender as it is afterwards.
    from: String,
    /// The recipients as they are afterwards.
    to: Vec<String>,
}

/// Assembles the report.
pub(super) fn report(
    milter: &MilterSettings,
    skip: Option<Skip>,
    mut steps: Vec<Step>,
    came: &Came<'_>,
    sender: &ReversePath,
    taken: &[&Mailbox],
) -> Report {
    for step in &mut steps {
        step.ms = (step.ms * 10.0).round() / 10.0;
        if step.times > 1 && step.step.starts_with("field ") {
            "fields".clone_into(&mut step.step);
        }
    }
    let (changes, body): (&[Change], _) = match came {
        Came::End { end, body, .. } => (&end.changes, end.body_replaced.then_some(body.len() as u64)),
        _ => (&[], None),
    };
    let (outcome, reason) = outcome(came, changes);
    let addresses: Vec<String> = taken.iter().map(ToString::to_string).collect();
    let recipients = edit::recipients(addresses.iter().map(String::as_str), changes);
    let recipients = recipients.into_iter().map(|recipient| match recipient {
        edit::Recipient::Kept(place) => addresses[place].clone(),
        edit::Recipient::New { recipient, .. } => bare(recipient).to_owned(),
    });
    let new_sender = changes.iter().rev().find_map(|change| match change {
        Change::ChangeSender { sender, .. } => Some(bare(sender).to_owned()),
        _ => None,
    });
    let old_sender = || sender.mailbox().map_or_else(String::new, ToString::to_string);
    let changed = changes.iter().map(Changed::of);
    Report {
        milter: milter.filter.name.clone(),
        address: milter.filter.address.to_string(),
        rule: skip.map(|skip| skip.rule().name()),
        passed_by: skip.map(|skip| skip.to_string()),
        steps,
        changes: changed.chain(body.map(Changed::new_body)).collect(),
        outcome,
        reason,
        from: new_sender.unwrap_or_else(old_sender),
        to: recipients.collect(),
    }
}

/// The outcome, and why.
fn outcome(came: &Came<'_>, changes: &[Change]) -> (Outcome, Option<String>) {
    let verdict = match came {
        Came::Failed(why) => return (Outcome::Failed, Some(why.clone())),
        Came::Decided(verdict) => verdict,
        Came::End { end, .. } => &end.verdict,
    };
    let held = changes.iter().find_map(|change| match change {
        Change::Quarantine(reason) => Some(reason.clone()),
        _ => None,
    });
    match verdict {
        Verdict::Continue | Verdict::Accept => match held {
            Some(reason) => (Outcome::Held, Some(reason)),
            None => (Outcome::Through, None),
        },
        Verdict::Reject => (Outcome::Rejected, None),
        Verdict::Tempfail | Verdict::Shutdown | Verdict::ConnectionFailure => (Outcome::Deferred, None),
        Verdict::Discard => (Outcome::Discarded, None),
        Verdict::Reply(reply) if reply.is_permanent() => (Outcome::Rejected, Some(shown::reply(reply))),
        Verdict::Reply(reply) => (Outcome::Deferred, Some(shown::reply(reply))),
    }
}

/// An address without its brackets.
fn bare(address: &str) -> &str {
    let address = address.trim();
    let inner = address.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    inner.unwrap_or(address)
}

impl Report {
    /// For people: one line per step, one line per change, and the outcome.
    pub(super) fn shown(&self) -> String {
        let mut lines = vec![format!("{} at {}", self.milter, self.address)];
        if let (Some(why), Some(rule)) = (&self.passed_by, self.rule) {
            lines.push(format!("the server would not ask it: {why} ({rule})"));
        }
        let name = |step: &Step| match step.times {
            1 => step.step.clone(),
            times => format!("{} ({times})", step.step),
        };
        let widest = self.steps.iter().map(|step| name(step).chars().count()).max();
        let widest = widest.unwrap_or(0).min(50);
        for step in &self.steps {
            let answer = step.answer.as_deref().unwrap_or("-");
            lines.push(format!("  {:widest$}  {answer}  {} ms", name(step), step.ms));
        }
        for change in &self.changes {
            lines.push(format!("  {}", change.shown()));
        }
        let outcome = self.outcome.shown();
        lines.push(match &self.reason {
            Some(reason) => format!("{outcome}: {reason}"),
            None => outcome.to_owned(),
        });
        if matches!(self.outcome, Outcome::Through | Outcome::Held) {
            lines.push(format!("from <{}> to {}", self.from, self.to.join(", ")));
        }
        let lines: Vec<_> = lines.iter().map(|line| visible::line(line)).collect();
        lines.join("\n")
    }
}
