//! What is queried when the metrics are read.

use crate::process::Process;

/// The current state. Unknown values are left out of the answer.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The version with its commit.
    pub version: String,
    /// When the server started, in seconds since 1970.
    pub started_at: f64,
    /// Open sessions.
    pub sessions: u64,
    /// The queue.
    pub queue: Queue,
    /// Accounts on hold.
    pub accounts_on_hold: u64,
    /// Connections to next hops, by the kind of mail.
    pub places: Vec<Places>,
    /// Directories, and whether they answered the last time they were asked.
    pub directories: Vec<(String, Option<bool>)>,
    /// Certificate files with their expiry, in seconds since 1970.
    pub certificates: Vec<(String, f64)>,
    /// Credentials for smarthosts with the expiry of their tokens, in seconds since 1970.
    pub tokens: Vec<(String, f64)>,
    /// Events dropped by observers for lack of room.
    pub dropped: Vec<(&'static str, u64)>,
    /// Webhooks.
    pub webhooks: Vec<WebhookNumbers>,
    /// The server's process.
    pub process: Process,
}

/// The queue.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// Messages that are not held.
    pub waiting: u64,
    /// Messages that are held, but not as damaged.
    pub held: u64,
    /// Messages held as damaged.
    pub damaged: u64,
    /// Messages that are never delivered.
    pub sandboxed: u64,
    /// Recipients without an outcome.
    pub recipients: u64,
    /// Octets.
    pub octets: u64,
    /// Whether mail can be accepted.
    pub ready: bool,
    /// Free octets on its disk.
    pub disk_free: Option<u64>,
    /// Ages, as labels, and how many messages are older.
    pub older: Vec<(&'static str, u64)>,
    /// Age of the oldest message in seconds; 0 without one.
    pub oldest: Option<f64>,
}

/// Connections to next hops for one kind of mail.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The kind.
    pub class: String,
    /// Open connections.
    pub open: u64,
    /// Hosts waiting for one.
    pub waiting: u64,
}

/// One webhook; numbers since the start of the server.
#[derive(Clone, Debug, Default)]
pub struct WebhookNumbers {
    /// Its name.
    pub name: String,
    /// Events that its receiver has taken.
    pub delivered: u64,
    /// Events that had no room.
    pub dropped: u64,
    /// Events that wait, now.
    pub waiting: u64,
    /// Requests that were taken.
    pub taken: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Whether the last request was taken, if there was one.
    pub up: bool,
}
