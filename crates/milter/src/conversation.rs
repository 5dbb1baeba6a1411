//! The order of events: what may be sent to a filter next, whether it answers, and which answers are legal.

use std::fmt;

use crate::bits::{Steps, Version};
use crate::change::{self, Change, ChangeError};
use crate::macros::{MacroStage, Macros, Values};
use crate::negotiation::Agreement;
use crate::reply::Reply;
use crate::reply_code::ReplyCode;

/// A step of a session that a filter can be told.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Event {
    /// A client has connected.
    Connect,
    /// `HELO` or `EHLO`; may come again, as after `STARTTLS`.
    Helo,
    /// `MAIL`.
    Mail,
    /// A recipient that the server would accept.
    Rcpt,
    /// A recipient that the server has refused.
    RejectedRcpt,
    /// `DATA`.
    Data,
    /// A command that the server does not know.
    Unknown,
    /// A header field.
    Header,
    /// The end of the header.
    EndOfHeader,
    /// A piece of the body.
    Body,
    /// The end of the message.
    End,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Connect,
        Self::Helo,
        Self::Mail,
        Self::Rcpt,
        Self::RejectedRcpt,
        Self::Data,
        Self::Unknown,
        Self::Header,
        Self::EndOfHeader,
        Self::Body,
        Self::End,
    ];

    /// The stage whose macros are sent with it.
    #[must_use]
    pub const fn macro_stage(self) -> Option<MacroStage> {
        match self {
            Self::Connect => Some(MacroStage::Connect),
            Self::Helo => Some(MacroStage::Helo),
            Self::Mail => Some(MacroStage::Mail),
            Self::Rcpt | Self::RejectedRcpt => Some(MacroStage::Rcpt),
            Self::Data => Some(MacroStage::Data),
            Self::EndOfHeader => Some(MacroStage::EndOfHeader),
            Self::End => Some(MacroStage::End),
            Self::Unknown | Self::Header | Self::Body => None,
        }
    }

    /// Whether it is part of a message. Unknown commands may come inside or outside of one.
    #[must_use]
    pub const fn in_message(self) -> bool {
        !matches!(self, Self::Connect | Self::Helo | Self::Unknown)
    }

    /// The bit by which a filter does without it, and the one by which it does not answer. The end of a message has neither.
    const fn bits(self) -> (Steps, Steps) {
        match self {
            Self::Connect => (Steps::NO_CONNECT, Steps::QUIET_CONNECT),
            Self::Helo => (Steps::NO_HELO, Steps::QUIET_HELO),
            Self::Mail => (Steps::NO_MAIL, Steps::QUIET_MAIL),
            Self::Rcpt | Self::RejectedRcpt => (Steps::NO_RCPT, Steps::QUIET_RCPT),
            Self::Data => (Steps::NO_DATA, Steps::QUIET_DATA),
            Self::Unknown => (Steps::NO_UNKNOWN, Steps::QUIET_UNKNOWN),
            Self::Header => (Steps::NO_HEADER, Steps::QUIET_HEADER),
            Self::EndOfHeader => (Steps::NO_END_OF_HEADER, Steps::QUIET_END_OF_HEADER),
            Self::Body => (Steps::NO_BODY, Steps::QUIET_BODY),
            Self::End => (Steps::NONE, Steps::NONE),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Connect => "connect",
            Self::Helo => "HELO",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::RejectedRcpt => "rejected RCPT",
            Self::Data => "DATA",
            Self::Unknown => "unknown command",
            Self::Header => "header field",
            Self::EndOfHeader => "end of header",
            Self::Body => "body",
            Self::End => "end of message",
        })
    }
}

/// What to do about an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plan {
    /// Nothing is sent: the filter is done, or wants no more of this, or never asked for it.
    Pass,
    /// The filter does without the step, but its macros are sent, which stay for later steps.
    Macros,
    /// The macros and the command are sent; no answer comes.
    Tell,
    /// The macros and the command are sent, and an answer must come.
    Ask,
}

