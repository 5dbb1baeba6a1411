//! The clock of the throttle, budgets and lists: that of the timers, so that tests can control both together.

use std::time::Instant;

/// Now: paused time in a test that uses it, otherwise the monotonic clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
