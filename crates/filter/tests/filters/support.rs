//! A filter that does what a test tells it, and a message for all of them.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::BytesMut;
use postern_filter::{End, EndError, Failure, Filter, Notice, Service, Session};
use postern_milter::negotiation::Options;
use postern_milter::{Actions, Command, Event, Macros, Peer, Reply, Steps, Verdict, frame};
use postern_testkit::process::wait_until;
use tempfile::TempDir;

/// How a [`Raw`] filter reacts to a command.
pub(crate) enum Act {
    /// Sends octets, if there are any.
    Say(Vec<u8>),
    /// Sends octets and closes the connection.
    Die(Vec<u8>),
    /// Does nothing until the connection ends, whatever comes.
    Hang,
}

/// A filter without a library: the test decides what it does.
pub(crate) struct Raw {
    folder: TempDir,
    connections: Arc<AtomicUsize>,
    answers: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    /// Starts it. `script` gets the number of the connection, from 1, and each command.
    pub(crate) fn start(script: impl Fn(usize, &Command<'_>) -> Act + Send + Sync + 'static) -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        let listener = UnixListener::bind(folder.path().join("socket")).expect("a socket");
        let (connections, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(script);
        let (counted, said) = (Arc::clone(&connections), Arc::clone(&answers));
        let noted = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
                let (script, said, noted) = (Arc::clone(&script), Arc::clone(&said), Arc::clone(&noted));
                thread::spawn(move || serve(stream, number, &*script, &said, &noted));
            }
        });
        Self {
            folder,
            connections,
            answers,
            heard,
        }
    }

    /// Its settings.
    pub(crate) fn filter(&self) -> Filter {
        let address = format!("unix:{}", self.folder.path().join("socket").display());
        Filter::new("raw", address.parse().expect("an address"))
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until it has sent this many answers on all connections, which can then be read.
    pub(crate) fn wait_for_answers(&self, count: usize) {
        wait_until("answers", || self.answers.load(Ordering::SeqCst) >= count);
    }

    /// Waits until it has received this many commands with this letter: one without an answer is read some time later.
    pub(crate) fn wait_for_commands(&self, letter: char, count: usize) {
        wait_until("commands", || {
            self.heard()
                .iter()
                .filter(|line| line.starts_with(letter))
                .count()
                >= count
        });
    }

    /// The letters of all commands that it has received, on all connections in turn.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("a lock").clone()
    }
}

fn serve(
    mut stream: UnixStream,
    number: usize,
    script: &dyn Fn(usize, &Command<'_>) -> Act,
    said: &AtomicUsize,
    noted: &Mutex<Vec<String>>,
) {
    let mut wire = BytesMut::new();
    loop {
        while let Some(packet) = frame::take(&mut wire, frame::DATA_MAX).expect("a packet") {
            let command = Command::parse(packet.name, &packet.data).expect("a command");
            noted.lock().expect("a lock").push(shown(&command));
            let octets = match script(number, &command) {
                Act::Say(octets) => octets,
                Act::Die(octets) => {
                    let _ = stream.write_all(&octets);
                    return;
                }
                Act::Hang => {
                    let mut rest = [0; 4_096];
                    while matches!(stream.read(&mut rest), Ok(len) if len > 0) {}
                    return;
                }
            };
            if stream.write_all(&octets).is_err() {
                return;
            }
            if !octets.is_empty() {
                said.fetch_add(1, Ordering::SeqCst);
            }
        }
        let mut octets = [0; 65_536];
        match stream.read(&mut octets) {
            Ok(0) | Err(_) => return,
            Ok(len) => wire.extend_from_slice(&octets[..len]),
        }
    }
}

fn shown(command: &Command<'_>) -> String {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    match command {
        Command::Body(piece) => format!("B {}", piece.len()),
        Command::Header { name, value } => format!("L {}:{}", text(name), text(value)),
        Command::Rcpt {
            recipient,
            parameters,
        } => {
            let parameters: Vec<_> = parameters.iter().map(|parameter| text(parameter)).collect();
            format!("R {} {}", text(recipient), parameters.join(" "))
                .trim_end()
                .to_owned()
        }
        Command::Unknown(line) => format!("U {}", text(line)),
        Command::Connect { host, peer } => format!("C {} {peer:?}", text(host)),
        command => char::from(command.name()).to_string(),
    }
}

/// Packets on the wire.
pub(crate) fn say(replies: &[Reply<'_>]) -> Vec<u8> {
    let mut wire = BytesMut::new();
    for reply in replies {
        reply.put(&mut wire);
    }
    wire.to_vec()
}

/// A choice of everything that changes mail, and of these steps.
pub(crate) fn choose(version: u32, actions: Actions, steps: Steps) -> Reply<'static> {
    Reply::Negotiate(Options {
        version,
        actions,
        steps,
        lists: Vec::new(),
    })
}

/// The answers of a filter that agrees to all actions and accepts everything.
pub(crate) fn content(command: &Command<'_>) -> Act {
    Act::Say(match command {
        Command::Negotiate(_) => say(&[choose(6, Actions::ALL, Steps::NONE)]),
        Command::Macros { .. } | Command::Abort | Command::Quit | Command::QuitNewConnection => Vec::new(),
        _ => say(&[Reply::Continue]),
    })
}

