//! What happened in recent sessions, kept in a bounded piece of memory. No clock: the time comes with the event.
//!
//! Sessions of strangers and those that have logged in or had mail taken have a half each, so that whoever connects often makes the
//! server forget nobody but strangers.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write as _};
use std::hash::{BuildHasher as _, RandomState};

use parking_lot::Mutex;

use crate::{Area, Event, Key, Value};

/// Most sessions that are kept.
pub const SESSIONS_MAX: usize = 10_000;

/// Most octets that are kept of all sessions.
pub const MEMORY_MAX: usize = 8 << 20;

/// Most octets that are kept of one session; of events beyond it there is a count.
pub const SESSION_MAX: usize = 16 << 10;

/// Longest text of a field, in octets; the rest is cut and marked with `…`.
const TEXT_MAX: usize = 512;

/// Parts with a lock each, so that threads seldom meet.
const PARTS: usize = 16;

/// What a session takes beside its events, about: its name twice, its place in the table and in its queue.
const RECORD: usize = 160;

/// The sessions that are kept.
pub struct History {
    parts: [Mutex<Part>; PARTS],
    hasher: RandomState,
}

/// A session, as far as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// Its events, in the order in which they happened.
    pub events: Vec<PastEvent>,
    /// How many events had no room.
    pub left_out: u32,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct PastEvent {
    /// When it happened, as it was told.
    pub at: i64,
    /// Its words.
    pub word: String,
    /// Its fields, but for the session and those that were absent.
    pub fields: Vec<(Key, Kept)>,
}

/// The value of a field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kept {
    /// Of all that is shown as text.
    Text(String),
    /// Of numbers.
    Number(u64),
    /// Of yes and no.
    Flag(bool),
}

/// Where an event is put together, so that telling of one makes nothing new.
#[derive(Default)]
struct Scratch {
    session: String,
    line: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
struct Part {
    sessions: HashMap<Box<str>, Record>,
    strangers: Queue,
    known: Queue,
}

struct Record {
    known: bool,
    events: Vec<u8>,
    left_out: u32,
}

/// Sessions of one kind, the oldest first.
#[derive(Default)]
struct Queue {
    /// Those that have become another kind since are passed over.
    order: VecDeque<Box<str>>,
    octets: usize,
}

impl Default for History {
    fn default() -> Self {
        Self {
            parts: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").finish_non_exhaustive()
    }
}

impl History {
    /// Keeps an event that is about a session. `at` says when it happened, as whoever asks is to be told; it is asked for what is kept.
    ///
    /// What delivery makes of a message is not kept: its queue id leads to that.
    pub fn note(&self, event: &Event<'_>, at: impl FnOnce() -> i64) {
        if !matches!(
            event.area(),
            Area::Connect | Area::Tls | Area::Login | Area::Refuse | Area::Accept | Area::Milter
        ) {
            return;
        }
        SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => self.keep(event, at(), &mut scratch),
            // A value whose formatting tells of an event by itself.
            Err(_) => self.keep(event, at(), &mut Scratch::default()),
        });
    }

    fn keep(&self, event: &Event<'_>, at: i64, Scratch { session, line }: &mut Scratch) {
        session.clear();
        line.clear();
        line.extend_from_slice(&at.to_le_bytes());
        encode_str(event.word(), line);
        event.fields(&mut |key, value| match (key, value) {
            (Key::Session, Value::Text(id)) => session.push_str(id),
            _ => encode(key, value, line),
        });
        line.push(END);
        if session.is_empty() {
            return;
        }
        let begins = matches!(
            event,
            Event::Connected(_) | Event::LoggedIn(_) | Event::LoginRefused(_)
        );
        let known = matches!(event, Event::LoggedIn(_) | Event::Accepted(_));
        self.part(session).lock().note(session, line, begins, known);
    }

    /// What is kept of a session.
    #[must_use]
    pub fn find(&self, session: &str) -> Option<Past> {
        let part = self.part(session).lock();
        let record = part.sessions.get(session)?;
        let (events, left_out) = (record.events.clone(), record.left_out);
        drop(part);
        Some(Past {
            events: decode(&events),
            left_out,
        })
    }

