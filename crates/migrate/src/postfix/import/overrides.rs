//! `-o name=value` in `master.cf`: the outcome for each.

use super::super::Service;
use super::Site;
use super::listener::{LISTS, Listener};
use crate::report::Weight;

/// What an override of a mail-accepting service becomes.
enum Made {
    /// A key of the listener.
    Listener(&'static str),
    /// Something else.
    Elsewhere(&'static str),
    /// Nothing, with the reason.
    Nothing(&'static str),
    /// Nothing, with the remedy.
    Missing(&'static str),
}

pub(super) fn report(site: &mut Site<'_>, service: &Service, listener: &Listener) {
    let name = listener.names.first().cloned().unwrap_or_default();
    for (parameter, value) in &service.overrides {
        let what = shown(parameter, &value.what);
        let at = &value.at;
        match made(site, parameter, listener) {
            Made::Listener(key) => site
                .import
                .carried(at, &what, format!("[[listener]] {name}: {key}")),
            Made::Elsewhere(to) => site.import.carried(at, &what, to),
            Made::Nothing(why) => site.import.meaningless(at, &what, why),
            Made::Missing(remedy) => site.import.missing(at, &what, Weight::Detail, remedy),
        }
    }
    for argument in &service.arguments {
        let why = "how Postfix runs the service";
        site.import
            .meaningless(&service.at, &format!("{} {argument}", service.name), why);
    }
}

/// An override, without passwords.
pub(super) fn shown(name: &str, value: &str) -> String {
    if name.contains("password") {
        format!("-o {name}=...")
    } else {
        format!("-o {name}={value}")
    }
}

/// Whether the filter of a listener is a program.
fn is_program(site: &Site<'_>, listener: &Listener) -> bool {
    let mut overrides = listener.overrides.iter();
    let filter = overrides.find(|(name, _)| name == "content_filter");
    let transport = filter.and_then(|(_, filter)| filter.what.split(':').next());
    transport
        .and_then(|transport| site.master.service(transport.trim(), "unix"))
        .is_some_and(|service| service.command == "pipe")
}

fn made(site: &Site<'_>, parameter: &str, listener: &Listener) -> Made {
    if LISTS.contains(&parameter)
        || matches!(
            parameter,
            "smtpd_data_restrictions" | "smtpd_end_of_data_restrictions"
        )
    {
        return Made::Listener("role, auth and access");
    }
    match parameter {
        "smtpd_tls_wrappermode" | "smtpd_tls_security_level" | "smtpd_use_tls" | "smtpd_enforce_tls" => {
            Made::Listener("tls")
        }
        "smtpd_tls_auth_only" => Made::Listener("plaintext"),
        "smtpd_sasl_auth_enable" => Made::Listener("auth"),
        "mynetworks" => Made::Listener("networks"),
        "content_filter" if listener.is_filtered => Made::Listener("filtered"),
        "content_filter" if is_program(site, listener) => Made::Elsewhere("[[access]] verdict = \"detour\""),
        "content_filter" => Made::Missing("one filter behind the queue serves all: see [delivery] filter"),
        "message_size_limit" => Made::Listener("message_size_limit"),
        "smtpd_forbid_bare_newline" => Made::Listener("bare_newlines"),
        "smtpd_milters" => Made::Elsewhere("[[milter]] listeners"),
        "cleanup_service_name" => Made::Elsewhere("[[header_check]] listeners, from that service"),
        "smtpd_sender_login_maps" => Made::Elsewhere("[identity] owners"),
        "receive_override_options" if listener.is_filtered => {
            Made::Nothing("mail that comes back from the filter is neither judged nor rewritten again")
        }
        "receive_override_options" => Made::Missing(
            "aliases, rewriting and filters are the same on all listeners: see `listeners` of each",
        ),
        "smtpd_sasl_type"
        | "smtpd_sasl_path"
        | "smtpd_sasl_local_domain"
        | "smtpd_sasl_security_options"
        | "broken_sasl_auth_clients"
        | "smtpd_sasl_tls_security_options" => {
            if site.is_set(parameter) {
                Made::Missing("logins are the same on all listeners: see [auth]")
            } else {
                Made::Elsewhere("[auth], [[directory]]")
            }
        }
        "syslog_name" | "milter_macro_daemon_name" | "smtpd_tls_loglevel" => {
            Made::Nothing("the log names the listener")
        }
        "smtpd_delay_reject" => Made::Nothing("delay_checks is the same for all listeners"),
        "strict_rfc821_envelopes" => Made::Nothing("addresses are always checked"),
        "smtpd_client_connection_count_limit"
        | "smtpd_client_connection_rate_limit"
        | "smtpd_client_message_rate_limit"
            if listener.is_filtered =>
        {
            Made::Nothing("the filter is not counted among clients")
        }
        "smtpd_client_connection_count_limit"
        | "smtpd_client_connection_rate_limit"
        | "smtpd_client_message_rate_limit" => Made::Missing("write a [[limit]] with `listeners`"),
        "smtpd_error_sleep_time"
        | "smtpd_soft_error_limit"
        | "smtpd_hard_error_limit"
        | "smtpd_reject_unlisted_recipient"
        | "smtpd_recipient_limit"
        | "max_use"
        | "smtpd_helo_required"
        | "local_header_rewrite_clients"
        | "smtpd_authorized_xforward_hosts"
        | "smtpd_client_restrictions_enable" => Made::Nothing("the same on all listeners here"),
        "smtpd_upstream_proxy_protocol" => {
            Made::Missing("name the load balancers in `proxy_protocol` of [[listener]]")
        }
        "smtpd_proxy_filter" => Made::Missing(
            "a filter before the queue has to be a [[milter]], or one behind it: [delivery] filter",
        ),
        name if site.value("smtpd_restriction_classes").contains(name) => Made::Elsewhere("[[access]]"),
        _ if listener.is_filtered => Made::Nothing("what the filter hands back is taken as it is"),
        _ => Made::Missing("all listeners have the same here; look whether that matters"),
    }
}
