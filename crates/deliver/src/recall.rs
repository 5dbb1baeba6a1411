//! Reads a message from the spool when its turn comes, and handles those that cannot be read.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use postern_events::{notice, shown};
use postern_mail::{Notify, QueueId};
use postern_spool::{Message, Origin, Outcome, RecipientOutcome, Settlement, SpoolError, SpoolState};

use crate::core::{Core, note};
use crate::outcome::{self, Fate, Times};
use crate::relay::Relay;
use crate::report;
use crate::settings::Settings;
use crate::telling::Telling;
use crate::transact::unreadable;
use crate::work::{Due, Work};

/// Expired damaged messages concluded at a time.
const DAMAGED_STEP: usize = 100;

impl Core {
    /// The message that work is about; `None` if nothing can be done with it now.
    pub(crate) async fn message_of(
        self: &Arc<Self>,
        settings: &Settings,
        work: &Work,
    ) -> Option<Arc<Message>> {
        if let Some(message) = &work.message {
            return Some(message.clone());
        }
        match self.deps.spool.load(work.id).await {
            Ok(message) => message,
            // The spool now holds it, and has reported it.
            Err(SpoolError::Damaged { .. }) => None,
            Err(error) => {
                let observers = &self.deps.observers;
                notice!(observers, Spool Warning "cannot be read now", Queue = shown(&work.id), Error = shown(&error));
                // If only this one cannot be read, that counts as an attempt, so that it eventually expires.
                if self.deps.spool.state() == SpoolState::Ready {
                    self.put_off(settings, work.id, work.queued_at, &work.recipients, &error)
                        .await;
                }
                None
            }
        }
    }

    /// Concludes damaged messages that were not repaired before they expired. Their senders are told, if the envelope is intact.
    pub(crate) async fn expire_damaged(&self) {
        let settings = self.deps.settings.load_full();
        let age = SignedDuration::try_from(settings.retry.expire_after).unwrap_or(SignedDuration::MAX);
        let Ok(before) = self.now().checked_sub(age) else {
            return;
        };
        let Ok(found) = self.deps.spool.damaged_before(before, DAMAGED_STEP).await else {
            return;
        };
        for work in found {
            let recipients: Vec<Due> = work.recipients.iter().map(Due::from).collect();
            let error = SpoolError::Damaged {
                id: work.id,
                reason: "it has changed since it was accepted".into(),
            };
            self.put_off(&settings, work.id, work.queued_at, &recipients, &error)
                .await;
        }
    }

    /// A message that cannot be read is retried later, until it expires. Then its sender is told, if known.
    async fn put_off(
        &self,
        settings: &Settings,
        id: QueueId,
        queued_at: Timestamp,
        recipients: &[Due],
        error: &SpoolError,
    ) {
        let spool = &self.deps.spool;
        let envelope = spool.load_envelope(id).await.ok().flatten();
        let times = Times {
            queued_at,
            now: self.now(),
            not_before: None,
            jitter: rand::random(),
        };
        let (mut outcomes, mut notes) = (Vec::new(), Vec::new());
        for due in recipients {
            let fate = Fate::Failed(unreadable(error));
            let decision = outcome::decide(
                fate,
                due,
                notify(envelope.as_deref(), due),
                &times,
                &settings.retry,
            );
            if let Some(notice) = decision.notice.map(|notice| self.shown(notice)) {
                notes.extend(note(
                    due.index,
                    notice,
                    &decision.outcome,
                    Relay::Nowhere,
                    false,
                    false,
                ));
            }
            outcomes.push(RecipientOutcome {
                index: due.index,
                outcome: decision.outcome,
            });
        }
        let at = Timestamp::now();
        let expired = |entry: &RecipientOutcome| matches!(entry.outcome, Outcome::Expired(_));
        let reports = match &envelope {
            Some(message) => {
                let made = report::make(&self.deps, settings, message, &notes, at).await;
                for (due, outcome) in recipients.iter().zip(&outcomes) {
                    let telling = Telling {
                        attempts: due.attempts,
                        replied: false,
                        now: times.now,
                    };
                    telling.tell(&self.deps, message, outcome, made.about(outcome.index));
                }
                made.messages
            }
            None => {
                if outcomes.iter().any(expired) {
                    notice!(
                        self.deps.observers,
                        Outcome Error "expired without a report: its envelope cannot be read",
                        Queue = shown(&id),
                        Error = shown(error),
                    );
                }
                Vec::new()
            }
        };
        let settlement = Settlement {
            id,
            at,
            outcomes,
            reports,
        };
        if let Err(error) = spool.settle(settlement).await {
            let observers = &self.deps.observers;
            notice!(observers, Spool Warning "not settled, it will be tried again", Queue = shown(&id), Error = shown(&error));
        }
    }
}

/// What the sender wants to be told about this recipient; nothing if unknown.
fn notify(envelope: Option<&Message>, due: &Due) -> Notify {
    match envelope {
        Some(message) if message.origin == Origin::Report => Notify::Unspecified,
        Some(message) => {
            let recipient = message.envelope.recipients.get(due.index as usize);
            recipient.map_or(Notify::Never, |recipient| recipient.notify)
        }
        None => Notify::Never,
    }
}
