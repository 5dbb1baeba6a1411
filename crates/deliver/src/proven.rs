//! Remembers which hosts have accepted mail recently.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// How long a host is remembered.
const FOR: Duration = Duration::from_secs(6 * 3600);

/// Most hosts remembered for each class of mail.
const MOST: usize = 20_000;

/// Hosts and next hops by the hash of their name or address, with the time until which they are remembered.
#[derive(Default)]
pub(crate) struct Proven {
    until: HashMap<u64, Instant>,
    /// Those forgotten since the last [`take_forgotten`](Self::take_forgotten).
    forgotten: Vec<u64>,
}

impl Proven {
    pub(crate) fn note(&mut self, host: u64, now: Instant) {
        if self.until.len() >= MOST && !self.until.contains_key(&host) {
            self.make_room(now);
        }
        self.until.insert(host, now + FOR);
    }

    pub(crate) fn forget(&mut self, host: u64) {
        if self.until.remove(&host).is_some() && self.forgotten.len() < MOST {
            self.forgotten.push(host);
        }
    }

    /// Hosts noted within the last `within`, each with the time for which it is still remembered.
    pub(crate) fn lately(&self, within: Duration, now: Instant) -> Vec<(u64, Duration)> {
        let left = |until: &Instant| until.saturating_duration_since(now);
        let least = FOR.saturating_sub(within);
        self.until
            .iter()
            .map(|(host, until)| (*host, left(until)))
            .filter(|(_, left)| !left.is_zero() && *left >= least)
            .collect()
    }

    /// Restores a host from before a restart.
    pub(crate) fn restore(&mut self, host: u64, left: Duration, now: Instant) {
        if self.until.len() < MOST {
            self.until.insert(host, now + left.min(FOR));
        }
    }

    /// Hosts forgotten because of their behaviour since the last call.
    pub(crate) fn take_forgotten(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.forgotten)
    }

    pub(crate) fn holds(&self, host: u64, now: Instant) -> bool {
        self.until.get(&host).is_some_and(|until| *until > now)
    }

    /// Forgets the half that was noted longest ago.
    fn make_room(&mut self, now: Instant) {
        let mut times: Vec<Instant> = self.until.values().copied().collect();
        let half = times.len() / 2;
        let (_, middle, _) = times.select_nth_unstable(half);
        let middle = (*middle).max(now);
        self.until.retain(|_, until| *until > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_latest_are_remembered_and_not_for_ever() {
        let mut proven = Proven::default();
        for host in 0..MOST as u64 {
            proven.note(host, Instant::now());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        proven.note(u64::MAX, Instant::now());
        assert!(proven.until.len() <= MOST / 2 + 1);
        assert!(!proven.holds(0, Instant::now()) && proven.holds(MOST as u64 - 1, Instant::now()));
        proven.forget(MOST as u64 - 1);
        assert!(!proven.holds(MOST as u64 - 1, Instant::now()));
        assert!(proven.holds(u64::MAX, Instant::now()));
        tokio::time::advance(FOR).await;
        assert!(!proven.holds(u64::MAX, Instant::now()));
    }
}
