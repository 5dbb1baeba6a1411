//! Accounts on hold.

use serde::{Deserialize, Serialize};

use super::Moment;

/// Who put an account on hold.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkedBy {
    /// A budget, by name.
    Budget(Box<str>),
    /// An administrator, by name.
    Administrator(Box<str>),
}

/// An account on hold: its mail is accepted and waits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Mark {
    /// Who did it.
    pub by: MarkedBy,
    /// The reason: which limit was exceeded, or what the administrator said.
    pub reason: Box<str>,
    /// When it was put on hold.
    pub since: Moment,
    /// Messages accepted and held since then.
    pub messages: u64,
    /// Their total size in octets.
    pub octets: u64,
    /// Whether administrators and the user have been notified.
    pub told: bool,
}

impl Mark {
    /// For an account that is put on hold now.
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

/// How much mail of an account on hold is kept; more is deferred. Zero means no limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeldMost {
    /// Number of messages.
    pub messages: u64,
    /// Size in octets.
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
