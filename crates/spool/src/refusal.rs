//! Why a message is not taken.

use postern_mail::Status;
use postern_policy::Rule;
use postern_policy::queue::QueueRefusal;
use postern_policy::rule::{Told, Verdict};

use crate::error::SpoolError;

/// Why a message is refused, with the reply to its client.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// The rule that decided.
    pub rule: Rule,
    /// 4xx or 5xx.
    pub code: u16,
    /// The enhanced status.
    pub status: Option<Status>,
    /// The text of the reply, lines separated by `\n`.
    pub text: String,
    /// Who refuses it and why, for the log.
    pub reason: String,
}

impl Refusal {
    /// From a verdict of policy, with its reply.
    #[must_use]
    pub fn of(verdict: &dyn Verdict, (code, status, text): Told) -> Self {
        Self {
            rule: verdict.rule(),
            code,
            status: Some(status),
            text: text.to_owned(),
            reason: verdict.reason().to_string(),
        }
    }
}

impl Refusal {
    /// The refusal for an error of the queue.
    #[must_use]
    pub fn of_spool(error: &SpoolError) -> Self {
        let trouble = error.trouble();
        let verdict = QueueRefusal {
            trouble,
            reason: error.to_string(),
        };
        Self::of(&verdict, trouble.told())
    }
}
