//! Whether a login may be used where it is used.

use std::net::IpAddr;

use jiff::Timestamp;
use postern_directory::Account;
use postern_mail::Mailbox;
use postern_policy::scope::{Place, Scope, ScopeRefusal};

use crate::Settings;

/// What separates the detail from the name of an address: only where that is known, in domains of this server. Elsewhere `ann+x` may be
/// somebody else than `ann`.
#[must_use]
pub fn separator_of(mailbox: &Mailbox, settings: &Settings) -> Option<char> {
    let relay = &settings.relay;
    let domain = mailbox.domain();
    let is_ours = relay.is_here(domain) || relay.relay_domains.contains_by_name(domain);
    settings.identity.tag_separator.filter(|_| is_ours)
}

/// Whether an account that was found may log in here, now, and so. `acting` is the account as which it wants to act.
pub(crate) async fn admits(
    account: &Account,
    acting: Option<&Account>,
    settings: &Settings,
    (listener, mechanism, peer): (&str, &str, Option<IpAddr>),
) -> Result<(), ScopeRefusal> {
    let own = account.proof.scope();
    if own.is_none() && settings.scopes.rules.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = std::iter::once(account)
        .chain(acting)
        .map(|account| account.login.as_str())
        .collect();
    let place = Place {
        listener,
        mechanism: Some(mechanism),
        peer,
        now: Timestamp::now(),
    };
    settings
        .scopes
        .about(&names, own.as_deref())
        .await?
        .admits(&place)
}

/// Whether a login may still be used where it was granted.
///
/// # Errors
///
/// What is against it. A table that does not answer is not.
pub(crate) async fn still_admits(
    settings: &Settings,
    names: &[&str],
    own: Option<&Scope>,
    place: &Place<'_>,
) -> Result<(), ScopeRefusal> {
    if own.is_none() && settings.scopes.rules.is_empty() {
        return Ok(());
    }
    match settings.scopes.about(names, own).await {
        Ok(scoped) => scoped.admits(place),
        Err(_) => Ok(()),
    }
}
