//! A message back from the spool when its turn comes, and what becomes of one that cannot be read.

use std::sync::Arc;

use jiff::Timestamp;
use postern_mail::Notify;
use postern_spool::{Message, Outcome, RecipientOutcome, Settlement, SpoolError};

use crate::core::Core;
use crate::outcome::{self, Fate, Times};
use crate::settings::Settings;
use crate::transact::unreadable;
use crate::work::{Due, Work};

impl Core {
    /// The message that work is about; `None` when there is nothing to do about it now.
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
            Err(error @ SpoolError::Damaged { .. }) => {
                tracing::error!(target: "postern::spool", queue = %work.id, reply = %error, "cannot be delivered");
                self.defer_damaged(settings, work, &error).await;
                None
            }
            Err(error) => {
                tracing::warn!(target: "postern::spool", queue = %work.id, reply = %error, "cannot be read now");
                None
            }
        }
    }

    /// A message that cannot be read back waits for somebody to mend the disk, until it expires. Its sender cannot be told: nobody
    /// knows who that is.
    async fn defer_damaged(&self, settings: &Settings, work: &Work, error: &SpoolError) {
        let now = Timestamp::now();
        let times = Times {
            received_at: work.received_at,
            now,
            not_before: None,
            jitter: rand::random(),
        };
        let decide = |due: &Due| {
            let fate = Fate::Failed(unreadable(error));
            let outcome = outcome::decide(fate, due, Notify::Never, &times, &settings.retry).outcome;
            RecipientOutcome {
                index: due.index,
                outcome,
            }
        };
        let outcomes: Vec<RecipientOutcome> = work.recipients.iter().map(decide).collect();
        if outcomes
            .iter()
            .any(|entry| matches!(entry.outcome, Outcome::Expired(_)))
        {
            tracing::error!(target: "postern::outcome", queue = %work.id, reply = %error, "expired");
        }
        let settlement = Settlement {
            id: work.id,
            at: now,
            outcomes,
            reports: Vec::new(),
        };
        if let Err(error) = self.deps.spool.settle(settlement).await {
            tracing::warn!(target: "postern::spool", queue = %work.id, reply = %error, "not settled");
        }
    }
}
