//! `SMART_HOST`, `mailertable` and `authinfo`: where mail goes, and with which credentials.

use std::sync::Arc;

use super::{Site, active, short, table_path};
use crate::config::{Section, Value};
use crate::import::password_path;
use crate::report::Weight;
use crate::{Located, Origin};

pub(super) fn carry_over(site: &mut Site<'_>) {
    let ports = (port(site, "RELAY_MAILER_ARGS"), port(site, "ESMTP_MAILER_ARGS"));
    mailertable(site, ports);
    let logins = authinfo(site);
    if let Some(Located { at, what }) = site.mc.option("SMART_HOST") {
        let named = named(what);
        let host = named.trim_matches(['[', ']']);
        if host.is_empty() {
            site.meaningless(at, "SMART_HOST", "it is empty");
            return;
        }
        let mut route = Section::new("route", format!("SMART_HOST, {}", short(at)));
        route.set("domains", Value::list(["*"]), "");
        route.set("via", Value::list(hosts(named, ports.0)), "");
        let login = logins.iter().find(|login| login.as_str() == host);
        if let Some(login) = login {
            route.set(
                "tls",
                Value::text("required"),
                "no password goes to a host that is not verified",
            );
            route.set("login", Value::text(login.clone()), "");
        }
        site.import.config.add(route);
        if login.is_some() {
            let difference = "the host has to have a certificate that is valid for its name, or mail waits; sendmail did not ask";
            site.changed(at, "SMART_HOST", "[[route]]", difference);
        } else {
            site.carried(at, "SMART_HOST", "[[route]]");
        }
    }
}

/// The port in `TCP $h 587`.
fn port(site: &mut Site<'_>, name: &str) -> u16 {
    let Some(Located { at, what }) = site.mc.option(name) else {
        return 25;
    };
    let port = what.strip_prefix("TCP $h").map(str::trim).and_then(|port| {
        if port.is_empty() {
            Some(25)
        } else {
            port.parse().ok()
        }
    });
    match port {
        Some(port) if name == "ESMTP_MAILER_ARGS" && port != 25 => {
            site.import.config.section("delivery").set(
                "mx_port",
                Value::Plain(port.to_string()),
                format!("{name}, {}", short(at)),
            );
            site.changed(
                at,
                name,
                "[delivery] mx_port",
                format!("Mail to all other hosts goes to port {port} too, as before. Most hosts take no mail there: remove `mx_port` unless you need it."),
            );
        }
        Some(_) => site.carried(at, name, "the port in [[route]] via"),
        None => site.missing(at, name, Weight::Mail, "its arguments are not understood"),
    }
    port.unwrap_or(25)
}

fn mailertable(site: &mut Site<'_>, ports: (u16, u16)) {
    let Some((at, arguments)) = site.mc.feature("mailertable") else {
        return;
    };
    let path = table_path(arguments.first().map_or("", String::as_str), "mailertable");
    let Some(text) = site.text(&path, at, "FEATURE(mailertable)") else {
        return;
    };
    site.carried(at, "FEATURE(mailertable)", "[[route]]");
    let file: Arc<str> = Arc::from(path);
    for (number, line) in active(&text) {
        let at = Origin::line(&file, number);
        match line.split_once(char::is_whitespace) {
            Some((key, value)) => entry(site, &at, key, value.trim(), ports),
            None => site.missing(&at, line, Weight::Mail, "a line without a mailer"),
        }
    }
}

