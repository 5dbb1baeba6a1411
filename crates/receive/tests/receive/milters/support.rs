//! A receiver with filters, and an observer of its events.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use postern_events::{Event, Observer, Observers};
use postern_filter::Filter;
use postern_policy::milter::{Conditions, OnFailure};
use postern_receive::MilterSettings;
use postern_testkit::smtp::Client;

use crate::harness::{Options, Server};

/// Keeps events as texts.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Observer for Notes {
    fn observe(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

impl Notes {
    /// All events that begin with `word`.
    pub(crate) fn all(&self, word: &str) -> Vec<String> {
        let notes = self.0.lock().unwrap();
        notes
            .iter()
            .filter(|note| note.starts_with(word))
            .cloned()
            .collect()
    }

    /// The last event that begins with `word`.
    pub(crate) fn last(&self, word: &str) -> String {
        self.all(word).pop().unwrap_or_default()
    }
}

/// A filter with defaults, which is asked about everything.
pub(crate) fn milter(name: &str, address: &str) -> MilterSettings {
    MilterSettings {
        filter: Filter::new(name, address.parse().unwrap()),
        conditions: Conditions::default(),
        on_failure: OnFailure::Tempfail,
        strangers_max: 200,
        strangers_wait: Duration::ZERO,
    }
}

/// A receiver with these filters.
pub(crate) fn start(mut options: Options, milters: Vec<MilterSettings>) -> (Server, Notes) {
    let notes = Notes::default();
    options.observers = Observers::new(vec![Box::new(notes.clone())]);
    options.settings.milters = milters;
    (options.start(), notes)
}

/// A client that has said `EHLO`.
pub(crate) fn greeted(server: &Server) -> Client {
    let mut client = server.connect();
    let reply = client.say("EHLO client.example").unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    client
}

pub(crate) const CONTENT: &str = "From: a@a.example\r\nSubject: hello\r\n\r\nbody\r\n";

/// Sends a message to the server's user, and returns the last reply.
pub(crate) fn send(client: &mut Client, content: &str) -> String {
    client
        .mail("a@a.example", &["acaird@challenger.example"], content)
        .unwrap()
}
