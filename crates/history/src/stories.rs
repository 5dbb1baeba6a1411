//! Turns events into stories: one for each session, one for each message. No clock, no file.
//!
//! What happens between `MAIL` and the final reply belongs to the message, if there is one, otherwise to the session.

use std::collections::{HashMap, VecDeque};

use postern_events::{Key, Lines, Seen};
use postern_mail::QueueId;

use crate::chunk::About;
use crate::inlet::Role;
use crate::name::{Class, Name};

/// Most octets of a session's story, as received; the rest is dropped.
const SESSION_MAX: usize = 64 << 10;

/// Most octets of what happens in a transaction.
const TRANSACTION_MAX: usize = 256 << 10;

/// Most messages whose places are remembered, so that their outcomes are added without a look-up.
const MESSAGES_MAX: usize = 1 << 16;

/// How long a session without events is remembered, in milliseconds. Later events begin another story for it.
const SESSION_IDLE: i64 = 15 * 60_000;

/// Where a story is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) name: Name,
    pub(crate) story: u32,
}

/// New data of a story.
pub(crate) struct Piece<'s> {
    pub(crate) about: &'s About,
    pub(crate) class: Class,
    pub(crate) place: Option<Place>,
    /// Whether it may have begun long ago, so that its place is not remembered.
    pub(crate) is_old: bool,
    pub(crate) lines: &'s [u8],
}

/// The result of writing a piece.
pub(crate) enum Done {
    /// It was written here.
    At(Place),
    /// It was lost: there was no room, or writing failed.
    Lost,
}

/// The open stories.
#[derive(Default)]
pub(crate) struct Stories {
    sessions: HashMap<Box<str>, Session>,
    messages: HashMap<QueueId, Message>,
    order: VecDeque<QueueId>,
    dirty: Vec<About>,
    /// Events of clients without a session, each its own story.
    nameless: Vec<Vec<u8>>,
    swept_at: i64,
    /// Events dropped from stories that are too long.
    pub(crate) left_out: u64,
}

struct Session {
    class: Class,
    lines: Vec<u8>,
    /// What happened since `MAIL`.
    transaction: Vec<u8>,
    refused: bool,
    place: Option<Place>,
    size: usize,
    at: i64,
    dirty: bool,
    ended: bool,
}

struct Message {
    class: Class,
    session: Box<str>,
    lines: Vec<u8>,
    place: Option<Place>,
    dirty: bool,
    /// It was accepted since the start: nothing has been written about it before.
    is_new: bool,
}

impl Session {
    fn new() -> Self {
        Self {
            class: Class::Strangers,
            lines: Vec::new(),
            transaction: Vec::new(),
            refused: false,
            place: None,
            size: 0,
            at: 0,
            dirty: false,
            ended: false,
        }
    }

    /// What happened since `MAIL` belongs to the session: there is no message.
    fn end_transaction(&mut self) {
        let transaction = std::mem::take(&mut self.transaction);
        self.lines.extend_from_slice(&transaction);
        self.size += transaction.len();
        self.refused = false;
    }

    /// A session whose class changes goes to another file from then on.
    fn becomes(&mut self, class: Class) {
        if class < self.class {
            self.class = class;
            self.place = None;
        }
    }
}

impl Stories {
    /// Takes an event.
    pub(crate) fn note(&mut self, role: Role, session: &str, line: &[u8]) {
        let Some(written) = Lines::of(line).next() else {
            return;
        };
        let mut queue = None;
        let mut about = None;
        for (key, value) in written.fields() {
            match (key, value) {
                (Key::Queue, Seen::Text(text)) => queue = text.parse().ok(),
                (Key::About, Seen::Text(text)) => about = text.parse().ok(),
                _ => {}
            }
        }
        match (role, queue) {
            (Role::Report, Some(queue)) => {
                self.of_message(queue, session, Class::Incoming, line);
                if let Some(about) = about {
                    self.of_message(about, "", Class::Incoming, line);
                }
            }
            (Role::Accepted, Some(queue)) => self.accepted(queue, session, Class::Users, line),
            (Role::AcceptedForHere, Some(queue)) => self.accepted(queue, session, Class::Incoming, line),
            (_, Some(queue)) => self.of_message(queue, session, Class::Incoming, line),
            (_, None) if session.is_empty() => {
                if role == Role::Refusal {
                    self.nameless.push(line.to_vec());
                }
            }
            (_, None) => self.of_session(role, session, written.at, line),
        }
    }

