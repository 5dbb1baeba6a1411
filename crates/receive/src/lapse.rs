//! Whether a session may go on: asked before each message.

use std::sync::Arc;

use postern_policy::relay::RelayReason;
use postern_policy::standing::Lapse;
use postern_smtp::Reply;
use postern_smtp::reply::texts;
use postern_smtp::server::Answer;

use crate::judge::Judge;
use crate::session::{About, Session};
use crate::standing::objection;

/// The reply to a client whose login is no longer valid.
pub(crate) fn login_over(lapse: &Lapse) -> Reply {
    texts::refusal(lapse.told(), "")
}

/// Whether the certificate that allows relaying is no longer trusted.
fn distrusted(session: &Session) -> Option<Lapse> {
    let shown = session.tls.as_ref().filter(|_| session.certificate.is_some())?;
    objection(shown, &session.profile, &session.shared.deps).map(Lapse::Certificate)
}

/// Whether a reload has removed the network or certificate rule by which it may relay, and there is no other.
fn withdrawn(session: &Session) -> Option<Lapse> {
    let profile = &session.profile;
    let (general, listener) = (
        session.shared.deps.settings.load_full(),
        profile.listener_now.load(),
    );
    if profile.is_of(&general, &listener) {
        return None;
    }
    let settings = general.at(&listener);
    let judge = session.judge();
    let before = judge
        .relay_reason()
        .filter(|reason| *reason != RelayReason::Login)?;
    let now = Judge {
        settings: &settings,
        ..judge
    };
    now.relay_reason().is_none().then_some(Lapse::Relay(before))
}

/// Checks the login, and the certificate or network that allows relaying, before a message begins. The reply, if there is one,
/// ends the session.
pub(crate) async fn ended(session: &mut Session) -> Option<Answer> {
    let lapse = match &session.login {
        // Boxed, since most sessions ask nobody and should not pay for its size.
        Some(login) => match Box::pin(Arc::clone(&login.standing).check(&session.shared.deps)).await {
            Ok(fresh) => {
                if let (Some(fresh), Some(login)) = (fresh, &mut session.login) {
                    (login.identity, login.trusted) = (fresh.identity, fresh.trusted);
                }
                // If the user may not relay, a network or certificate may.
                withdrawn(session)?
            }
            Err(lapse) => lapse,
        },
        None => distrusted(session).or_else(|| withdrawn(session))?,
    };
    let reply = login_over(&lapse);
    session.refused(&lapse, &reply, &About::default());
    Some(Answer::close(reply))
}
