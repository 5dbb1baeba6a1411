//! `FEATURE(access_db)`: who may relay, who is refused, who is accepted regardless of DNS lists.

use std::sync::Arc;

use super::keys::{network, pattern, tagged};
use super::{Site, certificates, table_path};
use crate::Origin;
use crate::config::{Section, Value};
use crate::import::OutputFile;
use crate::report::Weight;

/// The table with the lines that it decides, next to the configuration.
const TABLE: &str = "tables/access";

/// The lines about the user names of local recipients.
const LOCAL_TABLE: &str = "tables/access-local";

/// What other parts of the import need to know about the table.
#[derive(Default)]
pub(super) struct Access {
    /// Networks and names of clients that are accepted before lists are queried.
    pub(super) welcome: Vec<String>,
    pub(super) welcome_names: Vec<String>,
    /// Accepted senders, as patterns.
    pub(super) senders: Vec<String>,
    /// Numbers of `ClientRate`, `ClientConn` and `GreetPause`, by key, with their lines.
    pub(super) rates: Vec<(String, Origin, String)>,
    pub(super) connections: Vec<(String, Origin, String)>,
    pub(super) pauses: Vec<(String, Origin, String)>,
    friends: Vec<String>,
    networks: Vec<String>,
    domains: Vec<String>,
    certificates: certificates::Lines,
    table: String,
    local_table: String,
    refuses: Refuses,
    /// Whether the old table is not world-readable.
    is_private: bool,
}

/// The subjects for which the table refuses anything.
#[derive(Default)]
struct Refuses {
    clients: bool,
    names: bool,
    senders: bool,
    recipients: bool,
}

/// Reads the table, and sets what may relay.
pub(super) fn read(site: &mut Site<'_>) -> Access {
    let mut access = Access::default();
    let mc = site.mc;
    let Some((at, arguments)) = mc.feature("access_db") else {
        return access;
    };
    let path = table_path(arguments.first().map_or("", String::as_str), "access");
    let Some(text) = site.text(&path, at, "FEATURE(access_db)") else {
        return access;
    };
    site.carried(at, "FEATURE(access_db)", "[relay], relay_domains, [[access]]");
    access.is_private = site.files.is_private(&path);
    let file: Arc<str> = Arc::from(path);
    let mut comments = Comments::default();
    for (number, line) in (1..)
        .zip(text.lines())
        .map(|(number, line)| (number, line.trim()))
    {
        if line.is_empty() || line.starts_with('#') {
            comments.add(line, &mut access.table);
            continue;
        }
        let at = Origin::line(&file, number);
        let before = access.table.len();
        match line.split_once(char::is_whitespace) {
            Some((key, value)) => access.line(site, &at, key, value.trim(), line),
            None => {
                let key = line.split(['"', '=']).next().unwrap_or_default();
                site.missing(&at, key, Weight::Mail, "a line without an action");
            }
        }
        comments.stand_above(before, &mut access.table);
    }
    access.put_relays(site);
    access
}

/// Comments of the old table on their way into the new one.
#[derive(Default)]
struct Comments(String);

impl Comments {
    /// Keeps a comment for the line below it. One followed by an empty line is about more, and stays.
    fn add(&mut self, line: &str, table: &mut String) {
        if line.is_empty() && !self.0.is_empty() {
            table.push_str(&std::mem::take(&mut self.0));
            table.push('\n');
        } else if !line.is_empty() {
            self.0.push_str(line);
            self.0.push('\n');
        }
    }

    /// Puts them above what a line has added from `at` on; comments of a line that added nothing are dropped.
    fn stand_above(&mut self, at: usize, table: &mut String) {
        let comments = std::mem::take(&mut self.0);
        if table.len() > at {
            table.insert_str(at, &comments);
        }
    }
}

impl Access {
    fn line(&mut self, site: &mut Site<'_>, at: &Origin, key: &str, value: &str, line: &str) {
        let (tag, subject) = tagged(key);
        match tag {
            "connect" | "from" | "to" | "" if value.eq_ignore_ascii_case("RELAY") => {
                self.relay(site, at, tag, subject, line);
            }
            "to" if !has_recipients(site) => {
                site.meaningless(at, line, "it has no effect without FEATURE(blocklist_recipients)");
            }
            "connect" | "from" | "to" | "" => self.decided(site, at, (tag, subject), value, line),
            "greetpause" => self
                .pauses
                .push((subject.to_owned(), at.clone(), value.to_owned())),
            "clientrate" => self
                .rates
                .push((subject.to_owned(), at.clone(), value.to_owned())),
            "clientconn" => self
                .connections
                .push((subject.to_owned(), at.clone(), value.to_owned())),
            "spam" => self.spam(site, at, subject, value, line),
            "certissuer" | "certsubject" => self.certificates.line(site, at, tag, subject, value, line),
            "tls_srv" | "try_tls" => by_host(site, at, (tag, subject), value, line),
            "tls_rcpt" => site.missing(
                at,
                line,
                Weight::Mail,
                "a [[route]] with `recipients` or `domains` and `tls = \"required\"` says so here",
            ),
            "tls_clt" | "srv_features" => site.missing(
                at,
                line,
                Weight::Mail,
                "an [[access]] rule with `tls` says what clients need",
            ),
            // The rest of the line is a password.
            "authinfo" => site.missing(
                at,
                &format!("AuthInfo of {}", subject.split('"').next().unwrap_or_default()),
                Weight::Mail,
                "set a [[login]] for this host by hand: its password goes into a file of its own",
            ),
            _ => site.missing(
                at,
                key.split('"').next().unwrap_or_default(),
                Weight::Mail,
                "no such tag is known here",
            ),
        }
    }

