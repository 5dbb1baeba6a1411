//! Which mechanisms a session is offered, and what an exchange begins with.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use postern_directory::KeyKind;
use postern_policy::login::{self, MechanismTraits, SessionFacts};
use postern_sasl::{ChannelBindings, Layers, Mechanism, Needs, Nonce, ServerContext};
use postern_smtp::server::Dialogue;

use crate::session::Session;
use crate::{AuthRule, AuthSettings};

/// Version of TLS in which every client that binds knows `tls-exporter` (RFC 9266 section 3).
const BINDING_VERSION: &str = "TLSv1.3";

/// Tells the dialogue which mechanisms to offer. To be called when a session begins and after each handshake.
pub(crate) fn apply(dialogue: &mut Dialogue, session: &mut Session) {
    if session.profile.listener.auth == AuthRule::Off {
        return;
    }
    let facts = facts(session);
    let directories = session.shared.deps.directories.load();
    let settings = &session.profile.settings.auth;
    let least_bits = session.profile.listener.least_bits.unwrap_or(settings.least_bits);
    let is_offered = |mechanism: Mechanism| {
        let kind = KeyKind::needed(mechanism.properties().needs, &settings.realm);
        let has_kerberos = mechanism.properties().needs != Needs::Kerberos || settings.kerberos.is_some();
        let rule = settings.rules.iter().find(|(about, _)| *about == mechanism);
        has_kerberos
            && kind.is_none_or(|kind| directories.keeps(&kind))
            && login::offered(
                traits(mechanism, settings, session),
                rule.map(|(_, rule)| rule),
                &facts,
                least_bits,
            )
            .is_ok()
    };
    let list = session.profile.mechanisms();
    let offered: Vec<Mechanism> = list
        .iter()
        .copied()
        .filter(|&mechanism| is_offered(mechanism))
        .collect();
    let plus_offered = offered.iter().any(|mechanism| mechanism.binds_channel());
    drop(directories);
    session.plus_offered = plus_offered;
    dialogue.offer_only(|name| offered.iter().any(|mechanism| mechanism.name() == name));
}

fn facts(session: &Session) -> SessionFacts {
    let binds_in_12 = session.profile.settings.auth.binding_in_tls12;
    let channel_known = session.tls.as_ref().is_some_and(|tls| {
        let any = tls.bindings.exporter.is_some() || tls.bindings.server_end_point.is_some();
        any && (binds_in_12 || tls.version == BINDING_VERSION)
    });
    SessionFacts {
        peer: session.peer.ip(),
        tls_bits: session.tls.as_ref().map(|tls| tls.bits),
        channel_known,
        certificate: session.certificate.is_some(),
        today: TimeZone::UTC.to_datetime(Timestamp::now()).date(),
    }
}

fn traits(mechanism: Mechanism, settings: &AuthSettings, session: &Session) -> MechanismTraits {
    let properties = mechanism.properties();
    let layers = layers(settings, session);
    MechanismTraits {
        binds_channel: mechanism.binds_channel(),
        needs_certificate: properties.needs == Needs::Certificate,
        layer_bits: match layers {
            Layers {
                confidentiality: true,
                ..
            } => properties.layer_bits_max,
            Layers { integrity: true, .. } => properties.layer_bits_max.min(1),
            Layers { .. } => 0,
        },
    }
}

/// Inside TLS there is no use for another layer.
fn layers(settings: &AuthSettings, session: &Session) -> Layers {
    if session.tls.is_some() {
        Layers::default()
    } else {
        settings.layers
    }
}

/// What an exchange begins with.
pub(super) fn context(session: &Session) -> ServerContext {
    let settings = &session.profile.settings;
    let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
    let decoy = session.shared.deps.decoy.clone();
    let bindings = session.tls.as_ref().map(|tls| &tls.bindings);
    ServerContext {
        realm: settings.auth.realm.clone(),
        names: settings.auth.service_names.clone(),
        bindings: bindings.map_or_else(ChannelBindings::default, |bindings| ChannelBindings {
            exporter: bindings.exporter,
            server_end_point: bindings.server_end_point.clone(),
        }),
        plus_offered: session.plus_offered,
        decoy_iterations: settings.auth.scram_iterations,
        layers: layers(&settings.auth, session),
        kerberos: settings
            .auth
            .kerberos
            .as_ref()
            .map(|kerberos| Arc::clone(&kerberos.acceptor)),
        ..ServerContext::new(&settings.hostname, Nonce::new(rand::random()), now, decoy)
    }
}
