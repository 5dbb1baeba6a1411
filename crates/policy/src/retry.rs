//! When to try again, when to warn, when to give up.

use std::time::Duration;

use jiff::Timestamp;

/// The retry schedule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RetrySettings {
    /// The wait after the first, second, … failed attempt; the last one is repeated. Never empty.
    ///
    /// Default 5, 10, 20, 30 minutes, 1, 2, 4 hours.
    pub intervals: Vec<Duration>,
    /// When to give up, counted from the arrival. Default 5 days (RFC 5321 section 4.5.4.1 asks for 4 to 5).
    pub expire_after: Duration,
    /// When to tell the sender of a delay, counted from the arrival. Default 4 hours.
    pub warn_after: Option<Duration>,
}

/// The shortest wait, whatever the settings say: hosts are not retried in a tight loop.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// What to do after an attempt that failed temporarily.
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

/// Decides when to try again after the `attempts`-th attempt (1 for the first) has failed temporarily.
///
/// `jitter`, from 0 to 1, is drawn by the caller and moves the wait by up to a tenth either way, so that mail that failed
/// together is not retried together. The last attempt is made when the message expires.
#[must_use]
pub fn next(
    attempts: u32,
    queued_at: Timestamp,
    now: Timestamp,
    settings: &RetrySettings,
    jitter: f64,
) -> RetryVerdict {
    let expires_at = expires_at(queued_at, settings);
    if now >= expires_at {
        return RetryVerdict::Expire;
    }
    let nth = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let interval = settings
        .intervals
        .get(nth)
        .or_else(|| settings.intervals.last())
        .copied()
        .unwrap_or(INTERVAL_MIN);
    let jitter = if jitter.is_nan() {
        0.5
    } else {
        jitter.clamp(0.0, 1.0)
    };
    let wait = interval.mul_f64(0.9 + 0.2 * jitter).max(INTERVAL_MIN);
    RetryVerdict::RetryAt(later(now, wait).min(expires_at))
}

/// When the message expires.
#[must_use]
pub fn expires_at(queued_at: Timestamp, settings: &RetrySettings) -> Timestamp {
    later(queued_at, settings.expire_after)
}

/// Whether to tell the sender about the delay now: it is long enough, was not reported before, and the message is not about to
/// expire.
#[must_use]
pub fn warn_due(queued_at: Timestamp, now: Timestamp, warned: bool, settings: &RetrySettings) -> bool {
    let due = settings.warn_after.map(|wait| later(queued_at, wait));
    !warned && due.is_some_and(|due| now >= due) && now < expires_at(queued_at, settings)
}

fn later(at: Timestamp, wait: Duration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn at(seconds: u64) -> Timestamp {
        later(START, Duration::from_secs(seconds))
    }

    fn settings() -> RetrySettings {
        let seconds = Duration::from_secs;
        RetrySettings {
            intervals: vec![seconds(20), seconds(40), seconds(80)],
            expire_after: seconds(1_200),
            warn_after: Some(seconds(600)),
        }
    }

    #[test]
    fn attempts() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows                      attempts   now     jitter    again at
            ("after the first attempt",                 1,         0,      0.5,      Some(20)),
            ("after the second",                        2,         100,    0.5,      Some(140)),
            ("after the third",                         3,         100,    0.5,      Some(180)),
            ("the last interval stays",                 1_000,     100,    0.5,      Some(180)),
            ("an attempt that never was",               0,         0,      0.5,      Some(20)),
            ("earliest",                                2,         100,    0.0,      Some(136)),
            ("latest",                                  2,         100,    1.0,      Some(144)),
            ("jitter out of range",                     2,         100,    9.0,      Some(144)),
            ("jitter that is no number",                2,         100,    f64::NAN, Some(140)),
            ("the last attempt is at the end",          3,         1_150,  0.5,      Some(1_200)),
            ("one second before the end",               3,         1_199,  0.5,      Some(1_200)),
            ("the end",                                 3,         1_200,  0.5,      None),
            ("long past the end, as after an outage",   1,         9_999,  0.5,      None),
        ];
        for (shows, attempts, now, jitter, again) in cases {
            let expected = again.map_or(RetryVerdict::Expire, |seconds| RetryVerdict::RetryAt(at(seconds)));
            assert_eq!(
                next(attempts, START, at(now), &settings(), jitter),
                expected,
                "{shows}"
            );
        }
    }

    #[test]
    fn no_settings_make_a_tight_loop_or_overflow() {
        for intervals in [vec![], vec![Duration::ZERO]] {
            let settings = RetrySettings {
                intervals,
                ..settings()
            };
            assert_eq!(
                next(1, START, START, &settings, 0.0),
                RetryVerdict::RetryAt(at(1))
            );
        }
        let endless = RetrySettings {
            expire_after: Duration::MAX,
            ..settings()
        };
        assert_eq!(expires_at(START, &endless), Timestamp::MAX);
    }

    #[test]
    fn warnings() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows        now     warned   due
            ("too early",                 599,    false,   false),
            ("in time",                   600,    false,   true),
            ("once is enough",            700,    true,    false),
            ("the bounce comes instead",  1_200,  false,   false),
        ];
        for (shows, now, warned, due) in cases {
            assert_eq!(warn_due(START, at(now), warned, &settings()), due, "{shows}");
        }
        let off = RetrySettings {
            warn_after: None,
            ..settings()
        };
        assert!(!warn_due(START, at(700), false, &off));
    }
}
