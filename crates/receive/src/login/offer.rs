//! Which mechanisms a session is offered.

use postern_sasl::Mechanism;
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
fn offered(origin: &Origin<'_>) -> Vec<Mechanism> {
    let directories = origin.shared.deps.directories.load();
    let offer = origin.offer(&directories);
    let is_offered = |mechanism: &Mechanism| offer.offered(*mechanism).is_ok();
    origin.mechanisms.iter().copied().filter(is_offered).collect()
}

/// The mechanisms that could be used there by some client: those that something here can answer for.
pub(crate) fn workable(origin: &Origin<'_>) -> Vec<Mechanism> {
    let directories = origin.shared.deps.directories.load();
    let offer = origin.offer(&directories);
    let is_workable = |mechanism: &Mechanism| offer.workable(*mechanism);
    origin.mechanisms.iter().copied().filter(is_workable).collect()
}
