//! Settings of the queue. A value of this type is used as it is; the program checks the configuration.

use std::path::PathBuf;
use std::time::Duration;

use postern_events::Observers;

use crate::clock::Clock;

/// Where the queue is and how it trades memory and disk for speed.
#[derive(Clone, Debug)]
pub struct SpoolSettings {
    /// The folder of the queue: `queue.db` with its log, `bodies/`, `spool.lock`. Created with mode 0700 if missing.
    pub directory: PathBuf,

    /// The number of this machine among those of a site: it is part of message ids, so that no two machines assign the same.
    ///
    /// Default 0.
    pub node: u8,

    /// Longest time an outcome waits for a put to share a commit with.
    ///
    /// Default 5 ms. A longer time saves syncs on a server with little mail, but repeats more deliveries after a crash.
    pub outcome_wait: Duration,

    /// How long the outcomes of finished messages are kept.
    ///
    /// Default 3 days. Costs about 150 octets per recipient.
    pub history_retention: Duration,

    /// Largest body, in octets, that is kept in memory while it arrives and then in the database; a larger one gets a
    /// file of its own.
    ///
    /// Default 64 KiB.
    pub inline_max: usize,

    /// Most fresh messages in memory, counted from put until the last handle is dropped. Further ones are left to the
    /// database, with an [`Event::Backlog`](crate::Event::Backlog). Half are reserved for users' mail, a fifth for strangers', a
    /// tenth for reports ([`Shares`](postern_policy::concurrency::Shares)).
    ///
    /// Default 10,000.
    pub fresh_count_max: usize,

    /// Most octets of bodies and prefixes of fresh messages in memory, counted and reserved likewise.
    ///
    /// Default 64 MiB.
    pub fresh_bytes_max: usize,

    /// Size of the write-ahead log at which its pages are moved into the database in the background.
    ///
    /// Default 16 MiB. A larger size makes this rarer, but a start after a crash longer.
    pub log_bytes: u64,

    /// Size of the write-ahead log at which mail is refused until it is smaller: a program that keeps reading the database
    /// prevents the log from starting again.
    ///
    /// Default 512 MiB. Counts as no less than four times [`log_bytes`](Self::log_bytes).
    pub log_max: u64,

    /// Most outcomes that are kept, whatever their age; the oldest of finished messages are deleted first.
    ///
    /// Default 5 million, which take about 1 GiB.
    pub history_max: u64,

    /// Space reserved in a file, and released when the disk is full, so that queued mail can still be delivered.
    ///
    /// Default 48 MiB. Should be no less than twice [`log_bytes`](Self::log_bytes) and 16 MiB, since all of the log may have to
    /// be moved into the database first. 0 reserves none.
    pub reserve_bytes: u64,

    /// Connections that read while the writer writes. Each costs up to 2 MiB of cache. Default 4.
    pub readers: usize,

    /// First pause before a failed store is opened again; doubles up to [`reopen_wait_max`](Self::reopen_wait_max).
    ///
    /// Default 100 ms.
    pub reopen_wait: Duration,

    /// Longest pause before a failed store is opened again. Default 5 s.
    pub reopen_wait_max: Duration,

    /// Most time between two runs that counts as passed, for due times and the age of messages.
    ///
    /// Default 4 hours, the longest pause between two attempts: a longer time would make nothing more due, and a wrong system
    /// clock at the start would make messages expire.
    pub downtime_max: Duration,

    /// The source of times. Default the clocks of the machine.
    pub clock: Clock,
    /// Observers of the queue's events. Default none.
    pub observers: Observers,
}

impl SpoolSettings {
    /// The defaults, for a queue in this folder.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            node: 0,
            outcome_wait: Duration::from_millis(5),
            history_retention: Duration::from_secs(3 * 24 * 3600),
            inline_max: 64 * 1024,
            fresh_count_max: 10_000,
            fresh_bytes_max: 64 * 1024 * 1024,
            log_bytes: 16 * 1024 * 1024,
            log_max: 512 * 1024 * 1024,
            history_max: 5_000_000,
            reserve_bytes: 48 * 1024 * 1024,
            readers: 4,
            reopen_wait: Duration::from_millis(100),
            reopen_wait_max: Duration::from_secs(5),
            downtime_max: Duration::from_secs(4 * 3600),
            clock: Clock::system(),
            observers: Observers::nobody(),
        }
    }
}
