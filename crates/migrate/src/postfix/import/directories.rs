//! Who checks passwords: Dovecot, or Cyrus SASL.

use super::super::text::logical_lines;
use super::Site;
use crate::config::{Section, Value};
use crate::report::Weight;
use crate::{Located, Origin};

/// Where Cyrus SASL looks for its Postfix settings, with `smtpd` in place of the name in `smtpd_sasl_path`.
const CYRUS: &[&str] = &[
    "/etc/postfix/sasl",
    "/etc/sasl2",
    "/usr/lib/sasl2",
    "/usr/lib64/sasl2",
];

const DOVECOT: &str = "/etc/dovecot/dovecot.conf";

pub(super) fn carry_over(site: &mut Site<'_>) {
    let listeners = site.listeners.clone();
    let main = site.main;
    let is_used = listeners
        .iter()
        .any(|listener| main.with(&listener.overrides).is_on("smtpd_sasl_auth_enable"));
    const ABOUT: [&str; 8] = [
        "smtpd_sasl_type",
        "smtpd_sasl_path",
        "smtpd_sasl_security_options",
        "smtpd_sasl_tls_security_options",
        "smtpd_sasl_local_domain",
        "broken_sasl_auth_clients",
        "smtpd_sasl_authenticated_header",
        "smtpd_sasl_exceptions_networks",
    ];
    if !is_used {
        for parameter in ABOUT
            .into_iter()
            .chain(["smtpd_sasl_auth_enable", "smtpd_tls_auth_only"])
        {
            site.meaningless(parameter, "no service offers a login");
        }
        return;
    }
    site.carried("smtpd_sasl_auth_enable", "[[listener]] auth");
    if site.layer().is_on("smtpd_tls_auth_only") {
        let difference =
            "AUTH outside of TLS is told 503 5.3.3, since it was not offered; Postfix said 530 5.7.0";
        site.changed("smtpd_tls_auth_only", "[[listener]] plaintext", difference);
    } else {
        site.carried("smtpd_tls_auth_only", "[[listener]] plaintext");
    }
    relaying(site);
    match site.value("smtpd_sasl_type").as_str() {
        "dovecot" => dovecot(site),
        _ => cyrus(site),
    }
    site.carried("smtpd_sasl_type", "[[directory]] kind");
    site.carried("smtpd_sasl_path", "[[directory]]");
    options(site);
}

/// Whether authenticated users may relay: a list must say so.
fn relaying(site: &mut Site<'_>) {
    let listeners = site.listeners.clone();
    let main = site.main;
    let lets = listeners.iter().any(|listener| {
        let layer = main.with(&listener.overrides);
        super::listener::LISTS
            .iter()
            .any(|list| layer.value(list).contains("permit_sasl_authenticated"))
    });
    if !lets {
        site.import.config.section("relay").set(
            "logins",
            Value::plain(false),
            "permit_sasl_authenticated is named nowhere",
        );
    }
}

fn options(site: &mut Site<'_>) {
    let domain = site.value("smtpd_sasl_local_domain");
    if domain.is_empty() {
        site.meaningless("smtpd_sasl_local_domain", "it is empty");
    } else if site.value("smtpd_sasl_type") == "dovecot" {
        let why = "Dovecot is given logins as they are written";
        site.meaningless("smtpd_sasl_local_domain", why);
    } else {
        site.set(
            "auth",
            "default_domain",
            Value::text(domain),
            "smtpd_sasl_local_domain",
        );
    }
    for parameter in ["smtpd_sasl_security_options", "smtpd_sasl_tls_security_options"] {
        if site.value(parameter).contains("noplaintext") {
            site.carried(parameter, "[[listener]] plaintext");
        } else {
            site.carried(parameter, "anonymous logins are never allowed");
        }
    }
    site.meaningless(
        "broken_sasl_auth_clients",
        "`AUTH=` for clients of the last century is not offered",
    );
    let shows = site.layer().is_on("smtpd_sasl_authenticated_header");
    if shows {
        site.set(
            "relay",
            "show_login",
            Value::plain(true),
            "smtpd_sasl_authenticated_header",
        );
    } else {
        site.carried("smtpd_sasl_authenticated_header", "[relay] show_login");
    }
    let remedy = "write an [[access]] rule or a listener for those clients";
    site.missing("smtpd_sasl_exceptions_networks", Weight::Detail, remedy);
}

