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

/// What a client is told whose login holds no more.
pub(crate) fn login_over(lapse: &Lapse) -> Reply {
    texts::refusal(lapse.told(), "")
}

/// The certificate that relays is trusted no more.
fn distrusted(session: &Session) -> Option<Lapse> {
    let shown = session.tls.as_ref().filter(|_| session.certificate.is_some())?;
    objection(shown, &session.profile, &session.shared.deps).map(Lapse::Certificate)
}

/// A reload has taken away the network or the certificate's rule by which it may relay, and there is no other.
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

/// Looks at the login, and at the certificate or network that relays, before a message begins. The answer, if there is one, ends the session.
pub(crate) async fn ended(session: &mut Session) -> Option<Answer> {
    let lapse = match &session.login {
        // Most sessions ask nobody, and have no room for the question either.
        Some(login) => match Box::pin(Arc::clone(&login.standing).check(&session.shared.deps)).await {
            Ok(fresh) => {
                if let (Some(fresh), Some(login)) = (fresh, &mut session.login) {
                    (login.identity, login.trusted) = (fresh.identity, fresh.trusted);
                }
                // Where the login may not relay, a network or certificate may.
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
