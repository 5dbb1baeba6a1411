//! Accounts on hold.

use serde::{Deserialize, Serialize};

use super::Moment;

/// Who has put an account on hold.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkedBy {
    /// A budget, by its name.
    Budget(Box<str>),
    /// An administrator, by name.
    Administrator(Box<str>),
}

/// An account on hold: its mail is taken and waits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Mark {
    /// Who has done it.
    pub by: MarkedBy,
    /// Why: what was too much, or what the administrator has said.
    pub reason: Box<str>,
    /// Since when.
    pub since: Moment,
    /// Messages that were taken and held since.
    pub messages: u64,
    /// Octets of them.
    pub octets: u64,
    /// Whether administrators and the user have been told.
    pub told: bool,
}

impl Mark {
    /// Of an account that is put on hold now.
    #[must_use]
    pub fn new(by: MarkedBy, reason: &str, since: Moment) -> Self {
        Self {
            by,
            reason: reason.into(),
            since,
            messages: 0,
            octets: 0,
            told: false,
        }
    }
}

/// How much of an account on hold is kept; beyond, it is refused for now. Zero sets no limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeldMost {
    /// Messages.
    pub messages: u64,
    /// Octets.
    pub octets: u64,
}

impl Default for HeldMost {
    fn default() -> Self {
        Self {
            messages: 1_000,
            octets: 1 << 30,
        }
    }
}

impl HeldMost {
    /// Whether there is room for one more message.
    #[must_use]
    pub const fn has_room(&self, mark: &Mark, octets: u64) -> bool {
        (self.messages == 0 || mark.messages < self.messages)
            && (self.octets == 0 || mark.octets.saturating_add(octets) <= self.octets)
    }
}