/// A final answer to a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// Accepted, and no more is wanted: of this message or, at connect and `HELO`, of this connection.
    Accept,
    /// Refused permanently: this recipient at `RCPT`, this command if it was unknown, else the message or the session.
    Reject,
    /// Refused temporarily, otherwise as [`Verdict::Reject`].
    Tempfail,
    /// The message is accepted and discarded.
    Discard,
    /// Refused with this reply, otherwise as [`Verdict::Reject`].
    Reply(ReplyCode),
    /// The client's connection must be closed; nothing is accepted.
    ConnectionFailure,
    /// The client must be told 421, and its connection closed; nothing is accepted.
    Shutdown,
}

/// A parsed packet from a filter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer<'a> {
    /// It is still working: the time limit starts again.
    Progress,
    /// A change, which counts only if the final answer lets the message through.
    Change(Change),
    /// A piece of a new body, with line ends as the filter wrote them.
    BodyPiece(&'a [u8]),
    /// The answer.
    Final(Verdict),
}

/// An answer that the filter must not give here. What it sends from now on cannot be trusted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// An answer that does not belong to the step.
    #[error("answered {event} with {answer}")]
    OutOfTurn {
        /// The step.
        event: Event,
        /// The answer's name.
        answer: &'static str,
    },
    /// An answer that was not agreed when the connection opened.
    #[error("answered with {answer}, which it had not agreed to use")]
    NotAgreed {
        /// The answer's name.
        answer: &'static str,
    },
    /// A change that would break the message.
    #[error("asked for a change that cannot be made")]
    Change(#[from] ChangeError),
}

/// The caller sent a step where it is not allowed. Postern's own mistake, never the filter's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0} cannot come here")]
pub struct OutOfOrder(pub Event);

/// The position of a filter in a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Nothing has been sent yet.
    New,
    /// Connected, outside of a message.
    Idle,
    /// After `MAIL`.
    Mail,
    /// After a recipient.
    Rcpt,
    /// After `DATA`, before the first field.
    Data,
    /// Between fields.
    Header,
    /// After the header.
    AfterHeader,
    /// Inside the body.
    Body,
}

/// How long a filter is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Done {
    No,
    Message,
    Connection,
}

/// One filter, one session: the state that decides what is sent next.
#[derive(Clone, Debug)]
pub struct Conversation {
    agreement: Agreement,
    place: Place,
    done: Done,
    /// Kinds of step of which it wants no more in this message.
    skipped: Vec<Event>,
    /// Stages whose macros were sent.
    macros_sent: Vec<MacroStage>,
    /// Something of this message was sent, so that giving it up must be sent too.
    told: bool,
    /// The last thing sent was the end of a message, answered with "continue".
    ended_well: bool,
}

impl Conversation {
    /// Starts right after the negotiation.
    #[must_use]
    pub const fn new(agreement: Agreement) -> Self {
        Self {
            agreement,
            place: Place::New,
            done: Done::No,
            skipped: Vec::new(),
            macros_sent: Vec::new(),
            told: false,
            ended_well: false,
        }
    }

