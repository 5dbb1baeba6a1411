//! Whose the mailboxes of this host are, as delivery sees it.

use std::future::{Future, ready};
use std::pin::Pin;

use postern_mail::{Domain, Mailbox};

/// An answer that may take a directory's time.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Tells who has a mailbox here. Users come and go while mail waits, so each delivery asks again.
pub trait Mailboxes: Send + Sync {
    /// In whose Maildir the mail of a local address lies.
    fn residence<'a>(&'a self, address: &'a Mailbox) -> Asked<'a, Residence>;

    /// Who reads a report for this address: itself, those behind an alias, or nobody, for an address of this host that nobody has. One
    /// that is not known now is left as it is.
    fn readers<'a>(&'a self, address: &'a Mailbox) -> Asked<'a, Vec<Mailbox>>;

    /// Whether it is known of a domain whose mailboxes it has, without asking anybody.
    fn knows(&self, _domain: &Domain) -> bool {
        true
    }

    /// Finds out whose mailboxes a domain has, before mail for it takes a way. False where nobody can say now: its mail waits.
    fn learn<'a>(&'a self, _domain: &'a Domain) -> Asked<'a, bool> {
        Box::pin(ready(true))
    }
}

/// In whose Maildir mail lies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Residence {
    /// In that of this address: the recipient's own, or the one without its detail.
    Mailbox(Mailbox),
    /// In none: it bounces.
    Nobody,
    /// Nobody can say now: it is tried again. The text says why.
    Unknown(String),
}

/// Every address has a mailbox: for tests, and for hosts that have no local mail.
#[derive(Clone, Copy, Debug, Default)]
pub struct Everybody;

impl Mailboxes for Everybody {
    fn residence<'a>(&'a self, address: &'a Mailbox) -> Asked<'a, Residence> {
        Box::pin(ready(Residence::Mailbox(address.clone())))
    }

    fn readers<'a>(&'a self, address: &'a Mailbox) -> Asked<'a, Vec<Mailbox>> {
        Box::pin(ready(vec![address.clone()]))
    }
}
