//! What has arrived at next hops and in mailboxes, and whether it is as expected.

use std::fs;
use std::path::Path;

use postern_testkit::hops::Arrival;
use serde_json::{Value, json};

use crate::machine::Machine;
use crate::site::{Probe, Site};

/// A copy of a message at its destination.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    /// The address with its port, the name of a socket, or `box` and the mailbox.
    at: String,
    mail: String,
    /// Empty for a mailbox.
    rcpt: String,
    /// Unknown for a mailbox.
    tls: Option<bool>,
    login: Option<String>,
    content: String,
}

impl Copy {
    /// The copies received by a next hop.
    pub(crate) fn of(arrival: &Arrival) -> Vec<Self> {
        let one = |rcpt: &String| Self {
            at: arrival.at.clone(),
            mail: arrival.mail.clone(),
            rcpt: rcpt.clone(),
            tls: Some(arrival.tls),
            login: arrival.login.clone(),
            content: arrival.content.clone(),
        };
        arrival.rcpt.iter().map(one).collect()
    }

    fn in_mailbox(mailbox: &str, content: &str) -> Self {
        let sender = field(content, "Return-Path").or_else(|| {
            let line = content.lines().next()?.strip_prefix("From ")?;
            line.split_whitespace().next().map(str::to_owned)
        });
        Self {
            at: format!("box {mailbox}"),
            mail: sender.unwrap_or_default().trim_matches(['<', '>']).to_owned(),
            rcpt: String::new(),
            tls: None,
            login: None,
            content: content.to_owned(),
        }
    }

    fn is_marked(&self, mark: &str) -> bool {
        self.content
            .lines()
            .any(|line| line.trim_end() == format!("X-Probe: {mark}"))
    }

    fn shown(&self) -> String {
        shown(&self.at, &self.mail, &self.rcpt)
    }
}

/// Everything in mailboxes.
pub(crate) fn in_mailboxes(machine: &Machine, boxes: &[String]) -> Vec<Copy> {
    let mut copies = Vec::new();
    for folder in boxes {
        walk(&machine.path(folder), folder.trim_start_matches('/'), &mut copies);
    }
    walk(&machine.root.join("var/mail"), "var/mail", &mut copies);
    walk(&machine.root.join("home"), "home", &mut copies);
    walk(&machine.root.join("var/lib/postern/mail"), "maildir", &mut copies);
    copies
}

/// Mailboxes below a folder: each file is an mbox, each folder containing `new` a Maildir.
fn walk(folder: &Path, name: &str, copies: &mut Vec<Copy>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, below) = (
            entry.path(),
            format!("{name}/{}", entry.file_name().to_string_lossy()),
        );
        if path.join("new").is_dir() {
            for message in fs::read_dir(path.join("new")).into_iter().flatten().flatten() {
                let content = fs::read(message.path()).unwrap_or_default();
                copies.push(Copy::in_mailbox(&below, &String::from_utf8_lossy(&content)));
            }
        } else if path.is_dir() {
            walk(&path, &below, copies);
        } else {
            let mbox = fs::read(&path).unwrap_or_default();
            let mbox = String::from_utf8_lossy(&mbox);
            let messages = format!("\n{mbox}");
            for message in messages.split("\nFrom ").skip(1) {
                copies.push(Copy::in_mailbox(&below, &format!("From {message}")));
            }
        }
    }
}

/// What happened to a message, as fields of `probes.json`.
pub(crate) fn recorded(site: &Site, mark: &str, copies: &[Copy]) -> Vec<(&'static str, Value)> {
    let own: Vec<&Copy> = copies.iter().filter(|copy| copy.is_marked(mark)).collect();
    let mut goes: Vec<[String; 3]> = own
        .iter()
        .map(|copy| {
            let place = place_of(site, &copy.at);
            [place, copy.mail.clone(), copy.rcpt.clone()]
        })
        .collect();
    goes.sort();
    let mut fields_of = vec![("goes", json!(goes))];
    let Some(first) = own.first() else {
        return fields_of;
    };
    let all = |same: &dyn Fn(&Copy) -> bool| own.iter().all(|copy| same(copy));
    let mut with = serde_json::Map::new();
    // If the old server did not use TLS, using it is fine.
    if all(&|copy| copy.tls == Some(true)) {
        with.insert("tls".to_owned(), json!(true));
    }
    if first.login.is_some() && all(&|copy| copy.login == first.login) {
        with.insert("login".to_owned(), json!(first.login));
    }
    if !with.is_empty() {
        fields_of.push(("with", Value::Object(with)));
    }
    let from = |copy: &Copy| field(&copy.content, "From").map(|it| it.trim_matches(['<', '>']).to_owned());
    if all(&|copy| from(copy) == from(first) && !copy.mail.is_empty()) {
        fields_of.push(("hfrom", json!(from(first))));
    }
    fields_of
}

