//! Follows an address through both kinds of aliases to everyone its mail reaches.

use std::collections::{HashSet, VecDeque};

use postern_events::{notice, shown};
use postern_mail::Mailbox;
use postern_policy::alias::{Form, Goal, Key, Rank, RefusalText, goals};
use postern_policy::route::discarded;

use super::known::{Lead, Member, Residents, TARGETS_ASKED_MAX};
use super::place::Place;
use crate::addresses::EXPANSION_MAX;
use crate::aliases::TARGETS_MAX;

/// An address still to be examined.
struct Open {
    address: Mailbox,
    /// Whether the aliases by address apply; they do not for their own final results.
    by_address: bool,
    owner: Option<Mailbox>,
}

/// What has been found so far.
#[derive(Default)]
struct Found {
    members: Vec<Member>,
    seen: HashSet<String>,
    broken: Vec<Mailbox>,
    refusal: Option<RefusalText>,
    discards: bool,
    /// Whether there was an alias at all.
    aliased: bool,
}

/// Where mail for `address` goes.
pub(super) async fn follow(residents: &Residents<'_>, address: &Mailbox) -> Lead {
    let addresses = residents.aliases.addresses();
    let mut open = VecDeque::from([Open {
        address: address.clone(),
        by_address: !addresses.is_empty(),
        owner: None,
    }]);
    let mut found = Found::default();
    // Each address is examined once in either way: aliases of both kinds may form a loop.
    let mut looked_at = HashSet::new();
    while let Some(one) = open.pop_front() {
        if !looked_at.insert((one.address.key(), one.by_address)) {
            continue;
        }
        if looked_at.len() > TARGETS_MAX + EXPANSION_MAX {
            return Lead::Unknown(format!("the aliases of {address} lead to too many addresses"));
        }
        if one.by_address {
            match by_address(residents, &one, &mut open, &mut found).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(reason) => return Lead::Unknown(reason),
            }
        }
        match residents.place(&one.address, TARGETS_ASKED_MAX).await {
            Place::There => found.member(one.address, one.owner),
            Place::Unknown(reason) => return Lead::Unknown(reason),
            Place::Nobody => match unknown_user(residents, &one.address) {
                Some(next) => {
                    found.aliased = true;
                    open.extend(next);
                }
                None => found.broken.push(one.address),
            },
            Place::Behind(ends) => {
                found.aliased = true;
                match residents.aliases.unknown_users() {
                    Some(_) => open.extend(ends.broken.into_iter().map(|address| Open {
                        address,
                        by_address: false,
                        owner: one.owner.clone(),
                    })),
                    None => found.broken.extend(ends.broken),
                }
                found.refusal = found.refusal.take().or(ends.refusal);
                found.discards |= ends.discards;
                for good in ends.good {
                    // The owner of the innermost list receives the bounces.
                    let owner = good.owner.or_else(|| one.owner.clone());
                    if good.open && !found.seen.contains(&good.address.key()) {
                        open.push_back(Open {
                            address: good.address,
                            by_address: true,
                            owner,
                        });
                    } else {
                        found.member(good.address, owner);
                    }
                }
            }
        }
    }
    found.conclude(residents, address)
}

/// Looks in the aliases by address and in the list of moved users; says whether that settled it.
async fn by_address(
    residents: &Residents<'_>,
    one: &Open,
    open: &mut VecDeque<Open>,
    found: &mut Found,
) -> Result<bool, String> {
    let addresses = residents.aliases.addresses();
    let is_local = |domain: &postern_mail::Domain| residents.is_local(domain);
    let expansion = addresses.expand(&one.address, &is_local).await;
    if let Some(expansion) = expansion.map_err(|trouble| trouble.to_string())? {
        found.aliased = true;
        found.refusal = found.refusal.take().or(expansion.refusal);
        found.discards |= expansion.discards;
        let names = expansion.names.iter();
        let names = names.filter_map(|name| Mailbox::new(name, residents.main_domain.clone()).ok());
        for address in expansion.addresses.into_iter().chain(names) {
            open.push_back(Open {
                address,
                by_address: false,
                owner: one.owner.clone(),
            });
        }
        return Ok(true);
    }
    let local = residents.is_local(one.address.domain());
    let moved = addresses.moved(&one.address, local).await;
    let moved = moved.map_err(|trouble| trouble.to_string())?;
    let has_moved = moved.is_some();
    found.refusal = found.refusal.take().or(moved);
    found.aliased |= has_moved;
    Ok(has_moved)
}

/// Where mail for unknown users goes, if set: sendmail's LUSER_RELAY, Postfix's `luser_relay`.
fn unknown_user(residents: &Residents<'_>, address: &Mailbox) -> Option<Vec<Open>> {
    let template = residents.aliases.unknown_users()?;
    if !residents.is_local(address.domain()) {
        return None;
    }
    let key = Key {
        text: String::new(),
        rank: Rank::Domain,
        detail: None,
    };
    let read = goals(template, &key, address, Form::Own, residents.separator, false).ok()?;
    let next: Vec<Open> = read
        .into_iter()
        .filter_map(|goal| match goal {
            Goal::Address(to) => Some(to),
            Goal::Name(name) => Mailbox::new(&name, residents.main_domain.clone()).ok(),
            Goal::Refuse(_) | Goal::Discard => None,
        })
        // It would lead here again.
        .filter(|to| to.key() != address.key())
        .map(|address| Open {
            address,
            by_address: false,
            owner: None,
        })
        .collect();
    (!next.is_empty()).then_some(next)
}

impl Found {
    fn member(&mut self, address: Mailbox, sender: Option<Mailbox>) {
        if self.seen.insert(address.key()) {
            self.members.push(Member { address, sender });
        }
    }

    fn conclude(self, residents: &Residents<'_>, address: &Mailbox) -> Lead {
        if self.aliased {
            self.tell(residents, address);
        }
        match (self.aliased, self.members.is_empty()) {
            (false, false) => Lead::Itself,
            (false, true) => Lead::Nobody,
            (true, false) => Lead::Alias(self.members),
            (true, true) if self.discards => Lead::Alias(vec![Member::new(discarded(address))]),
            (true, true) => match self.refusal {
                Some(text) => Lead::Refused(text),
                None if residents.is_postmaster_here(address) => Lead::Itself,
                None => Lead::Broken,
            },
        }
    }

    /// Targets that match no user are logged once.
    fn tell(&self, residents: &Residents<'_>, alias: &Mailbox) {
        for to in &self.broken {
            if residents.aliases.is_news(&format!("{alias} {to}")) {
                let observers = residents.directories.observers();
                notice!(observers, Directory Warning "none of the alias's targets exists", Alias = shown(alias), To = shown(to));
            }
        }
    }
}
