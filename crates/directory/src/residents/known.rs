//! What is known about the mailboxes of this host, and what can be said about an address.

use postern_mail::{Domain, Mailbox};
use postern_policy::DomainSet;
use postern_policy::alias::RefusalText;

use crate::aliases::Aliases;
use crate::directories::Directories;

/// Most targets of one alias that are looked up in directories when it is used; further ones are only looked up at delivery, so
/// that a long list does not cost thousands of questions.
pub const TARGETS_ASKED_MAX: usize = 100;

/// What is known about the mailboxes of this host.
#[derive(Clone, Copy, Debug)]
pub struct Residents<'a> {
    /// The accounts.
    pub directories: &'a Directories,
    /// The aliases.
    pub aliases: &'a Aliases,
    /// Domains with mailboxes here.
    pub local_domains: &'a DomainSet,
    /// The domain of a bare `postmaster`, and of alias targets that do not exist in the alias's own domain. It is local, too.
    pub main_domain: &'a Domain,
    /// The separator between user name and detail; `None` if details are not used.
    pub separator: Option<char>,
    /// Whether addresses that no directory knows exist all the same.
    pub accept_unknown: bool,
}

/// The mailbox for the mail of an address.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Residence {
    /// That of this address: the same, or without its detail.
    Mailbox(Mailbox),
    /// There is none.
    Nobody,
    /// A directory cannot be asked now. The text says why, for the log.
    Unknown(String),
}

/// Where mail for an address goes.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Lead {
    /// To the address itself.
    Itself,
    /// To the targets of an alias: at least one, each once.
    Alias(Vec<Member>),
    /// Nowhere: it is an alias, but none of its targets exists.
    Broken,
    /// Nowhere, with a reason for the sender: an alias refuses, or the user has moved.
    Refused(RefusalText),
    /// Nowhere: the address is unknown.
    Nobody,
    /// A directory or a table cannot be asked now. The text says why, for the log.
    Unknown(String),
}

/// One target of an alias.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Member {
    /// Where its mail goes.
    pub address: Mailbox,
    /// Its envelope sender: the owner of the list, who receives the bounces; `None` for the original sender.
    pub sender: Option<Mailbox>,
}

impl Member {
    /// A target that gets the mail with the original sender.
    #[must_use]
    pub fn new(address: Mailbox) -> Self {
        Self {
            address,
            sender: None,
        }
    }
}

/// Whether it is the one address that always exists (RFC 5321 section 4.5.1).
#[must_use]
pub fn is_postmaster(mailbox: &Mailbox) -> bool {
    mailbox.unquoted_local().eq_ignore_ascii_case("postmaster")
}
