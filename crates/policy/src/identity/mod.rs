//! The identity of a user: who it may act as, and with which addresses it may send, in the envelope and in the message.
//!
//! One rule applies to all of these. An address may be used because it is the user's own, an alias of it, an address of an
//! account that made the user its delegate, or granted by the administrator to the user or one of its groups. Each verdict names
//! which of these decided; nothing matches by omission.

mod grant;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use postern_mail::{Domain, Lookalike, Mailbox, ParseOptions, ReversePath, lookalikes, mailbox_list};
use serde::Deserialize;

use crate::relay::RelayRules;

pub use grant::{AddressPattern, BadPattern, Grant, LoginPattern};
pub use verdict::{ActAs, Basis, NotActAs, SenderRefusal};

/// Most addresses that are checked in the header fields of one message. No author uses so many, and each may require expanding
/// aliases.
pub const AUTHORS_MAX: usize = 50;

/// Which sender addresses a user may use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SenderRule {
    /// Any address.
    #[default]
    Any,
    /// Only those that its identity covers.
    Own,
}

/// Which sender addresses a machine may use that relays by network or certificate, without authentication.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MachineRule {
    /// Those in domains of this server and below them, if users may use only their own.
    #[default]
    Domains,
    /// Any.
    Any,
}

/// Which aliases count as addresses of their targets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AliasRule {
    /// None.
    Off,
    /// Those whose only target is the user: another name of the same person.
    #[default]
    Sole,
    /// Also those with other targets besides the user, so that each member of a list may send in its name.
    Member,
}

/// What the administrator has configured.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IdentityRules {
    /// Which sender addresses a user may use.
    pub senders: SenderRule,
    /// Which aliases count.
    pub aliases: AliasRule,
    /// The separator between a local part and a tag that its owner may choose freely; `None` without tags.
    pub tag_separator: Option<char>,
    /// What is granted in addition to what the directories say.
    pub grants: Vec<Grant>,
    /// Which sender addresses machines may use.
    pub machines: MachineRule,
    /// Whether it matters who is responsible for an author even if users may use any address, because mail is signed.
    pub signs: bool,
    /// Owners of sender addresses in addition to what directories and grants say.
    pub owners: Option<Owners>,
    /// Which sender addresses strangers may not use.
    pub strangers: StrangerRule,
}

/// Which sender addresses are reserved for authenticated users, so that strangers who bring mail for this server cannot use them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StrangerRule {
    /// None.
    #[default]
    Any,
    /// Those that have owners in [`IdentityRules::owners`].
    Owned,
    /// Those, and all in local domains.
    Domains,
}

/// Who owns which sender addresses, in an external table that must be asked. Its remembered answers count here; the caller has
/// asked before it decides.
pub trait AskedOwners: fmt::Debug + Send + Sync {
    /// Whether a user, by its canonical name, owns an address.
    fn owns(&self, login: &str, address: &Mailbox) -> bool;

    /// Whether anybody does.
    fn is_owned(&self, address: &Mailbox) -> bool;
}

/// The tables of owners.
#[derive(Clone, Debug)]
pub struct Owners(pub Arc<dyn AskedOwners>);

impl PartialEq for Owners {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Owners {}

/// Who sends.
#[derive(Clone, Copy, Debug)]
pub enum Claimant<'a> {
    /// An authenticated user.
    Login(&'a Identity),
    /// A local user.
    Local(&'a Identity),
    /// A machine that relays by network or certificate, with the rules that say which domains are this server's: local and relay
    /// domains.
    Machine(&'a RelayRules),
}

impl<'a> From<&'a Identity> for Claimant<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self::Login(identity)
    }
}

impl<'a> Claimant<'a> {
    /// Whether its addresses are restricted.
    #[must_use]
    pub fn is_judged(self, rules: &IdentityRules) -> bool {
        let free = matches!(self, Self::Machine(_)) && rules.machines == MachineRule::Any;
        rules.senders == SenderRule::Own && !free
    }

    fn covers(
        self,
        mailbox: &Mailbox,
        rules: &'a IdentityRules,
        targets: AliasTargets<'_>,
    ) -> Option<Basis<'a>> {
        match self {
            Self::Login(identity) | Self::Local(identity) => covers(identity, mailbox, rules, targets),
            Self::Machine(relay) => is_ours(mailbox.domain(), relay).then_some(Basis::Domain),
        }
    }

