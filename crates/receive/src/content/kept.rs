//! Copies that the recipients of a transaction have caused, until its message is there.

use parking_lot::Mutex;
use postern_mail::Mailbox;
use postern_policy::copy::COPIES_MAX;

/// A copy: the rule, and to whom.
pub type Copy = (Box<str>, Mailbox);

/// Copies of a transaction that recipients have caused so far.
#[derive(Debug, Default)]
pub(crate) struct Copies(Mutex<Vec<Copy>>);

impl Copies {
    /// A recipient that causes these is taken.
    pub(crate) fn add(&self, copies: Vec<Copy>) {
        if !copies.is_empty() {
            let mut all = self.0.lock();
            all.extend(copies);
            all.truncate(COPIES_MAX);
        }
    }

    /// All of them; none are left.
    pub(crate) fn take(&self) -> Vec<Copy> {
        std::mem::take(&mut self.0.lock())
    }
}
