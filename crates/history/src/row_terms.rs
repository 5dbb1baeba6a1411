//! The terms that a row is found by, made from the row itself.

use postern_events::{Kept, Key};

use crate::chunk::{self, About};
use crate::term;

/// The hashes of the terms of a row, as when it was written.
pub(crate) fn terms(
    body: &[u8],
    first: bool,
    texts: &mut impl chunk::Texts,
    mut show: impl FnMut(u64),
) -> Option<()> {
    let mut body = body;
    if first {
        let session = match chunk::about(&mut body)? {
            About::Session(session) => session,
            About::Message(queue, session) => {
                term::of_field(Key::Queue, &queue.to_string(), &mut show);
                session
            }
        };
        if !session.is_empty() {
            term::of_field(Key::Session, &session, &mut show);
        }
    }
    let mut events = Vec::new();
    chunk::events(body, 0, texts, &mut events);
    for event in events {
        term::of_word(&event.word, &mut show);
        for (key, value) in &event.fields {
            if let Kept::Text(text) = value {
                term::of_field(*key, text, &mut show);
            }
        }
    }
    Some(())
}
