//! Which server is asked first: fail-over to the next one, and return after a time.

use std::time::{Duration, Instant};

/// The state of the servers of one directory, in the order of the configuration.
#[derive(Debug)]
pub(crate) struct Rota {
    retry_after: Duration,
    /// When each failed last; `None` while it works.
    failed_at: Vec<Option<Instant>>,
}

impl Rota {
    pub(crate) fn new(servers: usize, retry_after: Duration) -> Self {
        Self {
            retry_after,
            failed_at: vec![None; servers],
        }
    }

    /// The order in which to try the servers now: those that work, then those that failed recently.
    ///
    /// A server that failed longer ago than the retry time returns to its own place, but only for the caller that gets
    /// this answer: if it still hangs, only that one waits for it.
    pub(crate) fn order(&mut self, now: Instant) -> Vec<usize> {
        let (mut first, mut last) = (Vec::with_capacity(self.failed_at.len()), Vec::new());
        for (index, failed_at) in self.failed_at.iter_mut().enumerate() {
            match failed_at {
                Some(at) if now.saturating_duration_since(*at) < self.retry_after => last.push(index),
                Some(at) => {
                    *at = now;
                    first.push(index);
                }
                None => first.push(index),
            }
        }
        first.append(&mut last);
        first
    }

    /// A server has answered. Returns whether it was down until now.
    pub(crate) fn up(&mut self, index: usize) -> bool {
        self.failed_at[index].take().is_some()
    }

    /// A server has failed. Returns whether it worked until now.
    pub(crate) fn down(&mut self, index: usize, now: Instant) -> bool {
        self.failed_at[index].replace(now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Duration = Duration::from_secs(30);

    #[test]
    fn fail_over_and_back() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut rota = Rota::new(3, RETRY);
        assert_eq!(rota.order(at(0)), [0, 1, 2], "as configured");
        assert!(rota.down(0, at(0)), "news");
        assert_eq!(rota.order(at(1)), [1, 2, 0], "a failed one comes last");
        assert!(rota.down(1, at(2)), "news");
        assert_eq!(rota.order(at(3)), [2, 0, 1], "all are tried in the end");
        assert_eq!(
            rota.order(at(30)),
            [0, 2, 1],
            "after the retry time it is first again"
        );
        assert_eq!(rota.order(at(30)), [2, 0, 1], "for one caller alone");
        assert!(!rota.down(0, at(31)), "no news");
        assert_eq!(
            rota.order(at(60)),
            [1, 2, 0],
            "the second one's turn; the first failed again"
        );
        assert!(rota.up(1), "news");
        assert!(!rota.up(1), "no news");
        assert_eq!(rota.order(at(61)), [0, 1, 2]);
        assert!(rota.up(0), "news");
        assert_eq!(rota.order(at(61)), [0, 1, 2]);
    }

    #[test]
    fn a_single_server_is_always_tried() {
        let now = Instant::now();
        let mut rota = Rota::new(1, RETRY);
        rota.down(0, now);
        assert_eq!(rota.order(now), [0]);
    }
}
