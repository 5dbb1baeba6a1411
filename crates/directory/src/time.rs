//! The clock with which directories wait, back off and forget: the timers' clock, so that tests can advance both
//! together.

use std::time::Instant;

/// Now. In a test with paused time, the paused time; otherwise the monotonic clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
