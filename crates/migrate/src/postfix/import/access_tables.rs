//! `check_…_access`: tables with results, and entries that tables cannot express here.

use std::collections::BTreeMap;

use super::super::text::words;
use super::run::{Place, Run};
use super::tables::{Behind, Edit, Entry, Reference, TABLES};
use super::{Site, asked, transports};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;

/// Whether a table may accept a client.
pub(super) fn may_accept(site: &Site<'_>, table: &str, at: &Origin) -> bool {
    let Some(reference) = Reference::of(table) else {
        return false;
    };
    let Some(entries) = site.entries(&reference, at) else {
        return true;
    };
    entries.iter().any(|entry| {
        let first = entry.value.split_whitespace().next().unwrap_or_default();
        match kind_of(site, &entry.value) {
            Kind::Restrictions | Kind::Class => true,
            Kind::Result => {
                let is_number = first.len() != 3
                    && !first.is_empty()
                    && first.bytes().all(|octet| octet.is_ascii_digit());
                is_number || matches!(first.to_ascii_uppercase().as_str(), "OK" | "PERMIT")
            }
            Kind::Filter => false,
        }
    })
}

/// The kind of a result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// One that tables here also have.
    Result,
    /// The name of a class.
    Class,
    /// `FILTER`.
    Filter,
    /// Restrictions, as in a list.
    Restrictions,
}

fn kind_of(site: &Site<'_>, value: &str) -> Kind {
    let first = value.split_whitespace().next().unwrap_or_default();
    let is_digits = !first.is_empty() && first.bytes().all(|octet| octet.is_ascii_digit());
    match first.to_ascii_uppercase().as_str() {
        "OK" | "REJECT" | "DEFER_IF_PERMIT" | "DEFER_IF_REJECT" | "DISCARD" | "DUNNO" | "HOLD"
        | "PREPEND" | "REDIRECT" | "BCC" | "INFO" | "WARN" => return Kind::Result,
        "FILTER" => return Kind::Filter,
        "DEFER" if first == "DEFER" => return Kind::Result,
        _ if is_digits => return Kind::Result,
        _ => {}
    }
    let classes = site.words("smtpd_restriction_classes");
    let is_plain = |word: &String| {
        ["permit", "reject", "defer"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known))
            || classes.contains(word)
    };
    if words(value).iter().all(is_plain) {
        Kind::Class
    } else {
        Kind::Restrictions
    }
}

/// `check_sender_access hash:/etc/postfix/sender_access`.
pub(super) fn check(run: &mut Run<'_, '_>, check: &str, table: &str) {
    let what = format!("{check} {table}");
    let subject = match check {
        "check_sender_access" => "sender",
        "check_recipient_access" => "recipient",
        "check_helo_access" => "helo",
        "check_client_access" => "client",
        "check_reverse_client_hostname_access" => "reverse_name",
        "check_sasl_access" => "login",
        "check_sender_mx_access" => return sender_mx(run, table, &what),
        "check_etrn_access" => return run.carried(&what, "ETRN is not offered"),
        _ => {
            let remedy = "what it looks at is no condition of [[access]]";
            return run.missing(&what, Weight::Mail, remedy);
        }
    };
    let Some(reference) = Reference::of(table) else {
        return run.missing(&what, Weight::Mail, "its table is not understood");
    };
    if run.site.looked_into.contains(&reference.rest) {
        let remedy = "a result of this table leads back to it: Postfix answers 451 there. Take it out.";
        return run.missing(&what, Weight::Mail, remedy);
    }
    let at = run.at.clone();
    let entries = run.site.entries(&reference, &at);
    let known = run.site.looked_through.get(&reference.rest).copied();
    run.site.looked_into.push(reference.rest.clone());
    let edits = match known {
        Some(_) => BTreeMap::new(),
        None => edits(run, &reference, entries.as_deref().unwrap_or_default(), subject),
    };
    run.site.looked_into.pop();
    let Some(copy) = copied(run, table, &reference, entries.as_deref(), &edits) else {
        return;
    };
    let is_left = |entry: &&Entry| {
        !matches!(edits.get(&entry.at.first), Some(Edit::Drop)) || reference.kind == "inline"
    };
    let some_left = known.unwrap_or_else(|| {
        entries
            .as_ref()
            .is_none_or(|entries| entries.iter().any(|entry| is_left(&entry)))
    });
    run.site.looked_through.insert(reference.rest.clone(), some_left);
    if !some_left {
        return run.carried(&what, "other settings; the table is no longer needed");
    }
    for subject in subjects(subject, &reference, entries.as_deref()) {
        let name = format!("{check} {}", name_of(&reference));
        let mut rule = run.rule(name.trim());
        rule.set("verdict", Value::text("table"), "");
        rule.set("table", Value::text(copy.clone()), "");
        rule.set("look_up", Value::text(subject), "");
        run.put(rule, &what);
    }
}

