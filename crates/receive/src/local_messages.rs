//! How many messages local users may submit.

use postern_smtp::reply::texts;
use postern_smtp::server::{Answer, AskSender};

use crate::session::{About, Session};
use crate::time;

/// The reply to a local user who submits too many messages.
pub(crate) fn too_many(ask: &AskSender<'_>, session: &Session) -> Option<Answer> {
    let uid = session.user.as_ref()?.uid;
    let rules = &session.profile.settings.local;
    let refusal = session
        .shared
        .local
        .lock()
        .message(uid, rules, time::now())
        .err()?;
    let reply = texts::refusal(refusal.told(), "");
    session.refused(&refusal, &reply, &About::sender(ask.sender()));
    Some(Answer::stay(reply))
}