    fn part(&self, session: &str) -> &Mutex<Part> {
        let hash = self.hasher.hash_one(session);
        &self.parts[usize::try_from(hash % PARTS as u64).unwrap_or(0)]
    }
}

impl Part {
    fn note(&mut self, session: &str, line: &[u8], begins: bool, known: bool) {
        let Some(record) = self.sessions.get_mut(session) else {
            if begins {
                self.begin(session, line, known);
            }
            return;
        };
        if record.events.len() + line.len() > SESSION_MAX {
            record.left_out = record.left_out.saturating_add(1);
            return;
        }
        let before = record.cost();
        record.events.extend_from_slice(line);
        let (after, was_known) = (record.cost(), record.known);
        if known && !was_known {
            record.known = true;
            self.strangers.octets -= before;
            self.known.octets += after;
            self.known.order.push_back(session.into());
        } else {
            self.queue(was_known).octets += after - before;
        }
        self.make_room();
    }

    fn begin(&mut self, session: &str, line: &[u8], known: bool) {
        let record = Record {
            known,
            events: line.to_vec(),
            left_out: 0,
        };
        let queue = self.queue(known);
        queue.octets += record.cost();
        queue.order.push_back(session.into());
        self.sessions.insert(session.into(), record);
        self.make_room();
    }

    fn queue(&mut self, known: bool) -> &mut Queue {
        match known {
            true => &mut self.known,
            false => &mut self.strangers,
        }
    }

    /// Forgets the oldest sessions of each kind, as long as that has more than its half.
    fn make_room(&mut self) {
        for known in [false, true] {
            loop {
                let queue = self.queue(known);
                if queue.octets <= MEMORY_MAX / 2 / PARTS && queue.order.len() <= SESSIONS_MAX / 2 / PARTS {
                    break;
                }
                let Some(oldest) = queue.order.pop_front() else {
                    break;
                };
                if let Some(record) = self.sessions.get(&oldest)
                    && record.known == known
                {
                    let cost = record.cost();
                    self.queue(known).octets -= cost;
                    self.sessions.remove(&oldest);
                }
            }
        }
    }
}

impl Record {
    fn cost(&self) -> usize {
        RECORD + self.events.capacity()
    }
}

/// What comes next in the octets of an event, which are its time, its words, its fields and an end. Texts have their length in front.
const END: u8 = 0;
const TEXT: u8 = 1;
const NUMBER: u8 = 2;
const FLAG: u8 = 3;

fn encode(key: Key, value: Value<'_>, line: &mut Vec<u8>) {
    let kind = match value {
        Value::Absent => return,
        Value::Number(_) => NUMBER,
        Value::Flag(_) => FLAG,
        Value::Text(_) | Value::Shown(_) | Value::Address(_) | Value::Rule(_) => TEXT,
    };
    line.push(kind);
    line.extend_from_slice(&(key as u16).to_le_bytes());
    match value {
        Value::Absent => {}
        Value::Number(number) => line.extend_from_slice(&number.to_le_bytes()),
        Value::Flag(flag) => line.push(u8::from(flag)),
        Value::Text(text) => encode_str(text, line),
        Value::Rule(rule) => encode_str(rule.name(), line),
        Value::Shown(shown) => encode_shown(shown, line),
        Value::Address(address) => encode_shown(&address, line),
    }
}

fn encode_str(text: &str, line: &mut Vec<u8>) {
    match u16::try_from(text.len()) {
        Ok(length) if text.len() <= TEXT_MAX => {
            line.extend_from_slice(&length.to_le_bytes());
            line.extend_from_slice(text.as_bytes());
        }
        _ => encode_shown(&text, line),
    }
}

fn encode_shown(shown: &dyn fmt::Display, line: &mut Vec<u8>) {
    let length_at = line.len();
    line.extend_from_slice(&[0; 2]);
    // It fails where the text is longer than is kept.
    let _ = write!(Cut { line, most: TEXT_MAX }, "{shown}");
    let length = u16::try_from(line.len() - length_at - 2).unwrap_or(0);
    line[length_at..length_at + 2].copy_from_slice(&length.to_le_bytes());
}

