//! What a filter has decided, with the rule behind it and the reply to the client.

use std::fmt;

use postern_filter::Failure;
use postern_mail::Status;
use postern_milter::{Event, ReplyCode, Verdict as Answered};
use postern_policy::milter::{Decided, Decision, OnFailure};
use postern_policy::rule::{Rule, Told, Verdict};
use postern_smtp::Reply;
use postern_smtp::reply::texts;
use postern_smtp::server::Answer;

use super::services::{Chain, Milter};
use super::strangers::NoPlace;
use crate::session::{About, Session};

/// A decision that the client is told, or that discards its message.
#[derive(Clone, Debug)]
pub(crate) struct Ruled {
    /// The name of the filter.
    milter: String,
    rule: Rule,
    reason: String,
    /// The reply; `None` if the client is told that the message was accepted.
    reply: Option<Reply>,
    /// Whether its connection is closed.
    close: bool,
}

impl Ruled {
    /// The decision in a filter's answer.
    pub(super) fn answer(milter: &Milter, event: Event, answer: &Answered) -> Self {
        let text;
        let (decision, reply, close) = match answer {
            Answered::Reply(code) => {
                let reply = reply_of(code);
                text = shown(&reply);
                let permanent = code.is_permanent();
                let decision = Decision::Replied {
                    reply: &text,
                    permanent,
                };
                (decision, Some(reply), code.closes())
            }
            Answered::Tempfail => (Decision::Deferred, None, false),
            Answered::ConnectionFailure | Answered::Shutdown => (Decision::Ended, None, true),
            Answered::Discard => (Decision::Discarded, None, false),
            // The others do not decide.
            Answered::Reject | Answered::Continue | Answered::Accept => (Decision::Rejected, None, false),
        };
        Self::new(milter, event, decision, reply, close)
    }

    /// The decision after a failure, if the client is told of it.
    pub(super) fn failure(milter: &Milter, event: Event, why: &str) -> Self {
        let decision = Decision::Failed {
            then: milter.on_failure,
            why,
        };
        Self::new(milter, event, decision, None, false)
    }

    /// All connections to it that strangers, or those of one network, may have are in use.
    pub(super) fn busy(milter: &Milter, none: NoPlace) -> Self {
        let limit = none.most;
        let decision = match none.network {
            None => Decision::Busy { limit },
            Some(network) => Decision::NetworkBusy { limit, network },
        };
        Self::new(milter, Event::Mail, decision, None, false)
    }

    /// A filter has removed all recipients.
    pub(super) fn nobody_left(milter: &Milter) -> Self {
        Self {
            milter: milter.name().to_owned(),
            rule: Rule::MilterDiscard,
            reason: format!("{} has removed all recipients", milter.name()),
            reply: None,
            close: false,
        }
    }

    fn new(milter: &Milter, event: Event, decision: Decision<'_>, reply: Option<Reply>, close: bool) -> Self {
        let decided = Decided {
            filter: milter.name(),
            decision,
        };
        let told = decided.reply().map(|told| texts::refusal(told, ""));
        Self {
            milter: milter.name().to_owned(),
            rule: decided.rule(),
            reason: format!("{decided}, at {event}"),
            reply: reply.or(told),
            close,
        }
    }

    /// Whether the message is to be discarded, and the client told that it was accepted.
    pub(crate) fn discards(&self) -> bool {
        self.reply.is_none()
    }

    /// The name of the filter that decided.
    pub(crate) fn milter(&self) -> &str {
        &self.milter
    }

    /// Whether the client's connection is closed.
    pub(crate) fn closes(&self) -> bool {
        self.close
    }

    /// The same in place of a greeting, for which there are only two refusals (RFC 5321 section
    /// 4.3.2).
    pub(crate) fn at_greeting(mut self) -> Self {
        if let Some(reply) = &mut self.reply {
            reply.code = if reply.is_permanent() { 554 } else { 421 };
        }
        self.close = true;
        self
    }

    /// Logs it, and returns the reply. `None` for a message that is discarded.
    pub(crate) fn tell(&self, about: &About<'_>, session: &Session) -> Option<Answer> {
        let reply = self.reply.clone()?;
        let about = About {
            milter: Some(&self.milter),
            ..*about
        };
        session.refused(self, &reply, &about);
        Some(if self.close {
            Answer::close(reply)
        } else {
            Answer::stay(reply)
        })
    }
}

impl Verdict for Ruled {
    fn rule(&self) -> Rule {
        self.rule
    }

    fn reason(&self) -> &dyn fmt::Display {
        &self.reason
    }

    fn reply(&self) -> Option<Told> {
        // The text may be the filter's.
        None
    }
}

/// Why a filter failed, in one line.
pub(super) fn why(failure: &Failure) -> String {
    Chain(failure).to_string()
}

/// The protocol's word for the same.
pub(super) const fn in_chain(then: OnFailure) -> postern_milter::chain::OnFailure {
    use postern_milter::chain::OnFailure as InChain;
    match then {
        OnFailure::Accept => InChain::Accept,
        OnFailure::Tempfail => InChain::Tempfail,
        OnFailure::Reject => InChain::Reject,
        OnFailure::Hold => InChain::Hold,
    }
}

fn reply_of(code: &ReplyCode) -> Reply {
    let status = code
        .enhanced()
        .map(|(class, subject, detail)| Status(class, subject, detail));
    Reply::new(code.code(), status, code.lines().join("\n"))
}

/// A reply in one line.
fn shown(reply: &Reply) -> String {
    let mut text = reply.code.to_string();
    if let Some(status) = reply.status {
        text = format!("{text} {status}");
    }
    for line in reply.lines() {
        text.push(' ');
        text.push_str(line);
    }
    text
}
