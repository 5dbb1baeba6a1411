//! Mail that is kept and never delivered.

use postern_events::Ruled;
use postern_mail::{QueueId, ReversePath};
use postern_policy::rule::{Rule, Verdict};
use postern_policy::sandbox::Kept;
use postern_smtp::reply::texts;
use postern_smtp::server::Answer;
use postern_spool::{Assembly, Hold};

use crate::judge::Judge;
use crate::session::{About, Login, Session};

/// Has a message that is complete kept, where its login or listener says so now, whatever else would have it held; says why.
///
/// # Errors
///
/// The answer to one for which there is no room.
pub(crate) fn keep(
    assembly: &mut Assembly,
    others: &mut [Assembly],
    size: u64,
    session: &Session,
) -> Result<Option<String>, Answer> {
    // A reload counts at once: what is a test from now on is not delivered, however old the session is.
    let settings = session.shared.deps.settings.load();
    let listener = session.profile.listener_now.load();
    let judge = Judge {
        settings: &settings,
        listener: &listener,
        ..session.judge()
    };
    let Some(sandboxed) = judge.sandboxed(session.login.as_ref().map(Login::authcid)) else {
        return Ok(None);
    };
    let counts = session.shared.deps.spool.counts();
    let more = others.len() as u64;
    let kept = Kept {
        messages: counts.sandboxed.saturating_add(more),
        octets: counts.sandboxed_bytes.saturating_add(size.saturating_mul(more)),
    };
    if let Err(full) = settings.sandbox.admit(size, kept) {
        let reply = full
            .reply()
            .map_or(texts::LOCAL_ERROR, |told| texts::refusal(told, ""));
        session.refused(&full, &reply, &About::sender(&assembly.envelope.sender));
        return Err(Answer::stay(reply));
    }
    let hold = Hold::by_rule(sandboxed.rule(), sandboxed);
    for one in std::iter::once(assembly).chain(others) {
        one.hold = Some(hold.clone());
    }
    Ok(Some(sandboxed.to_string()))
}

/// The queue has a message that is kept for this reason.
pub(crate) fn tell(reason: Option<&String>, queue: &QueueId, from: &ReversePath, session: &Session) {
    let Some(reason) = reason else { return };
    session.shared.deps.observers.tell(Ruled {
        session: &session.id,
        queue: Some(queue),
        listener: session.listener(),
        peer: session.peer.ip(),
        rule: Rule::SandboxKept,
        reason,
        from: Some(from),
        to: None,
    });
}
