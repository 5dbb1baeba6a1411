//! Durations (`"2s"`, `"4h"`) and sizes (`"64 KiB"`) as the configuration writes them.

use std::time::Duration;

/// A text that is no duration or size, with what to write instead.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// No duration.
    #[error(
        "{0:?} is no duration; write a number and a unit: \"500ms\", \"2s\", \"5m\", \"4h\", \"5d\" or \"1w\""
    )]
    Duration(String),
    /// No size.
    #[error("{0:?} is no size; write a number and a unit: \"512 B\", \"64 KiB\", \"25 MiB\" or \"2 GiB\"")]
    Size(String),
    /// Larger than can be counted.
    #[error("{0:?} is too large")]
    TooLarge(String),
}

/// Reads a duration: `500ms`, `2s`, `5m`, `4h`, `5d`, `1w`, or several in falling order, `1h30m`. `0` needs no unit.
///
/// # Errors
///
/// See [`UnitError`].
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    todo!("{text}")
}

/// Reads a size in octets: `512 B`, `64 KiB`, `25 MiB`, `2 GiB`, `1 TiB`; also `kB`, `MB`, `GB`, `TB` by thousands. The blank may be left out.
/// `0` needs no unit.
///
/// # Errors
///
/// See [`UnitError`].
pub fn size(text: &str) -> Result<u64, UnitError> {
    todo!("{text}")
}

/// Writes a duration as [`duration`] reads it: `1h30m`.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    todo!("{duration:?}")
}

/// Writes a size as [`size`] reads it, in the largest unit that leaves no remainder: `25 MiB`.
#[must_use]
pub fn show_size(octets: u64) -> String {
    todo!("{octets}")
}
