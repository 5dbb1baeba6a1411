//! Which mechanisms a session is offered.

use postern_directory::KeyKind;
use postern_policy::login::{self, MechanismTraits};
use postern_sasl::{Layers, Mechanism, Needs};
use postern_smtp::server::Dialogue;

use super::origin::Origin;
use crate::AuthRule;
use crate::session::Session;

/// Tells the dialogue which mechanisms to offer. To be called when a session begins and after each handshake.
pub(crate) fn apply(dialogue: &mut Dialogue, session: &mut Session) {
    if session.profile.listener.auth == AuthRule::Off {
        return;
    }
    let offered = offered(&session.origin());
    session.plus_offered = offered.iter().any(|mechanism| mechanism.binds_channel());
    dialogue.offer_only(|name| offered.iter().any(|mechanism| mechanism.name() == name));
}

/// The mechanisms that can be used there now, whether they show the password or not.
pub(crate) fn offered(origin: &Origin<'_>) -> Vec<Mechanism> {
    let facts = origin.facts();
    let rules = &origin.settings.auth.rules;
    let is_offered = |mechanism: &Mechanism| {
        let rule = rules.iter().find(|(about, _)| about == mechanism);
        login::offered(
            traits(*mechanism, origin),
            rule.map(|(_, rule)| rule),
            &facts,
            origin.least_bits,
        )
        .is_ok()
    };
    workable(origin).into_iter().filter(is_offered).collect()
}

/// The mechanisms that could be used there by some client: those that something here can answer for.
pub(crate) fn workable(origin: &Origin<'_>) -> Vec<Mechanism> {
    let directories = origin.shared.deps.directories.load();
    let settings = &origin.settings.auth;
    let is_workable = |mechanism: &Mechanism| {
        let needs = mechanism.properties().needs;
        match needs {
            Needs::Kerberos => settings.kerberos.is_some(),
            Needs::Token => tokens_can_be_taken(origin),
            _ => KeyKind::needed(needs, &settings.realm).is_none_or(|kind| directories.keeps(&kind)),
        }
    };
    origin.mechanisms.iter().copied().filter(is_workable).collect()
}

/// Tokens are taken inside TLS alone, whatever is said of passwords (RFC 7628 section 3, RFC 6750 section 5.2): who reads one
/// has it.
fn tokens_can_be_taken(origin: &Origin<'_>) -> bool {
    origin.tls.is_some() && !origin.shared.deps.tokens.load().is_empty()
}

fn traits(mechanism: Mechanism, origin: &Origin<'_>) -> MechanismTraits {
    let properties = mechanism.properties();
    MechanismTraits {
        binds_channel: mechanism.binds_channel(),
        needs_certificate: properties.needs == Needs::Certificate,
        guessable: properties.needs.is_guessable(),
        layer_bits: match origin.layers() {
            Layers {
                confidentiality: true,
                ..
            } => properties.layer_bits_max,
            Layers { integrity: true, .. } => properties.layer_bits_max.min(1),
            Layers { .. } => 0,
        },
    }
}
