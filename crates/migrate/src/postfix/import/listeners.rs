//! `master.cf`: where connections are accepted, and the overrides of each of these services.

use std::net::IpAddr;

use super::super::Service;
use super::super::text::words;
use super::listener::{LISTS, Listener, is_known_client};
use super::tls::has_certificate;
use super::{Site, networks, overrides, short};
use crate::config::{Section, Value};
use crate::report::Weight;

pub(super) fn carry_over(site: &mut Site<'_>) {
    let services: Vec<Service> = site
        .master
        .services()
        .iter()
        .filter(|service| service.kind == "inet" && is_smtpd(service))
        .cloned()
        .collect();
    for service in &services {
        one(site, service);
    }
    if site.master.services().is_empty() {
        let service = Service {
            at: site.start.clone(),
            name: "smtp".to_owned(),
            kind: "inet".to_owned(),
            processes: None,
            command: "smtpd".to_owned(),
            overrides: Vec::new(),
            arguments: Vec::new(),
        };
        one(site, &service);
    }
    for parameter in ["inet_interfaces", "inet_protocols"] {
        site.carried(parameter, "[[listener]] address");
    }
    for parameter in [
        "smtpd_tls_security_level",
        "smtpd_use_tls",
        "smtpd_enforce_tls",
        "smtpd_tls_wrappermode",
    ] {
        site.carried(parameter, "[[listener]] tls");
    }
    site.carried("smtpd_forbid_bare_newline", "[[listener]] bare_newlines");
}

fn is_smtpd(service: &Service) -> bool {
    service.command == "smtpd" || service.command == "postscreen"
}

fn one(site: &mut Site<'_>, service: &Service) {
    let has_postscreen = service.command == "postscreen";
    let mut overrides = service.overrides.clone();
    if has_postscreen && let Some(behind) = site.master.service("smtpd", "pass") {
        overrides.extend(behind.overrides.clone());
    }
    let what = format!("{} inet {}", service.name, service.command);
    let Some((host, port)) = place(&service.name) else {
        let remedy = "its port is not understood: write a [[listener]] for it";
        site.import.missing(&service.at, &what, Weight::Mail, remedy);
        return;
    };
    let name = named(&service.name, port);
    let main = site.main;
    let layer = main.with(&overrides);
    let has_auth = layer.is_on("smtpd_sasl_auth_enable");
    let is_submission = has_auth
        && (matches!(port, 587 | 465)
            || layer.is_on("smtpd_tls_wrappermode")
            || refuses_strangers(&|name| layer.value(name)));
    let is_filtered = !site.value("content_filter").is_empty()
        && layer.overrides("content_filter")
        && layer.value("content_filter").trim().is_empty();
    let mut listener = Listener {
        names: Vec::new(),
        is_submission,
        is_filtered,
        is_main: port == 25 && host.is_none(),
        has_postscreen,
        overrides: overrides.clone(),
    };
    for (number, address) in addresses(site, host.as_deref(), port, &service.at)
        .into_iter()
        .enumerate()
    {
        let name = match number {
            0 => name.clone(),
            number => format!("{name}-{}", number + 1),
        };
        let comment = if number == 0 {
            format!("{what}, {}", short(&service.at))
        } else {
            String::new()
        };
        let mut section = Section::new("listener", comment);
        section.set("name", Value::text(name.clone()), "");
        section.set("address", Value::text(address), "");
        section.set(
            "role",
            Value::text(if is_submission { "submission" } else { "mx" }),
            "",
        );
        settings(site, &mut section, &listener, port);
        site.import.config.add(section);
        listener.names.push(name);
    }
    report(site, service, &listener, &what);
    overrides::report(site, service, &listener);
    site.listeners.push(listener);
}

/// If no directory knows passwords, there is no need to say when they are accepted.
pub(super) fn without_passwords(site: &mut Site<'_>) {
    // Both only know which users exist.
    let kinds = ["system", "table"].map(Value::text);
    let knows_none = |directory: &Section| directory.get("kind").is_some_and(|kind| kinds.contains(kind));
    if site
        .import
        .config
        .sections("directory")
        .any(|one| !knows_none(one))
    {
        return;
    }
    let listeners = site
        .import
        .config
        .all()
        .filter(|section| section.name() == "listener");
    for listener in listeners {
        listener.unset("plaintext");
    }
}

