//! Sessions and messages as they happen, kept in memory and on disk; the answer about a recent session, for `postern explain --session`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postern_events::{Event, History, HistoryLimits, Kept, Line, Observer, PastEvent};
use postern_history::History as Archive;
use serde_json::{Map, Value, json};

use super::protocol::{PastSession, PastStep, Reply};

/// Records what happens in sessions: the latest ones in memory, all of them on disk, if enabled. Each event is encoded once.
pub(crate) struct Remembers {
    pub(crate) recent: Arc<History>,
    pub(crate) archive: Option<Archive>,
}

impl Observer for Remembers {
    fn observe(&self, event: &Event<'_>) {
        let recent = History::wants(event);
        let archive = self.archive.as_ref().filter(|_| Archive::wants(event));
        if !recent && archive.is_none() {
            return;
        }
        Line::with(event, Timestamp::now().as_millisecond(), |line| {
            if recent {
                self.recent.keep(event, line);
            }
            if let Some(archive) = archive {
                archive.put(event, line);
            }
        });
    }
}

/// How long a caller waits until the history is written.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// Flushes events to the history on disk; answers with its counters, with `null` if there is none.
pub(super) async fn flush(archive: Option<Archive>) -> Reply {
    let Some(archive) = archive else {
        return Reply::Done(Value::Null);
    };
    let counted = tokio::task::spawn_blocking(move || {
        archive.flush(FLUSH_MAX);
        archive.counts()
    });
    match counted.await.map(serde_json::to_value) {
        Ok(Ok(value)) => Reply::Done(value),
        _ => Reply::Failed("the server is stopping".to_owned()),
    }
}

/// What is recorded about a session.
///
/// # Errors
///
/// That it is no longer remembered, and how long sessions are.
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

pub(crate) fn step(event: PastEvent) -> PastStep {
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
