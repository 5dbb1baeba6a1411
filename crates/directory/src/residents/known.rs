//! What is known of the mailboxes of this host, and what can be said of an address.

use postern_mail::{Domain, Mailbox};
use postern_policy::DomainSet;
use postern_policy::alias::RefusalText;

use crate::aliases::Aliases;
use crate::directories::Directories;

/// Targets of one alias for which directories are asked when it is used; further ones are asked for at delivery alone, so that a name
/// on a long list does not cost thousands of questions.
pub const TARGETS_ASKED_MAX: usize = 100;

/// What is known of the mailboxes of this host.
#[derive(Clone, Copy, Debug)]
pub struct Residents<'a> {
    /// The accounts.
    pub directories: &'a Directories,
    /// The aliases.
    pub aliases: &'a Aliases,
    /// Domains whose mailboxes are here.
    pub local_domains: &'a DomainSet,
    /// The domain of a bare `postmaster`, and of names behind aliases that the alias's own domain does not have. It is local, too.
    pub main_domain: &'a Domain,
    /// What stands between a user's name and a detail; `None` where names have none.
    pub separator: Option<char>,
    /// Whether addresses that no directory knows exist all the same.
    pub accept_unknown: bool,
}

/// In whose mailbox the mail of an address lies.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Residence {
    /// In that of this address: the same, or the one without its detail.
    Mailbox(Mailbox),
    /// In nobody's mailbox.
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
    /// To these, behind an alias: at least one, each once.
    Alias(Vec<Member>),
    /// To nobody: it is an alias none of whose targets exists.
    Broken,
    /// To nobody, and who sends it is told why: an alias refuses, or the user has moved.
    Refused(RefusalText),
    /// To nobody.
    Nobody,
    /// A directory or a table cannot be asked now. The text says why, for the log.
    Unknown(String),
}

/// One of those behind an alias.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Member {
    /// Where its mail goes.
    pub address: Mailbox,
    /// Under which sender: the owner of the list, who hears of mail that cannot be delivered; `None` for the sender that it has.
    pub sender: Option<Mailbox>,
}

impl Member {
    /// One that gets the mail under the sender that it has.
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
