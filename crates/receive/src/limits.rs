//! Rate limits in a session, which are counted for the client's network ([`postern_policy::limit`]).

use std::sync::Arc;

use postern_policy::limit::{Client, Counted, Limit, LimitRefusal, of_client};
use postern_smtp::Reply;
use postern_smtp::reply::texts;

use crate::limited::Limited;
use crate::session::{About, Session};
use crate::time;

/// Counts a connection and its session.
///
/// # Errors
///
/// The reply in place of a greeting.
pub(crate) fn connect(session: &mut Session) -> Result<(), Reply> {
    let Some(limit) = limit_of(session) else {
        return Ok(());
    };
    let peer = session.peer.ip();
    let counted = {
        let mut tally = session.shared.tally.lock();
        tally
            .count(limit, Counted::Connection, peer, time::now())
            .and_then(|()| tally.enter(limit, peer))
    };
    match counted {
        Ok(entered) => {
            let tally = Arc::clone(&session.shared.tally);
            session.limited = entered.map(|entered| Limited { tally, entered });
            Ok(())
        }
        Err(refusal) => Err(refused(&refusal, &About::default(), session)),
    }
}

/// Counts one more of something; returns the reply if that is too many.
pub(crate) fn count(counted: Counted, about: &About<'_>, session: &Session) -> Option<Reply> {
    let limit = limit_of(session)?;
    let peer = session.peer.ip();
    let came = session
        .shared
        .tally
        .lock()
        .count(limit, counted, peer, time::now());
    came.err().map(|refusal| refused(&refusal, about, session))
}

fn limit_of(session: &Session) -> Option<&Limit> {
    // Local users share this machine's address, and have limits of their own.
    if session.user.is_some() {
        return None;
    }
    let client = Client {
        peer: session.peer.ip(),
        listener: session.listener(),
        stranger: session.is_stranger(),
    };
    of_client(&session.profile.settings.limits_of_clients, &client)
}

fn refused(refusal: &LimitRefusal, about: &About<'_>, session: &Session) -> Reply {
    let reply = texts::refusal(refusal.told(), "");
    session.refused(refusal, &reply, about);
    reply
}
