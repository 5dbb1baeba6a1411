//! Which domains are local, which are relayed to, and whose recipients are known.

use super::super::text::words;
use super::Site;
use super::tables::{Behind, Reference};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;

pub(super) fn carry_over(site: &mut Site<'_>) {
    hostname(site);
    origin(site);
    let local = listed(site, "mydestination", false);
    put(site, "local_domains", local, "mydestination");
    site.carried("mydestination", "local_domains");
    if !site.value("virtual_mailbox_domains").is_empty() && site.is_set("virtual_mailbox_domains") {
        let domains = listed(site, "virtual_mailbox_domains", false);
        put(site, "local_domains", domains, "virtual_mailbox_domains");
        site.carried("virtual_mailbox_domains", "local_domains");
    }
    relayed(site);
    alias_domains(site);
}

fn hostname(site: &mut Site<'_>) {
    let name = site.value("myhostname");
    if name.contains('.') {
        site.set("", "hostname", Value::text(name), "myhostname");
    } else {
        let remedy = "Not known: set `hostname` at the top of postern.toml, or `postern check` fails.";
        site.missing("myhostname", Weight::Mail, remedy);
        if !site.is_set("myhostname") {
            site.import
                .missing(&site.start.clone(), "the machine's name", Weight::Mail, remedy);
        }
    }
    site.import.config.section("").set(
        "user",
        Value::text("postern"),
        "the account of the server: `adduser --system --group postern`",
    );
    site.meaningless("mydomain", "a name that other lines use");
}

/// `myorigin`, which may be a file, whose first line counts.
fn origin(site: &mut Site<'_>) {
    let Some(name) = origin_of(site) else { return };
    if name != site.value("myhostname") {
        site.set("", "origin", Value::text(name), "myorigin");
    } else {
        site.carried("myorigin", "hostname");
    }
}

/// The domain of addresses without one.
pub(super) fn origin_of(site: &mut Site<'_>) -> Option<String> {
    let value = site.value("myorigin");
    if !value.starts_with('/') {
        return value.contains('.').then_some(value);
    }
    let at = site.at("myorigin");
    let text = site.text(&value, &at, "myorigin")?;
    let name = text.lines().next().unwrap_or_default().trim().to_owned();
    if !site.told.contains("myorigin") {
        site.import
            .carried(&Origin::line(&value.as_str().into(), 1), &name, "origin");
    }
    name.contains('.').then_some(name)
}

/// Whether a parameter's domains include their subdomains.
fn is_whole_tree(site: &Site<'_>, parameter: &str) -> bool {
    let default = "debug_peer_list,fast_flush_domains,mynetworks,permit_mx_backup_domains,qmqpd_authorized_clients,relay_domains,smtpd_access_maps";
    let list = if site.is_set("parent_domain_matches_subdomains") {
        site.words("parent_domain_matches_subdomains")
    } else {
        words(default)
    };
    list.iter().any(|name| name == parameter)
}

fn relayed(site: &mut Site<'_>) {
    let whole = is_whole_tree(site, "relay_domains");
    site.carried("parent_domain_matches_subdomains", "relay_domains");
    let own = site.value("mydestination");
    let is_default = site.value("relay_domains") == own;
    if is_default {
        site.meaningless("relay_domains", "they are those of mydestination");
    } else {
        let domains = listed(site, "relay_domains", whole);
        put(site, "relay_domains", domains, "relay_domains");
        site.carried("relay_domains", "relay_domains");
    }
}

/// Domains that have only virtual aliases: those of `virtual_alias_domains`, or keys without `@` in the maps.
fn alias_domains(site: &mut Site<'_>) {
    if site.is_set("virtual_alias_domains") {
        let domains = listed(site, "virtual_alias_domains", false);
        put(site, "alias_domains", domains, "virtual_alias_domains");
        site.carried("virtual_alias_domains", "alias_domains");
        return;
    }
    let at = site.at("virtual_alias_maps");
    let mut domains = Vec::new();
    for word in site.words("virtual_alias_maps") {
        let Some(table) = Reference::of(&word).filter(|table| table.behind() != Behind::Patterns) else {
            continue;
        };
        for entry in site.entries(&table, &at).unwrap_or_default() {
            if is_domain(&entry.key) {
                domains.push(entry.key);
            }
        }
    }
    put(site, "alias_domains", domains, "virtual_alias_maps");
}

/// Whether a key of a table of aliases is the name of a domain.
fn is_domain(key: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.');
    key.contains('.') && !key.starts_with('.') && key.chars().all(is_letter)
}

fn put(site: &mut Site<'_>, key: &str, domains: Vec<String>, parameter: &str) {
    if domains.is_empty() {
        return;
    }
    let mut all = match site.import.config.section("").get(key) {
        Some(Value::List(known)) => known.clone(),
        _ => Vec::new(),
    };
    all.extend(domains);
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|domain| seen.insert(domain.to_ascii_lowercase()));
    let comment = site.comment(parameter);
    site.import.config.section("").set(key, Value::List(all), comment);
}

/// The domains of a list: names, files with names, and tables.
fn listed(site: &mut Site<'_>, parameter: &str, whole: bool) -> Vec<String> {
    let at = site.at(parameter);
    let mut domains = Vec::new();
    for word in site.words(parameter) {
        if word.starts_with('/') {
            let Some(text) = site.text(&word, &at, parameter) else {
                continue;
            };
            for line in super::super::text::logical_lines(&word, &text) {
                site.import.carried(&line.at, &line.what, parameter);
                for word in words(&line.what) {
                    push(&mut domains, &word, whole);
                }
            }
        } else if let Some(table) = Reference::of(&word) {
            domains.extend(from_table(site, &table, &word, &at, parameter, whole));
        } else if word.starts_with('!') || word.starts_with('$') {
            let remedy = "leave the domain out of the list by hand";
            let what = format!("{parameter}: {word}");
            site.import.missing(&at, &what, Weight::Mail, remedy);
        } else {
            push(&mut domains, &word, whole);
        }
    }
    domains
}

/// Most domains written in the list itself; more stay in a table.
const WRITTEN_MAX: usize = 20;

fn from_table(
    site: &mut Site<'_>,
    table: &Reference,
    word: &str,
    at: &Origin,
    parameter: &str,
    whole: bool,
) -> Vec<String> {
    let entries = match table.behind() {
        Behind::Keys => site.entries(table, at),
        Behind::Itself => site.entries(table, at),
        _ => None,
    };
    match entries {
        Some(entries) if entries.len() <= WRITTEN_MAX => {
            let mut domains = Vec::new();
            for entry in entries {
                site.import.carried(&entry.at, &entry.key, parameter);
                push(&mut domains, &entry.key, whole);
            }
            domains
        }
        _ => site.table(word, at, parameter).into_iter().collect(),
    }
}

fn push(domains: &mut Vec<String>, name: &str, whole: bool) {
    let name = name.trim_matches(['[', ']']);
    match name.strip_prefix('.') {
        Some(below) => domains.push(format!("*.{below}")),
        None => {
            domains.push(name.to_owned());
            if whole {
                domains.push(format!("*.{name}"));
            }
        }
    }
}

/// A directory that knows recipients from tables, but no passwords.
pub(super) fn known_by(site: &mut Site<'_>, parameter: &str) {
    let tables = site.tables(parameter);
    if tables.is_empty() {
        return;
    }
    let mut directory = Section::new("directory", site.comment(parameter));
    directory.set("kind", Value::text("table"), "");
    directory.set("recipients", Value::list(tables), "");
    site.import.config.add(directory);
    site.carried(parameter, "[[directory]] kind = \"table\"");
}
