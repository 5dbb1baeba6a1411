//! Addresses that are rewritten, header and body checks, and copies.

use std::collections::BTreeMap;

use super::super::text::words;
use super::listener::Listener;
use super::{Site, domains, srs};
use crate::config::{Section, Value};
use crate::report::Weight;

/// The four classes of addresses, as in `[[rewrite]]`.
const ALL: [&str; 4] = [
    "envelope_sender",
    "header_sender",
    "envelope_recipient",
    "header_recipient",
];

pub(super) fn carry_over(site: &mut Site<'_>) {
    let clients = header_clients(site);
    completed(site, &clients);
    if !srs::srs(site) {
        canonical(
            site,
            "sender_canonical_maps",
            "sender_canonical_classes",
            &ALL[..2],
            &clients,
        );
        canonical(
            site,
            "recipient_canonical_maps",
            "recipient_canonical_classes",
            &ALL[2..],
            &clients,
        );
    }
    canonical(site, "canonical_maps", "canonical_classes", &ALL, &clients);
    masquerade(site, &clients);
    generic(site);
    header_checks(site);
    copies(site);
}

/// Whose header fields are rewritten: `local_header_rewrite_clients`.
fn header_clients(site: &mut Site<'_>) -> Vec<String> {
    let parameter = "local_header_rewrite_clients";
    if !site.value("remote_header_rewrite_domain").is_empty() {
        let difference = "header fields of all clients are rewritten as those of this machine are";
        site.changed("remote_header_rewrite_domain", "[[rewrite]] clients", difference);
        site.carried(parameter, "[[rewrite]] clients");
        return vec!["all".to_owned()];
    }
    let mut clients = vec!["local".to_owned()];
    let at = site.at(parameter);
    for word in site.words(parameter) {
        let client = match word.as_str() {
            "permit_inet_interfaces" => continue,
            "permit_mynetworks" | "permit_tls_clientcerts" | "permit_tls_all_clientcerts" => "relay",
            "permit_sasl_authenticated" => "logins",
            "static:all" => "all",
            word => {
                let remedy = "name these networks in `clients` of [[rewrite]]";
                let what = format!("{parameter}: {word}");
                site.import.missing(&at, &what, Weight::Mail, remedy);
                continue;
            }
        };
        if !clients.iter().any(|known| known == client) {
            clients.push(client.to_owned());
        }
    }
    site.carried(parameter, "[[rewrite]] clients");
    clients
}

/// Addresses in header fields without a domain, or with one that has no dot.
fn completed(site: &mut Site<'_>, clients: &[String]) {
    let dots = site.value("append_dot_mydomain") == "yes";
    let origin = domains::origin_of(site);
    let mut rule = Section::new("rewrite", site.comment("myorigin"));
    rule.set("name", Value::text("complete addresses"), "");
    rule.set("classes", Value::list([ALL[1], ALL[3]]), "");
    rule.set("clients", Value::list(clients.to_vec()), "");
    let appends = site.value("append_at_myorigin") != "no";
    if let Some(origin) = origin.filter(|_| appends) {
        rule.set("append_origin", Value::text(origin), "");
    }
    if dots {
        let (domain, comment) = (site.value("mydomain"), site.comment("append_dot_mydomain"));
        if domain.contains('.') {
            rule.set("append_domain", Value::text(domain), comment);
        }
    }
    if rule.get("append_origin").is_some() || rule.get("append_domain").is_some() {
        site.import.config.add(rule);
    }
    for parameter in ["append_dot_mydomain", "append_at_myorigin"] {
        site.carried(parameter, "[[rewrite]] complete addresses");
    }
}

/// Canonical addresses: the envelope of all mail, and header fields of some.
fn canonical(site: &mut Site<'_>, parameter: &str, classes: &str, usual: &[&str], clients: &[String]) {
    let written = site.words(classes);
    let chosen: Vec<String> = if written.is_empty() {
        usual.iter().map(|class| (*class).to_owned()).collect()
    } else {
        written
    };
    site.carried(classes, "[[rewrite]] classes");
    let tables = site.tables(parameter);
    site.carried(parameter, "[[rewrite]]");
    let name = parameter.trim_end_matches("_maps").replace('_', " ");
    apart(
        site,
        &name,
        parameter,
        &chosen,
        clients,
        &|rule| {
            rule.set("table", Value::list(tables.clone()), "");
        },
        tables.is_empty(),
    );
}

