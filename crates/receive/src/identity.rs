//! Who an authenticated user is, for the sender rules: accounts and aliases as facts.

use futures_util::FutureExt as _;
use postern_directory::Account;
use postern_directory::aliases::{Aliases, Target};
use postern_mail::{Domain, Mailbox};
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

/// The final targets of an alias; none for a remote address or one that is not an alias.
///
/// Aliases by address count if they can be looked up at once: those in the configuration and in files, not those in a database.
#[must_use]
pub fn alias_targets(address: &Mailbox, aliases: &Aliases, settings: &Settings) -> Vec<Mailbox> {
    let addresses = aliases.addresses();
    if !addresses.is_empty() {
        let local = &settings.relay.local_domains;
        let is_local = |domain: &Domain| local.contains_by_name(domain);
        if let Some(Ok(Some(expansion))) = addresses.expand(address, &is_local).now_or_never() {
            let main = settings.main_domain();
            let names = expansion.names.iter();
            let names = names.filter_map(|name| Mailbox::new(name, main.clone()).ok());
            let ends = expansion.addresses.into_iter().chain(names);
            return ends.flat_map(|end| in_file(end, aliases, settings)).collect();
        }
    }
    targets_in_file(address, aliases, settings)
}

/// An address, or its targets if it is an alias in the file.
fn in_file(address: Mailbox, aliases: &Aliases, settings: &Settings) -> Vec<Mailbox> {
    let targets = targets_in_file(&address, aliases, settings);
    if targets.is_empty() {
        vec![address]
    } else {
        targets
    }
}

fn targets_in_file(address: &Mailbox, aliases: &Aliases, settings: &Settings) -> Vec<Mailbox> {
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

/// The address of an alias's target; a local name gets the domain of the alias.
pub(crate) fn address_of(target: Target, alias: &Mailbox) -> Option<Mailbox> {
    match target {
        Target::Local(name) => Mailbox::new(&name, alias.domain().clone()).ok(),
        Target::Address(mailbox) => Some(mailbox),
        Target::Discard | Target::Refused(_) => None,
    }
}
