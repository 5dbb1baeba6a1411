//! The reply and the log line for a refused message.

use std::fmt;

use postern_events::{notice, shown};
use postern_mail::head::HeadFault;
use postern_policy::admission::AdmissionRefusal;
use postern_policy::body::BodyRefusal;
use postern_policy::queue::{QueueRefusal, QueueTrouble};
use postern_policy::room::NoRoom;
use postern_policy::rule::{Rule, Told, Verdict};
use postern_smtp::body::BodyFault;
use postern_smtp::reply::{Reply, texts};
use postern_smtp::server::Answer;
use postern_spool::{Refusal, SpoolError, SpoolState};

use crate::milters::Ruled;
use crate::session::{About, Session};

/// Why a message is refused.
pub(crate) enum Failure {
    Body(BodyFault),
    Head(HeadFault),
    Header,
    Room(NoRoom),
    Spool(SpoolError),
    /// An inspector refused it.
    Inspected(Refusal),
    /// A mail filter has decided.
    Filtered(Ruled),
}

/// A refused message, as far as it has come.
pub(super) struct Refused<'a> {
    pub(super) failure: Option<&'a Failure>,
    /// Octets received.
    pub(super) size: u64,
    /// Whether it came in chunks.
    pub(super) chunked: bool,
}

impl Refused<'_> {
    /// The reply to a refused message or chunk.
    pub(super) fn answer(self, about: &About<'_>, session: &Session) -> Answer {
        let content = |refusal: BodyRefusal, reply: Reply| {
            session.refused(&refusal, &reply, about);
            Answer::stay(reply)
        };
        let as_told = |refusal: BodyRefusal| content(refusal, texts::refusal(refusal.told(), ""));
        match &self.failure {
            Some(Failure::Body(BodyFault::BareLineEnding)) => {
                // With chunks the end of the message is never in doubt.
                let close = !self.chunked;
                let answer = as_told(BodyRefusal::BareLineEnding);
                Answer { close, ..answer }
            }
            Some(Failure::Body(BodyFault::LineTooLong)) => as_told(BodyRefusal::LineTooLong),
            Some(Failure::Body(BodyFault::TooLarge)) => {
                let limit = session.profile.settings.admission.message_size;
                let refusal = AdmissionRefusal::Size {
                    size: self.size,
                    limit,
                };
                let reply = message_refusal(refusal);
                session.refused(&refusal, &reply, about);
                Answer::stay(reply)
            }
            Some(Failure::Head(fault)) => as_told(BodyRefusal::HeaderUnclean(*fault)),
            Some(Failure::Header) => {
                let limit = session.profile.settings.limits.header_max;
                content(
                    BodyRefusal::HeaderTooLarge { limit },
                    texts::header_too_large(limit),
                )
            }
            Some(Failure::Room(refusal)) => Answer::stay(session.no_room(*refusal, about)),
            Some(Failure::Spool(error)) => spool_failed(error, about, session),
            Some(Failure::Inspected(refusal)) => inspected(refusal, about, session),
            Some(Failure::Filtered(ruled)) => ruled
                .tell(about, session)
                .unwrap_or_else(|| Answer::stay(texts::LOCAL_ERROR)),
            None => Answer::stay(texts::LOCAL_ERROR),
        }
    }
}

/// Why an inspector refused a message.
struct Unwanted<'a>(&'a Refusal);

impl Verdict for Unwanted<'_> {
    fn rule(&self) -> Rule {
        self.0.rule
    }

    fn reason(&self) -> &dyn fmt::Display {
        self.0
    }

    fn reply(&self) -> Option<Told> {
        // Its text is its own.
        None
    }
}

/// The reply to a message that an inspector refused.
pub(super) fn inspected(refusal: &Refusal, about: &About<'_>, session: &Session) -> Answer {
    let reply = Reply::new(refusal.code, refusal.status, refusal.text.clone());
    session.refused(&Unwanted(refusal), &reply, about);
    Answer::stay(reply)
}

/// The refusal of a message; one that is too large is told the limit.
pub(crate) fn message_refusal(refusal: AdmissionRefusal) -> Reply {
    match refusal {
        AdmissionRefusal::Size { limit, .. } => texts::message_too_large(limit),
        other => texts::refusal(other.told(), ""),
    }
}

/// The reply to `MAIL` while the queue cannot accept anything, so that the client need not send the message first.
pub(crate) fn queue_is_down(about: &About<'_>, session: &Session) -> Option<Answer> {
    match session.shared.deps.spool.state() {
        // A full disk may have room for this message.
        SpoolState::Ready | SpoolState::Full(_) => None,
        SpoolState::Unavailable(reason) => {
            Some(spool_failed(&SpoolError::Unavailable(reason), about, session))
        }
        SpoolState::Closed => Some(spool_failed(&SpoolError::Closed, about, session)),
    }
}

pub(super) fn spool_failed(error: &SpoolError, about: &About<'_>, session: &Session) -> Answer {
    if !error.is_temporary() {
        notice!(session.shared.deps.observers, Spool Error "cannot queue a message", Session = session.id, Reason = shown(error));
    }
    let trouble = error.trouble();
    let answer = spool_answer(trouble);
    let refusal = QueueRefusal {
        trouble,
        reason: error.to_string(),
    };
    session.refused(&refusal, &answer.reply, about);
    answer
}

fn spool_answer(trouble: QueueTrouble) -> Answer {
    let reply = texts::refusal(trouble.told(), "");
    match trouble {
        QueueTrouble::Closed => Answer::close(reply),
        _ => Answer::stay(reply),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_the_spool() {
        #[rustfmt::skip]
        let cases = [
            ("disk full",         SpoolError::Full("no space".into()),       452, false),
            ("disk read-only",    SpoolError::Unavailable("EROFS".into()),   451, false),
            ("the server stops",  SpoolError::Closed,                        421, true),
            ("our own mistake",   SpoolError::NoRecipients,                  451, false),
        ];
        for (shows, error, code, close) in cases {
            let trouble = error.trouble();
            let answer = spool_answer(trouble);
            assert_eq!((answer.reply.code, answer.close), (code, close), "{shows}");
            let refusal = QueueRefusal {
                trouble,
                reason: error.to_string(),
            };
            assert!(refusal.rule().name().starts_with("spool."), "{shows}");
        }
    }
}
