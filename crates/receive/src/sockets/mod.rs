//! Sockets on which neighbours have logins checked: a Postfix, a Dovecot, a Cyrus that share these accounts.
//!
//! What is asked there runs through the same exchanges as logins over SMTP: same directories, same memory of failed logins,
//! same counts, same log.

mod dovecot;
mod lines;
mod master;
mod request;
mod saslauthd;
mod settings;
mod tickets;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use postern_events::{notice, shown};
use postern_net::listen;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use self::settings::{HomePattern, HomePatternError, MailAccounts, SocketProtocol, SocketSettings};
pub(crate) use self::tickets::Tickets;

use crate::Receiver;
use crate::shared::Shared;

/// Longest wait until a neighbour takes an answer off our hands.
const WRITE_MAX: Duration = Duration::from_secs(30);

/// A socket that neighbours connect to.
#[derive(Debug)]
pub enum SocketListener {
    /// A path on this machine.
    Unix(UnixListener),
    /// A port, which should be one of the loopback.
    Tcp(TcpListener),
}

/// A connection of a neighbour.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl SocketListener {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

/// What a connection works with.
struct Context {
    shared: Arc<Shared>,
    socket: Arc<ArcSwap<SocketSettings>>,
}

impl Receiver {
    /// Answers neighbours on a socket until `shutdown` is cancelled, which ends all connections at once: exchanges under way are
    /// lost, and neighbours begin them anew.
    pub async fn serve_socket(
        &self,
        listener: SocketListener,
        settings: Arc<ArcSwap<SocketSettings>>,
        shutdown: CancellationToken,
    ) {
        let told = |error: io::Error| {
            let name = &settings.load().name;
            notice!(self.shared().deps.observers, Connect Warning "cannot take connections for now", Listener = name, Error = shown(&error));
        };
        let work = |stream| {
            let context = Context {
                shared: Arc::clone(self.shared()),
                socket: Arc::clone(&settings),
            };
            converse(stream, context)
        };
        let places = Arc::new(Semaphore::new(settings.load().connections_max));
        listen::serve(|| listener.accept(), &places, &shutdown, told, work).await;
    }
}

/// Serves one connection to its end.
async fn converse(stream: Box<dyn Stream>, context: Context) {
    let settings = context.shared.deps.settings.load().throttle;
    context.shared.throttle.lock().configure(settings);
    let socket = context.socket.load_full();
    let ended = match socket.protocol {
        SocketProtocol::Dovecot => dovecot::serve(stream, &context).await,
        SocketProtocol::DovecotMaster => master::serve(stream, &context).await,
        SocketProtocol::Saslauthd => saslauthd::serve(stream, &context).await,
    };
    if let Err(error) = ended {
        let observers = &context.shared.deps.observers;
        notice!(observers, Connect Info "connection of a neighbour ended", Listener = socket.name, Reason = shown(&error));
    }
}

/// Why a connection ended otherwise than by its neighbour's wish.
#[derive(Debug, thiserror::Error)]
enum Ended {
    /// The operating system said so.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A line that does not follow the protocol.
    #[error("{0}")]
    Line(#[from] postern_authwire::dovecot::LineError),
    /// A question that does not follow the protocol.
    #[error("{0}")]
    Question(#[from] postern_authwire::saslauthd::QuestionError),
    /// What came does not fit what was said before.
    #[error("{0}")]
    Order(&'static str),
    /// It was silent for too long, or took no answer.
    #[error("{0}")]
    Silent(&'static str),
}