    /// What was agreed.
    #[must_use]
    pub const fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// Whether the filter wants no more of this message.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done != Done::No
    }

    /// Whether the filter wants no more of this session.
    #[must_use]
    pub fn is_done_with_session(&self) -> bool {
        self.done == Done::Connection
    }

    /// Whether values of fields keep their leading blanks.
    #[must_use]
    pub const fn leading_blanks(&self) -> bool {
        self.agreement.steps.has(Steps::LEADING_BLANKS)
    }

    /// Takes a step and returns what to send for it.
    ///
    /// # Errors
    ///
    /// [`OutOfOrder`] if the step is not allowed here; then nothing has changed.
    pub fn plan(&mut self, event: Event) -> Result<Plan, OutOfOrder> {
        self.place = next(self.place, event).ok_or(OutOfOrder(event))?;
        if matches!(event, Event::Mail | Event::Helo) {
            self.skipped.clear();
            self.told = false;
            if self.done == Done::Message {
                self.done = Done::No;
            }
        }
        let plan = self.judge(event);
        if matches!(plan, Plan::Tell | Plan::Ask) {
            self.told |= event.in_message();
            self.ended_well = false;
        }
        Ok(plan)
    }

    fn judge(&self, event: Event) -> Plan {
        let steps = self.agreement.steps;
        let (without, quiet) = event.bits();
        let kind = if event == Event::RejectedRcpt {
            Event::Rcpt
        } else {
            event
        };
        if self.done != Done::No || self.skipped.contains(&kind) {
            return Plan::Pass;
        }
        if event == Event::RejectedRcpt && !steps.has(Steps::REJECTED_RECIPIENTS) {
            return Plan::Pass;
        }
        // After an unknown command inside a message, libmilter accepts no header field before it has seen DATA.
        if event == Event::Unknown && self.place != Place::Idle && steps.has(Steps::NO_DATA) {
            return Plan::Pass;
        }
        if without != Steps::NONE && steps.has(without) {
            return match event.macro_stage() {
                Some(_) if event != Event::RejectedRcpt => Plan::Macros,
                _ => Plan::Pass,
            };
        }
        if quiet != Steps::NONE && steps.has(quiet) {
            Plan::Tell
        } else {
            Plan::Ask
        }
    }

    /// Whether the filter would be sent an event of this kind now, if it were allowed here.
    #[must_use]
    pub fn wants(&self, event: Event) -> bool {
        matches!(self.judge(event), Plan::Tell | Plan::Ask)
    }

    /// The macros sent before a step, if there are any. To be called once for each step that is not skipped.
    pub fn macros<'a>(
        &'a mut self,
        event: Event,
        macros: &'a (impl Macros + ?Sized),
    ) -> Option<(MacroStage, Values<'a>)> {
        let stage = event.macro_stage()?;
        let before = self.macros_sent.contains(&stage);
        let values = self.agreement.macros.values(stage, macros, before)?;
        if !before {
            self.macros_sent.push(stage);
        }
        Some((stage, values))
    }

    /// Takes an answer to a step for which [`Conversation::plan`] said [`Plan::Ask`].
    ///
    /// # Errors
    ///
    /// [`Fault`]: the filter has failed for this message, and its connection cannot be used any more.
    pub fn answer<'a>(&mut self, event: Event, reply: &Reply<'a>) -> Result<Answer<'a>, Fault> {
        if !legal(event, reply) {
            return Err(Fault::OutOfTurn {
                event,
                answer: reply.word(),
            });
        }
        let agreed = match (reply, change::action(reply)) {
            (_, Some(action)) => self.agreement.actions.has(action),
            (Reply::Skip, _) => self.agreement.steps.has(Steps::SKIP),
            _ => true,
        };
        if !agreed {
            return Err(Fault::NotAgreed { answer: reply.word() });
        }
        let verdict = match reply {
            Reply::Progress => return Ok(Answer::Progress),
            Reply::ReplaceBody(piece) => return Ok(Answer::BodyPiece(piece)),
            Reply::Skip => {
                self.skipped.push(event);
                Verdict::Continue
            }
            Reply::Continue => Verdict::Continue,
            Reply::Accept => Verdict::Accept,
            Reply::Reject => Verdict::Reject,
            Reply::Tempfail => Verdict::Tempfail,
            Reply::Discard => Verdict::Discard,
            Reply::ReplyCode(reply) => Verdict::Reply(reply.clone()),
            Reply::ConnectionFailure => Verdict::ConnectionFailure,
            Reply::Shutdown => Verdict::Shutdown,
            _ => match Change::of(reply, self.leading_blanks())? {
                Some(change) => return Ok(Answer::Change(change)),
                None => {
                    return Err(Fault::OutOfTurn {
                        event,
                        answer: reply.word(),
                    });
                }
            },
        };
        self.conclude(event, &verdict);
        Ok(Answer::Final(verdict))
    }

    fn conclude(&mut self, event: Event, verdict: &Verdict) {
        match (event, verdict) {
            (Event::End, Verdict::Continue) => self.ended_well = true,
            (_, Verdict::Continue) => {}
            (Event::Connect | Event::Helo, Verdict::Accept)
            | (Event::Connect, Verdict::Reject | Verdict::Tempfail | Verdict::Reply(_))
            | (_, Verdict::ConnectionFailure | Verdict::Shutdown) => self.done = Done::Connection,
            // Only this recipient, or only this command.
            (
                Event::Helo | Event::Rcpt | Event::RejectedRcpt | Event::Unknown,
                Verdict::Reject | Verdict::Tempfail | Verdict::Reply(_),
            ) => {}
            // The filter still waits for the message: it must be told that none comes.
            (Event::Rcpt | Event::RejectedRcpt, Verdict::Discard) => {
                self.done = Done::Message;
                return;
            }
            _ => self.done = Done::Message,
        }
        if event == Event::End || self.done != Done::No {
            self.told = false;
        }
    }

    /// Ends the message early, and returns whether the filter must be told so. Outside of a message it never must.
    pub fn abort(&mut self) -> bool {
        let tell = self.told && self.done != Done::Connection;
        self.told = false;
        self.skipped.clear();
        if self.place != Place::New {
            self.place = Place::Idle;
        }
        if self.done == Done::Message {
            self.done = Done::No;
        }
        self.ended_well &= !tell;
        tell
    }

    /// Whether the connection can be used for another session.
    ///
    /// That requires version 6, a filter that wants to be told about connections, and "continue" as its last answer, at the end
    /// of a message: `libmilter` accepts the command nowhere else, and would wait for ever.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        self.ended_well
            && self.agreement.version == Version::NEWEST
            && self.done == Done::No
            && !self.agreement.steps.has(Steps::NO_CONNECT)
    }

    /// Starts the next session on the same connection. Macros of the one before are not forgotten: filters may keep their values,
    /// and must be told when these no longer apply.
    pub fn restart(&mut self) {
        self.place = Place::New;
        self.done = Done::No;
        self.skipped.clear();
        self.told = false;
        self.ended_well = false;
    }
}

