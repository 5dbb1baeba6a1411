//! `CERTIssuer:` and `CERTSubject:`: client certificates that may relay.

use super::{Site, keys::distinguished_name, short};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;

/// The lines on certificates.
#[derive(Default)]
pub(super) struct Lines {
    /// Issuers whose subjects are looked up.
    issuers: Vec<String>,
    /// Issuers all of whose certificates may relay.
    trusted: Vec<(String, Origin)>,
    subjects: Vec<(String, Origin)>,
}

impl Lines {
    pub(super) fn line(
        &mut self,
        site: &mut Site<'_>,
        at: &Origin,
        tag: &str,
        subject: &str,
        value: &str,
        line: &str,
    ) {
        let name = distinguished_name(subject);
        match (tag, value.to_ascii_uppercase().as_str()) {
            ("certissuer", "SUBJECT") => self.issuers.push(name),
            ("certissuer", "RELAY") => self.trusted.push((name, at.clone())),
            ("certsubject", "RELAY") => self.subjects.push((name, at.clone())),
            _ => {
                site.missing(at, line, Weight::Mail, "set a [[relay.certificate]] by hand");
                return;
            }
        }
        site.carried(at, line, "[[relay.certificate]]");
    }

    pub(super) fn put(self, site: &mut Site<'_>) {
        for (issuer, at) in &self.trusted {
            add(site, at, issuer, None);
        }
        for (subject, at) in &self.subjects {
            for issuer in &self.issuers {
                add(site, at, issuer, Some(subject));
            }
        }
    }
}

fn add(site: &mut Site<'_>, at: &Origin, issuer: &str, subject: Option<&String>) {
    let shown = subject.map_or(issuer, String::as_str);
    let name = shown.split(',').next().unwrap_or(shown);
    let name: String = name.trim_start_matches("CN=").chars().take(64).collect();
    let mut rule = Section::new("relay.certificate", format!("access, {}", short(at)));
    rule.set("name", Value::text(name), "");
    rule.set("issuer", Value::text(issuer), "");
    if let Some(subject) = subject {
        rule.set("subject", Value::text(subject.clone()), "");
    }
    site.import.config.add(rule);
}
