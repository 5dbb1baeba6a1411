//! Certificates, and which TLS versions are used.

use super::Site;
use super::tables::Reference;
use crate::config::{Section, Value};
use crate::report::Weight;

pub(super) fn carry_over(site: &mut Site<'_>) {
    certificate(site);
    versions(site, "smtpd", "tls");
    versions(site, "smtp", "delivery.tls");
    clients(site);
    if site.is_set("smtp_tls_CAfile") {
        let file = site.value("smtp_tls_CAfile");
        if file.is_empty() || file.ends_with("ca-certificates.crt") || file.ends_with("ca-bundle.crt") {
            site.carried("smtp_tls_CAfile", "the authorities that the system trusts");
        } else {
            site.set("delivery.tls", "ca_file", Value::text(file), "smtp_tls_CAfile");
        }
    }
}

/// Whether there is a certificate of this server.
pub(super) fn has_certificate(site: &Site<'_>) -> bool {
    !site.words("smtpd_tls_chain_files").is_empty() || !site.value("smtpd_tls_cert_file").is_empty()
}

fn certificate(site: &mut Site<'_>) {
    let chain = site.words("smtpd_tls_chain_files");
    let (parameter, key, certificate) = match chain.as_slice() {
        [] => {
            let (certificate, key) = (
                site.value("smtpd_tls_cert_file"),
                site.value("smtpd_tls_key_file"),
            );
            if certificate.is_empty() {
                return;
            }
            ("smtpd_tls_cert_file", key, certificate)
        }
        [both] => ("smtpd_tls_chain_files", both.clone(), both.clone()),
        [key, certificate, ..] => ("smtpd_tls_chain_files", key.clone(), certificate.clone()),
    };
    if chain.len() > 2 {
        let at = site.at(parameter);
        let remedy = "one certificate is enough for all clients of today; add others as [[tls.identity]]";
        site.import.missing(&at, parameter, Weight::Detail, remedy);
    }
    let comment = site.comment(parameter);
    let tls = site.import.config.section("tls");
    tls.set("certificate", Value::text(certificate), comment);
    tls.set(
        "key",
        Value::text(key),
        "postern's alone, or root's with a group of postern's",
    );
    for parameter in ["smtpd_tls_cert_file", "smtpd_tls_chain_files"] {
        site.carried(parameter, "[tls] certificate");
    }
    let difference = "the server reads the key as the user postern: it has to be that user's alone (mode 600), or root's and readable by a group that this user is in. For Debian's keys: `adduser postern ssl-cert`";
    site.changed("smtpd_tls_key_file", "[tls] key", difference);
}

/// The oldest version that is allowed: `>=TLSv1.3`, or `!SSLv2, !SSLv3, !TLSv1, !TLSv1.1, !TLSv1.2`.
fn versions(site: &mut Site<'_>, side: &str, section: &str) {
    for parameter in [
        format!("{side}_tls_protocols"),
        format!("{side}_tls_mandatory_protocols"),
    ] {
        if !site.is_set(&parameter) {
            continue;
        }
        let words = site.words(&parameter);
        let has = |word: &str| words.iter().any(|known| known.eq_ignore_ascii_case(word));
        if has(">=TLSv1.3") || has("!TLSv1.2") || (words.len() == 1 && has("TLSv1.3")) {
            site.set(section, "min_version", Value::text("1.3"), &parameter);
        } else if has(">=TLSv1.2") || (has("!TLSv1") && has("!TLSv1.1")) {
            site.carried(&parameter, path(section));
        } else {
            let difference = "TLS 1.0 and 1.1 are not spoken here: clients and servers that know nothing newer go without TLS, or wait";
            site.changed(&parameter, path(section), difference);
        }
    }
}

fn path(section: &str) -> String {
    format!("[{section}] min_version")
}

/// Client certificates: `relay_clientcerts` names those that may relay, by fingerprint.
fn clients(site: &mut Site<'_>) {
    let authorities = site.value("smtpd_tls_CAfile");
    let asks = site.layer().is_on("smtpd_tls_ask_ccert") || site.layer().is_on("smtpd_tls_req_ccert");
    let relays = !site.value("relay_clientcerts").is_empty();
    if !asks && !relays {
        site.meaningless("smtpd_tls_CAfile", "clients are not asked for certificates");
        return;
    }
    if !authorities.is_empty() {
        site.set("tls", "client_ca", Value::text(authorities), "smtpd_tls_CAfile");
    }
    site.carried("smtpd_tls_ask_ccert", "[tls] client_ca");
    let remedy =
        "an [[access]] rule with `tls = { not = \"verified\" }` refuses clients without a certificate";
    site.missing("smtpd_tls_req_ccert", Weight::Mail, remedy);
    if !relays {
        return;
    }
    let at = site.at("relay_clientcerts");
    let digest = site.value("smtpd_tls_fingerprint_digest");
    site.carried(
        "smtpd_tls_fingerprint_digest",
        "[[relay.certificate]] fingerprint",
    );
    for word in site.words("relay_clientcerts") {
        let entries = Reference::of(&word).and_then(|table| site.entries(&table, &at));
        for entry in entries.unwrap_or_default() {
            let fingerprint: String = entry.key.to_ascii_lowercase().replace(':', "");
            if digest != "sha256" || fingerprint.len() != 64 {
                let remedy =
                    "fingerprints are by SHA-256 here: `postern cert show` prints that of a certificate";
                site.import.missing(&entry.at, &entry.value, Weight::Mail, remedy);
                continue;
            }
            let name = site.unique(if entry.value.is_empty() {
                "certificate"
            } else {
                &entry.value
            });
            let mut section = Section::new("relay.certificate", super::short(&entry.at));
            section.set("name", Value::text(name.clone()), "");
            section.set("fingerprint", Value::text(fingerprint), "");
            site.import.config.add(section);
            let difference = "the certificate has to lead up to an authority in [tls] client_ca; put it there itself if it has none";
            site.import.changed(
                &entry.at,
                &entry.value,
                format!("[[relay.certificate]] {name}"),
                difference,
            );
        }
    }
    site.carried("relay_clientcerts", "[[relay.certificate]]");
}
