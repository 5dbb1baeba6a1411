//! `FEATURE(access_db)`: who may relay, who is refused.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Site, active, table_path};
use crate::Origin;
use crate::config::{Section, Value};
use crate::import::OutputFile;
use crate::report::Weight;

/// The table with the lines that are decided by it, beside the configuration.
const TABLE: &str = "tables/access";

pub(super) fn carry_over(site: &mut Site<'_>) {
    table(site);
    senders_exist(site);
}

/// sendmail refuses senders whose domain does not exist, unless it is told otherwise.
fn senders_exist(site: &mut Site<'_>) {
    if site.mc.feature("accept_unresolvable_domains").is_some() {
        return;
    }
    let mut rule = Section::new(
        "access",
        "sendmail's default, without accept_unresolvable_domains",
    );
    rule.set("name", Value::text("the sender's domain must exist"), "");
    rule.set("fault", Value::text("sender_unknown"), "");
    rule.set("verdict", Value::text("refuse"), "");
    rule.set("code", Value::Plain("553".to_owned()), "");
    rule.set("status", Value::text("5.1.8"), "");
    rule.set(
        "text",
        Value::text("Domain of sender address {sender} does not exist"),
        "",
    );
    if site.mc.feature("delay_checks").is_none() {
        rule.set(
            "at",
            Value::text("mail"),
            "sendmail answers there without delay_checks",
        );
    }
    site.import.config.add(rule);
}

fn table(site: &mut Site<'_>) {
    let mc = site.mc;
    let recipients = mc
        .feature("blacklist_recipients")
        .or_else(|| mc.feature("blocklist_recipients"));
    if let Some((at, _)) = recipients {
        site.carried(at, "FEATURE(blocklist_recipients)", "[[access]] for recipients");
    }
    let Some((at, arguments)) = mc.feature("access_db") else {
        return;
    };
    let path = table_path(arguments.first().map_or("", String::as_str), "access");
    let Some(text) = site.text(&path, at, "FEATURE(access_db)") else {
        return;
    };
    site.carried(at, "FEATURE(access_db)", "[relay], relay_domains, [[access]]");
    let mut read = Read {
        has_recipients: recipients.is_some(),
        ..Read::default()
    };
    let file: Arc<str> = Arc::from(path);
    for (number, line) in active(&text) {
        let at = Origin::line(&file, number);
        match line.split_once(char::is_whitespace) {
            Some((key, value)) => read.line(site, &at, key, value.trim(), line),
            None => site.missing(&at, line, Weight::Mail, "a line without an action"),
        }
    }
    read.put(site);
}

#[derive(Default)]
struct Read {
    has_recipients: bool,
    networks: Vec<String>,
    domains: Vec<String>,
    table: String,
}

impl Read {
    fn line(&mut self, site: &mut Site<'_>, at: &Origin, key: &str, value: &str, line: &str) {
        let (tag, subject) = tagged(key);
        let is_relay = value.eq_ignore_ascii_case("RELAY");
        match (tag, is_relay) {
            ("connect" | "", true) if network(subject).is_some() => {
                self.networks.extend(network(subject));
                site.carried(at, line, "[relay] networks");
            }
            ("connect" | "", true) if subject == "localhost" => {
                self.networks.extend(["127.0.0.0/8".to_owned(), "::1".to_owned()]);
                site.carried(at, line, "[relay] networks");
            }
            // Without a tag it opens the recipients' domain, and, by the manual, clients of that name.
            ("to" | "", true) => {
                self.domains.push(subject.to_owned());
                let difference = "mail to it is taken from anyone, as before; clients of that name may not relay: name their networks";
                if tag == "to" {
                    site.carried(at, line, "relay_domains");
                } else {
                    site.changed(at, line, "relay_domains", difference);
                }
            }
            ("connect", true) => site.missing(
                at,
                line,
                Weight::Mail,
                "clients do not relay by name: put their networks into [relay]",
            ),
            ("to", false) if !self.has_recipients => {
                site.meaningless(at, line, "it has no effect without FEATURE(blocklist_recipients)");
            }
            ("connect" | "from" | "to" | "", false) => {
                self.table.push_str(line);
                self.table.push('\n');
                site.carried(at, line, format!("[[access]], in {TABLE}"));
            }
            ("greetpause", _) => site.missing(
                at,
                line,
                Weight::Detail,
                "[timeouts] greeting_delay is the same for all",
            ),
            ("clientrate" | "clientconn", _) => site.missing(
                at,
                line,
                Weight::Detail,
                "[[limit]] says how much a network may do",
            ),
            ("spam", _) => site.missing(
                at,
                line,
                Weight::Mail,
                "an [[access]] rule above the others accepts what friends get",
            ),
            _ => site.missing(at, line, Weight::Mail, "no such tag is known here"),
        }
    }

