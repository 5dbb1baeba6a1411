//! `relayhost`, `transport_maps`, routes by sender, and how much TLS is required.

use std::collections::BTreeMap;

use super::logins::Logins;
use super::tables::{Behind, Edit, Entry, Reference};
use super::transports::{self, Target, Way, way};
use super::{Site, fingerprints, short};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;

pub(super) fn carry_over(site: &mut Site<'_>) {
    let mut plan = Plan {
        logins: Logins::read(site),
        policies: policies(site),
    };
    plan.tables(site);
    plan.by_sender(site);
    plan.rest(site);
    plan.by_policy(site);
    plan.logins.rest(site);
    outgoing(site);
    transports::leftovers(site);
}

/// A line of `smtp_tls_policy_maps`.
struct Policy {
    key: String,
    value: String,
    at: Origin,
    is_used: bool,
}

fn policies(site: &mut Site<'_>) -> Vec<Policy> {
    let at = site.at("smtp_tls_policy_maps");
    let mut policies = Vec::new();
    for word in site.words("smtp_tls_policy_maps") {
        let table =
            Reference::of(&word).filter(|table| matches!(table.behind(), Behind::Keys | Behind::Itself));
        match table.and_then(|table| site.entries(&table, &at)) {
            Some(entries) => policies.extend(entries.into_iter().map(|entry| Policy {
                key: entry.key,
                value: entry.value,
                at: entry.at,
                is_used: false,
            })),
            None => {
                let remedy = "set `tls` and `verify` of the [[route]] for each domain; MTA-STS is not asked";
                let what = format!("smtp_tls_policy_maps: {word}");
                site.import.missing(&at, &what, Weight::Mail, remedy);
            }
        }
    }
    site.carried("smtp_tls_policy_maps", "[[route]] tls");
    policies
}

struct Plan {
    logins: Logins,
    policies: Vec<Policy>,
}

impl Plan {
    /// `transport_maps`: what tables here can express stays a table, everything else becomes a
    /// `[[route]]`.
    fn tables(&mut self, site: &mut Site<'_>) {
        let at = site.at("transport_maps");
        for word in site.words("transport_maps") {
            let table =
                Reference::of(&word).filter(|table| matches!(table.behind(), Behind::Keys | Behind::Itself));
            let Some(entries) = table.and_then(|table| site.entries(&table, &at)) else {
                self.asked(site, &word, &at);
                continue;
            };
            let mut apart = BTreeMap::new();
            let mut stays = 0;
            for entry in &entries {
                if self.entry(site, entry) {
                    stays += 1;
                } else {
                    apart.insert(entry.at.first, ());
                }
            }
            if stays > 0 {
                let edit = |entry: &Entry| apart.contains_key(&entry.at.first).then_some(Edit::Drop);
                if let Some(copy) = site.edited(&word, &at, "transport_maps", &edit) {
                    let mut route = Section::new("route", site.comment("transport_maps"));
                    route.set("table", Value::text(copy), "");
                    let level = site.value("smtp_tls_security_level");
                    secure(site, &mut route, &level, "", &at);
                    site.import.config.add(route);
                }
            }
        }
        site.carried("transport_maps", "[[route]]");
    }

    /// A table of patterns, or one in a database, stays as it is: it is queried for each recipient.
    fn asked(&mut self, site: &mut Site<'_>, word: &str, at: &Origin) {
        let patterns = Reference::of(word).filter(|table| table.behind() == Behind::Patterns);
        let entries = patterns.and_then(|table| site.entries(&table, at));
        let is_text = entries.is_some();
        let mut instead = BTreeMap::new();
        for entry in entries.unwrap_or_default() {
            let what = format!("{} {}", entry.key, entry.value);
            let said = match way(site, &entry.value, &entry.at, &what) {
                // Its mail must neither be routed by DNS nor be lost.
                None => format!("retry:{}", super::aliases::NOT_SET_UP.trim_start_matches("450 ")),
                Some(way) if !way.is_plain => {
                    let difference = "mail goes there with the settings of all other mail: write a [[route]] for what its transport sets apart";
                    let Some(said) = way.plain() else { continue };
                    site.import
                        .changed(&entry.at, &what, "[[route]] table", difference);
                    said
                }
                Some(_) => continue,
            };
            instead.insert(entry.at.first, format!("{} {said}", entry.key));
        }
        let edit = |entry: &Entry| instead.get(&entry.at.first).cloned().map(Edit::Say);
        let Some(table) = site.edited(word, at, "transport_maps", &edit) else {
            return;
        };
        let mut route = Section::new("route", site.comment("transport_maps"));
        route.set("table", Value::text(table), "");
        let level = site.value("smtp_tls_security_level");
        secure(site, &mut route, &level, "", at);
        site.import.config.add(route);
        if !is_text {
            let difference = "mail waits where it names a transport other than smtp, relay, lmtp, error, retry, discard, local and virtual, \
                which alone are known, and where a socket of LMTP has no absolute path";
            let what = format!("transport_maps: {word}");
            site.import.changed(at, &what, "[[route]] table", difference);
        }
    }

