//! Families of `main.cf` parameters, whose members are not listed in the table.

use super::table::ROWS;
use crate::report::Weight;

/// What a parameter becomes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Family {
    /// It means nothing here, and why.
    Nothing(&'static str),
    /// It is not carried over, and what to do.
    Missing(Weight, &'static str),
}

use Family::{Missing, Nothing};

const OWN: &str = "it is about Postfix's own processes and files";
const CIPHERS: &str = "ciphers are those that are safe today";
const ROUTE: &str = "set limits in a [[route]] if the next hop needs them";
const TOLD: &str = "nobody is sent mail about that: the log has it; `double_bounce_to` in [delivery] is for bounces that cannot be delivered";

/// Parameters known by name only.
const NAMED: &[(&str, Family)] = &[
    (
        "tls_server_sni_maps",
        Missing(Weight::Mail, "a [[tls.identity]] for each certificate"),
    ),
    (
        "ignore_mx_lookup_error",
        Nothing("a failed look-up is tried again, as is right"),
    ),
    (
        "internal_mail_filter_classes",
        Nothing("reports of this server are signed like other mail"),
    ),
    ("prepend_delivered_header", Nothing("what finds loops is there")),
    (
        "smtp_tls_wrappermode",
        Missing(Weight::Mail, "`tls = \"implicit\"` in the [[route]]"),
    ),
    (
        "smtp_tcp_port",
        Missing(
            Weight::Mail,
            "`mx_port` in [delivery], or a port in `via` of a [[route]]",
        ),
    ),
    (
        "smtp_bind_address_enforce",
        Nothing("`source_address` is always used"),
    ),
    (
        "smtp_discard_ehlo_keywords",
        Missing(Weight::Detail, "a host is asked for what it offers"),
    ),
    (
        "smtp_balance_inet_protocols",
        Missing(
            Weight::Detail,
            "`ip` in [delivery] says which addresses come first",
        ),
    ),
    (
        "smtp_quote_rfc821_envelope",
        Nothing("addresses are always quoted as RFC 5321 has it"),
    ),
    (
        "smtpd_milter_maps",
        Missing(
            Weight::Mail,
            "`clients` or `listeners` of a [[milter]] say whose mail it sees",
        ),
    ),
    (
        "smtpd_peername_lookup",
        Nothing("names of clients are looked up when something asks for them"),
    ),
    (
        "smtpd_reject_footer_maps",
        Missing(
            Weight::Detail,
            "refusals name the session, by which `postern explain` tells why",
        ),
    ),
    (
        "smtpd_sasl_mechanism_filter",
        Missing(
            Weight::Security,
            "name those that are left in `mechanisms` of [auth]",
        ),
    ),
    (
        "smtpd_forbidden_commands",
        Nothing("what is no command of SMTP is refused, and counts against the client"),
    ),
    (
        "smtpd_noop_commands",
        Missing(Weight::Detail, "commands are taken as they come"),
    ),
    (
        "expand_owner_alias",
        Nothing("the owner of a list is where its alias leads"),
    ),
    (
        "reset_owner_alias",
        Nothing("the owner of a list is the nearest one"),
    ),
    (
        "message_reject_characters",
        Missing(Weight::Mail, "a [[header_check]] with a pattern"),
    ),
    ("fault_injection_code", Nothing("it is for tests of Postfix")),
    (
        "strict_mailbox_ownership",
        Nothing("a mailbox of another user is never written to"),
    ),
    (
        "require_home_directory",
        Nothing("a mailbox below a home that is missing waits"),
    ),
    (
        "enable_threaded_bounces",
        Nothing("reports name the message they are about"),
    ),
    (
        "allow_min_user",
        Nothing("an address that begins with `-` is an address; no program gets it as an option"),
    ),
    (
        "allow_untrusted_routing",
        Nothing("who may relay is asked of the address as it is"),
    ),
    (
        "in_flow_delay",
        Nothing("[admission] says what is taken when the queue is long"),
    ),
    ("strict_smtputf8", Nothing("addresses are always checked")),
    ("header_from_format", Nothing("reports have one form")),
    ("resolve_null_domain", Nothing("an address needs a domain")),
    (
        "local_login_sender_maps",
        Missing(
            Weight::Security,
            "`trusted_users` in [local] says who may write as anybody",
        ),
    ),
    (
        "default_delivery_status_filter",
        Missing(Weight::Mail, "the answer of the next hop counts as it is"),
    ),
    (
        "best_mx_transport",
        Missing(Weight::Mail, "name the domain in `local_domains` or a [[route]]"),
    ),
    ("mail_release_date", Nothing(OWN)),
    ("default_database_type", Nothing(OWN)),
    ("openssl_path", Nothing(OWN)),
    (
        "plaintext_reject_code",
        Nothing("replies have the codes of the standards"),
    ),
];

/// Name prefixes.
const BEGIN: &[(&str, Family)] = &[
    ("tlsproxy_", Nothing(OWN)),
    (
        "postscreen_",
        Nothing("[screen] has strangers' clients looked at, without a process of its own"),
    ),
    ("qmqpd_", Nothing("QMQP is not spoken")),
    ("postlog", Nothing(OWN)),
    ("postmulti_", Nothing(OWN)),
    ("maillog_", Nothing("[log] says where the log goes")),
    (
        "multi_instance_",
        Nothing("one server serves all; a second one has a configuration of its own"),
    ),
    ("anvil_", Nothing(OWN)),
    ("qmgr_", Nothing(OWN)),
    ("ipc_", Nothing(OWN)),
    ("fork_", Nothing(OWN)),
    ("berkeley_db_", Nothing(OWN)),
    ("lmdb_", Nothing(OWN)),
    ("fast_flush_", Nothing(OWN)),
    (
        "connection_cache_",
        Nothing("connections are kept for the next message by themselves"),
    ),
    (
        "smtp_connection_",
        Nothing("connections are kept for the next message by themselves"),
    ),
    ("smtp_pix_", Nothing("firewalls of that kind are not catered for")),
    (
        "smtp_sasl_auth_cache_",
        Nothing("a login that failed is tried again as other mail is"),
    ),
    (
        "address_verify_",
        Nothing("what next hops say of recipients is kept for a while, in memory"),
    ),
    (
        "smtpd_proxy_",
        Missing(
            Weight::Mail,
            "a filter before the queue has to be a [[milter]], or one behind it: [delivery] filter",
        ),
    ),
    (
        "smtpd_policy_service_",
        Missing(
            Weight::Detail,
            "`timeout` and `on_failure` of the [[policy_service]]",
        ),
    ),
    ("tls_", Nothing(CIPHERS)),
    (
        "mime_",
        Nothing("the structure of a message is followed within bounds"),
    ),
    ("dnsblog_", Nothing(OWN)),
    ("virtual_alias_", Nothing("how far aliases lead is bounded")),
    ("milter_", Nothing("filters get what they ask for")),
];

/// Name suffixes.
const END: &[(&str, Family)] = &[
    ("_notice_recipient", Missing(Weight::Habit, TOLD)),
    ("_service_name", Nothing(OWN)),
    ("_cipherlist", Nothing(CIPHERS)),
    ("_ciphers", Nothing(CIPHERS)),
    ("_tempfail_action", Nothing("what cannot be found out is put off")),
    ("_delivery_slot_cost", Nothing(OWN)),
    ("_delivery_slot_discount", Nothing(OWN)),
    ("_delivery_slot_loan", Nothing(OWN)),
    ("_minimum_delivery_slots", Nothing(OWN)),
    ("_recipient_refill_limit", Nothing(OWN)),
    ("_recipient_refill_delay", Nothing(OWN)),
    ("_extra_recipient_limit", Nothing(OWN)),
    ("_destination_recipient_limit", Missing(Weight::Detail, ROUTE)),
    ("_destination_concurrency_limit", Missing(Weight::Detail, ROUTE)),
    ("_destination_rate_delay", Missing(Weight::Detail, ROUTE)),
    ("_transport_rate_delay", Missing(Weight::Detail, ROUTE)),
    (
        "_destination_concurrency_failed_cohort_limit",
        Nothing("a host that does not answer is tried less often by itself"),
    ),
    (
        "_destination_concurrency_negative_feedback",
        Nothing("how many connections a host gets is found out by itself"),
    ),
    (
        "_destination_concurrency_positive_feedback",
        Nothing("how many connections a host gets is found out by itself"),
    ),
    (
        "initial_destination_concurrency",
        Nothing("how many connections a host gets is found out by itself"),
    ),
    ("_logfile_compatibility", Nothing(OWN)),
    (
        "_environment",
        Nothing("no program inherits what it was started with"),
    ),
    (
        "_expansion_filter",
        Nothing("no text of a stranger is put into a command"),
    ),
    (
        "_dcert_file",
        Missing(
            Weight::Mail,
            "a certificate with a DSA key: nobody takes it any more; get another",
        ),
    ),
    (
        "_dkey_file",
        Missing(
            Weight::Mail,
            "a certificate with a DSA key: nobody takes it any more; get another",
        ),
    ),
    (
        "_eccert_file",
        Missing(Weight::Mail, "a [[tls.identity]] with that certificate"),
    ),
    (
        "_eckey_file",
        Missing(Weight::Mail, "a [[tls.identity]] with that key"),
    ),
    ("_xfer_timeout", Missing(Weight::Detail, "[delivery.timeouts]")),
    ("_rset_timeout", Missing(Weight::Detail, "[delivery.timeouts]")),
    ("_quit_timeout", Missing(Weight::Detail, "[delivery.timeouts]")),
    (
        "_starttls_timeout",
        Missing(Weight::Detail, "`tls` in [timeouts] and [delivery.timeouts]"),
    ),
    (
        "_min_data_rate",
        Nothing("who is slow is measured by itself: [timeouts]"),
    ),
    (
        "_reply_filter",
        Missing(Weight::Mail, "answers count as they come"),
    ),
];

/// What a parameter without a row becomes.
pub(super) fn of(name: &str) -> Option<Family> {
    let named = NAMED.iter().find(|(known, _)| *known == name);
    let begin = || BEGIN.iter().find(|(start, _)| name.starts_with(start));
    let end = || END.iter().find(|(end, _)| name.ends_with(end));
    let found = named.or_else(end).or_else(begin).map(|(_, family)| *family);
    found.or_else(|| {
        let twin = format!("smtp_{}", name.strip_prefix("lmtp_")?);
        let is_known = ROWS.iter().any(|row| row.name == twin) || of(&twin).is_some();
        is_known.then_some(Missing(
            Weight::Detail,
            "the like for SMTP is carried over; for LMTP look at the [[route]] or [delivery] lmtp",
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_known() {
        let cases: [(&str, Option<Family>); 7] = [
            (
                "slow_destination_recipient_limit",
                Some(Missing(Weight::Detail, ROUTE)),
            ),
            ("bounce_notice_recipient", Some(Missing(Weight::Habit, TOLD))),
            ("tls_eecdh_auto_curves", Some(Nothing(CIPHERS))),
            ("qmgr_clog_warn_time", Some(Nothing(OWN))),
            ("backwards_bounce_logfile_compatibility", Some(Nothing(OWN))),
            (
                "local_login_sender_maps",
                Some(
                    NAMED
                        .iter()
                        .find(|it| it.0 == "local_login_sender_maps")
                        .unwrap()
                        .1,
                ),
            ),
            ("no_such_parameter", None),
        ];
        for (name, expected) in cases {
            assert_eq!(of(name), expected, "{name}");
        }
        assert!(matches!(
            of("lmtp_tls_protocols"),
            Some(Missing(Weight::Detail, _))
        ));
    }

    #[test]
    fn no_row_is_in_a_list_too() {
        for (name, _) in NAMED {
            assert!(ROWS.iter().all(|row| row.name != *name), "{name} has a row");
        }
    }
}