    fn put(self, site: &mut Site<'_>) {
        let config = &mut site.import.config;
        if !self.networks.is_empty() {
            config
                .section("relay")
                .set("networks", Value::list(self.networks), "access: RELAY");
        }
        if !self.domains.is_empty() {
            let mut domains = match config.section("").get("relay_domains") {
                Some(Value::List(domains)) => domains.clone(),
                _ => Vec::new(),
            };
            domains.extend(self.domains);
            config.section("").set("relay_domains", Value::list(domains), "");
        }
        if self.table.is_empty() {
            return;
        }
        let mut looked_up = vec!["client", "client_name", "sender"];
        if self.has_recipients {
            looked_up.push("recipient");
        }
        for what in looked_up {
            let mut rule = Section::new("access", "");
            rule.set(
                "name",
                Value::text(format!("access by {}", what.replace('_', " "))),
                "",
            );
            rule.set("verdict", Value::text("table"), "");
            rule.set("table", Value::text(format!("sendmail:{TABLE}")), "");
            rule.set("look_up", Value::text(what), "");
            rule.set("form", Value::text("sendmail"), "");
            if site.mc.feature("delay_checks").is_none() && what != "recipient" {
                rule.set(
                    "at",
                    Value::text("mail"),
                    "sendmail answers there without delay_checks",
                );
            }
            config.add(rule);
        }
        site.import.files.push(OutputFile {
            path: TABLE.to_owned(),
            text: self.table,
            secret: false,
        });
    }
}

/// A key's tag in lower case, and what it is about.
fn tagged(key: &str) -> (&'static str, &str) {
    const TAGS: &[(&str, &str)] = &[
        ("connect:", "connect"),
        ("from:", "from"),
        ("to:", "to"),
        ("spam:", "spam"),
        ("greetpause:", "greetpause"),
        ("clientrate:", "clientrate"),
        ("clientconn:", "clientconn"),
        ("tls_srv:", "tls"),
        ("tls_clt:", "tls"),
        ("tls_rcpt:", "tls"),
        ("try_tls:", "tls"),
        ("srv_features:", "tls"),
        ("certissuer:", "tls"),
        ("certsubject:", "tls"),
    ];
    for (start, tag) in TAGS {
        if key
            .get(..start.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(start))
        {
            return (tag, &key[start.len()..]);
        }
    }
    ("", key)
}

/// The network that a key of sendmail's means: whole or leading octets of an address, or `IPv6:` with leading groups.
fn network(key: &str) -> Option<String> {
    if let Some(groups) = key.strip_prefix("IPv6:") {
        if groups.parse::<IpAddr>().is_ok() {
            return Some(groups.to_owned());
        }
        let groups: Vec<&str> = groups.split(':').collect();
        let are_groups = groups.iter().all(|group| u16::from_str_radix(group, 16).is_ok());
        return are_groups.then(|| format!("{}::/{}", groups.join(":"), groups.len() * 16));
    }
    let octets: Vec<&str> = key.split('.').collect();
    if octets.len() > 4 || !octets.iter().all(|octet| octet.parse::<u8>().is_ok()) {
        return None;
    }
    let mut whole = octets.clone();
    whole.resize(4, "0");
    Some(if octets.len() == 4 {
        key.to_owned()
    } else {
        format!("{}/{}", whole.join("."), octets.len() * 8)
    })
}
