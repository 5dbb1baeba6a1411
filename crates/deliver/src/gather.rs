//! Holds back outcomes that must be reported while others of the same message are about to come, so that its sender gets one
//! report and not one for each destination.
//!
//! Outcomes held back are not recorded yet: after a crash their recipients are due again, refused again, and reported then.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use postern_mail::QueueId;
use tokio::time::Instant;

/// How long outcomes wait for the others of a fresh message, which are known to be in progress.
const WAIT_FRESH: Duration = Duration::from_secs(10);

/// How long they wait if that is unknown: mail that became due together is read together.
const WAIT_DUE: Duration = Duration::from_secs(2);

/// After this long, mail that was handed out will not be concluded any more: an administrator has removed it.
const FORGET: Duration = Duration::from_secs(3_600);

/// What is held back, by message.
pub(crate) struct Gather<P> {
    rounds: Mutex<HashMap<QueueId, Round<P>>>,
}

struct Round<P> {
    /// Recipients of a fresh message without an outcome of their first attempt; `None` for one that was deferred.
    open: Option<usize>,
    began: Instant,
    parts: Vec<P>,
}

/// What to do with a part.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Gathered<P> {
    /// Report these together, now.
    Now(Vec<P>),
    /// Ask for them with [`Gather::take`] after this long.
    After(Duration),
    /// It is reported with earlier ones.
    Later,
}

impl<P> Default for Gather<P> {
    fn default() -> Self {
        Self {
            rounds: Mutex::default(),
        }
    }
}

impl<P> Gather<P> {
    /// A fresh message with this many recipients is handed out.
    pub(crate) fn expect(&self, id: QueueId, recipients: usize) {
        if recipients > 1 {
            let round = Round {
                open: Some(recipients),
                began: Instant::now(),
                parts: Vec::new(),
            };
            self.rounds.lock().insert(id, round);
        }
    }

    /// `count` of `all` recipients of the message have an outcome; `part` is what must be reported of it.
    pub(crate) fn concluded(&self, id: QueueId, count: usize, all: usize, part: Option<P>) -> Gathered<P> {
        if count >= all {
            return Gathered::Now(part.into_iter().collect());
        }
        let mut rounds = self.rounds.lock();
        let Some(round) = rounds.get_mut(&id) else {
            let Some(part) = part else {
                return Gathered::Later;
            };
            let round = Round {
                open: None,
                began: Instant::now(),
                parts: vec![part],
            };
            rounds.insert(id, round);
            return Gathered::After(WAIT_DUE);
        };
        let first = part.is_some() && round.parts.is_empty();
        round.parts.extend(part);
        if let Some(open) = &mut round.open {
            *open = open.saturating_sub(count);
            if *open == 0 {
                let parts = rounds.remove(&id).map(|round| round.parts);
                return Gathered::Now(parts.unwrap_or_default());
            }
        }
        match (first, round.open) {
            (true, Some(_)) => Gathered::After(WAIT_FRESH),
            (true, None) => Gathered::After(WAIT_DUE),
            (false, _) => Gathered::Later,
        }
    }

    /// What was held back of a message. Others that still come begin a new group.
    pub(crate) fn take(&self, id: QueueId) -> Vec<P> {
        let mut rounds = self.rounds.lock();
        let Some(round) = rounds.get_mut(&id) else {
            return Vec::new();
        };
        let parts = std::mem::take(&mut round.parts);
        if round.open.is_none() {
            rounds.remove(&id);
        }
        parts
    }

    /// Forgets messages with nothing held back and no news for long.
    pub(crate) fn tidy(&self) {
        let now = Instant::now();
        self.rounds
            .lock()
            .retain(|_, round| !round.parts.is_empty() || now - round.began < FORGET);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_together() {
        let id = QueueId::new(1_795_000_000_000, 1);
        type Step = (usize, Option<u8>, Gathered<u8>);
        #[rustfmt::skip]
        let cases: Vec<(&str, bool, usize, Vec<Step>)> = vec![
            // what the case shows             fresh  recipients  recipients concluded, their part, what is done
            ("one recipient",                  true,  1, vec![(1, Some(1), Gathered::Now(vec![1]))]),
            ("all at once",                    true,  3, vec![(3, Some(1), Gathered::Now(vec![1]))]),
            ("one after the other",            true,  3, vec![(1, Some(1), Gathered::After(WAIT_FRESH)), (1, Some(2), Gathered::Later), (1, Some(3), Gathered::Now(vec![1, 2, 3]))]),
            ("the last is delivered",          true,  2, vec![(1, Some(1), Gathered::After(WAIT_FRESH)), (1, None, Gathered::Now(vec![1]))]),
            ("the first is delivered",         true,  3, vec![(1, None, Gathered::Later), (1, Some(1), Gathered::After(WAIT_FRESH)), (1, None, Gathered::Now(vec![1]))]),
            ("nothing to report",              true,  2, vec![(1, None, Gathered::Later), (1, None, Gathered::Now(vec![]))]),
            ("deferred before",                false, 3, vec![(1, Some(1), Gathered::After(WAIT_DUE)), (1, None, Gathered::Later), (1, Some(2), Gathered::Later)]),
        ];
        for (shows, fresh, recipients, steps) in cases {
            let gather = Gather::default();
            if fresh {
                gather.expect(id, recipients);
            }
            for (step, (count, part, expected)) in steps.into_iter().enumerate() {
                let got = gather.concluded(id, count, recipients, part);
                assert_eq!(got, expected, "{shows}, step {step}");
            }
        }
    }

    #[test]
    fn what_was_taken_is_not_there_twice() {
        let gather = Gather::default();
        let id = QueueId::new(1_795_000_000_000, 1);
        gather.expect(id, 3);
        assert_eq!(gather.concluded(id, 1, 3, Some(1)), Gathered::After(WAIT_FRESH));
        assert_eq!(gather.take(id), [1]);
        assert_eq!(
            gather.concluded(id, 1, 3, Some(2)),
            Gathered::After(WAIT_FRESH),
            "anew"
        );
        assert_eq!(gather.concluded(id, 1, 3, Some(3)), Gathered::Now(vec![2, 3]));
        assert_eq!(gather.take(id), [0; 0]);
    }
}
