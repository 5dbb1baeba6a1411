//! What happened in recent sessions, kept in bounded memory. No clock: the time comes with the event.
//!
//! Sessions that have logged in or may relay get half of it; those that have only delivered mail, and all others, a quarter each.
//! So strangers can only evict strangers, whether they deliver mail or not.
//!
//! Besides what happened in a session, the latest outcomes of its mail are kept.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use postern_policy::Rule;

use crate::line::{self, Line, PastEvent, take};
use crate::{Area, Event};

/// How much is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HistoryLimits {
    /// Most sessions. Default 10,000; 0 keeps none.
    pub sessions: usize,
    /// Most octets for all sessions. Default 8 MiB.
    pub memory: usize,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            sessions: 10_000,
            memory: 8 << 20,
        }
    }
}

/// Most octets kept for one session's events; further events are only counted.
pub const SESSION_MAX: usize = 16 << 10;

/// Most octets kept for the outcomes of one session's mail; earlier ones are only counted.
pub const OUTCOMES_MAX: usize = 16 << 10;

/// Shards, each with a lock, so that threads seldom contend.
const PARTS: usize = 16;

/// Approximate overhead of a session besides its events: its id twice, its entries in the table and in its queue.
const RECORD: usize = 160;

/// The kept sessions.
pub struct History {
    /// Most sessions in all shards, and most octets.
    sessions: AtomicUsize,
    memory: AtomicUsize,
    parts: [Mutex<Part>; PARTS],
    hasher: RandomState,
}

/// What is kept of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// Its events, in the order in which they happened.
    pub events: Vec<PastEvent>,
    /// How many events had no room.
    pub left_out: u32,
    /// How many outcomes were dropped for later ones.
    pub outcomes_left_out: u32,
}

/// Queue length below which tidying up is not worthwhile.
const TIDY_FROM: usize = 16;

/// Whose session it is. Each kind has a share of its own, and a session can only change to a later kind.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    /// A client that has proved nothing.
    Stranger,
    /// A client whose mail for local recipients was accepted.
    Sender,
    /// A user, or a machine that may relay.
    User,
}

/// What a shard may hold.
#[derive(Clone, Copy)]
struct Most {
    sessions: usize,
    octets: usize,
}

#[derive(Default)]
struct Part {
    sessions: HashMap<Box<str>, Record>,
    queues: [Queue; 3],
}

struct Record {
    kind: Kind,
    events: Vec<u8>,
    left_out: u32,
    /// The latest ones, each preceded by its length.
    outcomes: Vec<u8>,
    outcomes_left_out: u32,
}

/// What an event is to a session.
#[derive(Clone, Copy)]
enum Role {
    /// The first event.
    Begins,
    /// A further event.
    Goes,
    /// An outcome of the session's mail.
    Outcome,
}

/// Sessions of one kind, the oldest first.
#[derive(Default)]
struct Queue {
    /// Sessions that have since changed kind are still in it, and are skipped.
    order: VecDeque<Box<str>>,
    /// How many are of this kind.
    sessions: usize,
    octets: usize,
}

impl Default for History {
    fn default() -> Self {
        Self::new(HistoryLimits::default())
    }
}

