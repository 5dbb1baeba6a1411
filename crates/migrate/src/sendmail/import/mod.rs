//! From sendmail's files to a configuration of Postern.

mod access;
mod alias_loops;
mod authinfo;
mod certificates;
mod domains;
mod features;
mod filters;
mod hubs;
mod keys;
mod ldap;
mod limits;
mod listeners;
mod mailboxes;
mod nullclient;
mod options;
mod passwords;
mod rewriting;
mod routes;
mod strangers;

use std::collections::BTreeMap;

use crate::config::{Section, Value};
use crate::import::Import;
use crate::origin::short;
use crate::report::Weight;
use crate::settings::{Goes, path};
use crate::{FileError, Files, Origin};

use super::mc::Mc;

pub use features::{FEATURES, Same};
pub use options::{ROWS, Special};

/// Where sendmail's files are by default.
const FOLDER: &str = "/etc/mail/";

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

/// A site being imported.
struct Site<'a> {
    files: &'a dyn Files,
    mc: &'a Mc,
    import: Import,
    /// Tables and lists that were read, by their paths.
    read: BTreeMap<String, Origin>,
}

impl Site<'_> {
    /// Sets a key of the section with this name, and reports it.
    fn set(&mut self, section: &str, key: &str, value: Value, at: &Origin, what: &str) {
        self.import
            .config
            .section(section)
            .set(key, value, format!("{what}, {}", short(at)));
        self.carried(at, what, path(section, key));
    }

    /// Adds to the list of a key.
    fn extend(&mut self, section: &str, key: &str, more: Vec<String>) {
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
    fn add_rule(&mut self, mut rule: Section) {
        if self.mc.feature("delay_checks").is_none() {
            let why = "sendmail answers there without delay_checks";
            rule.set("at", Value::text("mail"), why);
        } else if rule.get("stranger").is_none() {
            rule.set("login", Value::text("none"), "delay_checks: a login helps");
        }
        self.import.config.add(rule);
    }

    fn carried(&mut self, at: &Origin, what: &str, to: impl Into<String>) {
        self.import.carried(at, what, to);
    }

    fn changed(&mut self, at: &Origin, what: &str, to: impl Into<String>, difference: impl Into<String>) {
        self.import.changed(at, what, to, difference);
    }

    fn meaningless(&mut self, at: &Origin, what: &str, why: impl Into<String>) {
        self.import.meaningless(at, what, why);
    }

    fn missing(&mut self, at: &Origin, what: &str, weight: Weight, remedy: impl Into<String>) {
        self.import.missing(at, what, weight, remedy);
    }

    /// The text of a file named at `at`; a file that cannot be read is reported.
    fn text(&mut self, path: &str, at: &Origin, what: &str) -> Option<String> {
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

    /// Which tables are still read where they are, and in which changes no longer have any effect.
    fn places(&mut self) {
        let config = self.import.config.text("");
        for (path, at) in std::mem::take(&mut self.read) {
            let is_named = ["\"", " ", ":"]
                .iter()
                .any(|end| config.contains(&format!("{path}{end}")));
            let (to, difference) = if is_named {
                (path.clone(), "still read from there: bring it along")
            } else {
                (
                    "postern.toml and the files beside it".to_owned(),
                    "changes in it have no effect any more",
                )
            };
            self.changed(&at, &format!("the file {path}"), to, difference);
        }
    }

    /// What no part of the import handles.
    fn rest(&mut self) {
        for line in self.mc.sections() {
            if domains::is_class(&line.what.line) {
                continue;
            }
            if is_environment(&line.what.line) {
                self.meaningless(
                    &line.at,
                    &line.what.line,
                    "no program of sendmail's runs here that could read it",
                );
                continue;
            }
            let what = format!("{} {}", line.what.name, line.what.line);
            self.missing(
                &line.at,
                what.trim(),
                Weight::Mail,
                "read what this line of sendmail.cf does, and find a setting for it",
            );
        }
        for note in self.mc.notes() {
            self.missing(
                &note.at,
                &note.what,
                Weight::Mail,
                "it was not followed; look what it says",
            );
        }
        for idle in self.mc.idle() {
            self.meaningless(&idle.at, &idle.what.0, idle.what.1);
        }
        self.unread();
        for replaced in self.mc.replaced() {
            self.meaningless(
                &replaced.at,
                &replaced.what,
                "a later line, or the file that it names, says what counts",
            );
        }
    }
}

/// `ESASL_PATH=/usr/lib/sasl2`: a variable of the environment.
fn is_environment(line: &str) -> bool {
    let name = line.strip_prefix('E').and_then(|rest| rest.split_once('='));
    name.is_some_and(|(name, _)| {
        !name.is_empty()
            && name
                .bytes()
                .all(|octet| octet.is_ascii_uppercase() || octet == b'_')
    })
}

/// The report for a line that no part of the import knows.
const UNREAD: &str = "no part of the import has read it: find out what it is for";

impl Site<'_> {
    /// Calls and options that were not reported, which is a bug in the import: they are listed anyway.
    fn unread(&mut self) {
        let mc = self.mc;
        let calls = mc.all_calls().map(|(name, at, arguments)| {
            let what = format!("{name}({})", arguments.first().map_or("", String::as_str));
            (at, what)
        });
        let options = mc.options().map(|(name, value)| (&value.at, name.to_owned()));
        for (at, what) in calls.chain(options) {
            if self.import.report.items().iter().any(|item| item.at == *at) {
                continue;
            }
            match elsewhere(&what) {
                Some(to) => {
                    let why = format!("nothing else of this site uses it; it would be {to}");
                    self.meaningless(at, &what, why);
                }
                None if self.is_repeated(&what) => {
                    self.meaningless(at, &what, "another line of its kind says what counts");
                }
                None => self.missing(at, &what, Weight::Mail, UNREAD),
            }
        }
    }
}

impl Site<'_> {
    /// Whether another call of the same macro was reported.
    fn is_repeated(&self, what: &str) -> bool {
        let Some((name, _)) = what.split_once('(') else {
            return false;
        };
        let items = self.import.report.items();
        items
            .iter()
            .any(|item| item.what.split_once('(').is_some_and(|(other, _)| other == name))
    }
}

/// What a feature or option read by another part becomes, if it is needed.
fn elsewhere(what: &str) -> Option<&'static str> {
    let feature = what
        .strip_prefix("FEATURE(")
        .and_then(|name| name.strip_suffix(')'));
    let features = FEATURES
        .iter()
        .filter(|row| feature == Some(row.name))
        .find_map(|row| match row.goes {
            Goes::Elsewhere(to) => Some(to),
            _ => None,
        });
    let mut options = ROWS.iter().filter(|row| row.name == what);
    features.or_else(|| {
        options.find_map(|row| match row.goes {
            Goes::Elsewhere(to) => Some(to),
            _ => None,
        })
    })
}

/// The path in `hash -o /etc/mail/access.db`, without the suffix that `makemap` adds.
fn table_path(argument: &str, default: &str) -> String {
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
fn active(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let lines = (1..)
        .zip(text.lines())
        .map(|(number, line)| (number, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests;
