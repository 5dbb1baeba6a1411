//! Local mailboxes, for delivery: according to the current directories, aliases and settings.

use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_deliver::{Asked, Deliverer, Mailboxes, Residence, Verified};
use postern_directory::aliases::Aliases;
use postern_directory::{self as directory, Directories, Lead};
use postern_mail::{Domain, Mailbox};
use postern_policy::AskedDomains as _;
use postern_receive::{AskNextHop, HopAnswer, Settings, Told};
use tracing::debug;

/// The data for the answers; a reload swaps it.
pub(super) struct LocalMailboxes {
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) directories: Arc<ArcSwap<Directories>>,
    pub(super) aliases: Arc<ArcSwap<Aliases>>,
}

/// Asks next hops about recipients.
pub(super) struct HopAsker(pub(super) Deliverer);

impl AskNextHop for HopAsker {
    fn ask<'a>(&'a self, recipient: &'a Mailbox) -> Told<'a> {
        Box::pin(async move {
            match self.0.verify(recipient).await {
                Verified::Taken => HopAnswer::Taken,
                Verified::Refused(reply) => HopAnswer::Refused(reply),
                Verified::Unknown(reason) => HopAnswer::Unknown(reason),
            }
        })
    }
}

impl Mailboxes for LocalMailboxes {
    fn residence<'a>(&'a self, address: &'a Mailbox) -> Asked<'a, Residence> {
        Box::pin(async move {
            let settings = self.settings.load_full();
            let (directories, aliases) = (self.directories.load_full(), self.aliases.load_full());
            let residents = settings.residents(&directories, &aliases);
            match residents.residence(address).await {
                directory::Residence::Mailbox(mailbox) => Residence::Mailbox(mailbox),
                directory::Residence::Nobody => Residence::Nobody,
                directory::Residence::Unknown(reason) => Residence::Unknown(reason),
            }
        })
    }

    fn readers<'a>(&'a self, address: &'a Mailbox) -> Asked<'a, Vec<Mailbox>> {
        Box::pin(async move {
            let settings = self.settings.load_full();
            let (directories, aliases) = (self.directories.load_full(), self.aliases.load_full());
            let residents = settings.residents(&directories, &aliases);
            let domain = address.domain();
            if !residents.is_local(domain) && !aliases.addresses().is_alias_domain(domain) {
                return vec![address.clone()];
            }
            match residents.lead(address).await {
                Lead::Itself | Lead::Unknown(_) => vec![address.clone()],
                Lead::Alias(members) => members.into_iter().map(|member| member.address).collect(),
                Lead::Broken | Lead::Refused(_) | Lead::Nobody => Vec::new(),
            }
        })
    }

    fn knows(&self, domain: &Domain) -> bool {
        let settings = self.settings.load();
        let known = |name| {
            let mut tables = settings.domain_tables.iter();
            tables.all(|table| table.is_listed(name).is_some())
        };
        domain.name().is_none_or(known)
    }

    fn learn<'a>(&'a self, domain: &'a Domain) -> Asked<'a, bool> {
        Box::pin(async move {
            let settings = self.settings.load_full();
            match settings.learn(domain).await {
                Ok(()) => true,
                Err(down) => {
                    debug!(target: "postern::deliver", %domain, %down, "mail waits for a table of domains");
                    false
                }
            }
        })
    }
}
