//! From sendmail's files to a configuration of Postern.

mod access;
mod alias_loops;
mod authinfo;
mod certificates;
mod domains;
mod features;
mod filters;
mod hosts;
mod hubs;
mod keys;
mod ldap;
mod leftovers;
mod limits;
mod listeners;
mod mailboxes;
mod nullclient;
mod options;
mod passwords;
mod rewriting;
mod routes;
mod site;
mod strangers;

use std::collections::BTreeMap;

use crate::config::Value;
use crate::import::Import;
use crate::origin::short;
use crate::settings::path;
use crate::{FileError, Files, Origin};

use super::mc::Mc;

use site::{FOLDER, Site, active, table_path};

pub use features::{FEATURES, Same};
pub use options::{ROWS, Special};

/// Imports a site from its `.mc` file and the files to which this refers. If there is none, the `.cf` file next to it is read, or
/// `/etc/sendmail.cf`.
///
/// # Errors
///
/// Neither can be read. All other problems are in the report.
pub fn import(mc: &str, files: &dyn Files) -> Result<Import, FileError> {
    let (path, mc) = source(mc, files)?;
    let mut site = Site {
        files,
        mc: &mc,
        import: Import::default(),
        read: BTreeMap::new(),
    };
    path.clone_into(&mut site.import.source);
    if path.ends_with(".cf") {
        site.changed(
            &Origin::line(&path.as_str().into(), 1),
            &path,
            "the configuration",
            "it was made of a .mc file, which says more: import from that if you have it (--mc). Rules that were changed by hand are not found",
        );
    }
    site.import.config.section("").set(
        "user",
        Value::text("postern"),
        "the account that Postern's package makes",
    );
    options::carry_over(&mut site);
    features::carry_over(&mut site);
    domains::carry_over(&mut site);
    listeners::carry_over(&mut site);
    passwords::carry_over(&mut site);
    mailboxes::carry_over(&mut site);
    routes::carry_over(&mut site);
    rules(&mut site);
    rewriting::carry_over(&mut site);
    nullclient::carry_over(&mut site);
    ldap::carry_over(&mut site);
    filters::carry_over(&mut site);
    own_addresses(&mut site);
    reports(&mut site);
    site.rest();
    site.places();
    Ok(site.import)
}

/// The file from which the site is read.
fn source(mc: &str, files: &dyn Files) -> Result<(String, Mc), FileError> {
    let beside = mc.strip_suffix(".mc").map(|stem| format!("{stem}.cf"));
    let mut result = Mc::read(mc, files).map(|read| (mc.to_owned(), read));
    for cf in beside.into_iter().chain(["/etc/sendmail.cf".to_owned()]) {
        if !matches!(result, Err(FileError::Missing)) {
            break;
        }
        if let Ok(read) = Mc::read(&cf, files) {
            result = Ok((cf, read));
        }
    }
    result
}

/// The access table and what else decides about mail, in sendmail's order: with `delay_checks`, recipients and their friends come
/// first; without it, refusals are sent as early as possible, and a rule on recipients would delay the others.
fn rules(site: &mut Site<'_>) {
    let access = access::read(site);
    let is_delayed = site.mc.feature("delay_checks").is_some();
    if is_delayed {
        access.put_recipients(site);
    }
    access.put_senders(site);
    strangers::senders(site, &access);
    access.put_clients(site);
    strangers::clients(site, &access);
    if !is_delayed {
        access.put_recipients(site);
    }
    limits::carry_over(site, &access);
}

/// The machine itself may always relay: from the loopback interface, and from the addresses on which it listens.
fn own_addresses(site: &mut Site<'_>) {
    let mut own = vec!["127.0.0.1".to_owned(), "::1".to_owned()];
    for listener in site.import.config.sections("listener") {
        if let Some(Value::Text(address)) = listener.get("address")
            && let Some((host, _)) = address.rsplit_once(':')
        {
            let host = host.trim_matches(['[', ']']);
            if host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|it| !it.is_unspecified())
            {
                own.push(host.to_owned());
            }
        }
    }
    let holds = |network: &String, one: &str| {
        let network: Option<ipnet::IpNet> = network.parse().ok();
        network.is_some_and(|network| {
            one.parse()
                .is_ok_and(|one: std::net::IpAddr| network.contains(&one))
        })
    };
    if let Some(Value::List(known)) = site.import.config.section("relay").get("networks") {
        own.retain(|one| !known.iter().any(|network| holds(network, one)));
    }
    site.extend("relay", "networks", own);
}

/// Who is notified of lost bounces, as a full address.
fn reports(site: &mut Site<'_>) {
    let Some(Value::Text(host)) = site.import.config.section("").get("hostname").cloned() else {
        return;
    };
    let delivery = site.import.config.section("delivery");
    if let Some(Value::Text(name)) = delivery.get("double_bounce_to").cloned()
        && !name.is_empty()
        && !name.contains('@')
    {
        let whole = Value::text(format!("{name}@{host}"));
        delivery.set("double_bounce_to", whole, "confDOUBLE_BOUNCE_ADDRESS");
    }
}

#[cfg(test)]
mod tests;
