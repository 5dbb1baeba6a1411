//! `DAEMON_OPTIONS`: where connections are accepted.

use super::{Site, short};
use crate::Origin;
use crate::config::{Section, Value};
use crate::report::Weight;

pub(super) fn carry_over(site: &mut Site<'_>) {
    let mc = site.mc;
    let has_default_msa = mc.feature("no_default_msa").is_none();
    let mut count = 0;
    for (at, arguments) in mc.calls("DAEMON_OPTIONS") {
        count += 1;
        one(site, at, &arguments.join(","), count);
    }
    for (at, arguments) in mc.calls("CLIENT_OPTIONS") {
        outgoing(site, at, &arguments.join(","));
    }
    if let Some((at, _)) = mc.feature("no_default_msa") {
        site.carried(at, "FEATURE(no_default_msa)", "[[listener]]");
    }
    if count == 0 {
        add(
            site,
            "mta",
            "0.0.0.0:25",
            &Daemon {
                role: "mx",
                auth: auth("", false),
                ..Daemon::default()
            },
            "sendmail's default",
        );
    }
    unqualified(site);
    if has_default_msa {
        let daemon = if has_logins(site, "") {
            Daemon {
                role: "submission",
                ..Daemon::default()
            }
        } else {
            Daemon {
                role: "mx",
                auth: Some("off"),
                ..Daemon::default()
            }
        };
        add(site, "msa", "0.0.0.0:587", &daemon, "sendmail's default MSA");
        if daemon.role != "submission" {
            return;
        }
        if let Some((_, at, _)) = mc.all_calls().next() {
            let difference = "who submits has to log in; sendmail took mail for its own domains without";
            site.changed(
                at,
                "port 587, which sendmail opens by itself",
                "[[listener]] msa",
                difference,
            );
        }
    }
}

/// `Family=inet, Addr=192.0.2.41`: the address from which mail is sent.
fn outgoing(site: &mut Site<'_>, at: &Origin, options: &str) {
    let what = format!("CLIENT_OPTIONS({options})");
    let mut is_whole = true;
    for option in options
        .split(',')
        .map(str::trim)
        .filter(|option| !option.is_empty())
    {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key.trim().to_ascii_lowercase().as_str() {
            "addr" | "address" | "a" => {
                site.extend("delivery", "source_address", vec![value.trim().to_owned()]);
            }
            "family" | "f" | "name" | "n" => {}
            _ => is_whole = false,
        }
    }
    if is_whole {
        site.carried(at, &what, "[delivery] source_address");
    } else {
        site.missing(
            at,
            &what,
            Weight::Detail,
            "a part of it is unknown here; [delivery] has `source_address`, `ip` and `helo_name`",
        );
    }
}

#[derive(Default)]
struct Daemon {
    role: &'static str,
    auth: Option<&'static str>,
    is_implicit: bool,
}

/// `Port=smtp, Name=MTA, Addr=127.0.0.1, M=Ea`.
fn one(site: &mut Site<'_>, at: &Origin, options: &str, count: usize) {
    let (mut port, mut address, mut flags) = (25, String::new(), String::new());
    let (mut name, mut is_v6, mut unknown) = (format!("listener{count}"), false, Vec::new());
    for option in options
        .split(',')
        .map(str::trim)
        .filter(|option| !option.is_empty())
    {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key.trim().to_ascii_lowercase().as_str() {
            "port" | "p" => match port_of(value.trim()) {
                Some(known) => port = known,
                None => unknown.push(option),
            },
            "name" | "n" => name = value.trim().to_ascii_lowercase(),
            "addr" | "address" | "a" => value.trim().clone_into(&mut address),
            "family" | "f" => is_v6 = value.trim() == "inet6",
            // Blanks between flags mean nothing: `M=E a` is `E` and `a`.
            "m" | "modifiers" | "modify" => flags = value.replace(' ', ""),
            _ => unknown.push(option),
        }
    }
    for option in unknown {
        site.missing(
            at,
            &format!("DAEMON_OPTIONS({option})"),
            Weight::Detail,
            "unknown here",
        );
    }
    if address.is_empty() {
        address = if is_v6 {
            "::".to_owned()
        } else {
            "0.0.0.0".to_owned()
        };
    }
    let address = if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    };
    let is_submission = (matches!(port, 465 | 587) || flags.contains('a')) && has_logins(site, &flags);
    let daemon = Daemon {
        role: if is_submission { "submission" } else { "mx" },
        auth: auth(&flags, is_submission),
        is_implicit: flags.contains('s') || port == 465,
    };
    add(
        site,
        &name,
        &address,
        &daemon,
        &format!("DAEMON_OPTIONS, {}", short(at)),
    );
    let what = format!("DAEMON_OPTIONS({options})");
    if is_submission && !flags.contains('a') {
        let difference = "who submits has to log in; sendmail took mail for its own domains without";
        site.changed(at, &what, format!("[[listener]] {name}"), difference);
    } else {
        site.carried(at, &what, format!("[[listener]] {name}"));
    }
}

/// Whether authentication is possible: mechanisms are listed, or the listener requires it.
fn has_logins(site: &Site<'_>, flags: &str) -> bool {
    flags.contains('a')
        || site.mc.option("confAUTH_MECHANISMS").is_some()
        || site.mc.calls("TRUST_AUTH_MECH").next().is_some()
}

/// Recipients without a domain are local users; senders without one are accepted with
/// `FEATURE(accept_unqualified_senders)`.
fn unqualified(site: &mut Site<'_>) {
    let feature = site.mc.feature("accept_unqualified_senders");
    let (word, why) = match feature {
        Some(_) => ("complete", "accept_unqualified_senders"),
        None => (
            "recipients",
            "as sendmail, which takes a name alone for a user here",
        ),
    };
    for section in site.import.config.all() {
        if section.name() == "listener" && section.get("role") == Some(&Value::text("mx")) {
            section.set("bare_addresses", Value::text(word), why);
        }
    }
    let Some((at, _)) = feature else { return };
    let difference = "a sender without a domain gets that of `origin` at once";
    let what = "FEATURE(accept_unqualified_senders)";
    site.changed(at, what, "[[listener]] bare_addresses", difference);
}

/// `a` requires authentication, `A` does not offer it.
fn auth(flags: &str, is_submission: bool) -> Option<&'static str> {
    match (flags.contains('A'), is_submission) {
        (true, _) => Some("off"),
        (false, true) => None,
        (false, false) => Some("offer"),
    }
}

fn add(site: &mut Site<'_>, name: &str, address: &str, daemon: &Daemon, comment: &str) {
    let mut listener = Section::new("listener", comment);
    listener.set("name", Value::text(name), "");
    listener.set("address", Value::text(address), "");
    listener.set("role", Value::text(daemon.role), "");
    let mechanisms = site.mc.option("confAUTH_MECHANISMS").is_some();
    if let Some(auth) = daemon.auth.filter(|auth| *auth == "off" || mechanisms) {
        listener.set("auth", Value::text(auth), "");
    }
    if daemon.is_implicit {
        listener.set("tls", Value::text("implicit"), "");
    }
    site.import.config.add(listener);
}

fn port_of(text: &str) -> Option<u16> {
    match text {
        "smtp" => Some(25),
        "smtps" | "submissions" => Some(465),
        "submission" => Some(587),
        number => number.parse().ok(),
    }
}
