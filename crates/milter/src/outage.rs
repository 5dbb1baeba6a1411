//! Remembers that a filter is down: reported once when it begins and once when it ends, and retried automatically.

use std::time::{Duration, Instant};

/// First pause when a filter cannot be reached.
pub const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// Longest pause, after which a filter that is back is noticed at the latest.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How a filter failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// No connection, or no agreement: the next message would fail too, so there is a pause.
    Unreachable,
    /// It failed in the middle: this may only concern this message, so the next one is tried at once.
    Misbehaved,
}

/// Proof that a filter works.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// A connection was negotiated. This ends an outage in which it could not be reached.
    Agreed,
    /// A message got its final answer. This ends any outage.
    Answered,
}

/// Whether a filter may be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ask {
    /// Yes.
    Now,
    /// It is down, and will be tried again in this time.
    In(Duration),
}

/// An outage that has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ended {
    /// From the first failure to the proof.
    pub lasted: Duration,
    /// How often it failed, not counting pauses.
    pub failures: u64,
}

#[derive(Clone, Copy, Debug)]
struct Down {
    since: Instant,
    failures: u64,
    kind: Kind,
    pause: Duration,
    /// No session asks before this moment.
    until: Option<Instant>,
}

/// The state of one filter, for all sessions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outage {
    down: Option<Down>,
}

impl Outage {
    /// Whether the filter may be asked at `now`. When a pause is over, one session tries, and the others wait for its result.
    pub fn ask(&mut self, now: Instant) -> Ask {
        let Some(Down {
            until: Some(until),
            pause,
            ..
        }) = &mut self.down
        else {
            return Ask::Now;
        };
        match until.checked_duration_since(now) {
            Some(left) if !left.is_zero() => Ask::In(left),
            _ => {
                *until = now + *pause;
                Ask::Now
            }
        }
    }

    /// Takes a failure. `true` if an outage begins with it, which is reported once.
    pub fn failed(&mut self, now: Instant, kind: Kind) -> bool {
        let begins = self.down.is_none();
        let down = self.down.get_or_insert(Down {
            since: now,
            failures: 0,
            kind,
            pause: Duration::ZERO,
            until: None,
        });
        down.failures += 1;
        down.kind = kind;
        match kind {
            Kind::Unreachable => {
                down.pause = (down.pause * 2).clamp(PAUSE_FIRST, PAUSE_MAX);
                down.until = Some(now + down.pause);
            }
            Kind::Misbehaved => {
                down.pause = Duration::ZERO;
                down.until = None;
            }
        }
        begins
    }

    /// Takes a proof that the filter works. `Some` if an outage ends with it, which is reported once.
    pub fn worked(&mut self, now: Instant, proof: Proof) -> Option<Ended> {
        let down = self.down.as_mut()?;
        if proof == Proof::Agreed && down.kind == Kind::Misbehaved {
            return None;
        }
        let ended = Ended {
            lasted: now.saturating_duration_since(down.since),
            failures: down.failures,
        };
        self.down = None;
        Some(ended)
    }

    /// Since when it is down.
    #[must_use]
    pub fn since(&self) -> Option<Instant> {
        self.down.map(|down| down.since)
    }

    /// Whether it is down.
    #[must_use]
    pub const fn is_down(&self) -> bool {
        self.down.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A time line: what happens at which second, and the result.
    #[test]
    fn an_outage() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut outage = Outage::default();
        assert_eq!(outage.ask(at(0)), Ask::Now);
        assert!(outage.failed(at(0), Kind::Unreachable), "it begins");
        assert_eq!(outage.ask(at(0)), Ask::In(PAUSE_FIRST));
        assert_eq!(outage.ask(at(1)), Ask::Now, "one tries");
        assert_eq!(
            outage.ask(at(1)),
            Ask::In(PAUSE_FIRST),
            "others wait for what it finds"
        );
        assert!(!outage.failed(at(1), Kind::Unreachable), "told already");
        assert_eq!(
            outage.ask(at(1)),
            Ask::In(Duration::from_secs(2)),
            "twice as long"
        );
        for second in [3, 7, 15, 31] {
            assert_eq!(outage.ask(at(second)), Ask::Now);
            outage.failed(at(second), Kind::Unreachable);
        }
        assert_eq!(outage.ask(at(31)), Ask::In(PAUSE_MAX), "never longer");
        assert_eq!(outage.ask(at(61)), Ask::Now);
        let ended = Ended {
            lasted: Duration::from_secs(62),
            failures: 6,
        };
        assert_eq!(outage.worked(at(62), Proof::Agreed), Some(ended));
        assert_eq!(outage.worked(at(62), Proof::Answered), None, "told already");
        assert!(outage.failed(at(63), Kind::Unreachable), "a new one");
        assert_eq!(outage.ask(at(63)), Ask::In(PAUSE_FIRST), "with the first pause");
    }

    #[test]
    fn a_message_that_the_filter_dies_of() {
        let now = Instant::now();
        let mut outage = Outage::default();
        assert!(outage.failed(now, Kind::Misbehaved));
        assert_eq!(
            outage.ask(now),
            Ask::Now,
            "the next message is not let through unseen"
        );
        assert_eq!(
            outage.worked(now, Proof::Agreed),
            None,
            "it takes connections, that says little"
        );
        assert!(!outage.failed(now, Kind::Misbehaved), "told once");
        let ended = Ended {
            lasted: Duration::ZERO,
            failures: 2,
        };
        assert_eq!(outage.worked(now, Proof::Answered), Some(ended));
        assert!(!outage.is_down());
    }

    #[test]
    fn who_tries_and_is_never_heard_of_again_does_not_stop_others() {
        let now = Instant::now();
        let mut outage = Outage::default();
        outage.failed(now, Kind::Unreachable);
        assert_eq!(outage.ask(now + PAUSE_FIRST), Ask::Now);
        assert_eq!(outage.ask(now + PAUSE_FIRST * 2), Ask::Now);
    }
}
