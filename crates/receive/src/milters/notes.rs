//! What filters did with an accepted message, for the log.

use std::sync::Arc;

use postern_events::{Discarded, Filtered};
use postern_mail::{Envelope, QueueId};
use postern_milter::Change;
use postern_policy::milter::{Decided, Decision};
use postern_policy::rule::{Rule, Verdict as _};
use postern_spool::Hold;

use super::ruled::Ruled;
use super::services::Milter;
use crate::session::{Login, Session};

/// One thing that a filter did.
pub(super) struct Note {
    milter: Arc<Milter>,
    rule: Rule,
    reason: String,
}

impl Note {
    /// It asked for changes, and they were made.
    pub(super) fn changed(milter: &Arc<Milter>, changes: &[Change], body_replaced: bool) -> Option<Self> {
        let reason = summary(changes, body_replaced);
        (!reason.is_empty()).then(|| Self {
            milter: Arc::clone(milter),
            rule: Rule::MilterChange,
            reason: format!("{} has {reason}", milter.name()),
        })
    }

    /// It decided, or its failure did, but the message is still accepted.
    pub(super) fn decided(milter: &Arc<Milter>, decision: Decision<'_>) -> Self {
        let decided = Decided {
            filter: milter.name(),
            decision,
        };
        Self {
            rule: decided.rule(),
            reason: decided.to_string(),
            milter: Arc::clone(milter),
        }
    }

    /// Whether this filter did it.
    pub(super) fn is_of(&self, milter: &Arc<Milter>) -> bool {
        Arc::ptr_eq(&self.milter, milter)
    }

    /// The hold for a message that it holds.
    pub(super) fn hold(&self) -> Hold {
        Hold::by_milter(self.milter.name(), self.rule, &self.reason)
    }

    pub(super) fn tell(&self, queue: QueueId, session: &Session) {
        session.shared.deps.observers.tell(Filtered {
            session: &session.id,
            queue: &queue,
            milter: self.milter.name(),
            rule: self.rule,
            reason: &self.reason,
        });
    }
}

/// Reports a message that a filter discarded.
pub(super) fn tell_discarded(
    ruled: &Ruled,
    queue: QueueId,
    envelope: &Envelope,
    message_id: Option<&str>,
    session: &Session,
) {
    let recipients: Vec<String> = envelope
        .recipients
        .iter()
        .map(|recipient| format!("<{}>", recipient.address))
        .collect();
    session.shared.deps.observers.tell(Discarded {
        session: &session.id,
        queue: &queue,
        listener: session.listener(),
        peer: session.peer.ip(),
        login: session.login.as_ref().map(Login::authcid),
        milter: Some(ruled.milter()),
        rule: ruled.rule(),
        reason: ruled.reason(),
        from: &envelope.sender,
        to: Some(&recipients.join(", ")),
        recipients: recipients.len(),
        message_id,
    });
}

/// A summary of changes: `added 2 fields, replaced the body`.
fn summary(changes: &[Change], body_replaced: bool) -> String {
    let count = |is: fn(&Change) -> bool| changes.iter().filter(|change| is(change)).count();
    let fields = |count: usize| if count == 1 { "field" } else { "fields" };
    let recipients = |count: usize| if count == 1 { "recipient" } else { "recipients" };
    let added = count(|change| matches!(change, Change::AddField { .. } | Change::InsertField { .. }));
    let changed = count(|change| matches!(change, Change::ChangeField { .. }));
    let deleted = count(|change| matches!(change, Change::DeleteField { .. }));
    let more = count(|change| matches!(change, Change::AddRecipient { .. }));
    let less = count(|change| matches!(change, Change::RemoveRecipient(_)));
    let sender = count(|change| matches!(change, Change::ChangeSender { .. }));
    let mut parts = Vec::new();
    for (number, verb, of) in [
        (added, "added", fields(added)),
        (changed, "changed", fields(changed)),
        (deleted, "removed", fields(deleted)),
        (more, "added", recipients(more)),
        (less, "removed", recipients(less)),
    ] {
        if number > 0 {
            parts.push(format!("{verb} {number} {of}"));
        }
    }
    if sender > 0 {
        parts.push("changed the sender".into());
    }
    if body_replaced {
        parts.push("replaced the body".into());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_in_words() {
        let field = || Change::AddField {
            name: "X".into(),
            value: Vec::new(),
        };
        let gone = || Change::RemoveRecipient("a@b".into());
        let from = || Change::ChangeSender {
            sender: String::new(),
            parameters: String::new(),
        };
        #[rustfmt::skip]
        let cases = [
            ("nothing",         vec![],                             false,  ""),
            ("one",             vec![field()],                      false,  "added 1 field"),
            ("several",         vec![field(), gone(), field()],     false,  "added 2 fields, removed 1 recipient"),
            ("all kinds",       vec![from()],                       true,   "changed the sender, replaced the body"),
            ("held alone",      vec![Change::Quarantine("x".into())], false, ""),
        ];
        for (shows, changes, body, expected) in cases {
            assert_eq!(summary(&changes, body), expected, "{shows}");
        }
    }
}
