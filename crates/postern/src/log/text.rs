//! What both formats of a line have in common: the length of values, the time, the words for
//! levels.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use jiff::Timestamp;
use tracing::Level;

/// Longest value in a line, in octets; the rest is cut off and marked with [`CUT`].
pub(super) const VALUE_MAX: usize = 2_048;

/// Marks a truncated value.
pub(super) const CUT: &str = "…";

pub(super) fn level_word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// Appends UTC with milliseconds. The part down to the second is cached for events that share it.
pub(super) fn timestamp(now: Timestamp, line: &mut Vec<u8>) {
    thread_local! {
        static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    }
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != now.as_second() {
            *second = now.as_second();
            *text = now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        }
        line.extend_from_slice(text.as_bytes());
    });
    let milli = now.subsec_millisecond().unsigned_abs();
    let digit = |n: u32| b'0' + (n % 10) as u8;
    line.extend_from_slice(&[b'.', digit(milli / 100), digit(milli / 10), digit(milli), b'Z']);
}

/// Formats into a thread-local buffer, and passes it on.
pub(super) fn with_text(value: fmt::Arguments<'_>, then: impl FnOnce(&str)) {
    thread_local! {
        static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
    }
    TEXT.with(|text| match text.try_borrow_mut() {
        Ok(mut text) => {
            text.clear();
            let _ = text.write_fmt(value);
            then(&text);
        }
        // A value whose formatting itself logs.
        Err(_) => then(&value.to_string()),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_utc_with_milliseconds() {
        for (text, want) in [
            ("2026-11-22T09:30:20.123456Z", "2026-11-22T09:30:20.123Z"),
            ("2026-11-22T09:30:20Z", "2026-11-22T09:30:20.000Z"),
            ("2026-11-22T10:30:21.009+01:00", "2026-11-22T09:30:21.009Z"),
        ] {
            let mut out = Vec::new();
            timestamp(text.parse().unwrap(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }
}