    /// Whether an entry may stay in its table; if not, it becomes a route.
    fn entry(&mut self, site: &mut Site<'_>, entry: &Entry) -> bool {
        let what = format!("{} {}", entry.key, entry.value);
        let Some(way) = way(site, &entry.value, &entry.at, &what) else {
            // Its mail must neither be routed by DNS nor be lost.
            let mut route = self.route(entry);
            route.set("to", Value::text("refuse"), "");
            route.set("refuse", Value::text(super::aliases::NOT_SET_UP), "");
            site.import.config.add(route);
            return false;
        };
        let domain = entry.key.rsplit('@').next().unwrap_or_default().to_owned();
        let next_hop = if way.next_hop.is_empty() {
            domain
        } else {
            way.next_hop.clone()
        };
        let has_policy = self.policies.iter().any(|policy| policy.key == next_hop);
        let login = if matches!(way.target, Target::Hosts(_)) {
            self.logins.at(site, &next_hop, None)
        } else {
            None
        };
        let is_default = way.next_hop.is_empty() && entry.value.trim() == ":";
        if way.is_plain && !has_policy && login.is_none() && !is_default {
            return true;
        }
        let mut route = self.route(entry);
        way.put(&mut route);
        self.finish(site, &mut route, &way, &next_hop, login, &entry.at, &what);
        site.import.config.add(route);
        site.import.carried(&entry.at, &what, "[[route]]");
        false
    }

    fn route(&self, entry: &Entry) -> Section {
        let mut route = Section::new("route", format!("transport_maps, {}", short(&entry.at)));
        let key = match entry.key.strip_prefix('.') {
            Some(below) => format!("*.{below}"),
            None => entry.key.clone(),
        };
        if key.contains('@') {
            route.set("recipients", Value::list([key]), "");
        } else {
            route.set("domains", Value::list([key]), "");
        }
        route
    }

    /// TLS and login for a route.
    #[allow(clippy::too_many_arguments)]
    fn finish(
        &mut self,
        site: &mut Site<'_>,
        route: &mut Section,
        way: &Way,
        next_hop: &str,
        login: Option<String>,
        at: &Origin,
        what: &str,
    ) {
        if matches!(
            way.target,
            Target::Refused(_) | Target::Local | Target::Program(_) | Target::Discarded | Target::Lmtp(_)
        ) {
            return;
        }
        let (level, attributes, origin) = self.level(site, way, next_hop);
        secure(
            site,
            route,
            &level,
            &attributes,
            &origin.unwrap_or_else(|| at.clone()),
        );
        if way.is_implicit {
            route.set("tls", Value::text("implicit"), "smtp_tls_wrappermode");
            if !matches!(level.as_str(), "verify" | "secure" | "fingerprint") {
                route.set("verify", Value::plain(false), "");
            }
        }
        let Some(login) = login else { return };
        route.set("login", Value::text(login), "");
        let is_verified = route
            .get("tls")
            .is_some_and(|tls| *tls == Value::text("required") || *tls == Value::text("implicit"))
            && route.get("verify").is_none();
        if !is_verified {
            route.set(
                "login_to_unverified_host",
                Value::text("send-password-to-anyone"),
                "as before: see report.txt",
            );
            let in_the_clear =
                route.get("tls").is_some_and(|tls| *tls == Value::text("none")) || route.get("tls").is_none();
            let difference = if in_the_clear {
                "the password goes to whoever answers there, and may go in the clear, as before: `tls = \"required\"` without the line \
                 `login_to_unverified_host` is safe, if the host has a valid certificate"
            } else {
                "the password goes to whoever answers there, as before: without the lines `verify` and `login_to_unverified_host` it goes to \
                 a host with a valid certificate alone"
            };
            site.import
                .changed(at, what, "[[route]] login_to_unverified_host", difference);
        }
    }

