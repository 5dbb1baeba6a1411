//! Recording outcomes.

use jiff::Timestamp;
use postern_events::{notice, shown};
use postern_mail::QueueId;
use rusqlite::{OptionalExtension, params};

use super::codec::{self, DONE, FRESH, HELD, QUEUED};
use super::inbox::Settle;
use super::transaction::{Gone, Transaction};
use crate::error::SpoolError;
use crate::outcome::{Duplicate, Outcome, OutcomeKind, RecipientOutcome, Settled};
use crate::recipient::Attempt;

/// What settling changed so far.
#[derive(Default)]
struct Tally {
    finished: i64,
    deferred: i64,
    left_fresh: u32,
}

impl Transaction<'_, '_> {
    /// Records a settlement and queues its reports, unless no outcome counted.
    ///
    /// # Errors
    ///
    /// Database errors; then the transaction is unusable.
    pub(super) fn settle(&mut self, settle: &Settle) -> Result<Settled, SpoolError> {
        let id = settle.id.as_i64();
        let may_be_fresh = self.board.room().is_live(settle.id);
        let mut settled = Settled::default();
        let mut tally = Tally::default();
        for outcome in &settle.outcomes {
            if !self.settle_one(id, settle.at, outcome, may_be_fresh, &mut tally)? {
                let first = self.first_outcome(id, outcome.index)?;
                settled.duplicates.push(Duplicate {
                    index: outcome.index,
                    first,
                });
            }
        }
        if tally.left_fresh > 0 {
            self.effects.left_fresh.push((settle.id, tally.left_fresh));
        }
        settled.finished = self.count_down(id, tally.finished)?;
        if tally.finished + tally.deferred > 0 {
            for report in &settle.reports {
                match self.insert(report) {
                    // Even without its report the outcome counts: it has happened.
                    Err(SpoolError::DuplicateId(report)) => {
                        notice!(
                            self.observers,
                            Spool Error "report not queued: its id is in use",
                            Queue = shown(&settle.id),
                            Report = shown(&report),
                        );
                    }
                    Err(error) => return Err(error),
                    Ok(()) => settled.reports.push(report.message.clone()),
                }
            }
        }
        Ok(settled)
    }

    /// Records one outcome; returns whether it counted.
    fn settle_one(
        &mut self,
        id: i64,
        at: Timestamp,
        outcome: &RecipientOutcome,
        may_be_fresh: bool,
        tally: &mut Tally,
    ) -> rusqlite::Result<bool> {
        let index = outcome.index;
        let fresh = may_be_fresh && self.apply(id, index, FRESH, FRESH, at, &outcome.outcome)?;
        if !(fresh || self.apply(id, index, QUEUED, HELD, at, &outcome.outcome)?) {
            return Ok(false);
        }
        tally.left_fresh += u32::from(fresh);
        match outcome.outcome {
            Outcome::Deferred { .. } => tally.deferred += 1,
            _ => tally.finished += 1,
        }
        Ok(true)
    }

    /// Applies an outcome to a recipient in one of these states; returns whether it was in one.
    fn apply(
        &mut self,
        id: i64,
        index: u32,
        from: i64,
        to: i64,
        at: Timestamp,
        outcome: &Outcome,
    ) -> rusqlite::Result<bool> {
        debug_assert!(to < DONE, "what is done stays as it is");
        let (kind, attempt, by) = match outcome {
            Outcome::Deferred {
                until,
                attempt,
                warned,
            } => {
                let (relay, status, reply, failure, stage) = attempt_columns(attempt.as_ref());
                let changed = self.statements.defer_recipient.execute(params![
                    id,
                    index,
                    from,
                    to,
                    until.as_millisecond(),
                    i64::from(*warned),
                    i64::from(attempt.is_some()),
                    relay,
                    status,
                    reply,
                    failure,
                    stage,
                ])?;
                return Ok(changed > 0);
            }
            Outcome::Delivered(attempt) => (OutcomeKind::Delivered, Some(attempt), None),
            Outcome::Bounced(attempt) => (OutcomeKind::Bounced, Some(attempt), None),
            Outcome::Expired(attempt) => (OutcomeKind::Expired, Some(attempt), None),
            Outcome::Removed { by } => (OutcomeKind::Removed, None, Some(by)),
        };
        let (relay, status, reply, failure, stage) = attempt_columns(attempt);
        let changed = self.statements.finish_recipient.execute(params![
            id,
            index,
            from,
            to,
            codec::outcome_text(kind),
            at.as_millisecond(),
            // An expiry ends the waiting; it is not an attempt itself.
            i64::from(matches!(kind, OutcomeKind::Delivered | OutcomeKind::Bounced)),
            relay,
            status,
            reply,
            by,
            failure,
            stage,
        ])?;
        Ok(changed > 0)
    }

