//! Right sides of Postfix's transport(5) and sendmail's mailertable, as targets of routes.

use std::net::IpAddr;

use postern_mail::Domain;

use super::hop::{Hop, HopHost};
use super::target::{Protocol, Target};
use crate::alias::{BadRefusal, RefusalText};

/// The table that an entry is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EntryForm {
    /// Postfix's transport(5).
    Transport,
    /// sendmail's mailertable.
    Mailertable,
}

/// An invalid entry.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadEntry {
    /// There is no such transport or mailer here.
    #[error("unknown transport {0:?}; write a [[route]] for it, with `via`, `to` and its limits")]
    Transport(String),
    /// `local:` with a name.
    #[error("`local:{0}` sends all mail to one user; write an [[alias]] with `to = [{0:?}]` for it")]
    LocalUser(String),
    /// The host is invalid.
    #[error(
        "{0:?} is not a next hop; write \"smtp:[host]:port\", \"smtp:host\" for its MX records, or \"lmtp:unix:/path\""
    )]
    Host(String),
    /// The refusal is invalid.
    #[error(transparent)]
    Refusal(#[from] BadRefusal),
}

/// Reads the right side of an entry.
///
/// A host in brackets is looked up directly, one without by its MX records; no host means the MX records of the recipient's
/// domain. Several hosts are tried in order. `port` is the default port.
///
/// # Errors
///
/// [`BadEntry`].
pub fn target_of(value: &str, form: EntryForm, port: u16) -> Result<Target, BadEntry> {
    let value = value.trim();
    let (transport, rest) = value.split_once(':').unwrap_or(match form {
        // Only a host, as in old mailertables, or a transport without its colon.
        EntryForm::Mailertable => ("", value),
        EntryForm::Transport => (value, ""),
    });
    let rest = rest.trim();
    match (transport.trim().to_ascii_lowercase().as_str(), form) {
        ("error", EntryForm::Transport) => Ok(Target::Refuse(RefusalText::parse(rest)?)),
        ("error", EntryForm::Mailertable) => Ok(Target::Refuse(RefusalText::parse_error_mailer(rest)?)),
        ("retry", EntryForm::Transport) => Ok(Target::Refuse(deferred(rest)?)),
        ("discard", _) => Ok(Target::Discard),
        ("local" | "virtual", EntryForm::Transport) => Ok(Target::Local),
        ("local", EntryForm::Mailertable) if rest.is_empty() => Ok(Target::Local),
        ("local", EntryForm::Mailertable) => Err(BadEntry::LocalUser(rest.to_owned())),
        ("pipe", _) => pipe(rest),
        ("lmtp", _) => hosts(rest, Protocol::Lmtp, form, 24),
        ("smtp" | "relay" | "", _) | ("esmtp" | "smtp8" | "dsmtp", EntryForm::Mailertable) => {
            hosts(rest, Protocol::Smtp, form, port)
        }
        _ => Err(BadEntry::Transport(transport.to_owned())),
    }
}

/// `name` of a program, or `name:next_hop`.
fn pipe(text: &str) -> Result<Target, BadEntry> {
    let (name, next_hop) = text.split_once(':').unwrap_or((text, ""));
    let (name, next_hop) = (name.trim(), next_hop.trim());
    if name.is_empty() || text.chars().any(char::is_control) {
        return Err(BadEntry::Transport(format!("pipe:{text}")));
    }
    Ok(Target::Pipe {
        name: name.into(),
        next_hop: next_hop.into(),
    })
}

/// Postfix's `retry:`, which defers mail.
fn deferred(text: &str) -> Result<RefusalText, BadRefusal> {
    let read = RefusalText::parse(text)?;
    if read.status.0 == 4 {
        return Ok(read);
    }
    let (status, text) = (read.status, read.text);
    RefusalText::parse(&format!("450 4.{}.{} {text}", status.1, status.2))
}

