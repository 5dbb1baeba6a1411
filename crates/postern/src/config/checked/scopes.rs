//! `[[scope]]`: names that are told apart, entries that can be read, lists that hold something.

use std::sync::Arc;

use jiff::tz::TimeZone;
use postern_directory::tables::Lookup;
use postern_policy::access::names::AddressSet;
use postern_policy::access::times::TimeWindow;
use postern_policy::origin::LoginSet;
use postern_policy::scope::{Hours, Scope};
use postern_receive::scope::{ScopeRule, ScopeSettings};
use postern_table::Reference;

use super::{Checking, tables, values};
use crate::config::file::ScopeTable;
use crate::config::read::At;

/// Most scopes: each may be looked at for each login.
const SCOPES_MAX: usize = 1_000;

/// What logins at the page are called.
const WEB: &str = "web";

/// A list of texts.
type Texts = At<Vec<At<String>>>;

pub(super) fn check(c: &mut Checking<'_>) -> Arc<ScopeSettings> {
    let file = c.file;
    if file.scope.len() > SCOPES_MAX {
        c.problems.error(
            file.scope.last().and_then(|last| last.span.clone()),
            format!("more than {SCOPES_MAX} [[scope]] tables"),
            "each may be looked at for each login",
            "name several users in `logins` of one of them, or a table",
        );
    }
    let mut names: Vec<&str> = Vec::new();
    let mut rules = Vec::new();
    for table in file.scope.iter() {
        let Some(name) = &table.name else { continue };
        if names.contains(&name.as_str()) {
            c.problems.error(
                name.span.clone(),
                format!("two scopes are named {:?}", name.value),
                "used before",
                "give each its own name",
            );
        }
        names.push(&name.value);
        rules.push(rule(table, &name.value, c));
    }
    Arc::new(ScopeSettings { rules })
}

fn rule(table: &At<ScopeTable>, name: &str, c: &mut Checking<'_>) -> ScopeRule {
    let (mut logins, mut login_tables) = (LoginSet::default(), Vec::new());
    if let Some(list) = &table.logins {
        not_empty(list, "logins", "it would apply to no login", c);
        for one in &list.value {
            if Reference::is_meant(&one.value) {
                login_tables.extend(open(one, c));
            } else {
                // Each was read as such before.
                let _ = logins.insert(&one.value);
            }
        }
    }
    let (senders, sender_tables) = addresses(table.senders.as_ref(), "senders", c);
    let (recipients, recipient_tables) = addresses(table.recipients.as_ref(), "recipients", c);
    if let Some(list) = &table.mechanisms {
        not_empty(list, "mechanisms", "the login could not be used at all", c);
    }
    if let Some(list) = &table.networks {
        not_empty(list, "networks", "the login could not be used at all", c);
    }
    let name_of = |mechanism: &At<postern_sasl::Mechanism>| mechanism.value.name().into();
    ScopeRule {
        logins,
        login_tables,
        scope: Scope {
            name: format!("scope {name:?}").into(),
            listeners: listeners(table.listeners.as_ref(), c),
            mechanisms: table
                .mechanisms
                .as_ref()
                .map(|list| list.value.iter().map(name_of).collect()),
            networks: table.networks.as_ref().map(|list| values(&list.value)),
            hours: hours(table, c),
            senders,
            recipients,
        },
        sender_tables,
        recipient_tables,
    }
}

fn not_empty<T>(list: &At<Vec<At<T>>>, key: &str, label: &str, c: &mut Checking<'_>) {
    if list.value.is_empty() {
        c.problems.error(
            list.span.clone(),
            format!("`{key}` of a [[scope]] is empty"),
            label.to_owned(),
            "name some, or leave the key out",
        );
    }
}

/// The names of listeners and sockets, each of which has to be there.
fn listeners(list: Option<&Texts>, c: &mut Checking<'_>) -> Option<Vec<Box<str>>> {
    let list = list?;
    not_empty(list, "listeners", "the login could not be used at all", c);
    let file = c.file;
    let listeners = file.listener.iter().flat_map(|list| &list.value);
    let mut known: Vec<String> = listeners
        .filter_map(|one| match (&one.name, &one.address) {
            (Some(name), _) => Some(name.value.clone()),
            (None, Some(address)) => Some(address.value.to_string()),
            (None, None) => None,
        })
        .collect();
    known.extend(file.auth_socket.iter().filter_map(|one| {
        let name = one.name.as_ref().map(|name| name.value.clone());
        let path = || one.path.as_ref().map(|path| path.value.display().to_string());
        let address = || one.address.as_ref().map(|address| address.value.to_string());
        name.or_else(path).or_else(address)
    }));
    known.extend([postern_receive::HTTP.to_owned(), WEB.to_owned()]);
    for one in &list.value {
        if !known.contains(&one.value) {
            c.problems.error(
                one.span.clone(),
                format!("there is no listener or socket {:?}", one.value),
                "unknown",
                format!("the names are {}", known.join(", ")),
            );
        }
    }
    Some(list.value.iter().map(|one| one.value.as_str().into()).collect())
}

fn hours(table: &At<ScopeTable>, c: &mut Checking<'_>) -> Option<Hours> {
    let zone = match &table.zone {
        None => TimeZone::system(),
        Some(zone) => match TimeZone::get(&zone.value) {
            Ok(found) => found,
            Err(_) => {
                c.problems.error(
                    zone.span.clone(),
                    format!("{:?} is not a time zone that this machine knows", zone.value),
                    "unknown",
                    "write one such as \"Europe/Berlin\"; Debian has them in the package tzdata",
                );
                TimeZone::UTC
            }
        },
    };
    let list = table.hours.as_ref()?;
    not_empty(list, "hours", "the login could not be used at all", c);
    let mut windows = Vec::new();
    for one in &list.value {
        match one.value.parse::<TimeWindow>() {
            Ok(window) => windows.push(window),
            Err(error) => {
                let text = error.to_string();
                let (label, remedy) = text.split_once("; ").unwrap_or((&text, ""));
                c.problems.error(
                    one.span.clone(),
                    format!("{:?} is {label}", one.value),
                    "not understood",
                    remedy.to_owned(),
                );
            }
        }
    }
    Some(Hours { windows, zone })
}

/// Addresses, and tables of them.
fn addresses(list: Option<&Texts>, key: &str, c: &mut Checking<'_>) -> (Option<AddressSet>, Vec<Lookup>) {
    let Some(list) = list else {
        return (None, Vec::new());
    };
    not_empty(list, key, "the login could not send at all", c);
    let (mut set, mut lookups) = (AddressSet::default(), Vec::new());
    for one in &list.value {
        if Reference::is_meant(&one.value) {
            lookups.extend(open(one, c));
        } else if let Err(error) = set.insert(&one.value) {
            let text = error.to_string();
            let (label, remedy) = text.split_once("; ").unwrap_or((&text, ""));
            c.problems.error(
                one.span.clone(),
                label.to_owned(),
                "no address",
                remedy.to_owned(),
            );
        }
    }
    (Some(set), lookups)
}

fn open(written: &At<String>, c: &mut Checking<'_>) -> Option<Lookup> {
    match Reference::parse(&written.value) {
        Ok(reference) => {
            let base = c.base;
            let reference = reference.with_paths(&mut |path| base.join(path));
            tables::open(&reference, written.span.clone(), c)
        }
        Err(error) => {
            c.problems.error(
                written.span.clone(),
                error.to_string(),
                "no table",
                "write for example \"table:NAME\" or \"list:/etc/postern/scanners\"",
            );
            None
        }
    }
}