    fn relay(&mut self, site: &mut Site<'_>, at: &Origin, tag: &str, subject: &str, line: &str) {
        match (tag, network(subject)) {
            ("connect" | "", Some(network)) => {
                self.table.push_str(&format!("Connect:{subject}\tSKIP\n"));
                self.networks.push(network);
                site.carried(at, line, "[relay] networks");
            }
            ("connect" | "", None) if subject == "localhost" || subject == "localhost.localdomain" => {
                self.networks
                    .extend(["127.0.0.0/8".to_owned(), "::1".to_owned()]);
                site.carried(at, line, "[relay] networks");
            }
            // Without a tag, it allows relaying to that recipient domain, and, according to the manual, from clients
            // with that name.
            ("to" | "", None) => {
                self.domains.extend([subject.to_owned(), format!("*.{subject}")]);
                let difference = "mail to it is taken from anyone, as before. Hosts of this domain can no longer relay: add their networks to `networks` in [relay].";
                if tag == "to" {
                    site.carried(at, line, "relay_domains");
                } else {
                    site.changed(at, line, "relay_domains", difference);
                }
            }
            ("from", _) => site.missing(
                at,
                line,
                Weight::Mail,
                "nobody relays by a sender address, which anyone can write: name networks in [relay], or let people log in",
            ),
            _ => site.missing(
                at,
                line,
                Weight::Mail,
                "clients do not relay by name: put their networks into [relay]",
            ),
        }
    }

    /// A line of the table itself. `OK` only ends the search there: senders and recipients are still looked up.
    fn decided(
        &mut self,
        site: &mut Site<'_>,
        at: &Origin,
        (tag, subject): (&str, &str),
        value: &str,
        line: &str,
    ) {
        let is_ok = value.eq_ignore_ascii_case("OK");
        let value = if is_ok { "SKIP" } else { value };
        let is_network = network(subject).is_some();
        let of_clients = matches!(tag, "connect" | "");
        if is_ok {
            match (of_clients, network(subject)) {
                (true, Some(network)) => self.welcome.push(network),
                (true, None) if !subject.contains('@') => self.welcome_names.extend(below(subject)),
                _ => {}
            }
            if matches!(tag, "from" | "") && !is_network {
                self.senders.extend(pattern(subject));
            }
        } else if value != "SKIP" {
            self.refuses.clients |= of_clients && is_network;
            self.refuses.names |= of_clients && !is_network && !subject.contains('@');
            self.refuses.senders |= matches!(tag, "from" | "") && !is_network;
            self.refuses.recipients |= matches!(tag, "to" | "") && !is_network;
        }
        // `To:user@` only concerns local users.
        let is_name = subject.ends_with('@');
        if is_name && matches!(tag, "to" | "") && has_recipients(site) {
            self.local_table.push_str(&format!("To:{subject}\t{value}\n"));
        }
        match (tag, is_name) {
            ("to", true) => {}
            ("", true) => self.table.push_str(&format!("From:{subject}\t{value}\n")),
            _ if is_ok => self
                .table
                .push_str(&format!("{}{subject}\t{value}\n", prefix(tag))),
            _ => self.table.push_str(&format!("{line}\n")),
        }
        site.carried(at, line, format!("[[access]], in {TABLE}"));
    }

    fn spam(&mut self, site: &mut Site<'_>, at: &Origin, subject: &str, value: &str, line: &str) {
        let friends = site.mc.feature("delay_checks");
        let mode = friends
            .and_then(|(_, arguments)| arguments.first())
            .map(String::as_str);
        match (mode, value.to_ascii_uppercase().as_str()) {
            (Some("friend"), "FRIEND") => {
                self.friends.extend(pattern(subject));
                site.carried(at, line, "[[access]] friends of spam");
            }
            (Some("hater"), "HATER") => site.missing(
                at,
                line,
                Weight::Mail,
                "the lists are asked for all recipients: name those who want them in `recipient` of the rules",
            ),
            _ => site.meaningless(at, line, "FEATURE(delay_checks) does not ask for it"),
        }
    }

    /// Who may relay, and where to.
    fn put_relays(&mut self, site: &mut Site<'_>) {
        if !self.networks.is_empty() {
            let networks = std::mem::take(&mut self.networks);
            site.extend("relay", "networks", networks);
        }
        let domains = std::mem::take(&mut self.domains);
        site.extend("", "relay_domains", domains);
        let lines = std::mem::take(&mut self.certificates);
        lines.put(site);
    }

