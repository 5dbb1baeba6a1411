//! Which mechanisms are offered to a session.

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

/// The mechanisms that can be used there now, whether or not they reveal the password.
fn offered(origin: &Origin<'_>) -> Vec<Mechanism> {
    let directories = origin.shared.deps.directories.load();
    let offer = origin.offer(&directories);
    let is_offered = |mechanism: &Mechanism| offer.offered(*mechanism).is_ok();
    origin.mechanisms.iter().copied().filter(is_offered).collect()
}

/// The mechanisms that some client could use there: those that can be verified here.
pub(crate) fn workable(origin: &Origin<'_>) -> Vec<Mechanism> {
    let directories = origin.shared.deps.directories.load();
    let offer = origin.offer(&directories);
    let is_workable = |mechanism: &Mechanism| offer.workable(*mechanism);
    origin.mechanisms.iter().copied().filter(is_workable).collect()
}