    /// The level of TLS at a next hop, with its attributes and where it is set.
    fn level(&mut self, site: &Site<'_>, way: &Way, next_hop: &str) -> (String, String, Option<Origin>) {
        let found = self.policies.iter_mut().find(|policy| policy.key == next_hop);
        if let Some(policy) = found {
            policy.is_used = true;
            let (level, attributes) = policy
                .value
                .split_once(char::is_whitespace)
                .unwrap_or((&policy.value, ""));
            return (
                level.to_owned(),
                attributes.trim().to_owned(),
                Some(policy.at.clone()),
            );
        }
        let level = way
            .tls
            .clone()
            .unwrap_or_else(|| site.value("smtp_tls_security_level"));
        (level, String::new(), None)
    }

    /// Routes by sender.
    fn by_sender(&mut self, site: &mut Site<'_>) {
        let mut done: Vec<(String, String)> = Vec::new();
        for (parameter, prefix) in [
            ("sender_dependent_relayhost_maps", "smtp:"),
            ("sender_dependent_default_transport_maps", ""),
        ] {
            let at = site.at(parameter);
            for word in site.words(parameter) {
                let table = Reference::of(&word)
                    .filter(|table| matches!(table.behind(), Behind::Keys | Behind::Itself));
                let Some(entries) = table.and_then(|table| site.entries(&table, &at)) else {
                    let what = format!("{parameter}: {word}");
                    site.import.missing(
                        &at,
                        &what,
                        Weight::Mail,
                        "write a [[route]] with `senders` for each sender",
                    );
                    continue;
                };
                for entry in entries {
                    let text = format!("{prefix}{}", entry.value);
                    let what = format!("{} {}", entry.key, entry.value);
                    self.of_sender(site, &entry.key, &text, &entry.at, parameter, &what);
                    done.push((entry.key.clone(), text));
                }
            }
            site.carried(parameter, "[[route]] senders");
        }
        let relayhost = site.value("relayhost");
        for sender in self.logins.senders() {
            // A relay host entry may be for the sender, or for the whole domain.
            if done.iter().any(|(key, _)| *key == sender) {
                continue;
            }
            let domain = sender.rsplit_once('@').map(|(_, domain)| format!("@{domain}"));
            let of_domain = done.iter().find(|(key, _)| Some(key) == domain.as_ref());
            let text = match of_domain {
                Some((_, text)) => text.clone(),
                None if relayhost.is_empty() => continue,
                None => format!("smtp:{relayhost}"),
            };
            let at = site.at("smtp_sasl_password_maps");
            let what = format!("login of {sender}");
            self.of_sender(site, &sender, &text, &at, "smtp_sasl_password_maps", &what);
        }
    }

    fn of_sender(
        &mut self,
        site: &mut Site<'_>,
        sender: &str,
        text: &str,
        at: &Origin,
        parameter: &str,
        what: &str,
    ) {
        let Some(way) = way(site, text, at, what) else {
            return;
        };
        let mut route = Section::new("route", format!("{parameter}, {}", short(at)));
        route.set("domains", Value::list(["*"]), "");
        route.set("senders", Value::list([sender]), "");
        way.put(&mut route);
        let next_hop = way.next_hop.clone();
        let login = if matches!(way.target, Target::Hosts(_)) {
            self.logins.at(site, &next_hop, Some(sender))
        } else {
            None
        };
        self.finish(site, &mut route, &way, &next_hop, login, at, what);
        site.import.config.add(route);
        site.import.carried(at, what, "[[route]] senders");
    }

