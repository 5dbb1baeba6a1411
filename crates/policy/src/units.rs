//! Durations (`"2s"`, `"4h"`) and sizes (`"64 KiB"`) as the configuration writes them.

use std::time::Duration;

/// A text that is not a duration or size, with what to write instead.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// Not a duration.
    #[error(
        "{0:?} is not a duration; write a number and a unit: \"500ms\", \"2s\", \"5m\", \"4h\", \"5d\" or \"1w\""
    )]
    Duration(String),
    /// Not a size.
    #[error("{0:?} is not a size; write a number and a unit: \"512 B\", \"64 KiB\", \"25 MiB\" or \"2 GiB\"")]
    Size(String),
    /// Larger than can be counted.
    #[error("{0:?} is too large")]
    TooLarge(String),
}

/// Units of durations in milliseconds, the largest first.
const DURATION_UNITS: [(&str, u64); 6] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of sizes in octets, the smallest first.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

/// Reads a duration: `500ms`, `2s`, `5m`, `4h`, `5d`, `1w`, or several in descending order, `1h30m`. `0` needs no unit.
///
/// # Errors
///
/// See [`UnitError`].
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    let bad = || UnitError::Duration(shown(text));
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total: u64 = 0;
    let mut below = u64::MAX;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let (number, after) = number(rest).ok_or_else(bad)?;
        let after = after.trim_start();
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let (_, unit_ms) = DURATION_UNITS
            .into_iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(bad)?;
        // Each unit once, the larger first: `30m1h` is more likely a mistake than intended.
        if unit_ms >= below {
            return Err(bad());
        }
        below = unit_ms;
        let part = number.and_then(|number| number.checked_mul(unit_ms));
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| UnitError::TooLarge(shown(text)))?;
        rest = next.trim_start();
    }
    Ok(Duration::from_millis(total))
}

/// Reads a size in octets: `512 B`, `64 KiB`, `25 MiB`, `2 GiB`, `1 TiB`; also `kB`, `MB`, `GB`, `TB` by thousands. The space may
/// be omitted. `0` needs no unit.
///
/// # Errors
///
/// See [`UnitError`].
pub fn size(text: &str) -> Result<u64, UnitError> {
    let bad = || UnitError::Size(shown(text));
    let (number, unit) = number(text.trim()).ok_or_else(bad)?;
    let unit = unit.trim_start();
    if unit.is_empty() && number == Some(0) {
        return Ok(0);
    }
    let (_, octets) = SIZE_UNITS
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .ok_or_else(bad)?;
    number
        .and_then(|number| number.checked_mul(octets))
        .ok_or_else(|| UnitError::TooLarge(shown(text)))
}

/// Writes a duration as [`duration`] reads it: `1h30m`.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0".to_owned();
    }
    let mut text = String::new();
    for (name, unit_ms) in DURATION_UNITS {
        if rest >= unit_ms {
            text.push_str(&format!("{}{name}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    text
}

/// Writes a size as [`size`] reads it, in the largest unit that leaves no remainder: `25 MiB`.
#[must_use]
pub fn show_size(octets: u64) -> String {
    if octets == 0 {
        return "0".to_owned();
    }
    let binary = |name: &str| name.len() != 2;
    let fitting = SIZE_UNITS
        .into_iter()
        .rfind(|(name, unit)| binary(name) && octets.is_multiple_of(*unit));
    fitting.map_or_else(
        || format!("{octets} B"),
        |(name, unit)| format!("{} {name}", octets / unit),
    )
}

/// Splits off a number; the inner `None` means that it is too large.
fn number(text: &str) -> Option<(Option<u64>, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    if number.is_empty() {
        None
    } else {
        Some((number.parse().ok(), rest))
    }
}

/// The part of an invalid text that an error shows.
fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        let ms = |ms| Some(Duration::from_millis(ms));
        #[rustfmt::skip]
        let cases = [
            // what the case shows       text                      read as
            ("milliseconds",             "500ms",                  ms(500)),
            ("seconds",                  "2s",                     ms(2_000)),
            ("minutes",                  "5m",                     ms(300_000)),
            ("hours",                    "4h",                     ms(14_400_000)),
            ("days",                     "5d",                     ms(432_000_000)),
            ("weeks",                    "1w",                     ms(604_800_000)),
            ("two units",                "1h30m",                  ms(5_400_000)),
            ("blanks",                   " 1 h 30 m ",             ms(5_400_000)),
            ("nought",                   "0",                      ms(0)),
            ("nought of a unit",         "0s",                     ms(0)),
            ("no unit",                  "5",                      None),
            ("no number",                "s",                      None),
            ("nothing",                  "",                       None),
            ("negative",                 "-5s",                    None),
            ("fraction",                 "1.5h",                   None),
            ("unknown unit",             "5y",                     None),
            ("months would be minutes",  "5M",                     None),
            ("rising units",             "30m1h",                  None),
            ("a unit twice",             "1s1s",                   None),
            ("too large a number",       "99999999999999999999s",  None),
            ("too large a product",      "99999999999999w",        None),
            ("too large a sum",          "18446744073709551s1000ms", None),
        ];
        for (shows, text, expected) in cases {
            assert_eq!(duration(text).ok(), expected, "{shows}");
        }
        let error = duration("5").unwrap_err().to_string();
        assert!(error.contains("\"4h\""), "the error shows how: {error}");
    }

    #[test]
    fn sizes() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows       text                      read as
            ("octets",                   "512 B",                  Some(512)),
            ("binary units",             "64 KiB",                 Some(65_536)),
            ("no blank",                 "25MiB",                  Some(26_214_400)),
            ("any case",                 "2 gib",                  Some(2_147_483_648)),
            ("thousands",                "10 MB",                  Some(10_000_000)),
            ("nought",                   "0",                      Some(0)),
            ("no unit",                  "512",                    None),
            ("no number",                "MiB",                    None),
            ("a letter leaves it open",  "64 K",                   None),
            ("fraction",                 "1.5 MiB",                None),
            ("negative",                 "-1 MiB",                 None),
            ("two units",                "1 MiB 1 KiB",            None),
            ("too large",                "99999999 TiB",           None),
        ];
        for (shows, text, expected) in cases {
            assert_eq!(size(text).ok(), expected, "{shows}");
        }
    }

    #[test]
    fn values_are_shown_as_people_write_them() {
        assert_eq!(show_duration(Duration::from_secs(5_400)), "1h30m");
        assert_eq!(show_duration(Duration::from_secs(5 * 86_400)), "5d");
        assert_eq!(show_duration(Duration::from_millis(1_500)), "1s500ms");
        assert_eq!(show_size(25 << 20), "25 MiB");
        assert_eq!(show_size((25 << 20) + 1), "26214401 B");
        assert_eq!(show_size(0), "0");
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let _ = duration(&text);
            let _ = size(&text);
        }

        #[test]
        fn what_is_shown_is_read_back(number in 0..u64::MAX / 2) {
            prop_assert_eq!(duration(&show_duration(Duration::from_millis(number))), Ok(Duration::from_millis(number)));
            prop_assert_eq!(size(&show_size(number)), Ok(number));
        }
    }
}
