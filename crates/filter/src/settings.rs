//! The settings of a filter. A value of these types has been checked.

use std::time::Duration;

use postern_milter::chain::OnFailure;
use postern_milter::{DataSize, Offer, Version};

use crate::address::Address;

/// The settings of a filter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter {
    /// Its name, in log lines and reasons.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// What happens to a message when it fails.
    pub on_failure: OnFailure,
    /// The newest version of the protocol that is offered to it.
    ///
    /// Default 6, the newest. An old filter that cannot answer the offer needs a lower one.
    pub version: Version,
    /// Most data in a packet to it, if it agrees.
    ///
    /// Default 65,535 octets, which every filter accepts. A larger size lets longer header fields through and makes fewer pieces
    /// of large bodies; each session then uses that much memory while a body passes.
    pub data_size: DataSize,
    /// Most octets of header and envelope changes for one message; default 4 MiB. More is a failure.
    pub changes_size_max: usize,
    /// Most octets of a new body; default 100 MiB. More is a failure.
    pub body_size_max: u64,
    /// Most connections that are kept for the next session; 0 keeps none. Default 32: about as many as are in use at once on a
    /// busy server, so that a session rarely opens a new one.
    ///
    /// A filter made with libmilter keeps a thread for each.
    pub idle_max: usize,
    /// How long an idle connection is kept; default 30 seconds.
    pub idle_time: Duration,
}

impl Filter {
    /// A filter with default settings.
    #[must_use]
    pub fn new(name: impl Into<String>, address: Address) -> Self {
        Self {
            name: name.into(),
            address,
            timeouts: Timeouts::default(),
            on_failure: OnFailure::default(),
            version: Version::NEWEST,
            data_size: DataSize::Usual,
            changes_size_max: 4 << 20,
            body_size_max: 100 << 20,
            idle_max: 32,
            idle_time: Duration::from_secs(30),
        }
    }

    /// What is offered to it.
    #[must_use]
    pub const fn offer(&self) -> Offer {
        Offer::new(self.version, self.data_size)
    }
}

/// Time limits of a filter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// To accept a connection, for all addresses of its host together; default 30 seconds.
    pub connect: Duration,
    /// To accept a command and answer it, including the negotiation; default 30 seconds.
    pub command: Duration,
    /// From the end of a message to the answer, and from each change or progress note to the next; default 5 minutes.
    pub end_of_message: Duration,
    /// Longest time that progress notes and changes can extend one answer; default 1 hour.
    pub progress: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            command: Duration::from_secs(30),
            end_of_message: Duration::from_secs(300),
            progress: Duration::from_secs(3_600),
        }
    }
}