/// A listener's settings besides its address.
fn settings(site: &mut Site<'_>, section: &mut Section, listener: &Listener, port: u16) {
    let main = site.main;
    let layer = main.with(&listener.overrides);
    let has_auth = layer.is_on("smtpd_sasl_auth_enable");
    match (listener.is_submission, has_auth) {
        (false, true) => {
            section.set("auth", Value::text("offer"), "smtpd_sasl_auth_enable");
        }
        (true, _) if networks_may_submit(&|name| layer.value(name)) => {
            section.set(
                "auth",
                Value::text("offer"),
                "permit_mynetworks comes before the login",
            );
        }
        _ => {}
    }
    let level = layer.value("smtpd_tls_security_level");
    let is_on = !matches!(level.trim(), "" | "none")
        || layer.is_on("smtpd_use_tls")
        || layer.is_on("smtpd_enforce_tls");
    if layer.is_on("smtpd_tls_wrappermode") || port == 465 {
        section.set("tls", Value::text("implicit"), "smtpd_tls_wrappermode");
    } else if has_certificate(site) && !is_on {
        section.set("tls", Value::text("off"), "smtpd_tls_security_level");
    }
    // Without TLS, no password would be accepted here unless the file says so.
    let in_the_clear = !layer.is_on("smtpd_tls_auth_only")
        && level.trim() != "encrypt"
        && !layer.is_on("smtpd_tls_wrappermode")
        && !layer.value("smtpd_sasl_security_options").contains("noplaintext");
    if has_auth && in_the_clear {
        section.set(
            "plaintext",
            Value::text("always"),
            "smtpd_tls_auth_only is not set",
        );
    }
    own_networks(site, section, listener);
    if listener.is_filtered {
        section.set("filtered", Value::plain(true), "content_filter is empty there");
    }
    if layer.overrides("message_size_limit")
        && let Ok(octets) = layer.value("message_size_limit").trim().parse::<u64>()
        && octets > 0
    {
        section.set("message_size_limit", Value::text(format!("{octets} B")), "");
    }
    if layer.value("smtpd_forbid_bare_newline").trim() == "normalize"
        || layer.is_on("smtpd_forbid_bare_newline")
    {
        section.set(
            "bare_newlines",
            Value::text("normalise"),
            "smtpd_forbid_bare_newline",
        );
    }
    let takes_bare = !layer
        .value("smtpd_recipient_restrictions")
        .contains("reject_non_fqdn_sender")
        && !layer
            .value("smtpd_sender_restrictions")
            .contains("reject_non_fqdn_sender");
    if !listener.is_submission && !listener.is_filtered && takes_bare {
        section.set("bare_addresses", Value::text("complete"), "append_at_myorigin");
    }
}

/// The networks that may relay here, if they differ from the general ones.
fn own_networks(site: &mut Site<'_>, section: &mut Section, listener: &Listener) {
    let main = site.main;
    let layer = main.with(&listener.overrides);
    if layer.overrides("mynetworks") {
        let own = networks::of(site, &layer, "mynetworks");
        let own: Vec<String> = own.iter().map(ToString::to_string).collect();
        section.set("networks", Value::list(own), "mynetworks");
    } else if listener.is_filtered {
        section.set("networks", Value::list(site.networks.clone()), "mynetworks");
    } else if !site.networks.is_empty() && !relays_for_networks(&|name| layer.value(name)) {
        let none: [String; 0] = [];
        section.set(
            "networks",
            Value::list(none),
            "permit_mynetworks is not named there",
        );
    }
}

fn report(site: &mut Site<'_>, service: &Service, listener: &Listener, what: &str) {
    let main = site.main;
    let layer = main.with(&listener.overrides);
    let to = format!(
        "[[listener]] {}",
        listener.names.first().map_or("", String::as_str)
    );
    if !listener.is_submission {
        site.import.carried(&service.at, what, to);
        return;
    }
    let refuses = refuses_strangers(&|name| layer.value(name));
    let difference = if refuses {
        "a client without a login hears so at MAIL (530 5.7.0); Postfix said it at RCPT (554 5.7.1)"
    } else {
        "a client has to log in here; Postfix took mail for its own domains without a login, too"
    };
    site.import.changed(&service.at, what, to, difference);
}

/// Whether one of the lists only accepts known clients.
fn refuses_strangers(value: &dyn Fn(&str) -> String) -> bool {
    LISTS.iter().any(|list| {
        let words = words(&value(list));
        let refusal = words.iter().position(|word| word == "reject");
        refusal.is_some_and(|at| at > 0 && words[..at].iter().all(|word| is_known_client(word)))
    })
}

fn networks_may_submit(value: &dyn Fn(&str) -> String) -> bool {
    let first = LISTS
        .iter()
        .map(|list| words(&value(list)))
        .find(|words| words.iter().any(|word| word == "reject"));
    first.is_some_and(|words| words.iter().any(|word| word == "permit_mynetworks"))
}

