//! Sessions and messages as they happen, for `postern trace --follow`: an observer that costs one check of a number while nobody
//! follows.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use postern_events::{Event, History, Key, Line, Lines, Observer, PastEvent, Seen, Written};
use postern_history::{History as Archive, Term};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::history::step;
use super::protocol::{PastStep, Reply};
use super::wishes::Follow;
use super::writing::{Writer, send};

/// Most followers at once; each occupies a connection of the control socket, which also serves others.
const FOLLOWERS_MAX: usize = 6;

/// Most events waiting for a follower; further ones are only counted.
const WAITING_MAX: usize = 4_096;

/// Most sessions and messages followed at once; the oldest are dropped.
const FOLLOWED_MAX: usize = 10_000;

/// How often an idle follower gets a sign of life from the server.
const BEAT: Duration = Duration::from_secs(60);

/// The followers.
pub(crate) struct Followers {
    count: AtomicUsize,
    all: RwLock<Vec<Arc<Follower>>>,
    /// Events that followers had no room for, since the start.
    left_out: AtomicU64,
    recent: Arc<History>,
}

struct Follower {
    terms: Vec<Term>,
    to: mpsc::Sender<PastStep>,
    followed: Mutex<Followed>,
    left_out: AtomicU64,
}

/// The matching sessions and messages, by id, and those that have partly matched.
#[derive(Default)]
struct Followed {
    ids: HashSet<String>,
    order: VecDeque<String>,
    /// Which terms have matched so far, if not all: a bit for each.
    said: std::collections::HashMap<String, u8>,
}

impl Followers {
    pub(crate) fn new(recent: Arc<History>) -> Self {
        Self {
            count: AtomicUsize::new(0),
            all: RwLock::default(),
            left_out: AtomicU64::new(0),
            recent,
        }
    }

    /// Events that followers had no room for, since the start.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    fn add(&self, terms: Vec<Term>) -> Result<(Arc<Follower>, mpsc::Receiver<PastStep>), String> {
        let (to, from) = mpsc::channel(WAITING_MAX);
        let follower = Arc::new(Follower {
            terms,
            to,
            followed: Mutex::default(),
            left_out: AtomicU64::new(0),
        });
        let mut all = self.all.write();
        if all.len() >= FOLLOWERS_MAX {
            return Err(format!(
                "{FOLLOWERS_MAX} others follow already, which is as many as may"
            ));
        }
        all.push(Arc::clone(&follower));
        self.count.store(all.len(), Ordering::Relaxed);
        Ok((follower, from))
    }

    fn remove(&self, follower: &Arc<Follower>) {
        let mut all = self.all.write();
        all.retain(|one| !Arc::ptr_eq(one, follower));
        self.count.store(all.len(), Ordering::Relaxed);
    }
}

/// Notifies followers. In the list of observers, it comes after the one that records sessions.
pub(crate) struct Follows(pub(crate) Arc<Followers>);

impl Observer for Follows {
    fn observe(&self, event: &Event<'_>) {
        if self.0.count.load(Ordering::Relaxed) == 0 || !Archive::wants(event) {
            return;
        }
        Line::with(event, Timestamp::now().as_millisecond(), |line| {
            let Some(written) = Lines::of(line.octets()).next() else {
                return;
            };
            for follower in &*self.0.all.read() {
                follower.note(line.session(), written, &self.0);
            }
        });
    }
}

impl Follower {
    fn note(&self, session: &str, written: Written<'_>, all: &Followers) {
        let queue = written.fields().find_map(|field| match field {
            (Key::Queue, Seen::Text(queue)) => Some(queue),
            _ => None,
        });
        let found = self.followed.lock().look(&self.terms, session, queue, written);
        match found {
            Look::Nothing => {}
            Look::Follows => self.tell(session, past(written), all),
            Look::Begins => match all.recent.find(session) {
                // Earlier events of it come first; this event is the latest.
                Some(before) if !session.is_empty() => {
                    for event in before.events {
                        self.tell(session, event, all);
                    }
                }
                _ => self.tell(session, past(written), all),
            },
        }
    }

