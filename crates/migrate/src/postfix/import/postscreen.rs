//! postscreen, in front of port 25: its access list, its DNS lists with weights, and the wait before the greeting.

use super::super::text::words;
use super::tables::Reference;
use super::{Site, asked, networks, short};
use crate::config::{Section, Value};
use crate::report::Weight;
use crate::settings::Time;

pub(super) fn carry_over(site: &mut Site<'_>) {
    let is_there = site.listeners.iter().any(|listener| listener.has_postscreen);
    let parameters: Vec<String> = site
        .main
        .parameters()
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with("postscreen_"))
        .collect();
    if !is_there {
        for name in parameters {
            site.meaningless(&name, "no postscreen is in master.cf");
        }
        return;
    }
    access_list(site);
    let threshold = dns(site);
    greeting(site, threshold);
    for name in parameters
        .iter()
        .filter(|name| !site.told.contains(*name))
        .cloned()
        .collect::<Vec<_>>()
    {
        match name.as_str() {
            name if name.contains("_cache_")
                || name.ends_with("_ttl")
                || name.contains("_watchdog")
                || name.contains("_queue_limit") =>
            {
                site.meaningless(name, "each client is looked at anew, and nothing is remembered");
            }
            name if name.contains("bare_newline")
                || name.contains("pipelining")
                || name.contains("non_smtp_command") =>
            {
                site.carried(name, "clients that break the protocol are always refused");
            }
            _ => site.missing(&name, Weight::Detail, "nothing here is like it"),
        }
    }
}

/// Clients accepted immediately, and clients refused immediately.
fn access_list(site: &mut Site<'_>) {
    let at = site.at("postscreen_access_list");
    let (mut permitted, mut refused) = (Vec::new(), Vec::new());
    let written = site.value("postscreen_access_list");
    let list = if written.is_empty() {
        vec!["permit_mynetworks".to_owned()]
    } else {
        words(&written)
    };
    for word in &list {
        match word.as_str() {
            "permit_mynetworks" => permitted.extend(site.networks.clone()),
            "reject" | "permit" | "dunno" => {
                let what = format!("postscreen_access_list: {word}");
                site.import.missing(
                    &at,
                    &what,
                    Weight::Mail,
                    "it would be for all clients; write a rule for the networks that are meant",
                );
            }
            table => {
                let entries = Reference::of(table).and_then(|table| site.entries(&table, &at));
                let Some(entries) = entries else {
                    let what = format!("postscreen_access_list: {table}");
                    site.import.missing(
                        &at,
                        &what,
                        Weight::Mail,
                        "name its networks in `except` of [screen] and in an [[access]] rule",
                    );
                    continue;
                };
                for entry in entries {
                    let what = format!("{} {}", entry.key, entry.value);
                    match (
                        networks::network(&entry.key),
                        entry.value.to_ascii_lowercase().as_str(),
                    ) {
                        (Some(network), "permit" | "ok") => {
                            permitted.push(network.to_string());
                            site.import.carried(&entry.at, &what, "[screen] except");
                        }
                        (Some(network), "reject") => {
                            refused.push(network.to_string());
                            site.import
                                .carried(&entry.at, &what, "[[access]] postscreen_access_list");
                        }
                        (Some(_), "dunno") => {
                            site.import
                                .carried(&entry.at, &what, "it says nothing there either");
                        }
                        _ => {
                            site.import
                                .missing(&entry.at, &what, Weight::Mail, "the line is not understood")
                        }
                    }
                }
            }
        }
    }
    site.carried("postscreen_access_list", "[screen] except, [[access]]");
    if !permitted.is_empty() {
        let comment = site.comment("postscreen_access_list");
        site.import
            .config
            .section("screen")
            .set("except", Value::list(permitted), comment);
    }
    refuse(site, &at, refused);
}

fn refuse(site: &mut Site<'_>, at: &crate::Origin, refused: Vec<String>) {
    let action = site.value("postscreen_blacklist_action");
    let action = if action.is_empty() {
        site.value("postscreen_denylist_action")
    } else {
        action
    };
    for parameter in ["postscreen_blacklist_action", "postscreen_denylist_action"] {
        site.carried(parameter, "[[access]] postscreen_access_list");
    }
    if refused.is_empty() || matches!(action.as_str(), "" | "ignore") {
        return;
    }
    let name = site.unique("postscreen_access_list");
    let mut rule = Section::new("access", format!("postscreen_access_list, {}", short(at)));
    rule.set("name", Value::text(name), "");
    if action == "drop" {
        rule.set("at", Value::text("connect"), "");
    }
    rule.set("client", Value::list(refused), "");
    rule.set("verdict", Value::text("refuse"), "");
    if action == "drop" {
        rule.set("code", Value::plain(521), "");
        rule.set("status", Value::text("5.3.2"), "");
        rule.set("text", Value::text("Service currently unavailable"), "");
    }
    site.import.config.add(rule);
}

