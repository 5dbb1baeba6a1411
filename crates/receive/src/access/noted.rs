//! Log events for the actions of access rules.

use std::fmt::Display;

use postern_events::Ruled;
use postern_mail::{QueueId, ReversePath};
use postern_policy::rule::Rule;

use super::notes::Notes;
use crate::session::Session;

impl Notes {
    /// Reports what was done with an accepted message.
    pub(crate) fn tell_all(&self, queue: &QueueId, from: &ReversePath, session: &Session) {
        for (rule, reason) in &self.told {
            tell(*rule, reason, Some(queue), Some(from), None, session);
        }
    }
}

/// Reports the action of one rule.
pub(super) fn tell(
    rule: Rule,
    reason: &dyn Display,
    queue: Option<&QueueId>,
    from: Option<&ReversePath>,
    to: Option<&dyn Display>,
    session: &Session,
) {
    session.shared.deps.observers.tell(Ruled {
        session: &session.id,
        queue: queue.map(|queue| queue as &dyn Display),
        listener: session.listener(),
        peer: session.peer.ip(),
        rule,
        reason,
        from: from.map(|from| from as &dyn Display),
        to,
    });
}
