//! One question, asked of the servers of a directory in turn.

use std::fmt::Write as _;
use std::future::Future;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postern_events::{Observers, notice};

use crate::rota::Rota;
use crate::time::now;
use crate::verdict::Outage;

/// Why a server gave no answer to the question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// The server cannot be asked: the next one is tried.
    Server(String),
    /// The server answers, but this question cannot be answered, here or by its peers.
    Question(String),
    /// The question was not asked: others are ahead of it.
    Busy(String),
    /// The server answers, but cannot take the question for this one login or address: it does not accept the text.
    Entry(String),
}

/// The servers of one directory by name, and the order in which to ask.
#[derive(Debug)]
pub(crate) struct Failover {
    /// What they are, for the log: `LDAP`.
    kind: &'static str,
    names: Vec<String>,
    rota: Mutex<Rota>,
    observers: Observers,
}

impl Failover {
    pub(crate) fn new(
        kind: &'static str,
        names: Vec<String>,
        retry_after: Duration,
        observers: Observers,
    ) -> Self {
        let rota = Mutex::new(Rota::new(names.len(), retry_after));
        Self {
            kind,
            names,
            rota,
            observers,
        }
    }

    /// Asks one server after the other until one answers. Each gets an equal share of the time that is left, so a
    /// server that hangs leaves enough for the next.
    pub(crate) async fn ask<T, F, Answer>(&self, end: Instant, ask: F) -> Result<T, Outage>
    where
        F: Fn(usize, Instant) -> Answer,
        Answer: Future<Output = Result<T, Fault>>,
    {
        let order = self.rota.lock().order(now());
        let mut reasons = String::new();
        for (tried, &index) in order.iter().enumerate() {
            let now = now();
            let left = u32::try_from(order.len() - tried).unwrap_or(1);
            let share = end.saturating_duration_since(now) / left;
            let deadline = now + share;
            let late = |_| {
                Err(Fault::Server(format!(
                    "no answer within {} ms",
                    share.as_millis()
                )))
            };
            let answer = tokio::time::timeout_at(deadline.into(), ask(index, deadline)).await;
            match answer.unwrap_or_else(late) {
                Ok(reply) => {
                    self.note_up(index);
                    return Ok(reply);
                }
                Err(Fault::Question(reason)) => {
                    return Err(Outage::new(format!("{}: {reason}", self.names[index])));
                }
                Err(Fault::Busy(reason)) => {
                    return Err(Outage::busy(format!("{}: {reason}", self.names[index])));
                }
                Err(Fault::Entry(reason)) => {
                    return Err(Outage::of_entry(format!("{}: {reason}", self.names[index])));
                }
                Err(Fault::Server(reason)) => {
                    self.note_down(index, &reason);
                    let separator = if reasons.is_empty() { "" } else { "; " };
                    let _ = write!(reasons, "{separator}{}: {reason}", self.names[index]);
                }
            }
        }
        Err(Outage::new(reasons))
    }

    fn note_up(&self, index: usize) {
        if self.rota.lock().up(index) {
            notice!(
                self.observers,
                Directory Info "server answers again",
                What = self.kind,
                Server = self.names[index],
            );
        }
    }

    fn note_down(&self, index: usize, reason: &str) {
        if self.rota.lock().down(index, now()) {
            notice!(
                self.observers,
                Directory Warning "server fails",
                What = self.kind,
                Server = self.names[index],
                Reason = reason,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const RETRY: Duration = Duration::from_secs(30);
    const LIMIT: Duration = Duration::from_secs(10);

    /// Asks two servers, the first of which does not answer while it `hangs`: who answers, and how long it took.
    async fn ask(servers: &Failover, hangs: bool) -> (Result<usize, Outage>, Duration) {
        let begun = now();
        let answer = servers
            .ask(begun + LIMIT, |index, _| async move {
                if hangs && index == 0 {
                    pending::<()>().await;
                }
                Ok(index)
            })
            .await;
        (answer, now() - begun)
    }

    fn two() -> Failover {
        let names = vec!["a.test".to_owned(), "b.test".to_owned()];
        Failover::new("LDAP", names, RETRY, Observers::default())
    }

    /// In virtual time, which stands still while work is done: only waiting counts.
    #[tokio::test(start_paused = true)]
    async fn a_server_that_hangs_is_waited_for_once_in_the_time_of_its_back_off() {
        let servers = two();
        let half = LIMIT / 2;
        let zero = Duration::ZERO;
        #[rustfmt::skip]
        let steps = [
            // what the step shows                            passes before          hangs  who answers, after
            ("all is well",                                   zero,                  false, (0, zero)),
            ("its share of the time, then the next one",      zero,                  true,  (1, half)),
            ("the next one at once",                          zero,                  true,  (1, zero)),
            ("still",                                         RETRY - half,          true,  (1, zero)),
            ("its turn again, and it still hangs",            half,                  true,  (1, half)),
            ("so the next one at once",                       zero,                  true,  (1, zero)),
            ("it works, and nobody knows yet",                RETRY - half * 2,      false, (1, zero)),
            ("its turn again",                                half * 2,              false, (0, zero)),
            ("and it stays",                                  zero,                  false, (0, zero)),
        ];
        for (shows, passes, hangs, (answers, after)) in steps {
            tokio::time::advance(passes).await;
            let (answer, took) = ask(&servers, hangs).await;
            assert_eq!(
                (answer.ok(), took.as_secs()),
                (Some(answers), after.as_secs()),
                "{shows}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_hang_and_the_time_is_kept() {
        let servers = two();
        let begun = now();
        let answer = servers
            .ask::<(), _, _>(begun + LIMIT, |_, _| pending::<Result<(), Fault>>())
            .await;
        let reason = answer.unwrap_err().reason;
        assert!(
            reason.contains("a.test: no answer within 5000 ms") && reason.contains("b.test"),
            "{reason}"
        );
        assert_eq!((now() - begun).as_secs(), LIMIT.as_secs());
    }
}
