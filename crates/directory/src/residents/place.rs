//! What one address is, apart from aliases by address: a mailbox, a name in the aliases file, or unknown.

use std::collections::{HashSet, VecDeque};

use postern_mail::{Domain, Mailbox};
use postern_policy::alias::RefusalText;

use super::known::{Residence, Residents, is_postmaster};
use crate::aliases::{End, Target};
use crate::verdict::Existence;

/// What an address is.
pub(super) enum Place {
    /// It exists, here or elsewhere.
    There,
    /// It is an alias for these.
    Behind(Ends),
    /// It does not exist.
    Nobody,
    /// That cannot be determined now, and why.
    Unknown(String),
}

/// Where a name in the aliases file leads.
#[derive(Default)]
pub(super) struct Ends {
    /// Targets that exist, and remote ones.
    pub(super) good: Vec<Good>,
    /// Targets that match no user.
    pub(super) broken: Vec<Mailbox>,
    /// The reply to the client if nothing else was found.
    pub(super) refusal: Option<RefusalText>,
    /// Whether mail is discarded.
    pub(super) discards: bool,
}

/// One target.
pub(super) struct Good {
    pub(super) address: Mailbox,
    /// The owner of the list that it is on.
    pub(super) owner: Option<Mailbox>,
    /// Whether it was written with its domain, and is to be looked up in the aliases by address.
    pub(super) open: bool,
}

impl Residents<'_> {
    /// What an address is. For a list, directories are asked about that many targets at most.
    pub(super) async fn place(&self, address: &Mailbox, asked_max: usize) -> Place {
        let domain = address.domain();
        if !self.is_local(domain) {
            if !self.aliases.addresses().is_alias_domain(domain) {
                return Place::There;
            }
            // Its postmaster is this server's.
            let main = is_postmaster(address).then(|| Mailbox::new("postmaster", self.main_domain.clone()));
            let Some(Ok(main)) = main else {
                return Place::Nobody;
            };
            return match Box::pin(self.place(&main, asked_max)).await {
                Place::There => Place::Behind(Ends {
                    good: vec![Good {
                        address: main,
                        owner: None,
                        open: false,
                    }],
                    ..Ends::default()
                }),
                other => other,
            };
        }
        if self.is_alias(address) {
            return self.behind(address, asked_max).await;
        }
        if let Some(bare) = self.without_detail(address).filter(|bare| self.is_alias(bare)) {
            return match self.has_account(address).await {
                Existence::Yes => Place::There,
                Existence::No => self.behind(&bare, asked_max).await,
                Existence::Unknown(reason) => Place::Unknown(reason),
            };
        }
        match self.mailbox(address).await {
            Residence::Mailbox(_) => Place::There,
            Residence::Nobody => Place::Nobody,
            Residence::Unknown(reason) => Place::Unknown(reason),
        }
    }

    /// Where a name in the aliases file leads, with at most that many questions about targets; further ones count as good.
    pub(super) async fn behind(&self, alias: &Mailbox, asked_max: usize) -> Place {
        let mut open: VecDeque<End> = self.ends_of(alias).into();
        let mut followed = HashSet::new();
        let mut seen = HashSet::new();
        let mut ends = Ends::default();
        let mut asked = 0;
        let by_address = !self.aliases.addresses().is_empty();
        while let Some(End { target, owner }) = open.pop_front() {
            let again = by_address && matches!(target, Target::Address(_));
            let candidates = match target {
                Target::Refused(text) => {
                    ends.refusal.get_or_insert(text);
                    continue;
                }
                Target::Discard => {
                    ends.discards = true;
                    continue;
                }
                target => self.candidates(target, alias),
            };
            let Some(first) = candidates.first() else { continue };
            let good = if again || !self.is_local(first.domain()) || asked >= asked_max {
                Some(first)
            } else {
                asked += 1;
                match self.first_of(&candidates).await {
                    Ok(found) => found,
                    Err(reason) => return Place::Unknown(reason),
                }
            };
            if let Some(good) = good {
                if seen.insert(good.key()) {
                    ends.good.push(Good {
                        address: good.clone(),
                        owner: owner.and_then(|owner| self.owner(&owner, alias)),
                        open: again,
                    });
                }
                continue;
            }
            // `shop: sales+shop`, where `sales` is an alias.
            match self.without_detail(first).filter(|bare| self.is_alias(bare)) {
                Some(next) if followed.insert(next.key()) => open.extend(self.ends_of(&next)),
                Some(_) => {}
                None => ends.broken.push(first.clone()),
            }
        }
        Place::Behind(ends)
    }

    fn ends_of(&self, alias: &Mailbox) -> Vec<End> {
        self.aliases.ends(&alias.unquoted_local()).unwrap_or_default()
    }

    /// The address of a list's owner, in the domain of the list.
    fn owner(&self, owner: &str, alias: &Mailbox) -> Option<Mailbox> {
        use crate::aliases::ListSender;
        let itself = || Mailbox::new(owner, alias.domain().clone()).ok();
        match self.aliases.list_sender() {
            ListSender::Unchanged => None,
            ListSender::OwnerAlias => itself(),
            // sendmail takes what the owner's alias leads to, if that is a single address.
            ListSender::Owner => match &self.aliases.lookup(owner).unwrap_or_default()[..] {
                [Target::Local(name)] => Mailbox::new(name, alias.domain().clone()).ok(),
                [Target::Address(mailbox)] => Some(mailbox.clone()),
                _ => itself(),
            },
        }
    }

    /// What a target may mean, the likeliest first: a name without a domain is one of the alias's domain, or of the main one.
    fn candidates(&self, target: Target, alias: &Mailbox) -> Vec<Mailbox> {
        let name = match target {
            Target::Address(mailbox) => return vec![mailbox],
            Target::Local(name) => name,
            Target::Discard | Target::Refused(_) => return Vec::new(),
        };
        let mut domains = vec![alias.domain()];
        if alias.domain() != self.main_domain {
            domains.push(self.main_domain);
        }
        let address = |domain: &Domain| Mailbox::new(&name, domain.clone()).ok();
        domains.into_iter().filter_map(address).collect()
    }

    /// The first of these that exists.
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
