//! Services of `master.cf` that do not accept mail by SMTP.

use super::super::Service;
use super::Site;
use crate::config::Value;
use crate::report::Weight;

/// Parts of Postfix without site-specific settings.
const OWN: [&str; 21] = [
    "cleanup",
    "qmgr",
    "oqmgr",
    "tlsmgr",
    "trivial-rewrite",
    "bounce",
    "verify",
    "flush",
    "proxymap",
    "showq",
    "error",
    "discard",
    "local",
    "virtual",
    "anvil",
    "scache",
    "postlogd",
    "qmqpd",
    "smtpd",
    "dnsblog",
    "tlsproxy",
];

pub(super) fn carry_over(site: &mut Site<'_>) {
    let services: Vec<Service> = site.master.services().to_vec();
    for service in services {
        let is_listener =
            service.kind == "inet" && matches!(service.command.as_str(), "smtpd" | "postscreen");
        if !is_listener {
            one(site, &service);
        }
    }
}

/// Mail from programs on this machine, which call `sendmail`.
pub(super) fn programs(site: &mut Site<'_>) {
    let who = site.words("authorized_submit_users");
    if site.is_set("authorized_submit_users") && who.is_empty() {
        let remedy = "Only root could send with the `sendmail` command, so [local] is not written: mail that programs hand over stays \
            in the drop folder. Add [local] if cron or others on this machine are to send mail.";
        return site.missing("authorized_submit_users", Weight::Mail, remedy);
    }
    let comment = "programs of this machine call sendmail as before";
    let local = site.import.config.section("local");
    local.set("mode", Value::text("0666"), comment);
    if who.iter().all(|word| word.starts_with("static:")) {
        site.carried("authorized_submit_users", "[local]");
    } else {
        let remedy = "All accounts of this machine may send with the `sendmail` command. `mode` in [local] says who may connect to its socket.";
        site.missing("authorized_submit_users", Weight::Habit, remedy);
    }
}

fn one(site: &mut Site<'_>, service: &Service) {
    let what = format!("{} {} {}", service.name, service.kind, service.command);
    let is_used = site.lanes.contains(&service.name);
    match service.command.as_str() {
        "smtp" | "lmtp" if is_used => site.import.carried(&service.at, &what, "[[route]], [delivery]"),
        "smtp" | "lmtp" if matches!(service.name.as_str(), "smtp" | "lmtp" | "relay") => {
            site.import.carried(&service.at, &what, "[delivery]");
        }
        "smtp" | "lmtp" => site
            .import
            .meaningless(&service.at, &what, "no transport names it"),
        // It was reported when it became one.
        "pipe" if site.pipes.contains(&service.name) => {}
        "pipe" if is_used => {
            let remedy = "see what is said of the transport that names it";
            site.import.missing(&service.at, &what, Weight::Mail, remedy);
        }
        "pipe" => site
            .import
            .meaningless(&service.at, &what, "no transport names it"),
        "spawn" if is_used => {
            let remedy = "Postfix starts this program: see what is said of the service that asks it";
            site.import.missing(&service.at, &what, Weight::Mail, remedy);
        }
        "smtpd" if service.kind == "pass" => {
            site.import
                .carried(&service.at, &what, "[[listener]], with what it sets apart")
        }
        "pickup" if site.import.config.sections("local").next().is_some() => {
            site.import.carried(&service.at, &what, "[local]");
        }
        "pickup" => site
            .import
            .meaningless(&service.at, &what, "authorized_submit_users lets nobody use it"),
        "cleanup" if is_used => site
            .import
            .carried(&service.at, &what, "[[header_check]] listeners"),
        command if OWN.contains(&command) => site.import.meaningless(&service.at, &what, "a part of Postfix"),
        _ => {
            let remedy = "a service that this import knows nothing of: look what needs it";
            site.import.missing(&service.at, &what, Weight::Mail, remedy);
        }
    }
    if service.kind == "inet" && service.command != "smtpd" {
        let remedy = "a port that other programs may use; nothing listens there now";
        site.import.missing(&service.at, &what, Weight::Detail, remedy);
    }
    overrides(site, service, is_used);
}

fn overrides(site: &mut Site<'_>, service: &Service, is_used: bool) {
    for (name, value) in &service.overrides {
        let what = format!("{} {}", service.name, super::overrides::shown(name, &value.what));
        match (service.command.as_str(), name.as_str()) {
            (
                _,
                "syslog_name"
                | "smtp_send_xforward_command"
                | "max_use"
                | "disable_dns_lookups"
                | "smtp_tls_note_starttls_offer"
                | "lmtp_send_xforward_command"
                | "smtp_fallback_relay"
                | "max_idle",
            ) => {
                let why = "the log names the route, and connections are made as the route says";
                site.import.meaningless(&value.at, &what, why);
            }
            ("cleanup", "header_checks" | "mime_header_checks" | "nested_header_checks" | "body_checks")
                if is_used =>
            {
                site.import
                    .carried(&value.at, &what, "[[header_check]] listeners");
            }
            ("smtpd", _) => site
                .import
                .carried(&value.at, &what, "[[listener]], with what it sets apart"),
            (
                "smtp" | "lmtp",
                "smtp_helo_name"
                | "smtp_bind_address"
                | "smtp_bind_address6"
                | "inet_protocols"
                | "smtp_address_preference"
                | "smtp_tls_security_level"
                | "smtp_tls_wrappermode",
            ) if is_used => site.import.carried(&value.at, &what, "[[route]]"),
            ("smtp", "smtp_data_done_timeout") => {
                let why =
                    "[delivery.timeouts] end_of_data is the same for all; a filter has as long as any host";
                site.import.meaningless(&value.at, &what, why);
            }
            _ if !is_used
                && !matches!(
                    service.name.as_str(),
                    "smtp" | "relay" | "lmtp" | "cleanup" | "pickup"
                ) =>
            {
                site.import
                    .meaningless(&value.at, &what, "no transport names the service");
            }
            _ => {
                let remedy = "look what it was for, and whether a [[route]] or [delivery] has the like";
                site.import.missing(&value.at, &what, Weight::Detail, remedy);
            }
        }
    }
}