/// `postscreen_dnsbl_sites`: lists with their weights; the threshold, if clients beyond it are refused.
fn dns(site: &mut Site<'_>) -> Option<i32> {
    let action = site.value("postscreen_dnsbl_action");
    let at = site.at("postscreen_dnsbl_sites");
    for word in site.words("postscreen_dnsbl_sites") {
        let (written, weight) = word.split_once('*').map_or((word.as_str(), 1), |(site, weight)| {
            (site, weight.parse().unwrap_or(1))
        });
        let (zone, answers) = written.split_once('=').unwrap_or((written, ""));
        let what = format!("postscreen_dnsbl_sites: {word}");
        match asked::dns_list(site, zone, answers, "client", weight, &what) {
            Some(_) => site.import.carried(&at, &what, "[[dns_list]]"),
            None => site.import.missing(
                &at,
                &what,
                Weight::Mail,
                "its answers are not understood: write a [[dns_list]] for it",
            ),
        }
    }
    site.carried("postscreen_dnsbl_sites", "[[dns_list]]");
    let threshold: i32 = site.value("postscreen_dnsbl_threshold").parse().unwrap_or(1);
    site.carried("postscreen_dnsbl_threshold", "[screen] refuse");
    let why = "the reply names the list by its own name: set `text` of [[dns_list]] to hide it";
    let at = site.at("postscreen_dnsbl_reply_map");
    for word in site.words("postscreen_dnsbl_reply_map") {
        for entry in Reference::of(&word)
            .and_then(|table| site.entries(&table, &at))
            .unwrap_or_default()
        {
            let text = format!(
                "Service unavailable; client [{{address}}] blocked using {}",
                entry.value
            );
            for section in site
                .import
                .config
                .all()
                .filter(|section| section.name() == "dns_list")
            {
                if section.get("zone") == Some(&Value::text(entry.key.clone())) {
                    section.set("text", Value::text(text.clone()), "");
                }
            }
            site.import.carried(&entry.at, &entry.key, "[[dns_list]] text");
        }
    }
    site.carried("postscreen_dnsbl_reply_map", "[[dns_list]] text");
    site.meaningless("postscreen_dnsbl_whitelist_threshold", why);
    site.meaningless("postscreen_dnsbl_allowlist_threshold", why);
    if matches!(action.as_str(), "" | "ignore") {
        site.meaningless(
            "postscreen_dnsbl_action",
            "clients on the lists are noted in the log, and let in",
        );
        return None;
    }
    let section = site.import.config.section("screen");
    section.set("refuse", Value::plain(threshold), "postscreen_dnsbl_threshold");
    let difference =
        "whom an [[access]] rule accepts (OK in a table) gets past the lists, too; Postfix asked them before";
    site.changed("postscreen_dnsbl_action", "[screen] refuse", difference);
    Some(threshold)
}

/// Clients that talk before the greeting.
fn greeting(site: &mut Site<'_>, threshold: Option<i32>) {
    let action = site.value("postscreen_greet_action");
    site.carried("postscreen_greet_banner", "the greeting is held back whole");
    if matches!(action.as_str(), "" | "ignore") {
        site.meaningless("postscreen_greet_action", "who talks first was let in");
        site.meaningless("postscreen_greet_wait", "who talks first was let in");
        return;
    }
    let wait = Time::read(&site.value("postscreen_greet_wait"), "s")
        .map_or_else(|| "6s".to_owned(), |time| time.text);
    let comment = site.comment("postscreen_greet_wait");
    site.import
        .config
        .section("timeouts")
        .set("greeting_delay", Value::text(wait), comment);
    site.carried("postscreen_greet_wait", "[timeouts] greeting_delay");
    if action == "drop" {
        site.carried("postscreen_greet_action", "[timeouts] greeting_delay");
        return;
    }
    let score = threshold.unwrap_or(1).max(1);
    let section = site.import.config.section("screen");
    section.set("early_talk", Value::plain(score), "postscreen_greet_action");
    section.set("refuse", Value::plain(score), "");
    let difference = "who talks first is refused at RCPT with 550 5.7.1; Postfix said 550 5.5.1 there. All clients wait for the greeting each time";
    site.changed("postscreen_greet_action", "[screen] early_talk", difference);
}