fn dovecot(site: &mut Site<'_>) {
    let path = site.value("smtpd_sasl_path");
    let mut directory = Section::new("directory", site.comment("smtpd_sasl_type"));
    directory.set("kind", Value::text("dovecot"), "");
    if let Some(server) = path.strip_prefix("inet:") {
        directory.set("server", Value::text(server), "");
    } else {
        let socket = site.below_queue(&path);
        if socket.starts_with(&site.value("queue_directory")) {
            let difference = format!(
                "{socket} lies in a folder of Postfix's that the user of Postern cannot enter: give Dovecot's `service auth` a further \
                 unix_listener, such as /run/dovecot/auth-postern with the mode 0660 and the group of Postern, and name that in `socket`"
            );
            site.changed("smtpd_sasl_path", "[[directory]] socket", difference);
        }
        directory.set("socket", Value::text(socket), "");
    }
    site.import.config.add(directory);
    let mut mechanisms = vec!["PLAIN".to_owned(), "LOGIN".to_owned()];
    read_dovecot(site, DOVECOT, &mut mechanisms, 0);
    site.import.config.section("auth").set(
        "mechanisms",
        Value::list(mechanisms),
        "auth_mechanisms of Dovecot",
    );
}

/// What Dovecot's files say about logins; everything else is Dovecot's own.
fn read_dovecot(site: &mut Site<'_>, path: &str, mechanisms: &mut Vec<String>, depth: u8) {
    let Ok(text) = site.files.read(path) else {
        if depth == 0 {
            let at = site.at("smtpd_sasl_type");
            let remedy = "dovecot.conf cannot be read: look which mechanisms it has in auth_mechanisms";
            site.import
                .missing(&at, "smtpd_sasl_type = dovecot", Weight::Detail, remedy);
        }
        return;
    };
    let mut blocks: Vec<String> = Vec::new();
    // In Dovecot's files, a line that begins with a blank is not a continuation.
    let unindented: String = text.lines().map(|line| format!("{}\n", line.trim())).collect();
    for line in logical_lines(path, &unindented) {
        dovecot_line(site, &line, &mut blocks, mechanisms);
    }
    if depth == 0 && text.contains("conf.d/") {
        for name in ["10-auth.conf", "10-master.conf"] {
            let path = format!("/etc/dovecot/conf.d/{name}");
            read_dovecot(site, &path, mechanisms, depth + 1);
        }
    }
}

fn dovecot_line(
    site: &mut Site<'_>,
    line: &Located<String>,
    blocks: &mut Vec<String>,
    mechanisms: &mut Vec<String>,
) {
    let said = line.what.as_str();
    let is_in = |name: &str| blocks.iter().any(|block| block.starts_with(name));
    let is_password = is_in("passdb") || said.starts_with("passdb");
    let is_service = is_in("service auth") || said.starts_with("service auth");
    let key = said
        .split_once('=')
        .map(|(key, value)| (key.trim(), value.trim()));
    // Some values are passwords.
    let told = key.map_or(said, |(key, _)| key);
    match key {
        Some(("auth_mechanisms", value)) => {
            let known =
                |name: &&str| name.eq_ignore_ascii_case("plain") || name.eq_ignore_ascii_case("login");
            let (kept, others): (Vec<&str>, Vec<&str>) = value.split_whitespace().partition(known);
            *mechanisms = kept.iter().map(|name| name.to_ascii_uppercase()).collect();
            site.import.carried(&line.at, said, "[auth] mechanisms");
            if !others.is_empty() {
                let difference = format!(
                    "{} need secrets that Dovecot does not give away: clients that use them have to change to PLAIN",
                    others.join(", ")
                );
                site.import
                    .changed(&line.at, said, "[auth] mechanisms", difference);
            }
        }
        _ if is_password || is_service => {
            site.import.carried(
                &line.at,
                told,
                "[[directory]] kind = \"dovecot\": Dovecot goes on with it",
            );
        }
        Some(("disable_plaintext_auth" | "auth_allow_cleartext", _)) => {
            site.import.meaningless(
                &line.at,
                told,
                "it is about logins to Dovecot: here `plaintext` decides",
            );
        }
        _ => site
            .import
            .meaningless(&line.at, told, "it is about Dovecot alone, which stays"),
    }
    if said.ends_with('{') {
        blocks.push(said.trim_end_matches('{').trim().to_owned());
    } else if said == "}" {
        blocks.pop();
    }
}

