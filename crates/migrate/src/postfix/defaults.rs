//! Defaults of parameters to which others refer or that decide what a site does (postconf(5), Postfix 3.7), some of which
//! depend on `compatibility_level`.

/// The default of a parameter at a compatibility level, raw; `None` for names not in the table.
pub(super) fn default(name: &str, level: Level) -> Option<&'static str> {
    let value = match name {
        "append_dot_mydomain" => yes(level < Level(1, 0)),
        "smtputf8_enable" => yes(level >= Level(1, 0)),
        "smtpd_relay_before_recipient_restrictions" => yes(level >= Level(3, 6)),
        "smtpd_relay_restrictions" if level < Level(1, 0) => "",
        "relay_domains" if level < Level(2, 0) => "$mydestination",
        "mynetworks_style" if level < Level(2, 0) => "subnet",
        "smtpd_tls_fingerprint_digest" | "smtp_tls_fingerprint_digest" if level < Level(3, 6) => "md5",
        _ => {
            return DEFAULTS
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| *value);
        }
    };
    Some(value)
}

/// A compatibility level: major and minor.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Level(pub(super) u32, pub(super) u32);

impl Level {
    /// Reads `3.6`, `2`, `3.6.1`; what is not a level is 0, as in Postfix.
    pub(super) fn parse(text: &str) -> Self {
        let mut parts = text.trim().split('.').map(|part| part.parse().unwrap_or(0));
        Self(parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    }
}

fn yes(holds: bool) -> &'static str {
    if holds { "yes" } else { "no" }
}

const DEFAULTS: &[(&str, &str)] = &[
    ("alias_database", "hash:/etc/aliases"),
    ("alias_maps", "hash:/etc/aliases"),
    ("append_at_myorigin", "yes"),
    ("bounce_queue_lifetime", "5d"),
    ("command_directory", "/usr/sbin"),
    ("compatibility_level", "0"),
    ("config_directory", "/etc/postfix"),
    ("daemon_directory", "/usr/lib/postfix/sbin"),
    ("data_directory", "/var/lib/postfix"),
    ("default_transport", "smtp"),
    ("delay_warning_time", "0h"),
    ("disable_vrfy_command", "no"),
    ("double_bounce_sender", "double-bounce"),
    ("hopcount_limit", "50"),
    ("inet_interfaces", "all"),
    ("inet_protocols", "all"),
    ("line_length_limit", "2048"),
    ("local_header_rewrite_clients", "permit_inet_interfaces"),
    ("local_recipient_maps", "proxy:unix:passwd.byname $alias_maps"),
    ("local_transport", "local:$myhostname"),
    ("mail_name", "Postfix"),
    ("mail_owner", "postfix"),
    ("mail_spool_directory", "/var/mail"),
    ("mail_version", "3.7"),
    ("mailbox_size_limit", "51200000"),
    ("maximal_queue_lifetime", "5d"),
    ("message_size_limit", "10240000"),
    ("milter_default_action", "tempfail"),
    ("milter_protocol", "6"),
    ("multi_recipient_bounce_reject_code", "550"),
    ("mydestination", "$myhostname, localhost.$mydomain, localhost"),
    ("mynetworks_style", "host"),
    ("myorigin", "$myhostname"),
    ("owner_request_special", "yes"),
    ("propagate_unmatched_extensions", "canonical, virtual"),
    ("queue_directory", "/var/spool/postfix"),
    ("recipient_delimiter", ""),
    ("relay_domains", ""),
    ("relay_transport", "relay"),
    ("setgid_group", "postdrop"),
    ("smtp_bind_address", ""),
    ("smtp_helo_name", "$myhostname"),
    ("smtp_sasl_mechanism_filter", ""),
    ("smtp_tls_fingerprint_cert_match", ""),
    ("smtp_tls_fingerprint_digest", "sha256"),
    ("smtp_tls_security_level", ""),
    ("smtpd_banner", "$myhostname ESMTP $mail_name"),
    ("smtpd_client_restrictions", ""),
    ("smtpd_data_restrictions", ""),
    ("smtpd_delay_reject", "yes"),
    ("smtpd_end_of_data_restrictions", ""),
    ("smtpd_helo_required", "no"),
    ("smtpd_helo_restrictions", ""),
    ("smtpd_milters", ""),
    ("non_smtpd_milters", ""),
    ("smtpd_recipient_limit", "1000"),
    ("smtpd_recipient_restrictions", ""),
    (
        "smtpd_relay_restrictions",
        "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination",
    ),
    ("smtpd_sasl_auth_enable", "no"),
    ("smtpd_sasl_path", "smtpd"),
    ("smtpd_sasl_security_options", "noanonymous"),
    ("smtpd_sasl_type", "cyrus"),
    ("smtpd_sender_restrictions", ""),
    ("smtpd_tls_auth_only", "no"),
    ("smtpd_tls_cert_file", ""),
    ("smtpd_tls_fingerprint_digest", "sha256"),
    ("smtpd_tls_key_file", "$smtpd_tls_cert_file"),
    ("smtpd_tls_security_level", ""),
    ("smtpd_tls_wrappermode", "no"),
    ("strict_rfc821_envelopes", "no"),
    ("transport_maps", ""),
    ("unknown_local_recipient_reject_code", "550"),
    ("virtual_alias_domains", "$virtual_alias_maps"),
    ("virtual_alias_maps", "$virtual_maps"),
    ("virtual_mailbox_domains", "$virtual_mailbox_maps"),
    ("virtual_mailbox_maps", ""),
    ("virtual_maps", ""),
    ("virtual_transport", "virtual"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_decide_some_defaults() {
        let table = [
            ("append_dot_mydomain", "0", "yes"),
            ("append_dot_mydomain", "2", "no"),
            ("relay_domains", "1", "$mydestination"),
            ("relay_domains", "3.6", ""),
            ("mynetworks_style", "0", "subnet"),
            ("mynetworks_style", "2", "host"),
            ("smtpd_relay_restrictions", "0", ""),
            ("smtpd_tls_fingerprint_digest", "3.5", "md5"),
            ("smtpd_tls_fingerprint_digest", "3.6", "sha256"),
        ];
        for (name, level, value) in table {
            assert_eq!(
                default(name, Level::parse(level)),
                Some(value),
                "{name} at {level}"
            );
        }
        assert_eq!(default("no_such_parameter", Level(0, 0)), None);
    }
}
