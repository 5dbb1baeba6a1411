//! What is to be told of a message once it has been taken.

use postern_directory::rewriting::Rewritten;
use postern_policy::header_check::Told;
use postern_policy::rule::Rule;

/// Most lines in the log about one message.
const TOLD_MAX: usize = 100;

/// What is told when a message has been taken: a rule, and what it did.
#[derive(Debug, Default)]
pub(super) struct Notes(pub(super) Vec<(Rule, String)>);

impl Notes {
    pub(super) fn tell(&mut self, rule: Rule, reason: String) {
        if self.0.len() < TOLD_MAX && !self.0.iter().any(|told| *told == (rule, reason.clone())) {
            self.0.push((rule, reason));
        }
    }

    /// An address has become another.
    pub(super) fn rewritten(&mut self, place: &str, from: &str, made: &Rewritten) {
        self.tell(Rule::RewriteChanged, made.told(place, from));
    }

    /// A check has done something, or said it.
    pub(super) fn checked(&mut self, told: &Told) {
        let rule = if told.verdict == "note" {
            Rule::CheckNoted
        } else {
            Rule::CheckEdited
        };
        self.tell(rule, told.to_string());
    }
}