/// The other way round: the name of the host at an address, with its port.
fn place_of(site: &Site, at: &str) -> String {
    let Some((address, port)) = at.rsplit_once(':').filter(|_| !at.starts_with("box ")) else {
        return at.to_owned();
    };
    let dns = &site.probes.dns;
    let has_it = |name: &&String| site.address_of(name) == Some(address);
    // Of several names, the one to which mail is sent.
    let is_exchanger = |name: &&String| {
        dns.values().any(|records| {
            let mx = records.get("MX").into_iter().flatten();
            mx.filter_map(|mx| mx.get(1)?.as_str())
                .any(|host| host == name.as_str())
        })
    };
    let names = || dns.keys().filter(has_it);
    let host = names().find(is_exchanger).or_else(|| names().next());
    let host = host.map_or(address, String::as_str);
    if port == "25" {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    }
}

/// Deviations from what is expected; empty if none.
pub(crate) fn faults(site: &Site, expected: &Probe, mark: &str, copies: &[Copy]) -> Vec<String> {
    let own: Vec<&Copy> = copies.iter().filter(|copy| copy.is_marked(mark)).collect();
    let mut goes: Vec<String> = own.iter().map(|copy| copy.shown()).collect();
    let mut wanted: Vec<String> = expected
        .goes
        .iter()
        .map(|(place, mail, rcpt)| shown(&address(site, place), mail, rcpt))
        .collect();
    goes.sort();
    wanted.sort();
    let mut faults = Vec::new();
    if goes != wanted {
        faults.push(format!("went to {}, not to {}", listed(&goes), listed(&wanted)));
    }
    for copy in own {
        header_faults(expected, copy, &mut faults);
    }
    faults
}

fn header_faults(expected: &Probe, copy: &Copy, faults: &mut Vec<String>) {
    let text = unfolded(&copy.content);
    for (name, part) in &expected.has {
        if !fields(&text, name).any(|value| value.contains(part.as_str())) {
            let there: Vec<&str> = fields(&text, name).collect();
            faults.push(format!("{name} does not say {part:?}: {there:?}"));
        }
    }
    for name in &expected.hasnot {
        if let Some(value) = fields(&text, name).next() {
            faults.push(format!("has {name}: {value}"));
        }
    }
    if let Some(from) = &expected.hfrom {
        let there: Vec<&str> = fields(&text, "From")
            .map(|value| value.trim_matches(['<', '>']))
            .collect();
        if there != [from.as_str()] {
            faults.push(format!("From is {there:?}, not {from}"));
        }
    }
    if let (Some(tls), Some(wanted)) = (copy.tls, expected.with.tls)
        && tls != wanted
    {
        faults.push(format!("TLS is {tls}"));
    }
    if expected.with.login.is_some() && copy.login != expected.with.login {
        faults.push(format!(
            "logged in as {:?}, not {:?}",
            copy.login, expected.with.login
        ));
    }
}

/// `host`, `host:port`, `name [address]:port`, with or without `bounce at` before it, as address and port.
fn address(site: &Site, place: &str) -> String {
    if place.starts_with("box ") || site.lab.lmtp.contains_key(place) {
        return place.to_owned();
    }
    let place = place.strip_prefix("bounce at ").unwrap_or(place);
    let (host, port) = match place.rsplit_once(['[', ']']) {
        Some((before, port)) => (
            before.rsplit('[').next().unwrap_or(before),
            port.trim_start_matches(':'),
        ),
        None => place.split_once(':').unwrap_or((place, "")),
    };
    let host = site.address_of(host).unwrap_or(host);
    format!("{host}:{}", if port.is_empty() { "25" } else { port })
}

/// An address that was rewritten for forwarding, without its hash and its day.
fn without_hash(address: &str) -> String {
    let mut parts = address.splitn(4, '=');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("SRS0"), Some(_), Some(_), Some(rest)) => format!("SRS0=HASH=DAY={rest}"),
        _ => address.to_owned(),
    }
}

/// An address with its domain in lower case, the form used for comparison.
fn folded(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((user, domain)) => format!("{user}@{}", domain.to_lowercase()),
        None => address.to_owned(),
    }
}

fn shown(at: &str, mail: &str, rcpt: &str) -> String {
    let (mail, rcpt) = (&folded(mail), &folded(rcpt));
    // The name under which sendmail writes mail without a sender into a mailbox.
    let mail = if mail.starts_with("MAILER-DAEMON") {
        String::new()
    } else {
        without_hash(mail)
    };
    if rcpt.is_empty() {
        format!("{at} from <{mail}>")
    } else {
        format!("{at} <{mail}> -> <{rcpt}>")
    }
}

fn listed(places: &[String]) -> String {
    if places.is_empty() {
        "nowhere".to_owned()
    } else {
        places.join("; ")
    }
}

/// The first field with a name in a message.
fn field(content: &str, name: &str) -> Option<String> {
    let text = unfolded(content);
    fields(&text, name).next().map(str::to_owned)
}

/// The header, each field on one line.
fn unfolded(content: &str) -> String {
    let content = content.replace("\r\n", "\n");
    let header = content.split("\n\n").next().unwrap_or_default();
    header.replace("\n ", " ").replace("\n\t", " ")
}

fn fields<'a>(header: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    header.lines().filter_map(move |line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
