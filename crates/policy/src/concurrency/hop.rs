//! The state of one next hop: how many connections it may have, whether it is paused, when the next message may be sent. Two
//! clocks come in as arguments: queue time for pauses, which are shown and waited for, and monotonic time for short intervals.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::retry::RetrySettings;

/// Most connections of a new next hop.
pub const LIMIT_FIRST: usize = 2;

/// How long no further connection is tried with a next hop that refused one.
const GROWTH_PAUSE: Duration = Duration::from_secs(30);

/// Consecutive time-outs after which a host counts as unreachable.
const STALLS_MAX: u32 = 3;

/// A pause lasts this part of the time until the retry after the failure, so that the retry is a real one.
const PAUSE_SHARE: f64 = 0.85;

/// The concurrency limit of a next hop, its dead-host back-off and its rate. `C` is the cause of a pause.
///
/// The limit begins at [`LIMIT_FIRST`], grows by one with each accepted message, falls to the current number of connections when
/// a further one is refused, and to [`LIMIT_FIRST`] when none can be made. Then the next hop is paused, longer each time;
/// likewise after several connections in a row that only time out.
#[derive(Clone, Debug)]
pub struct HopState<C> {
    connected: usize,
    limit: usize,
    growth_paused_until: Option<Instant>,
    pause: Option<Pause<C>>,
    failures: u32,
    stalls: u32,
    next_send: Option<Instant>,
}

/// No attempts until the given time: none of the hosts could be reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pause<C> {
    /// The end, in queue time.
    pub until: Timestamp,
    /// The cause of the last failure.
    pub cause: C,
}

/// What follows from a connection that could not be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Setback {
    /// Other connections work: go on without this one.
    Fewer,
    /// None works: a pause has begun, or goes on.
    Paused,
}

impl<C> Default for HopState<C> {
    fn default() -> Self {
        Self {
            connected: 0,
            limit: LIMIT_FIRST,
            growth_paused_until: None,
            pause: None,
            failures: 0,
            stalls: 0,
            next_send: None,
        }
    }
}

impl<C> HopState<C> {
    /// The most connections it may have now, of `most` that the settings allow: one during a pause, to test it.
    #[must_use]
    pub fn limit(&self, most: usize) -> usize {
        let limit = if self.pause.is_some() { 1 } else { self.limit };
        limit.min(most)
    }

    /// The current limit, without a pause.
    #[must_use]
    pub const fn earned(&self) -> usize {
        self.limit
    }

    /// The pause, if there is one now.
    #[must_use]
    pub fn paused(&self, now: Timestamp) -> Option<&Pause<C>> {
        self.pause.as_ref().filter(|pause| pause.until > now)
    }

    /// A connection was made.
    pub fn connected(&mut self) {
        self.connected += 1;
        // A host that accepts connections but nothing else is as good as dead.
        if self.stalls < STALLS_MAX {
            self.pause = None;
            self.failures = 0;
        }
    }

    /// A connection is gone.
    pub fn disconnected(&mut self) {
        self.connected = self.connected.saturating_sub(1);
    }

    /// No connection could be made. `pause_for` says how long to pause after a number of failures in a row.
    pub fn connect_failed(
        &mut self,
        now: Timestamp,
        moment: Instant,
        cause: C,
        pause_for: impl Fn(u32) -> Duration,
    ) -> Setback {
        if self.connected > 0 {
            self.limit = self.connected;
            self.growth_paused_until = Some(moment + GROWTH_PAUSE);
            return Setback::Fewer;
        }
        self.begin_pause(now, cause, pause_for);
        Setback::Paused
    }

    /// A host timed out after it had accepted the connection. After several in a row, no further connection is worth the wait.
    pub fn stalled(&mut self, now: Timestamp, cause: C, pause_for: impl Fn(u32) -> Duration) {
        self.stalls = self.stalls.saturating_add(1);
        if self.stalls >= STALLS_MAX {
            self.begin_pause(now, cause, pause_for);
        }
    }

    /// The other side accepted a message; `most` is what the settings allow.
    pub fn succeeded(&mut self, moment: Instant, most: usize) {
        if std::mem::take(&mut self.stalls) >= STALLS_MAX {
            self.pause = None;
            self.failures = 0;
        }
        if self.limit < most && self.growth_paused_until.is_none_or(|until| until <= moment) {
            self.growth_paused_until = None;
            self.limit += 1;
        }
    }

    /// Ends the pause, and resets the failures.
    pub fn end_pause(&mut self) {
        self.pause = None;
        self.failures = 0;
        self.stalls = 0;
    }

    /// When the next message may be sent, at `rate` messages per second; each call takes a slot.
    pub fn sending_time(&mut self, moment: Instant, rate: f64) -> Instant {
        let time = self.next_send.map_or(moment, |next| next.max(moment));
        self.next_send = Some(time + Duration::from_secs_f64(1.0 / rate.max(0.001)));
        time
    }

    /// Begins a pause, unless there is one.
    fn begin_pause(&mut self, now: Timestamp, cause: C, pause_for: impl Fn(u32) -> Duration) {
        if self.paused(now).is_none() {
            self.failures = self.failures.saturating_add(1);
            self.pause = Some(Pause {
                until: now + pause_for(self.failures),
                cause,
            });
            self.limit = LIMIT_FIRST;
        }
    }
}

