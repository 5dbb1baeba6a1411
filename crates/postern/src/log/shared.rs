//! What all parts of the log share: the level, the format, and the target.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use postern_policy::noise::Noise;
use tracing::{Event, Level};

use super::format::{self, Look};
use super::lane::About;
use super::sink::{Dropped, Sink};

/// What all parts of the log share.
pub(super) struct Shared {
    pub(super) level: AtomicU8,
    pub(super) style: Arc<Style>,
    pub(super) sink: Sink,
}

/// The part that the writer's own lines also need.
pub(super) struct Style {
    pub(super) json: AtomicBool,
    /// Whether lines go to the journal.
    pub(super) journal: AtomicBool,
    pub(super) noise: Mutex<Noise>,
}

impl Style {
    /// The log's lines about itself: dropped lines, and from time to time those that exceeded the budget.
    pub(super) fn own_lines(&self, dropped: Dropped, tell: bool, lines: &mut Vec<u8>) {
        let look = self.look();
        let now = jiff::Timestamp::now();
        for (lost, level, what) in [
            (dropped.matters, Level::ERROR, "all"),
            (dropped.noise, Level::WARN, "refusals"),
        ] {
            if lost > 0 {
                let fields = [("lines", lost.to_string()), ("of", what.to_owned())];
                format::own(look, now, level, "lost", &fields, lines);
            }
        }
        if !tell {
            return;
        }
        for summary in self.noise.lock().untold(Instant::now()) {
            let network = summary.network.map(|network| network.to_string());
            let fields = [
                ("network", network.unwrap_or_else(|| "others".to_owned())),
                ("suppressed", summary.tally.total().to_string()),
                ("rules", summary.tally.to_string()),
            ];
            format::own(look, now, Level::WARN, "suppressed", &fields, lines);
        }
    }

    pub(super) fn look(&self) -> Look {
        Look {
            json: self.json.load(Ordering::Relaxed),
            journal: self.journal.load(Ordering::Relaxed),
        }
    }

    /// Whether the budget allows a line about a stranger.
    pub(super) fn admits(&self, event: &Event<'_>) -> bool {
        let about = About::of(event);
        self.noise.lock().admit(about.peer, &about.rule, Instant::now())
    }
}

/// Levels as numbers that increase with detail.
pub(super) fn rank(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}
