//! A list of restrictions becomes `[[access]]` rules, in its order.

use super::super::text::words;
use super::super::{Layer, Parameter};
use super::listeners::is_known_client;
use super::{Site, access_tables, asked, short};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;

/// The place of a list's rules.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) class: Option<String>,
    pub(super) is_last: bool,
    pub(super) is_relay: bool,
    pub(super) is_data: bool,
    pub(super) is_submission: bool,
    /// Whether it is a site-defined class: accepting there means accepting whatever follows.
    pub(super) is_class: bool,
    pub(super) subject: &'static str,
}

impl Place {
    /// In a class: accepting there means accepting for all.
    pub(super) fn class(name: &str) -> Self {
        Self {
            class: Some(name.to_owned()),
            is_last: true,
            is_relay: false,
            is_data: false,
            is_submission: false,
            is_class: true,
            subject: "check_recipient_access",
        }
    }
}

/// Rules made from a list.
pub(super) fn translated(
    site: &mut Site<'_>,
    overrides: &[(String, Parameter)],
    list: &[String],
    name: &str,
    at: &Origin,
    place: Place,
) -> Vec<Section> {
    let mut run = Run {
        site,
        overrides,
        list: name.to_owned(),
        at: at.clone(),
        place,
        guards: Vec::new(),
        known: Vec::new(),
        warns: false,
        sections: Vec::new(),
    };
    let mut rest = list.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        let word = run.plain(word);
        let word = word.as_str();
        if word == "warn_if_reject" {
            run.warns = true;
            continue;
        }
        run.restriction(word, &mut rest);
        run.warns = false;
    }
    run.close()
}

