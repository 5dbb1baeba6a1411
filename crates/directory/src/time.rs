//! The clock by which directories wait, back off and forget: that of the timers, so that tests can turn both together.

use std::time::Instant;

/// Now. In a test whose time is paused, what that says; otherwise the monotonic clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
