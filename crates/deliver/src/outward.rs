//! What changes about a message as it leaves for another server by SMTP: at the first attempt and at all others, while the queue keeps it
//! as it came.

use std::fmt::Debug;

use postern_mail::{Mailbox, ReversePath};
use postern_policy::rule::Rule;

use crate::mailboxes::Asked;

/// Changes messages as they leave.
pub trait Outward: Debug + Send + Sync {
    /// What changes about this one; `None` for nothing. An error says why it cannot be said now; the message then waits.
    fn change<'a>(&'a self, leaving: Leaving<'a>) -> Asked<'a, Result<Option<Change>, String>>;
}

/// A message about to leave.
#[derive(Clone, Copy, Debug)]
pub struct Leaving<'a> {
    /// Its header, without the empty line behind it.
    pub header: &'a [u8],
    /// The sender that it goes under.
    pub sender: &'a ReversePath,
    /// The recipients of this transaction.
    pub recipients: &'a [&'a Mailbox],
}

/// What changes about it.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Another header, without the empty line.
    pub header: Option<Vec<u8>>,
    /// Another sender.
    pub sender: Option<Mailbox>,
    /// Other recipients, each in the place of the one that it stands for; `None` for those that stay.
    pub recipients: Vec<Option<Mailbox>>,
    /// What the log says: a rule, and what it did.
    pub told: Vec<(Rule, String)>,
}
