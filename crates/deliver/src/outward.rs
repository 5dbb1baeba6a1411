//! What changes in a message as it leaves for another server over SMTP: at each attempt, while the queue keeps the original.

use std::fmt::Debug;

use postern_mail::{Mailbox, ReversePath};
use postern_policy::rule::Rule;

use crate::mailboxes::Asked;

/// Changes messages as they leave.
pub trait Outward: Debug + Send + Sync {
    /// What changes in this one; `None` for nothing. An error says why this cannot be found out now; the message then waits.
    fn change<'a>(&'a self, leaving: Leaving<'a>) -> Asked<'a, Result<Option<Change>, String>>;
}

/// A message about to leave.
#[derive(Clone, Copy, Debug)]
pub struct Leaving<'a> {
    /// Its header, without the empty line after it.
    pub header: &'a [u8],
    /// The sender to use.
    pub sender: &'a ReversePath,
    /// The recipients of this transaction.
    pub recipients: &'a [&'a Mailbox],
}

/// The changes to a message.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Another header, without the empty line.
    pub header: Option<Vec<u8>>,
    /// Another sender.
    pub sender: Option<Mailbox>,
    /// New recipients, each at the index of the one it replaces; `None` for those that stay.
    pub recipients: Vec<Option<Mailbox>>,
    /// What to log: a rule, and what it did.
    pub told: Vec<(Rule, String)>,
}
