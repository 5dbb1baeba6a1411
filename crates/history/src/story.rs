//! A session or message as it is found, and what is looked for.

use jiff::Timestamp;
use postern_events::{Kept, Key, PastEvent};

use crate::name::Class;
use crate::term::Term;

/// A search.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// A story must contain one term of each group.
    pub groups: Vec<Vec<Term>>,
    /// Something in it happened at this time or later.
    pub since: Option<Timestamp>,
    /// Something in it happened at this time or before.
    pub until: Option<Timestamp>,
    /// Most stories to return.
    pub limit: usize,
    /// Whether to include sessions in which nothing was refused; sessions asked for by id are always included.
    pub all_sessions: bool,
}

/// What a story is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A session.
    Session,
    /// A message.
    Message,
}

/// What happened in a session, or to a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// What it is about.
    pub kind: Kind,
    /// The queue id of the message, or the id of the session; empty if a client got none.
    pub id: String,
    /// The session; empty if there was none.
    pub session: String,
    /// Who caused it.
    pub class: Class,
    /// What happened, in order.
    pub events: Vec<PastEvent>,
}

impl Story {
    /// When it began, in milliseconds since 1970.
    #[must_use]
    pub fn began(&self) -> i64 {
        self.events.first().map_or(0, |event| event.at)
    }

    /// The first text of a field, in the order of events.
    #[must_use]
    pub fn text(&self, wanted: Key) -> Option<&str> {
        self.events.iter().find_map(|event| event.text(wanted))
    }

    pub(crate) fn is_within(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
        let within = |at: i64| {
            since.is_none_or(|since| at >= since.as_millisecond())
                && until.is_none_or(|until| at <= until.as_millisecond())
        };
        self.events.iter().any(|event| within(event.at))
    }

    pub(crate) fn matches(&self, query: &Query) -> bool {
        self.is_within(query.since, query.until)
            && query
                .groups
                .iter()
                .all(|group| group.iter().any(|term| self.holds(term)))
            && (self.kind == Kind::Message || query.all_sessions || self.is_notable(query))
    }

    /// Whether a session is worth showing besides messages.
    pub(crate) fn is_notable(&self, query: &Query) -> bool {
        let asked_for = |term: &Term| matches!(term, Term::Session(id) if *id == self.id);
        query.groups.iter().flatten().any(asked_for)
            || self.events.iter().any(|event| {
                matches!(event.word.as_str(), "refused" | "discarded" | "suppressed")
                    || event.word.contains("locked out")
            })
    }

    pub(crate) fn holds(&self, term: &Term) -> bool {
        let own = match self.kind {
            Kind::Session => term.holds(Key::Session, &self.id),
            Kind::Message => term.holds(Key::Queue, &self.id) || term.holds(Key::Session, &self.session),
        };
        own || self.events.iter().any(|event| {
            term.holds_word(&event.word)
                || event.fields.iter().any(|(key, value)| match value {
                    Kept::Text(text) => term.holds(*key, text),
                    _ => false,
                })
        })
    }
}
