//! Whom a login is, as the rules for senders see it: accounts and aliases as facts.

use postern_directory::Account;
use postern_directory::aliases::{Aliases, Target};
use postern_mail::Mailbox;
use postern_policy::identity::Identity;

use crate::settings::Settings;

/// What the directories know of an account.
#[must_use]
pub fn identity_of(account: &Account) -> Identity {
    let mut identity = Identity::new(&account.login, &account.addresses).in_groups(account.groups.clone());
    for owner in &account.acts_for {
        identity = identity.acts_for(&owner.login, &owner.addresses);
    }
    identity
}

/// Where an alias leads in the end; nowhere for an address elsewhere and for what is no alias.
#[must_use]
pub fn alias_targets(address: &Mailbox, aliases: &Aliases, settings: &Settings) -> Vec<Mailbox> {
    let domain = address.domain();
    if *domain != settings.domain && !settings.relay.local_domains.contains(domain) {
        return Vec::new();
    }
    aliases
        .lookup(&address.unquoted_local())
        .unwrap_or_default()
        .into_iter()
        .filter_map(|target| address_of(target, address))
        .collect()
}

/// The address of an alias's target; a local name lives in the domain of the alias.
pub(crate) fn address_of(target: Target, alias: &Mailbox) -> Option<Mailbox> {
    match target {
        Target::Local(name) => Mailbox::new(&name, alias.domain().clone()).ok(),
        Target::Address(mailbox) => Some(mailbox),
    }
}
