//! The mail of a day.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::counts::Counts;
use crate::top::Top;

/// Hours of a day.
pub const HOURS: usize = 24;

/// The mail of a day, in UTC, as in the log.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Day {
    /// The date.
    pub date: Date,
    /// Each hour.
    #[serde(default)]
    pub hours: [Counts; HOURS],
    /// By listener: what was accepted and refused.
    #[serde(default)]
    pub listeners: Top,
    /// By login: what was accepted and refused.
    #[serde(default)]
    pub logins: Top,
    /// By domain of the sender: what was accepted.
    #[serde(default)]
    pub senders: Top,
    /// By domain of the recipient: the outcomes.
    #[serde(default)]
    pub recipients: Top,
    /// Refusals by rule.
    #[serde(default)]
    pub rules: Top,
}

impl Day {
    /// A day without mail.
    #[must_use]
    pub fn new(date: Date) -> Self {
        Self {
            date,
            hours: [Counts::default(); HOURS],
            listeners: Top::default(),
            logins: Top::default(),
            senders: Top::default(),
            recipients: Top::default(),
            rules: Top::default(),
        }
    }

    /// The whole day.
    #[must_use]
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.hours.iter().for_each(|hour| total += *hour);
        total
    }

    /// Adds another day; this one's date stays.
    pub fn merge(&mut self, other: &Self, places: usize) {
        for (hour, more) in self.hours.iter_mut().zip(&other.hours) {
            *hour += *more;
        }
        self.listeners.merge(&other.listeners, places);
        self.logins.merge(&other.logins, places);
        self.senders.merge(&other.senders, places);
        self.recipients.merge(&other.recipients, places);
        self.rules.merge(&other.rules, places);
    }
}
