//! When to try again, when to warn, when to give up.

use std::time::Duration;

use jiff::Timestamp;

/// The retry schedule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RetrySettings {
    /// The wait after the first, second, … failed attempt; the last one is used again and again. Never empty.
    ///
    /// Default 5, 10, 20, 30 minutes, 1, 2, 4 hours.
    pub intervals: Vec<Duration>,
    /// When to give up, counted from the arrival. Default 5 days (RFC 5321 section 4.5.4.1 asks for 4 to 5).
    pub expire_after: Duration,
    /// When to tell the sender of a delay, counted from the arrival. Default 4 hours.
    pub warn_after: Option<Duration>,
}

/// What to do after an attempt that failed for now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RetryVerdict {
    /// Try again at this time.
    RetryAt(Timestamp),
    /// Give up.
    Expire,
}

impl Default for RetrySettings {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            intervals: [5, 10, 20, 30, 60, 120, 240].map(minutes).to_vec(),
            expire_after: minutes(5 * 24 * 60),
            warn_after: Some(minutes(240)),
        }
    }
}

/// Decides when to try again after the `attempts`-th attempt (1 for the first) has failed for now.
///
/// `jitter`, from 0 to 1, is drawn by the caller and moves the wait by up to a tenth either way, so that mail that failed together
/// does not come back together. The last attempt is made when the message expires.
#[must_use]
pub fn next(
    attempts: u32,
    queued_at: Timestamp,
    now: Timestamp,
    settings: &RetrySettings,
    jitter: f64,
) -> RetryVerdict {
    todo!("{attempts} {queued_at} {now} {settings:?} {jitter}")
}

/// When the message expires.
#[must_use]
pub fn expires_at(queued_at: Timestamp, settings: &RetrySettings) -> Timestamp {
    todo!("{queued_at} {settings:?}")
}

/// Whether the sender is to be told of the delay now.
#[must_use]
pub fn warn_due(queued_at: Timestamp, now: Timestamp, warned: bool, settings: &RetrySettings) -> bool {
    todo!("{queued_at} {now} {warned} {settings:?}")
}
