//! What checks have found in one message, and what to do with it.

use std::sync::Arc;

use postern_mail::Mailbox;

use super::Verdict;
use crate::access::Words;
use crate::route::Detour;

/// Most log lines about one message.
const TOLD_MAX: usize = 50;

/// Most copies of one message because of checks.
const COPIES_MAX: usize = 50;

/// The findings so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Findings {
    /// It is refused, by this check.
    pub refused: Option<(Box<str>, Words)>,
    /// It is discarded, by this check and for this reason.
    pub discarded: Option<(Box<str>, Box<str>)>,
    /// It is held, likewise.
    pub held: Option<(Box<str>, Box<str>)>,
    /// It is redirected to this address.
    pub redirected: Option<(Box<str>, Mailbox)>,
    /// Copies go to these addresses.
    pub copies: Vec<(Box<str>, Mailbox)>,
    /// It takes this route.
    pub detour: Option<(Box<str>, Arc<Detour>)>,
    /// What else to log.
    pub told: Vec<Told>,
    /// Whether its content has changed.
    pub edited: bool,
}

/// What a check did to a field or line, or noted about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told {
    /// The check.
    pub check: Box<str>,
    /// The word of its verdict.
    pub verdict: &'static str,
    /// The name of the field; `None` for a line of the body.
    pub field: Option<Box<str>>,
    /// A reason, or empty.
    pub reason: Box<str>,
}

impl std::fmt::Display for Told {
    /// For the log: the check, and what it did or noted.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = self.field.as_deref().unwrap_or("body");
        match &*self.reason {
            "" => write!(f, "{}: {} {place}", self.check, self.verdict),
            reason => write!(f, "{}: {place}: {reason}", self.check),
        }
    }
}

impl Findings {
    /// Whether nothing more need be checked.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.refused.is_some() || self.discarded.is_some()
    }

    /// Adds a verdict. Of two that exclude each other the first counts.
    pub(super) fn note(&mut self, check: &str, verdict: &Verdict, field: Option<&[u8]>) {
        match verdict {
            Verdict::Keep => {}
            Verdict::Refuse(words) => {
                self.refused.get_or_insert_with(|| (check.into(), words.clone()));
            }
            Verdict::Discard(reason) => {
                self.discarded
                    .get_or_insert_with(|| (check.into(), reason.clone()));
            }
            Verdict::Hold(reason) => {
                self.held.get_or_insert_with(|| (check.into(), reason.clone()));
            }
            Verdict::Redirect(to) => {
                self.redirected.get_or_insert_with(|| (check.into(), to.clone()));
            }
            Verdict::Copy(to) => {
                let is_there = self.copies.iter().any(|(_, known)| known == to);
                if !is_there && self.copies.len() < COPIES_MAX {
                    self.copies.push((check.into(), to.clone()));
                }
            }
            Verdict::Detour(detour) => self.detour = Some((check.into(), detour.clone())),
            Verdict::Note(reason) => self.tell(check, verdict.word(), field, reason),
            Verdict::Remove | Verdict::Replace(_) | Verdict::Prepend(_) => {
                self.edited = true;
                self.tell(check, verdict.word(), field, "");
            }
        }
    }

    fn tell(&mut self, check: &str, verdict: &'static str, field: Option<&[u8]>, reason: &str) {
        let told = Told {
            check: check.into(),
            verdict,
            field: field.map(|name| {
                String::from_utf8_lossy(name)
                    .chars()
                    .take(80)
                    .collect::<String>()
                    .into()
            }),
            reason: reason.into(),
        };
        if self.told.len() < TOLD_MAX && !self.told.contains(&told) {
            self.told.push(told);
        }
    }
}
