//! How long an answer may take.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::failure::Cause;

/// How long an answer may take.
pub(crate) struct Clock {
    limit: Duration,
    next: Instant,
    last: Instant,
}

impl Clock {
    pub(crate) fn start(now: Instant, limit: Duration, longest: Duration) -> Self {
        Self {
            limit,
            next: now + limit,
            last: now + limit.max(longest),
        }
    }

    /// Something has arrived: the time limit starts again, but not indefinitely.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.next = (now + self.limit).min(self.last);
    }

    pub(crate) async fn limit<T>(&self, work: impl Future<Output = Result<T, Cause>>) -> Result<T, Cause> {
        timeout_at(self.next, work)
            .await
            .unwrap_or(Err(Cause::TimedOut(self.limit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_stretches_an_answer_but_not_for_ever() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let seconds = Duration::from_secs;
        let mut clock = Clock::start(start, seconds(10), seconds(25));
        assert_eq!(clock.next, at(10));
        for (now, next) in [(0, 10), (9, 19), (18, 25), (24, 25)] {
            clock.restart(at(now));
            assert_eq!(clock.next, at(next), "a note after {now} s");
        }
        let clock = Clock::start(start, seconds(10), seconds(5));
        assert_eq!(clock.next, at(10), "without a note the limit alone counts");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_up_to_the_last_moment() {
        let seconds = Duration::from_secs;
        #[rustfmt::skip]
        let cases = [
            // what the case shows        notes of progress   the answer   comes in time
            ("at once",                   vec![],             0,           true),
            ("just in time",              vec![],             9,           true),
            ("too late",                  vec![],             11,          false),
            ("later, after a note",       vec![9],            18,          true),
            ("too late after the note",   vec![9],            20,          false),
            ("notes do not go on",        vec![9, 18, 24],    26,          false),
        ];
        for (shows, notes, answer, in_time) in cases {
            let start = Instant::now();
            let mut clock = Clock::start(start, seconds(10), seconds(25));
            for note in notes {
                tokio::time::sleep_until(start + seconds(note)).await;
                clock.restart(Instant::now());
            }
            let work = async {
                tokio::time::sleep_until(start + seconds(answer)).await;
                Ok(())
            };
            let said = clock.limit(work).await;
            assert_eq!(said.is_ok(), in_time, "{shows}");
        }
    }
}
