//! `SMART_HOST`, `mailertable` and `authinfo`: where mail goes, and with which credentials.

use std::sync::Arc;

use super::hosts::{hosts, named, port_of};
use super::{Site, active, authinfo, hubs, short, table_path};
use crate::config::{Section, Value};
use crate::report::Weight;
use crate::{Located, Origin};

pub(super) fn carry_over(site: &mut Site<'_>) {
    let ports = (port(site, "RELAY_MAILER_ARGS"), port(site, "ESMTP_MAILER_ARGS"));
    hubs::carry_over(site, ports);
    mailertable(site, ports);
    let logins = authinfo::carry_over(site);
    if let Some(Located { at, what }) = site.mc.option("SMART_HOST") {
        let named = named(what);
        let host = named.trim_matches(['[', ']']);
        if host.is_empty() {
            site.meaningless(at, "SMART_HOST", "it is empty");
            return;
        }
        let mut route = Section::new("route", format!("SMART_HOST, {}", short(at)));
        route.set("domains", Value::list(["*"]), "");
        route.set("via", Value::list(hosts(named, port_of(what, ports))), "");
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
            let text = refusal(rest);
            route.set("to", Value::text("refuse"), "");
            route.set("refuse", Value::text(text.clone()), "");
            if text.starts_with('4')
                && !rest
                    .split([' ', ':'])
                    .any(|word| word.starts_with('4') && is_code(word))
            {
                let difference =
                    "senders hear 450 and try again; without a code in the text sendmail said 553, for good";
                site.changed(at, &what, "[[route]] refuse", difference);
                site.import.config.add(route);
                return;
            }
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

/// What stands behind `error:` in the mailertable, as code, enhanced code and text. sendmail gives 553 where the text has no code, whatever
/// status or word stands before it; one that says "for now" is believed here.
fn refusal(text: &str) -> String {
    const WORDS: [(&str, &str); 8] = [
        ("nouser ", "5.1.1"),
        ("nohost ", "5.1.2"),
        ("unavailable ", "5.0.0"),
        ("tempfail ", "4.0.0"),
        ("usage ", "5.5.4"),
        ("protocol ", "5.5.0"),
        ("config ", "5.3.5"),
        ("software ", "5.3.0"),
    ];
    let by_word = WORDS
        .iter()
        .find_map(|(word, enhanced)| Some((*enhanced, text.strip_prefix(word)?)));
    let by_status = || text.split_once(':').filter(|(status, _)| is_status(status));
    let given = by_word.or_else(by_status);
    let rest = given.map_or(text, |(_, rest)| rest.trim());
    let Some((code, rest)) = rest.split_once(' ').filter(|(code, _)| is_code(code)) else {
        let status = given.map_or("5.3.0", |(status, _)| status);
        let code = if status.starts_with('4') { "450" } else { "553" };
        return format!("{code} {status} {}", rest.trim_matches('"'));
    };
    let rest = rest.trim();
    let (own, words) = match rest.split_once(' ').filter(|(status, _)| is_status(status)) {
        Some((status, words)) => (Some(status), words),
        None => (given.map(|(status, _)| status), rest),
    };
    // A status of another class than the code's would make no sense.
    let class = code.get(..1).unwrap_or("5");
    let status = own.filter(|status| status.starts_with(class)).map(str::to_owned);
    let status = status.unwrap_or_else(|| format!("{class}.0.0"));
    format!("{code} {status} {}", words.trim().trim_matches('"'))
}

fn is_status(word: &str) -> bool {
    let is_number =
        |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit());
    word.split('.').count() == 3 && word.split('.').all(is_number) && word.starts_with(['4', '5'])
}

fn is_code(word: &str) -> bool {
    word.len() == 3 && word.starts_with(['4', '5']) && word.bytes().all(|octet| octet.is_ascii_digit())
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
        assert_eq!(named("esmtp:[h.example]"), "[h.example]");
        let ports =
            ["esmtp:[h.example]", "relay:[h.example]", "h.example"].map(|host| port_of(host, (25, 10_024)));
        assert_eq!(ports, [10_024, 25, 25]);
    }

    #[test]
    fn refusals_of_mailertable() {
        #[rustfmt::skip]
        let cases = [
            // written                            told; the code is that of a real sendmail 8.17, but where it is for now
            ("5.1.2:550 this company is gone",    "550 5.1.2 this company is gone"),
            ("5.7.1:no code",                     "553 5.7.1 no code"),
            ("4.7.1:451 later",                   "451 4.7.1 later"),
            ("4.7.1:later",                       "450 4.7.1 later"),
            ("nouser no such user",               "553 5.1.1 no such user"),
            ("nouser 550 own code",               "550 5.1.1 own code"),
            ("tempfail try later",                "450 4.0.0 try later"),
            ("tempfail 450 own code",             "450 4.0.0 own code"),
            ("usage x",                           "553 5.5.4 x"),
            ("bogus x",                           "553 5.3.0 bogus x"),
            ("550 just a code",                   "550 5.0.0 just a code"),
            ("550 5.7.2 code and status",         "550 5.7.2 code and status"),
            ("5.1.1:450 classes that differ",     "450 4.0.0 classes that differ"),
            ("\"quoted text\"",                   "553 5.3.0 quoted text"),
        ];
        for (written, told) in cases {
            assert_eq!(refusal(written), told, "{written}");
        }
    }
}
