//! Who has a mailbox here: accounts, aliases, addresses with a detail, and the postmaster.
//!
//! The same rules hold when a recipient is named, when mail is delivered, and when a report is made for a local sender. An address is
//! looked for in this order:
//!
//! 1. the alias of exactly this name,
//! 2. the account of exactly this address,
//! 3. without its detail (`ann+shop` is `ann`): the alias, then the account.

use std::collections::{HashSet, VecDeque};

use postern_events::{notice, shown};
use postern_mail::{Domain, Mailbox};
use postern_policy::DomainSet;

use crate::aliases::{Aliases, Target};
use crate::directories::Directories;
use crate::verdict::Existence;

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
    /// In nobody's.
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
    /// To these addresses, behind an alias: at least one, each once.
    Alias(Vec<Mailbox>),
    /// To nobody: it is an alias, and nobody has any of its targets.
    Broken,
    /// To nobody.
    Nobody,
    /// A directory cannot be asked now. The text says why, for the log.
    Unknown(String),
}

/// Where an alias leads.
#[derive(Default)]
struct Ends {
    /// Targets that somebody has, and those elsewhere.
    good: Vec<Mailbox>,
    /// Targets that nobody has.
    broken: Vec<Mailbox>,
}

/// Whether it is the one address that always exists (RFC 5321 section 4.5.1).
#[must_use]
pub fn is_postmaster(mailbox: &Mailbox) -> bool {
    mailbox.unquoted_local().eq_ignore_ascii_case("postmaster")
}

impl Residents<'_> {
    /// Whether the mailboxes of a domain are here.
    #[must_use]
    pub fn is_local(&self, domain: &Domain) -> bool {
        domain == self.main_domain || self.local_domains.contains_by_name(domain)
    }

    /// Where mail for a local address goes.
    pub async fn lead(&self, address: &Mailbox) -> Lead {
        if self.is_alias(address) {
            return self.behind(address).await;
        }
        if let Some(bare) = self.without_detail(address).filter(|bare| self.is_alias(bare)) {
            return match self.has_account(address).await {
                Existence::Yes => Lead::Itself,
                Existence::No => self.behind(&bare).await,
                Existence::Unknown(reason) => Lead::Unknown(reason),
            };
        }
        match self.mailbox(address).await {
            Residence::Mailbox(_) => Lead::Itself,
            Residence::Nobody => Lead::Nobody,
            Residence::Unknown(reason) => Lead::Unknown(reason),
        }
    }

    /// Where mail that was taken for this address lies: an account now, or what has become an alias of one account since. Addresses of
    /// other domains are not judged.
    pub async fn residence(&self, address: &Mailbox) -> Residence {
        if !self.is_local(address.domain()) {
            return Residence::Mailbox(address.clone());
        }
        let found = self.mailbox(address).await;
        if found != Residence::Nobody {
            return found;
        }
        match self.lead(address).await {
            Lead::Alias(targets) => match &targets[..] {
                [one] if self.is_local(one.domain()) => self.mailbox(one).await,
                _ => Residence::Nobody,
            },
            Lead::Unknown(reason) => Residence::Unknown(reason),
            Lead::Itself | Lead::Broken | Lead::Nobody => Residence::Nobody,
        }
    }

    /// The mailbox of an address, aliases aside.
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

    /// Whether somebody has exactly this address. Where no directory knows addresses, the aliases say it by an alias to itself.
    async fn has_account(&self, address: &Mailbox) -> Existence {
        if self.directories.knows_recipients() {
            return self.directories.recipient_exists(address).await;
        }
        let local = address.unquoted_local().to_lowercase();
        let names_itself = |target: &Target| match target {
            Target::Local(name) => name.to_lowercase() == local,
            Target::Address(mailbox) => mailbox.key() == address.key(),
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

    /// The targets of an alias that somebody has. Of the others the log hears once.
    async fn behind(&self, alias: &Mailbox) -> Lead {
        let ends = match self.ends(alias, TARGETS_ASKED_MAX).await {
            Ok(ends) => ends,
            Err(reason) => return Lead::Unknown(reason),
        };
        for to in &ends.broken {
            if self.aliases.is_news(&format!("{alias} {to}")) {
                let observers = self.directories.observers();
                notice!(observers, Directory Warning "the alias leads to nobody", Alias = shown(alias), To = shown(to));
            }
        }
        if !ends.good.is_empty() {
            Lead::Alias(ends.good)
        } else if is_postmaster(alias) {
            Lead::Itself
        } else {
            Lead::Broken
        }
    }

    /// The aliases with the targets that nobody has, in order.
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
            let ends = self.ends(&alias, usize::MAX).await?;
            broken.extend(ends.broken.into_iter().map(|target| (name.to_owned(), target)));
        }
        Ok(broken)
    }

    /// Where an alias leads, with at most so many questions about targets; further ones count as good.
    async fn ends(&self, alias: &Mailbox, asked_max: usize) -> Result<Ends, String> {
        let mut open: VecDeque<Target> = self.targets(alias).into();
        let mut followed = HashSet::new();
        let mut seen = HashSet::new();
        let mut ends = Ends::default();
        let mut asked = 0;
        while let Some(target) = open.pop_front() {
            let candidates = self.candidates(target, alias);
            let Some(first) = candidates.first() else { continue };
            let good = if !self.is_local(first.domain()) || asked >= asked_max {
                Some(first)
            } else {
                asked += 1;
                self.first_of(&candidates).await?
            };
            if let Some(good) = good {
                if seen.insert(good.key()) {
                    ends.good.push(good.clone());
                }
                continue;
            }
            // `shop: sales+shop`, where `sales` is an alias.
            match self.without_detail(first).filter(|bare| self.is_alias(bare)) {
                Some(next) if followed.insert(next.key()) => open.extend(self.targets(&next)),
                Some(_) => {}
                None => ends.broken.push(first.clone()),
            }
        }
        Ok(ends)
    }

    /// What a target may mean, the likeliest first: a name without a domain is one of the alias's domain, or of the main one.
    fn candidates(&self, target: Target, alias: &Mailbox) -> Vec<Mailbox> {
        let name = match target {
            Target::Address(mailbox) => return vec![mailbox],
            Target::Local(name) => name,
        };
        let mut domains = vec![alias.domain()];
        if alias.domain() != self.main_domain {
            domains.push(self.main_domain);
        }
        let address = |domain: &Domain| Mailbox::new(&name, domain.clone()).ok();
        domains.into_iter().filter_map(address).collect()
    }

    /// The first of these that is somebody's.
    async fn first_of<'m>(&self, candidates: &'m [Mailbox]) -> Result<Option<&'m Mailbox>, String> {
        for candidate in candidates {
            match self.mailbox(candidate).await {
                Residence::Mailbox(_) => return Ok(Some(candidate)),
                Residence::Nobody => {}
                Residence::Unknown(reason) => return Err(reason),
            }
        }
        Ok(None)
    }
}
