//! Sender rewriting by postsrsd.

use super::super::text::{logical_lines, words};
use super::Site;
use crate::config::Value;
use crate::report::Weight;
use crate::{Located, Origin};

/// Sender rewriting by postsrsd: two tables on sockets.
pub(super) fn srs(site: &mut Site<'_>) -> bool {
    let is_socket = |site: &Site<'_>, name: &str| {
        let words = words(&site.value(name));
        words
            .iter()
            .any(|word| word.starts_with("tcp:") || word.starts_with("socketmap:"))
    };
    let (sender, recipient) = ("sender_canonical_maps", "recipient_canonical_maps");
    if !(is_socket(site, sender)
        && is_socket(site, recipient)
        && site.value("sender_canonical_classes") == "envelope_sender")
    {
        return false;
    }
    let domain = srs_domain(site);
    let comment = site.comment(sender);
    let srs = site.import.config.section("srs");
    srs.set("domain", Value::text(domain), comment);
    srs.set("secret_file", Value::text("secrets/srs.secret"), "");
    let old = site.files.read("/etc/postsrsd.secret");
    let at = site.at(sender);
    match old {
        Ok(secret) => {
            site.import.carried(
                &Origin::line(&"/etc/postsrsd.secret".into(), 1),
                "secret",
                "secrets/srs.secret",
            );
            site.import.secret("secrets/srs.secret", secret);
        }
        Err(_) => {
            site.import.new_secrets.push("secrets/srs.secret".to_owned());
            let difference = "the secret of the old program was not found, so a new one was made: bounces to addresses that were rewritten before the move are refused. Copy the old /etc/postsrsd.secret over secrets/srs.secret to avoid that.";
            site.import.changed(&at, "SRS", "[srs] secret_file", difference);
        }
    }
    let difference = "the sender is rewritten for mail that an alias forwards to the outside, and for nothing else: mail for mailboxes here and mail of logins keeps its sender";
    site.changed(sender, "[srs]", difference);
    for parameter in [
        recipient,
        "sender_canonical_classes",
        "recipient_canonical_classes",
    ] {
        site.carried(parameter, "[srs]");
    }
    other_tables(site, sender);
    true
}

/// postsrsd's own domain, if its settings exist.
fn srs_domain(site: &mut Site<'_>) -> String {
    let text = site.files.read("/etc/default/postsrsd").unwrap_or_default();
    for line in logical_lines("/etc/default/postsrsd", &text) {
        let Located { at, what } = line;
        match what.split_once('=') {
            Some(("SRS_DOMAIN", domain)) => {
                let domain = domain.trim_matches(['"', '\'']).to_owned();
                site.import.carried(&at, &what, "[srs] domain");
                return domain;
            }
            _ => site.import.meaningless(&at, &what, "it is about postsrsd itself"),
        }
    }
    let origin = super::domains::origin_of(site);
    origin.unwrap_or_else(|| site.value("mydomain"))
}

/// Tables in a parameter used for SRS, other than those on sockets.
fn other_tables(site: &mut Site<'_>, parameter: &str) {
    let at = site.at(parameter);
    let others: Vec<String> = site
        .words(parameter)
        .into_iter()
        .filter(|word| !word.starts_with("tcp:") && !word.starts_with("socketmap:"))
        .collect();
    for word in others {
        let remedy = "write a [[rewrite]] for it";
        let what = format!("{parameter}: {word}");
        site.import.missing(&at, &what, Weight::Mail, remedy);
    }
}
