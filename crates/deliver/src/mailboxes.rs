//! The mailboxes of this host, as delivery sees them.

use std::future::{Future, ready};
use std::pin::Pin;

use postern_mail::{Domain, Mailbox};

/// An answer for which a directory may have to be asked.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Knows who has a mailbox here. Users come and go while mail waits, so each delivery asks again.
pub trait Mailboxes: Send + Sync {
    /// The Maildir for the mail of a local address.
    fn residence<'a>(&'a self, address: &'a Mailbox) -> Asked<'a, Residence>;

    /// Who gets a report for this address: itself, the targets of an alias, or nobody, for an unknown local address. If this
    /// cannot be found out now, the address is kept.
    fn readers<'a>(&'a self, address: &'a Mailbox) -> Asked<'a, Vec<Mailbox>>;

    /// Whether it is already known who hosts a domain.
    fn knows(&self, _domain: &Domain) -> bool {
        true
    }

    /// Finds out who hosts a domain, before mail for it is routed. False if that cannot be found out now: its mail waits.
    fn learn<'a>(&'a self, _domain: &'a Domain) -> Asked<'a, bool> {
        Box::pin(ready(true))
    }
}

/// Which Maildir mail goes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Residence {
    /// That of this address: the recipient's own, or the one without its detail.
    Mailbox(Mailbox),
    /// None: it bounces.
    Nobody,
    /// Unknown for now: it is tried again. The text says why.
    Unknown(String),
}

/// Every address has a mailbox: for tests, and for hosts without local mail.
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
