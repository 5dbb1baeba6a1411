//! Cyrus SASL behind sendmail: who checks passwords, and which logins relay.

use std::sync::Arc;

use super::{Site, active};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;

/// Where Cyrus SASL looks for its sendmail settings.
const SASL: &[&str] = &[
    "/etc/sasl2/Sendmail.conf",
    "/usr/lib/sasl2/Sendmail.conf",
    "/etc/sasl/Sendmail.conf",
    "/usr/lib64/sasl2/Sendmail.conf",
];

/// Where Debian and others configure how saslauthd is started.
const SASLAUTHD: &[&str] = &["/etc/default/saslauthd", "/etc/sysconfig/saslauthd"];

/// Mechanisms that Postern supports with only accounts.
const SPOKEN: &[&str] = &[
    "ANONYMOUS",
    "CRAM-MD5",
    "DIGEST-MD5",
    "EXTERNAL",
    "LOGIN",
    "NTLM",
    "OAUTHBEARER",
    "PLAIN",
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "XOAUTH2",
];

pub(super) fn carry_over(site: &mut Site<'_>) {
    mechanisms(site);
    in_the_clear(site);
    trust(site);
    let Some(mechanisms) = site.mc.option("confAUTH_MECHANISMS") else {
        return;
    };
    if let Some((path, text)) = found(site, SASL) {
        method(site, &path, &text);
        return;
    }
    let remedy = "no Sendmail.conf was found: name a [[directory]] with the accounts";
    site.missing(&mechanisms.at, "confAUTH_MECHANISMS", Weight::Mail, remedy);
}

/// GSSAPI is in many lists, but few sites have a key for it.
fn mechanisms(site: &mut Site<'_>) {
    let Some(Value::List(listed)) = site.import.config.section("auth").get("mechanisms").cloned() else {
        return;
    };
    let is_spoken = |name: &String| SPOKEN.contains(&name.to_ascii_uppercase().as_str());
    let (spoken, others): (Vec<String>, Vec<String>) = listed.into_iter().partition(is_spoken);
    let at = site.mc.option("confAUTH_MECHANISMS").map(|it| it.at.clone());
    let (Some(at), false) = (at, others.is_empty() || spoken.is_empty()) else {
        return;
    };
    let remedy = "left out: GSSAPI needs `keytab` in [kerberos]: name the file, and put GSSAPI back into `mechanisms`; others are not spoken";
    let what = format!("confAUTH_MECHANISMS: {}", others.join(" "));
    site.changed(&at, &what, "[auth] mechanisms", remedy);
    let auth = site.import.config.section("auth");
    auth.set("mechanisms", Value::list(spoken), "confAUTH_MECHANISMS");
}

/// Without a certificate, passwords can only be sent in cleartext, as before.
fn in_the_clear(site: &mut Site<'_>) {
    let config = &mut site.import.config;
    let takes_logins = config.sections("listener").any(|listener| {
        listener.get("role") == Some(&Value::text("submission"))
            && listener.get("auth") != Some(&Value::text("off"))
    });
    let has_certificate = config.sections("tls").any(|tls| tls.get("certificate").is_some());
    if !takes_logins || has_certificate || config.section("auth").get("plaintext").is_some() {
        return;
    }
    let auth = config.section("auth");
    auth.set("plaintext", Value::text("always"), "there is no certificate");
    if let Some((at, _)) = site.mc.calls("DAEMON_OPTIONS").next() {
        let difference = "there is no certificate, so passwords go in the clear, as before: get one, and remove `plaintext`";
        site.changed(at, "logins without TLS", "[auth] plaintext", difference);
    }
}

/// Only users authenticated with a mechanism in TRUST_AUTH_MECH may relay; without it none may, which
/// is hardly ever intended.
fn trust(site: &mut Site<'_>) {
    let mc = site.mc;
    let mut trusted = Vec::new();
    for (at, arguments) in mc.calls("TRUST_AUTH_MECH") {
        trusted.extend(
            arguments
                .iter()
                .flat_map(|argument| argument.split_whitespace())
                .map(str::to_owned),
        );
        site.carried(
            at,
            &format!("TRUST_AUTH_MECH({})", arguments.join(" ")),
            "[relay] login_mechanisms",
        );
    }
    if !trusted.is_empty() {
        site.import
            .config
            .section("relay")
            .set("login_mechanisms", Value::list(trusted), "TRUST_AUTH_MECH");
    } else if let Some(mechanisms) = mc.option("confAUTH_MECHANISMS") {
        let difference = "logins may relay; the old server refused them, since TRUST_AUTH_MECH is missing. \
            `logins = false` in [relay] keeps it so";
        site.changed(
            &mechanisms.at,
            "confAUTH_MECHANISMS",
            "[auth] mechanisms",
            difference,
        );
    }
}

/// The first of these files that exists.
fn found(site: &Site<'_>, paths: &[&str]) -> Option<(String, String)> {
    paths
        .iter()
        .find_map(|path| Some(((*path).to_owned(), site.files.read(path).ok()?)))
}

