//! `FEATURE(authinfo)` and `confDEF_AUTH_INFO`: as whom this server logs in to others.

use std::sync::Arc;

use super::{Site, active, hosts, short, table_path};
use crate::config::{Section, Value};
use crate::import::password_path;
use crate::report::Weight;
use crate::{Located, Origin};

/// Logins, by the host that each is for. Passwords go into files of their own.
pub(super) fn carry_over(site: &mut Site<'_>) -> Vec<String> {
    let mut hosts: Vec<String> = default(site).into_iter().collect();
    let Some((at, arguments)) = site.mc.feature("authinfo") else {
        return hosts;
    };
    let path = table_path(arguments.first().map_or("", String::as_str), "authinfo");
    let Some(text) = site.text(&path, at, "FEATURE(authinfo)") else {
        return hosts;
    };
    site.carried(at, "FEATURE(authinfo)", "[[login]]");
    let file: Arc<str> = Arc::from(path);
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
        // A line for all hosts is about the one that mail is sent through.
        let host = match site.mc.option("SMART_HOST") {
            Some(smart) if host.is_empty() => hosts::named(&smart.what).trim_matches(['[', ']']).to_owned(),
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

/// `confDEF_AUTH_INFO`, the older way: a file with the login for all hosts, which is about the one that mail is sent through. Its lines are whom
/// one acts for, login, password, realm and mechanisms.
fn default(site: &mut Site<'_>) -> Option<String> {
    const NAME: &str = "confDEF_AUTH_INFO";
    let Located { at, what } = site.mc.option(NAME)?;
    let (at, path) = (at.clone(), what.trim().to_owned());
    let host = site
        .mc
        .option("SMART_HOST")
        .map(|smart| hosts::named(&smart.what).trim_matches(['[', ']']).to_owned());
    let Some(host) = host.filter(|host| !host.is_empty()) else {
        site.meaningless(
            &at,
            NAME,
            "mail is sent through no host: it would be for any host that asks",
        );
        return None;
    };
    let text = site.text(&path, &at, NAME)?;
    let mut lines = text.lines().map(str::trim);
    let (acts_as, login, password) = (
        lines.next()?,
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    let credentials = Credentials {
        login: if login.is_empty() { acts_as } else { login }.to_owned(),
        password: password.to_owned(),
        mechanisms: lines
            .nth(1)
            .map(|list| list.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default(),
    };
    if credentials.login.is_empty() || credentials.password.is_empty() {
        site.missing(
            &at,
            NAME,
            Weight::Mail,
            "set [[login]] by hand; its file is not understood",
        );
        return None;
    }
    site.carried(&at, NAME, "[[login]]");
    credentials.put(site, &Origin::line(&path.as_str().into(), 1), &host);
    Some(host)
}

/// `"U:oakfield" "P:secret" "M:PLAIN"`; a `=` in place of the colon means base64, which is not read.
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
