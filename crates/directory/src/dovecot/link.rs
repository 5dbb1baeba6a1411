//! One connection to Dovecot's auth service, with many concurrent questions.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;
use postern_authwire::dovecot::{Answer, LINE_MAX, LineError, MAJOR, Server, check, hello};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::settings::DovecotPlace;

/// Most lines waiting to be sent.
const LINES_MAX: usize = 64;

/// Longest greeting, in lines.
const GREETING_MAX: usize = 200;

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// An I/O error.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The line received is not this protocol.
    #[error("not the protocol of its auth service: {0}")]
    Line(#[from] LineError),
    /// It speaks another version.
    #[error("it speaks version {0} of the protocol")]
    Version(u32),
    /// It does not offer PLAIN.
    #[error("it does not offer PLAIN: add `plain` to its auth_mechanisms")]
    NoPlain,
    /// The connection was closed.
    #[error("it ended the connection")]
    Closed,
}

type Reading = Box<dyn AsyncRead + Send + Unpin>;
type Writing = Box<dyn AsyncWrite + Send + Unpin>;

/// Pending questions.
#[derive(Debug, Default)]
struct Waiting {
    answers: Mutex<HashMap<u32, oneshot::Sender<Answer>>>,
    closed: AtomicBool,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    waiting: Arc<Waiting>,
    lines: mpsc::Sender<Zeroizing<String>>,
    next: AtomicU32,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Link {
    /// Connects and exchanges greetings.
    pub(super) async fn connect(place: &DovecotPlace) -> Result<Self, LinkError> {
        let (read, mut write): (Reading, Writing) = match place {
            DovecotPlace::Path(path) => {
                let (read, write) = UnixStream::connect(path).await?.into_split();
                (Box::new(read), Box::new(write))
            }
            DovecotPlace::Server(server) => {
                let stream = TcpStream::connect(server).await?;
                stream.set_nodelay(true)?;
                let (read, write) = stream.into_split();
                (Box::new(read), Box::new(write))
            }
        };
        write.write_all(hello(std::process::id()).as_bytes()).await?;
        let mut read = BufReader::new(read);
        greeting(&mut read).await?;
        let waiting = Arc::new(Waiting::default());
        let (lines, to_send) = mpsc::channel(LINES_MAX);
        let tasks = [
            tokio::spawn(send(write, to_send)),
            tokio::spawn(receive(read, Arc::clone(&waiting))),
        ];
        Ok(Self {
            waiting,
            lines,
            next: AtomicU32::new(1),
            tasks,
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.waiting.closed.load(Ordering::Relaxed) || self.lines.is_closed()
    }

    /// Has a password checked.
    pub(super) async fn check(
        &self,
        service: &str,
        peer: Option<IpAddr>,
        login: &str,
        password: &str,
    ) -> Result<Answer, LinkError> {
        let (tell, told) = oneshot::channel();
        let question = self.open(tell)?;
        let line = check(question.id, service, peer, login, password);
        self.lines.send(line).await.map_err(|_| LinkError::Closed)?;
        let answer = told.await.map_err(|_| LinkError::Closed);
        drop(question);
        answer
    }

    fn open(&self, tell: oneshot::Sender<Answer>) -> Result<Question<'_>, LinkError> {
        let mut answers = self.waiting.answers.lock();
        if self.is_closed() {
            return Err(LinkError::Closed);
        }
        // Dovecot rejects zero, and a pending number must not be used again.
        let id = std::iter::repeat_with(|| self.next.fetch_add(1, Ordering::Relaxed))
            .find(|id| *id != 0 && !answers.contains_key(id))
            .ok_or(LinkError::Closed)?;
        answers.insert(id, tell);
        Ok(Question { id, link: self })
    }
}

/// A pending question. Dropped without an answer, it is cancelled.
struct Question<'a> {
    id: u32,
    link: &'a Link,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if self.link.waiting.answers.lock().remove(&self.id).is_some() {
            let cancel = Zeroizing::new(format!("CANCEL\t{}\n", self.id));
            // If the queue is full, the answer arrives and is ignored.
            let _ = self.link.lines.try_send(cancel);
        }
    }
}

/// Reads Dovecot's greeting.
async fn greeting(read: &mut BufReader<Reading>) -> Result<(), LinkError> {
    let (mut understood, mut plain) = (false, false);
    for _ in 0..GREETING_MAX {
        let line = next(read).await?.ok_or(LinkError::Closed)?;
        match Server::parse(&line)? {
            Server::Version(MAJOR, _) => understood = true,
            Server::Version(other, _) => return Err(LinkError::Version(other)),
            Server::Mechanism(name) => plain |= name == "PLAIN",
            Server::Done if !understood => return Err(LineError::Missing("version").into()),
            Server::Done if !plain => return Err(LinkError::NoPlain),
            Server::Done => return Ok(()),
            Server::Answer(..) | Server::Other => {}
        }
    }
    Err(LineError::TooLong.into())
}

/// The next line; `None` at the end.
async fn next(read: &mut BufReader<Reading>) -> Result<Option<Vec<u8>>, LinkError> {
    let mut line = Vec::new();
    let mut bounded = read.take(LINE_MAX as u64 + 1);
    match bounded.read_until(b'\n', &mut line).await? {
        0 => Ok(None),
        _ if line.pop() == Some(b'\n') => Ok(Some(line)),
        _ if line.len() >= LINE_MAX => Err(LineError::TooLong.into()),
        _ => Ok(None),
    }
}

/// Sends lines until no sender is left or the other side stops reading.
async fn send(mut write: Writing, mut lines: mpsc::Receiver<Zeroizing<String>>) {
    while let Some(line) = lines.recv().await {
        if write.write_all(line.as_bytes()).await.is_err() || write.flush().await.is_err() {
            return;
        }
    }
}

/// Dispatches answers until the connection ends.
async fn receive(mut read: BufReader<Reading>, waiting: Arc<Waiting>) {
    while let Ok(Some(line)) = next(&mut read).await {
        match Server::parse(&line) {
            Ok(Server::Answer(id, answer)) => {
                if let Some(tell) = waiting.answers.lock().remove(&id) {
                    // The asker may have stopped waiting.
                    let _ = tell.send(answer);
                }
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    let mut answers = waiting.answers.lock();
    waiting.closed.store(true, Ordering::Relaxed);
    answers.clear();
}
