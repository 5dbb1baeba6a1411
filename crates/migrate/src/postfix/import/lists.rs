//! The lists of restrictions that a listener goes through, one after the other.
//!
//! Postfix goes through several lists, and what one accepts, the next may refuse. Here, the rules of all lists form one sequence.
//! In all but the last, a restriction that accepts known clients becomes a condition of the rules after it; if one may accept
//! others, the list becomes a class of its own that is judged as a part.

use super::super::Parameter;
use super::super::text::words;
use super::listener::{LISTS, Listener, is_known_client};
use super::restrictions::translated;
use super::run::Place;
use super::tables::{Behind, Reference};
use super::{Site, access_tables, asked, short};
use crate::Origin;
use crate::config::{Section, Value};

/// Lists that are evaluated when the message has arrived.
const DATA_LISTS: [&str; 2] = ["smtpd_data_restrictions", "smtpd_end_of_data_restrictions"];

pub(super) fn carry_over(site: &mut Site<'_>) {
    delay(site);
    for class in site.words("smtpd_restriction_classes") {
        let list = site.words(&class);
        let at = site.at(&class);
        let sections = translated(site, &[], &list, &class, &at, Place::class(&class));
        add(site, sections);
    }
    site.carried("smtpd_restriction_classes", "[[access]] class");
    let listeners = site.listeners.clone();
    let main = listeners.iter().find(|listener| listener.is_main).or_else(|| {
        listeners
            .iter()
            .find(|listener| !listener.is_submission && !listener.is_filtered)
    });
    let general = main.map(|main| lists_of(site, main));
    let mut has_rules = false;
    if let Some(main) = main {
        let sections = of_listener(site, main, None);
        has_rules = !sections.is_empty();
        add(site, sections);
    }
    for listener in &listeners {
        if main.is_some_and(|main| main.names == listener.names) {
            continue;
        }
        let is_same = general.as_ref() == Some(&lists_of(site, listener));
        if is_same && !listener.is_submission && !listener.is_filtered {
            continue;
        }
        let name = listener.names.first().cloned().unwrap_or_default();
        let sections = if listener.is_filtered {
            Vec::new()
        } else {
            of_listener(site, listener, Some(&name))
        };
        let access = if sections.is_empty() {
            "off".to_owned()
        } else {
            name
        };
        if !sections.is_empty() || (has_rules && !listener.is_filtered) {
            for section in site.import.config.all().filter(|it| it.name() == "listener") {
                if matches!(section.get("name"), Some(Value::Text(name)) if listener.names.contains(name)) {
                    section.set("access", Value::text(access.clone()), "");
                }
            }
        }
        add(site, sections);
    }
    for list in LISTS.iter().chain(&DATA_LISTS) {
        if site.value(list).is_empty() {
            site.meaningless(list, "it is empty");
        } else {
            site.carried(list, "[relay], [[access]]");
        }
    }
    if site.value("smtpd_reject_unlisted_sender") == "yes" {
        site.carried("smtpd_reject_unlisted_sender", "[[access]] fault");
    } else {
        site.meaningless("smtpd_reject_unlisted_sender", "it is off");
    }
    classes(site);
    asked::relay_differences(site);
}