/// The position after an event, `None` if it is not allowed. Steps that a filter does without count too.
const fn next(place: Place, event: Event) -> Option<Place> {
    Some(match (place, event) {
        (Place::New, Event::Connect) => Place::Idle,
        (Place::Idle, Event::Helo) => Place::Idle,
        (Place::Idle, Event::Mail) => Place::Mail,
        (Place::Mail | Place::Rcpt, Event::Rcpt) => Place::Rcpt,
        (Place::Mail | Place::Rcpt, Event::RejectedRcpt) => place,
        (Place::Rcpt, Event::Data) => Place::Data,
        (Place::Data | Place::Header, Event::Header) => Place::Header,
        (Place::Data | Place::Header, Event::EndOfHeader) => Place::AfterHeader,
        (Place::AfterHeader | Place::Body, Event::Body) => Place::Body,
        (Place::AfterHeader | Place::Body, Event::End) => Place::Idle,
        (Place::Idle | Place::Mail | Place::Rcpt, Event::Unknown) => place,
        _ => return None,
    })
}

/// Whether an answer belongs to a step; whether it was agreed is checked separately.
const fn legal(event: Event, reply: &Reply<'_>) -> bool {
    match reply {
        Reply::Continue
        | Reply::Accept
        | Reply::Reject
        | Reply::Tempfail
        | Reply::ReplyCode(_)
        | Reply::ConnectionFailure
        | Reply::Shutdown
        | Reply::Progress => true,
        Reply::Discard => event.in_message(),
        // More of the same can follow.
        Reply::Skip => {
            matches!(
                event,
                Event::Rcpt | Event::RejectedRcpt | Event::Header | Event::Body
            )
        }
        Reply::Negotiate(_) | Reply::SetMacroList { .. } => false,
        Reply::AddHeader { .. }
        | Reply::InsertHeader { .. }
        | Reply::ChangeHeader { .. }
        | Reply::ReplaceBody(_)
        | Reply::AddRecipient(_)
        | Reply::AddRecipientWithParameters { .. }
        | Reply::RemoveRecipient(_)
        | Reply::ChangeSender { .. }
        | Reply::Quarantine(_) => matches!(event, Event::End),
    }
}

#[cfg(test)]
mod tests;