    fn first_outcome(&mut self, id: i64, index: u32) -> Result<Option<OutcomeKind>, SpoolError> {
        let text: Option<Option<String>> = self
            .statements
            .first_outcome
            .query_row(params![id, index], |row| Ok(row.get(0).unwrap_or_default()))
            .optional()?;
        Ok(text.flatten().and_then(|text| codec::outcome(&text).ok()))
    }

    /// Subtracts finished recipients from the message's count, and removes the message when none is left.
    pub(super) fn count_down(&mut self, id: i64, finished: i64) -> Result<bool, SpoolError> {
        if finished == 0 {
            return Ok(false);
        }
        self.totals.recipients -= finished;
        self.totals.outcomes += finished;
        let gone = self
            .statements
            .finish_message
            .query_row([id, finished], |row| {
                // A damaged row is no reason to keep it.
                Ok(Gone {
                    size: row.get(0).unwrap_or_default(),
                    held: row.get(1)?,
                    body_file: row.get(2).unwrap_or_default(),
                    damaged: row.get(3)?,
                    sandboxed: row.get(4)?,
                })
            })
            .optional()?;
        let Some(gone) = gone else {
            self.statements.count_down.execute([id, finished])?;
            return Ok(false);
        };
        self.message_finished(id, gone)?;
        Ok(true)
    }

    /// Removes an unfinished message: every open recipient gets that as its outcome. Returns whether it existed.
    pub(super) fn remove(&mut self, id: QueueId, by: &str, now: Timestamp) -> Result<bool, SpoolError> {
        let number = id.as_i64();
        let open: Vec<u32> = self
            .connection
            .prepare_cached("SELECT idx FROM recipient WHERE message_id = ?1 AND state < 3")?
            .query_map([number], |row| Ok(row.get(0).ok()))?
            .filter_map(Result::transpose)
            .collect::<rusqlite::Result<_>>()?;
        let may_be_fresh = self.board.room().is_live(id);
        let mut tally = Tally::default();
        for index in open {
            let outcome = RecipientOutcome {
                index,
                outcome: Outcome::Removed { by: by.to_owned() },
            };
            self.settle_one(number, now, &outcome, may_be_fresh, &mut tally)?;
        }
        if tally.left_fresh > 0 {
            self.effects.left_fresh.push((id, tally.left_fresh));
        }
        // A damaged message may have lost recipients, or have some that cannot be read.
        let unfinished: Option<i64> = self
            .connection
            .prepare_cached("SELECT unfinished FROM message WHERE id = ?1 AND damaged IS NOT NULL")?
            .query_row([number], |row| row.get(0))
            .optional()?;
        if let Some(unfinished) = unfinished {
            let left = self
                .connection
                .prepare_cached(
                    "UPDATE recipient SET state = 3, outcome = 'removed', settled_at = ?2, removed_by = ?3
                     WHERE message_id = ?1 AND (state IS NOT 3 OR outcome IS NULL)",
                )?
                .execute(params![number, now.as_millisecond(), by])?;
            // Its whole count goes with it; the history keeps what there is.
            self.totals.outcomes += tally.finished + left as i64 - unfinished;
            tally.finished = unfinished;
        }
        self.count_down(number, tally.finished)
    }
}

/// Relay, status, reply, kind of failure and its stage.
type AttemptColumns<'a> = (
    Option<&'a str>,
    Option<String>,
    Option<&'a str>,
    Option<&'static str>,
    Option<&'static str>,
);

fn attempt_columns(attempt: Option<&Attempt>) -> AttemptColumns<'_> {
    let Some(attempt) = attempt else {
        return (None, None, None, None, None);
    };
    (
        Some(&attempt.relay),
        attempt.status.map(|status| status.to_string()),
        Some(&attempt.reply),
        attempt.failure.map(|failure| failure.kind.name()),
        attempt
            .failure
            .and_then(|failure| failure.stage)
            .map(|stage| stage.name()),
    )
}
