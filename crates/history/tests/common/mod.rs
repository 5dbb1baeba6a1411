//! A server's events, passed to a history.

use std::net::IpAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postern_events::{
    Accepted, Attempted, Connected, Disconnected, Event, Greeted, Line, LoggedIn, Outcome, RecipientTaken,
    Refused, SenderTaken, Word,
};
use postern_history::{Found, History, Settings};
use postern_mail::QueueId;
use postern_policy::Rule;
use tempfile::TempDir;

/// Noon today plus some minutes, so that no test crosses midnight.
pub(crate) fn at(minute: i64) -> Timestamp {
    static DAY: OnceLock<i64> = OnceLock::new();
    let day = DAY.get_or_init(|| Timestamp::now().as_second().div_euclid(86_400));
    Timestamp::from_second(*day * 86_400 + 43_200).unwrap() + SignedDuration::from_mins(minute)
}

pub(crate) fn settings(folder: &Path) -> Settings {
    Settings {
        folder: folder.to_owned(),
        keep: Duration::from_secs(14 * 86_400),
        max_size: Some(1 << 30),
        strangers_per_second: 100,
    }
}

pub(crate) fn found_ids(found: &Found) -> Vec<String> {
    found.stories.iter().map(|story| story.id.clone()).collect()
}

/// A history in a folder of its own.
pub(crate) struct Site {
    history: History,
    folder: TempDir,
}

impl Site {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(folder.path());
        change(&mut settings);
        Self::at(settings, folder)
    }

    pub(crate) fn at(settings: Settings, folder: TempDir) -> Self {
        Self::with(History::start(settings).unwrap(), folder)
    }

    pub(crate) fn with(history: History, folder: TempDir) -> Self {
        Self { history, folder }
    }

    /// Stops, and starts again on the same folder.
    pub(crate) fn restart(self) -> Self {
        self.stop();
        let settings = settings(self.folder.path());
        Self::at(settings, self.folder)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    pub(crate) fn flush(&self) {
        self.history.flush(Duration::from_secs(60));
    }

    pub(crate) fn stop(&self) {
        self.history.stop();
    }

    fn tell<'e>(&self, at: Timestamp, event: impl Into<Event<'e>>) {
        let event = event.into();
        Line::with(&event, at.as_millisecond(), |line| self.history.put(&event, line));
    }

    pub(crate) fn connect(&self, session: &str, peer: &str) {
        let peer = peer.parse().unwrap();
        let listener = "submission";
        self.tell(
            at(0),
            Connected {
                session,
                listener,
                peer,
            },
        );
    }

    pub(crate) fn log_in(&self, session: &str, login: &str, minute: i64) {
        self.tell(
            at(minute),
            logged_in(session, login, "192.0.2.1".parse().unwrap()),
        );
    }

    pub(crate) fn disconnect(&self, session: &str, peer: &str) {
        self.tell(at(0), disconnected(session, peer.parse().unwrap()));
    }

    /// A session in which a recipient is refused.
    pub(crate) fn refuse(&self, session: &str, peer: &str, from: &str, to: &str) {
        let address = peer.parse().unwrap();
        self.connect(session, peer);
        let reason = "no size";
        self.tell(
            at(0),
            SenderTaken {
                session,
                from: &from,
                size: None,
                sender_rule: None,
                reason: Some(&reason),
            },
        );
        self.tell(
            at(0),
            Refused {
                session: Some(session),
                listener: "mx",
                peer: address,
                login: None,
                acts_as: None,
                helo: "bad.example",
                from: Some(&from),
                to: Some(&to),
                recipients: None,
                rule: Rule::RelayDenied,
                milter: None,
                reply: Some(&"550 5.7.1 relaying denied"),
                reason: &"relaying denied",
            },
        );
        self.disconnect(session, peer);
    }
}

