//! From Postfix's files to a configuration of Postern.

mod access_tables;
mod aliases;
mod asked;
mod directories;
mod domains;
mod filters;
mod fingerprints;
mod limits;
mod listener;
mod listeners;
mod lists;
mod logins;
mod mailboxes;
mod networks;
mod overrides;
mod parameters;
mod pipes;
mod postscreen;
mod restrictions;
mod rewriting;
mod routes;
mod run;
mod services;
mod site;
mod srs;
mod tables;
mod tls;
mod transports;

use std::collections::{BTreeMap, BTreeSet};

use crate::import::Import;
use crate::origin::short;
use crate::{FileError, Files, Origin};

use super::{Layer, MainCf, MasterCf};

use site::Site;

pub use parameters::{ROWS, Special};

/// Imports a site from its `main.cf`, the `master.cf` beside it, and the files that these name.
///
/// # Errors
///
/// `main.cf` cannot be read. All other problems are in the report.
pub fn import(main: &str, files: &dyn Files) -> Result<Import, FileError> {
    let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parameters = MainCf::of(main, &files.read(main)?);
    if parameters.parameter("myhostname").is_none()
        && let Some(name) = machine_name(files)
    {
        parameters.assume("myhostname", &name);
    }
    let path = format!("{folder}/master.cf");
    let services = files
        .read(&path)
        .map(|text| MasterCf::of(&path, &text))
        .unwrap_or_default();
    let mut site = Site {
        files,
        main: &parameters,
        master: &services,
        start: Origin::line(&main.into(), 1),
        import: Import::default(),
        told: BTreeSet::new(),
        copies: BTreeMap::new(),
        looked_through: BTreeMap::new(),
        looked_into: Vec::new(),
        names: BTreeMap::new(),
        networks: Vec::new(),
        lists: Vec::new(),
        asked: BTreeSet::new(),
        lanes: BTreeSet::new(),
        pipes: BTreeSet::new(),
        listeners: Vec::new(),
    };
    main.clone_into(&mut site.import.source);
    carry_over(&mut site);
    Ok(site.import)
}

/// Each part reads what it is about, and says what it has made of it.
fn carry_over(site: &mut Site<'_>) {
    networks::carry_over(site);
    domains::carry_over(site);
    tls::carry_over(site);
    listeners::carry_over(site);
    directories::carry_over(site);
    mailboxes::carry_over(site);
    services::programs(site);
    aliases::carry_over(site);
    rewriting::carry_over(site);
    postscreen::carry_over(site);
    lists::carry_over(site);
    limits::carry_over(site);
    filters::carry_over(site);
    routes::carry_over(site);
    asked::carry_over(site);
    parameters::carry_over(site);
    services::carry_over(site);
    listeners::without_passwords(site);
    site.drop_empty_files();
    site.rest();
}

/// The content of `/etc/hostname`, if that is a full name.
fn machine_name(files: &dyn Files) -> Option<String> {
    let text = files.read("/etc/hostname").ok()?;
    let name = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    name.contains('.').then(|| name.to_owned())
}

#[cfg(test)]
mod tests;