    fn refused(self, field: Option<&'static str>, address: Option<Mailbox>) -> SenderRefusal {
        match (self, field) {
            (Self::Machine(_), field) => SenderRefusal::Machine { field, address },
            (Self::Local(_), field) => SenderRefusal::Local { field, address },
            (Self::Login(_), None) => SenderRefusal::Envelope,
            (Self::Login(_), Some(field)) => SenderRefusal::Header { field, address },
        }
    }
}

/// What directories know about one account.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Identity {
    login: String,
    /// Keys of the addresses that it owns.
    own: HashSet<String>,
    groups: Vec<String>,
    /// User names of the accounts that it is a delegate of.
    owners: Vec<String>,
    /// The keys of their addresses, each with its owner's index in `owners`.
    delegated: HashMap<String, usize>,
}

/// The final targets of an alias; none for an address that is not an alias here.
pub type AliasTargets<'a> = &'a dyn Fn(&Mailbox) -> Vec<Mailbox>;

/// The values of the header fields of a message that say who it is from.
#[derive(Clone, Debug, Default)]
pub struct Claims<'a> {
    /// `From`.
    pub from: Vec<&'a str>,
    /// `Sender`.
    pub sender: Vec<&'a str>,
    /// `Resent-From` and `Resent-Sender`.
    pub resent: Vec<&'a str>,
    /// Whether the message may have more of them than were read.
    pub in_doubt: bool,
}

impl Identity {
    /// An account with its canonical user name, which is an own address if it has the form of one. Invalid addresses belong to
    /// nobody.
    #[must_use]
    pub fn new<A: AsRef<str>>(login: &str, addresses: impl IntoIterator<Item = A>) -> Self {
        let own = addresses
            .into_iter()
            .filter_map(|address| key_of(address.as_ref()));
        Self {
            login: login.to_owned(),
            own: own.chain(key_of(login)).collect(),
            ..Self::default()
        }
    }

    /// Adds the groups that it is in.
    #[must_use]
    pub fn in_groups(mut self, groups: Vec<String>) -> Self {
        self.groups = groups;
        self
    }

    /// Makes it a delegate of this account. If two share an address, the first is named.
    #[must_use]
    pub fn acts_for<A: AsRef<str>>(mut self, owner: &str, addresses: impl IntoIterator<Item = A>) -> Self {
        let place = self.owners.len();
        let keys = addresses
            .into_iter()
            .filter_map(|address| key_of(address.as_ref()));
        for key in keys.chain(key_of(owner)) {
            self.delegated.entry(key).or_insert(place);
        }
        self.owners.push(owner.to_owned());
        self
    }

    /// The canonical user name.
    #[must_use]
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The groups that it is in.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// User names of the accounts that made it their delegate.
    #[must_use]
    pub fn owners(&self) -> &[String] {
        &self.owners
    }

    /// Keys of the addresses that it owns, in order.
    #[must_use]
    pub fn own_addresses(&self) -> Vec<&str> {
        let mut own: Vec<&str> = self.own.iter().map(String::as_str).collect();
        own.sort_unstable();
        own
    }

    fn owns(&self, mailbox: &Mailbox) -> bool {
        self.own.contains(&mailbox.key())
    }

    /// Whether the address is an own one with a tag after its local part.
    fn owns_without_tag(&self, mailbox: &Mailbox, separator: Option<char>) -> bool {
        separator.is_some_and(|separator| {
            let local = mailbox.unquoted_local();
            local
                .split_once(separator)
                .and_then(|(name, _)| Mailbox::new(name, mailbox.domain().clone()).ok())
                .is_some_and(|untagged| self.owns(&untagged))
        })
    }

    fn owns_behind(&self, alias: &Mailbox, rule: AliasRule, targets: AliasTargets<'_>) -> bool {
        if rule == AliasRule::Off {
            return false;
        }
        let ends = targets(alias);
        match rule {
            AliasRule::Off => false,
            AliasRule::Sole => !ends.is_empty() && ends.iter().all(|end| self.owns(end)),
            AliasRule::Member => ends.iter().any(|end| self.owns(end)),
        }
    }
}

/// Decides whether the authenticated `identity` may act as `authzid` (RFC 4422 section 2).
///
/// # Errors
///
/// [`NotActAs`], rule `login.authorization`.
pub fn act_as<'a>(
    identity: &'a Identity,
    authzid: &'a str,
    rules: &'a IdentityRules,
) -> Result<ActAs<'a>, NotActAs> {
    let key = key_of(authzid);
    let is_own = || key.as_ref().is_some_and(|key| identity.own.contains(key));
    if authzid.eq_ignore_ascii_case(&identity.login) || is_own() {
        return Ok(ActAs::Itself);
    }
    let by_login = identity
        .owners
        .iter()
        .find(|owner| owner.eq_ignore_ascii_case(authzid));
    let by_address = || {
        let place = identity.delegated.get(key.as_ref()?)?;
        identity.owners.get(*place)
    };
    if let Some(owner) = by_login.or_else(by_address) {
        return Ok(ActAs::Other {
            login: owner,
            basis: Basis::Delegate(owner),
        });
    }
    let granted = rules.grants.iter().find_map(|grant| {
        let basis = grant.basis(identity)?;
        let allows = grant.act_as.iter().any(|pattern| pattern.holds(authzid));
        allows.then_some(basis)
    });
    granted
        .map(|basis| ActAs::Other {
            login: authzid,
            basis,
        })
        .ok_or(NotActAs)
}

