//! How a webhook does.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How a webhook does. Numbers are since the start of the server.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Status {
    /// Its name.
    pub webhook: String,
    /// The host of its receiver. Its path may be a secret.
    pub host: String,
    /// Events that its receiver has taken.
    pub delivered: u64,
    /// Events that had no room, or could not be written.
    pub dropped: u64,
    /// Events on disk that its receiver has not taken.
    pub waiting: u64,
    /// Octets on disk.
    pub octets: u64,
    /// Batches that its receiver has taken.
    pub taken: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Since when it fails, and why; none while it works.
    pub failing: Option<Failing>,
    /// When the last batch was taken.
    pub taken_at: Option<Timestamp>,
}

/// A webhook that fails.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// Failures in a row.
    pub failures: u32,
    /// Why the last one was.
    pub reason: String,
}