/// The name of a table's file.
fn name_of(reference: &Reference) -> &str {
    match reference.behind() {
        Behind::Itself | Behind::Others | Behind::Service => "",
        _ => reference.rest.rsplit('/').next().unwrap_or(&reference.rest),
    }
}

/// Clients are looked up by name and by address, depending on the keys.
fn subjects(subject: &'static str, table: &Reference, entries: Option<&[Entry]>) -> Vec<&'static str> {
    if subject != "client" {
        return vec![subject];
    }
    let both = vec!["client_name", "client"];
    match (table.kind.as_str(), entries) {
        ("cidr", _) => vec!["client"],
        (_, Some(entries)) if table.behind() == Behind::Keys || table.kind == "inline" => {
            let is_address = |entry: &Entry| {
                let key = entry.key.as_str();
                key.contains(':')
                    || key
                        .bytes()
                        .all(|octet| octet.is_ascii_digit() || matches!(octet, b'.' | b'/'))
            };
            let mut found = Vec::new();
            if !entries.iter().all(is_address) {
                found.push("client_name");
            }
            if entries.iter().any(is_address) {
                found.push("client");
            }
            found
        }
        _ => both,
    }
}

/// Replacements for lines that tables cannot express here; reported.
fn edits(run: &mut Run<'_, '_>, table: &Reference, entries: &[Entry], subject: &str) -> BTreeMap<u32, Edit> {
    let mut edits = BTreeMap::new();
    for entry in entries {
        let line = entry.at.first;
        let what = format!("{}: {} {}", name_of(table), entry.key, entry.value);
        if table.behind() == Behind::Keys && entry.key.starts_with('.') && entry.key.len() > 1 {
            let why = "a key with a dot in front has no effect in Postfix's access tables, unless parent_domain_matches_subdomains says otherwise";
            run.site.import.meaningless(&entry.at, &what, why);
            edits.insert(line, Edit::Drop);
            continue;
        }
        match kind_of(run.site, &entry.value) {
            Kind::Result | Kind::Class => {}
            Kind::Filter => {
                if let Some(edit) = transports::filter(run.site, entry, &what) {
                    edits.insert(line, edit);
                }
            }
            Kind::Restrictions => {
                let edit = restrictions(run, entry, &what, subject);
                edits.insert(line, edit);
            }
        }
    }
    edits
}

/// A result that is a list of restrictions: becomes a class of its own, or for `reject_unverified_recipient` a domain whose next
/// hop is asked.
fn restrictions(run: &mut Run<'_, '_>, entry: &Entry, what: &str, subject: &str) -> Edit {
    let list = words(&entry.value);
    if subject == "recipient" && list == ["reject_unverified_recipient"] {
        let domain = entry
            .key
            .rsplit('@')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        asked::ask(run.site, &entry.at, what, domain);
        return Edit::Drop;
    }
    let class = run.site.unique("restrictions").replace([' ', '(', ')'], "");
    let sections = (run.translate)(run.site, &[], &list, &class, &entry.at, Place::class(&class));
    for section in sections {
        run.site.import.config.add(section);
    }
    run.site
        .import
        .carried(&entry.at, what, format!("[[access]] class = \"{class}\""));
    Edit::Say(format!("{}\t{class}", entry.key))
}

/// The table by its name in the new configuration.
fn copied(
    run: &mut Run<'_, '_>,
    table: &str,
    reference: &Reference,
    entries: Option<&[Entry]>,
    edits: &BTreeMap<u32, Edit>,
) -> Option<String> {
    let at = run.at.clone();
    let what = format!("table {table}");
    if reference.kind == "inline" && !edits.is_empty() {
        // All its lines are one line: the rest is in a file.
        let mut text = String::from("# From an inline table.\n");
        for entry in entries.unwrap_or_default() {
            if kind_of(run.site, &entry.value) != Kind::Filter
                && kind_of(run.site, &entry.value) != Kind::Restrictions
            {
                text.push_str(&format!("{}\t{}\n", entry.key, entry.value));
            }
        }
        let name = run.site.unique("inline").replace([' ', '(', ')'], "");
        let path = run.site.place(TABLES, &name);
        // It is no more world-readable than main.cf and the configuration.
        run.site.import.secret(&path, text);
        return Some(format!("hash:{path}"));
    }
    let edit = |entry: &Entry| match edits.get(&entry.at.first) {
        Some(Edit::Drop) => Some(Edit::Drop),
        Some(Edit::Say(text)) => Some(Edit::Say(text.clone())),
        None => None,
    };
    run.site.edited(table, &at, &what, &edit)
}

/// `check_sender_mx_access`: a rule for each run of networks with the same result.
fn sender_mx(run: &mut Run<'_, '_>, table: &str, what: &str) {
    let at = run.at.clone();
    let reference = Reference::of(table).filter(|table| table.kind == "cidr");
    let Some(entries) = reference.as_ref().and_then(|table| run.site.entries(table, &at)) else {
        let remedy = "[[access]] sender_mx takes networks: write a rule for each result";
        return run.missing(what, Weight::Mail, remedy);
    };
    let mut open: Option<(String, Vec<String>, Section)> = None;
    for entry in entries {
        let network = super::networks::network(&entry.key);
        let Some(network) = network.filter(|_| kind_of(run.site, &entry.value) == Kind::Result) else {
            let remedy = "[[access]] sender_mx takes networks, with one verdict a rule";
            run.site
                .import
                .missing(&entry.at, &entry.key, Weight::Mail, remedy);
            continue;
        };
        if let Some((result, networks, rule)) = &mut open
            && *result == entry.value
        {
            networks.push(network.to_string());
            rule.set("sender_mx", Value::list(networks.clone()), "");
        } else {
            if let Some((result, _, rule)) = open.take() {
                close(run, rule, &result, what);
            }
            let mut rule = run.rule("check_sender_mx_access");
            rule.set("sender_mx", Value::list([network.to_string()]), "");
            open = Some((entry.value.clone(), vec![network.to_string()], rule));
        }
        run.site.import.carried(
            &entry.at,
            &format!("{} {}", entry.key, entry.value),
            "[[access]] sender_mx",
        );
    }
    if let Some((result, _, rule)) = open {
        close(run, rule, &result, what);
    }
}

fn close(run: &mut Run<'_, '_>, mut rule: Section, result: &str, what: &str) {
    let (word, text) = result.split_once(char::is_whitespace).unwrap_or((result, ""));
    let text = text.trim();
    match word.to_ascii_uppercase().as_str() {
        "OK" => return run.push(rule, what, "accept"),
        "DUNNO" => return run.push(rule, what, "continue"),
        "DISCARD" => return run.push(rule, what, "discard"),
        "HOLD" => return run.push(rule, what, "hold"),
        "WARN" | "INFO" => return run.push(rule, what, "note"),
        "REJECT" => run.refuse(&mut rule, 554, "7.1", text),
        word => {
            let code: u16 = word
                .parse()
                .ok()
                .filter(|code| (400..600).contains(code))
                .unwrap_or(450);
            let (status, text) = match text.split_once(' ') {
                Some((status, text)) if status.split('.').count() == 3 && status.len() < 12 => {
                    (&status[2..], text)
                }
                _ => ("7.1", text),
            };
            run.refuse(&mut rule, code, status, text);
        }
    }
    run.put(rule, what);
}
