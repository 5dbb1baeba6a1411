//! Local domains and domains relayed to.

use std::sync::Arc;

use super::keys::network;
use super::{FOLDER, Site, active};
use crate::config::Value;
use crate::{Located, Origin};

pub(super) fn carry_over(site: &mut Site<'_>) {
    let cw = site.mc.option("confCW_FILE").cloned();
    let uses_cw = site.mc.feature("use_cw_file").map(|(at, _)| at.clone());
    let mut local = words_of(site, "LOCAL_DOMAIN", "local_domains");
    if let Some(at) = cw.as_ref().map(|it| it.at.clone()).or(uses_cw) {
        local.extend(listed(
            site,
            cw.as_ref(),
            "local-host-names",
            &at,
            "local_domains",
        ));
    }
    local.extend(class(site, 'w', "local_domains"));
    // The names of the machine itself are always local.
    if let Some(Value::Text(host)) = site.import.config.section("").get("hostname") {
        local.push(host.clone());
    }
    local.push("localhost".to_owned());
    let mut seen = std::collections::BTreeSet::new();
    local.retain(|domain| seen.insert(domain.to_ascii_lowercase()));
    put(site, "local_domains", local);
    let cr = site.mc.option("confCR_FILE").cloned();
    let mut relayed = words_of(site, "RELAY_DOMAIN", "relay_domains");
    relayed.extend(class(site, 'R', "relay_domains"));
    let default = Origin::line(&Arc::from(format!("{FOLDER}relay-domains")), 1);
    let is_there = cr.is_some() || site.files.read(&default.file).is_ok();
    if is_there {
        let at = cr.as_ref().map_or(default, |it| it.at.clone());
        relayed.extend(listed(site, cr.as_ref(), "relay-domains", &at, "relay_domains"));
    }
    relays(site, relayed);
}

/// Networks in the list may relay; domains include their subdomains, except with `relay_hosts_only`.
fn relays(site: &mut Site<'_>, listed: Vec<String>) {
    let is_exact = site.mc.feature("relay_hosts_only").map(|(at, _)| at.clone());
    if let Some(at) = &is_exact {
        site.carried(
            at,
            "FEATURE(relay_hosts_only)",
            "relay_domains without those below",
        );
    }
    let (mut networks, mut domains) = (Vec::new(), Vec::new());
    for name in listed {
        if let Some(network) = network(&name) {
            networks.push(network);
            continue;
        }
        let below = format!("*.{name}");
        domains.push(name);
        if is_exact.is_none() {
            domains.push(below);
        }
    }
    site.extend("relay", "networks", networks);
    put(site, "relay_domains", domains);
}

fn put(site: &mut Site<'_>, key: &str, domains: Vec<String>) {
    if !domains.is_empty() {
        site.import.config.section("").set(key, Value::list(domains), "");
    }
}

/// Names added to a class by `LOCAL_CONFIG` lines, such as `Cwexample.org`.
fn class(site: &mut Site<'_>, letter: char, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mc = site.mc;
    for line in mc.sections() {
        if let Some(names) = names_of_class(&line.what.line, letter) {
            found.extend(names.split_whitespace().map(str::to_owned));
            site.carried(&line.at, &line.what.line, key);
        }
    }
    found
}

/// What follows `Cw` or `C{w}`.
fn names_of_class(line: &str, letter: char) -> Option<&str> {
    let rest = line.strip_prefix('C')?;
    let braced = format!("{{{letter}}}");
    rest.strip_prefix(letter)
        .or_else(|| rest.strip_prefix(braced.as_str()))
}

/// Whether a line of `sendmail.cf` adds names to a class that is read here.
pub(super) fn is_class(line: &str) -> bool {
    ['w', 'R']
        .iter()
        .any(|letter| names_of_class(line, *letter).is_some())
}

/// The arguments of a macro that lists domains.
fn words_of(site: &mut Site<'_>, name: &'static str, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mc = site.mc;
    for (at, arguments) in mc.calls(name) {
        let words = arguments.iter().flat_map(|argument| argument.split_whitespace());
        found.extend(words.map(str::to_owned));
        site.carried(at, &format!("{name}({})", arguments.join(", ")), key);
    }
    found
}

/// The domains that a file lists.
fn listed(
    site: &mut Site<'_>,
    option: Option<&Located<String>>,
    name: &str,
    at: &Origin,
    key: &str,
) -> Vec<String> {
    let default = format!("{FOLDER}{name}");
    let path = option.and_then(|it| {
        it.what
            .split_whitespace()
            .find(|word| word.starts_with('/'))
            .map(str::to_owned)
    });
    let path = path.unwrap_or(default);
    let may_be_missing = option.is_some_and(|it| it.what.split_whitespace().any(|word| word == "-o"));
    if may_be_missing && site.files.read(&path).is_err() {
        site.meaningless(at, name, format!("{path} is not there, and need not be"));
        return Vec::new();
    }
    let Some(text) = site.text(&path, at, name) else {
        return Vec::new();
    };
    if at.file.as_ref() != path {
        site.carried(at, name, format!("{key}, from {path}"));
    }
    let file: Arc<str> = Arc::from(path);
    let mut found = Vec::new();
    for (number, line) in active(&text) {
        let at = Origin::line(&file, number);
        if key == "relay_domains" && network(line).is_none() {
            let difference = "mail to it is taken from anyone, as before. Hosts of this domain can no longer relay: add their networks to `networks` in [relay].";
            site.changed(&at, line, key, difference);
        } else {
            site.carried(&at, line, key);
        }
        found.push(line.to_owned());
    }
    found
}
