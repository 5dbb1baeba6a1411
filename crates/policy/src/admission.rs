//! Whether to take a connection, a message, a recipient, by load, count and space.

use std::time::{Duration, Instant};

use postern_mail::Status;

use crate::network::NetworkPrefix;

/// Limits of admission. A limit of `None` is off.
#[derive(Clone, Debug, PartialEq)]
pub struct AdmissionSettings {
    /// New connections in one second over all listeners; more wait (sendmail's `ConnectionRateThrottle`). Default: off.
    pub connections_per_second: Option<u32>,
    /// Sessions at once from one network; more are told `421 4.7.0`. Default 100.
    pub sessions_per_network: Option<u32>,
    /// What counts as one network.
    pub network: NetworkPrefix,
    /// Sessions at once in all; more are told `421 4.3.2`. Default 10,000.
    pub sessions: u32,
    /// Load average from which on mail is queued for later instead of delivered at once (`QueueLA`). Default: off.
    pub queue_only_load: Option<f64>,
    /// Load average from which on every command waits for [`delay`](Self::delay) (`DelayLA`). Default: off.
    pub delay_load: Option<f64>,
    /// Load average from which on new connections are told `421 4.3.2` (`RefuseLA`). Default: off.
    pub refuse_load: Option<f64>,
    /// How long a command waits under `delay_load`. Default one second.
    pub delay: Duration,
    /// Free octets that the spool's disk keeps; below, and for a message that would go below, the answer is `452 4.3.1`.
    /// Default 100 MiB.
    pub min_free_bytes: u64,
    /// Recipients in one transaction; more are told `452 4.5.3`. Default 1,000.
    pub recipients: u32,
    /// Largest message in octets, announced as `SIZE`; a larger one is told `552 5.3.4`. Default 25 MiB.
    pub message_size: u64,
}

/// What is known when a connection comes in.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionFacts {
    /// The load average of the last minute.
    pub load: f64,
    /// Sessions open in all, without this one.
    pub sessions: u32,
    /// Sessions open from this network, without this one.
    pub sessions_of_network: u32,
}

/// What is known when `MAIL` comes in, or `DATA` begins.
#[derive(Clone, Copy, Debug)]
pub struct MessageFacts {
    /// The size declared with `SIZE=`, if it was (RFC 1870), or else what has arrived so far.
    pub size: Option<u64>,
    /// Free octets on the spool's disk, if they could be read.
    pub free_bytes: Option<u64>,
}

/// Whether to take a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Admission {
    /// Take it.
    Accept,
    /// `421` and close.
    Refuse421(AdmissionRefusal),
}

/// Why something is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum AdmissionRefusal {
    /// The load average has reached `refuse_load`.
    #[error("load average {load:.1} has reached refuse_load {limit:.1}")]
    Load {
        /// The load average.
        load: f64,
        /// The limit.
        limit: f64,
    },
    /// Too many sessions in all.
    #[error("{limit} sessions are open already")]
    Sessions {
        /// The limit.
        limit: u32,
    },
    /// Too many sessions from one network.
    #[error("{limit} sessions from this network are open already")]
    Network {
        /// The limit.
        limit: u32,
    },
    /// Too little free disk.
    #[error("{free} octets free, {needed} are needed")]
    Disk {
        /// Free octets.
        free: u64,
        /// Needed octets: the reserve and the message.
        needed: u64,
    },
    /// The message is too large.
    #[error("message of {size} octets, at most {limit} are taken")]
    Size {
        /// Its size, or what arrived until it was given up.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Too many recipients.
    #[error("{limit} recipients are the most in one transaction")]
    Recipients {
        /// The limit.
        limit: u32,
    },
}

impl AdmissionRefusal {
    /// The rule's name: `admission.load`, `admission.sessions`, `admission.network`, `admission.disk`, `admission.size`,
    /// `admission.recipients`.
    #[must_use]
    pub fn rule(self) -> &'static str {
        todo!()
    }

    /// Reply code, status and words for the peer, without our figures.
    #[must_use]
    pub fn reply(self) -> (u16, Status, &'static str) {
        todo!()
    }
}

impl AdmissionSettings {
    /// The loads that sendmail takes where its file names none: queueing from 8, refusing from 12 times the number of processors.
    #[must_use]
    pub fn with_sendmail_loads(mut self, processors: u32) -> Self {
        self.queue_only_load = Some(f64::from(processors) * 8.0);
        self.refuse_load = Some(f64::from(processors) * 12.0);
        self
    }
}

impl Default for AdmissionSettings {
    fn default() -> Self {
        Self {
            connections_per_second: None,
            sessions_per_network: Some(100),
            network: NetworkPrefix::default(),
            sessions: 10_000,
            queue_only_load: None,
            delay_load: None,
            refuse_load: None,
            delay: Duration::from_secs(1),
            min_free_bytes: 100 * 1024 * 1024,
            recipients: 1_000,
            message_size: 25 * 1024 * 1024,
        }
    }
}

/// Decides whether to take a connection.
#[must_use]
pub fn admit(facts: &ConnectionFacts, settings: &AdmissionSettings) -> Admission {
    todo!("{facts:?} {settings:?}")
}

/// How long each command waits at this load.
#[must_use]
pub fn command_delay(load: f64, settings: &AdmissionSettings) -> Option<Duration> {
    todo!("{load} {settings:?}")
}

/// Whether mail taken at this load is left to the queue instead of being delivered at once.
#[must_use]
pub fn queue_only(load: f64, settings: &AdmissionSettings) -> bool {
    todo!("{load} {settings:?}")
}

/// Decides whether to take a message of this size.
///
/// # Errors
///
/// [`AdmissionRefusal::Size`], [`AdmissionRefusal::Disk`].
pub fn admit_message(facts: &MessageFacts, settings: &AdmissionSettings) -> Result<(), AdmissionRefusal> {
    todo!("{facts:?} {settings:?}")
}

/// Decides whether to take one more recipient after `taken`.
///
/// # Errors
///
/// [`AdmissionRefusal::Recipients`].
pub fn admit_recipient(taken: usize, settings: &AdmissionSettings) -> Result<(), AdmissionRefusal> {
    todo!("{taken} {settings:?}")
}

/// Spreads new connections so that no more than a number of them begin in any one second.
#[derive(Clone, Debug, Default)]
pub struct RateWindow {
    window: Option<(Instant, u32)>,
}

impl RateWindow {
    /// Asks for one connection now. `None`: go ahead, it is counted. Otherwise wait so long and ask again.
    pub fn take(&mut self, per_second: Option<u32>, now: Instant) -> Option<Duration> {
        todo!("{per_second:?} {now:?} {:?}", self.window)
    }
}