    fn tell(&self, session: &str, event: PastEvent, all: &Followers) {
        let mut told = step(event);
        if !session.is_empty() {
            told.fields.insert(Key::Session.name().to_owned(), json!(session));
        }
        if self.to.try_send(told).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            all.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn past(written: Written<'_>) -> PastEvent {
    PastEvent {
        at: written.at,
        word: written.word.to_owned(),
        fields: written.fields().map(|(key, seen)| (key, seen.into())).collect(),
    }
}

/// What an event is to a follower.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Look {
    /// It is not followed.
    Nothing,
    /// It belongs to something that is followed.
    Follows,
    /// From this event on, its session is followed.
    Begins,
}

impl Followed {
    fn look(&mut self, terms: &[Term], session: &str, queue: Option<&str>, written: Written<'_>) -> Look {
        if terms.is_empty() {
            return Look::Follows;
        }
        let known = self.ids.contains(session) || queue.is_some_and(|queue| self.ids.contains(queue));
        if known {
            // A message of a followed session is followed to its end.
            if let Some(queue) = queue.filter(|queue| !self.ids.contains(*queue)) {
                self.add(queue);
            }
            return Look::Follows;
        }
        let id = if session.is_empty() {
            queue.unwrap_or_default()
        } else {
            session
        };
        if id.is_empty() {
            return Look::Nothing;
        }
        let mut said = self.said.get(id).copied().unwrap_or(0);
        for (key, seen) in written.fields() {
            let Seen::Text(text) = seen else { continue };
            for (bit, _) in terms.iter().enumerate().filter(|(_, term)| term.holds(key, text)) {
                said |= 1 << bit;
            }
        }
        if said == 0 {
            return Look::Nothing;
        }
        if usize::try_from(said.count_ones()).unwrap_or(0) < terms.len() {
            if self.said.len() >= FOLLOWED_MAX {
                self.said.clear();
            }
            self.said.insert(id.to_owned(), said);
            return Look::Nothing;
        }
        self.said.remove(id);
        self.add(id);
        if let Some(queue) = queue.filter(|queue| *queue != id) {
            self.add(queue);
        }
        Look::Begins
    }

    fn add(&mut self, id: &str) {
        self.ids.insert(id.to_owned());
        self.order.push_back(id.to_owned());
        if self.order.len() > FOLLOWED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

/// Serves one follower until it disconnects or the server stops.
pub(super) async fn serve(
    follow: Follow,
    followers: &Followers,
    (from, to): (&mut OwnedReadHalf, &mut Writer),
    stop: &CancellationToken,
) -> io::Result<()> {
    let added = follow.terms().and_then(|terms| followers.add(terms));
    let (follower, mut events) = match added {
        Ok(added) => added,
        Err(problem) => return send(to, &Reply::Failed(problem)).await,
    };
    // From here on, the follower knows that nothing is missed.
    let mut result = send(to, &Reply::Items(Vec::new())).await;
    while result.is_ok() {
        let mut octet = [0];
        let mut lines = Vec::new();
        tokio::select! {
            () = stop.cancelled() => {
                result = send(to, &Reply::Done(Value::Null)).await;
                break;
            }
            // A client that sends anything now, or disconnects, wants to stop.
            _ = from.read(&mut octet) => break,
            _ = events.recv_many(&mut lines, 256) => {}
            () = tokio::time::sleep(BEAT) => {}
        }
        let mut values: Vec<Value> = lines
            .iter()
            .filter_map(|line| serde_json::to_value(line).ok())
            .collect();
        let left_out = follower.left_out.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            values.push(json!({ "at": Timestamp::now(), "event": "left out", "left_out": left_out }));
        }
        result = send(to, &Reply::Items(values)).await;
    }
    followers.remove(&follower);
    result
}

#[cfg(test)]
mod tests {
    use postern_events::{Connected, Event, LoggedIn, Outcome, Word};