    /// `relayhost`, or without it `default_transport`.
    fn rest(&mut self, site: &mut Site<'_>) {
        let relayhost = site.value("relayhost");
        let (parameter, text) = if relayhost.is_empty() {
            ("default_transport", site.value("default_transport"))
        } else {
            ("relayhost", format!("smtp:{relayhost}"))
        };
        if relayhost.is_empty() {
            site.meaningless("relayhost", "it is empty: MX records decide");
        }
        let at = site.at(parameter);
        let level = site.value("smtp_tls_security_level");
        if let Some(way) = way(site, &text, &at, parameter) {
            let is_usual =
                way.target == Target::Mx && way.lane.is_empty() && matches!(level.as_str(), "" | "may");
            if !is_usual {
                let mut route = Section::new("route", site.comment(parameter));
                route.set("domains", Value::list(["*"]), "");
                way.put(&mut route);
                let next_hop = way.next_hop.clone();
                let login = self.logins.at(site, &next_hop, None);
                self.finish(site, &mut route, &way, &next_hop, login, &at, parameter);
                site.import.config.add(route);
            }
        }
        for parameter in ["relayhost", "default_transport"] {
            if !site.value(parameter).is_empty() {
                site.carried(parameter, "[[route]]");
            }
        }
        if level.is_empty() {
            let difference = "TLS is used with every host that offers it; Postfix used none";
            let at = site.at("smtp_tls_security_level");
            site.import
                .changed(&at, "smtp_tls_security_level", "[[route]] tls", difference);
        }
        site.carried("smtp_tls_security_level", "[[route]] tls");
        for parameter in ["smtp_use_tls", "smtp_enforce_tls", "smtp_tls_wrappermode"] {
            site.carried(parameter, "[[route]] tls");
        }
        relay_transport(site);
        let fallback = transports::hosts(&site.value("smtp_fallback_relay"));
        if fallback.is_empty() {
            site.meaningless("smtp_fallback_relay", "it names no host");
        } else {
            let hosts = Value::list(fallback);
            site.set("delivery", "fallback", hosts, "smtp_fallback_relay");
        }
    }

    /// Policies for domains routed by MX records.
    fn by_policy(&mut self, site: &mut Site<'_>) {
        let has_relayhost = !site.value("relayhost").is_empty();
        for number in 0..self.policies.len() {
            let Some(policy) = self.policies.get(number) else {
                break;
            };
            let (key, value, at, is_used) = (
                policy.key.clone(),
                policy.value.clone(),
                policy.at.clone(),
                policy.is_used,
            );
            let what = format!("{key} {value}");
            if is_used {
                site.import.carried(&at, &what, "[[route]] tls");
                continue;
            }
            if has_relayhost || key.starts_with('[') || key.contains(':') {
                site.import
                    .meaningless(&at, &what, "no mail goes to this next hop");
                continue;
            }
            let domain = key
                .strip_prefix('.')
                .map_or_else(|| key.clone(), |below| format!("*.{below}"));
            let mut route = Section::new("route", format!("smtp_tls_policy_maps, {}", short(&at)));
            route.set("domains", Value::list([domain]), "");
            route.set("to", Value::text("mx"), "");
            let (level, attributes) = value.split_once(char::is_whitespace).unwrap_or((&value, ""));
            secure(site, &mut route, level, attributes, &at);
            site.import.config.add(route);
            site.import.carried(&at, &what, "[[route]] tls");
        }
    }
}

/// Sets how much TLS a route requires.
fn secure(site: &mut Site<'_>, route: &mut Section, level: &str, attributes: &str, at: &Origin) {
    let (tls, verify) = match level {
        "none" => ("none", None),
        "encrypt" => ("required", Some(false)),
        "dane" => ("dane", None),
        "dane-only" => ("dane-only", None),
        "verify" | "secure" => ("required", None),
        "fingerprint" => return pinned(site, route, attributes, at),
        _ => return,
    };
    route.set("tls", Value::text(tls), "");
    if let Some(verify) = verify {
        route.set("verify", Value::plain(verify), "");
    }
    if tls.starts_with("dane") && site.import.config.section("dns").get("dnssec").is_none() {
        let comment = site.comment("smtp_dns_support_level");
        site.import
            .config
            .section("dns")
            .set("dnssec", Value::text("ad"), comment);
        let difference = "Postern trusts the name server, as before. DANE works only if a validating resolver runs on this host. `dnssec = \"validate\"` has Postern verify signatures itself.";
        site.import.changed(at, level, "[dns] dnssec", difference);
        site.carried("smtp_dns_support_level", "[dns] dnssec");
    }
    if attributes.contains("match=") && !attributes.contains("nexthop") {
        let names = attributes
            .split_whitespace()
            .find_map(|word| word.strip_prefix("match="))
            .unwrap_or_default();
        let is_host = match route.get("via") {
            Some(Value::List(hosts)) => hosts.iter().all(|host| host.split(':').next() == Some(names)),
            _ => false,
        };
        if !is_host {
            let difference =
                format!("the certificate has to be valid for the name of the host, not for {names}");
            site.import
                .changed(at, &format!("match={names}"), "[[route]] verify", difference);
        }
    }
}

