//! Reports what was done with an accepted message.

use postern_events::Reworked;
use postern_mail::QueueId;
use postern_policy::rule::Rule;

use super::Content;
use crate::session::Session;

impl Content {
    /// The rules applied so far, and what each did.
    pub fn told(&self) -> impl Iterator<Item = (Rule, &str)> {
        self.notes.0.iter().map(|(rule, reason)| (*rule, reason.as_str()))
    }

    /// Reports what was done with an accepted message.
    pub(crate) fn tell_all(&self, queue: &QueueId, session: &Session) {
        for (rule, reason) in &self.notes.0 {
            session.shared.deps.observers.tell(Reworked {
                queue,
                session: Some(&session.id),
                rule: *rule,
                reason,
            });
        }
    }
}
