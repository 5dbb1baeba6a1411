//! `[identity]`: grants with a grantee and something granted.

use std::sync::Arc;

use postern_directory::tables::OwnerTables;
use postern_policy::identity::{Grant, IdentityRules, Owners, SenderRule, StrangerRule};

use super::{Checking, tables, values};
use crate::config::file::GrantTable;
use crate::config::read::At;

/// The rules, and the tables of owners that they use.
pub(super) fn check(c: &mut Checking<'_>) -> (IdentityRules, Option<Arc<OwnerTables>>) {
    let written = &c.file.identity;
    let senders = *c.file.relay.senders;
    let mut names: Vec<&str> = Vec::new();
    for grant in &written.grant.value {
        check_grant(grant, senders, c);
        let Some(name) = &grant.name else { continue };
        if names.contains(&name.value.as_str()) {
            c.problems.warning(
                name.span.clone(),
                format!("two grants are named {:?}", name.value),
                "the log cannot tell them apart",
                "give each its own name",
            );
        }
        names.push(&name.value);
    }
    let tables = tables::open_all(&written.owners.value, c);
    let owners = (!tables.is_empty()).then(|| Arc::new(OwnerTables::new(tables, *written.tag_separator)));
    if owners.is_some() && senders == SenderRule::Any && *written.strangers == StrangerRule::Any {
        c.problems.warning(
            written.owners.span.clone(),
            "tables of owners have no effect",
            "every login may use any address",
            "set `senders = \"own\"` in [relay], or `strangers = \"owned\"` in [identity]",
        );
    }
    let rules = IdentityRules {
        owners: owners.clone().map(|owners| Owners(owners)),
        strangers: *written.strangers,
        senders,
        aliases: *written.aliases,
        tag_separator: *written.tag_separator,
        grants: written.grant.value.iter().map(grant).collect(),
        machines: *c.file.relay.machine_senders,
        signs: !c.file.dkim.value.is_empty(),
    };
    (rules, owners)
}

fn grant(written: &At<GrantTable>) -> Grant {
    Grant {
        name: written
            .name
            .as_ref()
            .map(|name| name.value.clone())
            .unwrap_or_default(),
        logins: values(&written.logins),
        groups: values(&written.groups),
        addresses: values(&written.addresses),
        act_as: values(&written.act_as),
    }
}

fn check_grant(grant: &At<GrantTable>, senders: SenderRule, c: &mut Checking<'_>) {
    if grant.logins.is_empty() && grant.groups.is_empty() {
        c.problems.error(
            grant.span.clone(),
            "a grant without users",
            "neither `logins` nor `groups`",
            "add for example `logins = [\"acaird\"]`",
        );
    }
    if grant.addresses.is_empty() && grant.act_as.is_empty() {
        c.problems.error(
            grant.span.clone(),
            "a grant without permissions",
            "neither `addresses` nor `act_as`",
            "add for example `addresses = [\"sales@example.org\"]`",
        );
    }
    let unsigned = c.file.dkim.value.is_empty();
    if !grant.addresses.is_empty() && grant.act_as.is_empty() && senders == SenderRule::Any && unsigned {
        c.problems.warning(
            grant.addresses.span.clone(),
            "a grant of addresses has no effect",
            "every login may use any address, and no mail is signed",
            "set `senders = \"own\"` in [relay], or remove the grant",
        );
    }
}
