//! What events are to stories, and how they wait for the writer.

use postern_events::{Accepted, Area, Event, Inlet, Line, Observer};
use postern_policy::Rule;

/// Most waiting octets; strangers' events may take half of them.
const WAITING_MAX: usize = 8 << 20;

/// Octets at which the writer is woken before its time.
const MANY: usize = 1 << 20;

/// The role of an event in a story.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Role {
    /// Belongs to its message if it names one, otherwise to its session.
    Goes,
    /// The session is over.
    Ends,
    /// A transaction of the session begins.
    Mail,
    /// Belongs to the transaction, if one is open.
    Step,
    /// As [`Role::Step`], but must be kept even if no message results.
    Refusal,
    /// The session's transaction was accepted, for local recipients.
    AcceptedForHere,
    /// The session's transaction was accepted, from a client that may relay.
    Accepted,
    /// The session has logged in.
    LogsIn,
    /// A report about a message, recorded in both stories.
    Report,
}

impl Role {
    fn of(event: &Event<'_>) -> Self {
        match event {
            Event::Disconnected(_) => Self::Ends,
            Event::SenderTaken(_) => Self::Mail,
            Event::RecipientTaken(_) | Event::AnswersDelayed(_) => Self::Step,
            Event::Refused(_) => Self::Refusal,
            Event::Accepted(Accepted { rule, .. }) if is_for_here(*rule) => Self::AcceptedForHere,
            Event::Accepted(_) => Self::Accepted,
            Event::LoggedIn(_) => Self::LogsIn,
            Event::Reported(_) | Event::ReportReturned(_) => Self::Report,
            _ => Self::Goes,
        }
    }

    fn read(octet: u8) -> Self {
        [
            Self::Goes,
            Self::Ends,
            Self::Mail,
            Self::Step,
            Self::Refusal,
            Self::AcceptedForHere,
            Self::Accepted,
            Self::LogsIn,
        ]
        .into_iter()
        .find(|role| *role as u8 == octet)
        .unwrap_or(Self::Report)
    }
}

/// Whether mail was accepted because it is for local recipients, which anybody may send.
fn is_for_here(rule: Rule) -> bool {
    matches!(rule, Rule::LocalRecipient | Rule::RelayDomain)
}

/// Where events wait for the writer.
pub(crate) fn inlet() -> Inlet {
    Inlet::new(WAITING_MAX, MANY)
}

/// Whether an event can be a part of a story.
pub(crate) fn wants(event: &Event<'_>) -> bool {
    // Those say how long something took, and nothing that an attempt or outcome does not.
    if matches!(
        event,
        Event::FilterAsked(_) | Event::HopReached(_) | Event::HandedOver(_)
    ) {
        return false;
    }
    matches!(
        event.area(),
        Area::Connect
            | Area::Tls
            | Area::Login
            | Area::Refuse
            | Area::Accept
            | Area::Milter
            | Area::Attempt
            | Area::Outcome
    ) || matches!(event, Event::Administered(_))
}

/// Hands an event in, for [`Entries`].
pub(crate) fn put(inlet: &Inlet, event: &Event<'_>, line: &Line) {
    let (session, octets) = (line.session().as_bytes(), line.octets());
    let Ok(session_length) = u8::try_from(session.len()) else {
        return;
    };
    let Ok(length) = u32::try_from(octets.len()) else {
        return;
    };
    inlet.put(event.lane(), 6 + session.len() + octets.len(), |waiting| {
        waiting.extend_from_slice(&length.to_le_bytes());
        waiting.push(Role::of(event) as u8);
        waiting.push(session_length);
        waiting.extend_from_slice(session);
        waiting.extend_from_slice(octets);
    });
}

/// Events that have waited, with their sessions.
pub(crate) struct Entries<'o>(pub(crate) &'o [u8]);

impl<'o> Iterator for Entries<'o> {
    type Item = (Role, &'o str, &'o [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (role, rest) = rest.split_first()?;
        let (session_length, rest) = rest.split_first()?;
        let (session, rest) = rest.split_at_checked(usize::from(*session_length))?;
        let (octets, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        Some((Role::read(*role), std::str::from_utf8(session).ok()?, octets))
    }
}

/// Keeps events as they come.
pub(crate) struct Puts(pub(crate) std::sync::Arc<Inlet>);

impl Observer for Puts {
    fn observe(&self, event: &Event<'_>) {
        if wants(event) {
            Line::with(event, jiff::Timestamp::now().as_millisecond(), |line| {
                put(&self.0, event, line);
            });
        }
    }
}