/// Two rules, since the envelope is rewritten for all clients, but header fields only for some.
fn apart(
    site: &mut Site<'_>,
    name: &str,
    parameter: &str,
    classes: &[String],
    clients: &[String],
    how: &dyn Fn(&mut Section),
    is_empty: bool,
) {
    if is_empty {
        return;
    }
    for (part, whose) in [("envelope", vec!["all".to_owned()]), ("header", clients.to_vec())] {
        let classes: Vec<String> = classes
            .iter()
            .filter(|class| class.starts_with(part))
            .cloned()
            .collect();
        if classes.is_empty() {
            continue;
        }
        let mut rule = Section::new("rewrite", site.comment(parameter));
        rule.set("name", Value::text(format!("{name}, {part}")), "");
        rule.set("classes", Value::list(classes), "");
        rule.set("clients", Value::list(whose), "");
        how(&mut rule);
        site.import.config.add(rule);
    }
}

fn masquerade(site: &mut Site<'_>, clients: &[String]) {
    let domains = site.words("masquerade_domains");
    let exceptions: Vec<String> = site
        .words("masquerade_exceptions")
        .iter()
        .map(|name| format!("{name}@"))
        .collect();
    let mut classes = site.words("masquerade_classes");
    if classes.is_empty() {
        classes = vec![ALL[0].to_owned(), ALL[1].to_owned(), ALL[3].to_owned()];
    }
    apart(
        site,
        "masquerade",
        "masquerade_domains",
        &classes,
        clients,
        &|rule| {
            rule.set("masquerade_domains", Value::list(domains.clone()), "");
            if !exceptions.is_empty() {
                rule.set("exceptions", Value::list(exceptions.clone()), "");
            }
        },
        domains.is_empty(),
    );
    if domains.is_empty() {
        for parameter in [
            "masquerade_domains",
            "masquerade_exceptions",
            "masquerade_classes",
        ] {
            site.meaningless(parameter, "masquerade_domains is empty");
        }
        return;
    }
    for parameter in [
        "masquerade_domains",
        "masquerade_exceptions",
        "masquerade_classes",
    ] {
        site.carried(parameter, "[[rewrite]] masquerade");
    }
}

fn generic(site: &mut Site<'_>) {
    let tables = site.tables("smtp_generic_maps");
    site.carried("smtp_generic_maps", "[[rewrite]] generic");
    if !tables.is_empty() {
        let mut rule = Section::new("rewrite", site.comment("smtp_generic_maps"));
        rule.set("name", Value::text("generic"), "");
        rule.set("at", Value::text("out"), "");
        rule.set("classes", Value::list(ALL), "");
        rule.set("table", Value::list(tables), "");
        site.import.config.add(rule);
    }
}

/// `header_checks` and the like, for the service `cleanup` and for others that replace it on some listeners.
fn header_checks(site: &mut Site<'_>) {
    let own: Vec<(Listener, String)> = site
        .listeners
        .iter()
        .filter_map(|listener| {
            let service = site.main.with(&listener.overrides).value("cleanup_service_name");
            let service = service.trim().to_owned();
            (!service.is_empty() && service != "cleanup").then(|| (listener.clone(), service))
        })
        .collect();
    let names = |listeners: &[Listener]| -> Vec<String> {
        listeners
            .iter()
            .flat_map(|listener| listener.names.clone())
            .collect()
    };
    let apart: Vec<Listener> = own.iter().map(|(listener, _)| listener.clone()).collect();
    let apart = names(&apart);
    let all = names(&site.listeners);
    let rest: Vec<String> = all.into_iter().filter(|name| !apart.contains(name)).collect();
    let main = site.main;
    checks_of(
        site,
        &main.layer(),
        "",
        if own.is_empty() { None } else { Some(&rest) },
    );
    let mut services: Vec<String> = own.iter().map(|(_, service)| service.clone()).collect();
    services.sort();
    services.dedup();
    for service in services {
        let Some(found) = site.master.service(&service, "unix") else {
            continue;
        };
        let listeners: Vec<Listener> = own
            .iter()
            .filter(|(_, name)| *name == service)
            .map(|(it, _)| it.clone())
            .collect();
        let listeners = names(&listeners);
        checks_of(site, &main.with(&found.overrides), &service, Some(&listeners));
        site.lanes.insert(service);
    }
    let tables = site.tables("smtp_header_checks");
    site.carried("smtp_header_checks", "[[header_check]]");
    if !tables.is_empty() {
        check(
            site,
            "smtp_header_checks",
            "smtp_header_checks",
            &tables,
            &[],
            None,
            true,
        );
    }
    site.missing(
        "milter_header_checks",
        Weight::Detail,
        "filters are believed in what they add",
    );
}

