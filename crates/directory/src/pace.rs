//! Denials that take the same time whatever their reason.
//!
//! Each directory evens out its own steps; what is left are differences between directories (a login that the first
//! one knows is denied sooner than one that all had to be asked about) and between hashes (an LDAP server hashes only
//! for entries it has). So a denial is held back until the slowest check of late would have been through.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Longest time for which a denial is held back: one slow check must not slow down all the others.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// How long a slow check counts, at least; at most twice as long.
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
    pub(crate) fn note(&self, took: Duration, now: Instant) {
        let mut state = self.0.lock();
        let age = state.since.map(|since| now.saturating_duration_since(since));
        if age.is_none_or(|age| age >= WINDOW) {
            let still_counts = age.is_some_and(|age| age < 2 * WINDOW);
            state.slowest_before = if still_counts {
                state.slowest
            } else {
                Duration::ZERO
            };
            state.slowest = Duration::ZERO;
            state.since = Some(now);
        }
        state.slowest = state.slowest.max(took.min(WAIT_MAX));
    }

    /// Takes note of a check that denies, and says how long to hold it back.
    pub(crate) fn wait(&self, took: Duration, now: Instant) -> Duration {
        self.note(took, now);
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
        assert_eq!(pace.wait(ms(20), at(0)), ms(0), "the slowest so far");
        assert_eq!(pace.wait(ms(5), at(1)), ms(15));
        pace.note(ms(45), at(2));
        assert_eq!(pace.wait(ms(20), at(3)), ms(25), "a slow success counts too");
        assert_eq!(pace.wait(ms(20), at(601)), ms(25), "in the next window still");
        assert_eq!(pace.wait(ms(20), at(1_202)), ms(0), "and then no more");
        assert_eq!(pace.wait(ms(20), at(9_000)), ms(0), "after a long silence");
        pace.note(Duration::from_secs(4), at(9_001));
        assert_eq!(pace.wait(ms(20), at(9_002)), ms(480), "bounded");
    }
}
