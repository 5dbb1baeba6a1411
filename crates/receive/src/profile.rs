//! Settings as one session sees them, prepared once and shared by all sessions that begin under
//! them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_net::tls::ServerTls;
use postern_sasl::Mechanism;
use postern_smtp::body::BodyRules;
use postern_smtp::server::{AuthRules, CommandRules, Extensions, OfferedMechanism, Rules};

use crate::access::AccessSettings;
use crate::access::service::Service;
use crate::milters::Milter;
use crate::{AuthRule, BareAddresses, LOCAL, ListenerSettings, ListenerTls, Plaintext, Role, Settings};

/// The settings of a session from start to end, whatever is reloaded meanwhile.
pub(crate) struct Profile {
    /// The general settings with the listener's overrides.
    pub(crate) settings: Arc<Settings>,
    /// The general settings.
    pub(crate) general: Arc<Settings>,
    pub(crate) listener: Arc<ListenerSettings>,
    /// The listener's settings for sessions that begin now.
    pub(crate) listener_now: Arc<ArcSwap<ListenerSettings>>,
    pub(crate) tls: Arc<Option<ServerTls>>,
    pub(crate) rules: Arc<Rules>,
    /// The mail filters that serve the listener.
    pub(crate) milters: Vec<Arc<Milter>>,
    /// Its access rules.
    pub(crate) access: Arc<AccessSettings>,
    /// The policy services that they ask.
    pub(crate) services: Vec<Arc<Service>>,
}

impl Profile {
    /// Whether it was made of these.
    pub(crate) fn is_of(&self, general: &Arc<Settings>, listener: &Arc<ListenerSettings>) -> bool {
        Arc::ptr_eq(&self.general, general) && Arc::ptr_eq(&self.listener, listener)
    }

    /// The mechanisms of this listener.
    pub(crate) fn mechanisms(&self) -> &[Mechanism] {
        mechanisms_of(&self.settings, &self.listener)
    }
}

fn mechanisms_of<'a>(settings: &'a Settings, listener: &'a ListenerSettings) -> &'a [Mechanism] {
    listener
        .mechanisms
        .as_deref()
        .unwrap_or(&settings.auth.mechanisms)
}

/// The settings that the dialogue needs.
pub(crate) fn rules(settings: &Settings, listener: &ListenerSettings, has_tls: bool) -> Rules {
    let privacy = &settings.privacy;
    let mechanisms = match listener.auth {
        AuthRule::Off => Vec::new(),
        AuthRule::Offer | AuthRule::Require => mechanisms_of(settings, listener)
            .iter()
            .map(|mechanism| OfferedMechanism {
                name: mechanism.name(),
                plaintext: mechanism.is_plaintext(),
            })
            .collect(),
    };
    Rules {
        hostname: settings.hostname.clone(),
        qualify: (listener.bare_addresses == BareAddresses::Complete).then(|| settings.origin.clone()),
        qualify_recipients: match listener.bare_addresses {
            BareAddresses::Complete => Some(settings.origin.clone()),
            BareAddresses::Recipients => settings.hostname.parse().ok(),
            BareAddresses::Refuse => None,
        },
        limits: settings.limits,
        body: BodyRules {
            size_max: settings.admission.message_size,
            line_max: settings.limits.text_line_max,
            bare: listener.bare_line_endings,
        },
        extensions: Extensions {
            // `sendmail` submits with `BDAT`, so it stays on there even if it is off for other
            // clients.
            chunking: settings.extensions.chunking || listener.name == LOCAL,
            dsn: settings.extensions.dsn && !privacy.no_receipts,
            ..settings.extensions
        },
        starttls: has_tls && listener.tls == ListenerTls::StartTls,
        auth: AuthRules {
            mechanisms,
            plaintext_anywhere: settings.auth.plaintext == Plaintext::Always,
            required: listener.auth == AuthRule::Require,
        },
        commands: CommandRules {
            mail_needs_helo: privacy.need_mail_helo,
            any_helo_name: listener.role == Role::Submission,
            vrfy_needs_helo: privacy.need_vrfy_helo,
            expn_needs_helo: privacy.need_expn_helo,
            vrfy_off: privacy.no_vrfy,
            expn_off: privacy.no_expn,
            verb_off: privacy.no_verb,
            etrn_off: privacy.no_etrn,
        },
    }
}