fn checks_of(site: &mut Site<'_>, layer: &super::Layer<'_>, service: &str, listeners: Option<&Vec<String>>) {
    let is_set = |name: &str| layer.origin(name).is_some();
    let mut of_header = vec!["header"];
    if !is_set("mime_header_checks") {
        of_header.push("mime");
    }
    if !is_set("nested_header_checks") {
        of_header.push("nested");
    }
    let lists = [
        ("header_checks", of_header),
        ("mime_header_checks", vec!["mime"]),
        ("nested_header_checks", vec!["nested"]),
        ("body_checks", vec!["body"]),
    ];
    for (parameter, parts) in lists {
        let at = layer.origin(parameter).unwrap_or(&site.start).clone();
        let mut tables = Vec::new();
        for word in words(&layer.value(parameter)) {
            tables.extend(with_filters(site, &word, &at, parameter));
        }
        if service.is_empty() {
            site.carried(parameter, "[[header_check]]");
        }
        if !tables.is_empty() {
            let name = if service.is_empty() {
                parameter.to_owned()
            } else {
                format!("{parameter} of {service}")
            };
            check(site, &name, parameter, &tables, &parts, listeners, false);
        }
    }
}

fn check(
    site: &mut Site<'_>,
    name: &str,
    parameter: &str,
    tables: &[String],
    parts: &[&str],
    listeners: Option<&Vec<String>>,
    is_out: bool,
) {
    for (number, table) in tables.iter().enumerate() {
        let mut rule = Section::new("header_check", site.comment(parameter));
        let name = if number == 0 {
            name.to_owned()
        } else {
            format!("{name} {}", number + 1)
        };
        rule.set("name", Value::text(name), "");
        if is_out {
            rule.set("at", Value::text("out"), "");
        } else if parts != ["header"] {
            rule.set("parts", Value::list(parts.iter().copied()), "");
        }
        if let Some(listeners) = listeners {
            rule.set("listeners", Value::list(listeners.clone()), "");
        }
        rule.set("table", Value::text(table.clone()), "");
        site.import.config.add(rule);
    }
}

/// A table of checks; in its copy, `FILTER` refers to transports known here.
fn with_filters(site: &mut Site<'_>, word: &str, at: &crate::Origin, parameter: &str) -> Option<String> {
    let entries = super::tables::Reference::of(word).and_then(|table| site.entries(&table, at));
    let mut edits = BTreeMap::new();
    for entry in entries.unwrap_or_default() {
        if entry.value.starts_with("FILTER") {
            let what = format!("{} {}", entry.key, entry.value);
            if let Some(edit) = super::transports::filter(site, &entry, &what) {
                edits.insert(entry.at.first, edit);
            }
        }
    }
    let edit = |entry: &super::tables::Entry| edits.get(&entry.at.first).cloned();
    site.edited(word, at, parameter, &edit)
}

fn copies(site: &mut Site<'_>) {
    let always = site.words("always_bcc");
    if !always.is_empty() {
        let mut copy = Section::new("copy", site.comment("always_bcc"));
        copy.set("name", Value::text("always_bcc"), "");
        copy.set("to", Value::list(always), "");
        site.import.config.add(copy);
    }
    site.carried("always_bcc", "[[copy]]");
    for (parameter, subject) in [("sender_bcc_maps", "sender"), ("recipient_bcc_maps", "recipient")] {
        let tables = site.tables(parameter);
        site.carried(parameter, "[[copy]]");
        if !tables.is_empty() {
            let mut copy = Section::new("copy", site.comment(parameter));
            copy.set("name", Value::text(parameter), "");
            copy.set("table", Value::list(tables), "");
            copy.set("look_up", Value::text(subject), "");
            site.import.config.add(copy);
        }
    }
}