impl History {
    /// An empty history.
    #[must_use]
    pub fn new(limits: HistoryLimits) -> Self {
        Self {
            sessions: AtomicUsize::new(limits.sessions),
            memory: AtomicUsize::new(limits.memory),
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
    /// Changes the limits. Whatever exceeds them is dropped as new sessions arrive.
    pub fn configure(&self, limits: HistoryLimits) {
        self.sessions.store(limits.sessions, Ordering::Relaxed);
        self.memory.store(limits.memory, Ordering::Relaxed);
    }

    /// How much is kept.
    #[must_use]
    pub fn limits(&self) -> HistoryLimits {
        HistoryLimits {
            sessions: self.sessions.load(Ordering::Relaxed),
            memory: self.memory.load(Ordering::Relaxed),
        }
    }

    /// Whether an event can belong to a session, and so is worth encoding.
    #[must_use]
    pub fn wants(event: &Event<'_>) -> bool {
        matches!(
            event.area(),
            Area::Connect
                | Area::Tls
                | Area::Login
                | Area::Refuse
                | Area::Accept
                | Area::Milter
                | Area::Outcome
        ) || matches!(event, Event::Administered(_))
    }

    /// Keeps an event that is about a session. `at` gives the time to show to readers; it is only called for events that are
    /// kept.
    pub fn note(&self, event: &Event<'_>, at: impl FnOnce() -> i64) {
        if Self::wants(event) {
            Line::with(event, at(), |line| self.keep(event, line));
        }
    }

    /// Keeps an event that is already encoded.
    pub fn keep(&self, event: &Event<'_>, line: &Line) {
        let (session, line) = (line.session(), line.octets());
        if session.is_empty() {
            return;
        }
        let role = match event {
            Event::Connected(_) | Event::LoggedIn(_) | Event::LoginRefused(_) => Role::Begins,
            // What an administrator did to its mail also ends that, or is a step towards it.
            Event::Outcome(_) | Event::Administered(_) => Role::Outcome,
            _ => Role::Goes,
        };
        let kind = match event {
            Event::LoggedIn(_) => Kind::User,
            Event::Accepted(accepted) if is_for_here(accepted.rule) => Kind::Sender,
            Event::Accepted(_) => Kind::User,
            _ => Kind::Stranger,
        };
        let limits = self.limits();
        let most = Most {
            sessions: limits.sessions / PARTS,
            octets: limits.memory / PARTS,
        };
        self.part(session).lock().note(session, line, role, kind, most);
    }

    /// Returns what is kept of a session.
    #[must_use]
    pub fn find(&self, session: &str) -> Option<Past> {
        let part = self.part(session).lock();
        let record = part.sessions.get(session)?;
        let (mut octets, left_out) = (record.events.clone(), record.left_out);
        let (outcomes, outcomes_left_out) = (record.outcomes.clone(), record.outcomes_left_out);
        drop(part);
        each_framed(&outcomes, |outcome| octets.extend_from_slice(outcome));
        Some(Past {
            events: line::decode(&octets),
            left_out,
            outcomes_left_out,
        })
    }

    fn part(&self, session: &str) -> &Mutex<Part> {
        let hash = self.hasher.hash_one(session);
        &self.parts[usize::try_from(hash % PARTS as u64).unwrap_or(0)]
    }
}

/// Whether mail was accepted because it is for local recipients, which anybody may send.
fn is_for_here(rule: Rule) -> bool {
    matches!(rule, Rule::LocalRecipient | Rule::RelayDomain)
}

impl Part {
    fn note(&mut self, session: &str, line: &[u8], role: Role, kind: Kind, most: Most) {
        let Some(record) = self.sessions.get_mut(session) else {
            if matches!(role, Role::Begins) {
                self.begin(session, line, kind, most);
            }
            return;
        };
        let (before, was) = (record.cost(), record.kind);
        match role {
            Role::Outcome => record.add_outcome(line),
            Role::Begins | Role::Goes if record.events.len() + line.len() > SESSION_MAX => {
                record.left_out = record.left_out.saturating_add(1);
            }
            Role::Begins | Role::Goes => record.events.extend_from_slice(line),
        }
        record.kind = was.max(kind);
        let (after, is) = (record.cost(), record.kind);
        self.queue(was).octets -= before;
        self.queue(is).octets += after;
        if is != was {
            self.queue(was).sessions -= 1;
            self.queue(is).sessions += 1;
            self.queue(is).order.push_back(session.into());
        }
        self.make_room(most);
    }

    fn begin(&mut self, session: &str, line: &[u8], kind: Kind, most: Most) {
        let record = Record {
            kind,
            events: line.to_vec(),
            left_out: 0,
            outcomes: Vec::new(),
            outcomes_left_out: 0,
        };
        let queue = self.queue(kind);
        queue.octets += record.cost();
        queue.sessions += 1;
        queue.order.push_back(session.into());
        self.sessions.insert(session.into(), record);
        self.make_room(most);
    }

    fn queue(&mut self, kind: Kind) -> &mut Queue {
        &mut self.queues[kind as usize]
    }

    /// Forgets the oldest sessions of each kind, while that kind has more than its share.
    fn make_room(&mut self, most: Most) {
        for kind in [Kind::Stranger, Kind::Sender, Kind::User] {
            let share = kind.share();
            loop {
                let queue = self.queue(kind);
                if queue.octets <= most.octets / share && queue.sessions <= most.sessions / share {
                    break;
                }
                let Some(oldest) = queue.order.pop_front() else {
                    break;
                };
                if let Some(record) = self.sessions.get(&oldest)
                    && record.kind == kind
                {
                    let cost = record.cost();
                    let queue = self.queue(kind);
                    queue.octets -= cost;
                    queue.sessions -= 1;
                    self.sessions.remove(&oldest);
                }
            }
            self.tidy(kind);
        }
    }

    /// Removes sessions that have changed kind from a kind's queue, once they make up half of it.
    fn tidy(&mut self, kind: Kind) {
        let queue = &mut self.queues[kind as usize];
        if queue.order.len() > 2 * queue.sessions + TIDY_FROM {
            let sessions = &self.sessions;
            queue
                .order
                .retain(|session| sessions.get(session).is_some_and(|record| record.kind == kind));
        }
    }
}

impl Kind {
    /// Its share of the total, as a divisor.
    const fn share(self) -> usize {
        match self {
            Self::Stranger | Self::Sender => 4,
            Self::User => 2,
        }
    }
}

impl Record {
    fn cost(&self) -> usize {
        RECORD + self.events.capacity() + self.outcomes.capacity()
    }

    /// Adds an outcome, dropping the earliest to make room.
    fn add_outcome(&mut self, line: &[u8]) {
        let Ok(length) = u16::try_from(line.len()) else {
            self.outcomes_left_out = self.outcomes_left_out.saturating_add(1);
            return;
        };
        let framed = line.len() + 2;
        let mut cut = 0;
        while self.outcomes.len() - cut + framed > OUTCOMES_MAX {
            let Some((frame, _)) = self.outcomes[cut..].split_first_chunk() else {
                break;
            };
            cut = (cut + 2 + usize::from(u16::from_le_bytes(*frame))).min(self.outcomes.len());
            self.outcomes_left_out = self.outcomes_left_out.saturating_add(1);
        }
        self.outcomes.drain(..cut);
        self.outcomes.extend_from_slice(&length.to_le_bytes());
        self.outcomes.extend_from_slice(line);
    }
}

/// Visits each length-prefixed piece.
fn each_framed(mut octets: &[u8], mut show: impl FnMut(&[u8])) {
    while let Some(length) = take(&mut octets) {
        let Some((piece, rest)) = octets.split_at_checked(usize::from(u16::from_le_bytes(length))) else {
            return;
        };
        show(piece);
        octets = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::TEXT_MAX;
    use crate::{
        Accepted, Connected, Disconnected, FilterDown, Filtered, Kept, Key, LoggedIn, Outcome, Refused,
        Stopping, Word,
    };

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
            directory: None,
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
        // An outage belongs to no session.
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

    fn accept(history: &History, session: &str, rule: Rule) {
        let accepted = Accepted {
            session,
            queue: &"0CN5C48CM0000",
            listener: "mx",
            peer: "192.0.2.1".parse().unwrap(),
            login: None,
            acts_as: None,
            rule,
            reason: None,
            sender_rule: None,
            from: &"<a@b.example>",
            recipients: 1,
            size: 5,
            message_id: None,
            milter: None,
            took: None,
        };
        history.note(&accepted.into(), || 4);
    }

    fn settle(history: &History, session: Option<&str>, word: &'static str, reply: &str) {
        let outcome = Outcome {
            login: None,
            queue: &"0CN5C48CM0000",
            session,
            from: &"<a@b.example>",
            to: &"<c@d.example>",
            original: None,
            relay: &"mx.d.example",
            status: None,
            failure: None,
            stage: None,
            reply: Some(&reply),
            reason: None,
            delay_ms: 12,
            attempts: None,
            until: None,
            report: None,
            word: Word(word),
        };
        history.note(&outcome.into(), || 5);
    }

    #[test]
    fn the_last_outcomes_of_its_mail_are_kept() {
        let history = History::default();
        connect(&history, "1-1");
        accept(&history, "1-1", Rule::LocalRecipient);
        settle(&history, Some("1-1"), "deferred", "451 later");
        settle(
            &history,
            Some("1-2"),
            "delivered",
            "250 of a session that is not known",
        );
        settle(&history, None, "delivered", "250 of no session");
        settle(&history, Some("1-1"), "delivered", "250 ok");
        assert_eq!(
            words(&history, "1-1"),
            ["connect", "accepted", "deferred", "delivered"]
        );
        let past = history.find("1-1").unwrap();
        let last = &past.events[3].fields;
        let text = |text: &str| Kept::Text(text.into());
        assert!(last.contains(&(Key::Queue, text("0CN5C48CM0000"))), "{last:?}");
        assert!(last.contains(&(Key::Relay, text("mx.d.example"))), "{last:?}");
        assert!(last.contains(&(Key::Reply, text("250 ok"))), "{last:?}");
        assert_eq!(past.outcomes_left_out, 0);

        for number in 0..1_000 {
            settle(
                &history,
                Some("1-1"),
                "deferred",
                &format!("451 {number} {}", "x".repeat(300)),
            );
        }
        let past = history.find("1-1").unwrap();
        assert_eq!(
            (past.events.len() + past.outcomes_left_out as usize, past.left_out),
            (1_004, 0)
        );
        let of_first = |event: &PastEvent| event.word == "accepted";
        assert!(past.events.iter().any(of_first), "the session itself is whole");
        let reply = past
            .events
            .last()
            .unwrap()
            .fields
            .iter()
            .find(|(key, _)| *key == Key::Reply);
        let Some((_, Kept::Text(reply))) = reply else {
            panic!("{past:?}")
        };
        assert!(reply.starts_with("451 999 "), "{reply}");
    }

    /// However many strangers come, and whatever mail they deliver, they only evict strangers, and memory does not grow.
    #[test]
    fn strangers_make_the_server_forget_strangers_alone() {
        let limits = HistoryLimits::default();
        let history = History::default();
        connect(&history, "old stranger");
        connect(&history, "ann's");
        log_in(&history, "ann's");
        log_in(&history, "a neighbour's");
        connect(&history, "a printer's");
        accept(&history, "a printer's", Rule::RelayNetwork);
        connect(&history, "a sender's");
        accept(&history, "a sender's", Rule::LocalRecipient);
        let helo = "x".repeat(TEXT_MAX);
        for number in 0..4 * limits.sessions {
            let session = format!("s-{number}");
            connect(&history, &session);
            refuse(&history, Some(&session), &helo);
        }
        assert_eq!(history.find("old stranger"), None);
        assert_eq!(words(&history, "a sender's"), ["connect", "accepted"]);
        for number in 0..2 * limits.sessions {
            let session = format!("m-{number}");
            connect(&history, &session);
            accept(&history, &session, Rule::RelayDomain);
            settle(&history, Some(&session), "bounced", &helo);
        }
        assert_eq!(history.find("a sender's"), None);
        assert_eq!(words(&history, "ann's"), ["connect", "login"]);
        assert_eq!(words(&history, "a neighbour's"), ["login"]);
        assert_eq!(words(&history, "a printer's"), ["connect", "accepted"]);
        let last = format!("s-{}", 4 * limits.sessions - 1);
        assert_eq!(words(&history, &last), ["connect", "refused"]);
        for number in 0..4 * limits.sessions {
            log_in(&history, &format!("k-{number}"));
        }
        assert_eq!(history.find("ann's"), None);
        let (sessions, octets) = held(&history);
        assert!(
            sessions > limits.sessions / 2 && sessions <= limits.sessions,
            "{sessions}"
        );
        assert!(octets <= limits.memory, "{octets}");

        // Smaller limits take effect as sessions arrive.
        let less = HistoryLimits {
            sessions: 160,
            memory: 1 << 20,
        };
        history.configure(less);
        for number in 0..10_000 {
            connect(&history, &format!("l-{number}"));
        }
        let (sessions, _) = held(&history);
        assert!(sessions <= less.sessions, "{sessions}");
        history.configure(HistoryLimits { sessions: 0, ..less });
        connect(&history, "1-1");
        assert_eq!(history.find("1-1"), None, "none is kept");
    }

    /// The kept sessions and octets, checking the bookkeeping.
    fn held(history: &History) -> (usize, usize) {
        let (mut sessions, mut octets) = (0, 0);
        for part in &history.parts {
            let part = part.lock();
            sessions += part.sessions.len();
            let costs: usize = part.sessions.values().map(Record::cost).sum();
            let booked: usize = part.queues.iter().map(|queue| queue.octets).sum();
            assert_eq!(costs, booked);
            let counted: usize = part.queues.iter().map(|queue| queue.sessions).sum();
            assert_eq!(part.sessions.len(), counted);
            let listed: usize = part.queues.iter().map(|queue| queue.order.len()).sum();
            assert!(listed <= 2 * counted + 3 * TIDY_FROM, "{listed} of {counted}");
            octets += costs;
        }
        (sessions, octets)
    }
}
