//! Masquerading, generic addresses, other names of domains, and users of virtual domains.

use std::sync::Arc;

use super::{Site, active, short, table_path};
use crate::Origin;
use crate::config::{Section, Value};
use crate::import::OutputFile;
use crate::report::Weight;

/// The table made from a domaintable.
const DOMAINS: &str = "tables/domains";

pub(super) fn carry_over(site: &mut Site<'_>) {
    virtual_users(site);
    domain_table(site);
    generics(site);
    masquerade(site);
}

fn rule(name: &str, comment: String, classes: &[&str]) -> Section {
    let mut rule = Section::new("rewrite", comment);
    rule.set("name", Value::text(name), "");
    rule.set("classes", Value::list(classes.iter().copied()), "");
    rule
}

/// The arguments of macros that list domains or users, and the lines of files that other macros
/// name.
fn listed(site: &mut Site<'_>, names: &[&'static str], files: &[&'static str], to: &str) -> Vec<String> {
    let mc = site.mc;
    let mut found = Vec::new();
    for name in names {
        for (at, arguments) in mc.calls(name) {
            let words = arguments.iter().flat_map(|argument| argument.split_whitespace());
            found.extend(words.map(str::to_owned));
            site.carried(at, &format!("{name}({})", arguments.join(", ")), to);
        }
    }
    for name in files {
        for (at, arguments) in mc.calls(name) {
            let path = arguments.first().map_or("", String::as_str);
            let path = path
                .split_whitespace()
                .find(|word| word.starts_with('/'))
                .unwrap_or(path);
            let what = format!("{name}({path})");
            let Some(text) = site.text(path, at, &what) else {
                continue;
            };
            site.carried(at, &what, to);
            let file: Arc<str> = Arc::from(path);
            for (number, line) in active(&text) {
                site.carried(&Origin::line(&file, number), line, to);
                found.push(line.to_owned());
            }
        }
    }
    found
}

/// This server's domains, from its lists and its name.
fn own(site: &mut Site<'_>) -> Vec<String> {
    let top = site.import.config.section("");
    let mut domains = match top.get("local_domains") {
        Some(Value::List(domains)) => domains.clone(),
        _ => Vec::new(),
    };
    if let Some(Value::Text(hostname)) = top.get("hostname")
        && !domains.contains(hostname)
    {
        domains.push(hostname.clone());
    }
    domains
}

