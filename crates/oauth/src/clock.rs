//! The time, in the form used in tokens.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Now, by the timers' clock, so that tests can advance both together.
pub(crate) fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}