fn method(site: &mut Site<'_>, path: &str, text: &str) {
    let file: Arc<str> = Arc::from(path);
    for (number, line) in active(text) {
        let at = Origin::line(&file, number);
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        match (key.trim(), value.trim()) {
            ("pwcheck_method", "saslauthd") => saslauthd(site, &at),
            ("pwcheck_method", "auxprop" | "sasldb") => {
                let mut users = Section::new("directory", format!("Sendmail.conf: {}", value.trim()));
                users.set("kind", Value::text("users"), "");
                site.import.config.add(users);
                let difference = "run `postern user import --format sasldb /etc/sasldb2` once, and users go on with their passwords";
                site.changed(&at, line, "[[directory]] kind = \"users\"", difference);
            }
            ("pwcheck_method", other) => site.missing(
                &at,
                line,
                Weight::Mail,
                format!("no directory of the kind \"{other}\" is made by this import"),
            ),
            ("mech_list", _) => site.meaningless(&at, line, "confAUTH_MECHANISMS says which are offered"),
            ("auxprop_plugin", "sasldb") => site.carried(&at, line, "[[directory]] kind = \"users\""),
            // Some of them are passwords.
            (key, _) => {
                let name = key.split_whitespace().next().unwrap_or_default();
                site.missing(&at, name, Weight::Detail, "unknown here");
            }
        }
    }
}

/// Settings of saslauthd, as its start file has them: `NAME="value"`.
fn saslauthd(site: &mut Site<'_>, at: &Origin) {
    let start = found(site, SASLAUTHD);
    let mut mechanism = String::new();
    let mut socket = None;
    if let Some((path, text)) = &start {
        let file: Arc<str> = Arc::from(path.as_str());
        for (number, line) in active(text) {
            let at = Origin::line(&file, number);
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            let value = value.trim().trim_matches(['"', '\'']);
            match key.trim() {
                "MECHANISMS" | "MECH" => {
                    value.clone_into(&mut mechanism);
                    site.carried(&at, line, "[[directory]]");
                }
                "OPTIONS" | "FLAGS" | "SOCKETDIR" => {
                    let folder = value
                        .split_once("-m")
                        .map_or(value, |(_, rest)| rest)
                        .split_whitespace()
                        .next();
                    socket = folder
                        .filter(|folder| folder.starts_with('/'))
                        .map(|folder| format!("{folder}/mux"));
                    site.meaningless(&at, line, "how saslauthd itself is started");
                }
                _ => site.meaningless(&at, line, "how saslauthd itself is started"),
            }
        }
    }
    match mechanism.as_str() {
        "ldap" => ldap(site, at),
        "pam" => {
            let mut pam = Section::new("directory", "saslauthd -a pam");
            pam.set("kind", Value::text("pam"), "");
            site.import.config.add(pam);
            site.changed(
                at,
                "pwcheck_method: saslauthd",
                "[[directory]] kind = \"pam\"",
                "PAM is asked without saslauthd",
            );
        }
        _ => {
            let mut directory = Section::new("directory", "saslauthd, which stays");
            directory.set("kind", Value::text("saslauthd"), "");
            if let Some(socket) = socket {
                directory.set("socket", Value::text(socket), "");
            }
            site.import.config.add(directory);
            site.carried(
                at,
                "pwcheck_method: saslauthd",
                "[[directory]] kind = \"saslauthd\"",
            );
        }
    }
}

/// `/etc/saslauthd.conf`: LDAP is then queried directly.
fn ldap(site: &mut Site<'_>, at: &Origin) {
    const PATH: &str = "/etc/saslauthd.conf";
    let Some(text) = site.text(PATH, at, "pwcheck_method: saslauthd") else {
        return;
    };
    let file: Arc<str> = Arc::from(PATH);
    let mut ldap = Section::new("directory", "saslauthd -a ldap: asked directly");
    ldap.set("kind", Value::text("ldap"), "");
    for (number, line) in active(&text) {
        let at = Origin::line(&file, number);
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        let carried = match key.trim() {
            "ldap_servers" => ("servers", Value::list(value.split_whitespace())),
            "ldap_search_base" => ("search_base", Value::text(value)),
            "ldap_timeout" => ("timeout", Value::text(format!("{value}s"))),
            "ldap_filter" => (
                "filter",
                Value::text(
                    value
                        .replace("%u", "{login}")
                        .replace("%U", "{local}")
                        .replace("%d", "{domain}"),
                ),
            ),
            "ldap_bind_dn" => ("bind_dn", Value::text(value)),
            "ldap_scope" => (
                "scope",
                Value::text(value.replace("sub", "subtree").replace("one", "onelevel")),
            ),
            "ldap_tls_cacert_file" => ("ca_file", Value::text(value)),
            "ldap_start_tls" => ("starttls", Value::Plain((value == "yes").to_string())),
            "ldap_bind_pw" | "ldap_password" => {
                let path = "secrets/ldap.password";
                site.import.secret(path, format!("{value}\n"));
                ldap.set("bind_password_file", Value::text(path), "");
                site.carried(
                    &at,
                    key.trim(),
                    format!("[[directory]] bind_password_file, in {path}"),
                );
                continue;
            }
            _ => {
                site.missing(&at, key.trim(), Weight::Detail, "unknown here");
                continue;
            }
        };
        ldap.set(carried.0, carried.1, "");
        site.carried(&at, line, format!("[[directory]] {}", carried.0));
    }
    site.import.config.add(ldap);
    let difference = "users, passwords and servers are the same; saslauthd is no longer asked";
    site.changed(
        at,
        "pwcheck_method: saslauthd",
        "[[directory]] kind = \"ldap\"",
        difference,
    );
}
