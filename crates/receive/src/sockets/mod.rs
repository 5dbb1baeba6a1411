//! Sockets on which other servers that share these accounts, such as Postfix, Dovecot or Cyrus, have credentials checked.
//!
//! Requests go through the same exchanges as SMTP authentication: same directories, same record of failed logins, same counts,
//! same log.

mod context;
mod dovecot;
mod lines;
mod master;
mod request;
mod saslauthd;
mod settings;
mod tickets;

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_events::{notice, shown};
use postern_net::listen;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use self::settings::{HomePattern, HomePatternError, MailAccounts, SocketProtocol, SocketSettings};
pub(crate) use self::tickets::Tickets;

use self::context::{Context, Stream};
use crate::Receiver;

/// A socket that other servers connect to.
#[derive(Debug)]
pub enum SocketListener {
    /// A path on this machine.
    Unix(UnixListener),
    /// A port, which should be on the loopback.
    Tcp(TcpListener),
}

impl SocketListener {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

impl Receiver {
    /// Answers other servers on a socket until `shutdown` is cancelled, which closes all connections at once: current exchanges
    /// are lost, and clients start them again.
    pub async fn serve_socket(
        &self,
        listener: SocketListener,
        settings: Arc<ArcSwap<SocketSettings>>,
        shutdown: CancellationToken,
    ) {
        let told = |error: io::Error| {
            let name = &settings.load().name;
            notice!(self.shared().deps.observers, Connect Warning "cannot accept connections for now", Listener = name, Error = shown(&error));
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