/// Classes that no list and no table names are left out.
fn classes(site: &mut Site<'_>) {
    let mut classes = site.words("smtpd_restriction_classes");
    let is_asked = |rule: &Section| match rule.get("table") {
        Some(Value::Text(table)) => Reference::of(table)
            .is_some_and(|table| !matches!(table.behind(), Behind::Keys | Behind::Patterns | Behind::Itself)),
        _ => false,
    };
    // What a database says is not known here.
    let may_be_named = site.import.config.sections("access").any(is_asked);
    loop {
        let rules: Vec<&Section> = site.import.config.sections("access").collect();
        let is_named = |class: &String| {
            let judged = Value::text(class.clone());
            let in_inline =
                |rule: &Section| matches!(rule.get("table"), Some(Value::Text(table)) if names(table, class));
            may_be_named
                || rules
                    .iter()
                    .any(|rule| rule.get("judge") == Some(&judged) || in_inline(rule))
                || site.import.files.iter().any(|file| names(&file.text, class))
        };
        let Some(unused) = classes.iter().position(|class| !is_named(class)) else {
            break;
        };
        let class = classes.remove(unused);
        let of_class = Value::text(class.clone());
        site.import
            .config
            .remove(|section| section.name() == "access" && section.get("class") == Some(&of_class));
        site.meaningless(&class, "no list and no table names this class");
    }
    for class in classes {
        site.carried(&class, format!("[[access]] class = \"{class}\""));
    }
}

/// Whether a text has a class as a word of its own.
fn names(text: &str, class: &str) -> bool {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split([' ', '\t', ',', '=', '{', '}']))
        .any(|word| word == class)
}

fn delay(site: &mut Site<'_>) {
    let is_off = site.value("smtpd_delay_reject") == "no";
    if is_off {
        site.set("", "delay_checks", Value::plain(false), "smtpd_delay_reject");
    } else {
        site.carried("smtpd_delay_reject", "delay_checks");
    }
}

fn lists_of(site: &Site<'_>, listener: &Listener) -> Vec<String> {
    let layer = site.main.with(&listener.overrides);
    LISTS
        .iter()
        .chain(&DATA_LISTS)
        .chain(&["smtpd_tls_security_level"])
        .map(|list| words(&layer.value(list)).join(" "))
        .collect()
}

fn add(site: &mut Site<'_>, sections: Vec<Section>) {
    for section in sections {
        site.import.config.add(section);
    }
}

/// All rules of a service.
fn of_listener(site: &mut Site<'_>, listener: &Listener, class: Option<&str>) -> Vec<Section> {
    let main = site.main;
    let layer = main.with(&listener.overrides);
    let mut order: Vec<&str> = LISTS.to_vec();
    if !layer.is_on("smtpd_relay_before_recipient_restrictions") {
        order.swap(3, 4);
    }
    let of_recipients = words(&layer.value("smtpd_recipient_restrictions"));
    let is_decided_before = order.last() == Some(&"smtpd_relay_restrictions")
        && of_recipients
            .iter()
            .any(|word| matches!(word.as_str(), "reject_unauth_destination" | "reject"));
    let counts = |list: &&&str| words(&layer.value(list)).iter().any(|word| says_something(word));
    let last = order.iter().rev().find(counts).copied();
    let mut sections = Vec::new();
    if layer.value("smtpd_tls_security_level").trim() == "encrypt" && !listener.is_submission {
        let name = site.unique("smtpd_tls_security_level = encrypt");
        let mut rule = Section::new("access", "");
        rule.set("name", Value::text(name), "");
        if let Some(class) = class {
            rule.set("class", Value::text(class), "");
        }
        rule.set("at", Value::text("mail"), "");
        rule.set("tls", Value::text("none"), "");
        rule.set("verdict", Value::text("refuse"), "");
        rule.set("code", Value::plain(530), "");
        rule.set("status", Value::text("5.7.0"), "");
        rule.set("text", Value::text("Must issue a STARTTLS command first"), "");
        sections.push(rule);
    }
    if layer.is_on("smtpd_reject_unlisted_sender") {
        let name = site.unique("smtpd_reject_unlisted_sender");
        let mut rule = Section::new("access", "");
        rule.set("name", Value::text(name), "");
        if let Some(class) = class {
            rule.set("class", Value::text(class), "");
        }
        rule.set("fault", Value::text("sender_unlisted"), "");
        asked::listed_otherwise(site, &mut rule);
        rule.set("verdict", Value::text("refuse"), "");
        rule.set("code", Value::plain(550), "");
        rule.set("status", Value::text("5.1.7"), "");
        rule.set("text", Value::text("Sender address: User unknown"), "");
        sections.push(rule);
    }
    for list in order.into_iter().chain(DATA_LISTS) {
        let mut restrictions = words(&layer.value(list));
        // What the recipient list refuses first is never deferred.
        if list == "smtpd_relay_restrictions" && is_decided_before {
            restrictions.retain(|word| word != "defer_unauth_destination");
        }
        if restrictions.is_empty() {
            continue;
        }
        let at = layer.origin(list).unwrap_or(&site.start).clone();
        let place = Place {
            class: class.map(str::to_owned),
            is_last: Some(list) == last,
            is_relay: list == "smtpd_relay_restrictions",
            is_data: DATA_LISTS.contains(&list),
            is_submission: listener.is_submission,
            is_class: false,
            subject: subject_of(list),
        };
        sections.extend(one_list(
            site,
            &listener.overrides,
            &restrictions,
            list,
            &at,
            place,
        ));
    }
    sections
}

