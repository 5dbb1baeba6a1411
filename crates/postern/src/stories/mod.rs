//! What the history on disk has of messages and sessions, as `--json` and the API show it.

pub(crate) mod query;

use postern_history::{Found, Story};
use serde::Serialize;

use crate::control::history::step;
use crate::control::protocol::PastStep;

/// The results, as printed by `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Stories {
    stories: Vec<Told>,
    more: bool,
    /// Files of the history that could not be read.
    not_read: Vec<String>,
}

impl From<Found> for Stories {
    fn from(found: Found) -> Self {
        Self {
            stories: found.stories.into_iter().map(Told::of).collect(),
            more: found.more,
            not_read: found.unreadable,
        }
    }
}

/// A story, with the names from the dictionary.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    /// The message; `None` for the story of a session.
    queue: Option<String>,
    session: Option<String>,
    class: &'static str,
    steps: Vec<PastStep>,
}

impl Told {
    pub(crate) fn of(story: Story) -> Self {
        let is_message = story.kind == postern_history::Kind::Message;
        Self {
            queue: is_message.then_some(story.id),
            session: Some(story.session).filter(|session| !session.is_empty()),
            class: story.class.name(),
            steps: story.events.into_iter().map(step).collect(),
        }
    }
}
