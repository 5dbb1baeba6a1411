//! What can go wrong with a filter.

use std::fmt;
use std::io;
use std::time::Duration;

use postern_milter::conversation::OutOfOrder;
use postern_milter::frame::FrameError;
use postern_milter::outage::Kind;
use postern_milter::{Event, Fault, NegotiationError, ReplyError};

/// A filter failed for one message. The text says when; the chain of its sources says why.
#[derive(Debug, thiserror::Error)]
#[error("failed {during}")]
pub struct Failure {
    /// When it failed.
    pub during: During,
    /// Why it failed.
    #[source]
    pub cause: Cause,
}

impl Failure {
    /// What it says about the filter, for tracking outages; `None` if nothing new.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        match (&self.cause, self.during) {
            (Cause::Paused(_) | Cause::FailedBefore | Cause::DoesNotFit { .. } | Cause::Misuse(_), _) => None,
            (_, During::Opening | During::Negotiation) => Some(Kind::Unreachable),
            (_, During::Step(_)) => Some(Kind::Misbehaved),
        }
    }
}

/// When a filter failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum During {
    /// Connecting to it.
    Opening,
    /// Negotiating what both can do.
    Negotiation,
    /// A step of the session.
    Step(Event),
}

impl fmt::Display for During {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opening => out.write_str("to connect"),
            Self::Negotiation => out.write_str("at negotiation"),
            Self::Step(event) => write!(out, "at {event}"),
        }
    }
}

/// Why a filter failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// It could not be reached recently, and is not asked before this time has passed.
    #[error("it is down, and will be asked again in {} s", .0.as_secs_f32().ceil())]
    Paused(Duration),
    /// It has already failed for this message.
    #[error("it has failed for this message already")]
    FailedBefore,
    /// It accepts no connection.
    #[error("it accepts no connections")]
    Unreachable(#[source] io::Error),
    /// It did not accept the connection or a command, or did not answer in time.
    #[error("it did not finish within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// It closed the connection.
    #[error("it closed the connection")]
    Closed,
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// A packet of an impossible length: garbage, or too large.
    #[error("it sent something that is not a packet")]
    Frame(#[from] FrameError),
    /// A malformed packet.
    #[error("it sent something that is not an answer")]
    Reply(#[from] ReplyError),
    /// Nothing could be agreed: the wrong version, or more than was offered.
    #[error("nothing could be agreed with it")]
    Negotiation(#[from] NegotiationError),
    /// An answer that is not legal there.
    #[error("its answer is not legal")]
    Fault(#[from] Fault),
    /// It sent something unsolicited: questions and answers are out of step.
    #[error("it sent an answer that was not asked for ({0})")]
    Unasked(String),
    /// More changes, or a larger body, than the settings allow.
    #[error("it asked for more than {max} octets of {what}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        max: u64,
    },
    /// A part of the message does not fit into a packet to the filter: parameters, or the name of a field. Values of fields are
    /// cut.
    #[error("{len} octets do not fit into a packet to it, which has room for {max}")]
    DoesNotFit {
        /// Octets of data.
        len: usize,
        /// The agreed limit.
        max: usize,
    },
    /// Postern's own mistake: a step where it is not allowed.
    #[error("this step was told out of order")]
    Misuse(#[from] OutOfOrder),
}
