//! A site as it is imported: what was read, what has been made of it so far, and how it is reported.

use std::collections::BTreeMap;

use crate::config::{Section, Value};
use crate::import::Import;
use crate::origin::short;
use crate::report::Weight;
use crate::sendmail::mc::Mc;
use crate::settings::path;
use crate::{Files, Origin};

/// Where sendmail's files are by default.
pub(super) const FOLDER: &str = "/etc/mail/";

/// A site being imported.
pub(super) struct Site<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) mc: &'a Mc,
    pub(super) import: Import,
    /// Tables and lists that were read, by their paths.
    pub(super) read: BTreeMap<String, Origin>,
}

impl Site<'_> {
    /// Sets a key of the section with this name, and reports it.
    pub(super) fn set(&mut self, section: &str, key: &str, value: Value, at: &Origin, what: &str) {
        self.import
            .config
            .section(section)
            .set(key, value, format!("{what}, {}", short(at)));
        self.carried(at, what, path(section, key));
    }

    /// Adds to the list of a key.
    pub(super) fn extend(&mut self, section: &str, key: &str, more: Vec<String>) {
        if more.is_empty() {
            return;
        }
        let section = self.import.config.section(section);
        let mut list = match section.get(key) {
            Some(Value::List(list)) => list.clone(),
            _ => Vec::new(),
        };
        for one in more {
            if !list.contains(&one) {
                list.push(one);
            }
        }
        section.set(key, Value::list(list), "");
    }

    /// Adds an access rule on senders or clients: it is judged at `MAIL`, as sendmail does, or with `delay_checks` at `RCPT`, and
    /// then not for authenticated users.
    pub(super) fn add_rule(&mut self, mut rule: Section) {
        if self.mc.feature("delay_checks").is_none() {
            let why = "sendmail answers there without delay_checks";
            rule.set("at", Value::text("mail"), why);
        } else if rule.get("stranger").is_none() {
            rule.set("login", Value::text("none"), "delay_checks: a login helps");
        }
        self.import.config.add(rule);
    }

    pub(super) fn carried(&mut self, at: &Origin, what: &str, to: impl Into<String>) {
        self.import.carried(at, what, to);
    }

    pub(super) fn changed(
        &mut self,
        at: &Origin,
        what: &str,
        to: impl Into<String>,
        difference: impl Into<String>,
    ) {
        self.import.changed(at, what, to, difference);
    }

    pub(super) fn meaningless(&mut self, at: &Origin, what: &str, why: impl Into<String>) {
        self.import.meaningless(at, what, why);
    }

    pub(super) fn missing(&mut self, at: &Origin, what: &str, weight: Weight, remedy: impl Into<String>) {
        self.import.missing(at, what, weight, remedy);
    }

    /// The text of a file named at `at`; a file that cannot be read is reported.
    pub(super) fn text(&mut self, path: &str, at: &Origin, what: &str) -> Option<String> {
        if path.to_ascii_lowercase().starts_with("ldap") {
            let remedy = "it lies in LDAP: a [[table]] with `kind = \"ldap\"` can stand in place of the file";
            self.missing(at, what, Weight::Mail, remedy);
            return None;
        }
        match self.files.read(path) {
            Ok(text) => {
                self.read.entry(path.to_owned()).or_insert_with(|| at.clone());
                Some(text)
            }
            Err(problem) => {
                self.missing(
                    at,
                    what,
                    Weight::Mail,
                    format!("{path}: {problem}; import again when it can be read"),
                );
                None
            }
        }
    }

    /// Whether another call of the same macro was reported.
    pub(super) fn is_repeated(&self, what: &str) -> bool {
        let Some((name, _)) = what.split_once('(') else {
            return false;
        };
        let items = self.import.report.items();
        items
            .iter()
            .any(|item| item.what.split_once('(').is_some_and(|(other, _)| other == name))
    }
}

/// The path in `hash -o /etc/mail/access.db`, without the suffix that `makemap` adds.
pub(super) fn table_path(argument: &str, default: &str) -> String {
    if argument.trim().to_ascii_lowercase().starts_with("ldap") {
        return argument.trim().to_owned();
    }
    let path = argument
        .split_whitespace()
        .rev()
        .find(|word| word.starts_with('/'));
    let path = path.map_or_else(|| format!("{FOLDER}{default}"), str::to_owned);
    path.strip_suffix(".db").map(str::to_owned).unwrap_or(path)
}

/// The significant lines of a table or list: number and text.
pub(super) fn active(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let lines = (1..)
        .zip(text.lines())
        .map(|(number, line)| (number, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}
