//! Whether a session may go on: asked before each message.

use std::sync::Arc;

use postern_policy::standing::Lapse;
use postern_smtp::Reply;
use postern_smtp::reply::texts;
use postern_smtp::server::Answer;

use crate::session::{About, Session};
use crate::standing::objection;

/// What a client is told whose login holds no more.
pub(crate) fn login_over(lapse: &Lapse) -> Reply {
    texts::refusal(lapse.told(), "")
}

/// Looks at the login, and at a certificate that relays, before a message begins. The answer, if there is one, ends the session.
pub(crate) async fn ended(session: &mut Session) -> Option<Answer> {
    let lapse = match &session.login {
        // Most sessions ask nobody, and have no room for the question either.
        Some(login) => match Box::pin(Arc::clone(&login.standing).check(&session.shared.deps)).await {
            Ok(fresh) => {
                if let (Some(fresh), Some(login)) = (fresh, &mut session.login) {
                    (login.identity, login.trusted) = (fresh.identity, fresh.trusted);
                }
                return None;
            }
            Err(lapse) => lapse,
        },
        None => {
            let shown = session.tls.as_ref().filter(|_| session.certificate.is_some())?;
            Lapse::Certificate(objection(shown, &session.profile, &session.shared.deps)?)
        }
    };
    let reply = login_over(&lapse);
    session.refused(&lapse, &reply, &About::default());
    Some(Answer::close(reply))
}
