//! Decides from what happened what to record and report. No I/O, no clock.

use jiff::Timestamp;
use postern_mail::{Notify, Status};
use postern_policy::retry::{self, RetrySettings, RetryVerdict};
use postern_spool::{Attempt, Outcome};

use crate::failure::Failure;
use crate::relay::Relay;
use crate::work::Due;

/// What happened to one recipient in an attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// Handed over.
    Delivered {
        /// The host or mailbox.
        relay: Relay,
        /// Its reply.
        attempt: Attempt,
        /// Who reports success, if requested.
        success: SuccessReport,
    },
    /// Not handed over.
    Failed(Failure),
}

/// Who tells the sender of a success (RFC 3461 sections 5.2 and 5.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SuccessReport {
    /// The next hop, which speaks `DSN`.
    NextHop,
    /// This server, since the next hop does not: "relayed".
    Relayed,
    /// This server, since it is in the mailbox: "delivered".
    Delivered,
}

/// What a report says about one recipient.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Notice {
    Failed,
    Delayed { until: Timestamp },
    Relayed,
    Delivered,
}

/// What is recorded about one recipient, and reported if the sender asked for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Decision {
    pub(crate) outcome: Outcome,
    pub(crate) notice: Option<Notice>,
}

/// The times that a decision depends on, all in queue time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) queued_at: Timestamp,
    pub(crate) now: Timestamp,
    /// No attempt is made before this: the destination is paused.
    pub(crate) not_before: Option<Timestamp>,
    /// From 0 to 1.
    pub(crate) jitter: f64,
}

/// Decides what to record about one recipient.
pub(crate) fn decide(
    fate: Fate,
    due: &Due,
    notify: Notify,
    times: &Times,
    settings: &RetrySettings,
) -> Decision {
    let failure = match fate {
        Fate::Delivered { attempt, success, .. } => {
            let notice = match success {
                SuccessReport::NextHop => None,
                SuccessReport::Relayed => Some(Notice::Relayed),
                SuccessReport::Delivered => Some(Notice::Delivered),
            };
            return Decision {
                outcome: Outcome::Delivered(attempt),
                notice: notice.filter(|_| notify.success()),
            };
        }
        Fate::Failed(failure) => failure,
    };
    if failure.permanent {
        return Decision {
            outcome: Outcome::Bounced(failure.attempt()),
            notice: Some(Notice::Failed).filter(|_| notify.failure()),
        };
    }
    match retry::next(
        due.attempts.saturating_add(1),
        times.queued_at,
        times.now,
        settings,
        times.jitter,
    ) {
        RetryVerdict::Expire => Decision {
            outcome: Outcome::Expired(Attempt {
                status: Some(Status(5, 4, 7)),
                ..failure.attempt()
            }),
            notice: Some(Notice::Failed).filter(|_| notify.failure()),
        },
        RetryVerdict::RetryAt(until) => {
            let expires = retry::expires_at(times.queued_at, settings);
            let until = times
                .not_before
                .map_or(until, |floor| until.max(floor.min(expires)));
            let warn = retry::warn_due(times.queued_at, times.now, due.warned, settings);
            Decision {
                outcome: Outcome::Deferred {
                    until,
                    attempt: Some(failure.attempt()),
                    warned: warn,
                },
                notice: (warn && notify.delay()).then_some(Notice::Delayed { until: expires }),
            }
        }
    }
}

#[cfg(test)]
mod tests;