/// `research.example  esmtp:[10.4.3.1]`; a leading dot means all subdomains.
fn entry(site: &mut Site<'_>, at: &Origin, key: &str, value: &str, ports: (u16, u16)) {
    let what = format!("{key} {value}");
    let (mailer, rest) = value.split_once(':').unwrap_or(("", value));
    let domain = match key.strip_prefix('.') {
        Some("") => "*".to_owned(),
        Some(below) => format!("*.{below}"),
        None => key.to_owned(),
    };
    let mut route = Section::new("route", format!("mailertable, {}", short(at)));
    route.set("domains", Value::list([domain.clone()]), "");
    match mailer {
        "relay" => {
            route.set("via", Value::list(hosts(rest, ports.0)), "");
        }
        "smtp" | "esmtp" | "smtp8" | "dsmtp" => {
            route.set("via", Value::list(hosts(rest, ports.1)), "");
        }
        "local" => {
            local(site, at, &domain, rest, &what);
            return;
        }
        "error" => {
            route.set("to", Value::text("refuse"), "");
            route.set("refuse", Value::text(refusal(rest)), "");
        }
        _ => {
            let remedy = format!("no route of the kind \"{mailer}\" is made by this import");
            site.missing(at, &what, Weight::Mail, remedy);
            return;
        }
    }
    site.import.config.add(route);
    site.carried(at, &what, "[[route]]");
}

/// `local:root` delivers to one user, `local:` to the user named in the address. Strangers still do not reach the domain.
fn local(site: &mut Site<'_>, at: &Origin, domain: &str, user: &str, what: &str) {
    if domain.contains('*') {
        let remedy = "write an [[alias]] for each of the domains";
        site.missing(at, what, Weight::Mail, remedy);
        return;
    }
    let mut alias = Section::new("alias", format!("mailertable, {}", short(at)));
    alias.set("from", Value::list([format!("@{domain}")]), "");
    alias.set("to", Value::list([if user.is_empty() { "%1" } else { user }]), "");
    site.import.config.add(alias);
    site.carried(at, what, "[[alias]]");
}

/// The hosts in `[10.1.1.30]:[10.1.1.31]` and `mx2.example`: those in brackets are used directly, for others MX records are
/// looked up.
pub(super) fn hosts(text: &str, port: u16) -> Vec<String> {
    let mut hosts = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (host, more) = match rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, more)) => (bracketed(host), more),
            None => {
                let end = rest.find(':').unwrap_or(rest.len());
                (format!("mx:{}", &rest[..end]), &rest[end..])
            }
        };
        hosts.push(format!("{host}:{port}"));
        rest = more.trim_start_matches(':');
    }
    hosts
}

