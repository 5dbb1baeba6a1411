//! Times of the day and days of the week.

use std::str::FromStr;

use jiff::civil::{DateTime, Time, Weekday};

/// Days of the week and a time of the day: `Mon-Fri 08:00-18:00`, `Sat,Sun`, `22:00-06:00`.
///
/// A time that ends before it begins goes past midnight; the day is the one on which it begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TimeWindow {
    /// A bit for each day, Monday first.
    days: u8,
    from: Time,
    to: Time,
}

/// A text that is not a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not days and times; write \"Mon-Fri 08:00-18:00\", \"Sat,Sun\" or \"22:00-06:00\"")]
pub struct BadTimeWindow;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const EVERY_DAY: u8 = 0b111_1111;

impl TimeWindow {
    /// Whether a moment is within it. The end is not.
    #[must_use]
    pub fn contains(&self, now: DateTime) -> bool {
        let time = now.time();
        let on = |day: Weekday| self.days & (1 << day.to_monday_zero_offset()) != 0;
        let today = now.date().weekday();
        if self.from < self.to {
            return on(today) && self.from <= time && time < self.to;
        }
        (on(today) && self.from <= time) || (on(today.wrapping_sub(1)) && time < self.to)
    }
}

impl FromStr for TimeWindow {
    type Err = BadTimeWindow;

    fn from_str(text: &str) -> Result<Self, BadTimeWindow> {
        let mut window = Self {
            days: 0,
            from: Time::midnight(),
            to: Time::midnight(),
        };
        let mut timed = false;
        for word in text.split_whitespace() {
            if word.contains(':') {
                if std::mem::replace(&mut timed, true) {
                    return Err(BadTimeWindow);
                }
                let (from, to) = word.split_once('-').ok_or(BadTimeWindow)?;
                (window.from, window.to) = (time(from)?, time(to)?);
            } else if timed {
                return Err(BadTimeWindow);
            } else {
                for part in word.split(',') {
                    window.days |= days(part)?;
                }
            }
        }
        if window.days == 0 {
            if !timed {
                return Err(BadTimeWindow);
            }
            window.days = EVERY_DAY;
        }
        Ok(window)
    }
}

/// `08:00`; `24:00` is midnight at the end of the day.
fn time(text: &str) -> Result<Time, BadTimeWindow> {
    let (hour, minute) = text.split_once(':').ok_or(BadTimeWindow)?;
    let number = |text: &str| match text.len() {
        2 => text.parse::<i8>().map_err(|_| BadTimeWindow),
        _ => Err(BadTimeWindow),
    };
    match (number(hour)?, number(minute)?) {
        (24, 0) => Ok(Time::midnight()),
        (hour, minute) => Time::new(hour, minute, 0, 0).map_err(|_| BadTimeWindow),
    }
}

/// `Mon`, or `Mon-Fri`.
fn days(text: &str) -> Result<u8, BadTimeWindow> {
    let place = |word: &str| {
        let mut days = DAYS.iter();
        days.position(|day| day.eq_ignore_ascii_case(word))
            .ok_or(BadTimeWindow)
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (place(first)?, place(last)?),
        None => (place(text)?, place(text)?),
    };
    let mut days = 0;
    let mut day = first;
    loop {
        days |= 1 << day;
        if day == last {
            return Ok(days);
        }
        day = (day + 1) % DAYS.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        // 30 November 2026 was a Monday.
        #[rustfmt::skip]
        let cases = [
            // window                moment               inside
            ("Mon-Fri 08:00-18:00",  "2026-11-30T08:00",  true),
            ("Mon-Fri 08:00-18:00",  "2026-11-30T18:00",  false),
            ("Mon-Fri 08:00-18:00",  "2026-12-05T10:00",  false),
            ("sat,sun",              "2026-12-05T23:59",  true),
            ("sat,sun",              "2026-12-07T00:00",  false),
            ("22:00-06:00",          "2026-12-01T05:59",  true),
            ("22:00-06:00",          "2026-12-01T06:00",  false),
            ("Mon 22:00-06:00",      "2026-12-01T05:00",  true),
            ("Mon 22:00-06:00",      "2026-12-02T05:00",  false),
            ("Mon 22:00-06:00",      "2026-11-30T05:00",  false),
            ("Fri-Mon 12:00-24:00",  "2026-11-29T23:00",  true),
            ("Fri-Mon 12:00-24:00",  "2026-12-01T23:00",  false),
        ];
        for (window, moment, inside) in cases {
            let parsed: TimeWindow = window.parse().unwrap();
            assert_eq!(
                parsed.contains(moment.parse().unwrap()),
                inside,
                "{window} at {moment}"
            );
        }
        for bad in [
            "",
            "someday",
            "8:00-18:00",
            "08:00",
            "08:00-25:00",
            "08:00-18:00 Mon",
            "Mon 08:00-09:00 10:00-11:00",
            "Mon,",
        ] {
            assert!(bad.parse::<TimeWindow>().is_err(), "{bad}");
        }
    }
}