/// Whether a list that decides about relaying names the networks, and no earlier one refuses unauthenticated
/// clients in them.
fn relays_for_networks(value: &dyn Fn(&str) -> String) -> bool {
    let names = |list: &str| words(&value(list)).iter().any(|word| word == "permit_mynetworks");
    let shuts_out = |list: &&str| {
        let words = words(&value(list));
        words.iter().any(|word| word == "reject") && !words.iter().any(|word| word == "permit_mynetworks")
    };
    let relay = value("smtpd_relay_restrictions");
    // If neither list says anything, the old default applies: permit_mynetworks, reject_unauth_destination.
    let says_nothing = relay.trim().is_empty() && value("smtpd_recipient_restrictions").trim().is_empty();
    let decides = if says_nothing {
        true
    } else if relay.trim().is_empty() {
        names("smtpd_recipient_restrictions")
    } else {
        names("smtpd_relay_restrictions")
    };
    decides && !LISTS.iter().any(shuts_out)
}

/// `smtp`, `587`, `127.0.0.1:10025`, `[::1]:25`: host and port.
pub(super) fn place(name: &str) -> Option<(Option<String>, u16)> {
    let (host, port) = match name.rsplit_once(':') {
        Some((host, port)) => (Some(host.trim_matches(['[', ']']).to_owned()), port),
        None => (None, name),
    };
    let port = match port {
        "smtp" => 25,
        "smtps" | "submissions" | "urd" => 465,
        "submission" => 587,
        number => number.parse().ok()?,
    };
    Some((host.filter(|host| !host.is_empty()), port))
}

fn named(service: &str, port: u16) -> String {
    match (service, port) {
        ("smtp" | "25", _) => "smtp".to_owned(),
        ("smtps" | "submissions" | "465", _) => "submissions".to_owned(),
        ("587", _) => "submission".to_owned(),
        _ => service.to_owned(),
    }
}

/// The addresses of a service.
fn addresses(site: &mut Site<'_>, host: Option<&str>, port: u16, at: &crate::Origin) -> Vec<String> {
    let protocols = site.words("inet_protocols");
    let has = |name: &str| protocols.iter().any(|known| known == name || known == "all");
    let mut hosts = Vec::new();
    let named = match host {
        Some(host) => vec![host.to_owned()],
        None => site.words("inet_interfaces"),
    };
    for name in named {
        match name.as_str() {
            "all" => {
                hosts.extend(has("ipv4").then(|| "0.0.0.0".to_owned()));
                hosts.extend(has("ipv6").then(|| "[::]".to_owned()));
            }
            "loopback-only" | "localhost" => {
                hosts.extend(has("ipv4").then(|| "127.0.0.1".to_owned()));
                hosts.extend(has("ipv6").then(|| "[::1]".to_owned()));
            }
            name => match name.trim_matches(['[', ']']).parse::<IpAddr>() {
                Ok(IpAddr::V6(address)) => hosts.push(format!("[{address}]")),
                Ok(IpAddr::V4(address)) => hosts.push(address.to_string()),
                Err(_) => {
                    let remedy =
                        format!("names are not looked up: write the address of {name} into [[listener]]");
                    site.import.missing(at, name, Weight::Mail, remedy);
                }
            },
        }
    }
    if hosts.is_empty() {
        hosts.push("0.0.0.0".to_owned());
    }
    hosts.into_iter().map(|host| format!("{host}:{port}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_who_is_shut_out() {
        assert_eq!(place("smtp"), Some((None, 25)));
        assert_eq!(
            place("127.0.0.1:10025"),
            Some((Some("127.0.0.1".to_owned()), 10025))
        );
        assert_eq!(place("[::1]:submission"), Some((Some("::1".to_owned()), 587)));
        assert_eq!(place("nonsense"), None);
        let table = [
            ("permit_sasl_authenticated, reject", true),
            ("permit_mynetworks permit_sasl_authenticated reject", true),
            (
                "reject_unknown_client_hostname, permit_sasl_authenticated, reject",
                false,
            ),
            ("permit_mynetworks, reject_unauth_destination", false),
            ("", false),
        ];
        for (list, expected) in table {
            let value = |name: &str| {
                if name == LISTS[0] {
                    list.to_owned()
                } else {
                    String::new()
                }
            };
            assert_eq!(refuses_strangers(&value), expected, "{list}");
        }
        let relay = |name: &str| match name {
            "smtpd_relay_restrictions" => "permit_mynetworks, reject_unauth_destination".to_owned(),
            _ => String::new(),
        };
        assert!(relays_for_networks(&relay));
    }
}