/// The level `fingerprint`: the host has to show one of these certificates, whatever else stands in it.
fn pinned(site: &mut Site<'_>, route: &mut Section, attributes: &str, at: &Origin) {
    route.set("tls", Value::text("required"), "");
    let usual = site.value("smtp_tls_fingerprint_cert_match");
    let digest = site.value("smtp_tls_fingerprint_digest");
    match fingerprints::of(attributes, &usual, &digest) {
        Ok(found) => {
            route.set("fingerprints", Value::list(found), "");
        }
        Err(why) => {
            let remedy = format!(
                "{why}: mail waits until the host's certificate is valid for its name, or `fingerprints` of this [[route]] names it (`postern probe` prints its fingerprint)"
            );
            site.import.missing(at, "fingerprint", Weight::Mail, remedy);
        }
    }
    for parameter in ["smtp_tls_fingerprint_cert_match", "smtp_tls_fingerprint_digest"] {
        site.carried(parameter, "[[route]] fingerprints");
    }
}

/// `relay_transport`: the route for all relayed domains.
fn relay_transport(site: &mut Site<'_>) {
    let written = site.value("relay_transport");
    if written == "relay" || !site.is_set("relay_transport") {
        site.carried("relay_transport", "relay_domains");
        return;
    }
    let at = site.at("relay_transport");
    let domains = match site.import.config.section("").get("relay_domains") {
        Some(Value::List(domains)) if domains.iter().all(|domain| !domain.contains(':')) => domains.clone(),
        _ => {
            let remedy = "write a [[route]] for the domains of relay_domains";
            return site.missing("relay_transport", Weight::Mail, remedy);
        }
    };
    if let Some(way) = way(site, &written, &at, "relay_transport") {
        let mut route = Section::new("route", site.comment("relay_transport"));
        route.set("domains", Value::list(domains), "");
        way.put(&mut route);
        site.import.config.add(route);
        site.carried("relay_transport", "[[route]]");
    }
}

/// The source address and host name for outgoing mail.
fn outgoing(site: &mut Site<'_>) {
    let mut sources = Vec::new();
    for parameter in ["smtp_bind_address", "smtp_bind_address6"] {
        let address = site.value(parameter);
        if !address.is_empty() {
            sources.push(address);
        }
        site.carried(parameter, "[delivery] source_address");
    }
    if !sources.is_empty() {
        let comment = site.comment("smtp_bind_address");
        site.import
            .config
            .section("delivery")
            .set("source_address", Value::list(sources), comment);
    }
    if site.is_set("smtp_helo_name") && site.value("smtp_helo_name") != site.value("myhostname") {
        let name = site.value("smtp_helo_name");
        site.set("delivery", "helo_name", Value::text(name), "smtp_helo_name");
    } else {
        site.carried("smtp_helo_name", "[delivery] helo_name");
    }
    if site.value("inet_protocols") == "ipv4" {
        let comment = site.comment("inet_protocols");
        site.import
            .config
            .section("delivery")
            .set("ip", Value::text("v4"), comment);
    }
    match site.value("smtp_address_preference").as_str() {
        "ipv4" => site.set(
            "delivery",
            "ip",
            Value::text("prefer-v4"),
            "smtp_address_preference",
        ),
        "ipv6" => site.set(
            "delivery",
            "ip",
            Value::text("prefer-v6"),
            "smtp_address_preference",
        ),
        _ => site.carried("smtp_address_preference", "[delivery] ip"),
    }
}