/// Why `identity` may send with this address, if it may.
#[must_use]
pub fn covers<'a>(
    identity: &'a Identity,
    mailbox: &Mailbox,
    rules: &'a IdentityRules,
    targets: AliasTargets<'_>,
) -> Option<Basis<'a>> {
    if identity.owns(mailbox) {
        return Some(Basis::Own);
    }
    if identity.owns_without_tag(mailbox, rules.tag_separator) {
        return Some(Basis::Tag);
    }
    if identity.owns_behind(mailbox, rules.aliases, targets) {
        return Some(Basis::Alias);
    }
    let delegated = identity.delegated.get(&mailbox.key());
    if let Some(owner) = delegated.and_then(|&place| identity.owners.get(place)) {
        return Some(Basis::Delegate(owner));
    }
    let owners = rules.owners.as_ref();
    if owners.is_some_and(|Owners(owners)| owners.owns(&identity.login, mailbox)) {
        return Some(Basis::Table);
    }
    rules.grants.iter().find_map(|grant| {
        let basis = grant.basis(identity)?;
        let allows = grant.addresses.iter().any(|pattern| pattern.holds(mailbox));
        allows.then_some(basis)
    })
}

/// Whether a domain is one of this server's, or below one: machines send with their own names.
fn is_ours(domain: &Domain, relay: &RelayRules) -> bool {
    let Some(mut name) = domain.name() else {
        return false;
    };
    loop {
        let ours = Domain::Name(name.into());
        if relay.local_domains.contains(&ours)
            || relay.alias_domains.contains(&ours)
            || relay.relay_domains.contains(&ours)
        {
            return true;
        }
        let Some((_, above)) = name.split_once('.') else {
            return false;
        };
        name = above;
    }
}

/// Decides whether somebody may send with this sender in the envelope.
///
/// `<>` is always allowed: a user's program uses it for disposition notifications (RFC 8098 section 3).
///
/// # Errors
///
/// [`SenderRefusal::Envelope`], or [`SenderRefusal::Machine`].
pub fn send_as<'a>(
    claimant: impl Into<Claimant<'a>>,
    sender: &ReversePath,
    rules: &'a IdentityRules,
    targets: AliasTargets<'_>,
) -> Result<Basis<'a>, SenderRefusal> {
    let claimant = claimant.into();
    match sender.mailbox() {
        _ if !claimant.is_judged(rules) => Ok(Basis::Any),
        None => Ok(Basis::Null),
        Some(mailbox) => claimant
            .covers(mailbox, rules, targets)
            .ok_or_else(|| claimant.refused(None, Some(mailbox.clone()))),
    }
}

/// Decides whether somebody may send a message that claims to be from these authors.
///
/// All addresses in `From`, `Sender`, `Resent-From` and `Resent-Sender` must be covered: those that a strict reader finds, and
/// whatever looks like one to a lax reader, in a display name, an encoded word, a comment ([`lookalikes`]). More than one `From`
/// or `Sender`, an ambiguous field, and more than [`AUTHORS_MAX`] addresses count as somebody else's, since readers differ in
/// what they show. So does a message of which not everything was read. No field at all is allowed, since the server adds a
/// `From`. The verdict is that of the first address, the one that readers show.
///
/// # Errors
///
/// [`SenderRefusal::Header`], or [`SenderRefusal::Machine`].
pub fn write_as<'a>(
    claimant: impl Into<Claimant<'a>>,
    claims: &Claims<'_>,
    rules: &'a IdentityRules,
    targets: AliasTargets<'_>,
) -> Result<Basis<'a>, SenderRefusal> {
    let claimant = claimant.into();
    if !claimant.is_judged(rules) {
        return Ok(Basis::Any);
    }
    let refusal = |field, address| Err(claimant.refused(Some(field), address));
    if claims.in_doubt {
        return refusal("From", None);
    }
    let mut first = None;
    let mut left = AUTHORS_MAX;
    for (field, values, most) in [
        ("From", &claims.from, 1),
        ("Sender", &claims.sender, 1),
        ("Resent-From", &claims.resent, usize::MAX),
    ] {
        if values.len() > most {
            return refusal(field, None);
        }
        for value in values {
            let (Some(list), Some(seen)) = (mailbox_list(value), lookalikes(value)) else {
                return refusal(field, None);
            };
            // Usually both readers find the same addresses.
            if list.len().max(seen.len()) > left {
                return refusal(field, None);
            }
            left -= list.len().max(seen.len());
            for mailbox in &list {
                match claimant.covers(mailbox, rules, targets) {
                    Some(basis) => first = first.or(Some(basis)),
                    None => return refusal(field, Some(mailbox.clone())),
                }
            }
            let covered = |mailbox: &Mailbox| claimant.covers(mailbox, rules, targets).is_some();
            if let Some(other) = seen.iter().find(|seen| !readings(seen).iter().any(covered)) {
                return refusal(field, readings(other).pop());
            }
        }
    }
    Ok(first.unwrap_or(Basis::Null))
}