fn hosts(text: &str, protocol: Protocol, form: EntryForm, port: u16) -> Result<Target, BadEntry> {
    if text.is_empty() {
        return match protocol {
            Protocol::Smtp => Ok(Target::Mx),
            Protocol::Lmtp => Err(BadEntry::Host(text.to_owned())),
        };
    }
    let names: Vec<&str> = match form {
        EntryForm::Transport => text
            .split([',', ' ', '\t'])
            .filter(|name| !name.is_empty())
            .collect(),
        EntryForm::Mailertable => colons(text),
    };
    let via = names
        .into_iter()
        .map(|name| hop(name, protocol, port))
        .collect::<Result<Vec<Hop>, BadEntry>>()?;
    Ok(Target::Hosts { via, protocol })
}

/// Splits at colons outside of brackets.
fn colons(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.split(|c| {
        inside = (inside || c == '[') && c != ']';
        c == ':' && !inside
    })
    .filter(|name| !name.is_empty())
    .collect()
}

fn hop(text: &str, protocol: Protocol, default_port: u16) -> Result<Hop, BadEntry> {
    let bad = || BadEntry::Host(text.to_owned());
    if protocol == Protocol::Lmtp && text.starts_with("unix:") {
        return Hop::parse(text, default_port).map_err(|_| bad());
    }
    let name = match protocol {
        Protocol::Lmtp => text.strip_prefix("inet:").unwrap_or(text),
        Protocol::Smtp => text,
    };
    if let Some(rest) = name.strip_prefix('[') {
        let (host, tail) = rest.split_once(']').ok_or_else(bad)?;
        let port = match tail.strip_prefix(':') {
            Some(port) => number(port).ok_or_else(bad)?,
            None if tail.is_empty() => default_port,
            None => return Err(bad()),
        };
        let literal = host.strip_prefix("IPv6:").or_else(|| host.strip_prefix("ipv6:"));
        let host = match literal.unwrap_or(host).parse::<IpAddr>() {
            Ok(ip) => HopHost::Ip(ip),
            Err(_) => HopHost::Name(name_of(host).ok_or_else(bad)?),
        };
        return Ok(Hop { host, port });
    }
    let (host, port) = match name.split_once(':') {
        Some((host, port)) => (host, number(port).ok_or_else(bad)?),
        None => (name, default_port),
    };
    let host = match host.parse::<IpAddr>() {
        Ok(ip) => HopHost::Ip(ip),
        // LMTP servers have no MX records.
        Err(_) if protocol == Protocol::Lmtp => HopHost::Name(name_of(host).ok_or_else(bad)?),
        Err(_) => HopHost::Mx(name_of(host).ok_or_else(bad)?),
    };
    Ok(Hop { host, port })
}

fn name_of(host: &str) -> Option<Box<str>> {
    match Domain::parse(host, true) {
        Ok(Domain::Name(name)) => Some(name),
        _ => None,
    }
}

