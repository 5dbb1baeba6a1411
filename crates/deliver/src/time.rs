//! The clock for places, rates and the state of hosts: that of the timers, so that tests can control both together. Due times and
//! ages are in queue time, which the spool keeps.

use std::time::Instant;

/// Now: paused time in a test that uses it, otherwise the monotonic clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