/// An address or name in brackets; IPv6 keeps its brackets.
fn bracketed(host: &str) -> String {
    let host = host.trim_start_matches("IPv6:");
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// `5.1.2:550 text`, or `nohost text`, as code, enhanced code and text.
fn refusal(text: &str) -> String {
    const WORDS: [(&str, &str); 3] = [
        ("nouser ", "5.1.1"),
        ("nohost ", "5.1.2"),
        ("unavailable ", "5.0.0"),
    ];
    let by_word = WORDS
        .iter()
        .find_map(|(word, enhanced)| Some((*enhanced, text.strip_prefix(word)?)));
    let by_code = || {
        text.split_once(':')
            .filter(|(enhanced, _)| enhanced.split('.').count() == 3)
    };
    let (enhanced, rest) = by_word.or_else(by_code).unwrap_or(("5.1.2", text));
    let is_code = |code: &str| code.len() == 3 && code.bytes().all(|octet| octet.is_ascii_digit());
    let code = rest.split_once(' ').filter(|(code, _)| is_code(code));
    let (code, words) = code.unwrap_or(("553", rest));
    format!("{code} {enhanced} {}", words.trim().trim_matches('"'))
}

/// Credentials, by host. Passwords go into separate files.
fn authinfo(site: &mut Site<'_>) -> Vec<String> {
    let Some((at, arguments)) = site.mc.feature("authinfo") else {
        return Vec::new();
    };
    let path = table_path(arguments.first().map_or("", String::as_str), "authinfo");
    let Some(text) = site.text(&path, at, "FEATURE(authinfo)") else {
        return Vec::new();
    };
    site.carried(at, "FEATURE(authinfo)", "[[login]]");
    let file: Arc<str> = Arc::from(path);
    let mut hosts = Vec::new();
    for (number, line) in active(&text) {
        let at = Origin::line(&file, number);
        let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let host = key
            .strip_prefix("AuthInfo:")
            .unwrap_or(key)
            .split('"')
            .next()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned();
        // A line for all hosts applies to the smarthost.
        let host = match site.mc.option("SMART_HOST") {
            Some(smart) if host.is_empty() => named(&smart.what).trim_matches(['[', ']']).to_owned(),
            _ => host,
        };
        match Credentials::read(value) {
            Some(credentials) if !host.is_empty() => {
                credentials.put(site, &at, &host);
                hosts.push(host);
            }
            _ => site.missing(
                &at,
                &format!("authinfo of {host}"),
                Weight::Mail,
                "set [[login]] by hand; its fields are not understood",
            ),
        }
    }
    hosts
}

/// `"U:oakfield" "P:secret" "M:PLAIN"`; `=` in place of the colon means base64, which is not supported.
struct Credentials {
    login: String,
    password: String,
    mechanisms: Vec<String>,
}

impl Credentials {
    fn read(value: &str) -> Option<Self> {
        let mut read = Self {
            login: String::new(),
            password: String::new(),
            mechanisms: Vec::new(),
        };
        let mut authorised = String::new();
        for field in value.split('"').map(str::trim).filter(|field| !field.is_empty()) {
            let (kind, text) = field.split_once(':')?;
            match kind {
                "I" => text.clone_into(&mut read.login),
                "U" => text.clone_into(&mut authorised),
                "P" => text.clone_into(&mut read.password),
                "M" => read.mechanisms = text.split_whitespace().map(str::to_owned).collect(),
                "R" => {}
                _ => return None,
            }
        }
        if read.login.is_empty() {
            read.login = authorised;
        }
        (!read.login.is_empty() && !read.password.is_empty()).then_some(read)
    }

    fn put(self, site: &mut Site<'_>, at: &Origin, host: &str) {
        let path = password_path(host);
        let mut login = Section::new("login", format!("authinfo, {}", short(at)));
        login.set("name", Value::text(host), "");
        login.set("login", Value::text(self.login), "");
        login.set("password_file", Value::text(path.clone()), "");
        if !self.mechanisms.is_empty() {
            login.set("mechanisms", Value::list(self.mechanisms), "");
        }
        site.import.config.add(login);
        site.import.secret(&path, self.password + "\n");
        site.carried(
            at,
            &format!("authinfo of {host}"),
            format!("[[login]] {host}, password in {path}"),
        );
    }
}

/// The host in `esmtp:[smtp.provider.example]`, with its brackets.
fn named(host: &str) -> &str {
    let host = host.trim();
    let mailers = ["smtp", "esmtp", "relay"];
    host.split_once(':')
        .filter(|(mailer, _)| mailers.contains(mailer))
        .map_or(host, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_sides_of_mailertable() {
        let table: &[(&str, &[&str])] = &[
            ("[10.4.3.1]", &["10.4.3.1:25"]),
            ("[10.1.1.30]:[10.1.1.31]", &["10.1.1.30:25", "10.1.1.31:25"]),
            ("mx2.grumpy.example", &["mx:mx2.grumpy.example:25"]),
            ("a.example:[b.example]", &["mx:a.example:25", "b.example:25"]),
            ("[IPv6:2001:db8::1]", &["[2001:db8::1]:25"]),
            ("", &[]),
        ];
        for (text, expected) in table {
            assert_eq!(&hosts(text, 25), expected, "{text}");
        }
        assert_eq!(
            refusal("5.1.2:550 this company does not exist any more"),
            "550 5.1.2 this company does not exist any more"
        );
        assert_eq!(refusal("nouser no such user"), "553 5.1.1 no such user");
        assert_eq!(named("esmtp:[h.example]"), "[h.example]");
    }
}
