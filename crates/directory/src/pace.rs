//! Denials that take the same time whatever their reason.
//!
//! Each directory evens out its own steps; what is left are differences between directories (a login that the first
//! one knows is denied sooner than one that all had to be asked about) and between hashes (an LDAP server hashes only
//! for entries it has). So a denial is held back until the slowest check of late would have been through. Lest the first
//! one tell something, a login that nobody has is checked before it for comparison.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Longest time for which a denial is held back: one slow check must not slow down all the others.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// How long a slow check counts, at least. It counts for one more window that begins with the next denial.
const WINDOW: Duration = Duration::from_secs(600);

/// The slowest checks of the window under way and of the one before.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    slowest: Duration,
    slowest_before: Duration,
}

impl Pace {
    /// Takes note of how long a check took.
    pub(crate) fn note(&self, took: Duration) {
        let mut state = self.0.lock();
        state.slowest = state.slowest.max(took.min(WAIT_MAX));
    }

    /// Whether nothing is known of late: then a comparison is due. Whoever gets `true` makes it.
    pub(crate) fn is_blank(&self, now: Instant) -> bool {
        let state = self.0.lock();
        state
            .since
            .is_none_or(|since| now.saturating_duration_since(since) >= WINDOW)
    }

    /// Takes note of a comparison, with which a window begins.
    pub(crate) fn begin(&self, took: Duration, now: Instant) {
        let mut state = self.0.lock();
        state.slowest_before = state.slowest;
        state.slowest = took.min(WAIT_MAX);
        state.since = Some(now);
    }

    /// Takes note of a check that denies, and says how long to hold it back.
    pub(crate) fn wait(&self, took: Duration) -> Duration {
        self.note(took);
        let state = self.0.lock();
        state.slowest.max(state.slowest_before).saturating_sub(took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_denials_wait_for_slow_ones() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let ms = Duration::from_millis;
        let pace = Pace::default();
        assert!(pace.is_blank(at(0)), "nothing is known yet");
        pace.begin(ms(20), at(0));
        assert!(!pace.is_blank(at(599)));
        assert_eq!(pace.wait(ms(5)), ms(15), "even the first one");
        pace.note(ms(45));
        assert_eq!(pace.wait(ms(20)), ms(25), "a slow success counts too");
        assert!(pace.is_blank(at(600)), "another comparison is due");
        pace.begin(ms(20), at(601));
        assert_eq!(pace.wait(ms(20)), ms(25), "in the next window still");
        pace.begin(ms(20), at(1_202));
        assert_eq!(pace.wait(ms(20)), ms(0), "and then no more");
        pace.note(Duration::from_secs(4));
        assert_eq!(pace.wait(ms(20)), ms(480), "bounded");
    }
}
