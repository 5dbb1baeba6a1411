//! Copies caused by the recipients of a transaction, until its message is complete.

use parking_lot::Mutex;
use postern_mail::Mailbox;
use postern_policy::copy::COPIES_MAX;

/// A copy: the rule, and the address.
pub type Copy = (Box<str>, Mailbox);

/// Copies caused by the recipients of a transaction so far.
#[derive(Debug, Default)]
pub(crate) struct Copies(Mutex<Vec<Copy>>);

impl Copies {
    /// Adds the copies that an accepted recipient causes.
    pub(crate) fn add(&self, copies: Vec<Copy>) {
        if !copies.is_empty() {
            let mut all = self.0.lock();
            all.extend(copies);
            all.truncate(COPIES_MAX);
        }
    }

    /// Takes all of them out.
    pub(crate) fn take(&self) -> Vec<Copy> {
        std::mem::take(&mut self.0.lock())
    }
}
