//! `smtpd_milters`: mail filters; and an after-queue filter.

use std::collections::BTreeMap;

use super::super::text::words;
use super::listener::Listener;
use super::{Site, pipes};
use crate::config::{Section, Value};
use crate::report::Weight;
use crate::settings::Time;

pub(super) fn carry_over(site: &mut Site<'_>) {
    let listeners = site.listeners.clone();
    let main = site.main;
    let mut filters: Vec<(String, Vec<String>)> = Vec::new();
    for listener in &listeners {
        for filter in words(&main.with(&listener.overrides).value("smtpd_milters")) {
            match filters.iter_mut().find(|(known, _)| *known == filter) {
                Some((_, names)) => names.extend(listener.names.clone()),
                None => filters.push((filter, listener.names.clone())),
            }
        }
    }
    let all: usize = listeners.iter().map(|listener| listener.names.len()).sum();
    for (filter, names) in &filters {
        one(site, filter, (names.len() < all).then_some(names));
    }
    site.carried("smtpd_milters", "[[milter]]");
    local(site);
    for parameter in [
        "milter_default_action",
        "milter_connect_timeout",
        "milter_command_timeout",
        "milter_content_timeout",
    ] {
        site.carried(parameter, "[[milter]]");
    }
    let protocol = site.value("milter_protocol");
    if matches!(protocol.as_str(), "6" | "") {
        site.carried("milter_protocol", "[[milter]] version");
    }
    behind_the_queue(site);
}

/// Mail from local programs passes the listeners' filters.
fn local(site: &mut Site<'_>) {
    let (smtp, local) = (site.words("smtpd_milters"), site.words("non_smtpd_milters"));
    if local == smtp || local.is_empty() && smtp.is_empty() {
        site.carried("non_smtpd_milters", "[[milter]]");
    } else if local.is_empty() {
        site.meaningless("non_smtpd_milters", "it is empty");
        let at = site.at("smtpd_milters");
        let difference =
            "mail of programs on this machine passes the filters, too, unless `listeners` names others";
        site.import
            .changed(&at, "smtpd_milters", "[[milter]]", difference);
    } else {
        let remedy = "filters are told of mail of programs here as of any other: add a [[milter]] for those that are named here alone";
        site.missing("non_smtpd_milters", Weight::Mail, remedy);
    }
}

/// `inet:127.0.0.1:11332`, `unix:/run/x/x.sock`, or in braces with its own settings.
fn one(site: &mut Site<'_>, written: &str, listeners: Option<&Vec<String>>) {
    let parts: Vec<String> = words(written)
        .iter()
        .map(|part| part.trim_matches(',').to_owned())
        .collect();
    let address = parts.first().cloned().unwrap_or_default();
    let own = |name: &str| {
        parts
            .iter()
            .skip(1)
            .filter_map(|part| part.split_once('='))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim().to_owned())
    };
    let at = site.at("smtpd_milters");
    let Some(socket) = socket(site, &address) else {
        let what = format!("smtpd_milters: {address}");
        site.import.missing(
            &at,
            &what,
            Weight::Mail,
            "its address is not understood: write a [[milter]]",
        );
        return;
    };
    let mut filter = Section::new("milter", site.comment("smtpd_milters"));
    filter.set("name", Value::text(name_of(site, &address)), "");
    filter.set("address", Value::text(socket), "");
    if let Some(listeners) = listeners {
        filter.set("listeners", Value::list(listeners.clone()), "");
    }
    let action = own("default_action").unwrap_or_else(|| site.value("milter_default_action"));
    let action = match action.as_str() {
        "accept" => "accept",
        "reject" => "reject",
        "quarantine" => "hold",
        _ => "tempfail",
    };
    filter.set("on_failure", Value::text(action), "");
    if site
        .value("milter_protocol")
        .parse::<u8>()
        .is_ok_and(|version| (2..6).contains(&version))
    {
        let comment = site.comment("milter_protocol");
        let version = site.value("milter_protocol");
        filter.set("version", Value::plain(version), comment);
        site.carried("milter_protocol", "[[milter]] version");
    }
    let mut times = Section::new("milter.timeouts", "");
    for (parameter, own_name, key) in [
        ("milter_connect_timeout", "connect_timeout", "connect"),
        ("milter_command_timeout", "command_timeout", "command"),
        ("milter_content_timeout", "content_timeout", "end_of_message"),
    ] {
        let time = own(own_name).or_else(|| site.is_set(parameter).then(|| site.value(parameter)));
        if let Some(time) = time.and_then(|time| Time::read(&time, "s")) {
            times.set(key, Value::text(time.text), "");
        }
    }
    site.import.config.add(filter);
    site.import.config.add(times);
}

