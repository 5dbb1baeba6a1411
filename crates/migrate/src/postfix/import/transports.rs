//! Right-hand sides of transport tables, `relayhost` and the like: where mail goes, and with which transport settings.

use std::collections::BTreeSet;

use super::super::Service;
use super::Site;
use super::pipes;
use super::tables::{Edit, Entry};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;
use crate::settings::Time;

/// Where mail goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Target {
    /// The hosts of the recipient domain's MX records.
    Mx,
    /// These hosts.
    Hosts(Vec<String>),
    /// These hosts, by LMTP.
    Lmtp(Vec<String>),
    /// Nowhere: it is refused with this text.
    Refused(String),
    /// To a program.
    Program(String),
    /// To mailboxes here.
    Local,
    /// Nowhere: it is discarded.
    Discarded,
}

/// A target with its transport's own settings.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) target: Target,
    /// Settings of the transport.
    pub(super) lane: Vec<(&'static str, Value)>,
    /// The next hop as Postfix writes it, under which TLS policies and passwords are found.
    pub(super) next_hop: String,
    /// The TLS level of the transport, if it sets its own.
    pub(super) tls: Option<String>,
    /// Whether implicit TLS is used.
    pub(super) is_implicit: bool,
    /// Whether a table here would use the same words.
    pub(super) is_plain: bool,
}

/// The meaning of a transport table's right-hand side. `None` if mail cannot be routed that way; then it is in the
/// report.
pub(super) fn way(site: &mut Site<'_>, text: &str, at: &Origin, what: &str) -> Option<Way> {
    let text = text.trim();
    let (transport, next_hop) = text.split_once(':').unwrap_or((text, ""));
    let transport = if transport.is_empty() { "smtp" } else { transport };
    let service = site.master.service(transport, "unix").cloned();
    let command = service
        .as_ref()
        .map_or(transport, |service| service.command.as_str())
        .to_owned();
    if service.is_some() {
        site.lanes.insert(transport.to_owned());
    }
    let target = match command.as_str() {
        "smtp" | "relay" => match hosts(next_hop) {
            hosts if hosts.is_empty() => Target::Mx,
            hosts => Target::Hosts(hosts),
        },
        "lmtp" => Target::Lmtp(lmtp_hosts(site, next_hop)),
        "error" | "retry" => Target::Refused(refusal(next_hop, transport == "retry")),
        "discard" => Target::Discarded,
        "local" | "virtual" => Target::Local,
        "pipe" => {
            let service = service.clone()?;
            match pipes::pipe(site, &service) {
                Some(name) => Target::Program(name),
                None => {
                    let remedy = "its mail is refused for now, until a [[route]] says where to: see what is said of its program";
                    site.import.missing(at, what, Weight::Mail, remedy);
                    return None;
                }
            }
        }
        _ => {
            site.lanes.insert(transport.to_owned());
            let remedy = format!(
                "\"{transport}\" is no transport that is known here: write a [[route]] with `via`, or with `to = \"pipe\"`. Until then its mail is \
                 refused for now"
            );
            site.import.missing(at, what, Weight::Mail, remedy);
            return None;
        }
    };
    let mut way = Way {
        target,
        lane: Vec::new(),
        next_hop: next_hop.to_owned(),
        tls: None,
        is_implicit: site.layer().is_on("smtp_tls_wrappermode"),
        is_plain: matches!(
            transport,
            "smtp" | "relay" | "error" | "retry" | "discard" | "local" | "virtual"
        ),
    };
    if let Some(service) = &service {
        lane(site, service, &mut way);
    }
    parameters_of(site, transport, &mut way);
    if !way.lane.is_empty() || way.tls.is_some() {
        way.is_plain = false;
    }
    Some(way)
}

/// A `master.cf` service's own settings for its connections.
fn lane(site: &mut Site<'_>, service: &Service, way: &mut Way) {
    let is_own = !matches!(
        service.name.as_str(),
        "smtp" | "relay" | "lmtp" | "error" | "retry" | "discard" | "local" | "virtual"
    );
    if let Some(most) = service
        .processes
        .filter(|most| is_own && (1..=100).contains(most))
    {
        way.lane.push(("connections_per_destination", Value::plain(most)));
    }
    for (name, value) in &service.overrides {
        let value = value.what.trim().to_owned();
        match name.as_str() {
            "smtp_helo_name" => way
                .lane
                .push(("helo_name", Value::text(site.written_out(&value)))),
            "smtp_bind_address" | "smtp_bind_address6" => push(&mut way.lane, "source_address", &value),
            "inet_protocols" if value == "ipv4" => way.lane.push(("ip", Value::text("v4"))),
            "inet_protocols" if value == "ipv6" => way.lane.push(("ip", Value::text("v6"))),
            "smtp_address_preference" if value != "any" => {
                let word = if value == "ipv4" { "prefer-v4" } else { "prefer-v6" };
                way.lane.push(("ip", Value::text(word)));
            }
            "smtp_tls_security_level" => way.tls = Some(value),
            "smtp_tls_wrappermode" => way.is_implicit = value == "yes",
            _ => {}
        }
    }
}

