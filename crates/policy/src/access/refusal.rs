//! Why an access rule refuses, as a verdict.

use std::fmt;

use postern_mail::Status;

use super::rules::AccessRule;
use crate::rule::{Rule, Told, Verdict};

/// A refusal by an access rule.
#[derive(Clone, Copy, Debug)]
pub struct AccessRefusal<'a> {
    /// The rule.
    pub rule: &'a AccessRule,
    /// Why.
    pub why: Why<'a>,
}

/// Why an access rule refuses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why<'a> {
    /// The rule itself refuses.
    Verdict,
    /// Its limit of this name is reached.
    Limit(&'a str),
    /// What it depends on could not be looked up, for this reason.
    Unsure(&'a str),
}

/// The reply when what a rule depends on cannot be looked up.
pub const UNSURE: Told = (
    451,
    Status(4, 7, 1),
    "Access rules cannot be evaluated now, try again later",
);

impl Verdict for AccessRefusal<'_> {
    fn rule(&self) -> Rule {
        match self.why {
            Why::Verdict => Rule::AccessRefused,
            Why::Limit(_) => Rule::AccessLimit,
            Why::Unsure(_) => Rule::AccessUnsure,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        match self.why {
            // The reply is the rule's own.
            Why::Verdict | Why::Limit(_) => None,
            Why::Unsure(_) => Some(UNSURE),
        }
    }
}

/// `"dial-in pools" (postern.toml:12)`, and the reason, unless it is the rule itself.
impl fmt::Display for AccessRefusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rule.fmt(f)?;
        match self.why {
            Why::Verdict => Ok(()),
            Why::Limit(name) => write!(f, ": the limit {name:?} is reached"),
            Why::Unsure(reason) => write!(f, ": {reason}"),
        }
    }
}

/// The name of the rule, and where it is written.
impl fmt::Display for AccessRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)?;
        if self.place.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.place)
        }
    }
}