fn socket(site: &Site<'_>, address: &str) -> Option<String> {
    let (kind, rest) = address.split_once(':')?;
    match kind {
        "unix" | "local" => Some(format!("unix:{}", site.below_queue(rest))),
        "inet" => Some(address.to_owned()),
        _ => None,
    }
}

/// A name for a filter: that of the program that usually listens there, or of its socket.
fn name_of(site: &mut Site<'_>, address: &str) -> String {
    const PORTS: [(&str, &str); 4] = [
        (":11332", "rspamd"),
        (":8891", "opendkim"),
        (":12301", "opendkim"),
        (":8893", "opendmarc"),
    ];
    let known = [
        "rspamd",
        "opendkim",
        "opendmarc",
        "clamav",
        "spamass",
        "spfmilter",
        "milter-greylist",
        "amavis",
    ];
    let name = known
        .iter()
        .find(|name| address.contains(**name))
        .copied()
        .or_else(|| {
            PORTS
                .iter()
                .find(|(port, _)| address.ends_with(port))
                .map(|(_, name)| *name)
        });
    site.unique(name.unwrap_or("filter"))
}

/// `-o content_filter=name` of single services, if that is a program.
fn of_services(site: &mut Site<'_>) {
    let of_service = |listener: &Listener| {
        let (_, filter) = listener
            .overrides
            .iter()
            .find(|(name, _)| name == "content_filter")?;
        let transport = filter
            .what
            .split(':')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        (!transport.is_empty()).then(|| (transport, listener.names.clone()))
    };
    let found: Vec<(String, Vec<String>)> = site.listeners.iter().filter_map(of_service).collect();
    let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (transport, names) in found {
        by_name.entry(transport).or_default().extend(names);
    }
    for (transport, listeners) in by_name {
        let is_program = site
            .master
            .service(&transport, "unix")
            .is_some_and(|service| service.command == "pipe");
        if is_program {
            site.lanes.insert(transport.clone());
            by_program(site, &transport, listeners);
        }
    }
}

/// Sends mail from these listeners through a program, which returns it with `sendmail`.
fn by_program(site: &mut Site<'_>, transport: &str, listeners: Vec<String>) -> bool {
    let service = site.master.service(transport, "unix").cloned();
    let Some(name) = service.and_then(|service| pipes::pipe(site, &service)) else {
        return false;
    };
    let rule_name = site.unique("content_filter");
    let mut rule = Section::new("access", site.comment("content_filter"));
    rule.set("name", Value::text(rule_name), "");
    if !listeners.is_empty() {
        rule.set("listener", Value::list(listeners), "");
    }
    rule.set("verdict", Value::text("detour"), "");
    rule.set("way", Value::text(format!("pipe:{name}")), "");
    site.import.config.add_first(rule);
    true
}

/// `content_filter`: all mail goes through it and comes back through a listener.
fn behind_the_queue(site: &mut Site<'_>) {
    of_services(site);
    let written = site.value("content_filter");
    if written.is_empty() {
        site.meaningless("content_filter", "it is empty");
        return;
    }
    let (transport, next) = written.split_once(':').unwrap_or((&written, ""));
    let (transport, next) = (transport.to_owned(), next.replace(['[', ']'], ""));
    site.lanes.insert(transport.clone());
    let service = site.master.service(&transport, "unix");
    let command = service
        .map_or("smtp", |service| service.command.as_str())
        .to_owned();
    let filter = match command.as_str() {
        "smtp" => next,
        "lmtp" => format!("lmtp:{next}"),
        "pipe" => {
            let names = |listener: &Listener| listener.names.clone();
            let listeners = site.listeners.iter().filter(|listener| !listener.is_filtered);
            let listeners: Vec<String> = listeners.flat_map(names).collect();
            if by_program(site, &transport, listeners) {
                let difference = "mail that programs here hand in by `sendmail` does not go through it: it is how the program hands mail back";
                site.changed("content_filter", "[[access]] verdict = \"detour\"", difference);
            } else {
                let remedy = "run the filter as a milter, or as a server of SMTP or LMTP";
                site.missing("content_filter", Weight::Mail, remedy);
            }
            return;
        }
        _ => {
            let remedy = "run the filter as a milter, or as a server of SMTP or LMTP";
            site.missing("content_filter", Weight::Mail, remedy);
            return;
        }
    };
    site.set("delivery", "filter", Value::text(filter), "content_filter");
    if !site.listeners.iter().any(|listener| listener.is_filtered) {
        let remedy =
            "no service takes back what the filter has seen: write a [[listener]] with `filtered = true`";
        site.missing("content_filter", Weight::Mail, remedy);
    }
}