fn push(lane: &mut Vec<(&'static str, Value)>, key: &'static str, value: &str) {
    match lane.iter_mut().find(|(known, _)| *known == key) {
        Some((_, Value::List(list))) => list.push(value.to_owned()),
        _ => lane.push((key, Value::list([value]))),
    }
}

/// `slow_destination_rate_delay` and the like in `main.cf`.
fn parameters_of(site: &mut Site<'_>, transport: &str, way: &mut Way) {
    const LIMITS: [(&str, &str); 2] = [
        ("destination_concurrency_limit", "connections_per_destination"),
        ("destination_recipient_limit", "recipients_per_transaction"),
    ];
    for (end, key) in LIMITS {
        let parameter = format!("{transport}_{end}");
        if let Some(number) = site
            .value(&parameter)
            .parse::<u32>()
            .ok()
            .filter(|number| *number > 0)
        {
            way.lane.retain(|(known, _)| *known != key);
            way.lane.push((key, Value::plain(number)));
            site.carried(&parameter, format!("[[route]] {key}"));
        }
    }
    let parameter = format!("{transport}_destination_rate_delay");
    if let Some(delay) = seconds(&site.value(&parameter)).filter(|delay| *delay > 0) {
        let rate = 1.0 / f64::from(delay);
        way.lane.push((
            "rate_per_destination",
            Value::plain(format!("{:?}", (rate * 1000.0).round() / 1000.0)),
        ));
        site.carried(&parameter, "[[route]] rate_per_destination");
    }
}

fn seconds(time: &str) -> Option<u32> {
    u32::try_from(Time::read(time, "s")?.seconds).ok()
}

/// Transport parameters that were not carried over.
pub(super) fn leftovers(site: &mut Site<'_>) {
    let left: BTreeSet<String> = site
        .main
        .parameters()
        .map(|(name, _)| name.to_owned())
        .filter(|name| !site.told.contains(name) && name.contains("_destination_"))
        .collect();
    for name in left {
        let transport = name.split("_destination_").next().unwrap_or_default().to_owned();
        match transport.as_str() {
            "default" | "smtp" | "relay" => of_all(site, &name),
            "lmtp" | "virtual" | "local" | "dovecot" => {
                let why = "who keeps the mailboxes answers for each recipient by itself (LMTP)";
                site.meaningless(&name, why);
            }
            _ if site.lanes.contains(&transport) => {
                let remedy = "Set limits in a [[route]] if the next hop needs them.";
                site.missing(&name, Weight::Detail, remedy);
            }
            _ => site.meaningless(&name, "no mail goes by that transport"),
        }
    }
}

fn of_all(site: &mut Site<'_>, name: &str) {
    let key = if name.ends_with("concurrency_limit") {
        "connections_per_destination"
    } else if name.ends_with("recipient_limit") {
        "recipients_per_transaction"
    } else {
        let remedy = "look whether next hops are to be spared: see the limits of [delivery]";
        return site.missing(name, Weight::Detail, remedy);
    };
    match site.value(name).parse::<u32>() {
        Ok(number) if number > 0 => site.set("delivery", key, Value::plain(number), name),
        _ => site.meaningless(name, "0 means no limit"),
    }
}

/// `[host]:587`, `host`, several with commas: those in brackets are used directly, for others MX records are looked up.
pub(super) fn hosts(text: &str) -> Vec<String> {
    let parts = text.split([',', ' ', '\t']).filter(|part| !part.is_empty());
    parts.map(host).collect()
}

fn host(text: &str) -> String {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        let port = rest.strip_prefix(':').map_or("25", port);
        let host = host.trim_start_matches("IPv6:").trim_start_matches("ipv6:");
        return if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
    }
    match text.split_once(':') {
        Some((host, name)) => format!("mx:{host}:{}", port(name)),
        None => format!("mx:{text}:25"),
    }
}

/// A host with its port as in tables; a socket unchanged.
fn bracketed(host: &str) -> String {
    match host.rsplit_once(':') {
        Some((name, port)) if !host.starts_with("unix:") => {
            format!("[{}]:{port}", name.trim_matches(['[', ']']))
        }
        _ => host.to_owned(),
    }
}

/// A port, which may be the name of a service.
fn port(name: &str) -> &str {
    match name {
        "smtp" => "25",
        "submission" => "587",
        "smtps" | "submissions" => "465",
        number => number,
    }
}

