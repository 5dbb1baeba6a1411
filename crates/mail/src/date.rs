//! Dates as header fields write them (RFC 5322 section 3.3).

use jiff::Timestamp;
use jiff::tz::Offset;

/// `Sun, 22 Nov 2026 09:30:20 +0000`: in UTC.
#[must_use]
pub fn rfc5322(at: Timestamp) -> String {
    todo!("{at}")
}

/// Appends the date in the zone `offset` to `out`: `Sun, 22 Nov 2026 10:30:20 +0100`.
pub fn write_rfc5322(at: Timestamp, offset: Offset, out: &mut Vec<u8>) {
    todo!("{at} {offset} {out:?}")
}
