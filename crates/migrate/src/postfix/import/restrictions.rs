//! A list of restrictions becomes `[[access]]` rules, in its order.

use super::super::Parameter;
use super::listener::is_known_client;
use super::run::{Place, Run};
use super::{Site, access_tables, asked};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;

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
        translate: translated,
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

impl Run<'_, '_> {
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