fn logged_in<'e>(session: &'e str, login: &'e str, peer: IpAddr) -> LoggedIn<'e> {
    LoggedIn {
        session,
        listener: "submission",
        peer: Some(peer),
        login,
        acts_as: None,
        rule: Some(Rule::RelayLogin),
        mechanism: "PLAIN",
        directory: None,
        layer_bits: None,
        tls: Some("TLSv1.3"),
    }
}

fn disconnected(session: &str, peer: IpAddr) -> Disconnected<'_> {
    Disconnected {
        session,
        peer,
        reason: &"QUIT",
        seconds: 1,
    }
}

/// A message of a user, one a minute.
pub(crate) struct Mail {
    number: i64,
    id: QueueId,
}

impl Mail {
    pub(crate) fn new(number: i64) -> Self {
        let number_of_day = u32::try_from(number).unwrap();
        Self {
            number,
            id: QueueId::new(at(number % 60).as_millisecond(), number_of_day),
        }
    }

    pub(crate) fn queue(&self) -> String {
        self.id.to_string()
    }

    fn at(&self) -> Timestamp {
        at(self.number % 60)
    }

    fn session(&self) -> String {
        format!("5f-{:x}", self.number)
    }

    pub(crate) fn accept(&self, site: &Site) {
        let (session, number) = (self.session(), self.number);
        let session = session.as_str();
        let peer: IpAddr = format!("192.0.2.{}", number % 250).parse().unwrap();
        let (from, login) = (format!("<user{number}@here.example>"), format!("user{number}"));
        let to = format!("<alias{number}@here.example>");
        let listener = "submission";
        site.tell(
            self.at(),
            Connected {
                session,
                listener,
                peer,
            },
        );
        let helo = "client.example";
        site.tell(self.at(), Greeted { session, peer, helo });
        site.tell(self.at(), logged_in(session, &login, peer));
        site.tell(
            self.at(),
            SenderTaken {
                session,
                from: &from,
                size: Some(2_000),
                sender_rule: Some(Rule::IdentityOwn),
                reason: None,
            },
        );
        site.tell(
            self.at(),
            RecipientTaken {
                session,
                from: Some(&from),
                to: &to,
                rule: Rule::RelayLogin,
                reason: &"logged in",
            },
        );
        let message_id = format!("<{number}@mail.example>");
        site.tell(
            self.at(),
            Accepted {
                session,
                queue: &self.id,
                listener,
                peer,
                login: Some(&login),
                acts_as: None,
                rule: Rule::RelayLogin,
                reason: None,
                sender_rule: Some(Rule::IdentityOwn),
                from: &from,
                recipients: 1,
                size: 2_000,
                message_id: Some(&message_id),
                milter: None,
                took: None,
            },
        );
        site.tell(self.at(), disconnected(session, peer));
    }

    pub(crate) fn outcome(&self, site: &Site, word: &'static str) {
        let (session, number) = (self.session(), self.number);
        let from = format!("<user{number}@here.example>");
        let to = format!("<rcpt{number}@there{number}.example>");
        let original = format!("<alias{number}@here.example>");
        let relay = format!("mx.there{number}.example[203.0.113.9]:25");
        let reply = format!("250 2.0.0 queued as {number}");
        site.tell(
            self.at(),
            Attempted {
                queue: &self.id,
                session: Some(&session),
                destination: None,
                relay: &relay,
                proof: None,
                tls: Some(&"TLSv1.3"),
                recipients: 1,
                taken: Some(1),
                status: None,
                failure: None,
                stage: None,
                reply: Some(&reply),
                error: None,
            },
        );
        site.tell(
            self.at(),
            Outcome {
                queue: &self.id,
                session: Some(&session),
                login: None,
                from: &from,
                to: &to,
                original: Some(&original),
                relay: &relay,
                status: Some(&"2.0.0"),
                failure: None,
                stage: None,
                reply: Some(&reply),
                reason: None,
                delay_ms: 20,
                attempts: Some(1),
                until: None,
                report: None,
                word: Word(word),
            },
        );
    }

    pub(crate) fn deliver(&self, site: &Site) {
        self.accept(site);
        self.outcome(site, "delivered");
    }
}