    fn of_session(&mut self, role: Role, id: &str, at: i64, line: &[u8]) {
        let session = self.session(id);
        session.at = at;
        if role == Role::LogsIn {
            session.becomes(Class::Users);
        }
        let in_transaction = !session.transaction.is_empty();
        let most = match role {
            Role::Mail => {
                session.end_transaction();
                TRANSACTION_MAX
            }
            Role::Step | Role::Refusal if in_transaction => TRANSACTION_MAX,
            _ => {
                session.end_transaction();
                SESSION_MAX
            }
        };
        session.ended |= role == Role::Ends;
        let into_transaction = most == TRANSACTION_MAX;
        let size = if into_transaction {
            session.transaction.len()
        } else {
            session.size
        };
        if size + line.len() > most && role != Role::Ends {
            self.left_out += 1;
            return;
        }
        if into_transaction {
            session.transaction.extend_from_slice(line);
            session.refused |= role == Role::Refusal;
        } else {
            session.lines.extend_from_slice(line);
            session.size += line.len();
        }
        if !session.dirty {
            session.dirty = true;
            self.dirty.push(About::Session(id.into()));
        }
    }

    fn session(&mut self, id: &str) -> &mut Session {
        // Most events belong to a known session: no new text is allocated for those.
        if !self.sessions.contains_key(id) {
            self.sessions.insert(id.into(), Session::new());
        }
        self.sessions.entry(id.into()).or_insert_with(Session::new)
    }

    fn accepted(&mut self, queue: QueueId, id: &str, class: Class, line: &[u8]) {
        let mut lines = Vec::new();
        if let Some(session) = self.sessions.get_mut(id) {
            session.becomes(class);
            session.refused = false;
            lines = std::mem::take(&mut session.transaction);
        }
        lines.extend_from_slice(line);
        self.of_message(queue, id, class, &lines);
        if let Some(message) = self.messages.get_mut(&queue) {
            message.is_new = true;
        }
    }

    fn of_message(&mut self, queue: QueueId, session: &str, class: Class, lines: &[u8]) {
        let order = &mut self.order;
        let message = self.messages.entry(queue).or_insert_with(|| {
            order.push_back(queue);
            Message {
                class,
                session: session.into(),
                lines: Vec::new(),
                place: None,
                dirty: false,
                is_new: false,
            }
        });
        if message.place.is_none() && class < message.class {
            message.class = class;
        }
        if message.session.is_empty() && !session.is_empty() {
            message.session = session.into();
        }
        message.lines.extend_from_slice(lines);
        if !message.dirty {
            message.dirty = true;
            self.dirty.push(About::Message(queue, message.session.clone()));
        }
    }

    /// Passes on the new data of each story, and remembers where it was written. With `all`, includes what waits for a
    /// transaction's end.
    pub(crate) fn flush(&mut self, all: bool, now: i64, mut write: impl FnMut(Piece<'_>) -> Done) {
        for lines in self.nameless.drain(..) {
            write(Piece {
                about: &About::Session("".into()),
                class: Class::Strangers,
                place: None,
                is_old: false,
                lines: &lines,
            });
        }
        for about in std::mem::take(&mut self.dirty) {
            match &about {
                About::Session(id) => self.flush_session(id, &about, all, &mut write),
                About::Message(queue, _) => {
                    let Some(message) = self.messages.get_mut(queue) else {
                        continue;
                    };
                    let done = write(Piece {
                        about: &about,
                        class: message.class,
                        place: message.place,
                        is_old: message.place.is_none() && !message.is_new,
                        lines: &message.lines,
                    });
                    message.dirty = false;
                    message.lines = Vec::new();
                    if let Done::At(place) = done {
                        message.place = Some(place);
                    }
                }
            }
        }
        while self.order.len() > MESSAGES_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.messages.remove(&oldest);
            }
        }
        self.sweep(now);
    }

    fn flush_session(
        &mut self,
        id: &str,
        about: &About,
        all: bool,
        write: &mut impl FnMut(Piece<'_>) -> Done,
    ) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        session.dirty = false;
        if session.ended || session.refused || all {
            session.end_transaction();
        }
        if !session.lines.is_empty() {
            let done = write(Piece {
                about,
                class: session.class,
                place: session.place,
                is_old: false,
                lines: &session.lines,
            });
            session.lines.clear();
            if let Done::At(place) = done {
                session.place = Some(place);
            }
        }
        if session.ended {
            self.sessions.remove(id);
        }
    }

    /// Forgets sessions without events for a long time: sessions of neighbouring services never end.
    fn sweep(&mut self, now: i64) {
        if (now - self.swept_at).abs() < 60_000 {
            return;
        }
        self.swept_at = now;
        self.sessions
            .retain(|_, session| session.dirty || (now - session.at).abs() < SESSION_IDLE);
    }

    /// Forgets all places in this file.
    pub(crate) fn forget(&mut self, name: Name) {
        let gone = |place: &Option<Place>| place.is_some_and(|place| place.name == name);
        for session in self.sessions.values_mut().filter(|session| gone(&session.place)) {
            session.place = None;
        }
        for message in self.messages.values_mut().filter(|message| gone(&message.place)) {
            message.place = None;
        }
    }
}