/// The event of a command.
pub(crate) fn event(command: &Command<'_>) -> Option<Event> {
    Some(match command {
        Command::Connect { .. } => Event::Connect,
        Command::Helo(_) => Event::Helo,
        Command::Mail { .. } => Event::Mail,
        Command::Rcpt { .. } => Event::Rcpt,
        Command::Data => Event::Data,
        Command::Unknown(_) => Event::Unknown,
        Command::Header { .. } => Event::Header,
        Command::EndOfHeader => Event::EndOfHeader,
        Command::Body(_) => Event::Body,
        Command::End => Event::End,
        _ => return None,
    })
}

/// A service whose notices are collected.
pub(crate) fn service(filter: Filter) -> (Arc<Service>, Arc<Mutex<Vec<String>>>) {
    let notices = Arc::new(Mutex::new(Vec::new()));
    let gathered = Arc::clone(&notices);
    let service = Service::new(filter, move |filter, notice| {
        let line = match notice {
            Notice::Down(failure) => format!("{} down: {failure}", filter.name),
            Notice::Up(ended) => format!("{} up after {}", filter.name, ended.failures),
        };
        gathered.lock().expect("a lock").push(line);
    });
    (service, notices)
}

/// How a message went.
#[derive(Debug)]
pub(crate) enum Came {
    /// To the end, with the new body, if there is one.
    End(End, Vec<u8>),
    /// Up to a step whose answer was not "continue".
    Verdict(Event, Verdict),
    /// The filter failed.
    Failed(Failure),
}

impl Came {
    pub(crate) fn end(self) -> (End, Vec<u8>) {
        match self {
            Self::End(end, body) => (end, body),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn verdict(self) -> (Event, Verdict) {
        match self {
            Self::Verdict(event, verdict) => (event, verdict),
            Self::End(end, _) => (Event::End, end.verdict),
            Self::Failed(failure) => panic!("{failure:?}"),
        }
    }
}

pub(crate) const HEADER: [(&str, &str); 4] = [
    ("From", " a@example.org"),
    ("Subject", "  two blanks\r\n\tfolded"),
    ("X-Gone", "\ttab"),
    ("Message-ID", " <1@example.org>"),
];

pub(crate) const PEER: Peer =
    Peer::Network(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)), 4_711);

/// Connect, `HELO` and an unknown command; failures outside of a message have no consequence.
pub(crate) async fn greet(
    session: &mut Session,
    host: &str,
    helo: &str,
    macros: &(dyn Macros + Sync),
) -> Came {
    for event in [Event::Connect, Event::Helo, Event::Unknown] {
        let answer = match event {
            Event::Connect => session.connect(host, PEER, macros).await,
            Event::Helo => session.helo(helo, macros).await,
            _ => session.unknown(b"XYZZY a b").await,
        };
        match answer {
            Ok(Verdict::Continue) | Err(_) => {}
            Ok(verdict) => return Came::Verdict(event, verdict),
        }
    }
    Came::Verdict(Event::Unknown, Verdict::Continue)
}

/// One message; it is given up if the filter fails or refuses.
pub(crate) async fn message(session: &mut Session, body: &[u8], macros: &(dyn Macros + Sync)) -> Came {
    let came = try_message(session, body, macros).await;
    if !matches!(came, Came::End(..)) {
        session.abort().await;
    }
    came
}

async fn try_message(session: &mut Session, body: &[u8], macros: &(dyn Macros + Sync)) -> Came {
    macro_rules! step {
        ($event:expr, $answer:expr) => {
            match $answer.await {
                Ok(Verdict::Continue) => {}
                Ok(verdict) => return Came::Verdict($event, verdict),
                Err(failure) => return Came::Failed(failure),
            }
        };
    }
    step!(
        Event::Mail,
        session.mail("<a@example.org>", &["SIZE=100", "BODY=8BITMIME"], macros)
    );
    step!(
        Event::Rcpt,
        session.rcpt("<b@example.org>", &["NOTIFY=NEVER"], true, macros)
    );
    step!(
        Event::RejectedRcpt,
        session.rcpt("<nobody@example.org>", &[], false, macros)
    );
    step!(Event::Data, session.data(macros));
    let fields = HEADER.iter();
    let fields = fields.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    match session.whole_header(fields, macros).await {
        (_, Ok(Verdict::Continue)) => {}
        (event, Ok(verdict)) => return Came::Verdict(event, verdict),
        (_, Err(failure)) => return Came::Failed(failure),
    }
    for octets in body.chunks(10_000) {
        step!(Event::Body, session.body(octets));
    }
    let mut new_body = Vec::new();
    match session.end(macros, &mut new_body).await {
        Ok(end) => Came::End(end, new_body),
        Err(EndError::Filter(failure)) => Came::Failed(failure),
        Err(EndError::NewBody(error)) => panic!("{error}"),
    }
}

/// A whole session with one message.
pub(crate) async fn deliver(service: &Arc<Service>, body: &[u8]) -> Came {
    let mut session = service.session();
    greet(&mut session, "mx.example", "client.example", &()).await;
    let came = message(&mut session, body, &()).await;
    session.quit().await;
    came
}
