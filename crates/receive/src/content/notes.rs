//! What to report about a message once it has been accepted.

use postern_directory::rewriting::Rewritten;
use postern_policy::header_check::Told;
use postern_policy::rule::Rule;

/// Most log lines about one message.
const TOLD_MAX: usize = 100;

/// What to report when a message has been accepted: a rule, and what it did.
#[derive(Debug, Default)]
pub(super) struct Notes(pub(super) Vec<(Rule, String)>);

impl Notes {
    pub(super) fn tell(&mut self, rule: Rule, reason: String) {
        if self.0.len() < TOLD_MAX && !self.0.iter().any(|told| *told == (rule, reason.clone())) {
            self.0.push((rule, reason));
        }
    }

    /// An address was rewritten.
    pub(super) fn rewritten(&mut self, place: &str, from: &str, made: &Rewritten) {
        self.tell(Rule::RewriteChanged, made.told(place, from));
    }

    /// A check has acted, or warned.
    pub(super) fn checked(&mut self, told: &Told) {
        let rule = if told.verdict == "note" {
            Rule::CheckNoted
        } else {
            Rule::CheckEdited
        };
        self.tell(rule, told.to_string());
    }
}