/// Takes a text up to its longest.
struct Cut<'a> {
    line: &'a mut Vec<u8>,
    most: usize,
}

impl fmt::Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() <= self.most {
            self.most -= text.len();
            self.line.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        let end = (0..=self.most).rev().find(|at| text.is_char_boundary(*at));
        self.line.extend_from_slice(&text.as_bytes()[..end.unwrap_or(0)]);
        self.line.extend_from_slice("…".as_bytes());
        Err(fmt::Error)
    }
}

/// The events again; what makes no sense ends them.
fn decode(mut octets: &[u8]) -> Vec<PastEvent> {
    let mut events = Vec::new();
    while let Some(event) = decode_event(&mut octets) {
        events.push(event);
    }
    events
}

fn decode_event(octets: &mut &[u8]) -> Option<PastEvent> {
    let at = i64::from_le_bytes(take(octets)?);
    let word = decode_text(octets)?;
    let mut fields = Vec::new();
    loop {
        let [kind] = take(octets)?;
        if kind == END {
            return Some(PastEvent { at, word, fields });
        }
        let key = *Key::ALL.get(usize::from(u16::from_le_bytes(take(octets)?)))?;
        let value = match kind {
            NUMBER => Kept::Number(u64::from_le_bytes(take(octets)?)),
            FLAG => Kept::Flag(take(octets)? != [0]),
            _ => Kept::Text(decode_text(octets)?),
        };
        fields.push((key, value));
    }
}

fn take<const N: usize>(octets: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(*taken)
}

