//! Counts of mail.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Counts of mail, in an hour or for a name.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Counts {
    /// Messages that were accepted.
    pub accepted: u64,
    /// Their recipients.
    pub recipients: u64,
    /// Their octets.
    #[serde(rename = "size")]
    pub bytes: u64,
    /// Refusals.
    pub refused: u64,
    /// Recipients that got their mail.
    pub delivered: u64,
    /// Deferred attempts.
    pub deferred: u64,
    /// Recipients that were permanently refused.
    pub bounced: u64,
    /// Recipients that were given up after the queue lifetime.
    pub expired: u64,
}

impl Counts {
    /// Everything counted except octets: how frequent a name is.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let Self {
            accepted,
            refused,
            delivered,
            deferred,
            bounced,
            expired,
            recipients: _,
            bytes: _,
        } = self;
        accepted + refused + delivered + deferred + bounced + expired
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.recipients += other.recipients;
        self.bytes += other.bytes;
        self.refused += other.refused;
        self.delivered += other.delivered;
        self.deferred += other.deferred;
        self.bounced += other.bounced;
        self.expired += other.expired;
    }
}
