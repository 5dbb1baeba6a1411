//! Moments as they are shown.

use jiff::Timestamp;

/// A moment of a trial.
pub(super) fn at(moment: u64) -> Timestamp {
    let seconds = i64::try_from(moment).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}