/// How long a next hop is paused after this many attempts in a row that reached no host.
#[must_use]
pub fn pause_after(failures: u32, retry: &RetrySettings, longest: Duration) -> Duration {
    let place = (failures.max(1) as usize - 1).min(retry.intervals.len().saturating_sub(1));
    let interval = retry.intervals.get(place).copied().unwrap_or(longest);
    interval.mul_f64(PAUSE_SHARE).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 4;

    /// What happens to a next hop.
    #[derive(Clone, Copy, Debug)]
    enum Happens {
        Connected,
        Disconnected,
        Fails,
        Stalls,
        Succeeds,
        Flushed,
    }
    use Happens::{Connected, Disconnected, Fails, Flushed, Stalls, Succeeds};

    /// The limit and the end of the pause after these steps, each at its second.
    fn after(steps: &[(i64, Happens)]) -> (usize, Option<i64>) {
        let begin = Instant::now();
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let ten_each = |failures: u32| Duration::from_secs(10 * u64::from(failures));
        let mut state: HopState<&str> = HopState::default();
        let mut last = 0;
        for &(second, happens) in steps {
            let moment = begin + Duration::from_secs(second.unsigned_abs());
            last = second;
            match happens {
                Connected => state.connected(),
                Disconnected => state.disconnected(),
                Fails => drop(state.connect_failed(at(second), moment, "down", ten_each)),
                Stalls => state.stalled(at(second), "silent", ten_each),
                Succeeds => state.succeeded(moment, MOST),
                Flushed => state.end_pause(),
            }
        }
        let paused = state.paused(at(last)).map(|pause| pause.until.as_second());
        (state.limit(MOST), paused)
    }

    #[test]
    fn limits_and_pauses() {
        type Case<'a> = (&'a str, &'a [(i64, Happens)], (usize, Option<i64>));
        #[rustfmt::skip]
        let cases: &[Case<'_>] = &[
            // what the case shows                    what happens, and when                                                                limit, paused until
            ("nobody knows it",                       &[],                                                                                  (2, None)),
            ("it grows with what it takes",           &[(0, Succeeds)],                                                                     (3, None)),
            ("no further than the settings",          &[(0, Succeeds), (0, Succeeds), (0, Succeeds), (0, Succeeds)],                        (4, None)),
            ("none of its hosts answers",             &[(0, Fails)],                                                                        (1, Some(10))),
            ("failures of one moment count once",     &[(0, Fails), (5, Fails)],                                                            (1, Some(10))),
            ("the next pause is longer",              &[(0, Fails), (10, Fails)],                                                           (1, Some(30))),
            ("a connection ends it",                  &[(0, Fails), (10, Fails), (11, Connected)],                                          (2, None)),
            ("and the next begins anew",              &[(0, Fails), (10, Fails), (11, Connected), (12, Disconnected), (13, Fails)],         (1, Some(23))),
            ("one connection too many is no pause",   &[(0, Connected), (1, Fails)],                                                        (1, None)),
            ("nor asked for again at once",           &[(0, Connected), (1, Fails), (30, Succeeds)],                                        (1, None)),
            ("but later",                             &[(0, Connected), (1, Fails), (31, Succeeds)],                                        (2, None)),
            ("silence now and then is borne",         &[(0, Stalls), (1, Stalls)],                                                          (2, None)),
            ("three times in a row is not",           &[(0, Stalls), (1, Stalls), (2, Stalls)],                                             (1, Some(12))),
            ("to accept is not enough then",          &[(0, Stalls), (1, Stalls), (2, Stalls), (3, Connected)],                             (1, Some(12))),
            ("to take mail is",                       &[(0, Stalls), (1, Stalls), (2, Stalls), (3, Connected), (4, Succeeds)],              (3, None)),
            ("an administrator ends it",              &[(0, Fails), (1, Flushed)],                                                          (2, None)),
        ];
        for (shows, steps, expected) in cases {
            assert_eq!(after(steps), *expected, "{shows}");
        }
    }

    #[test]
    fn messages_keep_the_rate() {
        let begin = Instant::now();
        let mut state: HopState<()> = HopState::default();
        // What the case shows, when it is asked, and the answers, in milliseconds.
        for (shows, asked, told) in [
            ("the first goes at once", 0, 0),
            ("the second half a second later", 0, 500),
            ("the third behind it", 100, 1_000),
            ("after a rest at once", 5_000, 5_000),
        ] {
            let time = state.sending_time(begin + Duration::from_millis(asked), 2.0);
            assert_eq!(time - begin, Duration::from_millis(told), "{shows}");
        }
    }

    #[test]
    fn a_pause_is_over_before_the_retry_that_follows() {
        let retry = RetrySettings {
            intervals: vec![Duration::from_secs(2), Duration::from_secs(4)],
            ..RetrySettings::default()
        };
        let longest = Duration::from_secs(3);
        for (failures, expected_ms) in [(1, 1_700), (2, 3_000), (9, 3_000)] {
            assert_eq!(
                pause_after(failures, &retry, longest),
                Duration::from_millis(expected_ms)
            );
        }
    }
}
