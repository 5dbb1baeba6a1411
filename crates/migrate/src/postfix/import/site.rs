//! A site as it is imported: what was read, what has been made of it so far, and how it is reported.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Value;
use crate::import::Import;
use crate::origin::short;
use crate::report::Weight;
use crate::settings::path;
use crate::{Files, Origin};

use super::listener::Listener;
use crate::postfix::text::words;
use crate::postfix::{Layer, MainCf, MasterCf};

/// A site being imported.
pub(super) struct Site<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) main: &'a MainCf,
    pub(super) master: &'a MasterCf,
    /// The origin given for things that are written nowhere: the beginning of `main.cf`.
    pub(super) start: Origin,
    pub(super) import: Import,
    /// Parameters of `main.cf` that were reported.
    pub(super) told: BTreeSet<String>,
    /// Copied files: new paths by old paths.
    pub(super) copies: BTreeMap<String, String>,
    /// Tables of results that were processed, and whether anything remains of them.
    pub(super) looked_through: BTreeMap<String, bool>,
    /// Tables being processed: a result may refer to another one.
    pub(super) looked_into: Vec<String>,
    /// How often a rule name was used.
    pub(super) names: BTreeMap<String, u32>,
    /// Networks that may relay.
    pub(super) networks: Vec<String>,
    /// DNS lists, by their names: zone and answers.
    pub(super) lists: Vec<(String, String)>,
    /// Domains whose next hop is asked which recipients exist.
    pub(super) asked: BTreeSet<String>,
    /// Services of `master.cf` that a route or filter uses.
    pub(super) lanes: BTreeSet<String>,
    /// Services that have become a `[[pipe]]`.
    pub(super) pipes: BTreeSet<String>,
    /// The listeners, by name, each with its service in `master.cf`.
    pub(super) listeners: Vec<Listener>,
}

impl<'a> Site<'a> {
    /// `main.cf` as seen by services without overrides.
    pub(super) fn layer(&self) -> Layer<'a> {
        self.main.layer()
    }

    /// A value of `main.cf`, or its default, with references expanded.
    pub(super) fn value(&self, name: &str) -> String {
        self.layer().value(name).trim().to_owned()
    }

    /// The same as a list.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        words(&self.value(name))
    }

    /// Whether `main.cf` sets it.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.main.parameter(name).is_some()
    }

    /// Where it is set; the beginning of the file if it has its default.
    pub(super) fn at(&self, name: &str) -> Origin {
        self.layer().origin(name).unwrap_or(&self.start).clone()
    }

    /// Sets a key of the section with this name because of a parameter, and reports that.
    pub(super) fn set(&mut self, section: &str, key: &str, value: Value, parameter: &str) {
        let comment = self.comment(parameter);
        self.import.config.section(section).set(key, value, comment);
        self.carried(parameter, path(section, key));
    }

    /// Where a value comes from, as a comment.
    pub(super) fn comment(&self, parameter: &str) -> String {
        match self.layer().origin(parameter) {
            Some(at) => format!("{parameter}, {}", short(at)),
            None => format!("{parameter}: Postfix's default"),
        }
    }

    /// Reports that a parameter is carried over. One that is not set is not reported.
    pub(super) fn carried(&mut self, parameter: &str, to: impl Into<String>) {
        if let Some(at) = self.tell(parameter) {
            self.import.carried(&at, parameter, to);
        }
    }

    pub(super) fn changed(&mut self, parameter: &str, to: impl Into<String>, difference: impl Into<String>) {
        if let Some(at) = self.tell(parameter) {
            self.import.changed(&at, parameter, to, difference);
        }
    }

    pub(super) fn meaningless(&mut self, parameter: &str, why: impl Into<String>) {
        if let Some(at) = self.tell(parameter) {
            self.import.meaningless(&at, parameter, why);
        }
    }

    pub(super) fn missing(&mut self, parameter: &str, weight: Weight, remedy: impl Into<String>) {
        if let Some(at) = self.tell(parameter) {
            self.import.missing(&at, parameter, weight, remedy);
        }
    }

    /// Where a parameter of `main.cf` is set; marks it as reported.
    pub(super) fn tell(&mut self, parameter: &str) -> Option<Origin> {
        let at = self.main.parameter(parameter)?.at.clone();
        self.told.insert(parameter.to_owned());
        Some(at)
    }

    /// An unused name for a rule.
    pub(super) fn unique(&mut self, name: &str) -> String {
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
    pub(super) fn below_queue(&self, path: &str) -> String {
        if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", self.value("queue_directory"))
        }
    }

    /// A text of `master.cf` with its references to parameters expanded.
    pub(super) fn written_out(&self, text: &str) -> String {
        self.layer().written_out(text)
    }

    /// Empty tables to which nothing refers are not written.
    pub(super) fn drop_empty_files(&mut self) {
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
    pub(super) fn rest(&mut self) {
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