fn number(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|octet| octet.is_ascii_digit());
    port.parse().ok().filter(|port| digits && *port != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(value: &str, form: EntryForm) -> String {
        match target_of(value, form, 25) {
            Ok(Target::Hosts { via, protocol }) => {
                let hops: Vec<String> = via.iter().map(ToString::to_string).collect();
                format!("{protocol:?} {}", hops.join(" "))
            }
            Ok(Target::Pipe { name, next_hop }) => format!("Pipe {name} {next_hop}"),
            Ok(Target::Refuse(text)) => format!("refuse {text}"),
            Ok(target) => format!("{target:?}"),
            Err(error) => format!("! {error}"),
        }
    }

    #[test]
    fn right_sides() {
        use EntryForm::{Mailertable, Transport};
        #[rustfmt::skip]
        let cases = [
            // what the case shows            written                                  form         leads to
            ("a host in brackets",            "smtp:[10.2.0.10]",                      Transport,   "Smtp 10.2.0.10:25"),
            ("with a port",                   "smtp:[10.2.0.12]:2525",                 Transport,   "Smtp 10.2.0.12:2525"),
            ("a name in brackets",            "relay:[mx.b.test]",                     Transport,   "Smtp mx.b.test:25"),
            ("a name whose MX is asked",      "smtp:mail.partner.example",             Transport,   "Smtp mx:mail.partner.example:25"),
            ("with a port",                   "smtp:mail.partner.example:26",          Transport,   "Smtp mx:mail.partner.example:26"),
            ("the domain's own MX",           "smtp:",                                 Transport,   "Mx"),
            ("the usual transport",           ":[10.2.0.10]",                          Transport,   "Smtp 10.2.0.10:25"),
            ("several hosts",                 "smtp:[10.0.0.1], [10.0.0.2]:26",        Transport,   "Smtp 10.0.0.1:25 10.0.0.2:26"),
            ("IPv6",                          "smtp:[2001:db8::1]:26",                 Transport,   "Smtp [2001:db8::1]:26"),
            ("IPv6, as a literal",            "smtp:[IPv6:2001:db8::1]",               Transport,   "Smtp [2001:db8::1]:25"),
            ("LMTP by TCP",                   "lmtp:inet:10.2.0.11:24",                Transport,   "Lmtp 10.2.0.11:24"),
            ("LMTP by name",                  "lmtp:store.b.test",                     Transport,   "Lmtp store.b.test:24"),
            ("LMTP by a socket",              "lmtp:unix:/run/dovecot/lmtp",           Transport,   "Lmtp unix:/run/dovecot/lmtp"),
            ("a refusal",                     "error:5.1.2 out of business",           Transport,   "refuse 550 5.1.2 out of business"),
            ("mail is put off",               "retry:5.3.0 later",                     Transport,   "refuse 450 4.3.0 later"),
            ("thrown away",                   "discard:",                              Transport,   "Discard"),
            ("a program",                     "pipe:mailman",                          Transport,   "Pipe mailman "),
            ("with a next hop",               "pipe:mailman:lists.b.test",             Transport,   "Pipe mailman lists.b.test"),
            ("here",                          "local:",                                Transport,   "Local"),
            ("a transport that is none here", "mailman:",                              Transport,   "! unknown transport \"mailman\"; write a [[route]] for it, with `via`, `to` and its limits"),
            ("a mailer and a host",           "esmtp:[10.1.1.20]",                     Mailertable, "Smtp 10.1.1.20:25"),
            ("a second host",                 "esmtp:[10.1.1.30]:[10.1.1.31]",         Mailertable, "Smtp 10.1.1.30:25 10.1.1.31:25"),
            ("a host whose MX is asked",      "esmtp:mx2.grumpy.example",              Mailertable, "Smtp mx:mx2.grumpy.example:25"),
            ("IPv6 has colons of its own",    "relay:[IPv6:2001:db8::1]:[10.0.0.1]",   Mailertable, "Smtp [2001:db8::1]:25 10.0.0.1:25"),
            ("the relay mailer",              "relay:[203.0.113.40]",                  Mailertable, "Smtp 203.0.113.40:25"),
            ("a refusal with both codes",     "error:5.1.2:550 does not exist",        Mailertable, "refuse 550 5.1.2 does not exist"),
            ("a refusal without any code",    "error:nobody is there",                 Mailertable, "refuse 553 5.3.0 nobody is there"),
            ("the same, by Postfix",          "error:nobody is there",                 Transport,   "refuse 550 5.1.1 nobody is there"),
            ("a refusal by a word",           "error:nohost no such host",             Mailertable, "refuse 553 5.1.2 no such host"),
            ("one user for all",              "local:root",                            Mailertable, "! `local:root` sends all mail to one user; write an [[alias]] with `to = [\"root\"]` for it"),
            ("no host",                       "smtp:[]",                               Transport,   "! \"[]\" is not a next hop; write \"smtp:[host]:port\", \"smtp:host\" for its MX records, or \"lmtp:unix:/path\""),
        ];
        for (shows, value, form, wanted) in cases {
            assert_eq!(shown(value, form), wanted, "{shows}");
        }
    }

    proptest! {
        #[test]
        fn any_text(value in "[a-c:\\[\\]., 0-9/]{0,30}", prefix in "(smtp:|lmtp:|error:|esmtp:)?") {
            for form in [EntryForm::Transport, EntryForm::Mailertable] {
                if let Ok(Target::Hosts { via, .. }) = target_of(&format!("{prefix}{value}"), form, 25) {
                    prop_assert!(via.iter().all(|hop| hop.port != 0 || matches!(hop.host, HopHost::Unix(_))));
                }
            }
        }
    }
}
