//! The clock by which delivery keeps places, rates and what it knows of hosts: that of the timers, so that tests can turn both together.
//! Due times and ages are in queue time, which the spool has.

use std::time::Instant;

/// Now. In a test whose time is paused, what that says; otherwise the monotonic clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
