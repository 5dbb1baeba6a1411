//! The counters.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use postern_events::{Area, Event, Observer, TlsReached, TlsWanted};
use postern_mail::FailureKind;
use postern_policy::Rule;
use postern_sasl::Mechanism;

use crate::atoms::{ANSWER, Counter, Counters, DELAY, Histogram, SYNC};
use crate::names::ByName;

/// Numbers of rules, of kinds of failures plus one for none, of mechanisms plus one for none.
pub(crate) const RULES: usize = Rule::ALL.len();
pub(crate) const CAUSES: usize = FailureKind::ALL.len() + 1;
pub(crate) const MECHANISMS: usize = Mechanism::ALL.len() + 1;

/// Outcomes of logins that were not granted.
pub(crate) const NOT_GRANTED: [&str; 3] = ["refused", "locked-out", "unavailable"];

/// Versions of TLS.
pub(crate) const VERSIONS: [&str; 3] = ["TLSv1.2", "TLSv1.3", "other"];

/// Outcomes of attempts, and of recipients.
pub(crate) const ATTEMPTS: [&str; 4] = ["taken", "partly", "refused", "unreached"];
pub(crate) const OUTCOMES: [&str; 4] = ["delivered", "deferred", "bounced", "expired"];

/// Levels of events that are counted.
pub(crate) const LEVELS: [&str; 3] = ["error", "warning", "info"];

/// Observes events and counts them. Cheap to share; initially switched off.
#[derive(Default)]
pub struct Metrics {
    on: AtomicBool,
    pub(crate) listeners: ByName<OfListener>,
    pub(crate) directories: ByName<OfDirectory>,
    pub(crate) milters: ByName<OfMilter>,
    /// Logins by mechanism that were not granted, with a place for each of [`NOT_GRANTED`].
    pub(crate) not_granted: [Counters<MECHANISMS>; NOT_GRANTED.len()],
    /// Logins granted without a directory.
    pub(crate) granted: Counters<MECHANISMS>,
    pub(crate) lockouts: Counter,
    pub(crate) bounces_returned: Counter,
    pub(crate) complaints: Counter,
    pub(crate) tls: Counters<{ VERSIONS.len() }>,
    pub(crate) sync: SyncTimes,
    /// For each of [`ATTEMPTS`] and [`OUTCOMES`] by cause; the last one is for none.
    pub(crate) attempts: [Counters<CAUSES>; ATTEMPTS.len()],
    pub(crate) outcomes: [Counters<CAUSES>; OUTCOMES.len()],
    pub(crate) delay: Delay,
    pub(crate) handover: Answer,
    pub(crate) hop: Answer,
    /// For each wanted level, by the level reached.
    pub(crate) hop_tls: [Counters<{ TlsReached::ALL.len() }>; TlsWanted::ALL.len()],
    /// For each area by level.
    pub(crate) events: [Counters<{ LEVELS.len() }>; Area::ALL.len()],
    pub(crate) reloads: Counter,
}

/// Numbers of one listener.
#[derive(Default)]
pub(crate) struct OfListener {
    pub(crate) connections: Counter,
    pub(crate) refusals: Counters<RULES>,
    pub(crate) suppressed: Counter,
    pub(crate) accepted: Counters<RULES>,
    pub(crate) recipients: Counter,
    pub(crate) octets: Counter,
    pub(crate) discarded: Counter,
    pub(crate) accept: Answer,
}

/// Numbers of one directory.
#[derive(Default)]
pub(crate) struct OfDirectory {
    pub(crate) granted: Counters<MECHANISMS>,
    pub(crate) answered: Counter,
    pub(crate) failed: Counter,
    pub(crate) time: Answer,
}

/// Numbers of one filter.
#[derive(Default)]
pub(crate) struct OfMilter {
    pub(crate) answered: Counter,
    pub(crate) failed: Counter,
    pub(crate) envelope: Answer,
    pub(crate) content: Answer,
    pub(crate) end: Answer,
}

macro_rules! histograms {
    ($($(#[$doc:meta])* $name:ident $bounds:ident)*) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name(pub(crate) Histogram);

            impl Default for $name {
                fn default() -> Self {
                    Self(Histogram::new($bounds))
                }
            }
        )*
    };
}

histograms! {
    /// Durations of answers over a network.
    Answer ANSWER
    /// Times of messages in the queue.
    Delay DELAY
    /// Durations of syncs.
    Sync SYNC
}

/// Successful syncs, and failed ones.
#[derive(Default)]
pub(crate) struct SyncTimes {
    pub(crate) done: Sync,
    pub(crate) failed: Sync,
}

/// Names from the configuration that labels distinguish.
#[derive(Clone, Debug, Default)]
pub struct ConfiguredNames {
    /// Of listeners, and of sockets on which neighbouring services have credentials checked.
    pub listeners: Vec<String>,
    /// Of directories.
    pub directories: Vec<String>,
    /// Of mail filters.
    pub milters: Vec<String>,
}

impl Metrics {
    /// Starts or stops counting. Counts so far are kept.
    pub fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// Whether it counts.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// From now on also distinguishes these names.
    pub fn expect(&self, names: &ConfiguredNames) {
        self.listeners.expect(names.listeners.iter().map(String::as_str));
        self.directories
            .expect(names.directories.iter().map(String::as_str));
        self.milters.expect(names.milters.iter().map(String::as_str));
    }
}

impl Observer for Metrics {
    fn observe(&self, event: &Event<'_>) {
        if self.is_on() {
            self.count(event);
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("on", &self.is_on())
            .finish_non_exhaustive()
    }
}