/// A list being translated.
pub(super) struct Run<'r, 'a> {
    pub(super) site: &'r mut Site<'a>,
    overrides: &'r [(String, Parameter)],
    list: String,
    pub(super) at: Origin,
    place: Place,
    /// Conditions of all following rules.
    guards: Vec<(&'static str, Value)>,
    /// Consecutive restrictions that accept known clients, not yet made into a rule.
    known: Vec<String>,
    warns: bool,
    sections: Vec<Section>,
}

impl<'a> Run<'_, 'a> {
    fn layer(&self) -> Layer<'_> {
        self.site.main.with(self.overrides)
    }

    /// A restriction in small letters, which Postfix does not tell from others; names of classes and tables stay as they are.
    fn plain(&self, word: &str) -> String {
        if word.contains(':') || self.is_class(word) {
            word.to_owned()
        } else {
            word.to_ascii_lowercase()
        }
    }

    fn restriction<'w>(&mut self, word: &str, rest: &mut impl Iterator<Item = &'w str>) {
        if is_known_client(word) {
            self.known.push(word.to_owned());
            let to = if self.place.is_relay {
                "[relay]"
            } else {
                "[relay], [[access]]"
            };
            self.carried(word, to);
            return;
        }
        self.admit();
        if let Some(simple) = simple(word) {
            self.simple(word, &simple);
            return;
        }
        match word {
            "permit" => self.finish("accept"),
            "reject" => self.finish("refuse"),
            "defer" => self.finish("defer"),
            "reject_unauth_destination" => {
                self.carried(word, "[relay]: who may not relay reaches own domains alone")
            }
            "defer_unauth_destination" => self.put_off(),
            "permit_auth_destination" => {
                let mut rule = self.rule(word);
                rule.set("destination", Value::list(["local", "relay"]), "");
                self.push(rule, word, "accept");
            }
            "reject_unauth_pipelining" => {
                self.carried(word, "who sends commands before their time is always refused")
            }
            "reject_unlisted_recipient" => self.carried(word, "unknown recipients are always refused"),
            "reject_unverified_recipient" => asked::everywhere(self),
            "reject_unverified_sender" => self.missing(
                word,
                Weight::Mail,
                "no server is called to ask whether a sender exists: whoever writes a sender could have this host call any other, and many \
                 hosts block those that do. `fault = \"sender_unknown\"` asks whether the domain exists, [judge] checks SPF, DKIM and DMARC",
            ),
            "reject_multi_recipient_bounce" => self.missing(
                word,
                Weight::Detail,
                "a bounce may have several recipients here: a [[limit]] on `recipients` for the sender `<>` is the nearest to it",
            ),
            _ if word.ends_with("sender_login_mismatch") => asked::owners(self, word),
            "check_policy_service" => asked::service(self, rest.next().unwrap_or_default()),
            "sleep" => {
                let time = rest.next().unwrap_or_default();
                self.missing(
                    &format!("sleep {time}"),
                    Weight::Detail,
                    "`greeting_delay` in [timeouts] keeps strangers waiting",
                );
            }
            _ if word.starts_with("check_") => {
                let table = rest.next().unwrap_or_default();
                access_tables::check(self, word, table);
            }
            _ if asked::is_list(word) => asked::list(self, word, rest.next().unwrap_or_default()),
            class if self.is_class(class) => {
                let mut rule = self.rule(class);
                rule.set("verdict", Value::text("class"), "");
                rule.set("judge", Value::text(class), "");
                self.put(rule, class);
            }
            table if super::tables::Reference::of(table).is_some() => {
                let subject = self.place.subject;
                access_tables::check(self, subject, table);
            }
            _ => self.missing(
                word,
                Weight::Mail,
                "no rule is like it here; see postconf(5) for what it does",
            ),
        }
    }

    /// Whether authentication is offered there.
    pub(super) fn has_auth(&self) -> bool {
        self.layer().is_on("smtpd_sasl_auth_enable")
    }

    /// Whether it is only for own users.
    pub(super) const fn is_submission(&self) -> bool {
        self.place.is_submission
    }

    fn is_class(&self, name: &str) -> bool {
        self.site
            .words("smtpd_restriction_classes")
            .iter()
            .any(|known| known == name)
    }

    /// Restrictions without an argument.
    fn simple(&mut self, word: &str, simple: &Simple) {
        let code = self
            .layer()
            .value(simple.code_parameter)
            .trim()
            .parse()
            .unwrap_or(simple.code);
        let mut rule = self.rule(word);
        rule.set(simple.key, Value::text(simple.value), "");
        if simple.value == "sender_unlisted" {
            asked::listed_otherwise(self.site, &mut rule);
        }
        self.refuse(&mut rule, code, simple.status, simple.text);
        self.put(rule, word);
        if word == "reject_non_fqdn_sender" {
            let difference = "a sender without any domain is refused at MAIL (553 5.1.7), not at RCPT";
            self.changed(word, "[[listener]] bare_addresses", difference);
        }
    }

    /// `reject` or `permit` at the end of a list.
    fn finish(&mut self, verdict: &str) {
        let word = match verdict {
            "accept" => "permit",
            "refuse" => "reject",
            _ => "defer",
        };
        // The listener itself refuses unknown clients; if nothing follows, no accept rule is needed.
        if verdict == "accept" && self.place.is_class {
            let rule = self.rule("permit");
            return self.push(rule, word, "accept");
        }
        if verdict == "accept" || (self.place.is_submission && !self.guards.is_empty()) {
            self.carried(word, "[relay] and [[listener]], which already do this");
            return;
        }
        if self.place.is_relay {
            self.carried(word, "[relay]");
            return;
        }
        let mut rule = self.rule(&format!("{word} of {}", self.list.clone()));
        let code = if verdict == "refuse" { 554 } else { 450 };
        self.refuse(&mut rule, code, "7.1", "Access denied");
        self.put(rule, word);
    }

    /// Postfix's default for strangers who try to relay: deferred.
    fn put_off(&mut self) {
        let word = "defer_unauth_destination";
        if self.place.is_submission || self.site.names.contains_key(word) && self.place.class.is_none() {
            self.carried(word, "[relay]");
            return;
        }
        let mut rule = self.rule(word);
        rule.set("stranger", Value::plain(true), "");
        rule.set("destination", Value::text("elsewhere"), "");
        self.refuse(&mut rule, 454, "7.1", "Relay access denied");
        self.put(rule, word);
    }

    /// The collected restrictions that accept known clients become a rule, or a condition of the following ones.
    pub(super) fn admit(&mut self) {
        if self.known.is_empty() {
            return;
        }
        let known = std::mem::take(&mut self.known);
        let has = |word: &str| known.iter().any(|it| it == word);
        let networks = self.networks();
        let has_auth = self.layer().is_on("smtpd_sasl_auth_enable");
        let covers_all = (has("permit_mynetworks") || networks.is_empty())
            && (has("permit_sasl_authenticated") || !has_auth);
        let (key, inside, outside) = if covers_all {
            ("stranger", Value::plain(false), Value::plain(true))
        } else if has("permit_sasl_authenticated") {
            ("login", Value::text("*"), Value::text("none"))
        } else if has("permit_mynetworks") {
            let networks = self.site.networks_table(networks);
            ("client", Value::list(networks.clone()), Value::Not(networks))
        } else {
            return;
        };
        if self.place.is_last && !self.place.is_relay && !self.place.is_submission {
            let mut rule = self.rule(&known[0]);
            rule.set(key, inside, "");
            rule.set("verdict", Value::text("accept"), "");
            self.sections.push(rule);
        } else {
            self.guards.retain(|(known, _)| *known != key);
            self.guards.push((key, outside));
        }
    }

    /// All rules. If nothing follows, no accept rule is needed.
    fn close(mut self) -> Vec<Section> {
        if self.place.is_class {
            self.admit();
            // It must exist if tables refer to it.
            if self.sections.is_empty() {
                let mut rule = self.rule("nothing");
                rule.set("verdict", Value::text("continue"), "");
                self.sections.push(rule);
            }
            return self.sections;
        }
        let is_known = |rule: &Section| {
            rule.get("verdict") == Some(&Value::text("accept"))
                && ["stranger", "login", "client"]
                    .iter()
                    .any(|key| rule.get(key).is_some())
        };
        while self.sections.last().is_some_and(is_known) {
            self.sections.pop();
        }
        self.sections
    }

    fn networks(&self) -> Vec<String> {
        let layer = self.layer();
        if layer.overrides("mynetworks") {
            words(&layer.value("mynetworks"))
        } else {
            self.site.networks.clone()
        }
    }

    /// A rule with its name, its class and the common conditions.
    pub(super) fn rule(&mut self, name: &str) -> Section {
        let name = match &self.place.class {
            Some(class) if !name.contains(class.as_str()) => format!("{class}: {name}"),
            _ => name.to_owned(),
        };
        let name = self.site.unique(&name);
        let comment = if self.sections.is_empty() {
            format!("{}, {}", self.list, short(&self.at))
        } else {
            String::new()
        };
        let mut rule = Section::new("access", comment);
        rule.set("name", Value::text(name), "");
        if let Some(class) = &self.place.class {
            rule.set("class", Value::text(class.clone()), "");
        }
        if self.place.is_data {
            rule.set("at", Value::text("data"), "");
        }
        for (key, value) in &self.guards {
            rule.set(key, value.clone(), "");
        }
        rule
    }

    /// Sets a rule's refusal text.
    pub(super) fn refuse(&self, rule: &mut Section, code: u16, status: &str, text: &str) {
        let digit = if code < 500 { 4 } else { 5 };
        rule.set(
            "verdict",
            Value::text(if digit == 4 { "defer" } else { "refuse" }),
            "",
        );
        rule.set("code", Value::plain(code), "");
        if status != "7.1" {
            rule.set("status", Value::text(format!("{digit}.{status}")), "");
        }
        if !text.is_empty() && text != "Access denied" {
            rule.set("text", Value::text(text), "");
        }
    }

    /// Adds a rule with a verdict.
    pub(super) fn push(&mut self, mut rule: Section, what: &str, verdict: &str) {
        rule.set("verdict", Value::text(verdict), "");
        self.put(rule, what);
    }

    /// Adds a rule, and reports it.
    pub(super) fn put(&mut self, mut rule: Section, what: &str) {
        if self.warns {
            // Would-be refusals are only noted.
            for key in ["code", "status", "text"] {
                rule.unset(key);
            }
            rule.set("verdict", Value::text("note"), "warn_if_reject");
        }
        // On a listener for own users, there are no strangers.
        let is_idle = self.place.is_submission && rule.get("stranger") == Some(&Value::plain(true));
        let name = match rule.get("name") {
            Some(Value::Text(name)) => name.clone(),
            _ => String::new(),
        };
        if is_idle {
            self.carried(what, "nobody is a stranger where everybody logs in");
        } else {
            self.carried(what, format!("[[access]] {name}"));
            self.sections.push(rule);
        }
    }

    pub(super) fn carried(&mut self, what: &str, to: impl Into<String>) {
        let what = format!("{}: {what}", self.list);
        self.site.import.carried(&self.at, &what, to);
    }

    pub(super) fn changed(&mut self, what: &str, to: impl Into<String>, difference: impl Into<String>) {
        let what = format!("{}: {what}", self.list);
        self.site.import.changed(&self.at, &what, to, difference);
    }

    pub(super) fn missing(&mut self, what: &str, weight: Weight, remedy: impl Into<String>) {
        let what = format!("{}: {what}", self.list);
        self.site.import.missing(&self.at, &what, weight, remedy);
    }
}

