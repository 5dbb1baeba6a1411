//! Wrong tokens of late, by network.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use parking_lot::Mutex;

/// Wrong tokens from a network before it has to wait.
const FAILURES_MAX: u32 = 20;

/// How long they count, and the wait.
const SPAN: Duration = Duration::from_secs(60);

/// Networks that are remembered.
const NETWORKS_MAX: usize = 10_000;

/// Wrong tokens of late, by network. Nobody can guess one; this is for the log, and for who tries.
#[derive(Debug, Default)]
pub(super) struct Failures {
    all: Mutex<HashMap<Option<IpNet>, (u32, Instant)>>,
}

impl Failures {
    /// Seconds that a network has to wait.
    pub(super) fn wait(&self, from: Option<IpNet>, now: Instant) -> Option<u64> {
        let all = self.all.lock();
        let (count, since) = all.get(&from)?;
        let left = SPAN.checked_sub(now.duration_since(*since))?;
        (*count >= FAILURES_MAX).then(|| left.as_secs() + 1)
    }

    /// One more; says whether it is to be logged.
    pub(super) fn count(&self, from: Option<IpNet>, now: Instant) -> bool {
        let mut all = self.all.lock();
        if all.len() >= NETWORKS_MAX {
            all.retain(|_, (_, since)| now.duration_since(*since) < SPAN);
            if all.len() >= NETWORKS_MAX {
                all.clear();
            }
        }
        let (count, since) = all.entry(from).or_insert((0, now));
        if now.duration_since(*since) >= SPAN {
            (*count, *since) = (0, now);
        }
        *count += 1;
        *count <= FAILURES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shows_wrong_tokens_waits_alone() {
        let failures = Failures::default();
        let (one, other) = ("192.0.2.0/24".parse().ok(), "198.51.100.0/24".parse().ok());
        let begun = Instant::now();
        for _ in 0..FAILURES_MAX {
            assert_eq!(failures.wait(one, begun), None);
            assert!(failures.count(one, begun));
        }
        assert!(failures.wait(one, begun).is_some());
        assert!(!failures.count(one, begun), "the log has enough of it");
        assert_eq!(failures.wait(other, begun), None);
        assert_eq!(failures.wait(None, begun), None);
        assert_eq!(failures.wait(one, begun + SPAN + Duration::from_secs(1)), None);
    }
}