fn decode_text(octets: &mut &[u8]) -> Option<String> {
    let length = u16::from_le_bytes(take(octets)?);
    let (text, rest) = octets.split_at_checked(usize::from(length))?;
    *octets = rest;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use postern_policy::Rule;

    use super::*;
    use crate::{Connected, Disconnected, FilterDown, Filtered, LoggedIn, Refused, Stopping, Word};

    fn connect(history: &History, session: &str) {
        let connected = Connected {
            session,
            listener: "mx",
            peer: "192.0.2.1".parse().unwrap(),
        };
        history.note(&connected.into(), || 1);
    }

    fn refuse(history: &History, session: Option<&str>, helo: &str) {
        let refused = Refused {
            session,
            listener: "mx",
            peer: "192.0.2.1".parse().unwrap(),
            login: None,
            acts_as: None,
            helo,
            from: Some(&"<a@b.example>"),
            to: None,
            recipients: Some(3),
            rule: Rule::RelayDenied,
            milter: None,
            reply: None,
            reason: &"relaying denied",
        };
        history.note(&refused.into(), || 2);
    }

    fn log_in(history: &History, session: &str) {
        let logged_in = LoggedIn {
            session,
            listener: "submission",
            peer: None,
            login: "ann",
            acts_as: None,
            rule: None,
            mechanism: "PLAIN",
            layer_bits: None,
            tls: Some("TLSv1.3"),
        };
        history.note(&logged_in.into(), || 3);
    }

    fn words(history: &History, session: &str) -> Vec<String> {
        let past = history.find(session);
        let events = past.into_iter().flat_map(|past| past.events);
        events.map(|event| event.word).collect()
    }

    #[test]
    fn a_session_is_found_with_what_happened() {
        let history = History::default();
        connect(&history, "1-1");
        connect(&history, "1-2");
        refuse(&history, Some("1-1"), "client.example");
        refuse(&history, None, "nobody's");
        refuse(&history, Some("1-3"), "began before");
        let stopping = Stopping {
            signal: None,
            word: Word("stopping"),
        };
        history.note(&stopping.into(), || 4);
        let gone = Disconnected {
            session: "1-1",
            peer: "192.0.2.1".parse().unwrap(),
            reason: &"QUIT",
            seconds: 7,
        };
        history.note(&gone.into(), || 5);

        let past = history.find("1-1").unwrap();
        assert_eq!(past.left_out, 0);
        let [connected, refused, gone] = &*past.events else {
            panic!("{past:?}")
        };
        assert_eq!((connected.at, &*connected.word), (1, "connect"));
        let text = |text: &str| Kept::Text(text.into());
        assert_eq!(
            refused.fields,
            [
                (Key::Listener, text("mx")),
                (Key::Peer, text("192.0.2.1")),
                (Key::Helo, text("client.example")),
                (Key::From, text("<a@b.example>")),
                (Key::Recipients, Kept::Number(3)),
                (Key::Rule, text("relay.denied")),
                (Key::Reason, text("relaying denied")),
            ]
        );
        assert_eq!(gone.fields.last(), Some(&(Key::Seconds, Kept::Number(7))));
        assert_eq!(words(&history, "1-2"), ["connect"]);
        assert_eq!(history.find("1-3"), None);
    }

    #[test]
    fn what_filters_did_about_its_messages_is_kept() {
        let history = History::default();
        connect(&history, "1-1");
        let filtered = Filtered {
            session: "1-1",
            queue: &"0CN5C1SH20000",
            milter: "scan",
            rule: Rule::MilterHold,
            reason: &"scan has it held: a worm",
        };
        history.note(&filtered.into(), || 2);
        // An outage is of no session.
        let down = FilterDown {
            milter: "scan",
            address: &"inet:localhost:1",
            reason: &"failed to connect",
        };
        history.note(&down.into(), || 3);
        assert_eq!(words(&history, "1-1"), ["connect", "filtered"]);
    }

    #[test]
    fn what_a_peer_makes_long_is_cut() {
        let history = History::default();
        connect(&history, "1-1");
        refuse(&history, Some("1-1"), &"ä".repeat(TEXT_MAX));
        let past = history.find("1-1").unwrap();
        let helo = past.events[1].fields.iter().find(|(key, _)| *key == Key::Helo);
        assert_eq!(
            helo,
            Some(&(Key::Helo, Kept::Text(format!("{}…", "ä".repeat(TEXT_MAX / 2)))))
        );
        for _ in 0..1_000 {
            refuse(&history, Some("1-1"), &"x".repeat(400));
        }
        let past = history.find("1-1").unwrap();
        assert!(
            past.left_out > 900 && past.events.len() < 100,
            "{}",
            past.left_out
        );
        assert_eq!(past.events.len() + past.left_out as usize, 1_002);
    }

    /// However many strangers come, only strangers are forgotten, and the memory does not grow.
    #[test]
    fn strangers_make_the_server_forget_strangers_alone() {
        let history = History::default();
        connect(&history, "old stranger");
        connect(&history, "ann's");
        log_in(&history, "ann's");
        log_in(&history, "a neighbour's");
        let helo = "x".repeat(TEXT_MAX);
        for number in 0..4 * SESSIONS_MAX {
            let session = format!("s-{number}");
            connect(&history, &session);
            refuse(&history, Some(&session), &helo);
        }
        assert_eq!(history.find("old stranger"), None);
        assert_eq!(words(&history, "ann's"), ["connect", "login"]);
        assert_eq!(words(&history, "a neighbour's"), ["login"]);
        let last = format!("s-{}", 4 * SESSIONS_MAX - 1);
        assert_eq!(words(&history, &last), ["connect", "refused"]);
        for number in 0..4 * SESSIONS_MAX {
            log_in(&history, &format!("k-{number}"));
        }
        assert_eq!(history.find("ann's"), None);
        let (mut sessions, mut octets) = (0, 0);
        for part in &history.parts {
            let part = part.lock();
            sessions += part.sessions.len();
            assert!(part.strangers.order.len() + part.known.order.len() <= SESSIONS_MAX / PARTS);
            let costs: usize = part.sessions.values().map(Record::cost).sum();
            assert_eq!(costs, part.strangers.octets + part.known.octets);
            octets += costs;
        }
        assert!(
            sessions > SESSIONS_MAX / 2 && sessions <= SESSIONS_MAX,
            "{sessions}"
        );
        assert!(octets <= MEMORY_MAX, "{octets}");
    }
}
