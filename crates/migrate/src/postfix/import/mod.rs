//! From Postfix's files to a configuration of Postern.

mod access_tables;
mod aliases;
mod asked;
mod directories;
mod domains;
mod filters;
mod fingerprints;
mod limits;
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
mod services;
mod tables;
mod tls;
mod transports;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Value;
use crate::import::Import;
use crate::origin::short;
use crate::report::Weight;
use crate::settings::path;
use crate::{FileError, Files, Origin};

use super::text::words;
use super::{Layer, MainCf, MasterCf};

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
    site.go();
    Ok(site.import)
}

/// The content of `/etc/hostname`, if that is a full name.
fn machine_name(files: &dyn Files) -> Option<String> {
    let text = files.read("/etc/hostname").ok()?;
    let name = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    name.contains('.').then(|| name.to_owned())
}

/// A site being imported.
struct Site<'a> {
    files: &'a dyn Files,
    main: &'a MainCf,
    master: &'a MasterCf,
    /// The origin given for things that are written nowhere: the beginning of `main.cf`.
    start: Origin,
    import: Import,
    /// Parameters of `main.cf` that were reported.
    told: BTreeSet<String>,
    /// Copied files: new paths by old paths.
    copies: BTreeMap<String, String>,
    /// Tables of results that were processed, and whether anything remains of them.
    looked_through: BTreeMap<String, bool>,
    /// Tables being processed: a result may refer to another one.
    looked_into: Vec<String>,
    /// How often a rule name was used.
    names: BTreeMap<String, u32>,
    /// Networks that may relay.
    networks: Vec<String>,
    /// DNS lists, by their names: zone and answers.
    lists: Vec<(String, String)>,
    /// Domains whose next hop is asked which recipients exist.
    asked: BTreeSet<String>,
    /// Services of `master.cf` that a route or filter uses.
    lanes: BTreeSet<String>,
    /// Services that have become a `[[pipe]]`.
    pipes: BTreeSet<String>,
    /// The listeners, by name, each with its service in `master.cf`.
    listeners: Vec<listeners::Listener>,
}

impl<'a> Site<'a> {
    fn go(&mut self) {
        networks::carry_over(self);
        domains::carry_over(self);
        tls::carry_over(self);
        listeners::carry_over(self);
        directories::carry_over(self);
        mailboxes::carry_over(self);
        services::programs(self);
        aliases::carry_over(self);
        rewriting::carry_over(self);
        postscreen::carry_over(self);
        lists::carry_over(self);
        limits::carry_over(self);
        filters::carry_over(self);
        routes::carry_over(self);
        asked::carry_over(self);
        parameters::carry_over(self);
        services::carry_over(self);
        listeners::without_passwords(self);
        self.drop_empty_files();
        self.rest();
    }

    /// `main.cf` as seen by services without overrides.
    fn layer(&self) -> Layer<'a> {
        self.main.layer()
    }

    /// A value of `main.cf`, or its default, with references expanded.
    fn value(&self, name: &str) -> String {
        self.layer().value(name).trim().to_owned()
    }

    /// The same as a list.
    fn words(&self, name: &str) -> Vec<String> {
        words(&self.value(name))
    }

    /// Whether `main.cf` sets it.
    fn is_set(&self, name: &str) -> bool {
        self.main.parameter(name).is_some()
    }

    /// Where it is set; the beginning of the file if it has its default.
    fn at(&self, name: &str) -> Origin {
        self.layer().origin(name).unwrap_or(&self.start).clone()
    }

    /// Sets a key of the section with this name because of a parameter, and reports that.
    fn set(&mut self, section: &str, key: &str, value: Value, parameter: &str) {
        let comment = self.comment(parameter);
        self.import.config.section(section).set(key, value, comment);
        self.carried(parameter, path(section, key));
    }

    /// Where a value comes from, as a comment.
    fn comment(&self, parameter: &str) -> String {
        match self.layer().origin(parameter) {
            Some(at) => format!("{parameter}, {}", short(at)),
            None => format!("{parameter}: Postfix's default"),
        }
    }

    /// Reports that a parameter is carried over. One that is not set is not reported.
    fn carried(&mut self, parameter: &str, to: impl Into<String>) {
        if let Some(at) = self.tell(parameter) {
            self.import.carried(&at, parameter, to);
        }
    }

    fn changed(&mut self, parameter: &str, to: impl Into<String>, difference: impl Into<String>) {
        if let Some(at) = self.tell(parameter) {
            self.import.changed(&at, parameter, to, difference);
        }
    }

    fn meaningless(&mut self, parameter: &str, why: impl Into<String>) {
        if let Some(at) = self.tell(parameter) {
            self.import.meaningless(&at, parameter, why);
        }
    }

    fn missing(&mut self, parameter: &str, weight: Weight, remedy: impl Into<String>) {
        if let Some(at) = self.tell(parameter) {
            self.import.missing(&at, parameter, weight, remedy);
        }
    }

    /// Where a parameter of `main.cf` is set; marks it as reported.
    fn tell(&mut self, parameter: &str) -> Option<Origin> {
        let at = self.main.parameter(parameter)?.at.clone();
        self.told.insert(parameter.to_owned());
        Some(at)
    }

    /// An unused name for a rule.
    fn unique(&mut self, name: &str) -> String {
        let name: String = name.chars().take(58).collect();
        let count = self.names.entry(name.clone()).or_insert(0);
        *count += 1;
        if *count == 1 {
            name
        } else {
            format!("{name} ({count})")
        }
    }

    /// A path in a parameter, which may be relative to the queue folder.
    fn below_queue(&self, path: &str) -> String {
        if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", self.value("queue_directory"))
        }
    }

    /// A text of `master.cf` with its references to parameters expanded.
    fn written_out(&self, text: &str) -> String {
        self.layer().written_out(text)
    }

    /// Empty tables to which nothing refers are not written.
    fn drop_empty_files(&mut self) {
        let config = self.import.config.text("");
        let others: Vec<String> = self.import.files.iter().map(|file| file.text.clone()).collect();
        self.import.files.retain(|file| {
            let has_rows = file
                .text
                .lines()
                .map(str::trim)
                .any(|line| !line.is_empty() && !line.starts_with('#'));
            has_rows || config.contains(&file.path) || others.iter().any(|text| text.contains(&file.path))
        });
    }

    /// What no part of the import handles.
    fn rest(&mut self) {
        for line in self.main.unread() {
            let remedy = "no `name = value`; Postfix takes no notice of it either";
            self.import.missing(&line.at, &line.what, Weight::Detail, remedy);
        }
        for replaced in self.main.replaced() {
            let why = "a later line of the same name counts";
            self.import.meaningless(&replaced.at, &replaced.what, why);
        }
        for line in self.master.unread() {
            let remedy = "no service; look what it was meant for";
            self.import.missing(&line.at, &line.what, Weight::Detail, remedy);
        }
        if self.master.services().is_empty() {
            let remedy =
                "master.cf cannot be read: one listener on port 25 was made; add those for submission";
            self.import
                .missing(&self.start.clone(), "master.cf", Weight::Mail, remedy);
        }
    }
}

#[cfg(test)]
mod tests;