fn masquerade(site: &mut Site<'_>) {
    let mc = site.mc;
    let as_name = mc.calls("MASQUERADE_AS").last();
    let more = listed(
        site,
        &["MASQUERADE_DOMAIN"],
        &["MASQUERADE_DOMAIN_FILE"],
        "[[rewrite]] domains",
    );
    let exposed = listed(
        site,
        &["EXPOSED_USER"],
        &["EXPOSED_USER_FILE"],
        "[[rewrite]] exceptions",
    );
    let except = listed(
        site,
        &["MASQUERADE_EXCEPTION"],
        &["MASQUERADE_EXCEPTION_FILE"],
        "[[rewrite]] exceptions",
    );
    let has = |name| mc.feature(name).is_some();
    let mut classes = vec!["header_sender"];
    if has("masquerade_envelope") {
        classes.push("envelope_sender");
    }
    if has("allmasquerade") {
        classes.push("header_recipient");
    }
    for name in [
        "masquerade_envelope",
        "allmasquerade",
        "limited_masquerade",
        "masquerade_entire_domain",
    ] {
        if let Some((at, _)) = mc.feature(name) {
            site.carried(at, &format!("FEATURE({name})"), "[[rewrite]]");
        }
    }
    let Some((at, arguments)) = as_name else { return };
    let name = arguments.first().map_or("", |name| name.trim());
    let what = format!("MASQUERADE_AS({name})");
    if name.is_empty() {
        site.meaningless(at, &what, "it is empty");
        return;
    }
    let mut domains = if has("limited_masquerade") {
        Vec::new()
    } else {
        own(site)
    };
    domains.retain(|domain| domain != name);
    for domain in more {
        if has("masquerade_entire_domain") {
            domains.push(format!("*.{domain}"));
        }
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    let top = site.import.config.section("");
    top.set(
        "origin",
        Value::text(name),
        format!("MASQUERADE_AS, {}", short(at)),
    );
    let difference = "addresses are rewritten in mail of clients that may relay, of users and of this machine; sendmail rewrote those of \
        strangers too, so their mail seemed to come from your domain.";
    site.changed(at, &what, "[[rewrite]] masquerade", difference);
    if domains.is_empty() {
        return;
    }
    let mut rule = rule("masquerade", format!("MASQUERADE_AS, {}", short(at)), &classes);
    rule.set("masquerade_as", Value::text(name), "");
    rule.set("domains", Value::list(domains), "");
    let mut exceptions: Vec<String> = exposed.into_iter().map(|user| format!("{user}@")).collect();
    for host in except {
        if has("masquerade_entire_domain") {
            exceptions.push(format!(".{host}"));
        }
        exceptions.push(format!("@{host}"));
    }
    if !exceptions.is_empty() {
        rule.set(
            "exceptions",
            Value::list(exceptions),
            "EXPOSED_USER, MASQUERADE_EXCEPTION",
        );
    }
    site.import.config.add(rule);
}

fn generics(site: &mut Site<'_>) {
    let mc = site.mc;
    let mut domains = listed(
        site,
        &["GENERICS_DOMAIN"],
        &["GENERICS_DOMAIN_FILE"],
        "[[rewrite]] domains",
    );
    let entire = mc.feature("generics_entire_domain");
    if let Some((at, _)) = entire {
        site.carried(at, "FEATURE(generics_entire_domain)", "[[rewrite]] domains");
        let below: Vec<String> = domains.iter().map(|domain| format!("*.{domain}")).collect();
        domains.extend(below);
    }
    let Some((at, arguments)) = mc.feature("genericstable") else {
        return;
    };
    let path = table_path(arguments.first().map_or("", String::as_str), "genericstable");
    let Some(text) = site.text(&path, at, "FEATURE(genericstable)") else {
        return;
    };
    let file: Arc<str> = Arc::from(path.as_str());
    for (number, line) in active(&text) {
        site.carried(&Origin::line(&file, number), line, "[[rewrite]] table");
    }
    let mut rule = rule(
        "generic addresses",
        format!("FEATURE(genericstable), {}", short(at)),
        &["envelope_sender", "header_sender"],
    );
    if domains.is_empty() {
        domains = own(site);
    }
    rule.set("domains", Value::list(domains), "GENERICS_DOMAIN");
    rule.set("table", Value::text(format!("sendmail:{path}")), "");
    site.import.config.add(rule);
    site.carried(at, "FEATURE(genericstable)", "[[rewrite]] table");
}

/// Old names of domains become new ones, in envelope and header, for all senders.
fn domain_table(site: &mut Site<'_>) {
    let Some((at, arguments)) = site.mc.feature("domaintable") else {
        return;
    };
    let path = table_path(arguments.first().map_or("", String::as_str), "domaintable");
    let Some(text) = site.text(&path, at, "FEATURE(domaintable)") else {
        return;
    };
    let is_private = site.files.is_private(&path);
    let file: Arc<str> = Arc::from(path);
    let mut table = String::new();
    for (number, line) in active(&text) {
        let at = Origin::line(&file, number);
        match line.split_once(char::is_whitespace) {
            Some((old, new)) => {
                also_here(site, old, new.trim());
                table.push_str(&format!("@{old}\t@{}\n", new.trim()));
                site.carried(&at, line, format!("[[rewrite]], in {DOMAINS}"));
            }
            None => site.missing(&at, line, Weight::Mail, "a line without a new name"),
        }
    }
    let classes = [
        "envelope_sender",
        "envelope_recipient",
        "header_sender",
        "header_recipient",
    ];
    let mut rule = rule(
        "new names of domains",
        format!("FEATURE(domaintable), {}", short(at)),
        &classes,
    );
    rule.set("clients", Value::list(["all"]), "");
    rule.set("table", Value::text(format!("hash:{DOMAINS}")), "");
    site.import.config.add(rule);
    site.import.files.push(OutputFile {
        path: DOMAINS.to_owned(),
        text: table,
        secret: is_private,
    });
    let difference = "old names in mail of others that bears a signature stay in its header";
    site.changed(
        at,
        "FEATURE(domaintable)",
        "[[rewrite]] new names of domains",
        difference,
    );
}

/// Mail for an old name is accepted if mail for the new one is.
fn also_here(site: &mut Site<'_>, old: &str, new: &str) {
    for key in ["local_domains", "relay_domains", "alias_domains"] {
        let holds_it = match site.import.config.section("").get(key) {
            Some(Value::List(domains)) => domains.iter().any(|domain| domain.eq_ignore_ascii_case(new)),
            _ => false,
        };
        if holds_it {
            site.extend("", key, vec![old.to_owned()]);
            return;
        }
    }
}

/// `virtusertable`, for local domains and those of `VIRTUSER_DOMAIN`.
fn virtual_users(site: &mut Site<'_>) {
    let mc = site.mc;
    let domains = listed(
        site,
        &["VIRTUSER_DOMAIN"],
        &["VIRTUSER_DOMAIN_FILE"],
        "alias_domains",
    );
    let mut known = own(site);
    known.extend(domains.iter().cloned());
    let entire = mc.feature("virtuser_entire_domain").is_some();
    if !domains.is_empty() {
        let below = domains
            .iter()
            .filter(|_| entire)
            .map(|domain| format!("*.{domain}"));
        let domains: Vec<String> = domains.iter().cloned().chain(below).collect();
        site.import
            .config
            .section("")
            .set("alias_domains", Value::list(domains), "VIRTUSER_DOMAIN");
    }
    let Some((at, arguments)) = mc.feature("virtusertable") else {
        return;
    };
    let path = table_path(arguments.first().map_or("", String::as_str), "virtusertable");
    let Some(text) = site.text(&path, at, "FEATURE(virtusertable)") else {
        return;
    };
    let file: Arc<str> = Arc::from(path.as_str());
    let (mut kept, mut left_out) = (String::new(), 0);
    for (number, line) in active(&text) {
        let at = Origin::line(&file, number);
        let key = line.split_whitespace().next().unwrap_or_default();
        let domain = key.rsplit_once('@').map_or("", |(_, domain)| domain);
        let is_known = known.iter().any(|known| {
            known.eq_ignore_ascii_case(domain)
                || (entire
                    && domain
                        .to_ascii_lowercase()
                        .ends_with(&format!(".{}", known.to_ascii_lowercase())))
        });
        if is_known {
            kept.push_str(line);
            kept.push('\n');
            site.carried(&at, line, "[[alias]] table");
        } else {
            left_out += 1;
            let why = "its domain is neither local nor in VIRTUSER_DOMAIN, so it has no effect today, and is left out";
            site.meaningless(&at, line, why);
        }
    }
    let table = if left_out == 0 {
        format!("sendmail:{path}")
    } else {
        site.import.files.push(OutputFile {
            path: "tables/virtusertable".to_owned(),
            text: kept,
            secret: site.files.is_private(&path),
        });
        "sendmail:tables/virtusertable".to_owned()
    };
    let mut aliases = Section::new("alias", format!("FEATURE(virtusertable), {}", short(at)));
    aliases.set("table", Value::text(table), "");
    site.import.config.add(aliases);
    site.carried(at, "FEATURE(virtusertable)", "[[alias]] table");
    if let Some((at, _)) = mc.feature("virtuser_entire_domain") {
        let difference = "an address below these domains that no entry has is refused; sendmail took its mail and bounced it";
        site.changed(at, "FEATURE(virtuser_entire_domain)", "alias_domains", difference);
    }
}