    /// The rules on recipients, which come before all others, and the friends, to whom the others do not apply.
    pub(super) fn put_recipients(&self, site: &mut Site<'_>) {
        let mc = site.mc;
        let feature = ["blacklist_recipients", "blocklist_recipients"]
            .iter()
            .find_map(|name| mc.feature(name));
        if let Some((at, _)) = feature {
            site.carried(at, "FEATURE(blocklist_recipients)", "[[access]] for recipients");
            if self.refuses.recipients {
                site.import
                    .config
                    .add(by_table("recipient", TABLE, "access by recipient"));
            }
        }
        if !self.local_table.is_empty() {
            let mut rule = by_table("recipient", LOCAL_TABLE, "access by local recipient");
            rule.set("destination", Value::text("local"), "");
            site.import.config.add(rule);
            site.import.files.push(OutputFile {
                path: LOCAL_TABLE.to_owned(),
                text: self.local_table.clone(),
                secret: self.is_private,
            });
        }
        if !self.friends.is_empty() {
            let mut rule = Section::new("access", "access: Spam: FRIEND");
            rule.set("name", Value::text("friends of spam"), "");
            rule.set("recipient", Value::list(self.friends.clone()), "");
            rule.set("verdict", Value::text("accept"), "");
            site.import.config.add(rule);
        }
    }

    /// The rule on senders.
    pub(super) fn put_senders(&self, site: &mut Site<'_>) {
        if self.refuses.senders {
            let rule = by_table("sender", TABLE, "access by sender");
            site.add_rule(rule);
        }
    }

    /// The rules on clients, and the table of all rules.
    pub(super) fn put_clients(&self, site: &mut Site<'_>) {
        if self.refuses.clients {
            site.add_rule(by_table("client", TABLE, "access by client"));
        }
        if self.refuses.names {
            site.add_rule(by_table("client_name", TABLE, "access by client name"));
        }
        let Refuses {
            clients,
            names,
            senders,
            recipients,
        } = self.refuses;
        if clients || names || senders || (recipients && has_recipients(site)) {
            site.import.files.push(OutputFile {
                path: TABLE.to_owned(),
                text: self.table.clone(),
                secret: self.is_private,
            });
        }
    }
}

fn has_recipients(site: &Site<'_>) -> bool {
    let names = ["blacklist_recipients", "blocklist_recipients"];
    names.iter().any(|name| site.mc.feature(name).is_some())
}

/// A name and all its subdomains.
fn below(name: &str) -> [String; 2] {
    [name.to_owned(), format!(".{name}")]
}

fn prefix(tag: &str) -> &'static str {
    match tag {
        "connect" => "Connect:",
        "from" => "From:",
        "to" => "To:",
        _ => "",
    }
}

/// A rule decided by a table.
fn by_table(looked_up: &str, table: &str, name: &str) -> Section {
    let mut rule = Section::new("access", "");
    rule.set("name", Value::text(name), "");
    rule.set("verdict", Value::text("table"), "");
    rule.set("table", Value::text(format!("sendmail:{table}")), "");
    rule.set("look_up", Value::text(looked_up), "");
    rule.set("form", Value::text("sendmail"), "");
    rule
}

/// `TLS_Srv:host ENCR:128` and `Try_TLS:host NO`: TLS with hosts of this name and below it.
fn by_host(site: &mut Site<'_>, at: &Origin, (tag, host): (&str, &str), value: &str, line: &str) {
    let demand = value.split([':', '+']).next().unwrap_or_default();
    let key = match (tag, demand.to_ascii_uppercase().as_str()) {
        ("tls_srv", "ENCR") => "always",
        ("tls_srv", "VERIFY") => "verified",
        ("try_tls", "NO") => "never",
        _ => {
            site.missing(
                at,
                line,
                Weight::Mail,
                "[delivery.tls] has `always`, `verified` and `never` for hosts",
            );
            return;
        }
    };
    if value.contains('+') {
        let remedy = "certificates are compared with the host's name alone: [delivery.tls] verified";
        site.missing(at, line, Weight::Mail, remedy);
        return;
    }
    let hosts = if host.is_empty() {
        vec!["*".to_owned()]
    } else {
        vec![host.to_owned(), format!("*.{host}")]
    };
    site.extend("delivery.tls", key, hosts);
    site.carried(at, line, format!("[delivery.tls] {key}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_stay_with_their_lines() {
        let mut table = String::new();
        let mut comments = Comments::default();
        let lines = [
            ("# The whole.", false),
            ("", false),
            ("# of a network", false),
            ("", false),
            ("", false),
            ("# spammers", false),
            ("a REJECT", true),
            ("# partners", false),
            ("b RELAY", false),
            ("c REJECT", true),
        ];
        for (line, is_kept) in lines {
            if line.is_empty() || line.starts_with('#') {
                comments.add(line, &mut table);
                continue;
            }
            let before = table.len();
            if is_kept {
                table.push_str(&format!("{line}\n"));
            }
            comments.stand_above(before, &mut table);
        }
        let expected = "# The whole.\n\n# of a network\n\n# spammers\na REJECT\nc REJECT\n";
        assert_eq!(table, expected);
    }
}
