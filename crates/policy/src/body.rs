//! Why the content of a message is refused.

use std::fmt;

use postern_mail::Status;
use postern_mail::head::HeadFault;

use crate::rule::{Rule, Told, Verdict};

/// Why the content of a message is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BodyRefusal {
    /// A bare CR or LF, with which one message can be smuggled inside another.
    #[error("bare CR or LF in the body")]
    BareLineEnding,
    /// A line over the limit (RFC 5321 section 4.5.3.1.6).
    #[error("line too long")]
    LineTooLong,
    /// Something no header may hold: readers would see other fields than were judged.
    #[error("{0}")]
    HeaderUnclean(HeadFault),
    /// A header over the limit.
    #[error("header too large, at most {limit} octets are taken")]
    HeaderTooLarge {
        /// The limit, in octets.
        limit: u64,
    },
    /// Too many `Received` fields: a mail loop (RFC 5321 section 6.3).
    #[error("{count} Received fields, at most {limit} are taken")]
    Hops {
        /// How many it has.
        count: u32,
        /// The limit.
        limit: u32,
    },
    /// A submission that names nobody as its author.
    #[error("neither From nor a sender")]
    NoAuthor,
}

impl Verdict for BodyRefusal {
    fn rule(&self) -> Rule {
        match self {
            Self::BareLineEnding => Rule::BodyBareLineEnding,
            Self::LineTooLong => Rule::BodyLine,
            Self::HeaderUnclean(_) => Rule::BodyHeaderUnclean,
            Self::HeaderTooLarge { .. } => Rule::BodyHeader,
            Self::Hops { .. } => Rule::BodyHops,
            Self::NoAuthor => Rule::BodyNoAuthor,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some(self.told())
    }
}

impl BodyRefusal {
    /// Reply code, status and text for the peer.
    #[must_use]
    pub const fn told(self) -> Told {
        match self {
            Self::BareLineEnding => (554, Status(5, 6, 0), "Message contains a bare CR or LF"),
            Self::LineTooLong => (554, Status(5, 6, 0), "Message contains a line that is too long"),
            Self::HeaderUnclean(_) => (
                554,
                Status(5, 6, 0),
                "Message header contains NUL or a bare CR or LF",
            ),
            Self::HeaderTooLarge { .. } => (552, Status(5, 3, 4), "Message header too large"),
            Self::Hops { .. } => (554, Status(5, 4, 6), "Too many hops"),
            Self::NoAuthor => (
                554,
                Status(5, 6, 0),
                "Message has no author, put an address into From",
            ),
        }
    }
}

/// Decides whether a message with `count` `Received` fields is in a mail loop.
///
/// # Errors
///
/// [`BodyRefusal::Hops`].
pub const fn judge_hops(count: u32, limit: u32) -> Result<(), BodyRefusal> {
    if count > limit {
        return Err(BodyRefusal::Hops { count, limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops() {
        assert_eq!(judge_hops(100, 100), Ok(()));
        let refusal = judge_hops(101, 100).unwrap_err();
        assert_eq!(refusal.to_string(), "101 Received fields, at most 100 are taken");
        assert_eq!(
            (refusal.rule().name(), refusal.told().0, refusal.told().1),
            ("body.hops", 554, Status(5, 4, 6))
        );
    }
}
