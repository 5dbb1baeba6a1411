//! A list of restrictions on its way to becoming rules.

use super::super::text::words;
use super::super::{Layer, Parameter};
use super::{Site, short};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;

/// Makes the rules of a list; see `restrictions`.
pub(super) type Translate =
    fn(&mut Site<'_>, &[(String, Parameter)], &[String], &str, &Origin, Place) -> Vec<Section>;

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

/// A list being translated.
pub(super) struct Run<'r, 'a> {
    pub(super) site: &'r mut Site<'a>,
    pub(super) overrides: &'r [(String, Parameter)],
    pub(super) list: String,
    pub(super) at: Origin,
    pub(super) place: Place,
    /// Conditions of all following rules.
    pub(super) guards: Vec<(&'static str, Value)>,
    /// Consecutive restrictions that accept known clients, not yet made into a rule.
    pub(super) known: Vec<String>,
    pub(super) warns: bool,
    pub(super) sections: Vec<Section>,
    /// What makes rules of a list that a table names.
    pub(super) translate: Translate,
}

impl<'a> Run<'_, 'a> {
    pub(super) fn layer(&self) -> Layer<'_> {
        self.site.main.with(self.overrides)
    }

    /// A restriction in small letters, which Postfix does not tell from others; names of classes and tables stay as they are.
    pub(super) fn plain(&self, word: &str) -> String {
        if word.contains(':') || self.is_class(word) {
            word.to_owned()
        } else {
            word.to_ascii_lowercase()
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

    pub(super) fn is_class(&self, name: &str) -> bool {
        self.site
            .words("smtpd_restriction_classes")
            .iter()
            .any(|known| known == name)
    }

    /// `reject` or `permit` at the end of a list.
    pub(super) fn finish(&mut self, verdict: &str) {
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
    pub(super) fn put_off(&mut self) {
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
    pub(super) fn close(mut self) -> Vec<Section> {
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

    pub(super) fn networks(&self) -> Vec<String> {
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
