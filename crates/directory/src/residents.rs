//! Which addresses have a mailbox here: accounts, aliases, addresses with a detail, and the postmaster.
//!
//! The same rules apply at `RCPT`, when mail is delivered, and when a report is made for a local sender. An address is looked for
//! in this order:
//!
//! 1. the aliases by address and domain ([`addresses`](crate::addresses)), and what they in turn lead to; then, in a local
//!    domain:
//! 2. the alias of exactly this name in the aliases file,
//! 3. the account of exactly this address,
//! 4. without its detail (`ann+shop` is `ann`): the alias, then the account,
//! 5. the destination for unknown users, if one is set.

mod follow;
mod known;
mod place;
mod trail;

use postern_mail::{Domain, Mailbox};

use crate::aliases::Target;
use crate::verdict::Existence;

pub use self::known::{Lead, Member, Residence, Residents, TARGETS_ASKED_MAX, is_postmaster};

use self::place::Place;

impl Residents<'_> {
    /// Whether a domain's mailboxes are here.
    #[must_use]
    pub fn is_local(&self, domain: &Domain) -> bool {
        domain == self.main_domain || self.local_domains.contains_by_name(domain)
    }

    /// Whether it is the postmaster of a local domain, with or without a detail.
    fn is_postmaster_here(&self, address: &Mailbox) -> bool {
        let bare = self.without_detail(address);
        self.is_local(address.domain())
            && [Some(address), bare.as_ref()]
                .into_iter()
                .flatten()
                .any(is_postmaster)
    }

    /// Where mail for an address goes. A remote one without an alias leads to itself.
    pub async fn lead(&self, address: &Mailbox) -> Lead {
        follow::follow(self, address).await
    }

    /// The mailbox for mail accepted for this address: an account, or an address that has since become an alias of one account.
    /// Addresses of other domains are not examined.
    pub async fn residence(&self, address: &Mailbox) -> Residence {
        if !self.is_local(address.domain()) {
            return Residence::Mailbox(address.clone());
        }
        let found = self.mailbox(address).await;
        if found != Residence::Nobody {
            return found;
        }
        match self.lead(address).await {
            Lead::Alias(members) => match &members[..] {
                [one] if self.is_local(one.address.domain()) => self.mailbox(&one.address).await,
                _ => Residence::Nobody,
            },
            Lead::Unknown(reason) => Residence::Unknown(reason),
            Lead::Itself | Lead::Broken | Lead::Refused(_) | Lead::Nobody => Residence::Nobody,
        }
    }

    /// The mailbox of an address, ignoring aliases.
    async fn mailbox(&self, address: &Mailbox) -> Residence {
        let bare = self.without_detail(address);
        for candidate in [Some(address), bare.as_ref()].into_iter().flatten() {
            if is_postmaster(candidate) {
                return Residence::Mailbox(candidate.clone());
            }
            match self.has_account(candidate).await {
                Existence::Yes => return Residence::Mailbox(candidate.clone()),
                Existence::No => {}
                Existence::Unknown(reason) => return Residence::Unknown(reason),
            }
        }
        if self.accept_unknown {
            Residence::Mailbox(bare.unwrap_or_else(|| address.clone()))
        } else {
            Residence::Nobody
        }
    }

    /// Whether somebody has exactly this address. If no directory knows addresses, an alias to itself shows it.
    async fn has_account(&self, address: &Mailbox) -> Existence {
        if self.directories.knows_recipients() {
            return self.directories.recipient_exists(address).await;
        }
        let local = address.unquoted_local().to_lowercase();
        let names_itself = |target: &Target| match target {
            Target::Local(name) => name.to_lowercase() == local,
            Target::Address(mailbox) => mailbox.key() == address.key(),
            Target::Discard | Target::Refused(_) => false,
        };
        if self.targets(address).iter().any(names_itself) {
            Existence::Yes
        } else {
            Existence::No
        }
    }

    /// The address without its detail, if it has one.
    fn without_detail(&self, address: &Mailbox) -> Option<Mailbox> {
        let local = address.unquoted_local();
        let (name, _) = local.split_once(self.separator?)?;
        Mailbox::new(name, address.domain().clone()).ok()
    }

    fn is_alias(&self, address: &Mailbox) -> bool {
        self.aliases.contains(&address.unquoted_local())
    }

    fn targets(&self, alias: &Mailbox) -> Vec<Target> {
        self.aliases.lookup(&alias.unquoted_local()).unwrap_or_default()
    }

    /// The aliases of the file with the targets that match no user, in order.
    ///
    /// # Errors
    ///
    /// A directory cannot be asked now.
    pub async fn broken_aliases(&self) -> Result<Vec<(String, Mailbox)>, String> {
        let mut broken = Vec::new();
        for name in self.aliases.names() {
            let Ok(alias) = Mailbox::new(name, self.main_domain.clone()) else {
                continue;
            };
            let Place::Behind(ends) = self.behind(&alias, usize::MAX).await else {
                return Err(format!("the alias {name} cannot be followed"));
            };
            broken.extend(ends.broken.into_iter().map(|target| (name.to_owned(), target)));
        }
        Ok(broken)
    }
}