/// Whether a restriction becomes a rule, judging by its name.
fn says_something(word: &str) -> bool {
    !is_known_client(word)
        && !matches!(
            word,
            "permit"
                | "reject"
                | "reject_unauth_destination"
                | "defer_unauth_destination"
                | "reject_unauth_pipelining"
                | "reject_unlisted_recipient"
                | "reject_sender_login_mismatch"
                | "reject_unauthenticated_sender_login_mismatch"
                | "reject_authenticated_sender_login_mismatch"
                | "reject_known_sender_login_mismatch"
        )
}

/// The subject of a table without the name of its check.
fn subject_of(list: &str) -> &'static str {
    match list {
        "smtpd_client_restrictions" => "check_client_access",
        "smtpd_helo_restrictions" => "check_helo_access",
        "smtpd_sender_restrictions" => "check_sender_access",
        _ => "check_recipient_access",
    }
}

/// The rules of one list: unchanged, or as a class that is a part.
fn one_list(
    site: &mut Site<'_>,
    overrides: &[(String, Parameter)],
    list: &[String],
    name: &str,
    at: &Origin,
    place: Place,
) -> Vec<Section> {
    let is_part = !place.is_last && !place.is_data && may_accept(site, list, at);
    if !is_part {
        return translated(site, overrides, list, name, at, place);
    }
    let short_name = name.trim_start_matches("smtpd_").replace('_', " ");
    let part = match &place.class {
        Some(class) => format!("{class}: {short_name}"),
        None => short_name,
    };
    let inner = Place {
        class: Some(part.clone()),
        is_last: true,
        ..place.clone()
    };
    let mut sections = translated(site, overrides, list, name, at, inner);
    if sections.is_empty() {
        return sections;
    }
    let rule = site.unique(name);
    let mut section = Section::new("access", format!("{name}, {}", short(at)));
    section.set("name", Value::text(rule), "");
    if let Some(class) = &place.class {
        section.set("class", Value::text(class.clone()), "");
    }
    section.set("verdict", Value::text("class"), "");
    section.set("judge", Value::text(part), "");
    section.set(
        "accept_ends",
        Value::text("class"),
        "the next list may still refuse",
    );
    sections.push(section);
    sections
}

/// Whether a list may accept others than known clients.
fn may_accept(site: &Site<'_>, list: &[String], at: &Origin) -> bool {
    let mut rest = list.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "permit" if rest.len() > 0 => return true,
            "permit_auth_destination" => return true,
            "permit_dnswl_client" | "check_policy_service" => return true,
            check if check.starts_with("check_") => {
                let table = rest.next().map_or("", String::as_str);
                if access_tables::may_accept(site, table, at) {
                    return true;
                }
            }
            class
                if site
                    .words("smtpd_restriction_classes")
                    .iter()
                    .any(|known| known == class) =>
            {
                return true;
            }
            _ => {}
        }
    }
    false
}
