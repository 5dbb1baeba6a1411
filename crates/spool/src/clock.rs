//! The queue's own time, which is independent of changes to the system clock.
//!
//! Due times and the age of messages count in *queue time*: it runs with the monotonic clock while the server runs. If the system
//! clock is set forward or back, by hand, by NTP, or because the machine slept, neither waits nor ages change. Queue time begins
//! as system time, so that the two are the same until the clock is set; times are shown to people in system time.
//!
//! Both clocks are recorded with every commit. The next start continues from there: the time between counts by the system clock,
//! but never less than zero, and never more than [`downtime_max`](crate::SpoolSettings::downtime_max), since the system clock may
//! have been set meanwhile.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// The source of times: the system clock, which may jump, and a monotonic one.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    steady: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Clock {
    /// The clocks of the machine.
    #[must_use]
    pub fn system() -> Self {
        let start = Instant::now();
        Self::new(Timestamp::now, move || start.elapsed())
    }

    /// Other clocks, for tests: `wall` returns the system time, `steady` a duration that only grows.
    #[must_use]
    pub fn new(
        wall: impl Fn() -> Timestamp + Send + Sync + 'static,
        steady: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self {
            wall: Arc::new(wall),
            steady: Arc::new(steady),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Both clocks at one moment, as recorded with a commit: milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) queue: i64,
    pub(crate) wall: i64,
}

/// Queue time during one run.
#[derive(Debug)]
pub(crate) struct QueueClock {
    clock: Clock,
    start: Timestamp,
    wall_start: Timestamp,
    steady_start: Duration,
}

impl QueueClock {
    /// Continues from what was last recorded; starts again with system time if nothing was, or nothing is queued.
    pub(crate) fn resume(clock: Clock, seen: Option<Seen>, downtime_max: Duration) -> Self {
        let wall = (clock.wall)();
        let steady_start = (clock.steady)();
        Self {
            start: seen.map_or(wall, |seen| resumed(seen, wall, downtime_max)),
            wall_start: wall,
            steady_start,
            clock,
        }
    }

    /// The time with which due times and ages are compared.
    pub(crate) fn now(&self) -> Timestamp {
        self.start.checked_add(self.lived()).unwrap_or(Timestamp::MAX)
    }

    /// The system time.
    pub(crate) fn wall(&self) -> Timestamp {
        (self.clock.wall)()
    }

    /// The system time, or what it would be without being set forward since the start: the earlier one, which decides what is old
    /// enough to be deleted.
    pub(crate) fn earliest(&self) -> Timestamp {
        let lived = self.wall_start.checked_add(self.lived());
        lived.map_or_else(|_| self.wall(), |lived| lived.min(self.wall()))
    }

    fn lived(&self) -> Duration {
        (self.clock.steady)().saturating_sub(self.steady_start)
    }

    /// How far system time is now ahead of queue time.
    pub(crate) fn ahead(&self) -> SignedDuration {
        self.wall().duration_since(self.now())
    }

    /// A queue time in current system time, to be shown to people.
    pub(crate) fn shown(&self, queue: Timestamp) -> Timestamp {
        let ahead = self.ahead();
        // The time between the two readings is not a difference.
        if ahead.abs() < SignedDuration::from_millis(5) {
            return queue;
        }
        queue.checked_add(ahead).unwrap_or(queue)
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen {
            queue: self.now().as_millisecond(),
            wall: self.wall().as_millisecond(),
        }
    }
}

/// Queue time at a start: the time passed since counts by the system clock, within limits.
fn resumed(seen: Seen, wall: Timestamp, downtime_max: Duration) -> Timestamp {
    let most = i64::try_from(downtime_max.as_millis()).unwrap_or(i64::MAX);
    let passed = wall.as_millisecond().saturating_sub(seen.wall).clamp(0, most);
    Timestamp::from_millisecond(seen.queue.saturating_add(passed)).unwrap_or(wall)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    #[test]
    fn a_start_goes_on_where_the_last_run_ended() {
        const HOUR: i64 = 3_600_000;
        let most = Duration::from_secs(4 * 3600);
        #[rustfmt::skip]
        let cases = [
            // what the case shows                      queue    wall     wall at the start  queue time then
            ("a short stop",                            1_000,   1_000,   61_000,            61_000),
            ("the clock was set back meanwhile",        90_000,  90_000,  10_000,            90_000),
            ("off for a week: one longest wait",        1_000,   1_000,   168 * HOUR,        1_000 + 4 * HOUR),
            ("the clock was wrong before, too",         5_000,   90_000,  95_000,            10_000),
            ("the clock was wrong and was corrected",   90_000,  5_000,   95_000,            180_000),
            ("a clock that starts in 1970",             90_000,  90_000,  0,                 90_000),
        ];
        for (shows, queue, wall, start, expected) in cases {
            assert_eq!(
                resumed(Seen { queue, wall }, at(start), most),
                at(expected),
                "{shows}"
            );
        }
        // Damaged numbers give some time.
        for number in [i64::MIN, i64::MAX] {
            let seen = Seen {
                queue: number,
                wall: number,
            };
            let _ = resumed(seen, at(0), most);
        }
    }

    #[test]
    fn only_lived_time_counts() {
        let wall = Arc::new(AtomicI64::new(1_795_000_000_000));
        let lived = Arc::new(AtomicI64::new(0));
        let clock = Clock::new(
            {
                let wall = wall.clone();
                move || at(wall.load(Ordering::Relaxed))
            },
            {
                let lived = lived.clone();
                move || Duration::from_millis(lived.load(Ordering::Relaxed) as u64)
            },
        );
        let queue = QueueClock::resume(clock, None, Duration::ZERO);
        let begun = queue.now();
        assert_eq!(begun, at(1_795_000_000_000));
        for day in [86_400_000, -86_400_000 * 2] {
            wall.fetch_add(day, Ordering::Relaxed);
            assert_eq!(queue.now(), begun, "the system clock jumps");
        }
        lived.fetch_add(10_000, Ordering::Relaxed);
        wall.fetch_add(10_000, Ordering::Relaxed);
        assert_eq!(queue.now(), begun + SignedDuration::from_secs(10));
        assert_eq!(
            queue.shown(queue.now()),
            at(wall.load(Ordering::Relaxed)),
            "shown as the clock on the wall"
        );
    }
}