    use super::*;

    fn events() -> Vec<(&'static str, Event<'static>)> {
        let peer = "192.0.2.7".parse().unwrap();
        let connect = |session| Connected {
            session,
            listener: "submission",
            peer,
        };
        let login = |session, login| LoggedIn {
            session,
            listener: "submission",
            peer: Some(peer),
            login,
            acts_as: None,
            rule: None,
            mechanism: "PLAIN",
            directory: None,
            layer_bits: None,
            tls: None,
        };
        let outcome = Outcome {
            queue: &"01HJ3K8Q2M7XA",
            session: Some("1-1"),
            login: None,
            from: &"<a@b.example>",
            to: &"<c@d.example>",
            original: None,
            relay: &"mx.d.example",
            status: None,
            failure: None,
            stage: None,
            reply: None,
            reason: None,
            delay_ms: 1,
            attempts: None,
            until: None,
            report: None,
            word: Word("delivered"),
        };
        vec![
            ("1-1", connect("1-1").into()),
            ("1-2", connect("1-2").into()),
            ("1-1", login("1-1", "anna").into()),
            ("1-2", login("1-2", "bert").into()),
            ("1-1", outcome.into()),
        ]
    }

    fn told(follow: Follow) -> Vec<String> {
        let recent = Arc::new(History::default());
        let followers = Arc::new(Followers::new(Arc::clone(&recent)));
        let (_follower, mut told) = followers.add(follow.terms().unwrap()).unwrap();
        let follows = Follows(followers);
        for (_, event) in events() {
            recent.note(&event, || 1);
            follows.observe(&event);
        }
        let mut lines = Vec::new();
        while let Ok(step) = told.try_recv() {
            let session = step.fields["session"].as_str().unwrap().to_owned();
            lines.push(format!("{session} {}", step.event));
        }
        lines
    }

    #[test]
    fn who_follows_hears_all_of_a_session_once_it_fits() {
        let text = |text: &str| Some(text.to_owned());
        let follow = |login, client, address| Follow {
            login,
            client,
            address,
        };
        let all = [
            "1-1 connect",
            "1-2 connect",
            "1-1 login",
            "1-2 login",
            "1-1 delivered",
        ];
        let annas = ["1-1 connect", "1-1 login", "1-1 delivered"];
        #[rustfmt::skip]
        let cases: [(&str, Follow, &[&str]); 6] = [
            // what the case shows          what is asked for                                      what is told
            ("everything",                  Follow::default(),                                     &all),
            ("a login, with what was before", follow(text("anna"), None, None),                    &annas),
            ("a client",                    follow(None, text("192.0.2.0/24"), None),              &all),
            ("another client",              follow(None, text("198.51.100.0/24"), None),           &[]),
            ("an address",                  follow(None, None, text("c@d.example")),               &annas),
            ("a login from a client",       follow(text("anna"), text("192.0.2.7/32"), None),      &annas),
        ];
        for (shows, follow, wanted) in cases {
            assert_eq!(told(follow), wanted, "{shows}");
        }
    }

    #[test]
    fn a_follower_that_does_not_read_holds_nothing_up() {
        let followers = Arc::new(Followers::new(Arc::default()));
        let (follower, _told) = followers.add(Vec::new()).unwrap();
        let follows = Follows(Arc::clone(&followers));
        for _ in 0..WAITING_MAX {
            for (_, event) in events() {
                follows.observe(&event);
            }
        }
        assert!(follower.left_out.load(Ordering::Relaxed) > 0);
        for _ in 1..FOLLOWERS_MAX {
            assert!(followers.add(Vec::new()).is_ok());
        }
        assert!(followers.add(Vec::new()).is_err());
        followers.remove(&follower);
        assert!(followers.add(Vec::new()).is_ok());
    }
}
