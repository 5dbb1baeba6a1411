//! `[[limit]]`: unique names, existing listeners.

use postern_policy::limit::Limit;
use postern_policy::network::NetworkPrefix;

use super::super::milters::names_of_listeners;
use super::super::{Checking, clamp};
use crate::config::file::LimitTable;
use crate::config::read::At;

pub(super) fn check(c: &mut Checking<'_>) -> Vec<Limit> {
    let file = c.file;
    let listeners = names_of_listeners(c);
    let mut limits: Vec<Limit> = Vec::new();
    for table in file.limit.iter() {
        let Some(name) = &table.name else { continue };
        if limits.iter().any(|limit| *limit.name == *name.value) {
            c.problems.error(
                name.span.clone(),
                format!("two limits are named {:?}", name.value),
                "used before",
                "give each its own name",
            );
        }
        for listener in table.listeners.iter().flat_map(|list| &list.value) {
            if !listeners.contains(&listener.value) {
                c.problems.error(
                    listener.span.clone(),
                    format!("there is no listener {:?}", listener.value),
                    "unknown",
                    format!("there are: {}", listeners.join(", ")),
                );
            }
        }
        limits.push(limit(table, &name.value));
    }
    limits
}

fn limit(table: &At<LimitTable>, name: &str) -> Limit {
    Limit {
        name: name.into(),
        listeners: table
            .listeners
            .as_ref()
            .map(|list| list.value.iter().map(|name| name.value.as_str().into()).collect()),
        networks: table
            .networks
            .as_ref()
            .map(|list| list.value.iter().map(|network| network.value).collect()),
        strangers: *table.strangers,
        by_rule: *table.by_rule,
        window: *table.window,
        most: [
            clamp(*table.connections),
            clamp(*table.messages),
            clamp(*table.recipients),
            clamp(*table.logins),
        ],
        sessions: clamp(*table.sessions),
        network: NetworkPrefix {
            v4: clamp(*table.bits_v4),
            v6: clamp(*table.bits_v6),
        },
    }
}