/// A restriction with a single condition.
struct Simple {
    key: &'static str,
    value: &'static str,
    code_parameter: &'static str,
    code: u16,
    status: &'static str,
    text: &'static str,
}

/// Restrictions without an argument. Codes are Postfix's.
fn simple(word: &str) -> Option<Simple> {
    let (value, code_parameter, code, status, text) = match word {
        "reject_non_fqdn_sender" => (
            "sender_not_full",
            "non_fqdn_reject_code",
            504,
            "5.2",
            "Sender address: need fully-qualified address",
        ),
        "reject_non_fqdn_recipient" => (
            "recipient_not_full",
            "non_fqdn_reject_code",
            504,
            "5.2",
            "Recipient address: need fully-qualified address",
        ),
        "reject_unknown_sender_domain" => (
            "sender_unknown",
            "unknown_address_reject_code",
            450,
            "1.8",
            "Sender address: Domain not found",
        ),
        "reject_unknown_recipient_domain" => (
            "recipient_unknown",
            "unknown_address_reject_code",
            450,
            "1.2",
            "Recipient address: Domain not found",
        ),
        "reject_invalid_helo_hostname" | "reject_invalid_hostname" => (
            "helo_invalid",
            "invalid_hostname_reject_code",
            501,
            "5.2",
            "HELO: Invalid name",
        ),
        "reject_non_fqdn_helo_hostname" | "reject_non_fqdn_hostname" => (
            "helo_syntax",
            "non_fqdn_reject_code",
            504,
            "5.2",
            "HELO: need fully-qualified hostname",
        ),
        "reject_unknown_helo_hostname" | "reject_unknown_hostname" => (
            "helo_unknown",
            "unknown_hostname_reject_code",
            450,
            "7.1",
            "HELO: Host not found",
        ),
        "reject_unknown_client_hostname" | "reject_unknown_client" => (
            "client_unconfirmed",
            "unknown_client_reject_code",
            450,
            "7.1",
            "Client host: cannot find your hostname",
        ),
        "reject_unknown_reverse_client_hostname" => (
            "client_nameless",
            "unknown_client_reject_code",
            450,
            "7.1",
            "Client host: cannot find your reverse hostname",
        ),
        "reject_unlisted_sender" => ("sender_unlisted", "", 550, "1.0", "Sender address: User unknown"),
        "reject_plaintext_session" => {
            return Some(Simple {
                key: "tls",
                value: "none",
                code_parameter: "plaintext_reject_code",
                code: 450,
                status: "7.1",
                text: "Session encryption is required",
            });
        }
        _ => return None,
    };
    Some(Simple {
        key: "fault",
        value,
        code_parameter,
        code,
        status,
        text,
    })
}
