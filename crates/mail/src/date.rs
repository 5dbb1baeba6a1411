//! Dates as header fields write them (RFC 5322 section 3.3).

use jiff::Timestamp;
use jiff::tz::Offset;

const DAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
pub(crate) const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Octets of a date: `Sun, 22 Nov 2026 09:30:20 +0000`.
const LENGTH: usize = 31;

/// `Sun, 22 Nov 2026 09:30:20 +0000`: in UTC.
#[must_use]
pub fn rfc5322(at: Timestamp) -> String {
    let mut date = Vec::with_capacity(LENGTH);
    write_rfc5322(at, Offset::UTC, &mut date);
    // It is all ASCII.
    String::from_utf8(date).unwrap_or_default()
}

/// Appends the date in the zone `offset` to `out`: `Sun, 22 Nov 2026 10:30:20 +0100`.
///
/// Seconds of an offset, which only zones before 1972 have, are left out of zone and time alike. The day always has two
/// digits; a year before 0 is written as 0.
pub fn write_rfc5322(at: Timestamp, offset: Offset, out: &mut Vec<u8>) {
    let minutes = offset.seconds() / 60;
    let offset = Offset::from_seconds(minutes * 60).unwrap_or(Offset::UTC);
    let local = offset.to_datetime(at);
    let mut text = *b"Mon, 01 Jan 2000 00:00:00 +0000";
    text[..3].copy_from_slice(DAYS[local.weekday().to_monday_zero_offset().unsigned_abs() as usize % 7]);
    two_digits(&mut text, 5, local.day().unsigned_abs());
    text[8..11].copy_from_slice(MONTHS[usize::from(local.month().unsigned_abs() - 1) % 12]);
    let year = local.year().max(0).unsigned_abs();
    two_digits(&mut text, 12, (year / 100) as u8);
    two_digits(&mut text, 14, (year % 100) as u8);
    two_digits(&mut text, 17, local.hour().unsigned_abs());
    two_digits(&mut text, 20, local.minute().unsigned_abs());
    two_digits(&mut text, 23, local.second().unsigned_abs());
    text[26] = if minutes < 0 { b'-' } else { b'+' };
    two_digits(&mut text, 27, (minutes.unsigned_abs() / 60) as u8);
    two_digits(&mut text, 29, (minutes.unsigned_abs() % 60) as u8);
    out.extend_from_slice(&text);
}

fn two_digits(text: &mut [u8; LENGTH], at: usize, number: u8) {
    text[at] = b'0' + number / 10 % 10;
    text[at + 1] = b'0' + number % 10;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows          instant                   offset in seconds   written
            ("UTC",                         "2026-11-22T09:30:20Z",   0,                  "Sun, 22 Nov 2026 09:30:20 +0000"),
            ("one-digit day",               "2026-03-02T00:00:00Z",   0,                  "Mon, 02 Mar 2026 00:00:00 +0000"),
            ("leap day",                    "2028-02-29T23:59:59Z",   0,                  "Tue, 29 Feb 2028 23:59:59 +0000"),
            ("fractions are dropped",       "2026-11-22T09:30:20.9Z", 0,                  "Sun, 22 Nov 2026 09:30:20 +0000"),
            ("east of Greenwich",           "2026-12-31T23:30:00Z",   3_600,              "Fri, 01 Jan 2027 00:30:00 +0100"),
            ("west of Greenwich",           "2026-11-22T02:30:20Z",   -5 * 3_600,         "Sat, 21 Nov 2026 21:30:20 -0500"),
            ("half an hour west",           "2026-11-22T09:30:20Z",   -12_600,            "Sun, 22 Nov 2026 06:00:20 -0330"),
            ("quarter of an hour east",     "2026-11-22T09:30:20Z",   20_700,             "Sun, 22 Nov 2026 15:15:20 +0545"),
            ("seconds of old zones",        "1930-01-01T00:00:00Z",   1_172,              "Wed, 01 Jan 1930 00:19:00 +0019"),
        ];
        for (shows, at, offset, expected) in cases {
            let mut out = b"Date: ".to_vec();
            write_rfc5322(
                at.parse().unwrap(),
                Offset::from_seconds(offset).unwrap(),
                &mut out,
            );
            assert_eq!(
                String::from_utf8(out).unwrap(),
                format!("Date: {expected}"),
                "{shows}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_date_is_written_as_another_program_would(seconds in 0_i64..4_000_000_000) {
            let at = Timestamp::from_second(seconds).unwrap();
            prop_assert_eq!(rfc5322(at), at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string());
        }
    }
}
