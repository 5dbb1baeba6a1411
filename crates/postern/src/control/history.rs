//! Recent sessions, for `postern explain --session`: an observer that keeps them in memory, and the answer about one.

use std::sync::Arc;

use jiff::Timestamp;
use postern_events::{Event, History, HistoryLimits, Kept, Observer, PastEvent};
use serde_json::{Map, Value, json};

use super::protocol::{PastSession, PastStep};

/// Keeps what happens in sessions.
pub(crate) struct Remembers(pub(crate) Arc<History>);

impl Observer for Remembers {
    fn observe(&self, event: &Event<'_>) {
        self.0.note(event, || Timestamp::now().as_millisecond());
    }
}

/// What is kept of a session.
///
/// # Errors
///
/// That it is not remembered, and for how long sessions are.
pub(super) fn find(history: &History, session: &str, started_at: Timestamp) -> Result<PastSession, String> {
    let Some(past) = history.find(session) else {
        let HistoryLimits { sessions, memory } = history.limits();
        return Err(format!(
            "the server does not remember a session {session:?}. Since its start at {started_at:.0} it has kept the last {sessions} \
             sessions (half of them of users, a quarter of strangers whose mail was accepted, a quarter of others) in at most {} MiB: \
             see [history] in the configuration; the log may have older ones",
            memory >> 20,
        ));
    };
    Ok(PastSession {
        session: session.to_owned(),
        left_out: past.left_out,
        outcomes_left_out: past.outcomes_left_out,
        steps: past.events.into_iter().map(step).collect(),
    })
}

fn step(event: PastEvent) -> PastStep {
    let value = |kept| match kept {
        Kept::Text(text) => Value::String(text),
        Kept::Number(number) => json!(number),
        Kept::Flag(flag) => Value::Bool(flag),
    };
    let fields = event
        .fields
        .into_iter()
        .map(|(key, kept)| (key.name().to_owned(), value(kept)));
    PastStep {
        at: Timestamp::from_millisecond(event.at).unwrap_or_default(),
        event: event.word,
        fields: fields.collect::<Map<_, _>>(),
    }
}
