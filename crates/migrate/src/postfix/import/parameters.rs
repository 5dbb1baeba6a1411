//! Parameters of `main.cf`: the table from which the guide's "where did my setting go" is made too.

use super::Site;
use crate::Located;
use crate::config::Value;
use crate::report::Weight;
use crate::settings;

/// A parameter of `main.cf`, and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Where it goes.
    pub goes: Goes,
}

/// Where a parameter goes.
#[derive(Clone, Copy, Debug)]
pub enum Goes {
    /// Its text to a key.
    Text(&'static str, &'static str),
    /// Its number to a key.
    Number(&'static str, &'static str),
    /// Its number to a key that takes no less than this.
    AtLeast(&'static str, &'static str, u32),
    /// Its time to a key; without a unit it is in this one.
    Time(&'static str, &'static str, &'static str),
    /// Octets to a key.
    Octets(&'static str, &'static str),
    /// The greeting.
    Greeting,
    /// Extensions that are not offered.
    Extensions,
    /// A switch to a key.
    Switch(&'static str, &'static str),
    /// Read by another part of the import, which reports it: to this.
    Elsewhere(&'static str),
    /// There is nothing to carry over.
    Nothing(&'static str),
    /// Not carried over.
    Missing(Weight, &'static str),
}

impl Goes {
    /// Where it goes, for people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Text(section, key)
            | Self::Number(section, key)
            | Self::Time(section, key, _)
            | Self::Octets(section, key)
            | Self::Switch(section, key) => settings::key(section, key),
            Self::AtLeast(section, key, least) => {
                format!("{}, {least} at least", settings::key(section, key))
            }
            Self::Greeting => settings::key("", "greeting"),
            Self::Extensions => "`[extensions]`".to_owned(),
            Self::Elsewhere(to) => format!("`{to}`"),
            Self::Nothing(why) => settings::nothing(why),
            Self::Missing(_, remedy) => settings::missing(remedy),
        }
    }
}

use Goes::{AtLeast, Elsewhere, Extensions, Greeting, Missing, Nothing, Number, Octets, Switch, Text, Time};

const ALWAYS: &str = "Postern does so, or does not need it";
const OWN: &str = "a file, program or account of Postfix's own";
const LOG: &str = "[log] says what is told";
const CODES: &str = "replies have the codes of the standards";
const CIPHERS: &str = "ciphers are those that are safe today";
const CACHE: &str = "nothing is kept in a file: it is in memory";

/// All parameters that are known, by name.
pub const ROWS: &[Row] = &[
    row("access_map_reject_code", Nothing(CODES)),
    row("address_verify_map", Elsewhere("ask_next_hop")),
    row("alias_database", Elsewhere("aliases")),
    row("alias_maps", Elsewhere("aliases")),
    row(
        "allow_mail_to_commands",
        Elsewhere("[system_users] forward_programs"),
    ),
    row("allow_mail_to_files", Elsewhere("[system_users] forward_files")),
    row("allow_percent_hack", Nothing("an address with `%` is an address")),
    row("always_add_missing_headers", Nothing(ALWAYS)),
    row("always_bcc", Elsewhere("[[copy]]")),
    row("anvil_rate_time_unit", Elsewhere("[[limit]] window")),
    row("append_at_myorigin", Elsewhere("[[rewrite]] append_origin")),
    row("append_dot_mydomain", Elsewhere("[[rewrite]] append_domain")),
    row("authorized_submit_users", Elsewhere("[local]")),
    row("biff", Nothing("nobody is told by comsat")),
    row("body_checks", Elsewhere("[[header_check]] parts = [\"body\"]")),
    row(
        "body_checks_size_limit",
        Nothing("bodies are looked through whole"),
    ),
    row(
        "bounce_queue_lifetime",
        Missing(
            Weight::Detail,
            "reports are tried as long as other mail: `expire_after` in [retry]",
        ),
    ),
    row(
        "bounce_template_file",
        Nothing("reports have one text (RFC 3464)"),
    ),
    row("broken_sasl_auth_clients", Elsewhere("[auth]")),
    row("canonical_classes", Elsewhere("[[rewrite]] classes")),
    row("canonical_maps", Elsewhere("[[rewrite]]")),
    row("command_directory", Nothing(OWN)),
    row(
        "compatibility_level",
        Nothing("it decides which defaults of Postfix hold, and was heeded"),
    ),
    row("config_directory", Nothing(OWN)),
    row("content_filter", Elsewhere("[delivery] filter")),
    row("daemon_directory", Nothing(OWN)),
    row("daemon_timeout", Nothing(ALWAYS)),
    row("data_directory", Nothing(OWN)),
    row("debug_peer_level", Nothing(LOG)),
    row("debug_peer_list", Nothing(LOG)),
    row("debugger_command", Nothing(LOG)),
    row(
        "default_destination_concurrency_limit",
        Elsewhere("[delivery] connections_per_destination"),
    ),
    row(
        "default_destination_recipient_limit",
        Elsewhere("[delivery] recipients_per_transaction"),
    ),
    row(
        "default_privs",
        Nothing("no program is run for a recipient of an alias"),
    ),
    row(
        "default_process_limit",
        Nothing("one process serves all: `sessions` in [admission] bounds them"),
    ),
    row("default_rbl_reply", Elsewhere("[[access]] text")),
    row("default_transport", Elsewhere("[[route]]")),
    row(
        "defer_transports",
        Missing(Weight::Habit, "`postern queue hold` keeps mail back"),
    ),
    row("delay_logging_resolution_limit", Nothing(LOG)),
    row("delay_warning_time", Time("retry", "warn_after", "h")),
    row(
        "disable_dns_lookups",
        Missing(Weight::Mail, "a [[route]] names the hosts"),
    ),
    row(
        "disable_mime_output_conversion",
        Missing(
            Weight::Detail,
            "`eight_bit` in [delivery] says what becomes of 8-bit mail",
        ),
    ),
    row(
        "disable_vrfy_command",
        Nothing("VRFY tells nothing unless `privacy` says so"),
    ),
    row("double_bounce_sender", Nothing(ALWAYS)),
    row("enable_long_queue_ids", Nothing(ALWAYS)),
    row(
        "enable_original_recipient",
        Nothing("X-Original-To is not written"),
    ),
    row(
        "error_notice_recipient",
        Nothing("nobody is told by mail; see `postern status` and the log"),
    ),
    row("fallback_transport", Elsewhere("[system_users]")),
    row("fast_flush_domains", Nothing("ETRN is not offered")),
    row("forward_path", Elsewhere("[system_users] forward")),
    row("hash_queue_depth", Nothing(OWN)),
    row("hash_queue_names", Nothing(OWN)),
    row("header_checks", Elsewhere("[[header_check]]")),
    row("header_size_limit", Octets("limits", "header")),
    row("helpful_warnings", Nothing(LOG)),
    row("home_mailbox", Elsewhere("[system_users] mailbox")),
    row("hopcount_limit", AtLeast("limits", "received_fields", 100)),
    row("html_directory", Nothing(OWN)),
    row("inet_interfaces", Elsewhere("[[listener]] address")),
    row("inet_protocols", Elsewhere("[[listener]] address")),
    row("invalid_hostname_reject_code", Elsewhere("[[access]] code")),
    row("ipc_timeout", Nothing(OWN)),
    row(
        "line_length_limit",
        Nothing("lines of any length are taken: `text_line` in [limits] bounds them"),
    ),
    row(
        "lmtp_tls_security_level",
        Missing(
            Weight::Detail,
            "`tls` of the [[route]] with `protocol = \"lmtp\"`",
        ),
    ),
    row(
        "local_destination_concurrency_limit",
        Number("system_users", "deliveries_per_user"),
    ),
    row("local_destination_recipient_limit", Nothing(ALWAYS)),
    row("local_header_rewrite_clients", Elsewhere("[[rewrite]] clients")),
    row("local_recipient_maps", Elsewhere("[[directory]]")),
    row(
        "local_transport",
        Missing(
            Weight::Mail,
            "a [[route]] for the domains of local_domains, or `lmtp` in [delivery]",
        ),
    ),
    row("luser_relay", Elsewhere("unknown_users")),
    row("mail_name", Nothing("a name that other lines use")),
    row("mail_owner", Nothing(OWN)),
    row("mail_spool_directory", Elsewhere("[system_users] mailbox")),
    row("mail_version", Nothing("a name that other lines use")),
    row("mailbox_command", Elsewhere("[system_users] agent")),
    row("mailbox_delivery_lock", Nothing("mailboxes are locked both ways")),
    row(
        "mailbox_size_limit",
        Elsewhere("quotas of who keeps the mailboxes"),
    ),
    row("mailbox_transport", Elsewhere("[delivery] lmtp")),
    row("maillog_file", Nothing(LOG)),
    row("mailq_path", Nothing(OWN)),
    row("manpage_directory", Nothing(OWN)),
    row(
        "maps_rbl_domains",
        Missing(Weight::Mail, "write an [[access]] rule with `dns_list` for each"),
    ),
    row("maps_rbl_reject_code", Elsewhere("[[access]] code")),
    row("masquerade_classes", Elsewhere("[[rewrite]] classes")),
    row("masquerade_domains", Elsewhere("[[rewrite]] masquerade_domains")),
    row("masquerade_exceptions", Elsewhere("[[rewrite]] exceptions")),
    row(
        "maximal_backoff_time",
        Missing(Weight::Detail, "`intervals` in [retry]"),
    ),
    row("maximal_queue_lifetime", Time("retry", "expire_after", "d")),
    row("message_size_limit", Octets("", "message_size_limit")),
    row("message_strip_characters", Nothing(ALWAYS)),
    row("meta_directory", Nothing(OWN)),
    row("milter_command_timeout", Elsewhere("[milter.timeouts] command")),
    row("milter_connect_timeout", Elsewhere("[milter.timeouts] connect")),
    row(
        "milter_content_timeout",
        Elsewhere("[milter.timeouts] end_of_message"),
    ),
    row("milter_default_action", Elsewhere("[[milter]] on_failure")),
    row(
        "milter_mail_macros",
        Nothing("all macros are sent that a filter asks for"),
    ),
    row(
        "milter_connect_macros",
        Nothing("all macros are sent that a filter asks for"),
    ),
    row(
        "milter_data_macros",
        Nothing("all macros are sent that a filter asks for"),
    ),
    row(
        "milter_end_of_data_macros",
        Nothing("all macros are sent that a filter asks for"),
    ),
    row(
        "milter_end_of_header_macros",
        Nothing("all macros are sent that a filter asks for"),
    ),
    row(
        "milter_helo_macros",
        Nothing("all macros are sent that a filter asks for"),
    ),
    row(
        "milter_macro_daemon_name",
        Nothing("the name of the listener is told"),
    ),
    row(
        "milter_macro_v",
        Nothing("the name and version of this server are told"),
    ),
    row("milter_protocol", Elsewhere("[[milter]] version")),
    row(
        "milter_rcpt_macros",
        Nothing("all macros are sent that a filter asks for"),
    ),
    row(
        "milter_unknown_command_macros",
        Nothing("all macros are sent that a filter asks for"),
    ),
    row(
        "mime_header_checks",
        Elsewhere("[[header_check]] parts = [\"mime\"]"),
    ),
    row(
        "minimal_backoff_time",
        Missing(Weight::Detail, "`intervals` in [retry]"),
    ),
    row("multi_recipient_bounce_reject_code", Nothing(CODES)),
    row("mydestination", Elsewhere("local_domains")),
    row("mydomain", Elsewhere("hostname")),
    row("myhostname", Elsewhere("hostname")),
    row("mynetworks", Elsewhere("[relay] networks")),
    row("mynetworks_style", Elsewhere("[relay] networks")),
    row("myorigin", Elsewhere("origin")),
    row(
        "nested_header_checks",
        Elsewhere("[[header_check]] parts = [\"nested\"]"),
    ),
    row("newaliases_path", Nothing(OWN)),
    row("non_fqdn_reject_code", Elsewhere("[[access]] code")),
    row("non_smtpd_milters", Elsewhere("[[milter]]")),
    row(
        "notify_classes",
        Nothing("nobody is told by mail; see `postern status` and the log"),
    ),
    row("owner_request_special", Elsewhere("list_sender")),
    row("parent_domain_matches_subdomains", Elsewhere("relay_domains")),
    row(
        "permit_mx_backup_networks",
        Missing(
            Weight::Mail,
            "domains are relayed to by name: list them in relay_domains",
        ),
    ),
    row("policyd-spf_time_limit", Nothing(OWN)),
    row(
        "propagate_unmatched_extensions",
        Missing(Weight::Detail, "`keep_detail` of [[alias]] and [[rewrite]]"),
    ),
    row(
        "proxy_interfaces",
        Missing(
            Weight::Mail,
            "`own_names` in [delivery] keeps mail from going round in a circle",
        ),
    ),
    row(
        "proxy_read_maps",
        Nothing("tables are asked directly, over connections that are kept"),
    ),
    row("qmgr_message_active_limit", Nothing(ALWAYS)),
    row("qmgr_message_recipient_limit", Nothing(ALWAYS)),
    row(
        "queue_directory",
        Nothing("a folder of Postfix's; messages in it have to be delivered by Postfix"),
    ),
    row("queue_minfree", Octets("admission", "min_free")),
    row(
        "queue_run_delay",
        Nothing("each message is tried when its time has come"),
    ),
    row("rbl_reply_maps", Elsewhere("[[access]] text")),
    row("readme_directory", Nothing(OWN)),
    row("recipient_bcc_maps", Elsewhere("[[copy]]")),
    row(
        "recipient_canonical_classes",
        Elsewhere("[[rewrite]] classes, or [srs]"),
    ),
    row("recipient_canonical_maps", Elsewhere("[[rewrite]], or [srs]")),
    row("recipient_delimiter", Elsewhere("[identity] tag_separator")),
    row("reject_code", Nothing(CODES)),
    row("relay_clientcerts", Elsewhere("[[relay.certificate]]")),
    row("relay_domains", Elsewhere("relay_domains")),
    row("relay_domains_reject_code", Nothing(CODES)),
    row("relay_recipient_maps", Elsewhere("relay_recipients")),
    row("relay_transport", Elsewhere("[[route]]")),
    row("relayhost", Elsewhere("[[route]]")),
    row("relocated_maps", Elsewhere("[[alias]] form = \"relocated\"")),
    row("remote_header_rewrite_domain", Elsewhere("[[rewrite]] clients")),
    row("resolve_dequoted_address", Nothing(ALWAYS)),
    row(
        "resolve_numeric_domain",
        Missing(Weight::Detail, "`address_literals` in [relay]"),
    ),
    row("sample_directory", Nothing(OWN)),
    row("sender_bcc_maps", Elsewhere("[[copy]]")),
    row(
        "sender_canonical_classes",
        Elsewhere("[[rewrite]] classes, or [srs]"),
    ),
    row("sender_canonical_maps", Elsewhere("[[rewrite]], or [srs]")),
    row(
        "sender_dependent_default_transport_maps",
        Elsewhere("[[route]] senders"),
    ),
    row("sender_dependent_relayhost_maps", Elsewhere("[[route]] senders")),
    row("sendmail_path", Nothing(OWN)),
    row("setgid_group", Nothing("no program needs a set-group-ID bit")),
    row("shlib_directory", Nothing(OWN)),
    row("show_user_unknown_table_name", Nothing("replies name no tables")),
    row("smtp_address_preference", Elsewhere("[delivery] ip")),
    row("smtp_always_send_ehlo", Nothing(ALWAYS)),
    row("smtp_bind_address", Elsewhere("[delivery] source_address")),
    row("smtp_bind_address6", Elsewhere("[delivery] source_address")),
    row("smtp_connect_timeout", Time("delivery.timeouts", "connect", "s")),
    row(
        "smtp_data_done_timeout",
        Time("delivery.timeouts", "end_of_data", "s"),
    ),
    row("smtp_data_init_timeout", Time("delivery.timeouts", "data", "s")),
    row(
        "smtp_dns_support_level",
        Missing(Weight::Detail, "`dnssec` in [dns]"),
    ),
    row("smtp_enforce_tls", Elsewhere("[[route]] tls")),
    row("smtp_fallback_relay", Elsewhere("[[route]] via")),
    row("smtp_generic_maps", Elsewhere("[[rewrite]] at = \"out\"")),
    row("smtp_header_checks", Elsewhere("[[header_check]] at = \"out\"")),
    row("smtp_helo_name", Elsewhere("[delivery] helo_name")),
    row("smtp_helo_timeout", Time("delivery.timeouts", "hello", "s")),
    row(
        "smtp_host_lookup",
        Missing(Weight::Detail, "hosts are looked up in the DNS alone"),
    ),
    row("smtp_mail_timeout", Time("delivery.timeouts", "mail", "s")),
    row(
        "smtp_mx_address_limit",
        Number("delivery", "addresses_per_attempt"),
    ),
    row("smtp_mx_session_limit", Nothing(ALWAYS)),
    row("smtp_rcpt_timeout", Time("delivery.timeouts", "recipient", "s")),
    row("smtp_sasl_auth_enable", Elsewhere("[[login]]")),
    row("smtp_sasl_mechanism_filter", Elsewhere("[[login]] mechanisms")),
    row("smtp_sasl_password_maps", Elsewhere("[[login]]")),
    row("smtp_sasl_security_options", Elsewhere("[[login]]")),
    row("smtp_sasl_tls_security_options", Elsewhere("[[login]]")),
    row(
        "smtp_sender_dependent_authentication",
        Elsewhere("[[route]] senders"),
    ),
    row("smtp_skip_5xx_greeting", Nothing(ALWAYS)),
    row("smtp_tls_CAfile", Elsewhere("[delivery.tls] ca_file")),
    row(
        "smtp_tls_CApath",
        Nothing("the authorities that the system trusts count, or those of `ca_file` in [delivery.tls]"),
    ),
    row(
        "smtp_tls_cert_file",
        Missing(
            Weight::Detail,
            "Postern shows a client certificate only to hosts with a [[login]]. Nothing to do unless a partner asks for it.",
        ),
    ),
    row(
        "smtp_tls_chain_files",
        Missing(
            Weight::Detail,
            "Postern shows a client certificate only to hosts with a [[login]]. Nothing to do unless a partner asks for it.",
        ),
    ),
    row("smtp_tls_ciphers", Nothing(CIPHERS)),
    row("smtp_tls_exclude_ciphers", Nothing(CIPHERS)),
    row(
        "smtp_tls_key_file",
        Missing(
            Weight::Detail,
            "Postern shows a client certificate only to hosts with a [[login]]. Nothing to do unless a partner asks for it.",
        ),
    ),
    row("smtp_tls_loglevel", Nothing(LOG)),
    row("smtp_tls_mandatory_ciphers", Nothing(CIPHERS)),
    row("smtp_tls_mandatory_exclude_ciphers", Nothing(CIPHERS)),
    row(
        "smtp_tls_mandatory_protocols",
        Elsewhere("[delivery.tls] min_version"),
    ),
    row("smtp_tls_note_starttls_offer", Nothing(LOG)),
    row("smtp_tls_policy_maps", Elsewhere("[[route]] tls")),
    row("smtp_tls_protocols", Elsewhere("[delivery.tls] min_version")),
    row("smtp_tls_security_level", Elsewhere("[[route]] tls")),
    row("smtp_tls_session_cache_database", Nothing(CACHE)),
    row("smtp_tls_session_cache_timeout", Nothing(CACHE)),
    row("smtp_use_tls", Elsewhere("[[route]] tls")),
    row(
        "smtpd_authorized_verp_clients",
        Nothing("VERP is not offered by XVERP"),
    ),
    row(
        "smtpd_authorized_xclient_hosts",
        Missing(
            Weight::Detail,
            "XCLIENT is not offered; load balancers speak the PROXY protocol",
        ),
    ),
    row(
        "smtpd_authorized_xforward_hosts",
        Nothing("XFORWARD is not offered"),
    ),
    row("smtpd_banner", Greeting),
    row("smtpd_client_auth_rate_limit", Elsewhere("[[limit]] logins")),
    row(
        "smtpd_client_connection_count_limit",
        Elsewhere("[[limit]] sessions"),
    ),
    row(
        "smtpd_client_connection_rate_limit",
        Elsewhere("[[limit]] connections"),
    ),
    row(
        "smtpd_client_event_limit_exceptions",
        Elsewhere("[[limit]] networks"),
    ),
    row("smtpd_client_message_rate_limit", Elsewhere("[[limit]] messages")),
    row(
        "smtpd_client_recipient_rate_limit",
        Elsewhere("[[limit]] recipients"),
    ),
    row("smtpd_client_restrictions", Elsewhere("[[access]]")),
    row(
        "smtpd_command_filter",
        Missing(Weight::Mail, "commands are taken as they come"),
    ),
    row("smtpd_data_restrictions", Elsewhere("[[access]] at = \"data\"")),
    row("smtpd_delay_reject", Elsewhere("delay_checks")),
    row(
        "smtpd_discard_ehlo_keyword_address_maps",
        Missing(
            Weight::Detail,
            "extensions are the same for all clients: [extensions]",
        ),
    ),
    row("smtpd_discard_ehlo_keywords", Extensions),
    row(
        "smtpd_end_of_data_restrictions",
        Elsewhere("[[access]] at = \"data\""),
    ),
    row("smtpd_enforce_tls", Elsewhere("[[listener]] tls")),
    row("smtpd_error_sleep_time", Time("timeouts", "error_delay", "s")),
    row("smtpd_etrn_restrictions", Nothing("ETRN is not offered")),
    row(
        "smtpd_forbid_bare_newline",
        Elsewhere("[[listener]] bare_newlines"),
    ),
    row(
        "smtpd_forbid_bare_newline_exclusions",
        Nothing("no client's bare line ends are passed on"),
    ),
    row(
        "smtpd_forbid_unauth_pipelining",
        Nothing("who sends commands before their time is always refused"),
    ),
    row("smtpd_hard_error_limit", Number("limits", "errors")),
    row(
        "smtpd_helo_required",
        Nothing("`privacy` has needmailhelo by default"),
    ),
    row("smtpd_helo_restrictions", Elsewhere("[[access]]")),
    row("smtpd_junk_command_limit", AtLeast("limits", "idle_commands", 10)),
    row("smtpd_log_access_permit_actions", Nothing(LOG)),
    row("smtpd_milters", Elsewhere("[[milter]]")),
    row(
        "smtpd_policy_service_default_action",
        Elsewhere("[[policy_service]] optional"),
    ),
    row(
        "smtpd_policy_service_timeout",
        Elsewhere("[[policy_service]] timeout"),
    ),
    row(
        "smtpd_proxy_filter",
        Missing(
            Weight::Mail,
            "a filter before the queue has to be a [[milter]], or one behind it: [delivery] filter",
        ),
    ),
    row("smtpd_recipient_limit", AtLeast("limits", "recipients", 100)),
    row("smtpd_recipient_overshoot_limit", Nothing(ALWAYS)),
    row("smtpd_recipient_restrictions", Elsewhere("[[access]]")),
    row(
        "smtpd_reject_footer",
        Missing(
            Weight::Detail,
            "refusals name the session, by which `postern explain` tells why",
        ),
    ),
    row(
        "smtpd_reject_unlisted_recipient",
        Nothing("unknown recipients are always refused"),
    ),
    row(
        "smtpd_reject_unlisted_sender",
        Missing(
            Weight::Mail,
            "an [[access]] rule with `fault = \"sender_unlisted\"`",
        ),
    ),
    row(
        "smtpd_relay_before_recipient_restrictions",
        Nothing("it was heeded"),
    ),
    row("smtpd_relay_restrictions", Elsewhere("[relay]")),
    row("smtpd_restriction_classes", Elsewhere("[[access]] class")),
    row("smtpd_sasl_auth_enable", Elsewhere("[[listener]] auth")),
    row("smtpd_sasl_authenticated_header", Elsewhere("[relay] show_login")),
    row("smtpd_sasl_exceptions_networks", Elsewhere("[[listener]]")),
    row("smtpd_sasl_local_domain", Elsewhere("[auth] default_domain")),
    row("smtpd_sasl_path", Elsewhere("[[directory]]")),
    row("smtpd_sasl_security_options", Elsewhere("[auth]")),
    row("smtpd_sasl_tls_security_options", Elsewhere("[auth]")),
    row("smtpd_sasl_type", Elsewhere("[[directory]] kind")),
    row("smtpd_sender_login_maps", Elsewhere("[identity] owners")),
    row("smtpd_sender_restrictions", Elsewhere("[[access]]")),
    row(
        "smtpd_soft_error_limit",
        Nothing("each error after the 20th waits longer: `error_delay` in [timeouts]"),
    ),
    row("smtpd_timeout", Time("timeouts", "command", "s")),
    row("smtpd_tls_CAfile", Elsewhere("[tls] client_ca")),
    row(
        "smtpd_tls_CApath",
        Missing(
            Weight::Detail,
            "authorities of clients stand in one file: `client_ca` in [tls]",
        ),
    ),
    row("smtpd_tls_ask_ccert", Elsewhere("[tls] client_ca")),
    row("smtpd_tls_auth_only", Elsewhere("[[listener]] plaintext")),
    row("smtpd_tls_ccert_verifydepth", Nothing(ALWAYS)),
    row("smtpd_tls_cert_file", Elsewhere("[tls] certificate")),
    row("smtpd_tls_chain_files", Elsewhere("[tls] certificate")),
    row("smtpd_tls_ciphers", Nothing(CIPHERS)),
    row("smtpd_tls_dh1024_param_file", Nothing(CIPHERS)),
    row("smtpd_tls_dh512_param_file", Nothing(CIPHERS)),
    row("smtpd_tls_eecdh_grade", Nothing(CIPHERS)),
    row("smtpd_tls_exclude_ciphers", Nothing(CIPHERS)),
    row(
        "smtpd_tls_fingerprint_digest",
        Elsewhere("[[relay.certificate]] fingerprint"),
    ),
    row("smtpd_tls_key_file", Elsewhere("[tls] key")),
    row("smtpd_tls_loglevel", Nothing(LOG)),
    row("smtpd_tls_mandatory_ciphers", Nothing(CIPHERS)),
    row("smtpd_tls_mandatory_exclude_ciphers", Nothing(CIPHERS)),
    row("smtpd_tls_mandatory_protocols", Elsewhere("[tls] min_version")),
    row("smtpd_tls_protocols", Elsewhere("[tls] min_version")),
    row(
        "smtpd_tls_received_header",
        Nothing("the trace field says how TLS was"),
    ),
    row("smtpd_tls_req_ccert", Elsewhere("[[access]] tls")),
    row("smtpd_tls_security_level", Elsewhere("[[listener]] tls")),
    row("smtpd_tls_session_cache_database", Nothing(CACHE)),
    row("smtpd_tls_session_cache_timeout", Nothing(CACHE)),
    row("smtpd_tls_wrappermode", Elsewhere("[[listener]] tls")),
    row(
        "smtpd_upstream_proxy_protocol",
        Missing(
            Weight::Mail,
            "name the load balancers in `proxy_protocol` of [[listener]]",
        ),
    ),
    row("smtpd_use_tls", Elsewhere("[[listener]] tls")),
    row("smtputf8_autodetect_classes", Nothing(ALWAYS)),
    row("smtputf8_enable", Switch("extensions", "smtputf8")),
    row(
        "soft_bounce",
        Missing(
            Weight::Mail,
            "refusals are for good: take the line out of the old server before you move, and look into its log",
        ),
    ),
    row("stale_lock_time", Nothing(OWN)),
    row("strict_rfc821_envelopes", Nothing("addresses are always checked")),
    row("swap_bangpath", Nothing("an address with `!` is an address")),
    row("syslog_facility", Nothing(LOG)),
    row("syslog_name", Nothing(LOG)),
    row("tls_high_cipherlist", Nothing(CIPHERS)),
    row("tls_medium_cipherlist", Nothing(CIPHERS)),
    row("tls_preempt_cipherlist", Nothing(CIPHERS)),
    row(
        "tls_random_source",
        Nothing("the system has its own source of random numbers"),
    ),
    row("tls_ssl_options", Nothing(CIPHERS)),
    row("transport_maps", Elsewhere("[[route]]")),
    row("transport_retry_time", Nothing(ALWAYS)),
    row("undisclosed_recipients_header", Nothing(ALWAYS)),
    row("unknown_address_reject_code", Elsewhere("[[access]] code")),
    row("unknown_client_reject_code", Elsewhere("[[access]] code")),
    row("unknown_hostname_reject_code", Elsewhere("[[access]] code")),
    row("unknown_local_recipient_reject_code", Nothing(CODES)),
    row("unknown_relay_recipient_reject_code", Nothing(CODES)),
    row("unknown_virtual_alias_reject_code", Nothing(CODES)),
    row("unknown_virtual_mailbox_reject_code", Nothing(CODES)),
    row("unverified_recipient_reject_code", Elsewhere("ask_next_hop")),
    row("unverified_sender_reject_code", Nothing(CODES)),
    row("virtual_alias_domains", Elsewhere("alias_domains")),
    row("virtual_alias_maps", Elsewhere("[[alias]]")),
    row("virtual_gid_maps", Elsewhere("the owner of the mailboxes")),
    row("virtual_mailbox_base", Elsewhere("[delivery] maildir")),
    row("virtual_mailbox_domains", Elsewhere("local_domains")),
    row(
        "virtual_mailbox_limit",
        Elsewhere("quotas of who keeps the mailboxes"),
    ),
    row(
        "virtual_mailbox_maps",
        Elsewhere("[[directory]] kind = \"table\""),
    ),
    row(
        "virtual_maps",
        Missing(
            Weight::Mail,
            "an old name: write virtual_alias_maps, and import again",
        ),
    ),
    row("virtual_minimum_uid", Elsewhere("the owner of the mailboxes")),
    row("virtual_transport", Elsewhere("[delivery] lmtp, or [[route]]")),
    row("virtual_uid_maps", Elsewhere("the owner of the mailboxes")),
];

const fn row(name: &'static str, goes: Goes) -> Row {
    Row { name, goes }
}

pub(super) fn carry_over(site: &mut Site<'_>) {
    let names: Vec<String> = site.main.parameters().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        if site.told.contains(&name) {
            continue;
        }
        match ROWS.iter().find(|row| row.name == name) {
            Some(row) => one(site, row),
            None if is_referred_to(site, &name) => site.meaningless(&name, "a name that other lines use"),
            None => {
                let remedy = "unknown here; read what postconf(5) says about it, and look whether it matters";
                site.missing(&name, Weight::Detail, remedy);
            }
        }
    }
    if !site.is_set("message_size_limit") {
        let octets = site.value("message_size_limit");
        let comment = site.comment("message_size_limit");
        site.import
            .config
            .section("")
            .set("message_size_limit", Value::text(format!("{octets} B")), comment);
    }
}

/// Whether another parameter, or a service, names this one.
fn is_referred_to(site: &Site<'_>, name: &str) -> bool {
    let forms = [format!("${name}"), format!("${{{name}"), format!("$({name})")];
    let names = |text: &str| {
        forms.iter().any(|form| {
            text.split(form.as_str())
                .skip(1)
                .any(|rest| !rest.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_'))
        })
    };
    site.main
        .parameters()
        .any(|(_, Located { what, .. })| names(what))
        || site
            .master
            .services()
            .iter()
            .any(|service| service.overrides.iter().any(|(_, value)| names(&value.what)))
}

fn one(site: &mut Site<'_>, row: &Row) {
    let name = row.name;
    let value = site.value(name);
    match row.goes {
        Nothing(why) => site.meaningless(name, why),
        Elsewhere(to) => site.meaningless(
            name,
            format!("it has no effect beside the other settings; otherwise it would be {to}"),
        ),
        Missing(weight, remedy) => site.missing(name, weight, remedy),
        Greeting => greeting(site, &value),
        Extensions => extensions(site),
        _ if value.is_empty() => site.meaningless(name, "it is empty"),
        Text(section, key) => site.set(section, key, Value::text(value), name),
        Switch(section, key) => site.set(section, key, Value::plain(value == "yes"), name),
        Number(section, key) => number(site, name, &value, section, key, 0),
        AtLeast(section, key, least) => number(site, name, &value, section, key, least),
        Octets(section, key) => match value.parse::<u64>() {
            Ok(0) if key == "message_size_limit" => {
                site.import
                    .config
                    .section(section)
                    .set(key, Value::text("2 GiB"), name);
                site.changed(name, key, "there was no limit; 2 GiB are the most that can be");
            }
            Ok(0) => site.meaningless(name, "0 means no limit"),
            Ok(octets) => site.set(section, key, Value::text(format!("{octets} B")), name),
            Err(_) => unreadable(site, name),
        },
        Time(section, key, unit) => time(site, name, &value, (section, key), unit),
    }
}

/// Least and longest times, where a key takes fewer than Postfix.
const BOUNDS: [(&str, &str, u32, u32); 4] = [
    ("timeouts", "error_delay", 0, 1),
    ("timeouts", "command", 1, 3_600),
    ("retry", "warn_after", 0, 60 * 86_400),
    ("delivery.timeouts", "connect", 1, 600),
];

fn time(site: &mut Site<'_>, name: &str, value: &str, (section, key): (&str, &str), unit: &str) {
    // `${stress?10}${stress:300}s` was written out with no stress.
    let Some(time) = duration(value, unit) else {
        return unreadable(site, name);
    };
    let bounds = BOUNDS
        .iter()
        .find(|bounds| (bounds.0, bounds.1) == (section, key));
    let given = seconds(&time);
    if let Some((_, _, _, most)) = bounds
        && given > *most
    {
        let most = format!("{most}s");
        site.import
            .config
            .section(section)
            .set(key, Value::text(most.clone()), name);
        let difference = format!("{time} before, {most} now: no more can be set");
        return site.changed(name, super::path(section, key), difference);
    }
    site.set(section, key, Value::text(time), name);
}

fn seconds(time: &str) -> u32 {
    let unit = time.chars().last().unwrap_or('s');
    let number: u32 = time.trim_end_matches(unit).parse().unwrap_or(0);
    let factor = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => 1,
    };
    number.saturating_mul(factor)
}

fn number(site: &mut Site<'_>, name: &str, value: &str, section: &str, key: &str, least: u32) {
    match value.parse::<u32>() {
        Ok(0) => site.meaningless(name, "0 means no limit"),
        Ok(number) if number < least => {
            site.import
                .config
                .section(section)
                .set(key, Value::plain(least), name);
            let difference =
                format!("{number} before, {least} now: no less can be set (RFC 5321 section 4.5.3.1)");
            site.changed(name, super::path(section, key), difference);
        }
        Ok(number) => site.set(section, key, Value::plain(number), name),
        Err(_) => unreadable(site, name),
    }
}

fn unreadable(site: &mut Site<'_>, name: &str) {
    site.missing(
        name,
        Weight::Detail,
        "its value is not understood; set the key by hand",
    );
}

/// Postfix's times: `5d`, `300s`, `30` in a unit that depends on the parameter, `w` for weeks.
pub(super) fn duration(value: &str, unit: &str) -> Option<String> {
    let value = value.trim();
    let digits = value.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let own = &value[digits.len()..];
    let number: u32 = digits.parse().ok()?;
    let unit = match own {
        "" => unit,
        "s" | "m" | "h" | "d" | "w" => own,
        _ => return None,
    };
    Some(if number == 0 {
        "0".to_owned()
    } else {
        format!("{number}{unit}")
    })
}

/// What the server says first: `ESMTP` is put there by both.
fn greeting(site: &mut Site<'_>, value: &str) {
    let host = site.value("myhostname");
    let text = value.strip_prefix(host.as_str()).unwrap_or(value).trim();
    let text = text.strip_prefix("ESMTP").unwrap_or(text).trim();
    // The new server does not call itself Postfix.
    let raw = site
        .main
        .parameter("smtpd_banner")
        .map_or("", |it| it.what.as_str());
    let names = ["mail_name", "mail_version"].map(|name| (names_it(raw, name), site.value(name)));
    let left_out: Vec<&str> = names
        .iter()
        .filter(|(is_named, value)| *is_named && !value.is_empty())
        .map(|(_, value)| value.as_str())
        .collect();
    let words = text.split_whitespace().filter(|word| !left_out.contains(word));
    let text = words.collect::<Vec<_>>().join(" ");
    if text.contains(['$', '{']) {
        let remedy = "set `greeting`; it has {hostname} and {date}";
        return site.missing("smtpd_banner", Weight::Detail, remedy);
    }
    let greeting = format!("{{hostname}} {text}");
    if left_out.is_empty() {
        return site.set("", "greeting", Value::text(greeting.trim()), "smtpd_banner");
    }
    let comment = site.comment("smtpd_banner");
    let top = site.import.config.section("");
    top.set("greeting", Value::text(greeting.trim()), comment);
    let difference = "`$mail_name` is left out, since this server is not Postfix";
    site.changed("smtpd_banner", "greeting", difference);
}

/// Whether a value refers to a parameter.
fn names_it(value: &str, parameter: &str) -> bool {
    let forms = [
        format!("${parameter}"),
        format!("${{{parameter}}}"),
        format!("$({parameter})"),
    ];
    forms.iter().any(|form| value.contains(form))
}

/// `chunking`, `dsn` and so on are switched off by name.
fn extensions(site: &mut Site<'_>) {
    let mut others = Vec::new();
    for word in site.words("smtpd_discard_ehlo_keywords") {
        let word = word.to_ascii_lowercase();
        match word.as_str() {
            "chunking" | "binarymime" | "smtputf8" | "dsn" => {
                let key = word.clone();
                let comment = site.comment("smtpd_discard_ehlo_keywords");
                site.import
                    .config
                    .section("extensions")
                    .set(&key, Value::plain(false), comment);
            }
            "silent-discard" | "etrn" | "vrfy" | "xclient" | "xforward" => {}
            _ => others.push(word),
        }
    }
    if others.is_empty() {
        site.carried("smtpd_discard_ehlo_keywords", "[extensions]");
    } else {
        let difference = format!("{} stay on", others.join(", "));
        site.changed("smtpd_discard_ehlo_keywords", "[extensions]", difference);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_times_are_read() {
        let names: Vec<String> = ROWS.iter().map(|row| row.name.to_owned()).collect();
        let twice = names.iter().zip(names.iter().skip(1)).find(|(a, b)| a == b);
        assert_eq!(twice, None);
        let table = [
            ("5d", "s", Some("5d")),
            ("300", "s", Some("300s")),
            ("6", "h", Some("6h")),
            ("0h", "h", Some("0")),
            ("2w", "s", Some("2w")),
            ("x", "s", None),
            ("5y", "s", None),
        ];
        for (value, unit, expected) in table {
            assert_eq!(duration(value, unit).as_deref(), expected, "{value}");
        }
    }
}
