//! Services that accept mail, and the lists of restrictions that they have.

use super::super::Parameter;

/// A service that accepts mail by SMTP.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    /// The names of its `[[listener]]` tables: one for each address.
    pub(super) names: Vec<String>,
    /// Parameters that it overrides.
    pub(super) overrides: Vec<(String, Parameter)>,
    /// Whether it is only for own users.
    pub(super) is_submission: bool,
    /// Whether the after-queue filter returns mail here.
    pub(super) is_filtered: bool,
    /// Whether it is the one on port 25 of all addresses.
    pub(super) is_main: bool,
    /// Whether strangers are tested first.
    pub(super) has_postscreen: bool,
}

/// The lists of restrictions, in the order in which Postfix goes through them before `DATA`.
pub(super) const LISTS: [&str; 5] = [
    "smtpd_client_restrictions",
    "smtpd_helo_restrictions",
    "smtpd_sender_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_recipient_restrictions",
];

/// A restriction that accepts known clients.
pub(super) fn is_known_client(word: &str) -> bool {
    matches!(
        word,
        "permit_mynetworks"
            | "permit_sasl_authenticated"
            | "permit_tls_clientcerts"
            | "permit_tls_all_clientcerts"
            | "permit_inet_interfaces"
    )
}