/// `unix:private/dovecot-lmtp`, `inet:10.2.0.11:24`, `[host]:24`.
pub(super) fn lmtp_hosts(site: &Site<'_>, text: &str) -> Vec<String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return vec![format!("unix:{}", site.below_queue(path))];
    }
    let text = text.strip_prefix("inet:").unwrap_or(text);
    let hosts = hosts(text);
    let ports = text.contains("]:") || !text.starts_with('[') && text.contains(':');
    hosts
        .into_iter()
        .map(|host| {
            let host = host.strip_prefix("mx:").unwrap_or(&host).to_owned();
            if ports {
                host
            } else {
                format!("{}:24", host.trim_end_matches(":25"))
            }
        })
        .collect()
}

/// `5.1.2 text`, with or without a code, as in `[[route]] refuse`.
pub(super) fn refusal(text: &str, is_for_now: bool) -> String {
    let text = text.trim();
    let (digit, code) = if is_for_now { ('4', "450") } else { ('5', "550") };
    let is_status = |word: &str| {
        word.split('.').count() == 3 && word.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.')
    };
    match text.split_once(' ') {
        Some((status, words)) if is_status(status) => {
            let code = if status.starts_with('4') { "450" } else { code };
            format!("{code} {status} {}", words.trim())
        }
        _ if text.is_empty() => format!("{code} {digit}.0.0 Undeliverable"),
        _ => format!("{code} {digit}.0.0 {text}"),
    }
}

/// The replacement for a `FILTER` result in the copy of an access table or check; `None` if it may stay.
pub(super) fn filter(site: &mut Site<'_>, entry: &Entry, what: &str) -> Option<Edit> {
    let (_, said) = entry.value.split_once(char::is_whitespace)?;
    let Some(way) = way(site, said, &entry.at, what) else {
        return Some(Edit::Drop);
    };
    if way.is_plain {
        return None;
    }
    let plain = way.plain()?;
    let difference = "mail goes there with the settings of all other mail, not with those of its transport";
    site.import.changed(&entry.at, what, "detour", difference);
    Some(Edit::Say(format!("{} FILTER {plain}", entry.key)))
}

impl Way {
    /// The same target with a transport known without `master.cf`; `None` if there is none.
    pub(super) fn plain(&self) -> Option<String> {
        match &self.target {
            Target::Mx | Target::Hosts(_) => Some(format!("smtp:{}", self.next_hop)),
            Target::Lmtp(hosts) => {
                let hosts: Vec<String> = hosts.iter().map(|host| bracketed(host)).collect();
                Some(format!("lmtp:{}", hosts.join(", ")))
            }
            Target::Program(name) => Some(format!("pipe:{name}:{}", self.next_hop)),
            Target::Refused(_) | Target::Local | Target::Discarded => None,
        }
    }

    /// Sets where mail goes, and the settings of its transport.
    pub(super) fn put(&self, route: &mut Section) {
        match &self.target {
            Target::Mx => {
                route.set("to", Value::text("mx"), "");
            }
            Target::Hosts(hosts) => {
                route.set("via", Value::list(hosts.clone()), "");
            }
            Target::Lmtp(hosts) => {
                route.set("via", Value::list(hosts.clone()), "");
                route.set("protocol", Value::text("lmtp"), "");
            }
            Target::Refused(text) => {
                route.set("to", Value::text("refuse"), "");
                route.set("refuse", Value::text(text.clone()), "");
            }
            Target::Program(name) => {
                route.set("to", Value::text("pipe"), "");
                route.set("pipe", Value::text(name.clone()), "");
            }
            Target::Local => {
                route.set("to", Value::text("local"), "");
            }
            Target::Discarded => {
                route.set("to", Value::text("discard"), "");
            }
        }
        for (key, value) in &self.lane {
            route.set(key, value.clone(), "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_hops_and_refusals() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("[smtp.provider.example]:587", &["smtp.provider.example:587"]),
            ("[10.8.0.60]", &["10.8.0.60:25"]),
            ("[2001:db8::1]:submission", &["[2001:db8::1]:587"]),
            ("[ipv6:2001:db8::1]", &["[2001:db8::1]:25"]),
            ("mail.partner.example", &["mx:mail.partner.example:25"]),
            (
                "a.example:2525, [b.example]",
                &["mx:a.example:2525", "b.example:25"],
            ),
        ];
        for (text, expected) in table {
            assert_eq!(&hosts(text), expected, "{text}");
        }
        assert_eq!(
            refusal("5.1.2 out of business", false),
            "550 5.1.2 out of business"
        );
        assert_eq!(refusal("gone", false), "550 5.0.0 gone");
        assert_eq!(refusal("4.2.1 later", false), "450 4.2.1 later");
        assert_eq!(refusal("", true), "450 4.0.0 Undeliverable");
    }
}
