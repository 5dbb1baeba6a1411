//! The queue's own time, which no change of the system clock moves.
//!
//! Due times and the age of messages count in *queue time*: it runs with the monotonic clock while the server runs. A system clock
//! that is set forward or back, by hand, by NTP, or because the machine slept, changes neither a wait nor an age. Queue time
//! begins as the system's time, so that the two are the same as long as nobody sets the clock; where they differ, times are
//! shown in the system's time.
//!
//! Both clocks are kept with every commit. The next start goes on from there: the time between counts as the system clock has
//! it, but never less than nothing, and never more than [`downtime_max`](crate::SpoolSettings::downtime_max), since the system
//! clock may have been set meanwhile.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// Where times come from: the system clock, which may jump, and a monotonic one.
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

    /// Other clocks, for tests: `wall` gives the system's time, `steady` a span that only grows.
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

/// Both clocks at one moment, as they are kept with a commit: milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) queue: i64,
    pub(crate) wall: i64,
}

/// Queue time, from one start to the next end.
#[derive(Debug)]
pub(crate) struct QueueClock {
    clock: Clock,
    start: Timestamp,
    wall_start: Timestamp,
    steady_start: Duration,
}

impl QueueClock {
    /// Goes on from what was seen last; begins anew with the system's time where nothing was, or nothing is queued.
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

    /// The time that due times and ages are compared with.
    pub(crate) fn now(&self) -> Timestamp {
        self.start.checked_add(self.lived()).unwrap_or(Timestamp::MAX)
    }

    /// The system's time.
    pub(crate) fn wall(&self) -> Timestamp {
        (self.clock.wall)()
    }

    /// The system's time, or what it would be had nobody set it forward since the start: what is thrown away by age is thrown
    /// away by the earlier one.
    pub(crate) fn earliest(&self) -> Timestamp {
        let lived = self.wall_start.checked_add(self.lived());
        lived.map_or_else(|_| self.wall(), |lived| lived.min(self.wall()))
    }

    fn lived(&self) -> Duration {
        (self.clock.steady)().saturating_sub(self.steady_start)
    }

    /// How far the system's time is ahead of queue time just now.
    pub(crate) fn ahead(&self) -> SignedDuration {
        self.wall().duration_since(self.now())
    }

    /// A queue time as the system's clock has it just now, as it is shown to people.
    pub(crate) fn shown(&self, queue: Timestamp) -> Timestamp {
        let ahead = self.ahead();
        // What passes between the two readings is no difference.
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

/// Queue time at a start: what passed since counts as the system's clock has it, within bounds.
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
        // Damaged numbers give a time, whichever.
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
