//! `smtp_sasl_password_maps`: the credentials with which this server logs in to others. Passwords go into
//! separate files.

use super::tables::{Behind, Reference};
use super::{Site, short};
use crate::Origin;
use crate::config::{Section, Value};
use crate::import::password_path;
use crate::report::Weight;

/// The name of a login for all hosts: `static:user:password`.
const ANYWHERE: &str = "relay host";

/// The logins of a site.
#[derive(Default)]
pub(super) struct Logins {
    found: Vec<Login>,
    by_sender: bool,
}

struct Login {
    key: String,
    user: String,
    password: String,
    at: Origin,
    is_used: bool,
}

impl Logins {
    /// Reads them. No part of a password gets into the report.
    pub(super) fn read(site: &mut Site<'_>) -> Self {
        let mut logins = Self {
            by_sender: site.layer().is_on("smtp_sender_dependent_authentication"),
            ..Self::default()
        };
        let about = [
            "smtp_sasl_password_maps",
            "smtp_sender_dependent_authentication",
            "smtp_sasl_mechanism_filter",
            "smtp_sasl_security_options",
            "smtp_sasl_tls_security_options",
            "smtp_sasl_tls_verified_security_options",
            "smtp_sasl_type",
        ];
        if !site.layer().is_on("smtp_sasl_auth_enable") {
            for parameter in about.into_iter().chain(["smtp_sasl_auth_enable"]) {
                site.meaningless(parameter, "smtp_sasl_auth_enable is off");
            }
            return logins;
        }
        let at = site.at("smtp_sasl_password_maps");
        for word in site.words("smtp_sasl_password_maps") {
            let table = Reference::of(&word);
            if let Some(login) = table.as_ref().filter(|table| table.kind == "static") {
                let (user, password) = login.rest.split_once(':').unwrap_or((&login.rest, ""));
                logins.found.push(Login {
                    key: ANYWHERE.to_owned(),
                    user: user.to_owned(),
                    password: password.to_owned(),
                    at: at.clone(),
                    is_used: false,
                });
                continue;
            }
            let is_text = table
                .as_ref()
                .is_some_and(|table| matches!(table.behind(), Behind::Keys | Behind::Itself));
            let entries = table
                .filter(|_| is_text)
                .and_then(|table| site.entries(&table, &at));
            let Some(entries) = entries else {
                let remedy = "write a [[login]] for each host, with its password in a file";
                site.missing("smtp_sasl_password_maps", Weight::Mail, remedy);
                continue;
            };
            for entry in entries {
                let (user, password) = entry.value.split_once(':').unwrap_or((&entry.value, ""));
                logins.found.push(Login {
                    key: entry.key.clone(),
                    user: user.to_owned(),
                    password: password.to_owned(),
                    at: entry.at.clone(),
                    is_used: false,
                });
            }
        }
        for parameter in about.into_iter().chain(["smtp_sasl_auth_enable"]) {
            site.carried(parameter, "[[login]]");
        }
        logins
    }

    /// The senders with logins of their own.
    pub(super) fn senders(&self) -> Vec<String> {
        let senders = self
            .found
            .iter()
            .filter(|login| self.by_sender && login.key.contains('@'));
        senders.map(|login| login.key.clone()).collect()
    }

    /// The name of the login at a next hop for a sender, created if it does not exist yet.
    pub(super) fn at(&mut self, site: &mut Site<'_>, next_hop: &str, sender: Option<&str>) -> Option<String> {
        let host = next_hop
            .trim_start_matches('[')
            .split(']')
            .next()
            .unwrap_or_default();
        let by_sender = self.by_sender;
        let of_sender =
            |login: &Login| by_sender && sender.is_some_and(|sender| login.key.eq_ignore_ascii_case(sender));
        let found = self
            .found
            .iter()
            .position(of_sender)
            .or_else(|| self.found.iter().position(|login| login.key == next_hop))
            .or_else(|| {
                self.found
                    .iter()
                    .position(|login| login.key.eq_ignore_ascii_case(host) || login.key == ANYWHERE)
            })?;
        let login = self.found.get_mut(found)?;
        let name: String = login
            .key
            .trim_start_matches('[')
            .replace("]:", ":")
            .replace(']', "")
            .chars()
            .take(64)
            .collect();
        if !login.is_used {
            login.is_used = true;
            put(site, login, &name);
        }
        Some(name)
    }

    /// Logins that no route needs.
    pub(super) fn rest(self, site: &mut Site<'_>) {
        for login in self.found.into_iter().filter(|login| !login.is_used) {
            let remedy = "no route leads there: write a [[login]] if it is needed";
            let what = format!("login at {}", login.key);
            site.import.missing(&login.at, &what, Weight::Detail, remedy);
        }
    }
}

fn put(site: &mut Site<'_>, login: &Login, name: &str) {
    let path = password_path(name);
    let mut section = Section::new("login", format!("smtp_sasl_password_maps, {}", short(&login.at)));
    section.set("name", Value::text(name), "");
    section.set("login", Value::text(login.user.clone()), "");
    section.set("password_file", Value::text(path.clone()), "");
    let mechanisms = mechanisms(site);
    if !mechanisms.is_empty() {
        section.set(
            "mechanisms",
            Value::list(mechanisms),
            "smtp_sasl_mechanism_filter",
        );
    }
    site.import.config.add(section);
    site.import.secret(&path, format!("{}\n", login.password));
    let to = format!("[[login]] {name}, password in {path}");
    site.import
        .carried(&login.at, &format!("login at {}", login.key), to);
}

/// `smtp_sasl_mechanism_filter`, without those that are not wanted.
fn mechanisms(site: &Site<'_>) -> Vec<String> {
    let known = [
        "PLAIN",
        "LOGIN",
        "CRAM-MD5",
        "DIGEST-MD5",
        "SCRAM-SHA-1",
        "SCRAM-SHA-256",
        "NTLM",
        "GSSAPI",
        "XOAUTH2",
        "OAUTHBEARER",
        "EXTERNAL",
    ];
    let words = site.words("smtp_sasl_mechanism_filter");
    let words = words.iter().map(|word| word.to_ascii_uppercase());
    words.filter(|word| known.contains(&word.as_str())).collect()
}