/// Why a user is responsible for all authors of a message, if it is, whatever [`SenderRule`] permits: a signature means more than
/// accepting a message. `from` has the values of all `From` fields; without one the author is `sender`, which the server adds.
/// The verdict is that of the first address.
#[must_use]
pub fn answers_for<'a>(
    identity: &'a Identity,
    from: &[&str],
    sender: &ReversePath,
    rules: &'a IdentityRules,
    targets: AliasTargets<'_>,
) -> Option<Basis<'a>> {
    let mut authors = Vec::new();
    for value in from {
        authors.extend(mailbox_list(value)?);
    }
    if from.is_empty() {
        authors.extend(sender.mailbox().cloned());
    }
    if authors.len() > AUTHORS_MAX {
        return None;
    }
    let mut first = None;
    for author in &authors {
        let basis = covers(identity, author, rules, targets)?;
        first = first.or(Some(basis));
    }
    first
}

/// Decides whether a stranger, who has not authenticated and may not relay, may bring mail with this sender for a domain of this
/// server.
///
/// # Errors
///
/// [`SenderRefusal::Login`].
pub fn bring_as(
    sender: &ReversePath,
    rules: &IdentityRules,
    relay: &RelayRules,
) -> Result<(), SenderRefusal> {
    let Some(mailbox) = sender.mailbox() else {
        return Ok(());
    };
    let owners = rules.owners.as_ref();
    let is_owned = || owners.is_some_and(|Owners(owners)| owners.is_owned(mailbox));
    let needs_login = match rules.strangers {
        StrangerRule::Any => false,
        StrangerRule::Owned => is_owned(),
        StrangerRule::Domains => relay.local_domains.contains_by_name(mailbox.domain()) || is_owned(),
    };
    if needs_login {
        Err(SenderRefusal::Login)
    } else {
        Ok(())
    }
}

/// The addresses whose owners [`write_as`] may need to know, at most [`AUTHORS_MAX`] of each kind.
#[must_use]
pub fn claimed(claims: &Claims<'_>) -> Vec<Mailbox> {
    let mut claimed = Vec::new();
    for value in claims.from.iter().chain(&claims.sender).chain(&claims.resent) {
        claimed.extend(
            mailbox_list(value)
                .unwrap_or_default()
                .into_iter()
                .take(AUTHORS_MAX),
        );
        let seen = lookalikes(value).unwrap_or_default();
        claimed.extend(seen.iter().take(AUTHORS_MAX).flat_map(readings));
        if claimed.len() >= 3 * AUTHORS_MAX {
            break;
        }
    }
    claimed
}

/// The addresses that a text may be read as: as written, and without what people put around an address.
fn readings(seen: &Lookalike) -> Vec<Mailbox> {
    let options = ParseOptions {
        utf8: true,
        ..ParseOptions::default()
    };
    // The local part, quoted if necessary.
    let read = |local: &str| {
        let domain = Mailbox::parse(&format!("x@{}", seen.domain), &options).ok()?;
        Mailbox::new(local, domain.domain().clone()).ok()
    };
    [seen.local.as_str(), seen.trimmed()]
        .into_iter()
        .filter_map(read)
        .collect()
}

/// Reads an address in the form for look-ups.
fn key_of(address: &str) -> Option<String> {
    let options = ParseOptions {
        utf8: true,
        ..ParseOptions::default()
    };
    address
        .contains('@')
        .then(|| Mailbox::parse(address, &options).ok())
        .flatten()
        .map(|mailbox| mailbox.key())
}
