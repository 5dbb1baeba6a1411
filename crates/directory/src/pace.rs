//! Denials that take the same time whatever their reason.
//!
//! Each directory evens out its own steps; what remains are differences between directories (a login that the first one
//! knows is denied sooner than one that all had to be asked about) and between hashes (an LDAP server hashes only for
//! entries it has). So a denial is held back for as long as the slowest recent check took. So that the first denial
//! reveals nothing either, a nonexistent login is checked before it for comparison.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Longest time for which a denial is held back, unless a directory is slow to refuse: one slow check must not delay all
/// the others.
pub(crate) const WAIT_MAX: Duration = Duration::from_millis(500);

/// The same if a directory delays its refusals itself: Dovecot, PAM, and saslauthd in front of PAM do so for about two
/// seconds, which would reveal logins known to another directory.
pub(crate) const WAIT_MAX_SLOW: Duration = Duration::from_secs(4);

/// How long a slow check counts at least. It also counts in the following window, which begins with the next denial.
const WINDOW: Duration = Duration::from_secs(600);

/// The slowest checks of the current window and of the previous one.
#[derive(Debug)]
pub(crate) struct Pace {
    wait_max: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    slowest: Duration,
    slowest_before: Duration,
}

impl Pace {
    /// Holds denials back for `wait_max` at most.
    pub(crate) fn new(wait_max: Duration) -> Self {
        Self {
            wait_max,
            state: Mutex::default(),
        }
    }

    /// Records how long a check took.
    pub(crate) fn note(&self, took: Duration) {
        let mut state = self.state.lock();
        state.slowest = state.slowest.max(took.min(self.wait_max));
    }

    /// Whether there is no recent measurement: then a comparison is due. The caller that gets `true` makes it.
    pub(crate) fn is_blank(&self, now: Instant) -> bool {
        let state = self.state.lock();
        state
            .since
            .is_none_or(|since| now.saturating_duration_since(since) >= WINDOW)
    }

    /// Records a comparison, which begins a window.
    pub(crate) fn begin(&self, took: Duration, now: Instant) {
        let mut state = self.state.lock();
        state.slowest_before = state.slowest;
        state.slowest = took.min(self.wait_max);
        state.since = Some(now);
    }

    /// Records a check that ended in a denial, and says how long to hold that back.
    pub(crate) fn wait(&self, took: Duration) -> Duration {
        self.note(took);
        let state = self.state.lock();
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
        let pace = Pace::new(WAIT_MAX);
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

        let patient = Pace::new(WAIT_MAX_SLOW);
        patient.begin(ms(2_010), at(0));
        assert_eq!(
            patient.wait(ms(20)),
            ms(1_990),
            "as late as a directory that holds its refusals back"
        );
        patient.note(Duration::from_secs(9));
        assert_eq!(patient.wait(ms(20)), ms(3_980), "bounded too");
    }
}