fn cyrus(site: &mut Site<'_>) {
    let name = site.value("smtpd_sasl_path");
    let found = CYRUS.iter().find_map(|folder| {
        let path = format!("{folder}/{name}.conf");
        Some((site.files.read(&path).ok()?, path))
    });
    let Some((text, path)) = found else {
        let at = site.at("smtpd_sasl_type");
        let remedy =
            format!("no {name}.conf of Cyrus SASL was found: name a [[directory]] with the accounts");
        site.import
            .missing(&at, "smtpd_sasl_type = cyrus", Weight::Mail, remedy);
        return;
    };
    let mut plugin = String::new();
    let lines = logical_lines(&path, &text);
    for line in &lines {
        let (key, value) = line.what.split_once(':').unwrap_or((&line.what, ""));
        if key.trim() == "auxprop_plugin" {
            value.trim().clone_into(&mut plugin);
        }
    }
    for line in &lines {
        let (key, value) = line.what.split_once(':').unwrap_or((&line.what, ""));
        let (key, value) = (key.trim(), value.trim());
        match key {
            "pwcheck_method" => method(site, &line.at, &line.what, value, &plugin),
            "mech_list" => {
                let mechanisms: Vec<String> = value.split_whitespace().map(str::to_ascii_uppercase).collect();
                site.import
                    .config
                    .section("auth")
                    .set("mechanisms", Value::list(mechanisms), "mech_list");
                site.import.carried(&line.at, &line.what, "[auth] mechanisms");
            }
            "auxprop_plugin" => site.import.carried(&line.at, &line.what, "[[directory]]"),
            "log_level" => site
                .import
                .meaningless(&line.at, &line.what, "[log] has its own level"),
            _ => {
                let remedy = "look what it says, and set the key of [[directory]]";
                site.import.missing(&line.at, key, Weight::Detail, remedy);
            }
        }
    }
}

fn method(site: &mut Site<'_>, at: &Origin, what: &str, method: &str, plugin: &str) {
    match (method.split_whitespace().next().unwrap_or_default(), plugin) {
        ("saslauthd", _) => {
            let mut directory = Section::new("directory", "Cyrus SASL: saslauthd, which stays");
            directory.set("kind", Value::text("saslauthd"), "");
            let socket = format!("{}/var/run/saslauthd/mux", site.value("queue_directory"));
            let is_in_jail = site
                .files
                .read("/etc/default/saslauthd")
                .or_else(|_| site.files.read("/etc/default/saslauthd-postfix"))
                .is_ok_and(|text| text.contains(socket.trim_end_matches("/mux")));
            if is_in_jail {
                directory.set("socket", Value::text(socket), "");
            }
            site.import.config.add(directory);
            site.import
                .carried(at, what, "[[directory]] kind = \"saslauthd\"");
        }
        ("auxprop", "" | "sasldb") => {
            let mut directory = Section::new("directory", "Cyrus SASL: sasldb");
            directory.set("kind", Value::text("users"), "");
            site.import.config.add(directory);
            let difference = "run `postern user import --format sasldb /etc/sasldb2` once, and users go on with their passwords";
            site.import
                .changed(at, what, "[[directory]] kind = \"users\"", difference);
        }
        (method, plugin) => {
            let remedy = format!(
                "no directory of the kind \"{method} {plugin}\" is made by this import: `sql` and `ldap` ask the same accounts directly"
            );
            site.import.missing(at, what, Weight::Mail, remedy);
        }
    }
}
