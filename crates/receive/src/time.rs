//! The clock that the throttle, budgets and lists are asked by: that of the timers, so that tests can turn both together.

use std::time::Instant;

/// Now. In a test whose time is paused, what that says; otherwise the monotonic clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
